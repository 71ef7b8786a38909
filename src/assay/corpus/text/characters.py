"""Batches of text as flat arrays of code points: what signals, language, duplicates and defects share.

    Arrow text column -> one uint32 array of code points + document offsets
                      -> look-up tables over all of Unicode (class, script, folded form)
                      -> sums per document, hashes of stretches, segments gathered in a new order
                      -> an Arrow text column again

Everything is a pure function and works on whole batches: no loop over documents or characters.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from assay.corpus.text.compiled import compiled, spelled
from assay.corpus.text.kept import Arrays, kept

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

LETTER, DIGIT, PUNCTUATION, SPACE, MARK, UNSPACED, WIDE = 1, 2, 4, 8, 16, 32, 64
"""Bits of `classes()`: WIDE is everything beyond ASCII; UNSPACED letters belong to scripts that put no
spaces between words (Han, kana, Thai...)."""

_NAMED = """
    LATIN:Latn GREEK:Grek CYRILLIC:Cyrl ARMENIAN:Armn HEBREW:Hebr ARABIC:Arab SYRIAC:Syrc THAANA:Thaa
    DEVANAGARI:Deva BENGALI:Beng GURMUKHI:Guru GUJARATI:Gujr ORIYA:Orya TAMIL:Taml TELUGU:Telu
    KANNADA:Knda MALAYALAM:Mlym SINHALA:Sinh THAI:Thai LAO:Laoo TIBETAN:Tibt MYANMAR:Mymr GEORGIAN:Geor
    HANGUL:Hang ETHIOPIC:Ethi CHEROKEE:Cher KHMER:Khmr MONGOLIAN:Mong HIRAGANA:Hira KATAKANA:Kana
    BOPOMOFO:Bopo CJK:Hani YI:Yiii COPTIC:Copt GOTHIC:Goth RUNIC:Runr TIFINAGH:Tfng JAVANESE:Java
    """
_SCRIPT_WORDS = dict(pair.split(":") for pair in _NAMED.split())
SCRIPTS: tuple[str, ...] = ("Zyyy", *dict.fromkeys(_SCRIPT_WORDS.values()))
"""ISO 15924 codes; the index is what `scripts()` holds. Zyyy (0) is everything without a script of its
own."""
_WITHOUT_SPACES = {"Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Yiii"}


def points_of(text: pa.Array) -> tuple[U32, I64]:
    """Code points of a string column, end to end, and the offsets of the documents in them (n + 1)."""
    large = text.cast(pa.large_string())
    offsets = np.frombuffer(large.buffers()[1], dtype=np.int64)[large.offset : large.offset + len(large) + 1]
    data = large.buffers()[2]
    raw = memoryview(data)[offsets[0] : offsets[-1]] if data is not None else memoryview(b"")
    octets = np.frombuffer(raw, dtype=np.uint8)
    begins = offsets - offsets[0]
    count = int(np.count_nonzero((octets & 0xC0) != 0x80))  # a code point begins at every byte that is not 10xxxxxx
    if count == len(octets):  # plain ASCII
        return octets.astype(np.uint32), begins
    points, places = np.empty(count, dtype=np.uint32), np.empty(len(begins), dtype=np.int64)
    _decode(octets, begins, points, places)
    return points, places


@compiled
def _decode(octets: Any, begins: Any, points: Any, places: Any) -> None:
    """Well-formed UTF-8 to code points, and offsets of documents in bytes to those in code points."""
    n = 0
    for d in range(len(begins) - 1):
        places[d] = n
        i, end = begins[d], begins[d + 1]
        while i < end:
            lead = np.uint32(octets[i])
            size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            point = lead if size == 1 else lead & np.uint32(0xFF >> (size + 1))
            for j in range(i + 1, i + size):
                point = point << np.uint32(6) | np.uint32(octets[j] & 0x3F)
            points[n] = point
            n += 1
            i += size
    places[len(begins) - 1] = n


def text_of(points: U32, offsets: I64) -> pa.LargeStringArray:
    """The inverse of `points_of`."""
    data = points.astype("<u4", copy=False).tobytes().decode("utf-32-le").encode("utf-8")
    widths = np.ones(len(points), dtype=np.uint8)
    for bound in (0x80, 0x800, 0x10000):
        widths += points >= bound
    ends = np.zeros(len(points) + 1, dtype=np.int64)
    np.cumsum(widths, out=ends[1:])
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(ends[offsets].tobytes()), pa.py_buffer(data))


def slices(batch: pa.RecordBatch, chars: int = 1 << 18) -> Iterator[pa.RecordBatch]:
    """The batch in runs of documents of about `chars` bytes of text: temporaries that stay in the
    processor's cache make every kernel here some four times as fast as on whole batches."""
    sizes = pc.binary_length(batch.column("text").cast(pa.large_string())).to_numpy(zero_copy_only=False)
    group = np.cumsum(sizes) // chars
    cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(sizes)]
    for begin, end in pairwise(cuts):
        if end > begin:
            yield batch.slice(begin, end - begin)


