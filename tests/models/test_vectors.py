"""Word vectors: co-occurrences and GloVe's steps against loops written down from the paper; files; analogies."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import InputError
from assay.models import vectors
from assay.models.vectors import GloVe, WordVectors, cooccurrences

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
        patched.setattr(vectors, "BLOCK_TOKENS", block)
        pairs, weights = cooccurrences([np.array(text, dtype=np.int64) for text in texts], V, window)
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected)
    np.testing.assert_allclose(weights, [expected[pair] for pair in sorted(expected)])


def test_steps_of_one_pair_are_the_published_algorithm() -> None:
    rng = np.random.default_rng(0)
    pairs = np.array([(i, j) for i in range(V) for j in range(V) if i != j])
    weights = rng.uniform(0.3, 250, len(pairs))
    settings_ = GloVe(dimensions=3, epochs=2, batch=1, seed=4)
    found = settings_.fit([f"w{i}" for i in range(V)], pairs, weights)

    generator = torch.Generator().manual_seed(4)
    table = ((torch.rand(2 * V, 4, generator=generator) - 0.5) / 3).double().numpy()
    w, b = table[:, :3].copy(), table[:, 3].copy()
    gw, gb = np.ones_like(w), np.ones_like(b)
    for _ in range(2):
        for k in torch.randperm(len(pairs), generator=generator).tolist():
            i, j = pairs[k][0], pairs[k][1] + V
            f = min(1.0, (weights[k] / 100)) ** 0.75
            error = f * (w[i] @ w[j] + b[i] + b[j] - np.log(weights[k]))
            gi, gj = error * w[j], error * w[i]
            w[i] -= 0.05 * gi / np.sqrt(gw[i])
            w[j] -= 0.05 * gj / np.sqrt(gw[j])
            b[i] -= 0.05 * error / np.sqrt(gb[i])
            b[j] -= 0.05 * error / np.sqrt(gb[j])
            gw[i] += gi**2
            gw[j] += gj**2
            gb[i] += error**2
            gb[j] += error**2
    np.testing.assert_allclose(found.vectors, w[:V] + w[V:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 64])
def test_words_of_one_kind_come_to_lie_together(batch: int) -> None:
    """Two kinds of words, each in sentences of its own kind."""
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, 6, 12) + 6 * (i % 2) for i in range(400)]
    pairs, weights = cooccurrences(texts, 12, 5)
    names = [f"{'ab'[i // 6]}{i % 6}" for i in range(12)]
    made = GloVe(dimensions=8, epochs=30, batch=batch).fit(names, pairs, weights)
    for word in names:
        assert {near[0] for near, _ in made.nearest(word, 5)} == {word[0]}


def test_analogies_similarity_and_what_is_not_known() -> None:
    made = WordVectors(
        ["man", "woman", "king", "queen", "stone"],
        np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0]], dtype=np.float32),
    )
    questions = [("man", "woman", "king", "queen"), ("man", "king", "woman", "stone"), ("man", "woman", "king", "duke")]
    np.testing.assert_array_equal(made.analogies(questions), [1.0, 0.0, np.nan])
    assert made.similarity("man", "stone") == pytest.approx(-1)
    assert made.similarity("man", "duke") is None
    assert made.nearest("duke") == []
    assert len(made.nearest("man", 50)) == 4


def test_files_are_read_as_they_were_written_and_as_others_write_them(tmp_path: Path) -> None:
    made = WordVectors(["词", "7", "a\u00a0b"], np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32))
    made.save(tmp_path / "v.txt")
    found = WordVectors.load(tmp_path / "v.txt")
    assert found.words == made.words
    np.testing.assert_allclose(found.vectors, made.vectors, rtol=1e-6)
    lines = (tmp_path / "v.txt").read_text(encoding="utf-8").split("\n", 1)[1]
    (tmp_path / "glove.txt").write_text(lines, encoding="utf-8")
    assert WordVectors.load(tmp_path / "glove.txt").words == made.words
    for content, place in (("a 1 2\nb 1\n", ":2"), ("a b c\n", ":1"), ("", "")):
        (tmp_path / "bad.txt").write_text(content, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            WordVectors.load(tmp_path / "bad.txt")
        assert str(caught.value.where).endswith(f"bad.txt{place}")
