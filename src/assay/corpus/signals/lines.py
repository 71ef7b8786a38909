"""Signals of lines: FineWeb (Penedo et al. 2024), C4 (Raffel et al. 2020), RefinedWeb (Penedo et al. 2023).

C4 keeps the lines that end in a mark of punctuation, have three words and mention neither JavaScript nor policies, and
counts the sentences in these; whatever it says of a document is about these lines, citations such as [1] taken out.
Words of C4's lines are what stands between spaces. Definitions are datatrove's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from assay.corpus.signals.quality import bare, line_end, next_line, three_dots
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, Seen, compiled, fresh, inlined, met

COUNTS = ("c4_sentences", "lorem_ipsum", "curly_brackets")
NAMES = (
    *COUNTS, "c4_lines", "line_punctuation", "short_lines", "repeated_line_chars", "newlines_per_word",
    "mean_line_length", "uppercase_lines", "flagged_words",
)  # fmt: skip
"""lorem_ipsum, curly_brackets: how many of C4's lines hold one. c4_lines: the share of lines that C4 keeps. Of lines
that are not blank: those that end in a mark (of any script), that have at most 30 characters, the characters of those
that repeat an earlier one, the mean length, those mostly of capitals. flagged_words: the share of words in lines that
RefinedWeb takes out: mostly capitals, digits alone, one word, "3 likes", "Read more..."."""

SHORT_LINE = 30
_LONGEST_WORD = 1000
_SHORT = 10  # words of a line that may be a call
LOREM, SCRIPT = b"lorem ipsum", b"javascript"
POLICY = (b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies")
COUNTED = (b"like", b"share", b"comment", b"retweet", b"repl", b"view", b"follower")
CALLS = (b"sign-in", b"sign in", b"read more", b"read more...", b"items in cart", b"log in", b"click here")
_PHRASES = (LOREM, SCRIPT, *POLICY, *COUNTED, *CALLS)
_POLICY, _COUNTED, _CALLS = (2, 8), (8, 15), (15, 22)


class Phrases(NamedTuple):
    """The phrases above, in lower case, end to end."""

    letters: ch.U8
    offsets: ch.I64
    opening: ch.U8
    """Of every ASCII character whether a phrase begins with it."""


def phrases() -> Phrases:
    opening = np.zeros(128, dtype=np.uint8)
    opening[[phrase[0] for phrase in _PHRASES]] = 1
    lengths = [len(phrase) for phrase in _PHRASES]
    return Phrases(np.frombuffer(b"".join(_PHRASES), dtype=np.uint8), np.cumsum([0, *lengths]), opening)


@compiled
def lines(
    points: Any, table: Any, lists: w.Lists, begin: int, end: int, words: w.Words, n: int, seen: Seen,
    phrases: Phrases, line: Any, spare: w.Words, row: Any,
) -> None:  # fmt: skip
    """Fill `row` with the signals of NAMES for the document [begin, end), which has n words.

    `line` and `spare` are room for a line without its citations, and for its words."""
    row[:] = 0.0
    _c4(points, table, lists, begin, end, words, n, phrases, line, spare, row[0:4])
    _others(points, table, begin, end, words, n, seen, phrases, row[4:11])


@compiled
def _c4(
    points: Any, table: Any, lists: w.Lists, begin: int, end: int, words: w.Words, n: int, phrases: Phrases,
    line: Any, spare: w.Words, row: Any,
) -> None:  # fmt: skip
    sentences = lorem = curly = kept = number = 0
    word = 0
    i = begin
    while i < end:
        stop = line_end(points, table, i, end)
        first, beyond = bare(points, table, i, stop)
        while word < n and words.begins[word] < first:
            word += 1
        last = word
        while last < n and words.begins[last] < beyond:
            last += 1
        number += 1
        chunks, longest, cited = _chunks(points, table, first, beyond)
        if chunks >= 3 and longest <= _LONGEST_WORD:
            if cited:
                length = _without_citations(points, first, beyond, line)
                passes = _ends_well(line, 0, length)
                bracket = _holds_point(line, 0, length, w.BRACE)
                found = 0
                if passes:
                    count = w.cut(line, table, lists, 0, length, spare)
                    w.spell(line, table, spare, count)
                    found = _sentences(spare, table, 0, count)
            else:
                passes = _ends_well(points, first, beyond)
                bracket = _holds_point(points, first, beyond, w.BRACE)
                found = _sentences(words, table, word, last) if passes else 0
            if passes:
                which = _first_of(points, first, beyond, phrases, 0, _POLICY[1])
                if which == 0:
                    lorem += 1
                elif which > 1 and bracket:
                    curly += 1
                elif which == _POLICY[1]:
                    kept += 1
                    sentences += found
        word = last
        i = next_line(points, stop, end)
    row[0], row[1], row[2], row[3] = sentences, lorem, curly, kept / max(number, 1)


@inlined
def _chunks(points: Any, table: Any, begin: int, end: int) -> tuple[int, int, bool]:
    """What stands between spaces: how many, the characters of the longest; and whether there may be a citation."""
    count = longest = size = 0
    cited = False
    for i in range(begin, end):
        if table[points[i]] & w.SPACE:
            size = 0
            continue
        count += size == 0
        size += 1
        longest = max(longest, size)
        if points[i] == w.OPEN and i + 1 < end:
            after = points[i + 1]
            cited |= 0x30 <= after <= 0x39 or after == w.CLOSE or after == 0x65 or after == 0x63
    return count, longest, cited


@inlined
def _ends_well(points: Any, begin: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! " ' and not in three dots."""
    if begin == end:
        return False
    last = points[end - 1]
    mark = last == w.DOT or last == w.QUESTION or last == w.EXCLAMATION or last == w.QUOTE or last == w.APOSTROPHE
    return bool(mark and not three_dots(points, begin, end))


