from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.metrics.agreement import agreement


def cases(n: int, seed: int = 0, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(n).round(1)  # with ties
    return a, a + noise * rng.standard_normal(n)


def test_figures_are_those_of_scipy() -> None:
    a, b = cases(60)
    found = agreement(a, b)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(a, b)[0])
    assert found["pearson"].value == pytest.approx(stats.pearsonr(a, b)[0])
    assert found["mae"].value == pytest.approx(np.abs(a - b).mean())
    for figure in found.values():
        assert figure.interval[0] < figure.value < figure.interval[1]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Pearson's correlation of a normal pair is known: 1 / sqrt(1 + noise^2)."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        a = rng.standard_normal(100)
        low, high = agreement(a, a + rng.standard_normal(100), level=0.9, replicates=200)["pearson"].interval
        hits += low <= 0.5**0.5 <= high
    assert 0.83 <= hits / 200 <= 0.96


def test_predictions_that_do_not_vary_rank_nothing() -> None:
    assert agreement(np.ones(20), np.arange(20.0))["spearman"].value == 0
