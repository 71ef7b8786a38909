"""What near-duplicates are compared by: the shingles of a text, and the MinHash signature of their set.

    text -> folded code points (letters and digits alone, lower case)
         -> shingles: 24 characters (about 5 English words), or 5 where words are not spaced; a rolling hash of each
         -> MinHash by one-permutation hashing: each shingle falls into a bin, each bin keeps its smallest hash

Karp and Rabin 1987 (rolling hashes); Broder 1997 (MinHash); Li, Owen, Zhang 2012 (one permutation); Shrivastava 2017
(optimal densification of empty bins).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import BASE, compiled, inlined, mixed

BANDS, ROWS = 20, 6
VALUES = BANDS * ROWS
WINDOW, WINDOW_UNSPACED = 24, 5
"""Shingle widths in letters and digits; the second where at least a third of them are of scripts without spaces."""
_UNSPACED_SHARE = 1 / 3
_TRIES = 400
_VALUE_BITS = np.uint64(40)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


def shingles(text: pa.Array) -> tuple[ch.U64, ch.I64]:
    """Shingle hashes of every document, end to end, with repeats, and their offsets.

    A document shorter than one shingle has a single one, of all that it has (or of its raw text, if no letters)."""
    points, offsets = ch.points_of(text)
    folded, ends = np.empty(len(points), dtype=np.uint32), np.empty(len(offsets), dtype=np.int64)
    widths, made = np.empty(len(offsets) - 1, dtype=np.int64), np.empty(len(offsets), dtype=np.int64)
    _fold(points, offsets, ch.folded(), ch.unspaced(), folded, ends, widths, made)
    hashes = np.empty(made[-1], dtype=np.uint64)
    _roll(points, offsets, folded, ends, widths, made, hashes)
    return hashes, made


@compiled
def _fold(points: Any, offsets: Any, table: Any, unspaced: Any, folded: Any, ends: Any, widths: Any, made: Any) -> None:
    """What of each document is compared, its shingle width, and how many shingles it has."""
    n = 0
    ends[0] = made[0] = 0
    for d in range(len(offsets) - 1):
        wide = 0
        for i in range(offsets[d], offsets[d + 1]):
            point = table[points[i]]
            if point:
                folded[n] = point
                n += 1
                wide += unspaced[point]
        ends[d + 1] = n
        length = n - ends[d]
        widths[d] = WINDOW_UNSPACED if wide > _UNSPACED_SHARE * length else WINDOW
        made[d + 1] = made[d] + max(length - widths[d] + 1, 1)


@compiled
def _roll(points: Any, offsets: Any, folded: Any, ends: Any, widths: Any, made: Any, hashes: Any) -> None:
    """The hash of every shingle."""
    for d in range(len(widths)):
        begin, end, width, at = ends[d], ends[d + 1], widths[d], made[d]
        if begin == end:
            hashes[at] = mixed(_polynomial(points, offsets[d], offsets[d + 1]))
            continue
        first = min(begin + width, end)
        value = _polynomial(folded, begin, first)
        hashes[at] = mixed(value)
        leaving = BASE
        for _ in range(width - 1):
            leaving *= BASE
        for i in range(first, end):
            value = value * BASE + mixed(np.uint64(folded[i])) - mixed(np.uint64(folded[i - width])) * leaving
            at += 1
            hashes[at] = mixed(value)


@inlined
def _polynomial(points: Any, begin: int, end: int) -> Any:
    value = np.uint64(0)
    for i in range(begin, end):
        value = value * BASE + mixed(np.uint64(points[i]))
    return value


def signatures(hashes: ch.U64, offsets: ch.I64) -> npt.NDArray[np.uint64]:
    """MinHash signatures (documents x VALUES) of the sets of shingles."""
    made = np.full((len(offsets) - 1, VALUES), _EMPTY, dtype=np.uint64)
    _sign(hashes, offsets, _detours(), made)
    return made


@lru_cache(maxsize=1)
def _detours() -> npt.NDArray[np.int64]:
    """Which bin an empty one takes its value from, attempt by attempt: the same for all documents."""
    grid = np.arange(_TRIES * VALUES, dtype=np.uint64).reshape(_TRIES, VALUES)
    return (ch.mix(grid) % np.uint64(VALUES)).astype(np.int64)


@compiled
def _sign(hashes: Any, offsets: Any, detours: Any, made: Any) -> None:
    low = (np.uint64(1) << _VALUE_BITS) - np.uint64(1)
    for d in range(len(offsets) - 1):
        for i in range(offsets[d], offsets[d + 1]):
            place = ((hashes[i] >> _VALUE_BITS) * np.uint64(VALUES)) >> np.uint64(24)
            made[d, place] = min(made[d, place], hashes[i] & low)
        for place in range(VALUES):
            if made[d, place] == _EMPTY:
                made[d, place] = _borrowed(made, d, place, detours)


@inlined
def _borrowed(made: Any, d: int, place: int, detours: Any) -> Any:
    """The value for an empty bin: of the first detour that leads to one filled from the text itself, marked with the
    number of attempts. So few are left after the last that walking on to the next bin decides."""
    value = _EMPTY
    for attempt in range(_TRIES + VALUES):
        walked = attempt >= _TRIES
        donor = (place + attempt - _TRIES + 1) % VALUES if walked else detours[attempt, place]
        if made[d, donor] >> _VALUE_BITS == np.uint64(0):
            value = made[d, donor] + (np.uint64(attempt + 1) << np.uint64(41))
            break
    return value


def bands(signature: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One hash for each band of each document (documents x BANDS)."""
    rows = signature.reshape(-1, BANDS, ROWS)
    hashed = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), rows.shape[:2])
    for i in range(ROWS):
        hashed = ch.mix(hashed ^ rows[:, :, i])
    return hashed
