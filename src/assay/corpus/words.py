"""Words of documents, as the rule filters of the field count them: words, numbers, and every punctuation mark apart.

    code points of a slice of documents -> where words begin and end

Bounds such as "4 of 5 words have a letter" or "newlines a word" were set with spaCy's tokenizer (FineWeb, through
datatrove), whose rules for English are followed here for all text with spaces between its words: it is cut at
whitespace; punctuation comes off either end of what is between two spaces, mark by mark, `...` as one; the rest is cut
around a hyphen, comma or colon between letters, and before `'s`, `n't` and the like. Every rule is about a character
and those beside it, so that there is no loop over words or documents.

Documents mostly in a script without spaces are cut by jieba's dictionary (`rjieba`), Chinese characters elsewhere are
words of their own. What differs from spaCy are exceptions that only a list can hold (smileys, `10km`, `gonna`).
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from assay.corpus import characters as ch

B1 = npt.NDArray[np.bool_]
U16 = npt.NDArray[np.uint16]
_T = TypeVar("_T", bound=np.generic)

ALPHA, LOWER, UPPER, DIGIT, SPACE, PREFIX, SUFFIX, OTHER, MARK, ICON, HYPHEN, WORD, TERMINAL, HAN, BREAK, JOINT = (
    1 << i for i in range(16)
)
"""Bits of `kinds()`. ALPHA: a letter; LOWER and UPPER: also one without case. DIGIT: 0 to 9. PREFIX, SUFFIX: comes off
the beginning, the end of a word. OTHER: no punctuation, as Unicode has it, nor whitespace. MARK: a full stop comes off
after it. ICON: a symbol, always a word. WORD: what makes a word more than symbols, for datatrove. TERMINAL: may end a
sentence. HAN: a letter of a script without spaces. BREAK: ends a line, for `str.splitlines`. JOINT: may be where a word
is cut."""

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
    N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Okla. Ore. Pa. S.C. Tenn. Va. Wash. Wis. etc.
    """
"""Words that keep their full stop."""
_QUOTED = (0x27, 0x2019)
_LONGEST = 7  # letters of an abbreviation, without its last full stop
_UNSPACED_SHARE = 1 / 3


@dataclass(frozen=True)
class Words:
    """The words of a slice: [begin, end) in its code points, the document, and the kinds of characters in each."""

    begins: ch.I64
    ends: ch.I64
    document: ch.I64
    kinds: U16
    by_document: ch.I64
    """Offsets: the words of document i are by_document[i] to by_document[i + 1]."""


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


def split(points: ch.U32, low: ch.U8, offsets: ch.I64, kind: U16) -> Words:
    """The words of the documents in a slice.

    Args:
        points: (P,) code points, every document followed by one newline.
        low: (P,) the same below 128, and 255 for all others.
        offsets: (documents + 1,) where documents begin in them.
        kind: (P,) the bits of each.
    """
    begins, ends = _spaced(points, low, kind)
    han = (kind & HAN) > 0
    if han.any():
        letters = ch.sums((kind & ALPHA) > 0, offsets)
        unspaced = np.flatnonzero(ch.sums(han, offsets) > _UNSPACED_SHARE * letters)
        if len(unspaced):
            begins, ends = _with_dictionary(points, offsets, begins, ends, unspaced)
    by_document = np.searchsorted(begins, offsets)
    document = np.repeat(np.arange(len(offsets) - 1), np.diff(by_document))
    inside = np.bitwise_or.reduceat(kind, begins) if len(begins) else np.empty(0, dtype=np.uint16)
    return Words(begins, ends, document, inside, by_document)


def _shifted(values: npt.NDArray[_T], by: int) -> npt.NDArray[_T]:
    """What stands `by` places before (positive) or after each place; zero beyond the ends."""
    made = np.empty_like(values)
    if by > 0:
        made[by:], made[:by] = values[:-by], 0
    else:
        made[:by], made[by:] = values[-by:], 0
    return made