_PLANES = [*range(0x40000), *range(0xE0000, 0xE1000)]
"""Where Unicode has characters: what lies beyond is not assigned, or for private use."""


@lru_cache(maxsize=1)
def _tables() -> Arrays:
    return kept("characters", [1, unicodedata.unidata_version, _NAMED], _made)


def _made() -> Arrays:
    size = sys.maxunicode + 1
    classes = np.zeros(size, dtype=np.uint8)
    scripts = np.zeros(size, dtype=np.uint8)
    numbers = {code: number for number, code in enumerate(SCRIPTS)}
    category, name = unicodedata.category, unicodedata.name
    bits = {"L": LETTER, "N": DIGIT, "P": PUNCTUATION, "S": PUNCTUATION, "Z": SPACE, "M": MARK}
    for point in _PLANES:
        char = chr(point)
        kind = category(char)[0]
        bit = bits.get(kind, 0)
        if not bit:
            continue
        classes[point] = bit
        if kind in "LM":
            words = name(char, "").split(" ", 2)
            width = words[0] in ("FULLWIDTH", "HALFWIDTH") and len(words) > 1
            code = _SCRIPT_WORDS.get(words[1] if width else words[0])
            if code:
                scripts[point] = numbers[code]
                if code in _WITHOUT_SPACES:
                    classes[point] |= UNSPACED
    for point in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85):
        classes[point] = SPACE
    lowered = np.arange(size, dtype=np.uint32)
    for point in np.flatnonzero(classes & LETTER).tolist():
        lower = chr(point).lower()
        if len(lower) == 1:
            lowered[point] = ord(lower)
    classes[0x80:] |= WIDE
    return {"classes": classes, "scripts": scripts, "lowered": lowered}


def classes() -> U8:
    """Class bits of every code point, from Unicode's general categories (symbols count as punctuation)."""
    return _tables()["classes"]


@lru_cache(maxsize=1)
def unspaced() -> U8:
    """1 for every letter of a script that puts no spaces between words, else 0."""
    return ((classes() & UNSPACED) > 0).astype(np.uint8)


def scripts() -> U8:
    """Script of every letter as an index into SCRIPTS, from the first word of its Unicode name."""
    return _tables()["scripts"]


def lowered() -> U32:
    """Every code point in lower case, where that is one code point."""
    return _tables()["lowered"]


@lru_cache(maxsize=1)
def folded() -> U32:
    """Every code point in lower case (one to one), full-width forms as their plain ones; 0 where it is no
    letter, digit or mark: what near-duplicate detection compares."""
    table = lowered().copy()
    table[0xFF10:0xFF1A] = np.arange(0x30, 0x3A)
    table[0xFF21:0xFF3B] = np.arange(0x61, 0x7B)
    table[0xFF41:0xFF5B] = np.arange(0x61, 0x7B)
    table[(classes() & (LETTER | DIGIT | MARK)) == 0] = 0
    return table


def sums(values: npt.NDArray[np.generic], offsets: I64) -> I64:
    """Sum of `values` (booleans or integers) over each [offsets[i], offsets[i + 1])."""
    total = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=total[1:], dtype=np.int64)
    return total[offsets[1:]] - total[offsets[:-1]]


def owner(offsets: I64) -> npt.NDArray[np.int64]:
    """The document of every code point."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))


def mix(values: U64) -> U64:
    """SplitMix64's next output (Steele, Lea, Flood 2014): a bijection of 64-bit words that scatters them; within
    compiled loops `compiled.mixed`, which leaves out the increment."""
    x = values + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def stretches(points: U32, begins: I64, ends: I64) -> U64:
    """One 64-bit hash for each [begin, end): equal text gives equal hashes, wherever it stands.

    The polynomial in BASE of code points and one, modulo 2^64 (Karp and Rabin 1987). Its low bits are poor: `mix`
    before they are used alone.
    """
    made = np.empty(len(begins), dtype=np.uint64)
    _spell(points, begins, ends, made)
    return made


@compiled
def _spell(points: Any, begins: Any, ends: Any, made: Any) -> None:
    for k in range(len(begins)):
        made[k] = spelled(points, begins[k], ends[k])


def ranges(begins: I64, lengths: I64) -> I64:
    """begin, begin + 1, ..., begin + length - 1 for each, end to end."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - (ends - lengths), lengths)


def gather(points: U32, begins: I64, lengths: I64) -> U32:
    """The segments [begin, begin + length) one after another, in the order given."""
    return points[ranges(begins, lengths)]
