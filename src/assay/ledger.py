"""The ledger: what every run writes and every law reads.

One folder a job below `ledger/`, put into place whole by the store (an artifact, verified on reading), with three
Parquet tables. Queries run over all folders at once with DuckDB:

    runs             one row a run: what was trained, on what, at what cost
    losses           loss by source and step, on training or held-out text
    document_losses  loss of each held-out document

Losses are sums of negative log-likelihood in nats over `n_tokens` tokens that spell `n_bytes` bytes of text, so bits
per byte are nll / ln 2 / n_bytes. Rows of different tokenizers or evaluation sets are compared in bits per byte on
the same text or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import dataset

from assay.store import Artifact, Stage, Store

SHARES = pa.map_(pa.string(), pa.float64())

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("study", pa.string()),
        ("cell", pa.string()),
        ("axis", pa.string()),  # size | quality | distribution | filter | leak | order | scale
        ("defect", pa.string()),
        ("dose", pa.float64()),
        ("mixture", SHARES),
        ("epochs", SHARES),
        ("seed", pa.int64()),
        ("pair", pa.string()),  # runs of equal `pair` share initialisation and order
        ("trunk", pa.string()),  # runs of equal `trunk` are branches of one run: one cluster
        ("tokenizer", pa.string()),
        ("evaluation_set", pa.string()),
        ("N", pa.int64()),  # non-embedding parameters
        ("N_total", pa.int64()),
        ("D", pa.int64()),  # training tokens
        ("U", pa.int64()),  # unique training tokens
        ("C", pa.float64()),  # training FLOPs, the trunk's share included
        (
            "computed_tokens",
            pa.int64(),
        ),  # tokens trained on for this row alone (a branch starts at its trunk)
        ("config", pa.string()),  # fingerprint
        ("status", pa.string()),  # done | failed
        ("wall_seconds", pa.float64()),
        ("device", pa.string()),
        ("energy_joules", pa.float64()),
    ]
)
LOSSES = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("n_tokens", pa.int64()),
        ("n_bytes", pa.int64()),
        ("nll", pa.float64()),
    ]
)
DOCUMENT_LOSSES = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("split", pa.string()),
        ("doc_id", pa.string()),
        ("n_tokens", pa.int64()),
        ("nll", pa.float64()),
    ]
)
TABLES = {"runs": RUNS, "losses": LOSSES, "document_losses": DOCUMENT_LOSSES}
# Columns of `runs` that two equal runs may differ in.
TIMES = ("wall_seconds", "device", "energy_joules")

JOB = Stage("ledger", 5)


def write_tables(folder: Path, rows: Mapping[str, Iterable[Mapping[str, Any]] | pa.Table]) -> None:
    """Write the three tables of one job; each value is rows or a table of that table's schema."""
    for name, schema in TABLES.items():
        content = rows[name]
        table = content if isinstance(content, pa.Table) else pa.Table.from_pylist(list(content), schema=schema)
        pq.write_table(table.cast(schema), folder / f"{name}.parquet", compression="zstd")


class Ledger:
    """The finished jobs among `jobs` (name -> (inputs, config) as given to the store)."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, inputs: Mapping[str, str], config: Any) -> Artifact | None:
        """The finished job with these inputs and config, verified; None where it has to be run."""
        return self.store.find(JOB, inputs, config)

    def query(self, parts: Iterable[Artifact], sql: str) -> pl.DataFrame:
        """Run SQL over tables `runs`, `losses`, `document_losses` of the given jobs."""
        folders = [part.path for part in parts]
        connection = duckdb.connect()
        try:
            for name, schema in TABLES.items():
                files = [str(folder / f"{name}.parquet") for folder in folders]
                # Handed over as a dataset: a path is never read as SQL or as a pattern.
                found = dataset.dataset(files, schema=schema, format="parquet") if files else schema.empty_table()
                connection.register(name, found)
            return pl.from_arrow(connection.sql(sql).to_arrow_table())  # type: ignore[return-value]
        finally:
            connection.close()
