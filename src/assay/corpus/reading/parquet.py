"""Rows of a Parquet file, a few megabytes at a time.

What a value takes that stands in a file once and in its rows a million times is not known before they are unpacked:
files of a few hundred bytes can declare terabytes. So few rows are unpacked together, and fewer become strings.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.corpus.documents import own_columns
from assay.corpus.reading import decode, lines
from assay.corpus.reading.decode import Problem, printable
from assay.errors import InputError
from assay.store import disk_errors

_UNPACKED = 16 << 20  # bytes of rows at a time
_MOST_ROWS = 256  # at a time
_LARGEST = 1 << 30  # bytes of rows at a time, whatever a file says


def records(
    raw: decode.Raw, columns: Callable[[list[str]], list[str]], largest: int, problem: Problem
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, each with what to add to the file's name to say where it is.

    Args:
        columns: chooses what to read by the names of the columns.
        largest: bytes of a row; larger ones are a problem.

    Raises:
        InputError: it is no Parquet file, or cut off.
    """
    with _seekable(raw) as opened:
        try:
            with pq.ParquetFile(opened) as file:
                wanted = columns(file.schema_arrow.names)
                raw.reach(row := 0)
                for group in range(file.num_row_groups):
                    rows = _rows_at_once(file.metadata.row_group(group), wanted)
                    for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=wanted):
                        for record in _rows(raw, row, batch, largest, problem):
                            row += 1
                            if record:
                                yield f": row {row}", record
                    raw.reach((group + 1) / file.num_row_groups)
        except (pa.ArrowException, OSError) as error:
            why = " ".join(printable(str(error)).split())[:100]
            raise InputError(
                f"not a whole Parquet file ({why})",
                where=raw.where,
                remedy="copy or download it again, or pass --on-error skip to go on without it",
            ) from error


def may_be_ours(path: Path) -> bool:
    """Whether a file may hold a table of documents as verbs leave it; of a packed one that is not known before."""
    if decode.compression_of(path):
        return True
    try:
        return bool(own_columns(pq.read_schema(path).names))
    except (pa.ArrowException, OSError):
        return False  # told when it is read


def _rows_at_once(group: Any, names: list[str]) -> int:
    """How many rows of a group are unpacked together: so many that they take some megabytes if all are alike, and no
    more than _LARGEST if each of them is the largest that the group may hold."""
    sizes = [
        column.total_uncompressed_size
        for column in map(group.column, range(group.num_columns))
        if column.path_in_schema.partition(".")[0] in names
    ]
    size = max(1, sum(sizes))
    return int(min(_MOST_ROWS, max(1, min(_UNPACKED * group.num_rows / size, _LARGEST / size))))


def _seekable(raw: decode.Raw) -> IO[bytes]:
    """The file, or, since Parquet is read from its end, a compressed one unpacked to disk.

    Raises:
        WorkError: the disk is full.
    """
    if not decode.compression_of(raw.path):
        return raw.file
    with disk_errors(Path(tempfile.gettempdir())):
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            shutil.copyfileobj(raw, spool)
            spool.seek(0)
        except BaseException:
            spool.close()
            raise
    return spool


def _rows(
    raw: decode.Raw, before: int, batch: pa.RecordBatch, largest: int, problem: Problem
) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch; None for one that Python cannot hold, such as a string that is not UTF-8, or that is too
    large. A few megabytes are strings at a time."""
    sizes = np.add.reduce([_value_sizes(column) for column in batch.columns], axis=0)
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _UNPACKED)) + 1
    for first, last in pairwise((0, *cuts.tolist(), batch.num_rows)):
        if sizes[first:last].max(initial=0) <= largest:
            try:
                yield from batch.slice(first, last - first).to_pylist()
                continue
            except (ValueError, OverflowError):
                pass  # some row is bad: one by one
        for row in range(first, last):
            where = f"{raw.where}: row {before + row + 1}"
            if sizes[row] > largest:
                what = f"a row of {sizes[row]:,} bytes; more than {largest:,} are not read"
                problem(where, what, "write a shorter text in each row")
                yield None
                continue
            try:
                yield batch.slice(row, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:
                problem(where, f"a value that cannot be read ({error})", lines.MEND)
                yield None


def _value_sizes(column: pa.Array) -> Any:
    """Bytes of each value of a column of strings; of others none is large."""
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if not any(is_kind(values.type) for is_kind in kinds):
        return np.zeros(len(column), dtype=np.int64)
    lengths = pc.binary_length(values)
    if values is not column:
        lengths = lengths.take(column.indices)
    return lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
