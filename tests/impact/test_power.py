"""What a study is expected to see, before it runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.impact import power
from assay.impact.measure import POOLED_WEIGHT, Difference


def test_it_is_what_a_difference_of_that_error_would_say() -> None:
    """One claim is not corrected: as `Difference.minimum_detectable` at the false discovery rate itself."""
    own = Difference(0.0, 0.004, 0.0, 3 + POOLED_WEIGHT).minimum_detectable(0.05, power.POWER)
    assert power.detectable(0.004, 4, 1, 0.05) == pytest.approx(own)


def test_so_many_effects_of_that_size_are_found() -> None:
    """Drawn: with the scatter that was assumed, a true effect of this size is found as often as promised."""
    rng, seeds = np.random.default_rng(0), 200
    effect = power.detectable(power.USUAL_SD / seeds**0.5, seeds, 1, 0.05)
    drawn = rng.normal(effect, power.USUAL_SD, (4000, seeds))
    p = stats.ttest_1samp(drawn, 0, axis=1).pvalue
    assert (p <= 0.05).mean() == pytest.approx(power.POWER, abs=0.03)


def test_the_error_of_a_mean_is_that_of_sources_that_share_a_little() -> None:
    """Drawn: differences of sources over seeds that correlate as was assumed, and documents of their own."""
    rng, n, seeds, tokens = np.random.default_rng(1), 4, 3, 5_000
    shared = power.SHARED_BY_SOURCES
    cov = power.USUAL_SD**2 * (shared * np.ones((n, n)) + (1 - shared) * np.eye(n))
    by_seed = rng.multivariate_normal(np.zeros(n), cov, (20_000, seeds)).mean(axis=1)
    by_documents = rng.normal(0, power.DOCUMENT_SD / tokens**0.5, (20_000, n))
    found = by_seed + by_documents
    for sources, drawn in ((1, found[:, 0]), (n, found.mean(axis=1))):
        assert power.standard_error(power.USUAL_TOKENS, seeds, tokens, sources) == pytest.approx(drawn.std(), rel=0.03)


def test_more_seeds_longer_runs_more_text_and_more_sources_err_less() -> None:
    base = power.standard_error(100_000, 4, 5_000, 2)
    for other in ((200_000, 4, 5_000, 2), (100_000, 8, 5_000, 2), (100_000, 4, 9_000, 2), (100_000, 4, 5_000, 3)):
        assert power.standard_error(*other) < base
    assert power.detectable(base, 4, 5, 0.05) < power.detectable(base, 4, 20, 0.05)


@pytest.mark.parametrize(
    ("run_tokens", "seeds", "eval_tokens", "sources", "mean", "one"),
    [
        (760_832, 3, 20_000, 4, 0.0024, 0.0042),  # English, LAB_NOTES
        (760_832, 3, 20_000, 4, 0.0044, 0.0060),  # Chinese
        (165_888, 4, 6_358, 9, 0.0038, 0.0098),  # the starter corpus, ten minutes
        (84_992, 3, 3_486, 9, 0.0063, 0.0145),
        (348_160, 4, 14_213, 9, 0.0029, 0.0070),
    ],
)
def test_it_is_near_what_studies_of_real_text_measured(
    run_tokens: int, seeds: int, eval_tokens: int, sources: int, mean: float, one: float
) -> None:
    """Median errors of the differences that they measured, within a factor of 1.7."""
    for n, measured in ((sources, mean), (1, one)):
        predicted = power.standard_error(run_tokens, seeds, eval_tokens, n)
        assert measured / 1.7 < predicted < measured * 1.7
