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

from typing import Any

import numpy as np

from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, Seen, compiled, fresh, holds, met, place_of, put

TOP, DUPLICATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)
NAMES = (
    "duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs", "duplicate_paragraph_chars",
    *(f"top_{n}gram" for n in TOP), *(f"duplicate_{n}grams" for n in DUPLICATED), "repeated_10grams",
)  # fmt: skip
_FIRST_TOP, _LAST_TOP = TOP[0], TOP[-1]
_FIRST, _LAST = DUPLICATED[0], DUPLICATED[-1]


@compiled
def repetition(points: Any, table: Any, begin: int, end: int, words: w.Words, n: int, seen: Seen, row: Any) -> None:
    """Fill `row` with the signals of NAMES for the document [begin, end), which has n words."""
    row[:] = 0.0
    if begin == end:
        return
    _lines(points, begin, end, seen, row[0:2])
    first, beyond = begin, end
    while first < beyond and table[points[first]] & w.SPACE:
        first += 1
    while beyond > first and table[points[beyond - 1]] & w.SPACE:
        beyond -= 1
    _paragraphs(points, first, beyond, end - begin, seen, row[2:4])
    top = 4
    for size in range(_FIRST_TOP, _LAST_TOP + 1):
        row[top + size - _FIRST_TOP] = _top(words, n, size, seen) / (end - begin)
    duplicated = top + _LAST_TOP - _FIRST_TOP + 1
    for size in range(_FIRST, _LAST + 1):
        chars = _duplicated(words, n, size, seen)
        row[duplicated + size - _FIRST] = chars / (end - begin)
        if chars == 0:  # no n-gram stands here twice, so no longer one does
            return
    row[duplicated + _LAST - _FIRST + 1] = _repeated(words, n, _LAST, seen)


@compiled
def _lines(points: Any, begin: int, end: int, seen: Seen, row: Any) -> None:
    """The shares of repeated lines: of lines, of characters. Newlines at the beginning or the end make an empty line
    each (`re.split("\\n+", text)`)."""
    newlines = 0
    for i in range(begin, end):
        newlines += points[i] == w.NEWLINE
    mask = fresh(seen, newlines + 1)
    lines = again = chars = 0
    i = begin
    while i <= end:
        start = i
        key = np.uint64(0)
        while i < end and points[i] != w.NEWLINE:
            key = key * BASE + np.uint64(points[i]) + np.uint64(1)
            i += 1
        lines += 1
        if met(seen, key, mask):
            again += 1
            chars += i - start
        if i == end:
            break
        while i < end and points[i] == w.NEWLINE:
            i += 1
    row[0], row[1] = again / lines, chars / (end - begin)


@compiled
def _paragraphs(points: Any, begin: int, end: int, whole: int, seen: Seen, row: Any) -> None:
    """The shares of repeated paragraphs of the stripped text [begin, end): of paragraphs, of `whole` characters."""
    if begin == end:
        return
    pairs = 0
    for i in range(begin, end - 1):
        pairs += points[i] == w.NEWLINE and points[i + 1] == w.NEWLINE
    mask = fresh(seen, pairs + 1)
    paragraphs = again = chars = 0
    i = begin
    while i < end:
        start = i
        key = np.uint64(0)
        while i < end and not (points[i] == w.NEWLINE and i + 1 < end and points[i + 1] == w.NEWLINE):
            key = key * BASE + np.uint64(points[i]) + np.uint64(1)
            i += 1
        paragraphs += 1
        if met(seen, key, mask):
            again += 1
            chars += i - start
        while i < end and points[i] == w.NEWLINE:
            i += 1
    row[0], row[1] = again / paragraphs, chars / whole


@compiled
def _top(words: w.Words, n: int, size: int, seen: Seen) -> int:
    """Characters of the most frequent n-gram, of equals of the first, times how often it stands there."""
    if n < size:
        return 0
    mask = fresh(seen, n)
    most, best = 0, 0
    for i in range(n - size + 1):
        key = w.listed_hash(words, i, i + size)
        at = place_of(seen, key, mask)
        if holds(seen, at):
            seen.numbers[at] += np.int64(1) << 32
        else:
            put(seen, at, key, (np.int64(1) << 32) + i)
        count, first = seen.numbers[at] >> 32, seen.numbers[at] & 0xFFFFFFFF
        if count > most or (count == most and first < best):
            most, best = count, first
    chars = size - 1
    for j in range(best, best + size):
        chars += words.ends[j] - words.begins[j]
    return chars * most


@compiled
def _duplicated(words: w.Words, n: int, size: int, seen: Seen) -> int:
    """Characters of n-grams that were read before, each stepped over whole."""
    mask = fresh(seen, n)
    chars = 0
    i = 0
    while i < n - size + 1:
        key = w.joined_hash(words, i, i + size)
        if met(seen, key, mask):
            for j in range(i, i + size):
                chars += words.ends[j] - words.begins[j]
            i += size
        else:
            i += 1
    return chars


@compiled
def _repeated(words: w.Words, n: int, size: int, seen: Seen) -> float:
    """The share of windows that stand in the document more than once."""
    if n < size:
        return 0.0
    mask = fresh(seen, n)
    repeated = 0
    for i in range(n - size + 1):
        key = w.listed_hash(words, i, i + size)
        at = place_of(seen, key, mask)
        if holds(seen, at):
            repeated += 2 if seen.numbers[at] == 0 else 1
            seen.numbers[at] = 1
        else:
            put(seen, at, key, 0)
    return repeated / (n - size + 1)
