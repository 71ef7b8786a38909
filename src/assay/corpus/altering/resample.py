"""Resampling: another mixture of the same documents, some of them several times, some not at all.

    amounts of text by label (source, language) + weights, temperature -> how often each label's text is wanted
    documents -> whole copies, and one more of a random share -> the resampled corpus

Temperature T draws labels towards one another: p_i is proportional to n_i^(1/T), n_i the bytes of label i (Conneau et
al. 2020, Xue et al. 2021 with alpha = 1/T); the total stays what it is. A weight w gives w times as much of a source.
The weight of a document is what `dedup` left beside it: how many copies it stands for.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering.counting import by_source, summed
from assay.corpus.altering.edits import in_rows, seeds, share, together
from assay.errors import InputError

COPIES = "copies"
Label = Literal["source", "language"]
_SALT = 0xC0B1
MOST = 1000.0
"""Times that a text is repeated at most: beyond that a weight is a slip."""


def amounts(parts: Sequence[Path], label: Label) -> dict[str, int]:
    """Bytes of text of each label; documents without one count as `und`."""
    columns = ["n_bytes", label]
    return summed(
        {name: found["bytes"] for name, found in by_source(labels(batch, label), bytes=batch.column("n_bytes")).items()}
        for batch in documents.read(parts, columns)
    )


def labels(batch: pa.RecordBatch, label: Label) -> pa.Array:
    """The label of each document."""
    return batch.column(label).fill_null("und")


def tempered(amounts: Mapping[str, float], temperature: float) -> dict[str, float]:
    """How often each label's text is wanted, so that shares are as the temperature says and the total is as before."""
    if not temperature > 0 or not math.isfinite(temperature):
        remedy = "give a number above 0: 1 leaves shares as they are, larger ones even them out"
        raise InputError(f"--temperature is {temperature}", where="assay corpus augment", remedy=remedy)
    total = sum(amounts.values())
    logs = {name: math.log(n) / temperature for name, n in amounts.items() if n > 0}
    largest = max(logs.values(), default=0.0)
    powers = {name: math.exp(value - largest) for name, value in logs.items()}
    whole = sum(powers.values())
    return {name: powers[name] / whole * total / n if n else 1.0 for name, n in amounts.items()}


def weighted(text: str, names: Sequence[str]) -> dict[str, float]:
    """`a=2,b=0.5` as numbers; sources that are not named have 1. `copies` is of documents (`by_copies`).

    Raises:
        InputError: there is no such source, or the number is none.
    """
    made = dict.fromkeys(names, 1.0)
    for pair in filter(None, (part.strip() for part in text.split(","))):
        if pair == COPIES:
            continue
        name, _, number = pair.rpartition("=")
        where = f"--weights {pair}"
        if name not in made:
            near = difflib.get_close_matches(name, names, 1)
            remedy = f"did you mean {near[0]}?" if near else f"sources are {', '.join(sorted(names)[:10])}"
            raise InputError(f"there is no source {name!r}" if name else "is no weight", where=where, remedy=remedy)
        try:
            made[name] = float(number)
        except ValueError:
            made[name] = math.nan
        if not 0 <= made[name] <= MOST:
            raise InputError(f"{number!r} is no weight", where=where, remedy=f"give a number from 0 to {MOST:.0f}")
    return made


def by_copies(text: str) -> bool:
    """Whether weights ask for each document as often as the copies that it stands for."""
    return COPIES in (part.strip() for part in text.split(","))


def most_copies(parts: Sequence[Path]) -> dict[str, int]:
    """The most copies that a document stands for, of each source; nothing where none says."""
    table = pl.read_parquet(list(parts), columns=["source", COPIES], glob=False).drop_nulls(COPIES)
    return dict(table.group_by("source").agg(pl.col(COPIES).max()).sort("source").iter_rows())


def resampled(
    batch: pa.RecordBatch,
    times: Mapping[str, float],
    label: Label,
    weights: Mapping[str, float],
    seed: int,
    *,
    counted: bool = False,
) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """Each document as often as its label, its source and, if `counted`, the copies that it stands for want it: the
    whole copies, and one more with the chance that is left. What was counted stands for itself alone then. The first is
    the document itself, others are altered copies of the same text. Counts by source: `repeated` (copies beyond the
    first), `left_out`."""
    by_label = _numbers(labels(batch, label), times)
    wanted = by_label * _numbers(batch.column("source"), weights)
    if counted:
        wanted = wanted * np.minimum(batch.column(COPIES).fill_null(1).to_numpy(), MOST)
        batch = documents.uncounted(batch)
    chance = share(seeds(batch.column("doc_id"), seed ^ _SALT))
    count = np.floor(wanted).astype(np.int64)
    count += chance < wanted - count
    copies, at = [], []
    for copy in range(1, int(count.max(initial=0))):
        rows = np.flatnonzero(count > copy)
        parents = batch.take(pa.array(rows))
        made = documents.altered(parents, parents.column("text"), f"resample {seed} {copy}")
        copies.append(documents.uncounted(made))
        at.append(rows)
    first = np.flatnonzero(count > 0)
    stays = batch.take(pa.array(first))
    repeated, left_out = np.maximum(count - 1, 0), count == 0
    counts = by_source(batch.column("source"), repeated=repeated, left_out=left_out)
    if not copies:
        return stays, counts
    return in_rows(stays, first, together(copies), np.concatenate(at), documents.DOCUMENTS), counts


def _numbers(names: pa.Array, values: Mapping[str, float]) -> Any:
    coded = names.dictionary_encode()
    return np.array([values.get(name, 1.0) for name in coded.dictionary.to_pylist()])[coded.indices.to_numpy()]
