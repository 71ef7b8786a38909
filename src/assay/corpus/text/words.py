"""Words of documents, as the rule filters of the field count them: words, numbers, and every punctuation mark apart.

    code points of a document -> where words begin and end, what characters they have, their hashes

Bounds such as "4 of 5 words have a letter" or "newlines a word" were set with spaCy's tokenizer (FineWeb, through
datatrove), whose rules for English are followed here for all text with spaces between its words: it is cut at
whitespace; punctuation comes off either end of what is between two spaces, mark by mark, `...` as one; the rest is cut
around a hyphen, comma or colon between letters, and before `'s`, `n't` and the like.

Documents mostly in a script without spaces are cut by jieba's dictionary (`dictionary`), Chinese characters elsewhere
are words of their own. What differs from spaCy are exceptions that only a list can hold (smileys, `10km`, `gonna`).
"""

from __future__ import annotations

import sys
import unicodedata
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from assay.corpus.text import characters as ch
from assay.corpus.text import dictionary as dictionary_
from assay.corpus.text.compiled import BASE, compiled, inlined, mixed, place_among

U16 = npt.NDArray[np.uint16]

ALPHA, LOWER, UPPER, DIGIT, SPACE, PREFIX, SUFFIX, OTHER, MARK, ICON, HYPHEN, WORD, TERMINAL, HAN, BREAK, JOINT = (
    1 << i for i in range(16)
)
"""Bits of `kinds()`. ALPHA: a letter; LOWER and UPPER: also one without case. DIGIT: 0 to 9. PREFIX, SUFFIX: comes off
the beginning, the end of a word. OTHER: no punctuation, as Unicode has it, nor whitespace. MARK: a full stop comes off
after it. ICON: a symbol, always a word. WORD: what makes a word more than symbols, for datatrove. TERMINAL: may end a
sentence. HAN: a letter of a script without spaces. BREAK: ends a line, for `str.splitlines`. JOINT: may be where a word
is cut."""

(
    NEWLINE, RETURN, EXCLAMATION, QUOTE, HASH, APOSTROPHE, STAR, PLUS, COMMA, MINUS, DOT, SLASH,
    COLON, LESS, EQUALS, GREATER, QUESTION, OPEN, CLOSE, CARET, BRACE, SECTION, CURLY, BULLET, ELLIPSIS,
) = map(ord, "\n\r!\"#'*+,-./:<=>?[]^{§’•…")  # fmt: skip
_C, _D, _E, _L, _M, _N, _R, _S, _T, _V = map(ord, "cdelmnrstv")
_CASE = 0x20  # what makes an ASCII letter small
_PUNCT = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_QUOTES = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
_CURRENCY = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
_SYMBOLS = "!/—”:％〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
_TERMINAL = """
    21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d6
    17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e
    2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52
    fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6
    111cd 111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944
    11946 11a42-11a43 11a9b-11a9c 11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f
    1da88
    """
"""Unicode's Sentence_Terminal, as code points in hexadecimal."""

ABBREVIATIONS = """
    Adm. Bros. Co. Corp. D.C. Dr. Gen. Gov. Inc. Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. Ph.D. Prof. Rep. Rev. Sen.
    St. a.m. co. e.g. E.g. i.e. I.e. p.m. v.s. vs. Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec. Ala.
    Ariz. Ark. Calif. Colo. Conn. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky. La. Mass. Mich. Minn. Miss. N.C. N.D.
    N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Okla. Ore. Pa. S.C. Tenn. Va. Wash. Wis.
    """
"""Words that keep their full stop."""
SPECIAL = {"cannot": 3, "Cannot": 3, "gonna": 3, "gotta": 3, "and/or": 6}
"""Words that are cut after so many characters."""
_SPECIAL = min(map(len, SPECIAL)), max(map(len, SPECIAL))
_LONGEST = 8  # characters of a word in these lists
UNSPACED_SHARE = 1 / 3
"""Of the letters in a document, from which on it is cut by the dictionary."""


