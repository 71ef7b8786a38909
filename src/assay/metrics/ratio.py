"""A ratio of two sums over units that were drawn by chance: loss a token, bits a byte (Cochran 1977, chapter 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


def ratio_variance(x: np.ndarray, y: np.ndarray) -> float:
    """Variance of sum(x) / sum(y) from the choice of the units; NaN where there is one alone.

    Args:
        x, y: (units,) what is summed, and what it is divided by.
    """
    n = len(x)
    if n < 2:
        return float("nan")
    residuals = x - x.sum() / y.sum() * y
    return float(n / (n - 1) * (residuals**2).sum() / y.sum() ** 2)


@dataclass(frozen=True)
class Ratio:
    """A ratio with what is needed to judge it.

    Attributes:
        value: sum(x) / sum(y).
        se: its standard error from the choice of units.
        units: how many there were.
    """

    value: float
    se: float
    units: int

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Ratio:
        return cls(float(x.sum() / y.sum()), ratio_variance(x, y) ** 0.5, len(x))

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Student's interval; None with one unit, from which nothing follows."""
        if self.units < 2:
            return None
        half = float(stats.t.ppf(0.5 + level / 2, self.units - 1)) * self.se
        return self.value - half, self.value + half
