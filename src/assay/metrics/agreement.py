"""How well predictions agree with what was measured: rank and linear correlation, mean absolute error.

Each with its percentiles where the cases are drawn again (Efron 1979). Predictions that do not vary rank nothing: 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

F64 = npt.NDArray[np.float64]
REPLICATES = 1000


@dataclass(frozen=True)
class Figure:
    """A value and its interval."""

    value: float
    interval: tuple[float, float]


def agreement(
    predicted: F64, measured: F64, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Figure]:
    """`spearman`, `pearson` and `mae`.

    Args:
        predicted, measured: (n,).
        level: of the intervals.
        replicates: how often cases are drawn.
    """
    drawn = np.random.default_rng(seed).integers(len(predicted), size=(replicates, len(predicted)))
    rows = np.concatenate([np.arange(len(predicted))[None], drawn])
    a, b = predicted[rows], measured[rows]
    each = {
        "spearman": _correlation(rankdata(a, axis=1), rankdata(b, axis=1)),
        "pearson": _correlation(a, b),
        "mae": np.abs(a - b).mean(1),
    }
    ends = [(1 - level) / 2, (1 + level) / 2]
    bounds = {name: np.quantile(values[1:], ends) for name, values in each.items()}
    return {name: Figure(float(each[name][0]), (float(low), float(high))) for name, (low, high) in bounds.items()}


def _correlation(a: F64, b: F64) -> F64:
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.asarray((a * b).sum(1) / np.where(size > 0, size, 1.0))
