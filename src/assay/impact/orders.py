"""Curricula: the text that the natural runs read, in the order of something that is measured of every document.

an SQL expression over signals -> its value for every document of the training stream -> rows in rising order
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assay.corpus.cleaning import rules
from assay.corpus.scan import Corpus
from assay.errors import InputError
from assay.store import Artifact, Stage, Store

ORDER = Stage("order", 1)
_COLUMNS = ["doc_id", "source", "language", "script", "n_bytes"]


def values(text: str, corpus: Corpus, stream: Artifact, store: Store) -> Artifact:
    """`values.npz`: source -> (documents,) float64, in the order of the training stream; what has none comes last.

    Args:
        text: an SQL expression over signals, such as `n_words` or `-n_words`.

    Raises:
        InputError: it cannot be read, asks about what there is not, or gives no numbers.
    """
    wanted = _parsed(text)
    asks = [name for name in wanted.meta.root_names() if name not in _COLUMNS]

    def make(folder: Path) -> dict[str, Any]:
        table = pl.read_parquet(corpus.documents.files(".parquet"), columns=_COLUMNS, glob=False)
        signals = pl.read_parquet(corpus.signals.files(".parquet"), columns=["doc_id", *asks], glob=False)
        try:
            table = table.join(signals, on="doc_id").select("doc_id", value=wanted.cast(pl.Float64))
        except pl.exceptions.PolarsError as error:
            raise InputError("gives no numbers", where=_where(text), remedy="name a signal that is a number") from error
        spans = pl.read_parquet(stream.file("spans.parquet"), columns=["doc_id", "source", "start"], glob=False)
        found = spans.join(table, on="doc_id", how="left", maintain_order="left").sort("source", "start")
        own = {str(name): rows["value"].to_numpy() for (name,), rows in found.group_by("source", maintain_order=True)}
        np.savez(folder / "values.npz", **{name: np.nan_to_num(each, nan=np.inf) for name, each in own.items()})
        return {"documents": found.height}

    inputs = {"signals": corpus.signals.fingerprint, "stream": stream.fingerprint}
    return store.build(ORDER, inputs, {"by": text}, make)


def _parsed(text: str) -> pl.Expr:
    try:
        found = rules.parsed(text, ())
    except InputError as error:
        raise InputError(error.what, where=_where(text), remedy=error.remedy) from error
    if twins := {"is_exact_duplicate", "is_near_duplicate"} & set(found.meta.root_names()):
        raise InputError(f"{min(twins)} orders nothing", where=_where(text), remedy="name a signal that is a number")
    return found


def _where(text: str) -> str:
    return f"design.orders {text}"
