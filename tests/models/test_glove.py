"""GloVe: co-occurrences and steps against loops written down from the paper."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import WorkError
from assay.models.vectors import VectorsConfig, fit, glove
from assay.models.vectors.glove import cooccurrences, descend

V = 5


@given(st.lists(st.lists(st.integers(-1, V - 1), max_size=9), max_size=6), st.integers(1, 4), st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_pairs_are_those_of_a_loop_over_words(texts: list[list[int]], window: int, block: int) -> None:
    expected: dict[tuple[int, int], float] = defaultdict(float)
    for text in texts:
        for i, word in enumerate(text):
            for j in range(max(0, i - window), min(len(text), i + window + 1)):
                if j != i and word >= 0 and text[j] >= 0:
                    expected[word, text[j]] += 1 / abs(i - j)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(glove, "BLOCK_TOKENS", block)
        pairs, weights = cooccurrences([np.array(text, dtype=np.int64) for text in texts], V, window)
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected)
    np.testing.assert_allclose(weights, [expected[pair] for pair in sorted(expected)])


def test_steps_of_one_pair_are_those_of_the_authors_program() -> None:
    """glove.c: the rate is multiplied in before a gradient is squared and added up."""
    rng = np.random.default_rng(0)
    pairs = np.array([(i, j) for i in range(V) for j in range(V) if i != j])
    weights = rng.uniform(0.3, 250, len(pairs))
    config = VectorsConfig(family="glove", width=3, epochs=2, batch=1, seed=4)
    found = descend(config, V, pairs, weights)

    generator = torch.Generator().manual_seed(4)
    table = ((torch.rand(2 * V, 4, generator=generator) - 0.5) / 3).double().numpy()
    w, b = table[:, :3].copy(), table[:, 3].copy()
    gw, gb = np.ones_like(w), np.ones_like(b)
    for _ in range(2):
        torch.randperm(1, generator=generator)  # of tiles: one holds all
        for k in torch.randperm(len(pairs), generator=generator).tolist():
            i, j = pairs[k][0], pairs[k][1] + V
            f = min(1.0, (weights[k] / 100)) ** 0.75
            error = 0.05 * f * (w[i] @ w[j] + b[i] + b[j] - np.log(weights[k]))
            gi, gj = error * w[j], error * w[i]
            w[i] -= gi / np.sqrt(gw[i])
            w[j] -= gj / np.sqrt(gw[j])
            b[i] -= error / np.sqrt(gb[i])
            b[j] -= error / np.sqrt(gb[j])
            gw[i] += gi**2
            gw[j] += gj**2
            gb[i] += error**2
            gb[j] += error**2
    np.testing.assert_allclose(found, w[:V] + w[V:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("batch", "tile"), [(1, 512), (64, 512), (64, 5)])
def test_words_of_one_kind_come_to_lie_together(batch: int, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds of words, each in sentences of its own kind; whatever the batches and tiles."""
    monkeypatch.setattr(glove, "TILE_WORDS", tile)
    rng = np.random.default_rng(1)
    texts = [[f"{'ab'[i % 2]}{k}" for k in rng.integers(0, 6, 12)] for i in range(400)]
    made = fit(VectorsConfig(family="glove", width=8, epochs=30, batch=batch, min_count=1), texts)
    for word in made.words:
        assert {near[0] for near, _ in made.nearest(word, 5)} == {word[0]}


def test_every_pair_is_taken_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "TILE_WORDS", 3)
    rng = np.random.default_rng(2)
    pairs, weights = cooccurrences([rng.integers(0, 11, 60)], 11, 3)
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(glove, "_step", lambda t, s, places, *_: taken.extend(map(tuple, places.T.tolist())))
    descend(VectorsConfig(family="glove", width=2, epochs=1, batch=4), 11, pairs, weights)
    assert sorted(taken) == sorted(map(tuple, pairs.tolist()))
    assert taken != sorted(taken)


def test_rare_words_are_left_out_before_windows_are_laid() -> None:
    made = fit(
        VectorsConfig(family="glove", width=2, epochs=1, window=1, min_count=2), [["a", "rare", "b"], ["b", "a"]]
    )
    assert made.words == ["a", "b"]


def test_frequent_words_are_skipped_as_often_as_word2vec_skips_them() -> None:
    from gensim.models import Word2Vec

    texts = [["the"] * 900 + ["cat"] * 90 + ["sat"] * 10]
    theirs = Word2Vec(sample=0.01, min_count=1)
    theirs.build_vocab(texts)
    shares = glove.kept([900, 90, 10], 0.01)
    expected = [theirs.wv.get_vecattr(word, "sample_int") / (2**32 - 1) for word in ("the", "cat", "sat")]
    np.testing.assert_allclose(shares, expected, rtol=1e-6)
    config = VectorsConfig(family="glove", min_count=1, subsample=0.01, seed=3)
    counts = glove.vocabulary(texts, 1)
    read = np.concatenate(list(glove._ids(config, texts * 50, counts)))
    np.testing.assert_allclose(np.bincount(read) / (50 * np.array([900, 90, 10])), shares, atol=0.03)


def test_steps_that_run_away_are_told() -> None:
    config = VectorsConfig(family="glove", width=2, epochs=200, min_count=1, rate=1e30)
    with pytest.raises(WorkError, match="beyond all bounds"):
        fit(config, [["a", "b", "c"]] * 9)