@lru_cache(maxsize=1)
def kinds() -> U16:
    """The bits of every code point."""
    classes = ch.classes()
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint16)
    letters = np.flatnonzero(classes & ch.LETTER)
    table[letters] |= ALPHA
    for point in letters.tolist():
        low, up = chr(point).islower(), chr(point).isupper()
        table[point] |= (LOWER if low or not up else 0) | (UPPER if up or not low else 0)
    table[(classes & ch.UNSPACED) > 0] |= HAN
    table[0x30:0x3A] |= DIGIT
    table[:] |= np.where((classes & ch.SPACE) > 0, SPACE, WORD).astype(np.uint16)
    for point in (*range(0x1C, 0x20), 0x85):
        table[point] = SPACE  # as str.isspace has it
    table[[0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029]] |= BREAK
    table[[*range(0, 9), *range(0x0E, 0x1C), *range(0x7F, 0xA0)]] &= ~np.uint16(WORD)
    for chars, bits in (
        (_PUNCT + _QUOTES, PREFIX | SUFFIX), (_CURRENCY + "§%=+", PREFIX), ("—–", PREFIX | SUFFIX),
        (_PUNCT.replace("…", "") + _QUOTES + "%²-+", MARK), ("-–—~", HYPHEN),
    ):  # fmt: skip
        table[[ord(c) for c in chars]] |= bits
    table[[ord(c) for c in _SYMBOLS]] &= ~np.uint16(WORD)
    for first, last in (pair.split("-") if "-" in pair else (pair, pair) for pair in _TERMINAL.split()):
        table[int(first, 16) : int(last, 16) + 1] |= TERMINAL
    table[table & TERMINAL > 0] &= ~np.uint16(WORD)
    table[(table & SPACE) == 0] |= OTHER
    for point in np.flatnonzero(classes & ch.PUNCTUATION).tolist():
        category = unicodedata.category(chr(point))
        if category[0] == "P":
            table[point] &= ~np.uint16(OTHER)
        elif category == "So":
            table[point] |= PREFIX | SUFFIX | ICON
    table[ord("…")] |= ICON
    table[[ord(c) for c in ",:/<=>.+*^-–—~"]] |= JOINT
    return table


class Words(NamedTuple):
    """Room for the words of one document: [begin, end) in the code points, the kinds of characters in each, hashes of
    what it says, as it stands and in lower case (of ASCII).

    `chars` is the number of characters of all words before one, `listed` the hash of these words, `joined` that of so
    many characters of words, `powers` those of BASE: the hash of any n-gram is had by one product, see `joined_hash`
    and `listed_hash`."""

    begins: ch.I64
    ends: ch.I64
    kinds: U16
    hashes: ch.U64
    lowered: ch.U64
    joined: ch.U64
    listed: ch.U64
    chars: ch.I64
    powers: ch.U64


def room(chars: int) -> Words:
    """Room for the words of a document of so many characters."""
    begins, ends, sizes = (np.empty(chars + 1, dtype=np.int64) for _ in range(3))
    hashes, lowered, joined, listed = (np.empty(chars + 1, dtype=np.uint64) for _ in range(4))
    powers = np.full(chars + 1, BASE)
    powers[0] = 1
    np.cumprod(powers, out=powers)
    return Words(
        begins, ends, np.empty(chars + 1, dtype=np.uint16), hashes, lowered, joined, listed, sizes, powers
    )  # fmt: skip


@inlined
def joined_hash(words: Words, first: int, beyond: int) -> Any:
    """The hash of the characters of the words [first, beyond), wherever one ends and the next begins."""
    return chars_hash(words, words.chars[first], words.chars[beyond])


@inlined
def chars_hash(words: Words, first: int, beyond: int) -> Any:
    """The hash of characters of the words, counted without what stands between words."""
    return words.joined[beyond] - words.joined[first] * words.powers[beyond - first]


@inlined
def listed_hash(words: Words, first: int, beyond: int) -> Any:
    """The hash of the words [first, beyond), one after another."""
    return words.listed[beyond] - words.listed[first] * words.powers[beyond - first]


class Lists(NamedTuple):
    """The lists of words that keep their full stop, and of those that are cut elsewhere, sorted by their codes."""

    abbreviations: ch.U64
    special: ch.U64
    cuts: ch.I64


@lru_cache(maxsize=1)
def lists() -> Lists:
    special = sorted((_code(word), at) for word, at in SPECIAL.items())
    return Lists(
        np.array(sorted(_code(word[:-1]) for word in ABBREVIATIONS.split()), dtype=np.uint64),
        np.array([code for code, _ in special], dtype=np.uint64),
        np.array([at for _, at in special], dtype=np.int64),
    )


def _code(word: str) -> int:
    return int.from_bytes(word.encode("ascii"), "big")


@compiled
def cut(points: Any, table: Any, lists: Lists, begin: int, end: int, words: Words) -> int:
    """Cut the document [begin, end) at spaces and by spaCy's rules; returns the number of its words."""
    n = 0
    i = begin
    while i < end:
        if table[points[i]] & SPACE:
            i += 1
            continue
        stop, some = i, np.uint16(0)
        while stop < end and not table[points[stop]] & SPACE:
            some |= table[points[stop]]
            stop += 1
        if some & (PREFIX | SUFFIX | JOINT | ICON):
            n = _cut_chunk(points, table, lists, i, stop, words, n)
        else:  # nothing to cut at
            which = _special(points, i, stop, lists)
            middle = stop if which < 0 else i + lists.cuts[which]
            n = _add(words, i, middle, n)
            n = _add(words, middle, stop, n) if middle < stop else n
        i = stop
    return n


