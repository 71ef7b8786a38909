"""Decisions: every document under every rule, with all the reasons against it, and what each rule does.

    documents + signals + duplicates + rules -> decisions (doc_id, keep, reasons) -> counts by rule, source, language

Nothing is decided by the first rule that fires: all are asked, so that it can be said what a rule drops alone, what it
drops that no other does, and what would come back without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.cleaning.rules import Expression, Rule
from assay.store import Stage

DECIDED_BY_RULES = Stage("decisions", 2)
DECISIONS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
    ]
)
"""reasons: the names of all rules that fire, in their order."""
DECIDED = ("copies",)
"""Columns of documents that decisions say anew."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLUMNS = ["doc_id", "source", "language", "script", "n_bytes"]

_TWINS = ("is_exact_duplicate", "is_near_duplicate")


def asks_of_twins(asked: Sequence[Rule | Expression]) -> bool:
    """Whether a rule asks which documents are duplicates."""
    names = {name for rule in asked if isinstance(rule, Expression) for name in rule.kept().meta.root_names()}
    return not names.isdisjoint(_TWINS)


def decide(
    texts: Sequence[Path],
    signals: Sequence[Path],
    twins: Sequence[Path] | None,
    asked: Sequence[Rule | Expression],
    out: Path,
    lists: Sequence[Sequence[Path]] = (),
    scores: Sequence[pl.DataFrame] = (),
) -> dict[str, Any]:
    """Write `decisions.parquet` into the folder `out`; rows are those of the documents, in their order.

    Args:
        texts, signals, twins: the parts of documents, signals and duplicates; the last only where `asks_of_twins`.
        asked: the rules.
        lists: the parts of more signals, one column each.
        scores: more columns, in the documents' order.

    Returns:
        counts, see `summary`.
    """
    table = pl.concat(
        [
            pl.read_parquet(list(texts), columns=_COLUMNS, glob=False),
            pl.read_parquet(list(signals), glob=False).rename({"doc_id": "_signals_id"}),
            *(pl.read_parquet(list(parts), glob=False).drop("doc_id") for parts in lists),
            *scores,
        ],
        how="horizontal",
    )
    assert (table["doc_id"] == table["_signals_id"]).all(), "signals are of other documents"
    if twins is not None:
        marks = pl.read_parquet(list(twins), columns=["doc_id", *_TWINS], glob=False)
        table = table.join(marks, on="doc_id", how="left", maintain_order="left")
    kept = table.select(rule.kept() for rule in asked)
    fires = {rule.name: ~kept[rule.name].fill_null(True) for rule in asked}
    fired = pl.DataFrame(fires)
    keep = ~fired.select(pl.any_horizontal(pl.all())).to_series()
    names = np.array(list(fires), dtype=object)
    rows, columns = np.nonzero(fired.to_numpy())
    offsets = np.searchsorted(rows, np.arange(len(table) + 1)).astype(np.int32)
    reasons = pa.ListArray.from_arrays(pa.array(offsets), pa.array(names[columns], pa.string()))
    made = pa.table([table["doc_id"].to_arrow().cast(pa.string()), keep.to_arrow(), reasons], schema=DECISIONS)
    pq.write_table(made, out / "decisions.parquet", compression="zstd")
    return summary(table.select(_COLUMNS), kept, fired, keep, asked)


def write_scores(texts: Sequence[Path], scores: Sequence[pl.DataFrame], out: Path) -> dict[str, dict[str, Any]]:
    """Write `scores.parquet` into the folder `out`: doc_id and the scores, in the order of the documents.

    Returns:
        of each score that is no rank: its `quantiles` over documents, and how many have `none`.
    """
    ids = pl.read_parquet(list(texts), columns=["doc_id"], glob=False)
    table = pl.concat([ids, *scores], how="horizontal")
    table.write_parquet(out / "scores.parquet", compression="zstd")
    told = {}
    for name in table.columns[1:]:
        if not name.endswith("_rank"):
            known = table[name].drop_nulls()
            quantiles = {f"{share:.0%}": known.quantile(share, "linear") for share in QUANTILES}
            told[name] = {"quantiles": quantiles, "none": table[name].null_count()}
    return told


def summary(
    table: pl.DataFrame, kept: pl.DataFrame, fired: pl.DataFrame, keep: pl.Series, asked: Sequence[Rule | Expression]
) -> dict[str, Any]:
    """What was kept and dropped, in documents and bytes.

    `rules`: of each, its condition, how many documents it was asked of (`asked`), how many it drops (`alone`), how many
    that no other rule drops (`only`); `sources` and `languages`: documents, bytes, and what is kept, with the drops of
    each rule; `not_asked`: documents of which no rule was asked.
    """
    count = fired.select(pl.sum_horizontal(pl.all().cast(pl.Int32))).to_series()
    size = table["n_bytes"]
    told = {}
    for rule in asked:
        fires, only = fired[rule.name], fired[rule.name] & (count == 1)
        told[rule.name] = {
            "keeps": rule.bounds(),
            "asked": int(kept[rule.name].is_not_null().sum()),
            "alone": int(fires.sum()),
            "alone_bytes": int(size.filter(fires).sum()),
            "only": int(only.sum()),
            "only_bytes": int(size.filter(only).sum()),
        }
    silent = kept.select(pl.all_horizontal(pl.all().is_null())).to_series()
    return {
        "documents": len(table),
        "bytes": int(size.sum()),
        "kept": int(keep.sum()),
        "kept_bytes": int(size.filter(keep).sum()),
        "not_asked": int(silent.sum()),
        "rules": told,
        "sources": _by(table["source"], table, keep, fired),
        "languages": _by(table["language"].fill_null("und"), table, keep, fired),
    }


def _by(group: pl.Series, table: pl.DataFrame, keep: pl.Series, fired: pl.DataFrame) -> dict[str, dict[str, Any]]:
    frame = fired.with_columns(_group=group, _keep=keep, _bytes=table["n_bytes"])
    sums = frame.group_by("_group").agg(
        documents=pl.len(),
        bytes=pl.col("_bytes").sum(),
        kept=pl.col("_keep").sum(),
        kept_bytes=pl.col("_bytes").filter("_keep").sum(),
        dropped=pl.struct(pl.col(fired.columns).sum()),
    )
    return {row.pop("_group"): row for row in sums.sort("_group").to_dicts()}


def kept(texts: Sequence[Path], decisions: Path) -> Iterator[pa.RecordBatch]:
    """The documents that are kept, in their order, with the columns of DECIDED that the decisions have."""
    table = pq.read_table(decisions)
    more = [name for name in DECIDED if name in table.schema.names]
    table, done = table.select(["keep", *more]).combine_chunks(), 0
    for batch in documents.read(texts):
        own = table.slice(done, batch.num_rows)
        done += batch.num_rows
        wide = pa.Table.from_batches([batch])
        for name in more:
            wide = wide.set_column(wide.schema.get_field_index(name), own.schema.field(name), own.column(name))
        yield from wide.filter(own.column("keep")).combine_chunks().to_batches()