def _spaced(points: ch.U32, low: ch.U8, kind: U16) -> tuple[ch.I64, ch.I64]:
    """Begins and ends of words, at spaces and by spaCy's rules for what is between two spaces."""
    before, after = _shifted(kind, 1), _shifted(kind, -1)
    space = (kind & SPACE) > 0
    first = ~space
    beyond = space.copy()  # the first place after a chunk
    if len(points):
        first[1:] &= space[:-1]
        beyond[1:] &= ~space[:-1]
        beyond[0] = False
    begin, interior = _stripped(points, low, kind, before, after, np.flatnonzero(first), np.flatnonzero(beyond))
    interior &= ~space
    begin |= first
    _cut_inside(points, low, kind, before, after, interior, begin)
    edge = np.flatnonzero(begin | beyond)
    at = np.flatnonzero(begin[edge])
    return edge[at], edge[np.minimum(at + 1, len(edge) - 1)]


def _stripped(
    points: ch.U32, low: ch.U8, kind: U16, before: U16, after: U16, begins: ch.I64, ends: ch.I64
) -> tuple[B1, B1]:
    """Where a word begins because of what comes off the ends of the chunks [begin, end), and what is within them."""
    stop = low == 0x2E
    after_stop = _shifted(stop, 1)
    run = stop & (after_stop | _shifted(stop, -1))
    possessive = (low | 0x20) == 0x73
    possessive[1:] &= _quotes(points, low)[:-1]
    prefix, suffix = (kind & PREFIX) > 0, (kind & SUFFIX) > 0
    prefix |= run
    suffix |= run
    suffix |= possessive
    plus = np.flatnonzero(low == 0x2B)
    prefix[plus[(after[plus] & DIGIT) > 0]] = False
    money = np.flatnonzero(prefix & ((before & DIGIT) > 0))
    suffix[money[(low[money] != 0x3D) & (points[money] != 0xA7)]] = True
    stops = np.flatnonzero(stop)
    suffix[stops[_ends_sentence(kind, stops)]] = True
    lead, tail = begins.copy(), ends.copy()
    lead_of, tail_of = np.flatnonzero(prefix[begins]), np.flatnonzero(suffix[ends - 1])
    stays = np.append(np.flatnonzero(~prefix), len(points))
    lead[lead_of] = np.minimum(stays[np.searchsorted(stays, begins[lead_of])], ends[lead_of])
    stays = np.append(np.flatnonzero(~suffix), -1)  # the last one is found at index -1
    found = np.searchsorted(stays[:-1], ends[tail_of]) - 1
    tail[tail_of] = np.maximum(stays[found] + 1, lead[tail_of])
    tail[tail_of] += _abbreviated(points, lead[tail_of], tail[tail_of])
    off = np.concatenate(
        [
            ch.ranges(begins[lead_of], lead[lead_of] - begins[lead_of]),
            ch.ranges(tail[tail_of], ends[tail_of] - tail[tail_of]),
        ]
    )
    begin, interior = np.zeros(len(points), dtype=bool), np.ones(len(points), dtype=bool)
    interior[off] = False
    begin[off[~(run[off] & after_stop[off]) & ~possessive[off]]] = True
    begin[lead[lead_of][lead[lead_of] < ends[lead_of]]] = True
    return begin, interior


def _quotes(points: ch.U32, low: ch.U8) -> B1:
    """Apostrophes, straight and curly."""
    return (low == 0x27) | (points == 0x2019)


def _ends_sentence(kind: U16, stops: ch.I64) -> B1:
    """Whether a full stop at these places comes off the end of a chunk."""
    one, two = (kind[np.maximum(stops - back, 0)] for back in (1, 2))
    capitals = (one & two & UPPER) > 0
    alone = ((one & ALPHA) > 0) & (((two & SPACE) > 0) | (stops == 1))  # "a." is one word
    return (stops > 0) & (((one & (LOWER | DIGIT | MARK)) > 0) | capitals) & ~alone


def _abbreviated(points: ch.U32, begins: ch.I64, ends: ch.I64) -> B1:
    """Whether what stands at [begin, end) is an abbreviation and a full stop follows."""
    at = np.flatnonzero((ends - begins <= _LONGEST) & (points[np.minimum(ends, len(points) - 1)] == 0x2E))
    keys = np.zeros(len(at), dtype=np.uint64)
    for i in range(_LONGEST):
        place = np.minimum(begins[at] + i, len(points) - 1)
        keys = keys << np.uint64(8) | np.where(place < ends[at], points[place] & 0xFF, 0).astype(np.uint64)
    made = np.zeros(len(begins), dtype=bool)
    made[at] = np.isin(keys, _abbreviations())
    return made


@lru_cache(maxsize=1)
def _abbreviations() -> ch.U64:
    words = [word[:-1].encode().ljust(_LONGEST, b"\0") for word in ABBREVIATIONS.split()]
    return np.array([int.from_bytes(word, "big") for word in words], dtype=np.uint64)


