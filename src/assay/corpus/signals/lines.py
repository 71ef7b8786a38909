"""Signals of lines: FineWeb (Penedo et al. 2024), C4 (Raffel et al. 2020), RefinedWeb (Penedo et al. 2023).

C4 keeps the lines that end in a mark of punctuation, have three words and mention neither JavaScript nor policies, and
counts the sentences in these; whatever it says of a document is about these lines, citations such as [1] taken out.
FineWeb asks the same without the rule of the mark. Words of C4's lines are what stands between spaces. Definitions are
datatrove's; those of RefinedWeb's lines are DCLM's (dclm_baseline_refinedweb.yaml). What these lines are taken out of
documents by is `altering.lines`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from assay.corpus.signals.quality import bare, line_end, next_line, three_dots
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import Seen, compiled, fresh, inlined, met
from assay.corpus.text.rows import Rows

_OF_C4 = ("c4_sentences", "lorem_ipsum", "curly_brackets")
COUNTS = (*_OF_C4, *(f"{name}_any_end" for name in _OF_C4))
NAMES = (
    *COUNTS, "c4_lines", "line_punctuation", "short_lines", "repeated_line_chars", "newlines_per_word",
    "mean_line_length", "uppercase_lines", "flagged_words",
)  # fmt: skip
"""lorem_ipsum, curly_brackets: how many of C4's lines hold one; _any_end: the same without the rule that a line ends in
a mark. c4_lines: the share of lines that C4 keeps. Of lines that are not blank: those that end in a mark (of any
script), that have at most 30 characters, the characters of those that repeat an earlier one, the mean length, those
mostly of capitals. flagged_words: the share of words that RefinedWeb takes out: those of lines mostly of capitals, of
digits alone, of one word, such as "3 likes"; and in lines of at most ten words a beginning "Sign-in", an ending "Read
more..." and "items in cart"."""

