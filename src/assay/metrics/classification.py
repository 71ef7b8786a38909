"""Labels predicted -> accuracy, precision, recall, F1, Matthews' correlation: one label an item, or a set of them.

Equal to scikit-learn's functions of the same names, except where nothing is defined: Matthews' correlation of one class
alone is None here and 0 there. Scores and probabilities are judged in `confidence.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from assay.errors import InputError
from assay.metrics import counted
from assay.metrics.scores import CORRELATION, F64, Additive, Values, same_length


def classification(
    references: Sequence[Hashable],
    predictions: Sequence[Hashable],
    *,
    labels: Sequence[Hashable] | None = None,
    zero_division: float = 0.0,
) -> Additive:
    """`accuracy`, `balanced_accuracy`, `mcc`, and precision, recall and F1: micro, macro, weighted, by class.

    Args:
        references, predictions: (n,) labels.
        labels: all that there are, in the order of the values by class. None: those that occur, sorted. One that is in
            neither column counts in no mean.
        zero_division: what precision counts as where nothing was predicted, and recall where nothing is there; NaN
            leaves them out of means.

    Raises:
        InputError: columns of different lengths, empty ones, or a label outside the set.
    """
    n = same_length("references and predictions", references, predictions)
    names, numbers = _numbered([*references, *predictions], labels)
    gold, found = (
        coded(column, numbers, what) for column, what in ((references, "reference"), (predictions, "prediction"))
    )
    items, hits = np.arange(n), gold == found
    statistics = counted.table(n, len(names), [(items[hits], gold[hits]), (items, found), (items, gold)])

    def of(sums: F64) -> Values:
        hit, predicted, there = np.split(sums, 3, axis=1)
        total, right = there.sum(1), hit.sum(1)
        recall = hit / there
        values = {"accuracy": right / total, "balanced_accuracy": counted.mean_of_known(recall)}
        # Matthews (1975) for any number of classes: Gorodkin 2004.
        above = right * total - (predicted * there).sum(1)
        below = (total**2 - (predicted**2).sum(1)) * (total**2 - (there**2).sum(1))
        values["mcc"] = np.where(below > 0, above / np.sqrt(np.where(below > 0, below, 1.0)), np.nan)
        return values | counted.averages(sums, names, zero_division)

    signature = f"labels:{len(names)}|zero_division:{zero_division:g}"
    return Additive(statistics, of, signature, {"mcc": CORRELATION}, counted.rests_on(statistics, names))


def multilabel(
    references: Sequence[Collection[Hashable]],
    predictions: Sequence[Collection[Hashable]],
    *,
    labels: Sequence[Hashable] | None = None,
    zero_division: float = 0.0,
) -> Additive:
    """`subset_accuracy` (the whole set is right), and precision, recall and F1: micro, macro, weighted, by class.

    Args:
        references, predictions: (n,) sets of labels, empty ones too.
        labels, zero_division: as in `classification`.

    Raises:
        InputError: columns of different lengths, empty ones, a label outside the set, or a string for a set.
    """
    n = same_length("references and predictions", references, predictions)
    for what, column in (("reference", references), ("prediction", predictions)):
        for i, one in enumerate(column):
            if isinstance(one, str):
                raise InputError(
                    f"{one!r} is no set of labels", where=f"{what} {i + 1}", remedy="give a list of labels"
                )
    names, numbers = _numbered(
        [label for column in (references, predictions) for one in column for label in one], labels
    )
    gold, found = (
        [set(coded(list(one), numbers, what, i).tolist()) for i, one in enumerate(column)]
        for column, what in ((references, "reference"), (predictions, "prediction"))
    )
    both = [a & b for a, b in zip(gold, found, strict=True)]
    pairs = [
        ([i for i, kinds in enumerate(sets) for _ in kinds], [kind for kinds in sets for kind in kinds])
        for sets in (both, found, gold)
    ]
    counts = counted.table(n, len(names), pairs)
    whole = np.array([[float(a == b), 1.0] for a, b in zip(gold, found, strict=True)])

    def of(sums: F64) -> Values:
        return {"subset_accuracy": sums[:, -2] / sums[:, -1]} | counted.averages(sums[:, :-2], names, zero_division)

    signature = f"labels:{len(names)}|zero_division:{zero_division:g}"
    statistics = sparse.hstack([counts, sparse.csr_array(whole)], format="csr")
    return Additive(statistics, of, signature, {}, counted.rests_on(counts, names))


def _numbered(seen: list[Any], labels: Sequence[Hashable] | None) -> tuple[list[str], dict[Hashable, int]]:
    """Names of the labels, and the number of each label."""
    if labels is None:
        kinds = list(dict.fromkeys(seen))
        try:
            kinds = sorted(kinds)
        except TypeError:  # of several types
            kinds = sorted(kinds, key=str)
    else:
        kinds = list(dict.fromkeys(labels))
    return [str(kind) for kind in kinds], {kind: i for i, kind in enumerate(kinds)}


def coded(column: Sequence[Any], numbers: dict[Hashable, int], what: str, item: int | None = None) -> np.ndarray:
    """The number of each label."""
    found = np.empty(len(column), dtype=np.int64)
    for i, label in enumerate(column):
        number = numbers.get(label)
        if number is None:
            known = ", ".join(map(str, list(numbers)[:8])) + (", ..." if len(numbers) > 8 else "")
            where = f"{what} {(i if item is None else item) + 1}"
            raise InputError(f"{label!r} is not among the labels", where=where, remedy=f"the labels are {known}")
        found[i] = number
    return found