def _cut_inside(points: ch.U32, low: ch.U8, kind: U16, before: U16, after: U16, interior: B1, begin: B1) -> None:
    """Mark in `begin` the cuts within chunks."""
    seldom = np.flatnonzero(((kind & (JOINT | ICON)) > 0) & interior)
    mark, left, right = low[seldom], before[seldom], after[seldom]
    next_ = low[np.minimum(seldom + 1, len(low) - 1)]
    alpha_after, known = (right & ALPHA) > 0, (left & (ALPHA | DIGIT)) > 0
    hyphen = (kind[seldom] & HYPHEN) > 0
    one = (mark == 0x2C) & ((left & ALPHA) > 0) & alpha_after
    one |= ((mark == 0x3A) | (mark == 0x2F) | ((mark >= 0x3C) & (mark <= 0x3E)) | hyphen) & known & alpha_after
    one |= (mark == 0x2E) & ((left & LOWER) > 0) & ((right & UPPER) > 0)
    operator = (mark == 0x2B) | (mark == 0x2D) | (mark == 0x2A) | (mark == 0x5E)
    one |= operator & ((left & DIGIT) > 0) & (((right & DIGIT) > 0) | (next_ == 0x2D))
    one |= (kind[seldom] & ICON) > 0
    two = hyphen & (mark == 0x2D) & known & (next_ == 0x2D)
    two &= (kind[np.minimum(seldom + 2, len(low) - 1)] & ALPHA) > 0
    dots = (mark == 0x2E) & (next_ == 0x2E)
    cuts = [seldom[one], seldom[one] + 1, seldom[two], seldom[two] + 2]
    if dots.any():
        run = seldom[dots]  # every full stop that another follows
        cuts += [run[low[run - 1] != 0x2E], (run + 2)[low[np.minimum(run + 2, len(low) - 1)] != 0x2E]]
    places = np.concatenate(cuts)
    places = places[places < len(low)]
    begin[places[interior[places]]] = True
    _cut_contractions(points, low, kind, interior, begin)


def _cut_contractions(points: ch.U32, low: ch.U8, kind: U16, interior: B1, begin: B1) -> None:
    """`it 's`, `they 'll`, `do n't`: before the apostrophe, or the n."""
    at = np.flatnonzero(_quotes(points, low) & interior)
    at = at[(at >= 2) & (at + 3 < len(low))]
    at = at[(kind[at - 1] & ALPHA) > 0]
    previous, one, two = (low[at + by] | 0x20 for by in (-1, 1, 2))
    ends_after_one = (kind[at + 2] & (ALPHA | DIGIT)) == 0
    ends_after_two = (kind[at + 3] & (ALPHA | DIGIT)) == 0
    negated = (previous == ord("n")) & (one == ord("t")) & ends_after_one & ((kind[at - 2] & ALPHA) > 0)
    begin[at[negated] - 1] = True
    short = ((one == ord("d")) | (one == ord("m"))) & ends_after_one
    longer = (one == ord("l")) & (two == ord("l"))
    longer |= ((one == ord("r")) | (one == ord("v"))) & (two == ord("e"))
    begin[at[short | (longer & ends_after_two)]] = True


def _with_dictionary(
    points: ch.U32, offsets: ch.I64, begins: ch.I64, ends: ch.I64, documents: ch.I64
) -> tuple[ch.I64, ch.I64]:
    """The words, with those of some documents replaced by jieba's."""
    import rjieba

    kept = np.ones(len(begins), dtype=bool)
    bounds = np.searchsorted(begins, offsets)
    lengths, starts = [], []
    for i in documents.tolist():
        kept[bounds[i] : bounds[i + 1]] = False
        text = points[offsets[i] : offsets[i + 1] - 1].tobytes().decode("utf-32-le")
        cut = np.fromiter(map(len, rjieba.cut(text)), dtype=np.int64)
        lengths.append(cut)
        starts.append(offsets[i] + np.cumsum(cut) - cut)
    low, size = np.concatenate(starts), np.concatenate(lengths)
    solid = (kinds()[points[low]] & SPACE) == 0
    low, high = low[solid], (low + size)[solid]
    low, high = np.concatenate([begins[kept], low]), np.concatenate([ends[kept], high])
    order = np.argsort(low, kind="stable")
    return low[order], high[order]
