"""Whether a document is program code: the share of its lines that look like it.

    a line -> what it is made of (EVIDENCE, counted) -> weighed -> code, or not

No language is parsed. What is counted is what prose does without: a line that ends in a semicolon or an open bracket, a
name that touches the bracket after it, operators, words with underscores, a keyword to begin with. Running words speak
against it, in letters and in scripts without spaces.
"""

from __future__ import annotations

import string
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from assay.corpus.signals.quality import bare, line_end, next_line
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import compiled, inlined, place_among

NAMES = ("code_lines",)
"""The share of lines, blank ones aside, that look like program code; 0 where there is none."""

EVIDENCE = ("indented", "opens", "ends", "keyword", "operators", "joined", "symbols", "prose")
"""Of a line. indented: begins with a tab or two spaces. opens: ends in one of ; { } ( [ \\. ends: in one of , : ) ]
keyword: begins with a word of KEYWORDS, perhaps after #, or with //, /* or #!. operators: = and those of two
characters, such as == -> && (2 at most). joined: names with one _ . or :: between them, as in a_b (2 at most). symbols:
a fifth of what is visible are brackets, operators and quotes. prose: runs of four words with nothing but a space
between them, or of four characters of a script without spaces (4 at most)."""
WEIGHTS = np.array([2.0, 4.0, 1.0, 5.0, 2.5, 0.5, 2.5, -1.0])
BIAS = -2.5
"""A line whose weighted evidence and bias are above 0 looks like code. By logistic regression on lines of Python and
C++ against lines of prose in English and Chinese, as they are, wrapped, and indented; rounded to halves,
and `joined` halved, for lines of links are full of it.
benchmarks/language.py fits them, and says how well other documents are told."""

KEYWORDS = """
    def class import from return if elif else for while try except finally raise assert yield lambda pass print
    break continue public private protected static void int char float double bool const let var function func fn struct
    enum union typedef template namespace using switch case default package interface extends new delete throw catch
    impl pub mut include define ifdef ifndef endif pragma fi esac echo export sudo async await self unsigned
    """
_TAB, _BLANK, _AND, _UNDER, _OR = map(ord, "\t &_|")
_RUN, _PROSE, _DENSE = 4, 4, 5
_MOST = 2  # of what is counted


class Table(NamedTuple):
    """KEYWORDS as numbers, in order, and the bits of ASCII characters."""

    keys: ch.U64
    ascii: ch.U8


_NAME, _OPENS, _ENDS, _SYMBOL = 1, 2, 4, 8


@lru_cache(maxsize=1)
def table() -> Table:
    bits = np.zeros(128, dtype=np.uint8)
    for chars, bit in (
        (string.ascii_letters + string.digits + "_", _NAME), (";{}([\\", _OPENS), (",:)]", _ENDS),
        ("[]{}()<>=+*/&|^%$#@~_;\\\"'`", _SYMBOL),
    ):  # fmt: skip
        bits[[ord(c) for c in chars]] |= bit
    return Table(np.array(sorted(_code(word) for word in KEYWORDS.split()), dtype=np.uint64), bits)


def _code(word: str) -> int:
    """A word of up to twelve small letters as a number."""
    code = 0
    for char in word:
        code = code << 5 | (ord(char) - 0x60)
    return code


def room() -> npt.NDArray[np.float64]:
    """Room for the evidence of a line."""
    return np.empty(len(EVIDENCE))


@compiled
def program(points: Any, kinds: Any, known: Table, begin: int, end: int, found: Any, row: Any) -> None:
    """Fill `row` with the signals of NAMES for the document [begin, end)."""
    lines = code = 0
    i = begin
    while i < end:
        stop = line_end(points, kinds, i, end)
        first, beyond = bare(points, kinds, i, stop)
        if first < beyond:
            lines += 1
            evidence(points, kinds, known, i, first, beyond, found)
            weight = BIAS
            for k in range(len(found)):
                weight += WEIGHTS[k] * found[k]
            code += weight > 0.0
        i = next_line(points, stop, end)
    row[0] = code / max(lines, 1)


