"""Divergences of words: the closed form on tiny sources, and halves of one source as the measure of no difference."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from corpus_texts import HAN, WORDS
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from assay.corpus.portrait import vocabulary as v


def test_closed_form_of_two_tiny_sources() -> None:
    """p = (1/2, 1/2, 0), q = (1/2, 0, 1/2): the middle is (1/2, 1/4, 1/4), and the divergence 1/2 bit."""
    assert v.divergence(np.array([1.0, 1, 0]), np.array([5.0, 0, 5])) == pytest.approx(0.5)
    assert v.divergence(np.array([3.0, 1]), np.array([6.0, 2])) == 0
    assert v.divergence(np.array([1.0, 0]), np.array([0.0, 1])) == pytest.approx(1)
    assert math.isnan(v.divergence(np.array([0.0, 0]), np.array([0.0, 1])))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=30))
def test_divergence_is_scipys_distance_squared(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    if left.sum() and right.sum():
        expected = float(np.nan_to_num(jensenshannon(left, right, base=2))) ** 2
        assert v.divergence(left, right) == pytest.approx(expected, abs=1e-9)


def test_half_samples_are_balanced() -> None:
    """Every half has four buckets, every two buckets are together as often as apart from each other."""
    halves = v.HALVES.astype(int)
    assert (halves.sum(axis=1) == v.BUCKETS // 2).all()
    assert (halves[:7] + halves[7:] == 1).all()
    signs = 2 * halves[:7] - 1
    assert (signs.T @ signs == 8 * np.eye(8) - 1).all()


def _source(vocabulary: list[str], documents: int, seed: int, words: int = 60) -> list[list[str]]:
    draw = random.Random(seed)
    weights = [1 / (i + 1) for i in range(len(vocabulary))]
    return [draw.choices(vocabulary, weights, k=words) for _ in range(documents)]


def test_samples_of_one_source_are_alike_and_other_sources_are_apart() -> None:
    same = [_source(WORDS, 60, seed) for seed in (1, 2)]
    other, characters, few = _source(WORDS[::-1], 60, 3), _source(list(HAN), 60, 4), _source(WORDS, 5, 5)
    sources = [*same, other, characters, few]
    words = [own for source in sources for own in source]
    groups = [g for g, source in enumerate(sources) for _ in source]
    found = v.divergences(*v.counted(words, groups, len(sources)))
    assert found["documents"] == [60, 60, 60, 60, 5]
    assert found["words"] == [3600, 3600, 3600, 3600, 300]
    pairs = found["pairs"]
    assert pairs[0][1]["told"] == "alike"
    assert pairs[0][2]["told"] == pairs[1][3]["told"] == "apart"
    assert pairs[0][3]["value"] == pytest.approx(1)
    assert pairs[0][2] == pairs[2][0]
    assert all(pair is None for pair in (*pairs[4], *(row[4] for row in pairs)))
    for a in range(4):
        for b in range(4):
            low, high = pairs[a][b]["interval"]
            assert 0 <= low <= pairs[a][b]["value"] <= high <= 1


def test_the_diagonal_says_how_far_alike_sources_seem_apart() -> None:
    """Over many pairs of samples of one source, both numbers have the same mean: neither is more biased."""
    own, between, apart = [], [], 0
    for seed in range(12):
        sources = [_source(WORDS, 40, 100 + 2 * seed + i) for i in (0, 1)]
        words = [one for source in sources for one in source]
        pairs = v.divergences(*v.counted(words, [0] * 40 + [1] * 40, 2))["pairs"]
        own += [pairs[0][0]["value"], pairs[1][1]["value"]]
        between.append(pairs[0][1]["value"])
        apart += pairs[0][1]["told"] == "apart"
    assert np.mean(between) == pytest.approx(np.mean(own), rel=0.1)
    assert apart == 0


def test_words_without_documents() -> None:
    found = v.divergences(*v.counted([[]] * 20, [0] * 20, 1))
    assert found["pairs"] == [[None]]
