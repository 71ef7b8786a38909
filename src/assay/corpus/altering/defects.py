"""Damage on purpose: altered copies of documents, for measuring what a defect costs.

    documents batch -> code points -> edits drawn from a hash of (document's content, position, seed) ->
    altered batch

Draws depend on nothing else, so the copies are the same however documents are batched or ordered. Every copy
has its own id and content hash, its parent's id, and the rest of its parent's fields. Characters that noise
brings in are the document's own, and a Chinese character counts as a word, so that the same dose means the
same in any script.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.text import characters as ch

_LEAST_LINES = 20  # of a document that loses a line in a near-duplicate copy
_SUBSTITUTE, _DELETE, _INSERT, _SWAP = range(4)
Kernel = Callable[[ch.U32, ch.I64, ch.U64], tuple[ch.U32, ch.I64]]


def character_noise(batch: pa.RecordBatch, rate: float, seed: int) -> pa.RecordBatch:
    """Each character is damaged with probability `rate`: substituted, deleted, followed by an insertion, or
    swapped with its right neighbour, in equal parts.

    Args:
        batch: documents.
        rate: share of characters, 0 to 1.
        seed: another seed damages other places.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}, not within 0 and 1")

    def kernel(points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64]:
        return _noised(points, offsets, seeds, rate)

    return _altered(batch, kernel, seed, f"character_noise {rate!r} {seed}")


def near_duplicates(batch: pa.RecordBatch, copies: int, edit_rate: float, seed: int) -> pa.RecordBatch:
    """`copies` lightly edited copies of every document, all first copies before all second ones.

    Each word (Chinese: character) is, with probability `edit_rate`, dropped or swapped with the next one; a
    document of 20 lines or more loses one line as well.
    """
    if not 0 <= edit_rate <= 1 or copies < 1:
        raise ValueError(f"copies is {copies}, edit_rate {edit_rate}: wanted at least 1, and within 0 and 1")

    def kernel(points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64]:
        return _edited(points, offsets, seeds, edit_rate)

    made = [
        _altered(batch, kernel, seed * 1_000_003 + copy, f"near_duplicate {edit_rate!r} {seed} {copy}")
        for copy in range(copies)
    ]
    return pa.Table.from_batches(made, documents.DOCUMENTS).combine_chunks().to_batches()[0] if len(batch) else batch


