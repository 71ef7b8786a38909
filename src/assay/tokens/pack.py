"""Documents -> flat little-endian shards, one per (stream, source), and spans.parquet; `stream` reads them.

Every document is preceded by the special token; in a pair, the end of a text stands between source and target, which
are encoded each for itself. A stream is a split of the clean corpus or a damaged copy of the
training text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus.documents import row_of_text, sides
from assay.corpus.parts import in_order
from assay.machine import cores
from assay.tokens.stream import END_OF_TEXT_ID, UNITS_SUFFIX
from assay.tokens.tokenizer import Encoder

SPANS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("start", pa.int64()),
        ("length", pa.int64()),
        ("n_bytes", pa.int64()),
        ("unit", pa.int64()),
    ]
)
"""`unit` numbers what is drawn by chance in a source: documents or, in sources whose texts stay whole, texts."""


def encode_stream(
    batches: Iterable[pa.RecordBatch],
    encoder: Encoder,
    folder: Path,
    split: str,
    sources: list[str],
    *,
    aligned: bool = False,
    whole: Collection[str] = (),
    between: int | None = None,
) -> dict[str, Any]:
    """Encode document batches (`doc_id`, `source`, `origin`, `ordinal`, `text`) into `folder`; a few are in memory.

    Args:
        whole: sources whose texts are units, whatever documents they are cut into. A text's documents stand on end.
        aligned: the batches are a damaged copy of every document of the training stream, in the same order.
        between: the documents are pairs, and this id stands between the sides of each.

    Returns:
        a summary: dtype, and per source the shard, its tokens, documents, units and bytes of text. Beside a shard
        stands a file of the units of its documents, little-endian uint32.
    """
    dtype = np.dtype("<u2" if encoder.vocabulary <= 1 << 16 else "<u4")
    shards = {source: f"{split}-{index:03d}.bin" for index, source in enumerate(sources)}
    totals = {source: {"shard": shards[source], "tokens": 0, "documents": 0, "units": 0, "bytes": 0}
              for source in sources}  # fmt: skip
    units = _Units(whole)
    with contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {
            source: stack.enter_context((folder / shard).open("wb")) for source, shard in shards.items()
        }
        spans = stack.enter_context(pq.ParquetWriter(folder / "spans.parquet", SPANS, compression="zstd"))
        marked = in_order(lambda batch: _marked(batch, encoder, dtype, between), iter(batches), cores())
        for made in marked:
            spans.write_batch(_write(*made, files, totals, units, split))
    for source, numbers in units.numbers.items():
        np.concatenate(numbers).astype("<u4").tofile((folder / shards[source]).with_suffix(UNITS_SUFFIX))
    return {
        "dtype": dtype.str,
        "split": split,
        "vocabulary": encoder.vocabulary,
        "sources": totals,
        "aligned": aligned,
    }


class _Units:
    """Numbers the units of every source in the order of its documents."""

    def __init__(self, whole: Collection[str]) -> None:
        self.whole = frozenset(whole)
        self.numbers: dict[str, list[np.ndarray]] = {}
        self._last: dict[str, tuple[int, object]] = {}  # source -> the number and the name of its last unit

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """(documents,) number of each document's unit within its source."""
        sources = batch.column("source").to_pylist()
        names: list[object] = batch.column("doc_id").to_pylist()
        if not self.whole.isdisjoint(sources):
            texts = pl.DataFrame(batch.select(["origin", "ordinal"])).select("origin", row_of_text()).rows()
            names = [t if s in self.whole else n for s, n, t in zip(sources, names, texts, strict=True)]
        numbers = np.empty(len(names), dtype=np.int64)
        for i, (source, name) in enumerate(zip(sources, names, strict=True)):
            number, last = self._last.get(source, (-1, None))
            if name != last:
                number += 1
                self._last[source] = (number, name)
            numbers[i] = number
        of = np.asarray(sources, dtype=object)
        for source in dict.fromkeys(sources):
            self.numbers.setdefault(source, []).append(numbers[of == source].astype(np.uint32))
        return numbers


def _marked(
    batch: pa.RecordBatch, encoder: Encoder, dtype: np.dtype, between: int | None
) -> tuple[pa.RecordBatch, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The batch, its tokens with the special one before every document, and of every document: the place and the
    number of its tokens, and the bytes that they spell."""
    texts = batch.column("text").to_pylist()
    if between is not None:
        texts = [side for text in texts for side in sides(text)]
    ids, offsets = encoder.encode(texts)
    starts = offsets[:-1] + np.arange(len(texts))  # text i moves right by i + 1 places
    tokens = np.full(len(ids) + len(texts), END_OF_TEXT_ID, dtype=dtype)
    inside = np.ones(len(tokens), dtype=bool)
    inside[starts] = False
    tokens[inside] = ids
    if between is not None:
        tokens[starts[1::2]] = between
        starts = starts[::2]
    lengths = np.diff(starts, append=len(tokens))
    n_bytes = np.add.reduceat(encoder.token_bytes[tokens], starts) if len(starts) else np.zeros(0, np.int64)
    return batch, tokens, starts, lengths, n_bytes


def _write(
    batch: pa.RecordBatch,
    tokens: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    n_bytes: np.ndarray,
    files: dict[str, BinaryIO],
    totals: dict[str, dict[str, Any]],
    units: _Units,
    split: str,
) -> pa.RecordBatch:
    """Append the documents of a batch to the shards of their sources. Returns their rows of SPANS."""
    n = batch.num_rows
    sources = np.asarray(batch.column("source").to_pylist(), dtype=object)
    begin, unit = np.zeros(n, dtype=np.int64), units.of(batch)
    for source in dict.fromkeys(sources):
        rows = np.flatnonzero(sources == source)
        total = totals[source]
        begin[rows] = total["tokens"] + np.cumsum(lengths[rows]) - lengths[rows]
        for row in rows:
            files[source].write(tokens[starts[row] : starts[row] + lengths[row]].tobytes())
        total["units"] = int(unit[rows[-1]]) + 1
        total["tokens"] += int(lengths[rows].sum())
        total["documents"] += len(rows)
        total["bytes"] += int(n_bytes[rows].sum())
    shards = [totals[source]["shard"] for source in sources]
    columns = [
        batch.column("doc_id").to_pylist(),
        list(sources),
        [split] * n,
        shards,
        begin,
        lengths,
        n_bytes,
        unit,
    ]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SPANS, strict=True)], schema=SPANS)
