"""Altering a corpus part by part: documents -> what a function makes of each batch -> a part of the same name.

    part of documents -> alter(batch) -> (documents, counts) -> part `kept-...`, counts added up

`alter` is a pure function of a batch, so that threads, processes and machines give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering.counting import by_source, summed
from assay.corpus.parts import in_order
from assay.corpus.text import characters as ch
from assay.store import whole_file

Alter = Callable[[pa.RecordBatch], tuple[pa.RecordBatch, dict[str, Any]]]


def altered_part(
    part: Path, target: Path, threads: int, *, alter: Alter, schema: pa.Schema = documents.DOCUMENTS
) -> dict[str, Any]:
    """Write what `alter` makes of one part of the documents: rows of `schema`, perhaps none.

    Returns:
        `sources`: the counts of `alter`, added up; with `kept` and `kept_bytes` of each source.
    """
    counts: list[dict[str, Any]] = []
    with whole_file(target) as path, documents.opened(path, schema) as writer:
        for made, count in in_order(alter, documents.read([part]), threads):
            if len(made):
                writer.write_batch(made)
            counts.append(_with_kept(count, kept(made)))
    return {"sources": summed(counts)}


def kept(batch: pa.RecordBatch) -> dict[str, Any]:
    """How many documents of each source there are, and their bytes."""
    return by_source(batch.column("source"), kept=np.ones(len(batch)), kept_bytes=batch.column("n_bytes").to_numpy())


def _with_kept(counts: dict[str, Any], left: dict[str, Any]) -> dict[str, Any]:
    """Counts of a batch, and of what is left of it: nothing, where all of a source is gone."""
    nothing = {"kept": 0, "kept_bytes": 0}
    return {source: {**count, **left.get(source, nothing)} for source, count in counts.items()}


@lru_cache(maxsize=2)
def numbers(path: Path) -> ch.U64:
    """An array that another stage left: read once a process."""
    found: ch.U64 = np.load(path, allow_pickle=False)
    return found