def shuffle_words(batch: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Words (Chinese: characters, with the punctuation) in random order within each line; white space
    stays."""
    return _altered(batch, _shuffled, seed, f"shuffle_words {seed}")


def _altered(batch: pa.RecordBatch, kernel: Kernel, seed: int, variant: str) -> pa.RecordBatch:
    made = []
    for part in ch.slices(batch):
        points, offsets = ch.points_of(part.column("text"))
        changed, ends = kernel(points, offsets, _seeds(part.column("content_hash"), seed))
        made.append(documents.altered(part, ch.text_of(changed, ends), variant))
    if not made:
        return batch
    return pa.Table.from_batches(made, documents.DOCUMENTS).combine_chunks().to_batches()[0]


def _seeds(hashes: pa.Array, seed: int) -> ch.U64:
    return ch.mix(documents.keys(hashes) ^ ch.mix(np.array([seed % (1 << 64)], dtype=np.uint64)))


def _draws(seeds: ch.U64, offsets: ch.I64, stream: int) -> ch.U64:
    """64 random bits for each element: a counter-based generator (splitmix64) started by its document's
    seed."""
    count = np.diff(offsets)
    within = np.arange(offsets[-1], dtype=np.uint64) - np.repeat(offsets[:-1].astype(np.uint64), count)
    starts = np.repeat(seeds + np.uint64(stream * 0xBF58476D1CE4E5B9 % (1 << 64)), count)
    return ch.mix(starts + within * np.uint64(0x9E3779B97F4A7C15))


def _threshold(rate: float) -> np.uint64:
    return np.uint64(min(int(rate * 2.0**53), 1 << 53))


def _hits(draws: ch.U64, rate: float) -> npt.NDArray[np.int64]:
    return np.flatnonzero((draws >> np.uint64(11)) < _threshold(rate))


def _noised(points: ch.U32, offsets: ch.I64, seeds: ch.U64, rate: float) -> tuple[ch.U32, ch.I64]:
    draws = _draws(seeds, offsets, 1)
    hit = _hits(draws, rate)
    document = np.searchsorted(offsets, hit, side="right") - 1
    more = ch.mix(draws[hit])
    action = (more >> np.uint64(62)).astype(np.int64)
    length = (offsets[document + 1] - offsets[document]).astype(np.uint64)
    donor = points[offsets[document] + (ch.mix(more) % length).astype(np.int64)]
    again = points[offsets[document] + (ch.mix(more + np.uint64(1)) % length).astype(np.int64)]
    donor = np.where(donor == points[hit], again, donor)  # a second draw where the first would change nothing
    # A swap whose neighbour is damaged too, or lies in the next document, becomes a substitution.
    alone = np.append(np.diff(hit) > 1, True) & (hit + 1 < offsets[document + 1])
    action = np.where((action == _SWAP) & ~alone, _SUBSTITUTE, action)
    changed = points.copy()
    swap = hit[action == _SWAP]
    changed[swap], changed[swap + 1] = points[swap + 1], points[swap]
    put = action == _SUBSTITUTE
    changed[hit[put]] = donor[put]
    width = np.ones(len(points), dtype=np.int64)
    width[hit[action == _DELETE]] = 0
    insert = action == _INSERT
    width[hit[insert]] = 2
    ends = np.zeros(len(points) + 1, dtype=np.int64)
    np.cumsum(width, out=ends[1:])
    result = np.repeat(changed, width)
    result[ends[hit[insert] + 1] - 1] = donor[insert]
    return result, ends[offsets]


def _tokens(points: ch.U32, offsets: ch.I64, *, white_apart: bool) -> tuple[ch.I64, ch.I64]:
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


def _lengths(begins: ch.I64, total: int) -> ch.I64:
    return np.diff(begins, append=total)


def _put_together(points: ch.U32, begins: ch.I64, lengths: ch.I64, documents_in: ch.I64) -> tuple[ch.U32, ch.I64]:
    """The words one after another, and the documents' offsets in characters."""
    ends = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ch.gather(points, begins, lengths), ends[documents_in]


def _edited(points: ch.U32, offsets: ch.I64, seeds: ch.U64, rate: float) -> tuple[ch.U32, ch.I64]:
    points, offsets = _without_a_line(points, offsets, seeds)
    begins, words = _tokens(points, offsets, white_apart=False)
    draws = _draws(seeds, words, 2)
    hit = _hits(draws, rate)
    document = np.searchsorted(words, hit, side="right") - 1
    drop = (ch.mix(draws[hit]) >> np.uint64(63)) == 0
    drop &= words[document + 1] - words[document] > 1  # an only word stays
    alone = np.append(np.diff(hit) > 1, True) & (hit + 1 < words[document + 1])
    swap = hit[~drop & alone]
    order = np.arange(len(begins), dtype=np.int64)
    order[swap], order[swap + 1] = swap + 1, swap.copy()
    lengths = _lengths(begins, len(points))[order]
    lengths[hit[drop]] = 0
    return _put_together(points, begins[order], lengths, words)


def _line_spans(points: ch.U32, offsets: ch.I64) -> tuple[ch.I64, ch.I64, ch.I64]:
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


def _without_a_line(points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64]:
    begins, _, document = _line_spans(points, offsets)
    first = np.searchsorted(document, np.arange(len(offsets)))
    count = np.diff(first)
    long = np.flatnonzero(count >= _LEAST_LINES)
    chosen = first[long] + (ch.mix(seeds[long] + np.uint64(7)) % count[long].astype(np.uint64)).astype(np.int64)
    lengths = _lengths(begins, len(points))
    lengths[chosen] = 0
    return _put_together(points, begins, lengths, first)


def _shuffled(points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64]:
    begins, words = _tokens(points, offsets, white_apart=True)
    if not len(begins):
        return points, offsets
    lengths = _lengths(begins, len(points))
    white = (ch.classes()[points[begins]] & ch.SPACE) > 0
    line = np.cumsum((points[begins] == 0x0A) | np.isin(begins, offsets))
    solid = np.flatnonzero(~white)
    # Words sorted by (line, random number) fill the places of words, in order: white space keeps its own.
    shuffled = solid[np.lexsort((_draws(seeds, words, 3)[solid], line[solid]))]
    order = np.arange(len(begins), dtype=np.int64)
    order[solid] = shuffled
    return _put_together(points, begins[order], lengths[order], words)
