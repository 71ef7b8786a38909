"""Scores and probabilities of classes -> areas under curves, Brier score, log loss, calibration error.

Areas go by ranks: cases are sorted once, and a draw says how often each counts. `ranking.py` has the area within strata
(of length, say). Calibration errors sum over bins that stay the same for all draws, so they are sums over items.

The calibration error of a finite sample is above zero even where every probability is right (Roelofs et al. 2022): its
interval is where the true one lies, and may lie below the value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from assay.errors import InputError
from assay.metrics.classification import coded
from assay.metrics.counted import mean_of_known
from assay.metrics.scores import (
    ERROR,
    ERROR_SHARE,
    F64,
    Additive,
    Kind,
    Ranked,
    Together,
    Values,
    same_length,
    together,
)

BINS = 15
"""Of calibration errors (Guo et al. 2017)."""


def binary(references: Sequence[bool] | np.ndarray, scores: Sequence[float] | np.ndarray) -> Ranked:
    """`roc_auc` and `pr_auc` of scores that need be no probabilities.

    The second is the average precision, scikit-learn's `average_precision_score`: a sum of steps, without the lines
    between them that promise too much (Davis and Goadrich 2006). Ties count one half in the first, and are one step in
    the second.

    Args:
        references: (n,) which are positive.
        scores: (n,) higher where it is more likely.

    Raises:
        InputError: columns of different lengths, empty ones, or a score that is no number.
    """
    same_length("references and scores", references, scores)
    table = _finite(np.asarray(scores, dtype=np.float64)[:, None], "score")
    return Ranked((np.asarray(references, dtype=np.int64), table), _areas, "classes:binary")


def probabilities(
    references: Sequence[Hashable],
    probabilities: np.ndarray,
    labels: Sequence[Hashable],
    *,
    bins: int = BINS,
) -> Together:
    """`roc_auc`, `pr_auc`, `brier`, `log_loss`, and calibration errors: bins of equal width (`ece`) and of equal mass
    (`ece_mass`).

    Of two classes the second is the positive one: areas are of it, the Brier score is the mean of (p - y)^2,
    calibration is that of its probability. Of more, areas are means over one class against the rest (where there are
    both), the Brier score sums over classes (Brier 1950), calibration is that of the likeliest class.

    Args:
        references: (n,) labels.
        probabilities: (n, k), each row with the sum 1.
        labels: of the k columns.

    Raises:
        InputError: other numbers of items or labels, rows that are no probabilities, or a label outside the set.
    """
    n = same_length("references and probabilities", references, probabilities)
    table = _finite(np.asarray(probabilities, dtype=np.float64), "probabilities")
    if table.ndim != 2 or table.shape[1] != len(labels) or len(labels) < 2:
        said = f"{len(labels)} labels for probabilities of shape {table.shape}"
        raise InputError(said, remedy="give a column for each of two or more labels")
    wrong = np.flatnonzero((table < 0).any(1) | (np.abs(table.sum(1) - 1) > 1e-3))
    if len(wrong):
        said = f"are no probabilities: {table[wrong[0]].round(4).tolist()}"
        raise InputError(said, where=f"item {wrong[0] + 1}", remedy="give rows of the sum 1")
    gold = coded(references, {label: i for i, label in enumerate(labels)}, "reference")
    two = len(labels) == 2
    areas = Ranked((gold, table[:, 1:] if two else table), _areas, "classes:binary" if two else "classes:one_vs_rest")
    truth = np.zeros_like(table)
    truth[np.arange(n), gold] = 1
    squares = (table - truth) ** 2
    brier = squares[:, 1] if two else squares.sum(1)
    chance = np.clip(table[np.arange(n), gold] / table.sum(1), np.finfo(float).eps, 1)
    sure, right = (table[:, 1], gold == 1) if two else (table.max(1), table.argmax(1) == gold)
    errors = Additive(
        np.stack([brier, -np.log(chance), np.ones(n)], axis=1),
        lambda sums: {"brier": sums[:, 0] / sums[:, 2], "log_loss": sums[:, 1] / sums[:, 2]},
        "",
        {"brier": ERROR_SHARE if two else Kind("lower", high=2.0), "log_loss": ERROR},
    )
    return together(areas, errors, *(calibration(sure, right, bins=bins, mass=mass) for mass in (False, True)))


def calibration(
    confidences: Sequence[float] | np.ndarray,
    right: Sequence[bool] | np.ndarray,
    *,
    bins: int = BINS,
    mass: bool = False,
) -> Additive:
    """`ece` or `ece_mass`: how far confidence is from the share that is right, a mean over bins (Naeini et al. 2015).

    Args:
        confidences: (n,) between 0 and 1.
        right: (n,) whether each was.
        bins: of equal width, (0, 1/bins] and so on; with `mass` between quantiles of the confidences (Nguyen and
            O'Connor 2015), where equal ones share a bin.
    """
    n = same_length("confidences and answers", confidences, right)
    sure = _finite(np.asarray(confidences, dtype=np.float64)[:, None], "confidence")[:, 0]
    edges = np.quantile(sure, np.linspace(0, 1, bins + 1)) if mass else np.linspace(0, 1, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], sure)
    statistics = np.zeros((n, bins + 1))
    statistics[np.arange(n), bin_of] = sure - np.asarray(right, dtype=np.float64)
    statistics[:, -1] = 1
    name = "ece_mass" if mass else "ece"

    def of(sums: F64) -> Values:
        return {name: np.abs(sums[:, :-1]).sum(1) / sums[:, -1]}

    return Additive(statistics, of, f"bins:{bins}", {name: Kind("lower", folded=True)})


def _areas(columns: tuple[np.ndarray, ...]) -> Callable[[F64], Values]:
    """Areas of k classes, the mean where there are several.

    Args:
        columns: (n,) the class of each item, (n, k) scores of classes; with k = 1 those of class 1.
    """
    gold, table = columns
    each = [
        _area(gold == kind, table[:, j]) for j, kind in enumerate([1] if table.shape[1] == 1 else range(table.shape[1]))
    ]

    def of(times: F64) -> Values:
        roc, precision = np.stack([one(times) for one in each]).transpose(1, 2, 0)
        return {"roc_auc": mean_of_known(roc), "pr_auc": mean_of_known(precision)}

    return of


def _area(positive: np.ndarray, scores: np.ndarray) -> Callable[[F64], F64]:
    """(r, n) how often each counts -> (2, r): the area under the ROC curve, and the average precision."""
    order = np.argsort(-scores, kind="stable")
    up = positive[order].astype(np.float64)
    starts = np.flatnonzero(np.append(True, np.diff(scores[order]) != 0))  # of each set of equal scores

    def of(times: F64) -> F64:
        weight = times[:, order]
        ups = np.add.reduceat(weight * up, starts, axis=1)
        downs = np.add.reduceat(weight * (1 - up), starts, axis=1)
        hits, misses = np.cumsum(ups, axis=1), np.cumsum(downs, axis=1)
        above = hits - ups / 2  # positives above a set, and half of those in it
        roc = (downs * above).sum(1) / (hits[:, -1] * misses[:, -1])
        taken = hits + misses
        precision = (ups * hits / np.where(taken > 0, taken, 1.0)).sum(1) / hits[:, -1]
        return np.stack([roc, np.where(misses[:, -1] > 0, precision, np.nan)])

    return of


def _finite(table: np.ndarray, what: str) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(table).all(axis=-1))
    if len(bad):
        raise InputError(f"{what} is not a number", where=f"item {bad[0] + 1}", remedy="give finite numbers")
    return table
