"""Warmup, stable, decay: values from the papers' formulas, and branches that leave one trunk."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.train.schedules import Constant, Cosine, CosineRestarts, Linear, WarmupStableDecay


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


def torch_factors(steps: int, make: object) -> list[float]:
    """Factors of PyTorch's own scheduler."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_waves_and_lines_are_those_of_torch() -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR

    def own(schedule: object, steps: int) -> list[float]:
        return [schedule.factor(step) for step in range(steps)]  # type: ignore[attr-defined]

    assert own(Cosine(0, 21, 0.1), 21) == pytest.approx(
        torch_factors(21, lambda o: CosineAnnealingLR(o, T_max=20, eta_min=0.1)), abs=1e-9
    )
    assert own(Linear(0, 21, 0.1), 21) == pytest.approx(
        torch_factors(21, lambda o: LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=20)), abs=1e-9
    )
    assert own(CosineRestarts(0, 5, 2.0, 0.1), 35) == pytest.approx(
        torch_factors(35, lambda o: CosineAnnealingWarmRestarts(o, T_0=5, T_mult=2, eta_min=0.1)), abs=1e-9
    )


@pytest.mark.parametrize("schedule", [Constant(4), Linear(4, 20), Cosine(4, 20), CosineRestarts(4, 6)])
def test_every_schedule_warms_up_and_stays_within_its_bounds(schedule: object) -> None:
    factors = [schedule.factor(step) for step in range(30)]  # type: ignore[attr-defined]
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert all(0 <= factor <= 1 for factor in factors)
