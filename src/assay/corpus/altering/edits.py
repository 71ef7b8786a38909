"""What all altered copies are made with: random draws, places in texts, and texts put together anew.

    code points + offsets -> draws from (content hash, seed, place) -> places to edit -> spliced text
    documents + new texts -> altered copies where a text has changed, the documents themselves where it has not

A draw depends on the document's content, the seed and the place in the document, so it is the same however documents
are batched or ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled

Bools = npt.NDArray[np.bool_]
Kernel = Callable[[ch.U32, ch.I64, ch.U64], tuple[ch.U32, ch.I64]]
"""Code points, offsets and a seed for each document -> altered code points and offsets."""
Telling = Callable[[pa.RecordBatch, ch.U32, ch.I64, ch.U64], tuple[ch.U32, ch.I64, list[str]]]
"""Documents, and what a kernel gets -> altered code points and offsets, and what was done to each document."""


class Texts:
    """Texts of documents, as an Arrow column or as code points with offsets: whichever is asked for is made once."""

    def __init__(self, column: pa.Array | None = None, points: tuple[ch.U32, ch.I64] | None = None) -> None:
        self._column, self._points = column, points

    @cached_property
    def column(self) -> pa.Array:
        return self._column if self._column is not None else ch.text_of(*self.points)

    @cached_property
    def points(self) -> tuple[ch.U32, ch.I64]:
        return self._points if self._points is not None else ch.points_of(self._column)


def seeds(hashes: pa.Array, seed: int) -> ch.U64:
    """A random number for each document, of its content (or id) and the seed."""
    return ch.mix(documents.keys(hashes) ^ ch.mix(np.array([seed % (1 << 64)], dtype=np.uint64)))


def share(numbers: ch.U64) -> npt.NDArray[np.float64]:
    """Random numbers as fractions in [0, 1)."""
    return np.asarray((numbers >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def draws(seeds: ch.U64, offsets: ch.I64, stream: int) -> ch.U64:
    """64 random bits for each element: a counter-based generator (splitmix64) started by its document's
    seed."""
    count = np.diff(offsets)
    within = np.arange(offsets[-1], dtype=np.uint64) - np.repeat(offsets[:-1].astype(np.uint64), count)
    starts = np.repeat(seeds + np.uint64(stream * 0xBF58476D1CE4E5B9 % (1 << 64)), count)
    return ch.mix(starts + within * np.uint64(0x9E3779B97F4A7C15))


def draw(seeds: ch.U64, stream: int) -> ch.U64:
    """64 random bits for each document."""
    return ch.mix(seeds + np.uint64(stream * 0xBF58476D1CE4E5B9 % (1 << 64)))


def _threshold(rate: float) -> np.uint64:
    return np.uint64(min(int(rate * 2.0**53), 1 << 53))


def hits(draws: ch.U64, rate: float) -> npt.NDArray[np.int64]:
    """The places of those that are hit with probability `rate`."""
    return np.flatnonzero((draws >> np.uint64(11)) < _threshold(rate))


def tokens(points: ch.U32, offsets: ch.I64, *, white_apart: bool) -> tuple[ch.I64, ch.I64]:
    """Begins of words, and the offsets of documents in them. A word is a run without white space, or one
    character of a script without spaces (or its punctuation). White space is apart, or belongs to the word
    before it."""
    kinds = ch.classes()[points]
    white = (kinds & ch.SPACE) > 0
    single = ((kinds & ch.UNSPACED) > 0) | (((kinds & ch.PUNCTUATION) > 0) & ((kinds & ch.WIDE) > 0))
    begins = np.ones(len(points), dtype=bool)
    if len(points):
        begins[1:] = single[1:] | single[:-1] | (white[:-1] != white[1:])
        if not white_apart:
            begins &= ~white
        else:
            begins[1:] |= white[1:]
    begins[offsets[:-1][np.diff(offsets) > 0]] = True
    at = np.flatnonzero(begins)
    return at, np.searchsorted(at, offsets)


def lengths_of(begins: ch.I64, total: int) -> ch.I64:
    """How long each piece is, of pieces that follow one another."""
    return np.diff(begins, append=total)


def put_together(points: ch.U32, begins: ch.I64, lengths: ch.I64, documents_in: ch.I64) -> tuple[ch.U32, ch.I64]:
    """The pieces one after another, and the documents' offsets in characters."""
    ends = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ch.gather(points, begins, lengths), ends[documents_in]


def put_from(
    points: ch.U32, others: ch.U32, begins: ch.I64, lengths: ch.I64, documents_in: ch.I64
) -> tuple[ch.U32, ch.I64]:
    """`put_together` of pieces of two arrays, as if the second stood behind the first: what is large is not copied for
    the sake of a few pieces of it."""
    ends = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    made = np.empty(ends[-1], dtype=np.uint32)
    _copy(points, others, begins, ends, made)
    return made, ends[documents_in]


@compiled
def _copy(points: Any, others: Any, begins: Any, ends: Any, made: Any) -> None:
    n = len(points)
    for i in range(len(begins)):
        at = begins[i]
        if at < n:
            for j in range(ends[i], ends[i + 1]):
                made[j] = points[at + j - ends[i]]
        else:
            for j in range(ends[i], ends[i + 1]):
                made[j] = others[at - n + j - ends[i]]


def line_spans(points: ch.U32, offsets: ch.I64) -> tuple[ch.I64, ch.I64, ch.I64]:
    """Every line of every document: begin, end (without its line end) and document. Empty documents have
    none."""
    ends = np.flatnonzero(points == 0x0A)
    full = np.flatnonzero(np.diff(offsets) > 0)
    begins = np.union1d(offsets[full], ends + 1)
    document = np.searchsorted(offsets, begins, side="right") - 1
    # A line end that closes a document opens the next document's first line, which union1d has merged with
    # it.
    inside = begins < len(points)
    begins, document = begins[inside], document[inside]
    stop = np.append(begins[1:], len(points)) if len(begins) else begins
    closed = (stop > begins) & (points[np.maximum(stop - 1, 0)] == 0x0A)
    return begins, stop - closed, document


