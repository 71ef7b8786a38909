"""Shares of items that were right: of all, the mean over groups (subjects, paradigms), and of each group."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from assay.metrics.scores import F64, Additive, Values, same_length


def grouped(
    columns: Mapping[str, Sequence[float | None] | np.ndarray],
    groups: Sequence[Hashable],
    *,
    apart: Collection[str] | None = None,
    signature: str = "",
) -> Additive:
    """Of each column NAME its mean; of several groups `macro_NAME`, the mean of theirs, and `NAME[GROUP]`.

    In a draw, groups that no item was drawn of are left out of the mean.

    Args:
        columns: of each name (n,) shares or booleans; items with None or NaN do not count.
        groups: (n,) of each item.
        apart: names that are told by group as well; None: all.

    Raises:
        InputError: columns of different lengths, or none.
    """
    n = same_length("columns and groups", *columns.values(), groups)
    names = list(columns)
    table = np.array([[np.nan if v is None else float(v) for v in column] for column in columns.values()]).T
    known = ~np.isnan(table)
    kinds = sorted(set(groups), key=str)
    number = {kind: k for k, kind in enumerate(kinds)}
    code = np.array([number[group] for group in groups])
    # (n, 2 x groups x names): of each group and name what is right, then how many count. Most of it is zero.
    row, column = np.nonzero(known)
    place, wide = code[row] * len(names) + column, len(kinds) * len(names)
    held = np.concatenate([table[row, column], np.ones(len(row))]), (np.tile(row, 2), np.r_[place, place + wide])
    statistics: Any = sparse.csr_matrix(held, shape=(n, 2 * wide))
    told = [name for name in names if len(kinds) > 1 and (apart is None or name in apart)]

    def of(sums: F64) -> Values:
        right, there = (part.reshape(-1, len(kinds), len(names)) for part in np.split(sums, 2, axis=1))
        values: Values = {name: right[..., k].sum(1) / there[..., k].sum(1) for k, name in enumerate(names)}
        share, has = right / there, there > 0
        for name in told:
            k = names.index(name)
            values[f"macro_{name}"] = np.where(has[..., k], share[..., k], 0.0).sum(1) / has[..., k].sum(1)
        for name in told:
            values |= {f"{name}[{kind}]": share[:, j, names.index(name)] for j, kind in enumerate(kinds)}
        return values

    rests = dict(zip(names, known.sum(0).tolist(), strict=True))
    for name in told:
        each = np.bincount(code[known[:, names.index(name)]], minlength=len(kinds)).tolist()
        rests |= {f"macro_{name}": rests[name], **{f"{name}[{kind}]": each[j] for j, kind in enumerate(kinds)}}
    if len(kinds) == 1:
        return Additive(statistics.toarray(), of, signature, {}, rests)
    return Additive(statistics, of, "|".join(filter(None, [signature, f"macro:{len(kinds)}"])), {}, rests)
