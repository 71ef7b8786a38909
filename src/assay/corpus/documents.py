"""The documents contract: what a document is, how it is named, and how parts of them are written and read.

    rows -> `batch()` (names and hashes) -> `PartsWriter` (zstd Parquet parts of about 32 MB of text)
    parts -> `read()` -> Arrow batches, a few MB each, in the order written

A pair (a text and its translation, summary, answer) is one document: its text is the source, BETWEEN, the target.

A document's id is the hex of a 16-byte xxh3 over (source label, origin relative to the given root, ordinal
in the file, content): the same text at another place is another document, and its `content_hash` says that
they are equal. A table of documents that is read again keeps its ids (`Own`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

DOCUMENTS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("content_hash", pa.string(), nullable=False),
        pa.field("parent_id", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("ordinal", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("script", pa.string()),
        pa.field("n_bytes", pa.int64(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("copies", pa.int64()),
    ]
)
"""`split` is what the corpus itself declared (train, eval, test) or null; assignments are in the splits
artifact. `copies`: how many documents it stands for since duplicates were dropped, itself among them; null: itself."""
_OWN = frozenset(("doc_id", "content_hash", "parent_id", "source", "origin", "ordinal", "text", "n_bytes"))


class Own(NamedTuple):
    """What a document of a table of ours says of itself: the name that it keeps when it is read again."""

    doc_id: str
    content_hash: str
    parent_id: str | None
    copies: int | None


def own_columns(names: Iterable[str]) -> list[str]:
    """The columns that hold `Own`, if these are the columns of a table of documents as verbs leave it; else none."""
    names = frozenset(names)
    return [name for name in Own._fields if name in names] if names >= _OWN else []


BETWEEN = "\x1e"
"""Stands between the source and the target of a pair (Unicode's record separator), and in neither of them."""

PART_BYTES = 32 << 20
BATCH_BYTES = 4 << 20


_RUNNING_TEXT = r"(?i)\.(txt|md|html?|epub|pdf)(\.gz|\.zst)?$"


def row_of_text() -> pl.Expr:
    """With `source` and `origin` it names the text that a document is, or is a piece of: the ordinal of its row, or -1
    in a file of running text, all of which is one text."""
    return pl.when(pl.col("origin").str.contains(_RUNNING_TEXT)).then(-1).otherwise(pl.col("ordinal")).alias("row")


def sides(text: str) -> tuple[str, str]:
    """Source and target of a pair's text."""
    source, _, target = text.partition(BETWEEN)
    return source, target


def document_id(source: str, origin: str, ordinal: int, content: bytes, variant: str = "") -> str:
    """32 hex digits. `variant` names an altered copy, so that one that happens to equal its parent is not
    it."""
    digest = xxhash.xxh3_128(f"{source}\0{origin}\0{ordinal}\0{variant}\0".encode())
    digest.update(content)
    return digest.hexdigest()


def content_hash(content: bytes) -> str:
    """32 hex digits (xxh3, 128 bits) of a document's UTF-8 text."""
    return xxhash.xxh3_128_hexdigest(content)


def batch(
    texts: Sequence[str],
    sources: Sequence[str],
    origins: Sequence[str],
    ordinals: Sequence[int],
    splits: Sequence[str | None],
    own: Sequence[Own | None] | None = None,
    seen: set[int] | None = None,
) -> pa.RecordBatch:
    """Documents with their names; language and script are left null. Texts hold no lone surrogates.

    Args:
        own: what documents say of themselves: they keep it, unless the text is another one.
        seen: the beginnings of all ids before, to which these are added: an id that is there is made anew.
    """
    contents = [text.encode() for text in texts]
    hashes = [content_hash(content) for content in contents]
    said = own if own is not None else [None] * len(hashes)
    kept = [one if one and one.content_hash == made else None for one, made in zip(said, hashes, strict=True)]
    ids = []
    for one, source, origin, ordinal, content in zip(kept, sources, origins, ordinals, contents, strict=True):
        name = one.doc_id if one else document_id(source, origin, ordinal, content)
        if seen is not None:
            if int(name[:16], 16) in seen:
                name = document_id(source, origin, ordinal, content, "again")
            seen.add(int(name[:16], 16))
        ids.append(name)
    nulls = pa.nulls(len(ids), pa.string())
    return pa.record_batch(
        [
            pa.array(ids, pa.string()),
            pa.array(hashes, pa.string()),
            pa.array([one.parent_id if one else None for one in kept], pa.string()),
            pa.array(sources, pa.string()),
            pa.array(origins, pa.string()),
            pa.array(ordinals, pa.int64()),
            pa.array(contents, pa.binary()).cast(pa.string()),
            nulls,
            nulls,
            pa.array([len(content) for content in contents], pa.int64()),
            pa.array(splits, pa.string()),
            pa.array([one.copies if one else None for one in kept], pa.int64()),
        ],
        schema=DOCUMENTS,
    )


def altered(parents: pa.RecordBatch, text: pa.Array, variant: str) -> pa.RecordBatch:
    """Copies of `parents` with other text: new ids and hashes, `parent_id` set, everything else kept."""
    text = text.cast(pa.string())
    contents = [value.as_buffer().to_pybytes() for value in text]
    names = zip(*(parents.column(name).to_pylist() for name in ("source", "origin", "ordinal")), strict=True)
    ids = [
        document_id(source, origin, ordinal, content, variant)
        for (source, origin, ordinal), content in zip(names, contents, strict=True)
    ]
    replaced = {
        "doc_id": pa.array(ids, pa.string()),
        "content_hash": pa.array([content_hash(content) for content in contents], pa.string()),
        "parent_id": parents.column("doc_id"),
        "text": text,
        "n_bytes": pc.binary_length(text.cast(pa.binary())).cast(pa.int64()),
    }
    return pa.record_batch([replaced.get(name, parents.column(name)) for name in DOCUMENTS.names], DOCUMENTS)


def uncounted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Documents that stand for themselves alone: those that come in beside their parents."""
    at = batch.schema.get_field_index("copies")
    return batch.set_column(at, batch.schema.field(at), pa.nulls(batch.num_rows, pa.int64()))


def woven(copies: pa.RecordBatch, rest: pa.RecordBatch, touched: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """Altered copies where a batch was `touched`, and the rest of it, in its order."""
    order = np.empty(len(touched), dtype=np.int64)
    order[np.flatnonzero(touched)] = np.arange(copies.num_rows)
    order[np.flatnonzero(~touched)] = np.arange(copies.num_rows, len(touched))
    table = pa.Table.from_batches([copies, rest.cast(copies.schema)]).take(pa.array(order))
    return table.combine_chunks().to_batches()[0]


def opened(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file to write, as all of ours are."""
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)


