"""Counts by source: made of the arrays of a batch, added up over batches and parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa


def by_source(sources: pa.Array, **values: Any) -> dict[str, Any]:
    """{source: {name: sum}} of arrays with a number for each document. A mapping of names to arrays, or tuples of them,
    gives a mapping of sums, or lists of them."""
    coded = sources.dictionary_encode()
    codes, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()

    def total(value: Any) -> Any:
        """The sums of each source."""
        if isinstance(value, Mapping):
            made = {name: total(part) for name, part in value.items()}
            return [{name: made[name][i] for name in made} for i in range(len(names))]
        if isinstance(value, tuple):
            columns = [total(part) for part in value]
            return [[column[i] for column in columns] for i in range(len(names))]
        return np.bincount(codes, np.asarray(value, dtype=np.float64), len(names)).astype(np.int64).tolist()

    found = {name: total(value) for name, value in values.items()}
    return {source: {name: found[name][i] for name in found} for i, source in enumerate(names)}


def summed(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of one shape, added up; what one of them lacks is none."""
    made: dict[str, Any] = {}
    for count in counts:
        for name, value in count.items():
            made[name] = value if name not in made else _sum(made[name], value)
    return made


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return summed([one, other])
    if isinstance(one, list):
        return [_sum(a, b) for a, b in zip(one, other, strict=True)]
    return one + other


def overall(sources: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of all sources together."""
    return summed(sources.values())
