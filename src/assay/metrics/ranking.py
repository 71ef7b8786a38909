"""How well scores put one kind before the other: the area under the ROC curve, with its interval.

    scores, which are positive (strata, groups) -> AUC = chance that a positive one is above a negative one
                                                -> its percentiles where the cases are drawn again (Efron 1979)

Ties count one half. With strata (of length, say) only pairs within one are compared: scikit-learn's roc_auc_score knows
no strata, and sorts anew for each of the thousand times that cases are drawn; it is the oracle of the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

REPLICATES = 1000


@dataclass(frozen=True)
class Auc:
    """An area with what is needed to judge it.

    Attributes:
        value: 0.5 says that the scores know nothing. NaN where there is no pair to compare.
        interval: None where nothing was drawn, or there is no pair.
        positives, negatives: how many there were.
    """

    value: float
    interval: tuple[float, float] | None
    positives: int
    negatives: int


def auc(
    scores: np.ndarray,
    positive: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Auc:
    """The area under the ROC curve.

    Args:
        scores: (n,).
        positive: (n,) booleans.
        strata: (n,) integers; cases of different ones are not compared.
        groups: (n,) integers: what is drawn together (a document and its altered copy). None: each case by itself,
            positives and negatives apart.
        level: of the interval.
        replicates: how often cases are drawn; 0: no interval.
    """
    positive = np.asarray(positive, dtype=bool)
    layout = _Layout.of(np.asarray(scores), positive, np.zeros(len(scores), np.int64) if strata is None else strata)
    value = layout.area(np.ones(len(positive)))
    n = int(positive.sum()), int((~positive).sum())
    if not replicates or np.isnan(value):
        return Auc(value, None, *n)
    if value in (0.0, 1.0):
        # Drawing again would never show an error. Of as many pairs as are disjoint, all are in order: the exact bound.
        apart = min(n) if groups is None else max(1, len(np.unique(groups)) // 2)
        bound = float(stats.beta.ppf((1 - level) / 2, apart, 1))
        return Auc(value, (bound, 1.0) if value else (0.0, 1 - bound), *n)
    draw = np.random.default_rng(seed)
    found = [layout.area(_drawn(draw, positive, groups)) for _ in range(replicates)]
    low, high = np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Auc(value, (float(low), float(high)), *n)


def _drawn(draw: np.random.Generator, positive: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """How often each case is among as many that are drawn with replacement."""
    times = np.zeros(len(positive))
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        n = int(group.max()) + 1
        return np.bincount(draw.integers(n, size=n), minlength=n)[group].astype(float)
    for kind in (positive, ~positive):
        n = int(kind.sum())
        times[kind] = np.bincount(draw.integers(n, size=n), minlength=n)
    return times


@dataclass(frozen=True)
class _Layout:
    """Cases in the order of stratum and score.

    Attributes:
        order: of the cases.
        positive: of each, in that order.
        ties: where each set of cases with one stratum and score begins.
        stratum: of each such set.
    """

    order: np.ndarray
    positive: np.ndarray
    ties: np.ndarray
    stratum: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, positive: np.ndarray, strata: np.ndarray) -> _Layout:
        order = np.lexsort((scores, strata))
        s, x = strata[order], scores[order]
        ties = np.flatnonzero(np.append(True, (s[1:] != s[:-1]) | (x[1:] != x[:-1])))
        _, stratum = np.unique(s[ties], return_inverse=True)
        return cls(order, positive[order], ties, stratum)

    def area(self, times: np.ndarray) -> float:
        """Where each of the (n,) cases counts so often; NaN where there is no pair."""
        weight = times[self.order]
        ups = np.add.reduceat(np.where(self.positive, weight, 0.0), self.ties)
        downs = np.add.reduceat(np.where(self.positive, 0.0, weight), self.ties)
        of_stratum = np.bincount(self.stratum, downs)
        before = np.cumsum(downs) - downs - np.append(0, np.cumsum(of_stratum))[self.stratum]
        pairs = float((np.bincount(self.stratum, ups) * of_stratum).sum())
        return float((ups * (before + downs / 2)).sum()) / pairs if pairs else float("nan")


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) interval of a proportion."""
    low, high = stats.binomtest(hits, n).proportion_ci(level, "wilson")
    return float(low), float(high)


def balanced_accuracy(
    hits: tuple[int, int], of: tuple[int, int], level: float = 0.95
) -> tuple[float, tuple[float, float]]:
    """The mean of two proportions, and its interval from theirs (Newcombe 1998, by squares added)."""
    shares = [h / n for h, n in zip(hits, of, strict=True)]
    bounds = [wilson(h, n, level) for h, n in zip(hits, of, strict=True)]
    value = sum(shares) / 2
    below = math.hypot(*(share - low for share, (low, _) in zip(shares, bounds, strict=True))) / 2
    above = math.hypot(*(high - share for share, (_, high) in zip(shares, bounds, strict=True))) / 2
    return value, (value - below, value + above)
