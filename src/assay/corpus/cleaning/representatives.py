"""One document for each cluster of duplicates: which, and how many it stands for.

    documents + duplicates (+ signals) -> decisions (doc_id, keep, cluster, copies) -> counts by source

The clusters are those of the scan, and do not depend on the order of files; nor does the choice: documents stand in the
order of source, origin and ordinal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus.cleaning.rules import parsed

Level = Literal["exact", "near"]
Keep = Literal["first", "longest", "best"]
CLUSTERED = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("copies", pa.int64(), nullable=False),
    ]
)
"""cluster: the smallest document id in it. copies: how many documents are in the cluster, itself among them, or what
they say that they stand for, together."""
_LARGEST = 10


def represent(
    texts: Sequence[Path],
    signals: Sequence[Path] | None,
    twins: Sequence[Path],
    level: Level,
    keep: Keep,
    by: str | None,
    out: Path,
    scores: Sequence[pl.DataFrame] = (),
) -> dict[str, Any]:
    """Write `decisions.parquet` into the folder `out`; rows are those of the documents, in their order.

    Args:
        texts, signals, twins: the parts of documents, signals (None where the first is kept) and duplicates.
        level: exact: equal text; near: shingle sets alike to 0.7.
        keep: the first, the one with the most characters, or the one for which `by` is largest.
        by: an SQL expression over signals and scores (`rules.parsed`), for "best".
        scores: more columns, in the documents' order.

    Returns:
        counts: documents, kept, clusters of several, the largest; by source how many are kept and how many are copies
        of documents of which source.
    """
    cluster = "cluster" if level == "near" else "exact_cluster"
    marks = pl.read_parquet(list(twins), columns=["doc_id", cluster], glob=False).rename({cluster: "cluster"})
    order = preferred(texts, signals, keep, by, scores).join(marks, on="doc_id", how="left", maintain_order="left")
    order = order.sort("cluster", maintain_order=True).with_columns(
        keep=pl.int_range(pl.len()).over("cluster") == 0,
        size=pl.len().over("cluster"),
        copies=pl.col("copies").fill_null(1).sum().over("cluster"),
        of=pl.col("source").first().over("cluster"),
    )
    made = order.sort("row")
    pq.write_table(
        made.select(CLUSTERED.names).to_arrow().cast(CLUSTERED), out / "decisions.parquet", compression="zstd"
    )
    return _summary(made)


def preferred(
    texts: Sequence[Path],
    signals: Sequence[Path] | None,
    keep: Keep,
    by: str | None,
    scores: Sequence[pl.DataFrame] = (),
) -> pl.DataFrame:
    """All documents, the most preferred first, each with its number as `row`; see `represent`."""
    columns = ["doc_id", "source", "origin", "ordinal", "n_bytes", "language", "script", "copies"]
    table = pl.read_parquet(list(texts), columns=columns, glob=False).with_row_index("row")
    table = pl.concat([table, *scores], how="horizontal")
    value = pl.lit(0)
    if signals is not None and keep != "first":
        needed = ["n_chars"] if keep == "longest" or by is None else _signals_in(by, table.columns)
        marks = pl.read_parquet(list(signals), columns=["doc_id", *needed], glob=False)
        table = table.join(marks, on="doc_id", how="left", maintain_order="left")
        value = pl.col("n_chars") if keep == "longest" or by is None else parsed(by).cast(pl.Float64)
    by_place = ["value", "source", "origin", "ordinal"]
    return table.with_columns(value=value).sort(by_place, descending=[True, False, False, False], nulls_last=True)


def _signals_in(by: str, known: Sequence[str]) -> list[str]:
    return [name for name in parsed(by).meta.root_names() if name not in known]


def _summary(made: pl.DataFrame) -> dict[str, Any]:
    several = made.filter(pl.col("keep") & (pl.col("size") > 1))
    largest = several.sort("copies", "cluster", descending=[True, False]).head(_LARGEST)
    sources = made.group_by("source").agg(
        documents=pl.len(),
        bytes=pl.col("n_bytes").sum(),
        kept=pl.col("keep").sum(),
        kept_bytes=pl.col("n_bytes").filter("keep").sum(),
    )
    dropped = (
        made.filter(~pl.col("keep"))
        .group_by("source", "of")
        .len()
        .sort("source", "len", "of", descending=[False, True, False])
    )
    copies: dict[str, dict[str, int]] = {}
    for source, of, count in dropped.iter_rows():
        copies.setdefault(source, {})[of] = count
    return {
        "documents": len(made),
        "bytes": int(made["n_bytes"].sum()),
        "kept": int(made["keep"].sum()),
        "kept_bytes": int(made.filter("keep")["n_bytes"].sum()),
        "clusters": len(several),
        "largest": largest.select("cluster", "doc_id", "source", "copies").to_dicts(),
        "sources": {
            source: {
                "documents": n,
                "bytes": size,
                "kept": kept,
                "kept_bytes": left,
                "copies_of": copies.get(source, {}),
            }
            for source, n, size, kept, left in sources.sort("source").iter_rows()
        },
    }
