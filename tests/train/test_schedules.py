"""Warmup, stable, decay: values from the papers' formulas, and branches that leave one trunk."""

from __future__ import annotations

import math
from fractions import Fraction

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


def test_lines_and_waves_are_those_of_transformers() -> None:
    """Warmups apart, which begin at 0 there: the last update is one step above the end."""
    transformers = pytest.importorskip("transformers")
    made = {
        Linear(0, 20): transformers.get_linear_schedule_with_warmup,
        Cosine(0, 20): transformers.get_cosine_schedule_with_warmup,
    }
    for schedule, theirs in made.items():
        expected = torch_factors(20, lambda o, theirs=theirs: theirs(o, 0, 20))
        assert [schedule.factor(step) for step in range(20)] == pytest.approx(expected, abs=1e-9)
    assert Linear(4, 20).factor(19) == pytest.approx(1 / 16)
    for cycles in (1, 3, 4, 7):
        own = CosineRestarts(4, Fraction(16, cycles))
        expected = torch_factors(
            16, lambda o, n=cycles: transformers.get_cosine_with_hard_restarts_schedule_with_warmup(o, 0, 16, n)
        )
        assert [own.factor(step) for step in range(4, 20)] == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 20), st.integers(1, 200), st.integers(1, 9), st.sampled_from([0.0, 0.1]))
def test_no_update_is_wasted_and_the_last_one_is_a_step_above_the_end(
    warmup: int, steps: int, cycles: int, final: float
) -> None:
    total = warmup + steps
    for schedule in (
        Linear(warmup, total, final),
        Cosine(warmup, total, final),
        CosineRestarts(warmup, Fraction(steps, cycles), 1.0, final),
    ):
        factors = [schedule.factor(step) for step in range(total)]
        assert all(final < factor <= 1 for factor in factors[warmup:])
        assert Linear(warmup, total, final).factor(total) == pytest.approx(final)


def test_waves_and_lines_are_those_of_torch() -> None:
    from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR

    def own(schedule: object, steps: int) -> list[float]:
        return [schedule.factor(step) for step in range(steps)]  # type: ignore[attr-defined]

    assert own(Cosine(0, 20, 0.1), 21) == pytest.approx(
        torch_factors(21, lambda o: CosineAnnealingLR(o, T_max=20, eta_min=0.1)), abs=1e-9
    )
    assert own(Linear(0, 20, 0.1), 21) == pytest.approx(
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
