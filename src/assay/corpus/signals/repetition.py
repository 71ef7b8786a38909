"""How much a document repeats itself: lines, paragraphs, word n-grams (Gopher, Rae et al. 2021, table A1).

The definitions are datatrove's, whose filters most corpora of today went through:
- a line ends at one or more newlines, a paragraph at two or more; repeated is what stands earlier in the document;
- top n-gram: the characters of the most frequent one (its words joined by spaces) times how often it stands there;
- duplicated n-grams: reading from the left, an n-gram read before counts with its characters and is stepped over whole,
  and two are equal where their characters are, spaces aside;
- repeated 10-grams: of all windows of 10 words, those that stand in the document more than once (Data-Juicer's word
  repetition).
Shares are of the document's characters, or of its lines, paragraphs or windows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import Seen, compiled, fresh, holds, inlined, met, number_at, place_of, put, spelled
from assay.corpus.text.rows import Rows

TOP, DUPLICATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)
NAMES = (
    "duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs", "duplicate_paragraph_chars",
    *(f"top_{n}gram" for n in TOP), *(f"duplicate_{n}grams" for n in DUPLICATED), "repeated_10grams",
)  # fmt: skip
_FIRST_TOP, _LAST_TOP = TOP[0], TOP[-1]
_FIRST, _LAST = DUPLICATED[0], DUPLICATED[-1]


class Grams(NamedTuple):
    """The places, in order, of n-grams that stand elsewhere in the document, too, and of those that may; for each place
    the first one of an equal n-gram, or -1; and, at that one, how many are equal."""

    places: ch.I64
    begun: ch.I64
    same: ch.I64
    times: ch.I64


def room(chars: int) -> Grams:
    """Room for a document of so many characters."""
    places, begun, same, times = (np.empty(chars + 1, dtype=np.int64) for _ in range(4))
    return Grams(places, begun, same, times)


@compiled
def repetition(
    points: Any, table: Any, begin: int, end: int, words: w.Words, n: int, rows: Rows, m: int, seen: Seen, grams: Grams,
    row: Any,
) -> None:  # fmt: skip
    """Fill `row` with the signals of NAMES for the document [begin, end), which has n words and m lines."""
    row[:] = 0.0
    if begin == end:
        return
    _lines(begin, end, rows, m, seen, row[0:2])
    first, beyond = begin, end
    while first < beyond and table[points[first]] & w.SPACE:
        first += 1
    while beyond > first and table[points[beyond - 1]] & w.SPACE:
        beyond -= 1
    _paragraphs(points, first, beyond, end - begin, rows, m, seen, row[2:4])
    top = 4
    several = -1
    for size in range(_FIRST_TOP, _LAST_TOP + 1):
        several = _group(words, n, size, False, grams.places, several, seen, grams)
        row[top + size - _FIRST_TOP] = _top(words, n, size, several, grams) / (end - begin)
    duplicated = top + _LAST_TOP - _FIRST_TOP + 1
    among = _begun(words, n, _FIRST, seen, grams)
    if among == 0:
        return
    for size in range(_FIRST, _LAST + 1):
        several = _group(words, n, size, True, grams.begun, among, seen, grams)
        row[duplicated + size - _FIRST] = _duplicated(words, size, several, grams) / (end - begin)
    if n >= _LAST:  # equal words have equal characters
        several = _group(words, n, _LAST, False, grams.places, several, seen, grams)
        row[duplicated + _LAST - _FIRST + 1] = several / (n - _LAST + 1)


@compiled
def _lines(begin: int, end: int, rows: Rows, m: int, seen: Seen, row: Any) -> None:
    """The shares of repeated lines: of lines, of characters. Newlines at the beginning or the end make an empty line
    each (`re.split("\\n+", text)`)."""
    mask = fresh(seen, m)
    lines = again = chars = 0
    start = begin
    for k in range(m):
        stop = rows.ends[k]
        if stop > start or k == 0 or k == m - 1:
            lines += 1
            if met(seen, rows.keys[k], mask):
                again += 1
                chars += stop - start
        start = stop + 1
    row[0], row[1] = again / lines, chars / (end - begin)


@compiled
def _paragraphs(
    points: Any, begin: int, end: int, whole: int, rows: Rows, m: int, seen: Seen, row: Any
) -> None:  # fmt: skip
    """The shares of repeated paragraphs of the stripped text [begin, end): of paragraphs, of `whole` characters."""
    mask = fresh(seen, m)
    paragraphs = again = chars = 0
    start = begin
    for k in range(m):
        stop = rows.ends[k]
        last = stop >= end
        if stop < start or not (last or rows.ends[k + 1] == stop + 1):
            continue
        stop = min(stop, end)
        paragraphs += 1
        if last and paragraphs == 1:  # alone
            return
        if met(seen, spelled(points, start, stop), mask):
            again += 1
            chars += stop - start
        if last:
            break
        start = stop
        while points[start] == w.NEWLINE:
            start += 1
    row[0], row[1] = again / max(paragraphs, 1), chars / whole


@compiled
def _group(
    words: w.Words, n: int, size: int, joined: bool, source: Any, among: int, seen: Seen, grams: Grams
) -> int:  # fmt: skip
    """Find the n-grams of so many words that are equal; returns how many places hold one that stands elsewhere, too.

    They are looked for in the first `among` places of `source`, such as those of a shorter one: a place whose shorter
    n-gram stands nowhere else holds no longer one that does. If `among` is -1, everywhere.
    """
    places, same, times = grams.places, grams.same, grams.times
    count = among if among >= 0 else max(n - size + 1, 0)
    mask = fresh(seen, count)
    for k in range(count):
        i = source[k] if among >= 0 else k
        same[i] = -1
        if i > n - size:
            continue
        key = w.joined_hash(words, i, i + size) if joined else w.listed_hash(words, i, i + size)
        at = place_of(seen, key, mask)
        if holds(seen, at):
            first = number_at(seen, at)
            same[first] = same[i] = first
            times[first] += 1
        else:
            put(seen, at, key, i)
            times[i] = 1
    several = 0
    for k in range(count):
        i = source[k] if among >= 0 else k
        places[several] = i
        several += same[i] >= 0
    return several


@compiled
def _begun(words: w.Words, n: int, size: int, seen: Seen, grams: Grams) -> int:
    """Fill `grams.begun` with the places of n-grams of so many words or more whose characters may stand elsewhere, too;
    returns how many they are.

    Equal characters may be cut into words at other places, so that shorter n-grams say nothing. But they begin with the
    same characters: as many as four words have, or they are fewer in all.
    """
    same, width, total = grams.same, 4 * words.chars[n] // max(n, 1), words.chars[n]
    mask = fresh(seen, n)
    count = n - size + 1
    for i in range(count):
        begin = words.chars[i]
        same[i] = i if words.chars[i + size] - begin < width else -1
        if begin + width > total:
            continue
        key = w.chars_hash(words, begin, begin + width)
        at = place_of(seen, key, mask)
        if holds(seen, at):
            first = number_at(seen, at)
            same[first] = same[i] = first
        else:
            put(seen, at, key, i)
    among = 0
    for i in range(count):
        grams.begun[among] = i
        among += same[i] >= 0
    return among


@inlined
def _chars(words: w.Words, first: int, size: int) -> int:
    """Characters of the words of an n-gram."""
    chars = 0
    for i in range(first, first + size):
        chars += words.ends[i] - words.begins[i]
    return chars


@compiled
def _top(words: w.Words, n: int, size: int, several: int, grams: Grams) -> int:
    """Characters of the most frequent n-gram, of equals of the first, times how often it stands there."""
    if n < size:
        return 0
    most, best = 1, 0
    for k in range(several):
        i = grams.places[k]
        if grams.same[i] == i and grams.times[i] > most:
            most, best = grams.times[i], i
    return (size - 1 + _chars(words, best, size)) * most


@compiled
def _duplicated(words: w.Words, size: int, several: int, grams: Grams) -> int:
    """Characters of n-grams that were read before, each stepped over whole."""
    chars = beyond = 0
    for k in range(several):
        i = grams.places[k]
        if i < beyond:
            continue
        first = grams.same[i]
        if grams.times[first] == 0:
            chars += _chars(words, i, size)
            beyond = i + size
        grams.times[first] = 0  # read
    return chars
