"""Signals of single characters and of stretches of them: what a document is made of, and how alike its pieces are.

Shares are of characters, in [0, 1], and 0 for an empty document; all classes are Unicode's, so that Chinese punctuation
is punctuation and a Chinese character a letter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, Seen, compiled, fresh, holds, number_at, place_of, put

COUNTS = ("n_chars", "n_visible")
NAMES = (
    *COUNTS, "letters", "capitals", "unspaced", "digits", "punctuation", "whitespace", "special_characters",
    "alphanumerics", "non_ascii", "repeated_10chars", "top_10chars", "repeated_13chars",
)  # fmt: skip
"""unspaced: letters of scripts that put no spaces between words. special_characters: punctuation, digits, whitespace
(Data-Juicer). repeated_10chars: windows of 10 characters that stand in the document more than once. top_10chars: the
windows of the most frequent kinds, as many as the square root of the number of kinds (Data-Juicer's character
repetition). repeated_13chars: the same as of 10, where the script has no spaces, else null (ChineseWebText)."""

MOST = 256  # a count of equal windows beyond which they are not told apart by it


@compiled
def composition(
    points: Any, classes: Any, table: Any, begin: int, end: int, unspaced: bool, seen: Seen, counts: Any, row: Any
) -> None:
    """Fill `row` with the signals of NAMES for the document [begin, end). `counts` is room for MOST numbers."""
    letters = capitals = without = digits = marks = spaces = wide = 0
    for i in range(begin, end):
        kind = classes[points[i]]
        letters += kind & ch.LETTER > 0
        capitals += table[points[i]] & (w.UPPER | w.LOWER) == w.UPPER
        without += kind & ch.UNSPACED > 0
        digits += kind & ch.DIGIT > 0
        marks += kind & ch.PUNCTUATION > 0
        spaces += kind & ch.SPACE > 0
        wide += kind & ch.WIDE > 0
    chars = end - begin
    row[0], row[1] = chars, chars - spaces
    whole = max(chars, 1)
    row[2], row[3], row[4], row[5] = letters / whole, capitals / whole, without / whole, digits / whole
    row[6], row[7], row[8] = marks / whole, spaces / whole, (marks + digits + spaces) / whole
    row[9], row[10] = (letters + digits) / whole, wide / whole
    _windows(points, begin, end, 10, seen, counts, row[11:13])
    row[13] = np.nan
    if unspaced:
        _windows(points, begin, end, 13, seen, counts, row[13:14])


@compiled
def _windows(points: Any, begin: int, end: int, width: int, seen: Seen, counts: Any, row: Any) -> None:
    """The share of windows of so many characters that stand in [begin, end) more than once; if there is room for it in
    `row`, that of the most frequent kinds."""
    row[:] = 0.0
    total = end - begin - width + 1
    if total <= 0:
        return
    out = np.uint64(1)
    for _ in range(width):
        out *= BASE
    mask = fresh(seen, total)
    counts[:] = 0
    kinds = repeated = 0
    key = np.uint64(0)
    for i in range(begin, end):
        key = key * BASE + np.uint64(points[i]) + np.uint64(1)
        if i - begin >= width:
            key -= out * (np.uint64(points[i - width]) + np.uint64(1))
        if i - begin < width - 1:
            continue
        at = place_of(seen, key, mask)
        if not holds(seen, at):
            put(seen, at, key, 1)
            kinds += 1
            continue
        count = number_at(seen, at)
        put(seen, at, key, count + 1)
        repeated += 2 if count == 1 else 1
        if count < MOST - 1:  # counts[c] is how many kinds stand here exactly c times; the last one sums up
            counts[count] -= count > 1
            counts[count + 1] += 1
        else:
            counts[0] += 1  # windows of the most frequent kinds beyond what the last count says
    row[0] = repeated / total
    if len(row) > 1:
        left, windows = np.int64(np.sqrt(kinds)), counts[0]
        for count in range(MOST - 1, 1, -1):
            taken = min(left, counts[count])
            windows += taken * count
            left -= taken
        row[1] = windows / total
