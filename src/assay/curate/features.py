"""What the quality classifier sees of a document: its words and pairs of words, hashed, as a row of a sparse matrix.

    documents -> code points -> units: words in lower case; where words are not spaced, single characters
              -> n-grams: 1 and 2 units, and 3 characters -> buckets by a hash -> counts, of unit length

The cut is made word by word, so that English in a Chinese text, and Chinese in an English one, are what they are. A
value is the square root of an n-gram's share in its document (Hellinger): every row has length one, however long the
document is, and frequent n-grams do not drown the others. No string is built; hashed features, as in fastText (Joulin
et al. 2016) and Weinberger et al. (2009), need no vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, compiled, inlined, mixed

BITS = 20
"""Of a bucket's number: a million buckets."""
_MOST = 3  # n-grams that end at one unit


@dataclass(frozen=True)
class Rows:
    """Documents as rows of a sparse matrix.

    Attributes:
        starts: (documents + 1,) where each row begins in the others.
        buckets: the columns of its values, rising within a row.
        values: float32.
        n_grams: (documents,) how many each has.
    """

    starts: ch.I64
    buckets: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    n_grams: ch.I64

    def __len__(self) -> int:
        return len(self.n_grams)

    def matrix(self, columns: int) -> Any:
        """As SciPy's compressed sparse rows."""
        from scipy.sparse import csr_array

        return csr_array((self.values, self.buckets, self.starts), shape=(len(self), columns))

    def of(self, rows: npt.NDArray[Any]) -> Rows:
        """Some of them, in the order given."""
        rows = np.arange(len(self))[rows]
        lengths = np.diff(self.starts)[rows]
        at = ch.ranges(self.starts[rows], lengths)
        return Rows(np.append(0, np.cumsum(lengths)), self.buckets[at], self.values[at], self.n_grams[rows])

    def dot(self, weights: npt.NDArray[np.floating]) -> ch.F64:
        """(documents,) the sum of value times weight of each row."""
        products = self.values.astype(np.float64) * weights[self.buckets]
        # Row by row, whatever stands beside it.
        return np.bincount(ch.owner(self.starts), products, len(self)).astype(np.float64)


def rows_of(text: pa.Array, bits: int = BITS) -> Rows:
    """The rows of some documents."""
    made = [_rows(points, offsets, bits) for points, offsets in _slices(text)]
    return joined(made)


def joined(parts: list[Rows]) -> Rows:
    """Rows one after another."""
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Rows(np.zeros(1, dtype=np.int64), nothing.astype(np.int32), nothing.astype(np.float32), nothing)
    before = np.cumsum([0, *(part.starts[-1] for part in parts[:-1])])
    starts = [part.starts[1:] + done for part, done in zip(parts, before, strict=True)]
    return Rows(
        np.concatenate([np.zeros(1, dtype=np.int64), *starts]),
        np.concatenate([part.buckets for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.n_grams for part in parts]),
    )


def places_of(text: pa.Array, wanted: npt.NDArray[np.bool_], bits: int = BITS) -> Iterator[tuple[int, str]]:
    """Every n-gram that falls into one of the `wanted` buckets: the bucket, and what it says, in lower case."""
    for points, offsets in _slices(text):
        found, begins, ends, _ = _n_grams(points, offsets, bits)
        for i in np.flatnonzero(wanted[found]).tolist():
            said = points[begins[i] : ends[i]].astype("<u4").tobytes().decode("utf-32-le")
            yield int(found[i]), " ".join(said.lower().split())


def _slices(text: pa.Array) -> Iterator[tuple[ch.U32, ch.I64]]:
    batch = pa.record_batch([text], names=["text"])
    for part in ch.slices(batch):
        yield ch.points_of(part.column("text"))


def _rows(points: ch.U32, offsets: ch.I64, bits: int) -> Rows:
    found, _, _, counts = _n_grams(points, offsets, bits)
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    cells = np.sort((owner << bits) | found)
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    times, cells = np.diff(first, append=len(cells)), cells[first]
    owner = cells >> bits
    values = np.sqrt(times / np.maximum(counts[owner], 1))
    starts = np.searchsorted(owner, np.arange(len(counts) + 1))
    return Rows(starts, (cells & ((1 << bits) - 1)).astype(np.int32), values.astype(np.float32), counts)


def _n_grams(points: ch.U32, offsets: ch.I64, bits: int) -> tuple[ch.I64, ch.I64, ch.I64, ch.I64]:
    """The bucket, begin and end of every n-gram of every document, and how many each document has."""
    most = int(np.diff(offsets).max(initial=0))
    room = _MOST * len(points)
    buckets, begins, ends = (np.empty(room, dtype=np.int64) for _ in range(3))
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    units = np.empty(most + 1, dtype=np.uint64)
    firsts, lasts, single = (np.empty(most + 1, dtype=np.int64) for _ in range(3))
    n = _count(
        points, ch.lowered()[points], w.kinds(), w.lists(), offsets, w.room(most), units, firsts, lasts, single, bits,
        buckets, begins, ends, counts,
    )  # fmt: skip
    return buckets[:n], begins[:n], ends[:n], counts


@compiled
def _count(
    points: Any, low: Any, table: Any, lists: Any, offsets: Any, words: Any, hashes: Any, firsts: Any, lasts: Any,
    single: Any, bits: int, buckets: Any, begins: Any, ends: Any, counts: Any,
) -> int:  # fmt: skip
    n = 0
    shift = np.uint64(64 - bits)
    for d in range(len(offsets) - 1):
        before = n
        found = w.cut(points, table, lists, offsets[d], offsets[d + 1], words)
        m = 0
        for i in range(found):
            m = _units(points, low, table, words.begins[i], words.ends[i], hashes, firsts, lasts, single, m)
        for i in range(m):
            key = hashes[i]
            buckets[n], begins[n], ends[n] = key >> shift, firsts[i], lasts[i]
            n += 1
            alone = single[i]
            for back in range(1, _MOST):
                j = i - back
                if j < 0:
                    break
                alone *= single[j]
                if back > 1 and alone == 0:
                    break
                key = mixed(key * BASE + hashes[j])
                buckets[n], begins[n], ends[n] = key >> shift, firsts[j], lasts[i]
                n += 1
        counts[d] = n - before
    return n


@inlined
def _units(
    points: Any, low: Any, table: Any, begin: int, end: int, hashes: Any, firsts: Any, lasts: Any, single: Any, m: int
) -> int:
    """The units of one word: itself; or, where it holds characters of scripts without spaces, each of these, each mark,
    and what is between them."""
    unspaced = False
    for i in range(begin, end):
        if table[points[i]] & w.HAN:
            unspaced = True
    start = begin
    value = np.uint64(0)
    for i in range(begin, end):
        kind = table[points[i]]
        apart = unspaced and (kind & w.HAN > 0 or kind & w.OTHER == 0)
        if apart and start < i:
            hashes[m], firsts[m], lasts[m], single[m] = mixed(value), start, i, 0
            m += 1
            value = np.uint64(0)
        value = value * BASE + np.uint64(low[i]) + np.uint64(1)
        if apart:
            hashes[m], firsts[m], lasts[m], single[m] = mixed(value), i, i + 1, 1
            m += 1
            value = np.uint64(0)
            start = i + 1
    if start < end:
        hashes[m], firsts[m], lasts[m], single[m] = mixed(value), start, end, 0
        m += 1
    return m