@compiled
def take(points: Any, table: Any, lengths: Any, begin: int, words: Words) -> int:
    """Take over the words of a document that is cut already, by their lengths; returns the number of its words."""
    n = 0
    for length in lengths:
        if not table[points[begin]] & SPACE:
            n = _add(words, begin, begin + length, n)
        begin += length
    return n


@compiled
def by_dictionary(
    points: Any, table: Any, known: dictionary_.Dictionary, begin: int, end: int, spare: dictionary_.Room, words: Words
) -> int:  # fmt: skip
    """Cut the document [begin, end) by jieba's dictionary; returns the number of its words."""
    n = dictionary_.cut(points, begin, end, known, spare)
    return take(points, table, spare.lengths[:n], begin, words)


@inlined
def _add(words: Words, begin: int, end: int, n: int) -> int:
    words.begins[n], words.ends[n] = begin, end
    return n + 1


@compiled
def spell(points: Any, table: Any, words: Words, n: int) -> None:
    """Fill in the kinds and hashes of n words."""
    words.joined[0] = words.listed[0] = words.chars[0] = 0
    joined = np.uint64(0)
    m = 0
    for i in range(n):
        begin, end = words.begins[i], words.ends[i]
        kind = np.uint16(0)
        first = joined
        for j in range(begin, end):
            kind |= table[points[j]]
            joined = joined * BASE + np.uint64(points[j]) + np.uint64(1)
            m += 1
            words.joined[m] = joined
        plain = low = joined - first * words.powers[end - begin]
        if kind & UPPER:
            low = np.uint64(0)
            for j in range(begin, end):
                point = np.uint64(points[j])
                low = low * BASE + (point | np.uint64(_CASE) if 0x41 <= point <= 0x5A else point) + np.uint64(1)
        words.kinds[i], words.hashes[i], words.lowered[i] = kind, plain, low
        words.listed[i + 1] = words.listed[i] * BASE + mixed(plain)
        words.chars[i + 1] = m


@inlined
def _cut_chunk(points: Any, table: Any, lists: Lists, begin: int, end: int, words: Words, n: int) -> int:
    """Cut what stands between two spaces."""
    lead = begin
    while lead < end:
        step = _at_beginning(points, table, lead, end)
        if step == 0:
            break
        n = _add(words, lead, lead + step, n)
        lead += step
    tail = end
    while tail > lead:
        step = _at_end(points, table, lead, tail)
        if step == 0:
            break
        tail -= step
    if tail < end and points[tail] == DOT and in_list(points, lead, tail, lists.abbreviations) >= 0:
        tail += 1
    n = _cut_inside(points, table, lists, lead, tail, words, n)
    while tail < end:
        step = 1
        if points[tail] == DOT:
            while tail + step < end and points[tail + step] == DOT:
                step += 1
        elif _is_quote(points[tail]) and tail + 1 < end and points[tail + 1] | _CASE == _S:
            step = 2
        n = _add(words, tail, tail + step, n)
        tail += step
    return n


@inlined
def _is_quote(point: Any) -> bool:
    return bool(point == APOSTROPHE or point == CURLY)


@inlined
def _at_beginning(points: Any, table: Any, at: int, end: int) -> int:
    """How many characters come off here, at the beginning of a chunk."""
    point = points[at]
    if point == DOT:
        beyond = at
        while beyond < end and points[beyond] == DOT:
            beyond += 1
        return beyond - at if beyond - at > 1 else 0
    if not table[point] & PREFIX:
        return 0
    return 0 if point == PLUS and at + 1 < end and table[points[at + 1]] & DIGIT else 1


@inlined
def _at_end(points: Any, table: Any, begin: int, end: int) -> int:
    """How many characters come off the end of [begin, end)."""
    at = end - 1
    point = points[at]
    before = table[points[at - 1]] if at > begin else 0
    if point == DOT:
        if at > begin and points[at - 1] == DOT:
            while at > begin and points[at - 1] == DOT:
                at -= 1
            return end - at
        if at == begin + 1 and before & ALPHA:
            return 0  # "a." is one word
        capitals = before & UPPER and at - 1 > begin and table[points[at - 2]] & UPPER
        return 1 if before & (LOWER | DIGIT | MARK) or capitals else 0
    if point | _CASE == _S:
        return 2 if at > begin and _is_quote(points[at - 1]) else 0
    if table[point] & SUFFIX:
        return 1
    money = table[point] & PREFIX and before & DIGIT and point != EQUALS and point != SECTION
    return 1 if money else 0