SHORT_LINE = 30
LONGEST_WORD, FEWEST_WORDS = 1000, 3
"""Of a line that C4 keeps."""
SHORT = 10
"""Words of a line in which calls are looked for."""
LOREM, SCRIPT = b"lorem ipsum", b"javascript"
POLICY = (b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies")
COUNTED = (
    b"likes", b"shares", b"comments", b"retweets", b"reposts", b"quotes", b"bookmarks", b"upvotes", b"downvotes",
    b"downloads", b"views", b"followers",
)  # fmt: skip
BEGINS, HOLDS, ENDS = b"sign-in", b"items in cart", b"read more"
"""Calls on the reader, where in a line they are taken out; behind ENDS stand three dots."""
_PHRASES = (LOREM, SCRIPT, *POLICY, *COUNTED, BEGINS, HOLDS, ENDS)
_POLICY, _COUNTED, _BEGINS, _HOLDS, _ENDS = (2, 8), (8, 20), 20, 21, 22
_BEGUN = 7  # letters of each of the first eight phrases that are looked for at once


class Phrases(NamedTuple):
    """The phrases above, in lower case, end to end.

    `begun` are a bit for each of the first _BEGUN letters of those that C4 looks for: of every ASCII character, where
    in them it stands (Baeza-Yates and Gonnet 1992); [128] are the bits of their first letters, [129] of the last."""

    letters: ch.U8
    offsets: ch.I64
    begun: ch.U64


def phrases() -> Phrases:
    begun = np.zeros(130, dtype=np.uint64)
    for number, phrase in enumerate(_PHRASES[: _POLICY[1]]):
        for place, letter in enumerate(phrase[:_BEGUN]):
            bit = np.uint64(1 << (number * _BEGUN + place))
            for either in {letter, ord(chr(letter).upper())}:
                begun[either] |= bit
            for end, mark in ((0, 128), (_BEGUN - 1, 129)):
                begun[mark] |= bit if place == end else np.uint64(0)
    lengths = [len(phrase) for phrase in _PHRASES]
    return Phrases(np.frombuffer(b"".join(_PHRASES), dtype=np.uint8), np.cumsum([0, *lengths]), begun)


@compiled
def lines(
    points: Any, table: Any, lists: w.Lists, begin: int, end: int, words: w.Words, n: int, rows: Rows, m: int,
    seen: Seen, phrases: Phrases, line: Any, spare: w.Words, row: Any,
) -> None:  # fmt: skip
    """Fill `row` with the signals of NAMES for the document [begin, end), which has n words and m lines.

    `line` and `spare` are room for a line without its citations, and for its words."""
    row[:] = 0.0
    _c4(points, table, lists, begin, end, words, n, phrases, line, spare, row[0:7])
    _others(points, table, begin, end, words, n, rows, m, seen, phrases, row[7:14])


@compiled
def _c4(
    points: Any, table: Any, lists: w.Lists, begin: int, end: int, words: w.Words, n: int, phrases: Phrases,
    line: Any, spare: w.Words, row: Any,
) -> None:  # fmt: skip
    kept = number = 0
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
        if _has_words(points, table, first, beyond):
            cited, bracket = _brackets(points, first, beyond)
            if cited:
                length = _without_citations(points, first, beyond, line)
                passes = _ends_well(line, 0, length)
                bracket = _holds_point(line, 0, length, w.BRACE)
            else:
                passes = _ends_well(points, first, beyond)
            which = _policy(points, first, beyond, phrases)
            if which == 0:
                row[1] += passes
                row[4] += 1
            elif which > 1 and bracket:
                row[2] += passes
                row[5] += 1
            elif which == _POLICY[1]:
                kept += passes
                if cited:
                    count = w.cut(line, table, lists, 0, length, spare)
                    w.spell(line, table, spare, count)
                    sentences = _sentences(spare, table, 0, count)
                else:
                    sentences = _sentences(words, table, word, last)
                row[0] += sentences if passes else 0
                row[3] += sentences
        word = last
        i = next_line(points, stop, end)
    row[6] = kept / max(number, 1)


@inlined
def _has_words(points: Any, table: Any, begin: int, end: int) -> bool:
    """Whether what stands between a line's spaces is three pieces or more, none of them too long."""
    count = size = 0
    i = begin
    while i < end and (count < FEWEST_WORDS or end - begin > LONGEST_WORD):
        if table[points[i]] & w.SPACE:
            size = 0
        else:
            count += size == 0
            size += 1
            if size > LONGEST_WORD:
                return False
        i += 1
    return count >= FEWEST_WORDS


@inlined
def _brackets(points: Any, begin: int, end: int) -> tuple[bool, bool]:
    """Whether there may be a citation, and whether there is a curly bracket."""
    opened = curly = 0
    for i in range(begin, end):
        opened += points[i] == w.OPEN
        curly += points[i] == w.BRACE
    cited = False
    if opened:
        for i in range(begin, end - 1):
            after = points[i + 1]
            inside = 0x30 <= after <= 0x39 or after == w.CLOSE or after == 0x65 or after == 0x63
            cited |= points[i] == w.OPEN and inside
    return cited, curly > 0


@inlined
def _is_mark(point: Any) -> bool:
    return bool(
        point == w.DOT or point == w.QUESTION or point == w.EXCLAMATION or point == w.QUOTE or point == w.APOSTROPHE
    )


@inlined
def _ends_well(points: Any, begin: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! " ' and not in three dots."""
    if begin == end:
        return False
    return bool(_is_mark(points[end - 1]) and not three_dots(points, begin, end))


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
def _policy(points: Any, begin: int, end: int, phrases: Phrases) -> int:
    """The first in the list of C4's phrases that stands in [begin, end); how many they are where none does."""
    found = _POLICY[1]
    begun = phrases.begun
    state = np.uint64(0)
    for i in range(begin, end):
        point = points[i]
        state = (state << np.uint64(1) | begun[128]) & begun[point] if point < 128 else np.uint64(0)
        if state & begun[129]:
            at = i + 1 - _BEGUN
            for which in range(found):
                if _stands_at(points, at, end, phrases, which):
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
    points: Any, table: Any, begin: int, end: int, words: w.Words, n: int, rows: Rows, m: int, seen: Seen,
    phrases: Phrases, row: Any,
) -> None:  # fmt: skip
    newlines = m - 1
    mask = fresh(seen, m)
    number = ended = short = again = chars = loud = flagged = 0
    word = 0
    start = begin
    for k in range(m):
        stop = rows.ends[k]
        capitals = digits = 0
        for i in range(start, stop):
            kind = table[points[i]]
            capitals += kind & (w.UPPER | w.LOWER) == w.UPPER
            digits += kind & w.DIGIT > 0
        first, beyond = bare(points, table, start, stop)
        own = word
        while word < n and words.begins[word] < stop:
            word += 1
        if first < beyond:
            number += 1
            chars += stop - start
            ended += table[points[stop - 1]] & w.TERMINAL > 0
            short += stop - start <= SHORT_LINE
            if met(seen, rows.keys[k], mask):
                again += stop - start
            size = beyond - first
            shouted = 2 * capitals > size
            loud += shouted
            pieces = _pieces(points, table, first, beyond)
            if shouted or digits == size or pieces <= 1 or (digits and _counter(points, table, first, beyond, phrases)):
                flagged += word - own
            elif pieces <= SHORT:
                flagged += _called(points, first, beyond, phrases, words, own, word)
        start = stop + 1
    row[0], row[1] = ended / max(number, 1), short / max(number, 1)
    row[2], row[3] = again / max(end - begin - newlines, 1), newlines / max(n, 1)
    row[4], row[5], row[6] = chars / max(number, 1), loud / max(number, 1), flagged / max(n, 1)


@inlined
def _pieces(points: Any, table: Any, begin: int, end: int) -> int:
    """How many pieces stand between the spaces of [begin, end); no more are counted than calls are looked for in."""
    count = 0
    apart = True
    i = begin
    while i < end and count <= SHORT:
        space = table[points[i]] & w.SPACE > 0
        count += apart and not space
        apart = space
        i += 1
    return count


@compiled
def _counter(points: Any, table: Any, begin: int, end: int, phrases: Phrases) -> bool:
    """Whether a line says no more than how often something was done: `3 likes`, `1.2k views`."""
    i = _past_marks(points, table, begin, end)
    if i == end or not table[points[i]] & w.DIGIT:
        return False
    while i < end and (table[points[i]] & w.DIGIT or points[i] == w.DOT or points[i] == w.COMMA):
        i += 1
    if i < end and (_lower(points[i]) == 0x6B or _lower(points[i]) == 0x6D or _lower(points[i]) == 0x62):  # k, m, b
        i += 1
    if i == end or not table[points[i]] & w.SPACE:
        return False
    while i < end and table[points[i]] & w.SPACE:
        i += 1
    for which in range(_COUNTED[0], _COUNTED[1]):
        if _stands_at(points, i, end, phrases, which):
            return _past_marks(points, table, i + phrases.offsets[which + 1] - phrases.offsets[which], end) == end
    return False


@inlined
def _past_marks(points: Any, table: Any, begin: int, end: int) -> int:
    while begin < end and not table[points[begin]] & (w.ALPHA | w.DIGIT):
        begin += 1
    return begin


@compiled
def _called(points: Any, begin: int, end: int, phrases: Phrases, words: w.Words, own: int, beyond: int) -> int:
    """How many of a line's words [own, beyond) are calls on the reader."""
    tail = end
    if end - begin > 3 and three_dots(points, begin, end):
        tail = end - 3
    elif points[end - 1] == w.ELLIPSIS:
        tail = end - 1
    tail = tail - len(ENDS) if tail < end else end + 1  # where an ending call would begin
    if tail < begin or tail > end or not _stands_at(points, tail, end, phrases, _ENDS):
        tail = end
    head = begin + len(BEGINS) if _stands_at(points, begin, end, phrases, _BEGINS) else begin
    found = 0
    k = own
    while k < beyond:
        i = words.begins[k]
        stop = i + len(HOLDS)  # of the call that may begin here
        if not _stands_at(points, i, end, phrases, _HOLDS):
            stop = i + 1 if i < head or i >= tail else i
        while k < beyond and words.begins[k] < stop:
            found += 1
            k += 1
        k += stop == i
    return found
