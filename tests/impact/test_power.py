"""What a study is expected to see, before it runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.impact import power
from assay.impact.measure import POOLED_WEIGHT, Difference


def test_it_is_what_a_difference_of_that_error_would_say() -> None:
    """One claim is not corrected: as `Difference.minimum_detectable` at the false discovery rate itself."""
    se = power.USUAL_SD / 4**0.5
    own = Difference(0.0, se, 0.0, 3 + POOLED_WEIGHT).minimum_detectable(0.05, power.POWER)
    assert power.detectable(power.USUAL_TOKENS, 4, 1, 0.05) == pytest.approx(own)


def test_so_many_effects_of_that_size_are_found() -> None:
    """Drawn: with the scatter that was assumed, a true effect of this size is found as often as promised."""
    rng, seeds = np.random.default_rng(0), 200
    effect = power.detectable(power.USUAL_TOKENS, seeds, 1, 0.05)
    drawn = rng.normal(effect, power.USUAL_SD, (4000, seeds))
    p = stats.ttest_1samp(drawn, 0, axis=1).pvalue
    assert (p <= 0.05).mean() == pytest.approx(power.POWER, abs=0.03)


def test_more_seeds_longer_runs_and_fewer_claims_see_more() -> None:
    base = power.detectable(100_000, 4, 20, 0.05)
    for other in ((200_000, 4, 20), (100_000, 8, 20), (100_000, 4, 5)):
        assert power.detectable(*other, 0.05) < base
