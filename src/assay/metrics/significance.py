"""P values of single questions, and their correction where several are asked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from assay.metrics.scores import same_length

EXACT_BELOW = 25
"""Items that differ, from which on chi-square is near enough for McNemar's test."""


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected so that one false finding among all is as unlikely as one alone was (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected.tolist()


@dataclass(frozen=True)
class McNemar:
    """McNemar's (1947) test of right and wrong answers.

    Attributes:
        only_a, only_b: items that one system alone has right.
    """

    only_a: int
    only_b: int
    p_value: float
    method: Literal["exact", "chi-square"]


def mcnemar(a: Sequence[bool] | np.ndarray, b: Sequence[bool] | np.ndarray, *, exact: bool | None = None) -> McNemar:
    """Whether two systems are right equally often.

    Args:
        a, b: (n,) which items each has right.
        exact: by the binomial distribution; else by chi-square with continuity correction (Edwards 1948). None: exact
            where few items differ.

    Raises:
        InputError: columns of different lengths, or empty ones.
    """
    same_length("answers of both systems", a, b)
    x, y = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    only_a, only_b = int((x & ~y).sum()), int((y & ~x).sum())
    differ = only_a + only_b
    if exact if exact is not None else differ < EXACT_BELOW:
        return McNemar(only_a, only_b, min(1.0, 2 * float(stats.binom.cdf(min(only_a, only_b), differ, 0.5))), "exact")
    statistic = max(0, abs(only_a - only_b) - 1) ** 2 / max(differ, 1)
    return McNemar(only_a, only_b, float(stats.chi2.sf(statistic, 1)), "chi-square")
