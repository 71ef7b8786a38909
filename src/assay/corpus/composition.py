"""Signals of single characters and of stretches of them: what a document is made of, and how alike its pieces are.

Shares are of characters, in [0, 1], and 0 for an empty document; all classes are Unicode's, so that Chinese punctuation
is punctuation and a Chinese character a letter.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import characters as ch
from assay.corpus import words as w
from assay.corpus.quality import Columns, ratio
from assay.corpus.texts import Texts

_COMPRESSED = 4 << 10
_WINDOWS = {"repeated_10chars": 10, "repeated_13chars": 13}
_DOCUMENT_BITS = 20  # more documents than a slice of 256 KiB can hold


def composition(texts: Texts) -> Columns:
    """The columns of this group, the compression aside."""
    table = ch.counts(ch.classes()[texts.points], texts.offsets)
    values = np.arange(256)

    def count(bits: int) -> npt.NDArray[np.int64]:
        return table[:, (values & bits) > 0].sum(axis=1)

    space = count(ch.SPACE) - 1  # the newline after each document is not its own
    capitals = ch.sums((texts.kinds & (w.UPPER | w.LOWER)) == w.UPPER, texts.offsets)
    columns: Columns = {
        "n_chars": texts.chars,
        "n_visible": texts.chars - space,
        "letters": ratio(count(ch.LETTER), texts.chars),
        "capitals": ratio(capitals, texts.chars),
        "unspaced": ratio(count(ch.UNSPACED), texts.chars),
        "digits": ratio(count(ch.DIGIT), texts.chars),
        "punctuation": ratio(count(ch.PUNCTUATION), texts.chars),
        "whitespace": ratio(space, texts.chars),
        "special_characters": ratio(count(ch.PUNCTUATION | ch.DIGIT) + space, texts.chars),
        "non_ascii": ratio(count(ch.WIDE), texts.chars),
    }
    for name, width in _WINDOWS.items():
        columns[name], top = _repeated_windows(texts, width)
        if width == 10:
            columns["top_10chars"] = top
    return columns


def _repeated_windows(texts: Texts, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Two shares of the windows of so many characters: those that stand in their document more than once; and those of
    the most frequent kinds, as many as the square root of the number of kinds (Data-Juicer's character repetition)."""
    total = np.maximum(texts.chars - width + 1, 0)
    begins = ch.ranges(texts.offsets[:-1], total)
    # Document above, hash below: one sort brings equal windows of one document together.
    key = texts.rolling.windows(width)[begins] >> np.uint64(_DOCUMENT_BITS)
    key |= np.repeat(np.arange(texts.n, dtype=np.uint64), total) << np.uint64(64 - _DOCUMENT_BITS)
    key.sort()
    new = np.ones(len(key), dtype=bool)
    new[1:] = key[1:] != key[:-1]
    starts = np.flatnonzero(new)
    size = np.diff(np.append(starts, len(key)))
    document = (key[starts] >> np.uint64(64 - _DOCUMENT_BITS)).astype(np.int64)
    kinds = texts.per_document(document)
    several = size > 1
    size, document = size[several], document[several]
    order = np.lexsort((-size, document))
    size, document = size[order], document[order]
    rank = np.arange(len(document)) - np.searchsorted(document, document)
    top = rank < np.sqrt(kinds).astype(np.int64)[document]
    return (
        ratio(texts.per_document(document, size), total),
        ratio(texts.per_document(document[top], size[top]), total),
    )


def compression(text: pa.Array) -> npt.NDArray[np.float32]:
    """Deflated over plain size of each document's first 4 KiB (raw deflate, level 1): repetitive text is low."""
    ratios = np.ones(len(text), dtype=np.float32)
    for i, value in enumerate(text):  # zlib has no batch form; a small window makes starting it cheap
        data = memoryview(value.as_buffer())[:_COMPRESSED]
        if len(data):
            packer = zlib.compressobj(1, zlib.DEFLATED, -12, 5)
            ratios[i] = (len(packer.compress(data)) + len(packer.flush())) / len(data)
    return ratios
