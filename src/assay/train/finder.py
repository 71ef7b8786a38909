"""A learning-rate finder (Smith 2017): one short run whose rate grows until the loss bursts.

found = find_rate(TrainState(spec), batch, low=0.01, high=100)
found.suggested        a factor of the peak rates: a third of the one at which the smoothed loss was lowest
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from assay.models.protocol import Batch
from assay.train.loop import LossNotFinite, TrainState

BURST = 1.5  # times the lowest smoothed loss: the run ends
SMOOTHING = 0.8


@dataclass(frozen=True)
class RateFound:
    """What the run saw.

    Attributes:
        factors: of the peak learning rates, one a step, rising.
        losses: of each step, in nats.
        smoothed: exponential averages of them, corrected for their beginning.
        suggested: a factor that is safe to train with.
    """

    factors: list[float]
    losses: list[float]
    smoothed: list[float]
    suggested: float


def find_rate(
    state: TrainState, batch: Callable[[int], Batch], *, low: float = 0.01, high: float = 100.0, steps: int = 80
) -> RateFound:
    """Train with factors from `low` to `high`, a geometric row, until the smoothed loss bursts.

    Args:
        state: is trained, and of no use afterwards.
        batch: the batch of a step.

    Raises:
        ValueError: the bounds are no range, or there are too few steps for one.
        LossNotFinite: the first step has no loss already.
    """
    if not 0 < low < high or steps < 10:
        raise ValueError(f"factors from {low} to {high} in {steps} steps are no range")
    factors: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average = 0.0
    for step in range(steps):
        factor = low * (high / low) ** (step / (steps - 1))
        loss = _loss(state, batch(step).to(state.device), factor)
        if not math.isfinite(loss):  # it burst altogether
            break
        factors.append(factor)
        losses.append(loss)
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING ** (step + 1)))
        if smoothed[-1] > BURST * min(smoothed):
            break
    if not factors:
        raise LossNotFinite(0)
    return RateFound(factors, losses, smoothed, factors[smoothed.index(min(smoothed))] / 3)


def _loss(state: TrainState, made: Batch, factor: float) -> float:
    """Of one step, in nats a target; infinite where it is no number, or its gradient is none."""
    try:
        per_position = state.update(made, factor)
    except LossNotFinite:
        return math.inf
    return float(per_position.sum()) / max(1, int((made.targets_BT >= 0).sum()))