class PartsWriter:
    """Writes batches as `NAME-00000.parquet`, ... in `folder`; a part ends when it holds `part_bytes` of data.

    Attributes:
        parts, rows: how many there are so far.
        part_sizes: the bytes of data in each part that is ended.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, part_bytes: int = PART_BYTES) -> None:
        self.folder, self.name, self.schema, self.part_bytes = folder, name, schema, part_bytes
        self.parts = self.rows = self._bytes = 0
        self.part_sizes: list[int] = []
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows; each call becomes one row group, so keep them to a few MB."""
        if rows.num_rows == 0:
            return
        if self._writer is None:
            self._writer = opened(self.folder / f"{self.name}-{self.parts:05d}.parquet", self.schema)
            self.parts += 1
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        self._writer.write_table(table.cast(self.schema), row_group_size=max(1, rows.num_rows))
        self.rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._bytes >= self.part_bytes:
            self.close()

    def close(self) -> None:
        """End the current part."""
        if self._writer is not None:
            self._writer.close()
            self.part_sizes.append(self._bytes)
        self._writer, self._bytes = None, 0

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(
    parts: Iterable[Path], columns: Sequence[str] | None = None, *, batch_rows: int = 1 << 14
) -> Iterator[pa.RecordBatch]:
    """Batches of the parts' rows in the order written; at most one row group is in memory."""
    for part in parts:
        with pq.ParquetFile(part) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns) if columns else None)
                yield from table.combine_chunks().to_batches(max_chunksize=batch_rows)


def grouped(batches: Iterable[pa.RecordBatch], rows: int = 1 << 13) -> Iterator[pa.Table]:
    """Small batches together: what is worth a row group.

    Args:
        rows: least number of rows of a table, the last one aside.
    """
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.num_rows
        if held >= rows:
            yield pa.Table.from_batches(waiting)
            waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def groups(part: Path) -> list[tuple[int, float]]:
    """The rows of each row group of a part, and the bytes of its data: a few MB, a unit of slow work that can be gone
    on with."""
    with pq.ParquetFile(part) as file:
        found = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        return [(group.num_rows, float(group.total_byte_size)) for group in found]


def read_group(part: Path, target: Path, columns: Sequence[str], most: int | None = None) -> pa.RecordBatch:
    """The rows of one row group, or of a slice of it.

    Args:
        target: what is made of them: its name ends with the numbers of the group and of the slice.
        most: rows of a slice; None: the group is one.
    """
    group, number = map(int, target.name.split(".")[0].rsplit("-", 2)[1:])
    with pq.ParquetFile(part) as file:
        table = file.read_row_group(group, columns=list(columns))
    table = (table if most is None else table.slice(number * most, most)).combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


_ID = 32  # hex digits of an id


def uniform(doc_ids: pa.Array) -> npt.NDArray[np.float64]:
    """A stable number in [0, 1) for each document: the first 13 hex digits of its id as a fraction."""
    return np.asarray(_digits(doc_ids)[:, :13].astype(np.float64) @ (16.0 ** -np.arange(1, 14)), dtype=np.float64)


def keys(doc_ids: pa.Array) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each id: what joins documents in memory at 8 bytes each."""
    digits = _digits(doc_ids)[:, :16]
    octets = np.ascontiguousarray(digits[:, ::2] << 4 | digits[:, 1::2])
    return octets.view(">u8").reshape(-1).astype(np.uint64)


def _digits(doc_ids: pa.Array) -> npt.NDArray[np.uint8]:
    """The hex digits of ids as numbers (documents x 32)."""
    whole = doc_ids.combine_chunks() if isinstance(doc_ids, pa.ChunkedArray) else doc_ids
    content = whole.cast(pa.large_string())
    begin = content.offset
    offsets = np.frombuffer(content.buffers()[1], dtype=np.int64)[begin : begin + len(content) + 1]
    data = content.buffers()[2]
    octets = np.frombuffer(memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b"", dtype=np.uint8)
    letters = octets.reshape(-1, _ID)
    return letters - np.where(letters >= ord("a"), ord("a") - 10, ord("0")).astype(np.uint8)