@inlined
def _cut_inside(points: Any, table: Any, lists: Lists, begin: int, end: int, words: Words, n: int) -> int:
    if begin == end:
        return n
    if points[end - 1] == DOT and in_list(points, begin, end - 1, lists.abbreviations) >= 0:
        return _add(words, begin, end, n)
    which = _special(points, begin, end, lists)
    if which >= 0:
        middle = begin + lists.cuts[which]
        n = _add(words, begin, middle, n)
        return _add(words, middle, end, n) if middle < end else n
    start = begin
    i = begin + 1
    while i < end:
        kind = table[points[i]]
        step = _joint(points, table, begin, i, end) if kind & (JOINT | ICON) else 0
        before = False
        if _is_quote(points[i]) or (points[i] | _CASE == _N and i + 2 < end and _is_quote(points[i + 1])):
            before = _contraction(points, table, begin, i, end)
        if (step > 0 or before) and start < i:
            n = _add(words, start, i, n)
            start = i
        if step > 0:
            n = _add(words, i, i + step, n)
            start = i + step
        i += max(step, 1)
    return _add(words, start, end, n) if start < end else n


@inlined
def _joint(points: Any, table: Any, begin: int, at: int, end: int) -> int:
    """How many characters between two words are one of their own here."""
    point, left = points[at], table[points[at - 1]]
    right = table[points[at + 1]] if at + 1 < end else 0
    if table[point] & ICON:
        return 1
    if point == DOT:
        beyond = at
        while beyond < end and points[beyond] == DOT:
            beyond += 1
        if beyond - at > 1:
            return beyond - at
        return 1 if left & LOWER and right & UPPER else 0
    if point == COMMA:
        return 1 if left & ALPHA and right & ALPHA else 0
    operator = point == PLUS or point == MINUS or point == STAR or point == CARET
    if operator and left & DIGIT and (right & DIGIT or (at + 1 < end and points[at + 1] == MINUS)):
        return 1
    if not left & (ALPHA | DIGIT):
        return 0
    hyphen = table[point] & HYPHEN
    if (hyphen or point == COLON or point == SLASH or LESS <= point <= GREATER) and right & ALPHA:
        return 1
    double = point == MINUS and at + 2 < end and points[at + 1] == MINUS and table[points[at + 2]] & ALPHA
    return 2 if double else 0


@inlined
def _contraction(points: Any, table: Any, begin: int, at: int, end: int) -> bool:
    """Whether a word begins here as in `they 'll`, `do n't`."""
    word = ALPHA | DIGIT
    if points[at] | _CASE == _N:  # n't
        return bool(
            at + 2 < end
            and _is_quote(points[at + 1])
            and points[at + 2] | _CASE == _T
            and table[points[at - 1]] & ALPHA
            and (at + 3 == end or not table[points[at + 3]] & word)
        )
    if not _is_quote(points[at]) or not table[points[at - 1]] & ALPHA or at + 1 >= end:
        return False
    one = points[at + 1] | _CASE
    if one == _D or one == _M:  # 'd, 'm
        return bool(at + 2 == end or not table[points[at + 2]] & word)
    if at + 2 >= end or not (at + 3 == end or not table[points[at + 3]] & word):
        return False
    two = points[at + 2] | _CASE
    return bool((one == _L and two == _L) or ((one == _R or one == _V) and two == _E))  # 'll, 're, 've


@inlined
def _special(points: Any, begin: int, end: int, lists: Lists) -> int:
    return in_list(points, begin, end, lists.special) if _SPECIAL[0] <= end - begin <= _SPECIAL[1] else -1


@inlined
def in_list(points: Any, begin: int, end: int, codes: Any) -> int:
    """The place of a short ASCII word in a list of codes, or -1."""
    if end - begin > _LONGEST or end == begin:
        return -1
    code = np.uint64(0)
    for i in range(begin, end):
        if points[i] > 0x7F:
            return -1
        code = code << np.uint64(8) | np.uint64(points[i])
    return place_among(codes, code)


def pieces(text: str) -> ch.I64:
    """The lengths in characters of the words of one text, and of what stands between them: as `signals` cuts it."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    kind = kinds()[points]
    if np.count_nonzero(kind & HAN) > UNSPACED_SHARE * np.count_nonzero(kind & ALPHA):
        spare = dictionary_.room(len(points))
        return spare.lengths[: dictionary_.cut(points, 0, len(points), dictionary_.dictionary(), spare)]
    words = room(len(points))
    n = cut(points, kinds(), lists(), 0, len(points), words)
    edges = np.unique(np.concatenate([[0, len(points)], words.begins[:n], words.ends[:n]]))
    return np.diff(edges)
