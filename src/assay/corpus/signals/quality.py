"""Signals of words and of the lines that they stand in: Gopher's quality rules (Rae et al. 2021, table A1).

Definitions are datatrove's. Words are those of `words.cut`: punctuation marks are words too, and what holds nothing
else does not count towards the number of words and their mean length.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, compiled, inlined

STOP_WORDS = "the be to of and that have with"
STOP_WORDS_ZH = "的 年 在 月 是 和 日 了 於 · 為 有 被 人 中 为 他 與 後 也 而 由"
"""Gopher's for English; for Chinese the 22 of FineWeb-2 (configs/cmn_Hani.yml), traditional forms among them."""

COUNTS = ("n_words", "n_tokens", "n_lines", "stop_words", "stop_words_zh")
NAMES = (
    *COUNTS, "mean_word_length", "alpha_words", "listed_words", "hashes", "ellipses", "bullet_lines", "ellipsis_lines",
)  # fmt: skip
"""stop_words: how many different ones of the list. listed_words: the share of words in the lists of stop words of
stopwords-iso for English and Chinese, in lower case. hashes, ellipses: # and ... (or …) a word."""


class StopWords(NamedTuple):
    """Hashes of listed words in open addressing; the number of each in the short lists, or -1; whether it is in the
    long lists of stopwords-iso, which lack some of the short ones."""

    keys: ch.U64
    numbers: ch.I64
    common: ch.U8


@lru_cache(maxsize=1)
def stop_words() -> StopWords:
    from stopwordsiso import stopwords

    short = [*STOP_WORDS.split(), *STOP_WORDS_ZH.split()]
    long = stopwords(["en", "zh"])
    size = 1 << 14
    made = StopWords(np.zeros(size, dtype=np.uint64), np.full(size, -1, dtype=np.int64), np.zeros(size, dtype=np.uint8))
    for word in [*short, *sorted(long - set(short))]:
        key = 0
        for char in word:
            key = (key * int(BASE) + ord(char) + 1) % (1 << 64)
        at = key % size
        while made.keys[at]:
            at = (at + 1) % size
        made.keys[at] = key
        made.numbers[at] = short.index(word) if word in short else -1
        made.common[at] = word in long
    return made


_ENGLISH = len(STOP_WORDS.split())


@inlined
def _place(listed: StopWords, key: Any) -> Any:
    """Where a key is in the list, or -1."""
    mask = np.uint64(len(listed.keys) - 1)
    at = key & mask
    while listed.keys[at] != np.uint64(0) and listed.keys[at] != key:
        at = (at + np.uint64(1)) & mask
    return np.int64(at) if listed.keys[at] == key else np.int64(-1)


@compiled
def quality(points: Any, table: Any, begin: int, end: int, words: w.Words, n: int, listed: StopWords, row: Any) -> None:
    """Fill `row` with the signals of NAMES for the document [begin, end), which has n words."""
    row[:] = 0.0
    real = length = alpha = common = 0
    english = chinese = np.uint64(0)
    for i in range(n):
        kind = words.kinds[i]
        alpha += kind & w.ALPHA > 0
        at = _place(listed, words.hashes[i])
        if kind & w.WORD:
            real += 1
            length += words.ends[i] - words.begins[i]
            low = at if words.lowered[i] == words.hashes[i] else _place(listed, words.lowered[i])
            if low >= 0:
                common += listed.common[low]
        number = listed.numbers[at] if at >= 0 else np.int64(-1)
        if 0 <= number < _ENGLISH:
            english |= np.uint64(1) << np.uint64(number)
        elif number >= _ENGLISH:
            chinese |= np.uint64(1) << np.uint64(number - _ENGLISH)
    hashes = ellipses = dots = 0
    for i in range(begin, end):
        point = points[i]
        hashes += point == w.HASH
        dots = dots + 1 if point == w.DOT else 0
        ellipses += point == w.ELLIPSIS or (dots > 0 and dots % 3 == 0)
    lines, bullets, trailing = _lines(points, table, begin, end)
    row[0], row[1], row[2], row[3], row[4] = real, n, lines, _bits(english), _bits(chinese)
    row[5], row[6], row[7] = length / max(real, 1), alpha / max(n, 1), common / max(real, 1)
    row[8], row[9] = hashes / max(n, 1), ellipses / max(n, 1)
    row[10], row[11] = bullets / max(lines, 1), trailing / max(lines, 1)


@inlined
def _bits(word: Any) -> int:
    count = 0
    while word:
        word &= word - np.uint64(1)
        count += 1
    return count


@compiled
def _lines(points: Any, table: Any, begin: int, end: int) -> tuple[int, int, int]:
    """How many lines there are, begin with a bullet, and end in an ellipsis."""
    lines = bullets = trailing = 0
    i = begin
    while i < end:
        stop = line_end(points, table, i, end)
        first, beyond = bare(points, table, i, stop)
        lines += 1
        if first < beyond:
            bullets += points[first] == w.BULLET or points[first] == w.MINUS
            trailing += points[beyond - 1] == w.ELLIPSIS or three_dots(points, first, beyond)
        i = next_line(points, stop, end)
    return lines, bullets, trailing


@inlined
def line_end(points: Any, table: Any, begin: int, end: int) -> int:
    """Where the line that begins here ends, for `str.splitlines`."""
    stop = begin
    while stop < end and not table[points[stop]] & w.BREAK:
        stop += 1
    return stop


@inlined
def next_line(points: Any, stop: int, end: int) -> int:
    """Where the line after the one that ends at `stop` begins."""
    return stop + 2 if stop + 1 < end and points[stop] == w.RETURN and points[stop + 1] == w.NEWLINE else stop + 1


@inlined
def bare(points: Any, table: Any, begin: int, end: int) -> tuple[int, int]:
    """[begin, end) without whitespace at either end."""
    while begin < end and table[points[begin]] & w.SPACE:
        begin += 1
    while end > begin and table[points[end - 1]] & w.SPACE:
        end -= 1
    return begin, end


@inlined
def three_dots(points: Any, begin: int, end: int) -> bool:
    """Whether [begin, end) ends in `...`."""
    return bool(end - begin >= 3 and points[end - 1] == w.DOT and points[end - 2] == w.DOT and points[end - 3] == w.DOT)
