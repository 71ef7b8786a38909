"""All text of a corpus as one array of bytes, in an order that does not depend on the order of files.

    documents -> their order: source, origin, ordinal, id (DuckDB, out of core)
              -> text.npy: their UTF-8, end to end in that order; offsets.npy, ids.npy, sources.npy of each
              -> ranks.npy: the place of every row of the documents in that order

What stands first in a corpus is then what stands first in `text`, and the place of a stretch is one number. Arrays are
mapped, not read: memory holds eight bytes a document, disk the text once more.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.duplicates.arrays import made, mapped
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled, inlined

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
CHUNK = 4 << 20  # bytes of text that one thread works on at a time
_MARK = 4096  # bytes between places whose character is known
_NAMES = ("doc_id", "source", "origin", "ordinal", "n_bytes")


@dataclass(frozen=True)
class Ordered:
    """A corpus in order; `open_ordered` maps it.

    Attributes:
        text: UTF-8 of all documents (bytes).
        offsets: of each document in `text` (n + 1).
        ids: the 16 bytes of each document's id (n x 16).
        source: of each document, the place of its source in `names`.
        ranks: of each row of the documents artifact, its place in the order.
        names: of the sources.
        marks: how many characters begin before every _MARK-th byte of `text`.
    """

    text: U8
    offsets: ch.I64
    ids: U8
    source: I32
    ranks: ch.I64
    names: list[str]
    marks: ch.I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def chunks(self, size: int = CHUNK) -> list[tuple[int, int]]:
        """Runs of whole documents of about `size` bytes."""
        cuts = np.searchsorted(self.offsets, np.arange(size, int(self.offsets[-1]), size))
        edges = np.unique(np.concatenate([[0], cuts, [len(self)]]))
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    def document_of(self, places: ch.I64) -> ch.I64:
        """The documents that bytes belong to."""
        return np.searchsorted(self.offsets, places, side="right") - 1

    def characters(self, places: ch.I64) -> ch.I64:
        """How many characters of all text begin before these bytes."""
        counts = np.empty(len(places), dtype=np.int64)
        _count(self.text, self.marks, places, counts)
        return counts

    def hex_ids(self, which: ch.I64) -> pa.Array:
        """The ids of documents."""
        digits = self.ids[which].tobytes().hex().encode("ascii")
        offsets = np.arange(0, 32 * len(which) + 1, 32, dtype=np.int32)
        return pa.StringArray.from_buffers(len(which), pa.py_buffer(offsets), pa.py_buffer(digits))


def write_ordered(parts: list[Path], folder: Path, progress: Callable[[float], None] | None = None) -> dict[str, Any]:
    """Bring documents into order, in `folder`; `progress` gets the bytes of text that are done."""
    n = sum(pq.read_metadata(part).num_rows for part in parts)
    offsets, source = np.zeros(n + 1, dtype=np.int64), made(folder / "sources.npy", (n,), np.int32)
    ids, ranks = made(folder / "ids.npy", (n, 16), np.uint8), made(folder / "ranks.npy", (n,), np.int64)
    codes: dict[str, int] = {}
    done = 0
    for batch in _in_order(parts, folder):
        to = slice(done, done := done + batch.num_rows)
        names = batch.column("source").dictionary_encode()
        of = [codes.setdefault(name, len(codes)) for name in names.dictionary.to_pylist()]
        source[to] = np.array(of, dtype=np.int32)[names.indices.to_numpy()]
        joined = bytes.fromhex("".join(batch.column("doc_id").to_pylist()))
        ids[to] = np.frombuffer(joined, dtype=np.uint8).reshape(-1, 16)
        ranks[batch.column("row").to_numpy()] = np.arange(to.start, to.stop)
        offsets[to.start + 1 : to.stop + 1] = batch.column("n_bytes").to_numpy()
    np.cumsum(offsets, out=offsets)
    np.save(folder / "offsets.npy", offsets)
    text = made(folder / "text.npy", (int(offsets[-1]),), np.uint8)
    row = written = 0
    for batch in documents.read(parts, ["text"]):
        column = batch.column("text").cast(pa.large_string())
        begins = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        if column.buffers()[2] is not None:
            octets = np.frombuffer(column.buffers()[2], dtype=np.uint8)
            _place(octets, begins, offsets[ranks[row : row + len(column)]], text)
        row += len(column)
        written += int(begins[-1] - begins[0])
        if progress:
            progress(written)
    marks = made(folder / "marks.npy", (len(text) // _MARK + 1,), np.int64)
    _mark(text, marks)
    (folder / "names.json").write_text(json.dumps(list(codes), ensure_ascii=False), encoding="utf-8")
    return {"documents": n, "bytes": len(text)}


def open_ordered(folder: Path) -> Ordered:
    """What `write_ordered` wrote, mapped."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    arrays = {name: mapped(folder / f"{name}.npy") for name in ("text", "ids", "sources", "ranks", "marks")}
    offsets = np.load(folder / "offsets.npy")
    return Ordered(arrays["text"], offsets, arrays["ids"], arrays["sources"], arrays["ranks"], names, arrays["marks"])


def _in_order(parts: list[Path], folder: Path) -> Iterator[pa.RecordBatch]:
    """The names of all documents in order, and the row of each."""
    names = pa.schema([documents.DOCUMENTS.field(name) for name in _NAMES] + [pa.field("row", pa.int64())])

    def rows() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in documents.read(parts, _NAMES):
            numbers = pa.array(np.arange(done, done := done + batch.num_rows))
            yield pa.record_batch([*batch.columns, numbers], schema=names)

    reader = pa.RecordBatchReader.from_batches(names, rows())
    scratch = folder / "spilled"
    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        connection.register("named", reader)
        order = "SELECT doc_id, source, n_bytes, row FROM named ORDER BY source, origin, ordinal, doc_id, row"
        yield from connection.sql(order).to_arrow_reader(1 << 16)
    shutil.rmtree(scratch, ignore_errors=True)


@inlined
def size_of(lead: Any) -> int:
    """The bytes of the character that begins with this one."""
    return 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


@inlined
def point_at(text: Any, at: int) -> Any:
    """The code point of the character that begins here."""
    lead = np.uint32(text[at])
    if lead < 0x80:
        return lead
    size = size_of(lead)
    point = lead & np.uint32(0xFF >> (size + 1))
    for i in range(at + 1, at + size):
        point = point << np.uint32(6) | np.uint32(text[i] & 0x3F)
    return point


@inlined
def document_at(offsets: Any, place: int) -> int:
    """The document that a byte belongs to."""
    low, high = 0, len(offsets) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if offsets[middle] <= place:
            low = middle
        else:
            high = middle
    return low


@compiled
def _place(octets: Any, begins: Any, targets: Any, text: Any) -> None:
    for d in range(len(begins) - 1):
        at = targets[d] - begins[d]
        for i in range(begins[d], begins[d + 1]):
            text[at + i] = octets[i]


@compiled
def _mark(text: Any, marks: Any) -> None:
    count = 0
    for i in range(len(text)):
        if i % _MARK == 0:
            marks[i // _MARK] = count
        count += (text[i] & 0xC0) != 0x80
    if len(text) % _MARK == 0:
        marks[len(text) // _MARK] = count


@compiled
def _count(text: Any, marks: Any, places: Any, counts: Any) -> None:
    for k in range(len(places)):
        mark = places[k] // _MARK
        count = marks[mark]
        for i in range(mark * _MARK, places[k]):
            count += (text[i] & 0xC0) != 0x80
        counts[k] = count
