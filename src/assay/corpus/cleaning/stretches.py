"""Documents without the stretches that stand earlier in the corpus.

    rows (begin, end, first: bytes of the text in order)
        -> evidence: doc_id, begin, end, first_doc_id, first_begin
        -> decisions: what is left of each document; where that is too little, it is dropped
    documents + rows + decisions -> documents as they were, and altered copies of those that lost something

What is left is the text without the stretches, character by character.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.duplicates.ordered import Ordered, point_at, size_of
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled

WORDS, CHARACTERS = 50, 90
"""Of the shortest document that is left: datatrove's 50 words, and as many Chinese ones (jieba's have 1.7 to 1.8
characters)."""

EVIDENCE = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("begin", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("first_doc_id", pa.string(), nullable=False),
        pa.field("first_begin", pa.int64(), nullable=False),
    ]
)
"""A stretch that is removed, in characters of its document, and where the same stands first. Stretches of a document
do not overlap; where one ends and the next begins, the text goes on as in another earlier place. Of text that repeats
itself, such as a row of dashes, the earlier place may reach into the stretch."""
DECISIONS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("removed", pa.int64(), nullable=False),
    ]
)
"""removed: characters."""
_ROWS = 1 << 16  # rows a batch
_SHOWN = 240  # bytes of a text that is told


def evidence(corpus: Ordered, rows: ch.I64) -> Iterator[pa.RecordBatch]:
    """The EVIDENCE of rows, in the order of the corpus."""
    for at in range(0, len(rows), _ROWS):
        begin, end, first = np.asarray(rows[at : at + _ROWS]).T
        own, earlier = corpus.document_of(begin), corpus.document_of(first)
        before, before_first = corpus.characters(corpus.offsets[own]), corpus.characters(corpus.offsets[earlier])
        columns = [
            corpus.hex_ids(own),
            pa.array(corpus.characters(begin) - before),
            pa.array(corpus.characters(end) - before),
            corpus.hex_ids(earlier),
            pa.array(corpus.characters(first) - before_first),
        ]
        yield pa.record_batch(columns, schema=EVIDENCE)


def judge(corpus: Ordered, rows: ch.I64, words: int, characters: int, out: Path) -> dict[str, Any]:
    """Write `decisions.parquet` (in the order of the corpus) and `keep.npy`.

    Args:
        words, characters: a document that lost something is dropped if what is left has fewer words; or fewer
            characters, where they are not spaced; of text with both, if the two shares together are less than one.

    Returns:
        counts of documents, bytes and stretches, of all and by source.
    """
    edges = _edges_of(corpus, rows)
    left = np.zeros((len(corpus), 4), dtype=np.int64)
    _measure(corpus.text, corpus.offsets, rows, edges, ch.folded(), ch.unspaced(), left)
    affected = np.diff(edges) > 0
    short = left[:, 0] / words + left[:, 1] / characters < 1
    keep = ~(affected & short)
    np.save(out / "keep.npy", keep)
    with documents.opened(out / "decisions.parquet", DECISIONS) as writer:
        for at in range(0, len(corpus), _ROWS):
            which = np.arange(at, min(at + _ROWS, len(corpus)))
            columns = [corpus.hex_ids(which), pa.array(keep[which]), pa.array(left[which, 3])]
            writer.write_batch(pa.record_batch(columns, schema=DECISIONS))
    return _summary(corpus, rows, affected, keep, left[:, 2])


def _edges_of(corpus: Ordered, rows: ch.I64) -> ch.I64:
    """The rows of every document (n + 1)."""
    edges = np.empty(len(corpus.offsets), dtype=np.int64)
    _edges(rows, corpus.offsets, edges)
    return edges


def _summary(
    corpus: Ordered, rows: ch.I64, affected: npt.NDArray[np.bool_], keep: npt.NDArray[np.bool_], removed: ch.I64
) -> dict[str, Any]:
    n = len(corpus.names)
    source, sizes = np.asarray(corpus.source, dtype=np.int64), np.diff(corpus.offsets)

    def of(values: npt.NDArray[Any]) -> list[int]:
        return [int(value) for value in np.bincount(source, values.astype(np.float64), n)]

    everything = np.ones(len(corpus))
    columns = {
        "documents": of(everything), "bytes": of(sizes), "affected": of(affected), "removed_bytes": of(removed),
        "dropped": of(~keep), "kept": of(keep), "kept_bytes": of((sizes - removed) * keep),
    }  # fmt: skip
    copies = _between(corpus, rows)
    sources = {}
    for code, name in sorted(enumerate(corpus.names), key=lambda item: item[1]):
        of_whom = sorted(copies.get(code, {}).items(), key=lambda item: (-item[1], corpus.names[item[0]]))
        held = {corpus.names[other]: size for other, size in of_whom}
        sources[name] = {**{column: values[code] for column, values in columns.items()}, "copies_of": held}
    total = {column: sum(values) for column, values in columns.items()}
    return {**total, "stretches": len(rows), "sources": sources}


def _between(corpus: Ordered, rows: ch.I64) -> dict[int, dict[int, int]]:
    """Of each source the bytes that stand first in which."""
    n = len(corpus.names)
    made: dict[int, dict[int, int]] = {}
    for at in range(0, len(rows), _ROWS):
        begin, end, first = np.asarray(rows[at : at + _ROWS]).T
        own, earlier = (corpus.source[corpus.document_of(places)].astype(np.int64) for places in (begin, first))
        cells, which = np.unique(own * n + earlier, return_inverse=True)
        sizes = np.bincount(which, end - begin, len(cells))
        for cell, size in zip(cells.tolist(), sizes.tolist(), strict=True):
            held = made.setdefault(cell // n, {})
            held[cell % n] = held.get(cell % n, 0) + int(size)
    return made


def kept(
    parts: Sequence[Path], corpus: Ordered, rows: ch.I64, keep: npt.NDArray[np.bool_], variant: str
) -> Iterator[pa.RecordBatch]:
    """The documents that are kept, in their order; one that lost something is an altered copy."""
    edges = _edges_of(corpus, rows)
    done = 0
    for batch in documents.read(parts):
        ranks = corpus.ranks[done : (done := done + batch.num_rows)]
        stays = keep[ranks]
        held, ranks = batch.filter(pa.array(stays)), ranks[stays]
        touched = edges[ranks + 1] > edges[ranks]
        if not touched.any():
            yield held
            continue
        text = without(corpus, rows, edges, ranks[touched])
        copies = documents.altered(held.filter(pa.array(touched)), text, variant)
        yield documents.woven(copies, held.filter(pa.array(~touched)), touched)


def without(corpus: Ordered, rows: ch.I64, edges: ch.I64, which: ch.I64) -> pa.Array:
    """The texts of some documents without their stretches."""
    sizes = corpus.offsets[which + 1] - corpus.offsets[which]
    octets, offsets = np.empty(int(sizes.sum()), dtype=np.uint8), np.zeros(len(which) + 1, dtype=np.int64)
    _cut_out(corpus.text, corpus.offsets, rows, edges, which, octets, offsets)
    size = int(offsets[-1])
    return pa.LargeStringArray.from_buffers(len(which), pa.py_buffer(offsets), pa.py_buffer(octets[:size]))


def most_repeated(corpus: Ordered, rows: ch.I64, scratch: Path, most: int = 10) -> list[dict[str, Any]]:
    """The texts of which the most characters are removed: how often, and where the first one stands."""
    fields = pa.schema([("first", pa.int64()), ("size", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for at in range(0, len(rows), _ROWS):
            begin, end, first = np.asarray(rows[at : at + _ROWS]).T
            yield pa.record_batch([pa.array(first), pa.array(end - begin)], schema=fields)

    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        connection.register("repeats", pa.RecordBatchReader.from_batches(fields, batches()))
        found = connection.sql(
            "SELECT first, count(*) AS times, sum(size)::BIGINT AS total, size FROM repeats"
            f" GROUP BY first, size ORDER BY total DESC, first, size LIMIT {most}"
        ).fetchall()
    shutil.rmtree(scratch, ignore_errors=True)
    made = []
    for first, times, total, size in found:
        own = corpus.document_of(np.array([first]))
        begin, before = corpus.characters(np.array([first, corpus.offsets[own[0]]])).tolist()
        shown = corpus.text[first : first + min(size, _SHOWN)].tobytes().decode("utf-8", "ignore")
        made.append(
            {
                "doc_id": corpus.hex_ids(own)[0].as_py(),
                "source": corpus.names[int(corpus.source[own[0]])],
                "begin": begin - before,
                "times": times,
                "bytes": total,
                "text": " ".join(shown.split()),
            }
        )
    return made


@compiled
def _edges(rows: Any, offsets: Any, edges: Any) -> None:
    k = 0
    for d in range(len(offsets)):
        while k < len(rows) and rows[k, 0] < offsets[d]:
            k += 1
        edges[d] = k


@compiled
def _measure(text: Any, offsets: Any, rows: Any, edges: Any, folded: Any, unspaced: Any, left: Any) -> None:
    """Of every document that loses something: words and unspaced characters that are left, bytes and characters that
    are not."""
    for d in range(len(offsets) - 1):
        if edges[d] == edges[d + 1]:
            continue
        at = offsets[d]
        inside = False
        for k in range(edges[d], edges[d + 1] + 1):
            stop = rows[k, 0] if k < edges[d + 1] else offsets[d + 1]
            while at < stop:
                point = folded[point_at(text, at)]
                at += size_of(text[at])
                if point == 0:
                    inside = False
                elif unspaced[point]:
                    left[d, 1] += 1
                    inside = False
                else:
                    left[d, 0] += not inside
                    inside = True
            if k < edges[d + 1]:
                left[d, 2] += rows[k, 1] - at
                while at < rows[k, 1]:
                    left[d, 3] += (text[at] & 0xC0) != 0x80
                    at += 1


@compiled
def _cut_out(text: Any, offsets: Any, rows: Any, edges: Any, which: Any, octets: Any, ends: Any) -> None:
    n = 0
    for i in range(len(which)):
        d = which[i]
        at = offsets[d]
        for k in range(edges[d], edges[d + 1] + 1):
            stop = rows[k, 0] if k < edges[d + 1] else offsets[d + 1]
            while at < stop:
                octets[n] = text[at]
                n += 1
                at += 1
            if k < edges[d + 1]:
                at = rows[k, 1]
        ends[i + 1] = n
