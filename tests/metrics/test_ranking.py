"""Areas under the ROC curve and their intervals, against scikit-learn, brute force and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from assay.metrics.ranking import auc, balanced_accuracy, wilson


def drawn(seed: int, n: int = 60, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    kind = np.arange(n) % 2 == 0
    return draw.normal(size=n) + shift * kind, kind


def test_the_area_is_scikit_learns_with_ties_too() -> None:
    for seed in range(5):
        scores, kind = drawn(seed)
        for value in (scores, np.round(scores)):
            assert auc(value, kind, replicates=0).value == pytest.approx(metrics.roc_auc_score(kind, value), abs=1e-12)


def test_within_strata_only_pairs_of_one_are_compared() -> None:
    scores, kind = drawn(1)
    scores, strata = np.round(scores, 1), np.arange(len(scores)) // 7
    pairs = [
        (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])
        for i, j in itertools.product(np.flatnonzero(kind), np.flatnonzero(~kind)) if strata[i] == strata[j]
    ]  # fmt: skip
    assert auc(scores, kind, strata=strata, replicates=0).value == pytest.approx(np.mean(pairs))
    assert np.isnan(auc(scores, kind, strata=np.arange(len(scores))).value)


def test_intervals_cover_the_area_that_there_is() -> None:
    truth = float(stats.norm.cdf(1 / 2**0.5))
    inside = 0
    for seed in range(100):
        found = auc(*drawn(seed), replicates=200)
        assert found.interval is not None
        inside += found.interval[0] <= truth <= found.interval[1]
    assert inside >= 88  # of 95 that are wanted: the percentile bootstrap of 30 and 30 cases is a little narrow


def test_what_is_drawn_together_makes_other_intervals() -> None:
    """Copies of one and the same case tell nothing new."""
    scores, kind = drawn(3, n=40)
    often = [np.repeat(one, 10) for one in (scores, kind)]
    alone = auc(*often)
    together = auc(*often, groups=np.repeat(np.arange(40), 10))
    assert alone.interval is not None
    assert together.interval is not None
    assert together.interval[1] - together.interval[0] > 2 * (alone.interval[1] - alone.interval[0])
    assert alone.value == together.value == auc(scores, kind, replicates=0).value


def test_perfect_scores_are_not_certain() -> None:
    found = auc(np.arange(40), np.arange(40) >= 20)
    assert found.value == 1
    assert found.interval == pytest.approx((stats.beta.ppf(0.025, 20, 1), 1.0))
    assert auc(np.arange(40), np.arange(40) < 20).interval == pytest.approx((0.0, 1 - stats.beta.ppf(0.025, 20, 1)))


def test_proportions() -> None:
    low, high = wilson(45, 60)
    z = stats.norm.ppf(0.975)
    for bound in (low, high):  # where the share is as far off as its own standard error allows
        assert abs(0.75 - bound) == pytest.approx(z * (bound * (1 - bound) / 60) ** 0.5)
    value, interval = balanced_accuracy((45, 45), (60, 60))
    assert value == 0.75
    half = (high - low) / 2**0.5 / 2
    assert interval[1] - interval[0] == pytest.approx(2 * half, rel=0.02)
