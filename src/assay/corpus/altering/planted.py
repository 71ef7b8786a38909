"""Contamination: evaluation items written into documents of a corpus, so many copies of each.

    items, dose -> some of them, each several times -> random documents, one for each copy -> `hosts`
    documents batch, hosts -> the items at the beginning of random lines

Which documents these are depends on ids and the seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.altering.distortions import Told
from assay.corpus.altering.edits import Edits, draws, line_spans, seeds, share, spliced, told_by
from assay.corpus.text import characters as ch

HOSTS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)
"""An item and the document that it comes into: the first 64 bits of its id."""


def hosts(parts: Sequence[Path], items: pa.Table, dose: float, copies: int, seed: int) -> pa.Table:
    """Rows of HOSTS, by key: each item with probability `dose`, in `copies` different documents (several items in one
    where the corpus has fewer documents than copies)."""
    chosen = [
        (item, text)
        for item, text in zip(items.column("item_id").to_pylist(), items.column("text").to_pylist(), strict=True)
        if share(_number(f"{item}\0{text}", seed))[0] < dose
    ]
    wanted = len(chosen) * copies
    first = np.empty((2, 0), dtype=np.uint64)  # random numbers and keys of the documents that come first
    for batch in documents.read(parts, ["doc_id"]):
        ids = batch.column("doc_id")
        first = np.concatenate([first, np.stack([seeds(ids, seed + 1), documents.keys(ids)])], axis=1)
        first = first[:, np.lexsort((first[1], first[0]))[:wanted]]
    keys = first[1][np.arange(wanted) % max(1, first.shape[1])] if wanted else first[1][:0]
    table = pa.table(
        [
            pa.array(keys, pa.uint64()),
            pa.array([item for item, _ in chosen for _ in range(copies)], pa.string()),
            pa.array([text for _, text in chosen for _ in range(copies)], pa.string()),
        ],
        schema=HOSTS,
    )
    return table.sort_by([("key", "ascending"), ("item_id", "ascending")])


def _number(text: str, seed: int) -> ch.U64:
    return seeds(pa.array([documents.content_hash(text.encode())]), seed)


@dataclass(frozen=True, eq=False)
class Hosts:
    """HOSTS as arrays: keys in order, ids and texts of items."""

    keys: ch.U64
    item_ids: list[str]
    snippets: tuple[ch.U32, ch.I64]


@lru_cache(maxsize=1)
def opened(path: Path) -> Hosts:
    """Hosts in a file."""
    return hosts_of(pq.read_table(path, schema=HOSTS))


def hosts_of(table: pa.Table) -> Hosts:
    """A table of HOSTS, as arrays."""
    texts = pa.array([f"{text}\n" for text in table.column("text").to_pylist()], pa.large_string())
    return Hosts(table.column("key").to_numpy(), table.column("item_id").to_pylist(), ch.points_of(texts))


def contaminated(batch: pa.RecordBatch, found: Hosts, seed: int) -> Told:
    """Documents with the items that they are hosts of, each on lines of its own, before a random line."""

    def kernel(
        part: pa.RecordBatch, points: ch.U32, offsets: ch.I64, numbers: ch.U64
    ) -> tuple[ch.U32, ch.I64, list[str]]:
        keys = documents.keys(part.column("doc_id"))
        low, high = (np.searchsorted(found.keys, keys, side=side) for side in ("left", "right"))
        document = np.repeat(np.arange(len(keys)), high - low)
        which = ch.ranges(low, high - low)
        begins, _, owner = line_spans(points, offsets)
        first = np.searchsorted(owner, np.arange(len(offsets)))
        lines = np.diff(first)[document]
        drawn = draws(numbers, np.append(0, np.cumsum(high - low)), 41) % np.maximum(lines, 1).astype(np.uint64)
        line = np.minimum(first[document] + drawn.astype(np.int64), max(0, len(begins) - 1))
        places = np.where(lines > 0, begins[line] if len(begins) else 0, offsets[document])
        order = np.lexsort((which, places, document))
        zeros = np.zeros(len(order), dtype=np.int64)
        edits = Edits(document[order], places[order], zeros, which[order])
        told = [", ".join(found.item_ids[i] for i in range(a, b)) for a, b in zip(low, high, strict=True)]
        return *spliced(points, offsets, edits, found.snippets), told

    return told_by(batch, kernel, seed, f"contaminated {seed}")
