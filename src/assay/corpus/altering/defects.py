"""Damage on purpose: altered copies of documents, for measuring what a defect costs.

    documents batch -> code points -> edits drawn from a hash of (document's content, position, seed) ->
    altered batch

Draws depend on nothing else, so the copies are the same however documents are batched or ordered. Every copy
has its own id and content hash, its parent's id, and the rest of its parent's fields. Characters that noise
brings in are the document's own, and a Chinese character counts as a word, so that the same dose means the
same in any script.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering.edits import altered_by, draws, hits, lengths_of, line_spans, put_together, tokens
from assay.corpus.text import characters as ch

_LEAST_LINES = 20  # of a document that loses a line in a near-duplicate copy
_SUBSTITUTE, _DELETE, _INSERT, _SWAP = range(4)


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

    return altered_by(batch, kernel, seed, f"character_noise {rate!r} {seed}")


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
        altered_by(batch, kernel, seed * 1_000_003 + copy, f"near_duplicate {edit_rate!r} {seed} {copy}")
        for copy in range(copies)
    ]
    return pa.Table.from_batches(made, documents.DOCUMENTS).combine_chunks().to_batches()[0] if len(batch) else batch


def shuffle_words(batch: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Words (Chinese: characters, with the punctuation) in random order within each line; white space
    stays."""
    return altered_by(batch, _shuffled, seed, f"shuffle_words {seed}")


def _noised(points: ch.U32, offsets: ch.I64, seeds: ch.U64, rate: float) -> tuple[ch.U32, ch.I64]:
    drawn = draws(seeds, offsets, 1)
    hit = hits(drawn, rate)
    document = np.searchsorted(offsets, hit, side="right") - 1
    more = ch.mix(drawn[hit])
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


def _edited(points: ch.U32, offsets: ch.I64, seeds: ch.U64, rate: float) -> tuple[ch.U32, ch.I64]:
    points, offsets = _without_a_line(points, offsets, seeds)
    begins, words = tokens(points, offsets, white_apart=False)
    drawn = draws(seeds, words, 2)
    hit = hits(drawn, rate)
    document = np.searchsorted(words, hit, side="right") - 1
    drop = (ch.mix(drawn[hit]) >> np.uint64(63)) == 0
    drop &= words[document + 1] - words[document] > 1  # an only word stays
    alone = np.append(np.diff(hit) > 1, True) & (hit + 1 < words[document + 1])
    swap = hit[~drop & alone]
    order = np.arange(len(begins), dtype=np.int64)
    order[swap], order[swap + 1] = swap + 1, swap.copy()
    lengths = lengths_of(begins, len(points))[order]
    lengths[hit[drop]] = 0
    return put_together(points, begins[order], lengths, words)


def _without_a_line(points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64]:
    begins, _, document = line_spans(points, offsets)
    first = np.searchsorted(document, np.arange(len(offsets)))
    count = np.diff(first)
    long = np.flatnonzero(count >= _LEAST_LINES)
    chosen = first[long] + (ch.mix(seeds[long] + np.uint64(7)) % count[long].astype(np.uint64)).astype(np.int64)
    lengths = lengths_of(begins, len(points))
    lengths[chosen] = 0
    return put_together(points, begins, lengths, first)


def _shuffled(points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64]:
    begins, words = tokens(points, offsets, white_apart=True)
    if not len(begins):
        return points, offsets
    lengths = lengths_of(begins, len(points))
    white = (ch.classes()[points[begins]] & ch.SPACE) > 0
    line = np.cumsum((points[begins] == 0x0A) | np.isin(begins, offsets))
    solid = np.flatnonzero(~white)
    # Words sorted by (line, random number) fill the places of words, in order: white space keeps its own.
    shuffled = solid[np.lexsort((draws(seeds, words, 3)[solid], line[solid]))]
    order = np.arange(len(begins), dtype=np.int64)
    order[solid] = shuffled
    return put_together(points, begins[order], lengths[order], words)
