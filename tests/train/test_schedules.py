"""Warmup, stable, decay: values from the papers' formulas, and branches that leave one trunk."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.train.schedules import WarmupStableDecay


def test_values_of_a_small_schedule() -> None:
    schedule = WarmupStableDecay(warmup=4, total=12, decay=3)
    expected = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1 - math.sqrt(1 / 4), 1 - math.sqrt(2 / 4), 1 - math.sqrt(3 / 4)]
    assert [schedule.factor(step) for step in range(12)] == pytest.approx(expected)
    assert schedule.stable_end == 9


schedules = st.tuples(st.integers(0, 20), st.integers(1, 200), st.integers(1, 100)).filter(lambda x: x[2] <= x[1])


@given(schedules)
def test_the_rate_rises_stays_and_falls_and_no_step_is_wasted(shape: tuple[int, int, int]) -> None:
    warmup, total, decay = shape
    schedule = WarmupStableDecay(warmup, total, decay)
    factors = [schedule.factor(step) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)
    stable = factors[: schedule.stable_end]
    assert stable == sorted(stable)
    if schedule.stable_end >= warmup:
        falling = factors[schedule.stable_end :]
        assert falling == sorted(falling, reverse=True)
        assert all(factor == 1 for factor in factors[warmup : schedule.stable_end])


@given(schedules, st.integers(1, 100))
def test_a_branch_is_its_trunk_until_it_decays(shape: tuple[int, int, int], longer: int) -> None:
    warmup, total, decay = shape
    branch, trunk = WarmupStableDecay(warmup, total, decay), WarmupStableDecay(warmup, total + longer, decay)
    for step in range(branch.stable_end):
        assert branch.factor(step) == trunk.factor(step)
