"""Errors, correlations, weighted kappa and likelihoods, against SciPy, scikit-learn and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from assay.errors import InputError
from assay.metrics.likelihood import likelihood
from assay.metrics.ratio import Ratio
from assay.metrics.regression import kappa, regression
from assay.metrics.scores import bootstrap, value_of


def test_errors_and_correlations_are_scipys_and_scikit_learns() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a = rng.standard_normal(50).round(seed % 3)
        b = a + rng.standard_normal(50).round(1) + 1e6 * (seed % 2)  # far from zero, too
        ours = value_of(regression(a, b))
        assert ours["mse"] == pytest.approx(metrics.mean_squared_error(a, b), rel=1e-12)
        assert ours["rmse"] == pytest.approx(metrics.root_mean_squared_error(a, b), rel=1e-12)
        assert ours["mae"] == pytest.approx(metrics.mean_absolute_error(a, b), rel=1e-12)
        assert ours["pearson"] == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-9)
        assert ours["spearman"] == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)


def test_correlations_with_what_does_not_vary_are_none() -> None:
    ours = value_of(regression([0.1] * 7, np.arange(7)))
    assert (ours["pearson"], ours["spearman"]) == (None, None)
    assert value_of(kappa([3, 3, 3], [3, 3, 3])) == {"kappa": None}


def test_the_kappa_of_essay_graders_is_scikit_learns() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a = rng.integers(1, 7, size=60)
        a[a == 4] = 5  # a grade that nobody gets keeps its place on the scale
        b = np.clip(a + rng.integers(-2, 3, size=60), 1, 6)
        theirs = metrics.cohen_kappa_score(a, b, weights="quadratic", labels=range(1, 7))
        assert value_of(kappa(a, b))["kappa"] == pytest.approx(theirs, abs=1e-12)
    assert value_of(kappa([1, 2, 3, 4], [4, 3, 2, 1]))["kappa"] == pytest.approx(-1)


def test_likelihoods() -> None:
    nll, tokens, n_bytes = [3.0, 9.0], [2, 4], [10, 20]
    ours = value_of(likelihood(nll, tokens, n_bytes))
    assert ours == pytest.approx({"loss": 2, "perplexity": math.exp(2), "bits_per_byte": 12 / 30 / math.log(2)})
    assert set(value_of(likelihood(nll, tokens))) == {"loss", "perplexity"}
    with pytest.raises(InputError, match="item 2: is no loss"):
        likelihood([1.0, float("inf")], [1, 1])


def test_intervals_of_a_loss_are_those_of_the_ratio_estimator() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(10, 200, size=400)
    nll = tokens * rng.normal(3, 0.5, size=400)
    found = bootstrap(likelihood(nll, tokens), replicates=2000)["loss"].interval
    assert found == pytest.approx(Ratio.of(nll, tokens).interval(), abs=0.01)
