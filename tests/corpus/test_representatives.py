"""One document for a cluster: which one, in whatever order files come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import english

from assay.corpus import documents
from assay.corpus.cleaning.representatives import Keep, Level, represent
from assay.corpus.duplicates.dedup import DUPLICATES
from assay.corpus.signals import language, scoring

# (source, text, cluster): what the scan found.
ROWS = [
    ("b", english(1) + " end", "near-1"), ("a", english(1), "near-1"), ("a", english(2), "alone"),
    ("b", english(1), "near-1"), ("c", "! " * 9 + english(1), "near-1"),
]  # fmt: skip


def decided(
    tmp_path: Path, order: list[int], level: Level, keep: Keep, by: str | None = None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    rows = [ROWS[i] for i in order]
    texts = [text for _, text, _ in rows]
    batch = documents.batch(texts, [s for s, _, _ in rows], ["f.jsonl"] * len(rows), order, [None] * len(rows))
    batch = language.annotate(batch)
    ids = batch.column("doc_id").to_pylist()
    names = {cluster: min(i for i, row in zip(ids, rows, strict=True) if row[2] == cluster) for _, _, cluster in rows}
    exact = [min(i for i, text in zip(ids, texts, strict=True) if text == own) for own in texts]
    near = [names[cluster] for _, _, cluster in rows]
    twins = [
        ids,
        exact,
        near,
        [e != i for e, i in zip(exact, ids, strict=True)],
        [n != i for n, i in zip(near, ids, strict=True)],
    ]
    paths = [tmp_path / f"{name}.parquet" for name in ("documents", "signals", "duplicates")]
    pq.write_table(pa.Table.from_batches([batch]), paths[0])
    pq.write_table(pa.Table.from_batches([scoring.signals(batch)]), paths[1])
    pq.write_table(pa.table(dict(zip(DUPLICATES.names, twins, strict=True))).sort_by("doc_id"), paths[2])
    told = represent(*([path] for path in paths), level, keep, by, tmp_path)
    made = pl.read_parquet(tmp_path / "decisions.parquet")
    assert made["doc_id"].to_list() == ids
    return made.with_columns(row=pl.Series(order)), told


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 3, 0, 1]])
@pytest.mark.parametrize(
    ("level", "keep", "by", "rows"),
    [
        ("near", "first", None, {1, 2}),
        ("near", "longest", None, {4, 2}),
        ("near", "best", "alpha_words", {0, 2}),
        ("near", "best", "0 - alpha_words", {4, 2}),
        ("exact", "first", None, {0, 1, 2, 4}),
    ],
)
def test_which_stands_for_its_cluster(
    tmp_path: Path, order: list[int], level: Level, keep: Keep, by: str | None, rows: set[int]
) -> None:
    made, told = decided(tmp_path, order, level, keep, by)
    assert set(made.filter("keep")["row"]) == rows
    copies = dict(zip(made["row"], made["copies"], strict=True))
    assert copies == ({0: 4, 1: 4, 2: 1, 3: 4, 4: 4} if level == "near" else {0: 1, 1: 2, 2: 1, 3: 2, 4: 1})
    assert (told["documents"], told["kept"], told["clusters"]) == (5, len(rows), 1)
    assert told["kept_bytes"] == sum(len(ROWS[i][1]) for i in rows)


def test_where_copies_come_from_is_told(tmp_path: Path) -> None:
    _, told = decided(tmp_path, [0, 1, 2, 3, 4], "near", "first")
    assert {name: part["copies_of"] for name, part in told["sources"].items()} == {
        "a": {},
        "b": {"a": 2},
        "c": {"a": 1},
    }
    assert [part["copies"] for part in told["largest"]] == [4]
    assert told["largest"][0]["source"] == "a"
