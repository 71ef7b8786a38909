"""Axes: the range that the data needs, ticks at round numbers, and the map from values to places."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assay.present.numbers import fixed
from assay.present.words import Both


@dataclass(frozen=True)
class Axis:
    """What an axis says and must hold.

    Args:
        label: its name and unit; empty where the page says it elsewhere.
        log: logarithmic; values must be positive.
        form: how a tick is written; by default with the decimals that the ticks' step needs.
        include: values that the axis must show beside the data (0 on an axis of differences).
    """

    label: Both
    log: bool = False
    form: Callable[[float], str] | None = None
    include: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high`, placed linearly or logarithmically from `start` to `end` (pixels)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        a, b, x = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (x - a) / (b - a) * (self.end - self.start)


def usable(value: float, log: bool = False) -> bool:
    """Whether an axis has a place for `value`."""
    return math.isfinite(value) and (value > 0 or not log)


def extent(values: Iterable[float], axis: Axis, pad: float = 0.06) -> tuple[float, float]:
    """The range of an axis: all usable values and what it must include, with some air on both sides."""
    held = [v for v in (*values, *axis.include) if usable(v, axis.log)] or [1.0]
    low, high = min(held), max(held)
    if axis.log:
        if low == high:
            low, high = low / 2, high * 2
        ratio = (high / low) ** pad
        return low / ratio, high * ratio
    if low == high:
        spread = abs(low) / 2 or 1.0
        low, high = low - spread, high + spread
    air = (high - low) * pad
    return low - air, high + air


def ticks(low: float, high: float, count: int, log: bool = False) -> list[float]:
    """About `count` round numbers from `low` to `high`: 1, 2 or 5 times a power of ten."""
    return _log_ticks(low, high, count) if log else _linear_ticks(low, high, count)


def written(values: list[float], form: Callable[[float], str] | None) -> list[str]:
    """The ticks as text, all with the same decimals."""
    if form is not None:
        return [form(value) for value in values]
    step = min((b - a for a, b in itertools.pairwise(values)), default=abs(values[0]) if values else 1)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return [fixed(value, min(decimals, 9)) for value in values]


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    # The nearest of 1, 2, 5, 10 on a logarithmic scale: the limits are the square roots of 2, 10 and 50.
    factor = next((f for f, limit in ((1, 1.414), (2, 3.162), (5, 7.071)) if rough / power < limit), 10)
    step = factor * power
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) <= count:
            break
    if len(found) < 2:
        return _linear_ticks(low, high, min(count, 4))
    every = math.ceil(len(found) / max(count, 2))
    return found[::every]
