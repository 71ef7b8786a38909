"""What was found of what there is, class by class -> precision, recall and F1 (van Rijsbergen 1979), and their means.

Classification counts items, tagging counts spans; what follows from the counts is the same. Of an item three numbers a
class are kept: found rightly, found, there. Most are zero, so the table is sparse.

    macro     the mean over the classes that are there or were found (in the draw at hand: a rare class that no drawn
              item has is no failure of the system)
    weighted  the mean by how often each class is there
    micro     of the counts of all classes together

Precision where nothing was found, and recall where nothing is there, is `zero_division`, as in scikit-learn; F1 is
defined as soon as one of both was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import sparse

from assay.metrics.scores import F64, Values

PARTS = ("precision", "recall", "f1")


def table(n: int, classes: int, counts: Sequence[tuple[Iterable[int], Iterable[int]]]) -> sparse.csr_array:
    """Sparse (n, 3 classes) statistics: hits of every class, then found, then there.

    Args:
        counts: three pairs (item, class) of parallel sequences; a pair that stands twice counts twice.
    """
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    for part, (items, kinds) in enumerate(counts):
        rows.append(np.asarray(list(items), dtype=np.int64))
        columns.append(np.asarray(list(kinds), dtype=np.int64) + part * classes)
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=(n, 3 * classes))


def averages(sums: F64, names: Sequence[str], zero_division: float, *, by_class: bool = True) -> Values:
    """`micro_f1`, `macro_f1`, `weighted_f1`, `f1[NAME]`, and the same of precision and recall.

    Args:
        sums: (r, 3 classes), as from `table`.
        names: of the classes.
        zero_division: what a ratio of nothing to nothing counts as; NaN leaves it out of means.
    """
    hits, found, there = np.split(sums, 3, axis=1)
    present = found + there > 0
    of_class = dict(zip(PARTS, ratios(hits, found, there, zero_division), strict=True))
    total = [part.sum(1) for part in (hits, found, there)]
    values: Values = {}
    for name, micro in zip(PARTS, ratios(total[0], total[1], total[2], zero_division), strict=True):
        values[f"micro_{name}"] = np.where(total[1] + total[2] > 0, micro, np.nan)
    for name, each in of_class.items():
        counted = present & ~np.isnan(each)
        known = np.where(counted, each, 0.0)
        values[f"macro_{name}"] = known.sum(1) / counted.sum(1)
        values[f"weighted_{name}"] = (known * there).sum(1) / (there * counted).sum(1)
    if by_class:
        for name, each in of_class.items():
            values |= {f"{name}[{kind}]": np.where(present[:, k], each[:, k], np.nan) for k, kind in enumerate(names)}
    return values


def ratios(hits: F64, found: F64, there: F64, zero_division: float) -> tuple[F64, F64, F64]:
    """Precision, recall and F1 of counts."""

    def ratio(above: F64, below: F64) -> F64:
        return np.where(below > 0, above / np.where(below > 0, below, 1.0), zero_division)

    return ratio(hits, found), ratio(hits, there), ratio(2 * hits, found + there)


def rests_on(statistics: sparse.csr_array, names: Sequence[str]) -> dict[str, int]:
    """Items behind the values of each class: those where it was found, those where it is there, those with either."""
    classes = len(names)
    marked = statistics.astype(bool)
    found, there = marked[:, classes : 2 * classes], marked[:, 2 * classes :]
    either = np.asarray((found.astype(float) + there.astype(float)).astype(bool).sum(0)).ravel()
    counts = dict(zip(PARTS, (np.asarray(found.sum(0)).ravel(), np.asarray(there.sum(0)).ravel(), either), strict=True))
    return {f"{part}[{name}]": int(counts[part][k]) for part in PARTS for k, name in enumerate(names)}


def mean_of_known(values: F64) -> F64:
    """(r, k) -> (r,), NaN left out."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(1) / known.sum(1))
