"""A small scanned corpus for tests: documents and their real signals, with clusters as one wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.duplicates.dedup import DUPLICATES
from assay.corpus.portrait.table import Scanned
from assay.corpus.signals import language, scoring


def scanned(
    folder: Path, texts: Sequence[str], sources: Sequence[str], clusters: Sequence[int], parts: int = 2
) -> Scanned:
    """Equal numbers in `clusters` are near-duplicates; documents are written as so many parts."""
    n = len(texts)
    batch = documents.batch(list(texts), list(sources), ["a.jsonl"] * n, list(range(n)), [None] * n)
    batch = language.annotate(batch)
    ids = batch.column("doc_id").to_pylist()
    first = {c: min(i for i, d in zip(ids, clusters, strict=True) if d == c) for c in set(clusters)}
    names = [first[c] for c in clusters]
    exact = [min(i for i, t in zip(ids, texts, strict=True) if t == text) for text in texts]
    columns = [
        ids,
        exact,
        names,
        [a != b for a, b in zip(ids, exact, strict=True)],
        [a != b for a, b in zip(ids, names, strict=True)],
    ]
    folder.mkdir(parents=True, exist_ok=True)
    made: tuple[list[Path], list[Path]] = ([], [])
    size = -(-n // parts)
    for at in range(0, n, size):
        own = batch.slice(at, size)
        for kind, table, schema in ((0, own, documents.DOCUMENTS), (1, scoring.signals(own), scoring.SIGNALS)):
            path = folder / f"{kind}-{at:05d}.parquet"
            with documents.opened(path, schema) as writer:
                writer.write_batch(table)
            made[kind].append(path)
    twins = folder / "duplicates.parquet"
    arrays = [pa.array(values, field.type) for values, field in zip(columns, DUPLICATES, strict=True)]
    pq.write_table(pa.table(arrays, schema=DUPLICATES), twins)
    return Scanned(made[0], made[1], [twins], folder)
