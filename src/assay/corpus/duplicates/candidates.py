"""Which documents may be near-duplicates: those that share a band and whose signatures agree in enough places.

    band rows on disk -> sorted by band and id (DuckDB, out of core) -> each with its neighbours in its bucket
                      -> sketches (one byte of each signature value, on disk) drop the pairs that cannot be similar

Memory is bounded by the batch, time by NEIGHBOURS x bands x documents, whatever the texts: a bucket of boilerplate that
all documents share costs no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

NEIGHBOURS = 49
"""Documents before and after it that a document meets in a bucket, in the order of ids: buckets of up to 50 documents
are compared pair by pair."""
LEAST = 0.6
"""Share of equal signature values below which a pair is dropped unread. A pair at the threshold of .7 is so far off
once in a hundred times (the standard error is .042), one at .75 once in five thousand."""
_ROWS = 1 << 18  # band rows a batch
_PAIRS = 1 << 16  # pairs of sketches that are in memory at a time


def neighbours(connection: Any, path: Path, nearest: int, farthest: int) -> Iterator[tuple[U64, U64]]:
    """Keys of documents that share a band and are `nearest` to `farthest` places apart in its bucket.

    A pair comes once for every band that it shares.

    Args:
        connection: of DuckDB, with a temporary folder.
        path: a Parquet file with columns `key` and `band`.
        nearest, farthest: places, from 1 on.
    """
    found = connection.sql("SELECT band, key FROM read_parquet($1) ORDER BY band, key", params=[str(path)])
    band, key = np.empty(0, np.uint64), np.empty(0, np.uint64)
    for batch in found.to_arrow_reader(_ROWS):
        old = min(len(band), farthest)  # enough of the batch before, whose bucket may go on in this one
        band = np.concatenate([band[len(band) - old :], batch.column("band").to_numpy()])
        key = np.concatenate([key[len(key) - old :], batch.column("key").to_numpy()])
        for apart in range(nearest, farthest + 1):
            first = max(old - apart, 0)
            same = first + np.flatnonzero(band[first : len(band) - apart] == band[first + apart :])
            if not len(same):  # buckets are contiguous: none is that large
                break
            yield key[same], key[same + apart]


class Sketches:
    """The low bytes of MinHash signatures, on disk: enough to estimate similarities from.

    b-bit minwise hashing (Li and König 2010) with 8 bits: values that differ agree by chance once in 256.
    """

    def __init__(self, path: Path, documents: int) -> None:
        self.path = path
        self._at = np.full(documents, -1, dtype=np.int64)
        self._written = 0

    def add(self, numbers: I64, signatures: U64) -> None:
        """Append the signatures (documents x values) of the documents with these numbers."""
        with self.path.open("ab") as file:
            file.write(signatures.astype(np.uint8).tobytes())
        self._at[numbers] = self._written + np.arange(len(numbers))
        self._written += len(numbers)
        self._width = signatures.shape[1]

    def similar(self, left: I64, right: I64) -> npt.NDArray[np.bool_]:
        """Whether documents agree in at least LEAST of their signatures."""
        made = np.zeros(len(left), dtype=bool)
        if not len(left):
            return made
        rows = np.memmap(self.path, np.uint8, "r", shape=(self._written, self._width))
        for begin in range(0, len(left), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            equal = rows[self._at[left[part]]] == rows[self._at[right[part]]]
            made[part] = equal.mean(axis=1) >= LEAST
        return made
