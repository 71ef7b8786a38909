"""Signals of a document that cost one pass: computed once, stored beside it, thresholded later (or never).

    documents batch -> code points -> class bits -> counts per document -> shares and means

All rules know all of Unicode: Chinese punctuation is punctuation, and a Chinese character counts as a word
of its own, so that "words" means something in both. Shares are of characters, in [0, 1], and 0 for an empty
document.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import characters as ch

SIGNALS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("n_chars", pa.int64()),
        pa.field("n_words", pa.int64()),
        pa.field("mean_word_length", pa.float32()),
        pa.field("letters", pa.float32()),
        pa.field("digits", pa.float32()),
        pa.field("punctuation", pa.float32()),
        pa.field("whitespace", pa.float32()),
        pa.field("non_ascii", pa.float32()),
        pa.field("n_lines", pa.int64()),
        pa.field("duplicate_lines", pa.float32()),
        pa.field("repeated_10grams", pa.float32()),
        pa.field("compression", pa.float32()),
    ]
)
"""duplicate_lines: share of characters in lines that repeat an earlier line of the document.
repeated_10grams: share of 10-character windows that stand in the document more than once.
compression: deflated size of the first 4 KiB over their size; repetitive text is low."""

_WINDOW = 10
_DOCUMENT_BITS = 20  # more documents than a slice of 256 KiB can hold
_COMPRESSED = 4 << 10
_WORD = 128  # the bit that no class uses: a word begins here
_WORD_CHARS = ch.LETTER | ch.DIGIT | ch.MARK


def signals(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The signals of a documents batch (needs the columns doc_id and text)."""
    parts = [_signals(part) for part in ch.slices(batch)]
    return pa.Table.from_batches(parts, SIGNALS).combine_chunks().to_batches()[0] if parts else _nothing()


def _nothing() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=SIGNALS)


def _signals(batch: pa.RecordBatch) -> pa.RecordBatch:
    text = batch.column("text")
    points, offsets = ch.points_of(text)
    kinds = ch.classes()[points]
    chars = np.diff(offsets)
    begins = word_begins(points, kinds, offsets)
    table = ch.counts(kinds | (begins.astype(np.uint8) << np.uint8(7)), offsets)
    values = np.arange(256)

    def count(bits: int) -> npt.NDArray[np.int64]:
        return table[:, (values & bits) > 0].sum(axis=1)

    def share(number: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return (number / np.maximum(chars, 1)).astype(np.float32)

    words, rolling = count(_WORD), ch.Rolling(points)
    lines, repeated = _lines(points, kinds, offsets, rolling)
    columns = {
        "doc_id": batch.column("doc_id"),
        "n_chars": chars,
        "n_words": words,
        "mean_word_length": (count(_WORD_CHARS) / np.maximum(words, 1)).astype(np.float32),
        "letters": share(count(ch.LETTER)),
        "digits": share(count(ch.DIGIT)),
        "punctuation": share(count(ch.PUNCTUATION)),
        "whitespace": share(count(ch.SPACE)),
        "non_ascii": share(count(ch.WIDE)),
        "n_lines": lines,
        "duplicate_lines": share(repeated),
        "repeated_10grams": _repeated_windows(rolling, offsets),
        "compression": compression(text),
    }
    return pa.record_batch([pa.array(columns[f.name], f.type) for f in SIGNALS], schema=SIGNALS)


def word_begins(points: ch.U32, kinds: ch.U8, offsets: ch.I64) -> npt.NDArray[np.bool_]:
    """Where words begin: runs of letters, digits, marks and inner apostrophes; each unspaced letter is a
    word."""
    inside = (kinds & _WORD_CHARS) > 0
    joined = inside & ((kinds & ch.UNSPACED) == 0)
    apostrophe = (points == 0x27) | (points == 0x2019)
    joined[1:] |= apostrophe[1:] & joined[:-1]
    begins = inside.copy()
    begins[1:] &= ~(joined[1:] & joined[:-1])
    starts = offsets[:-1][np.diff(offsets) > 0]
    begins[starts] = inside[starts]
    return begins


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


def _lines(
    points: ch.U32, kinds: ch.U8, offsets: ch.I64, rolling: ch.Rolling
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lines per document, and the characters in non-blank lines that repeat an earlier line of the same
    document."""
    count = len(offsets) - 1
    begins, ends, document = line_spans(points, offsets)
    lines = np.bincount(document, minlength=count)
    visible = np.flatnonzero((kinds & ch.SPACE) == 0)
    solid = np.searchsorted(visible, ends) > np.searchsorted(visible, begins)
    begins, ends, document = begins[solid], ends[solid], document[solid]
    key = rolling.stretches(begins, ends) ^ ch.mix(document.astype(np.uint64))
    _, first = np.unique(key, return_index=True)
    again = np.ones(len(key), dtype=bool)
    again[first] = False
    repeated = np.bincount(document[again], weights=(ends - begins)[again], minlength=count)
    return lines.astype(np.int64), repeated.astype(np.int64)


def _repeated_windows(rolling: ch.Rolling, offsets: ch.I64) -> npt.NDArray[np.float32]:
    count = len(offsets) - 1
    total = np.maximum(np.diff(offsets) - _WINDOW + 1, 0)
    hashes = rolling.windows(_WINDOW)
    inside = np.ones(offsets[-1], dtype=bool)
    for back in range(1, _WINDOW):  # the windows that would run into the next document
        at = offsets[1:] - back
        inside[at[at >= offsets[:-1]]] = False
    # Document above, hash below: one sort brings equal windows of one document together.
    key = hashes[np.flatnonzero(inside)] >> np.uint64(_DOCUMENT_BITS)
    key |= np.repeat(np.arange(count, dtype=np.uint64), total) << np.uint64(64 - _DOCUMENT_BITS)
    key.sort()
    same = np.zeros(len(key) + 1, dtype=bool)
    same[1:-1] = key[1:] == key[:-1]
    document = (key[same[1:] | same[:-1]] >> np.uint64(64 - _DOCUMENT_BITS)).astype(np.int64)
    return (np.bincount(document, minlength=count) / np.maximum(total, 1)).astype(np.float32)


def compression(text: pa.Array) -> npt.NDArray[np.float32]:
    """Deflated over plain size of each document's first 4 KiB (raw deflate, level 1)."""
    ratios = np.ones(len(text), dtype=np.float32)
    for i, value in enumerate(text):  # zlib has no batch form; a small window makes starting it cheap
        data = memoryview(value.as_buffer())[:_COMPRESSED]
        if len(data):
            packer = zlib.compressobj(1, zlib.DEFLATED, -12, 5)
            ratios[i] = (len(packer.compress(data)) + len(packer.flush())) / len(data)
    return ratios