def kept_points(points: ch.U32, offsets: ch.I64, keep: Bools) -> tuple[ch.U32, ch.I64]:
    """Only some of the code points."""
    ends = np.zeros(len(points) + 1, dtype=np.int64)
    np.cumsum(keep, out=ends[1:])
    return points[keep], ends[offsets]


class Edits(NamedTuple):
    """Stretches [begin, begin + length) of code points and the snippet that takes the place of each: sorted by
    document and place, not overlapping."""

    document: ch.I64
    begins: ch.I64
    lengths: ch.I64
    snippets: ch.I64


def spliced(points: ch.U32, offsets: ch.I64, edits: Edits, snippets: tuple[ch.U32, ch.I64]) -> tuple[ch.U32, ch.I64]:
    """Texts after edits. `snippets` are texts as `characters.points_of` gives them."""
    texts, places = snippets
    widths = np.diff(places)[edits.snippets]
    begins = np.zeros(2 * len(widths) + 1, dtype=np.int64)
    lengths = np.empty(2 * len(widths) + 1, dtype=np.int64)
    begins[2::2] = edits.begins + edits.lengths
    lengths[0::2] = np.append(edits.begins, len(points)) - begins[0::2]
    begins[1::2], lengths[1::2] = len(points) + places[:-1][edits.snippets], widths
    grown = np.zeros(len(offsets), dtype=np.int64)
    np.add.at(grown, edits.document + 1, widths - edits.lengths)
    return put_from(points, texts, begins, lengths, np.arange(1))[0], offsets + np.cumsum(grown)


def mostly_han(points: ch.U32, offsets: ch.I64) -> Bools:
    """Whether a document is mostly in a script without spaces: a third of its letters."""
    kinds = ch.classes()[points]
    return ch.sums((kinds & ch.UNSPACED) > 0, offsets) * 3 > ch.sums((kinds & ch.LETTER) > 0, offsets)


def compared(before: Texts, after: Texts) -> tuple[Bools, ch.I64, ch.I64]:
    """Of each document: whether its text differs, how many of its characters are gone, and how many came in; both as
    bags, so that what only moved counts as neither."""
    (points, offsets), (made, places) = before.points, after.points
    differs = np.zeros(len(offsets) - 1, dtype=bool)
    gone, came = (np.zeros(len(offsets) - 1, dtype=np.int64) for _ in range(2))
    if after is not before:
        _compare(points, offsets, made, places, np.zeros(0x110000, dtype=np.int32), differs, gone, came)
    return differs, gone, came


@compiled
def _compare(points: Any, offsets: Any, made: Any, places: Any, bag: Any, differs: Any, gone: Any, came: Any) -> None:
    for d in range(len(offsets) - 1):
        begin, end, first, last = offsets[d], offsets[d + 1], places[d], places[d + 1]
        same = end - begin == last - first
        i = 0
        while same and i < end - begin:
            same = points[begin + i] == made[first + i]
            i += 1
        if same:
            continue
        differs[d] = True
        for i in range(begin, end):
            bag[points[i]] += 1
        for i in range(first, last):
            bag[made[i]] -= 1
        for i in range(begin, end):
            if bag[points[i]] > 0:
                gone[d] += bag[points[i]]
                bag[points[i]] = 0
        for i in range(first, last):
            if bag[made[i]] < 0:
                came[d] -= bag[made[i]]
                bag[made[i]] = 0


def together(batches: Sequence[pa.RecordBatch], schema: pa.Schema = documents.DOCUMENTS) -> pa.RecordBatch:
    """Batches as one."""
    found = pa.Table.from_batches([one.cast(schema) for one in batches], schema).combine_chunks().to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], schema)


def in_rows(old: pa.RecordBatch, rows: ch.I64, new: pa.RecordBatch, at: ch.I64, schema: pa.Schema) -> pa.RecordBatch:
    """Documents that stand in some rows, and new ones at others: at the same row they come behind."""
    order = np.argsort(np.concatenate([rows, at]), kind="stable")
    return together([old, new], schema).take(pa.array(order))


def altered_by(batch: pa.RecordBatch, kernel: Kernel, seed: int, variant: str) -> pa.RecordBatch:
    """An altered copy of every document."""

    def made(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        return *kernel(points, offsets, seeds), []

    return told_by(batch, made, seed, variant)[0]


def told_by(batch: pa.RecordBatch, kernel: Telling, seed: int, variant: str) -> tuple[pa.RecordBatch, list[str]]:
    """An altered copy of every document, and what the kernel says that it did to each."""
    made: list[pa.RecordBatch] = []
    told: list[str] = []
    for part in ch.slices(batch):
        points, offsets = ch.points_of(part.column("text"))
        changed, ends, what = kernel(part, points, offsets, seeds(part.column("content_hash"), seed))
        made.append(documents.altered(part, ch.text_of(changed, ends), variant))
        told += what
    return (together(made) if made else batch), told


def replaced(batch: pa.RecordBatch, text: pa.Array, changed: Bools, variant: str) -> pa.RecordBatch:
    """The documents in their order, those that are `changed` as altered copies with the text at the same place."""
    if not changed.any():
        return batch
    mask = pa.array(changed)
    copies = documents.altered(batch.filter(mask), text.filter(mask), variant)
    rest = batch.filter(pa.array(~changed))
    return in_rows(rest, np.flatnonzero(~changed), copies, np.flatnonzero(changed), documents.DOCUMENTS)
