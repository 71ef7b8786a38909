"""A corpus's tables of any size, drawn at random, as the corpus room leaves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from assay.corpus.documents import DOCUMENTS
from assay.corpus.duplicates.dedup import DUPLICATES
from assay.explore.index import Tables

WORDS = [
    "river", "stone", "Winter", "letter", "engine", "河流", "石头", "冬天", "信", "机器", "模型", "数据", "of", "the",
    "and", "with", "under", "early", "seven", "blue",
]  # fmt: skip


def tables(folder: Path, n: int, parts: int, words: int = 30, seed: int = 0) -> tuple[Tables, pl.DataFrame]:
    """The tables, and all of it as one frame to compare with."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    ids = [f"{i:032x}" for i in rng.permutation(n).tolist()]
    vocabulary = np.array(WORDS)
    texts = [" ".join(row) for row in vocabulary[rng.integers(0, len(WORDS), (n, words))]]
    sources = [f"source-{i}" for i in rng.integers(0, 5, n).tolist()]
    languages = [("en", "zh", None)[i] for i in rng.integers(0, 3, n).tolist()]
    letters = rng.random(n).astype(np.float32).round(3)  # so that some are equal
    lacking = rng.random(n) < 0.1
    n_words = rng.integers(1, 2000, n).astype(np.int32)
    clusters = [ids[i - i % 7] if i % 7 == 3 else ids[i] for i in range(n)]
    keep = rng.random(n) < 0.7
    frame = pl.DataFrame(
        {
            "row": range(n), "doc_id": ids, "source": sources, "language": languages, "text": texts,
            "n_bytes": [len(text.encode()) for text in texts], "letters": letters, "n_words": n_words,
            "cluster": clusters, "keep": keep,
        }
    ).with_columns(
        letters=pl.when(pl.Series(lacking)).then(None).otherwise(pl.col("letters")),
        near=pl.col("cluster") != pl.col("doc_id"),
        reasons=pl.when("keep").then(pl.lit([], dtype=pl.List(pl.String))).otherwise(pl.lit(["too.short"])),
    )  # fmt: skip
    size = -(-n // parts)
    for part in range(parts):
        own = frame.slice(part * size, size)
        empty = dict.fromkeys(("parent_id", "script", "split", "copies"))
        rows = own.select("doc_id", "source", "text", "language", "n_bytes").with_columns(
            content_hash=pl.col("doc_id"), origin=pl.lit("a.jsonl"), ordinal=pl.col("n_bytes"), **empty
        )
        table = rows.select(DOCUMENTS.names).to_arrow().cast(DOCUMENTS)
        pq.write_table(table, folder / f"documents-{part:05d}.parquet", compression="zstd", row_group_size=5000)
        signals = own.select("doc_id", pl.col("letters").cast(pl.Float32), "n_words")
        pq.write_table(signals.to_arrow(), folder / f"signals-{part:05d}.parquet", compression="zstd")
    twins = frame.sort("doc_id").select(
        "doc_id", exact_cluster="doc_id", cluster="cluster", is_exact_duplicate=pl.lit(False), is_near_duplicate="near"
    )
    pq.write_table(twins.to_arrow().cast(DUPLICATES), folder / "duplicates.parquet")
    decisions = frame.select("doc_id", "keep", "reasons").to_arrow()
    pq.write_table(decisions, folder / "decisions.parquet")
    files = {name: sorted(folder.glob(f"{name}-*.parquet")) for name in ("documents", "signals")}
    twin, decided = [folder / "duplicates.parquet"], [folder / "decisions.parquet"]
    return Tables(files["documents"], files["signals"], twin, [], decided, decided="rules"), frame
