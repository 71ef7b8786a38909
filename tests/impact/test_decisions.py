"""Which recipe is best, how surely; whether small runs order cells as large ones do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.impact.decisions import accuracy, drawn, ranked, regret
from assay.impact.measure import Difference


def sure(value: float, se: float = 1e-6) -> Difference:
    return Difference(value, se, 0.0, 1e6)


def test_without_noise_the_best_recipe_is_certain() -> None:
    found = ranked(["natural", "a", "b"], [sure(-0.1), sure(0.2)], [sure(-0.1), sure(0.2)])
    assert [row.best for row in found] == [0, 1, 0] and [row.better_at_target for row in found] == [None, 1, 0]


def test_a_trend_turns_the_ranking_at_the_target() -> None:
    """a leads here and is behind the baseline at the target."""
    near, far = (ranked(["natural", "a"], [sure(-0.1)], [sure(there)])[1] for there in (-0.05, 0.05))
    assert near.best == 1 and near.better_at_target == 1
    assert far.best == 1 and far.better_at_target == 0 and far.best_at_target == 0


def test_the_chance_to_beat_the_baseline_is_that_of_the_difference() -> None:
    found = ranked(["natural", "a"], [Difference(-0.02, 0.02, 0.0, 1e6)], [sure(0.0)])[1]
    assert found.best == pytest.approx(stats.norm.cdf(1), abs=0.02)
    equal = ranked(["natural", "a", "b"], [sure(0.0, 0.1), sure(0.0, 0.1)], [sure(0.0)] * 2)
    assert all(row.best == pytest.approx(1 / 3, abs=0.03) for row in equal)


def test_the_wider_the_effect_at_the_target_the_less_is_sure() -> None:
    effect = Difference(-0.05, 0.01, 0.0, 8)
    chances = [
        ranked(["natural", "a"], [effect], [Difference(-0.05, se, 0.0, 3)])[1].best_at_target
        for se in (0.01, 0.05, 0.5)
    ]
    assert chances[0] > chances[1] > chances[2] > 0.5


def test_pairs_in_the_same_order_are_counted() -> None:
    rng = np.random.default_rng(0)
    large = np.array([1.0, 2.0, 3.0, 4.0]) + rng.normal(0, 0.01, (5, 4))
    small = np.array([1.0, 2.0, 4.0, 3.0]) + rng.normal(0, 0.01, (5, 4))
    found = accuracy(small, large, 0.9)
    assert (found.pairs, found.agreed, found.separated, found.separated_agreed) == (6, 5, 6, 5)
    assert found.interval[0] <= 5 / 6 <= found.interval[1]
    noise = accuracy(small, 1 + rng.normal(0, 1.0, (5, 4)), 0.9)
    assert noise.separated <= 2 and noise.separated_agreed <= noise.separated


def test_recipes_share_the_baseline_of_the_seeds_that_they_share() -> None:
    """Runs scatter by 1, and documents add 0.3 to each: differences over the first 8, 8 and 2 seeds have those of the
    baseline in common."""
    seeds, own = np.array([8, 8, 2]), 1.0
    effects = [Difference(0.0, (2 * own / n) ** 0.5, 0.3 * 2**0.5, 1e6, n_seeds=int(n)) for n in seeds]
    draws = np.concatenate([drawn(effects, np.random.default_rng(i))[:, 1:] for i in range(25)])
    shared = own / np.maximum(seeds[:, None], seeds[None, :]) + 0.3**2
    np.testing.assert_allclose(np.cov(draws.T), shared + np.diag(own / seeds + 0.3**2), rtol=0.03)


def test_what_a_choice_is_expected_to_lose_is_known_in_closed_form_for_two() -> None:
    for m in (-0.02, 0.0, 0.01):
        s = 0.02
        wanted = s * stats.norm.pdf(m / s) - abs(m) * stats.norm.cdf(-abs(m) / s)
        assert regret([Difference(m, s, 0.0, 1e6)]) == pytest.approx(wanted, abs=4e-4)
