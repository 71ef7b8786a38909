"""Documents -> flat little-endian shards, one per (stream, source), and spans.parquet; `stream` reads them.

Every document is preceded by the special token. A stream is a split of the clean corpus or a damaged copy of the
training text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.tokens.stream import END_OF_TEXT_ID
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
    ]
)


def encode_stream(
    batches: Iterable[pa.RecordBatch],
    encoder: Encoder,
    folder: Path,
    split: str,
    sources: list[str],
    *,
    aligned: bool = False,
) -> dict[str, Any]:
    """Encode document batches (`doc_id`, `source`, `text`) into `folder`; memory holds one batch.

    Args:
        aligned: the batches are a damaged copy of every document of the training stream, in the same order.

    Returns:
        a summary: dtype, and per source the shard, its tokens, documents and bytes of text.
    """
    dtype = np.dtype("<u2" if encoder.vocabulary <= 1 << 16 else "<u4")
    shards = {source: f"{split}-{index:03d}.bin" for index, source in enumerate(sources)}
    totals = {source: {"shard": shards[source], "tokens": 0, "documents": 0, "bytes": 0} for source in sources}
    with contextlib.ExitStack() as stack:
        files: dict[str, BinaryIO] = {
            source: stack.enter_context((folder / shard).open("wb")) for source, shard in shards.items()
        }
        spans = stack.enter_context(pq.ParquetWriter(folder / "spans.parquet", SPANS, compression="zstd"))
        for batch in batches:
            spans.write_batch(_encode_batch(batch, encoder, files, totals, split, dtype))
    return {
        "dtype": dtype.str,
        "split": split,
        "vocabulary": encoder.vocabulary,
        "sources": totals,
        "aligned": aligned,
    }


def _encode_batch(
    batch: pa.RecordBatch,
    encoder: Encoder,
    files: dict[str, BinaryIO],
    totals: dict[str, dict[str, Any]],
    split: str,
    dtype: np.dtype,
) -> pa.RecordBatch:
    ids, offsets = encoder.encode(batch.column("text").to_pylist())
    # Put the special token before every document: document i moves right by i + 1 places.
    n = batch.num_rows
    lengths = np.diff(offsets) + 1
    starts = offsets[:-1] + np.arange(n)
    marked = np.full(len(ids) + n, END_OF_TEXT_ID, dtype=dtype)
    inside = np.ones(len(marked), dtype=bool)
    inside[starts] = False
    marked[inside] = ids
    n_bytes = np.add.reduceat(encoder.token_bytes[marked], starts) if n else np.zeros(0, np.int64)

    sources = np.asarray(batch.column("source").to_pylist(), dtype=object)
    begin = np.zeros(n, dtype=np.int64)
    for source in dict.fromkeys(sources):
        rows = np.flatnonzero(sources == source)
        total = totals[source]
        begin[rows] = total["tokens"] + np.cumsum(lengths[rows]) - lengths[rows]
        for row in rows:
            files[source].write(marked[starts[row] : starts[row] + lengths[row]].tobytes())
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
    ]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SPANS, strict=True)], schema=SPANS)