@compiled
def evidence(points: Any, kinds: Any, known: Table, begin: int, first: int, beyond: int, found: Any) -> None:
    """Fill `found` with the EVIDENCE in a line that begins at `begin` and shows something in [first, beyond)."""
    last = _bits(points[beyond - 1], known)
    found[0] = points[begin] == _TAB or first - begin >= 2
    found[1], found[2] = last & _OPENS > 0, last & _ENDS > 0
    found[3] = _keyword(points, known, first, beyond)
    operators = joined = symbols = visible = 0
    words = han = prose = 0
    letter = False
    i = first
    while i < beyond:
        start = i
        while i < beyond and kinds[points[i]] & (w.ALPHA | w.HAN) == w.ALPHA:
            i += 1
        if i > start:  # letters
            visible += i - start
            han = 0
            letter = True
            if i == beyond or points[i] == _BLANK:
                words += 1
                prose += words % _RUN == 0
            continue
        point = points[i]
        visible += kinds[point] & w.SPACE == 0
        symbols += _bits(point, known) & _SYMBOL > 0
        operator, joint = _sign(points, kinds, known, first, beyond, i)
        operators += operator
        joined += joint
        i += 1
        if kinds[point] & w.HAN:
            han += 1
            prose += han % _RUN == 0
            words, letter = 0, False
            continue
        han = 0
        if letter and point == w.APOSTROPHE:
            if i == beyond or points[i] == _BLANK:
                words += 1
                prose += words % _RUN == 0
        else:
            words = words if letter and point == _BLANK else 0
            letter = False
    found[4], found[5] = min(operators, _MOST), min(joined, _MOST)
    found[6], found[7] = _DENSE * symbols >= visible, min(prose, _PROSE)


@inlined
def _sign(points: Any, kinds: Any, known: Table, first: int, beyond: int, i: int) -> tuple[bool, bool]:
    """Whether an operator is at a place, or a mark that joins names."""
    point = points[i]
    before = points[i - 1] if i > first else _BLANK
    after = points[i + 1] if i + 1 < beyond else _BLANK
    if point == w.EQUALS:
        triple = after == w.EQUALS and i + 2 < beyond and points[i + 2] == w.EQUALS
        return before != w.EQUALS and not triple, False  # lines of === are no code
    if point == w.GREATER:
        return before == w.MINUS and (i - 1 == first or points[i - 2] != w.MINUS), False
    if point == _AND or point == _OR:
        return before == point and after != point and (i - 1 == first or points[i - 2] != point), False
    if point == _UNDER or point == w.DOT or point == w.COLON:
        if point == w.COLON:
            before = points[i - 2] if before == w.COLON and i - 2 >= first else _BLANK
        names = _bits(before, known) & _bits(after, known) & _NAME > 0
        return False, names and not kinds[after] & w.DIGIT
    return False, False


@inlined
def _bits(point: Any, known: Table) -> Any:
    return known.ascii[point] if point < 128 else np.uint8(0)


@inlined
def _keyword(points: Any, known: Table, first: int, beyond: int) -> bool:
    """Whether a line begins with a word of code, perhaps after #, or with //, /* or #!."""
    after = points[first + 1] if first + 1 < beyond else _BLANK
    if points[first] == w.SLASH:
        return bool(after == w.SLASH or after == w.STAR)
    if points[first] == w.HASH:
        if after == w.EXCLAMATION:
            return True
        first += 1
    code = np.uint64(0)
    i = first
    while i < beyond and i - first < 12 and 0x61 <= points[i] <= 0x7A:
        code = code << np.uint64(5) | np.uint64(points[i] - 0x60)
        i += 1
    if i < beyond and (_bits(points[i], known) & _NAME or points[i] == w.APOSTROPHE or points[i] > 0x7F):
        return False  # the word goes on
    return bool(place_among(known.keys, code) >= 0)