@inlined
def _holds_point(points: Any, begin: int, end: int, wanted: int) -> bool:
    for i in range(begin, end):
        if points[i] == wanted:
            return True
    return False


@inlined
def _lower(point: Any) -> Any:
    return point | 0x20 if 0x41 <= point <= 0x5A else point


@compiled
def _stands_at(points: Any, at: int, end: int, phrases: Phrases, which: int) -> bool:
    first, beyond = phrases.offsets[which], phrases.offsets[which + 1]
    if at + beyond - first > end:
        return False
    for i in range(beyond - first):
        if _lower(points[at + i]) != phrases.letters[first + i]:
            return False
    return True


@compiled
def _first_of(points: Any, begin: int, end: int, phrases: Phrases, first: int, beyond: int) -> int:
    """The first in the list of the phrases [first, beyond) that stand in [begin, end); `beyond` where none does."""
    found = beyond
    for i in range(begin, end):
        letter = _lower(points[i])
        if letter > 0x7F or not phrases.opening[letter]:
            continue
        for which in range(first, found):
            if letter == phrases.letters[phrases.offsets[which]] and _stands_at(points, i, end, phrases, which):
                found = which
                break
    return found


@compiled
def _without_citations(points: Any, begin: int, end: int, line: Any) -> int:
    """Copy a line without [1], [], [edit] and [citation needed]; returns its length."""
    length = 0
    i = begin
    while i < end:
        beyond = i + 1
        if points[i] == w.OPEN:
            while beyond < end and 0x30 <= points[beyond] <= 0x39:
                beyond += 1
            if beyond < end and points[beyond] == w.CLOSE:
                i = beyond + 1
                continue
            beyond = _bracketed(points, i, end)
            if beyond > i:
                i = beyond
                continue
        line[length] = points[i]
        length += 1
        i += 1
    return length


_EDIT = np.array([ord(c) for c in "[edit]"], dtype=np.uint32)
_NEEDED = np.array([ord(c) for c in "[citation needed]"], dtype=np.uint32)


@compiled
def _bracketed(points: Any, at: int, end: int) -> int:
    """Where [edit] or [citation needed] ends that begins here, or `at`."""
    for phrase in (_EDIT, _NEEDED):
        if at + len(phrase) <= end:
            same = True
            for i in range(len(phrase)):
                same &= points[at + i] == phrase[i]
            if same:
                return at + len(phrase)
    return at


@compiled
def _sentences(words: w.Words, table: Any, first: int, beyond: int) -> int:
    """Sentences in some words: one, and one more for every word after a mark that ends one, marks between them aside
    (spaCy's sentencizer)."""
    if first == beyond:
        return 0
    count = 1
    ended = False
    for i in range(first, beyond):
        kind = words.kinds[i]
        if words.ends[i] - words.begins[i] == 1 and kind & w.TERMINAL:
            ended = True
        elif ended and kind & w.OTHER:
            count += 1
            ended = False
    return count


@compiled
def _others(
    points: Any, table: Any, begin: int, end: int, words: w.Words, n: int, seen: Seen, phrases: Phrases, row: Any
) -> None:
    newlines = 0
    for i in range(begin, end):
        newlines += points[i] == w.NEWLINE
    mask = fresh(seen, newlines + 1)
    number = ended = short = again = chars = loud = flagged = 0
    word = 0
    i = begin
    while i < end:
        start = i
        key = np.uint64(0)
        capitals = digits = 0
        while i < end and points[i] != w.NEWLINE:
            kind = table[points[i]]
            capitals += kind & (w.UPPER | w.LOWER) == w.UPPER
            digits += kind & w.DIGIT > 0
            key = key * BASE + np.uint64(points[i]) + np.uint64(1)
            i += 1
        first, beyond = bare(points, table, start, i)
        own = word
        while word < n and words.begins[word] < i:
            word += 1
        if first < beyond:
            number += 1
            chars += i - start
            ended += table[points[i - 1]] & w.TERMINAL > 0
            short += i - start <= SHORT_LINE
            if met(seen, key, mask):
                again += i - start
            size = beyond - first
            shouted = 2 * capitals > size
            loud += shouted
            count = word - own
            if shouted or digits == size or count <= 1 or _calls(points, first, beyond, phrases, count, digits):
                flagged += count
        i += 1
    row[0], row[1] = ended / max(number, 1), short / max(number, 1)
    row[2], row[3] = again / max(end - begin - newlines, 1), newlines / max(n, 1)
    row[4], row[5], row[6] = chars / max(number, 1), loud / max(number, 1), flagged / max(n, 1)


@compiled
def _calls(points: Any, begin: int, end: int, phrases: Phrases, count: int, digits: int) -> bool:
    """Whether a short line counts something, or begins or ends with a call on the reader."""
    if count == 2 and digits > 0 and _first_of(points, begin, end, phrases, _COUNTED[0], _COUNTED[1]) < _COUNTED[1]:
        return True
    if count > _SHORT:
        return False
    for which in range(_CALLS[0], _CALLS[1]):
        length = phrases.offsets[which + 1] - phrases.offsets[which]
        if _stands_at(points, begin, end, phrases, which):
            return True
        if end - length >= begin and _stands_at(points, end - length, end, phrases, which):
            return True
    return False
