"""The law of labelled examples on errors that are made up: it finds the examples for a target, and its interval holds;
it says so where a target is out of reach, or the curve is flat."""

from __future__ import annotations

import numpy as np
import pytest

from assay.labels import curve

SIZES = np.array([400, 800, 1600, 3200, 6400.0])


def _errors(floor: float, scale: float, beta: float, seed: int, noise: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    seeds = rng.normal(0, noise / 2, (3, 1))
    return (floor + scale * SIZES**-beta) * np.exp(rng.normal(0, noise, (3, 5)) + seeds)


def test_the_examples_for_a_target_are_found_and_their_interval_holds() -> None:
    truth = 4 * SIZES[-1]
    target = 0.05 + 2.0 * truth**-0.35
    found = [
        curve.needed(curve.fitted(SIZES, _errors(0.05, 2.0, 0.35, seed)), target, 0.95, falls=True) for seed in range(8)
    ]
    assert all(one.reach in ("needs", "wide") for one in found)
    assert all(one.interval[0] is not None and one.interval[0] <= truth for one in found)
    assert sum(one.interval[1] is None or truth <= one.interval[1] for one in found) >= 7
    values = [one.examples for one in found if one.examples is not None]
    assert truth / 2 < np.median(values) < truth * 2


def test_without_noise_the_answer_is_the_laws() -> None:
    law = curve.fitted(SIZES, np.repeat((1.5 * SIZES**-0.3)[None], 3, axis=0))
    found = curve.needed(law, float(1.5 * 20000**-0.3), 0.95, falls=True)
    assert found.reach == "needs"
    assert found.examples == pytest.approx(20000, rel=0.02)


def test_the_largest_size_is_predicted_from_the_smaller_ones() -> None:
    hits = 0
    for seed in range(10):
        errors = _errors(0.1, 1.2, 0.35, seed)
        _, low, high = curve.predicted(curve.fitted(SIZES[:4], errors[:, :4]), SIZES[-1], 0.95)
        hits += low <= errors[:, 4].mean() <= high
        assert (high - low) / errors[:, 4].mean() < 0.4
    assert hits >= 8


def test_a_target_below_the_floor_is_out_of_reach_and_one_that_is_there_reached() -> None:
    law = curve.fitted(SIZES, _errors(0.15, 20.0, 0.8, 0, noise=0.003))
    assert curve.needed(law, 0.1, 0.95, falls=True).reach == "out of reach"
    there = curve.needed(law, 0.25, 0.95, falls=True)
    assert there.reach == "reached"
    assert there.examples is not None
    assert there.examples < SIZES[-1]


def test_of_a_flat_curve_nothing_can_be_told() -> None:
    law = curve.fitted(SIZES, _errors(0.2, 0.0, 0.5, 1))
    found = curve.needed(law, 0.1, 0.95, falls=False)
    assert (found.reach, found.examples) == ("flat", None)


def test_equivalent_examples_stand_on_the_curve() -> None:
    errors = 1.5 * SIZES**-0.3
    law = curve.fitted(SIZES, np.repeat(errors[None], 3, axis=0))
    wanted = np.array([500.0, 3000.0, 6400.0, 12800.0, 1e6, 100.0])
    found = curve.equivalent(errors, SIZES, 1.5 * wanted**-0.3, law)
    assert found[:4] == pytest.approx(wanted[:4], rel=0.02)
    assert found[4] == pytest.approx(8 * SIZES[-1])  # no further than the law is followed
    assert found[5] == 0
