"""Defects that need no other document: text read wrongly, cut off, wrapped, and stripped of its marks.

    documents batch, seed -> altered copies, and what was done to each

All are pure functions in the way of `defects`: draws are made from a hash of the document's content and the seed.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpus.altering import surface
from assay.corpus.altering.edits import (
    Edits,
    Texts,
    draw,
    draws,
    hits,
    line_spans,
    mostly_han,
    put_together,
    share,
    spliced,
    told_by,
)  # fmt: skip
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled

Told = tuple[pa.RecordBatch, list[str]]
"""Altered copies, and what was done to each."""
MODES = ("utf8-as-gbk", "utf8-as-latin1", "gbk-as-latin1", "gbk-as-utf8-as-gbk")
"""How text becomes mojibake: what its bytes were, and what they were taken for. Latin-1 is Windows-1252, as browsers
have it. The last one, twice wrong, leaves 锟斤拷."""
_BAD = 0xFFFD
_NONE = 0xFFFF

_CONFUSIONS = """
    0:Oo O:0 o:0 1:lI l:1I I:l1 5:S S:5 8:B B:8 2:Z Z:2 6:b b:6h h:b e:c c:e u:v v:u n:u i:j f:t t:f q:g g:q
    y:v ,:. .:, ;:: ::; “:" ”:" ‘:' ’:' ，:, 。:. ；:; ：:: （:( ）:) 、:丶 一:— 己:已巳 已:己 巳:已
    未:末 末:未 人:入 入:人八 八:人 土:士 士:土 日:曰目 曰:日 目:日自 自:白目 白:自 大:太犬 太:大 犬:大
    天:夭夫 夫:天 干:千于 千:干 于:干 午:牛 牛:午 王:玉主 玉:王 主:王 田:由甲 由:田 甲:申 申:甲 贝:见 见:贝
    几:儿九 儿:几 九:几 力:刀 刀:力 万:方 方:万 乌:鸟 鸟:乌 拔:拨 拨:拔 侯:候 候:侯 戊:戌 戌:戍 折:拆 拆:折
    晴:睛 睛:晴 情:清 清:情请 请:清 洒:酒 酒:洒 辩:辨 辨:辩 栗:粟 粟:栗 免:兔 兔:免 今:令 令:今 住:往 往:住
    代:伐 伐:代 治:冶 冶:治 准:淮 淮:准 处:外 外:处 问:间 间:问 同:间 又:叉 叉:又 广:厂 厂:广 丰:韦 了:丁
    丁:了 小:少 少:小 木:本 本:木 子:孑 和:知 知:和 历:厉 厉:历 体:休 休:体
    """
"""What a character looks like to a machine that reads a scan."""
_PAIRS = {"rn": "m", "cl": "d", "vv": "w", "m": "rn", "d": "cl", "w": "vv"}


def mojibake(batch: pa.RecordBatch, seed: int) -> Told:
    """Text read in another encoding than it was written in, by one of MODES: for documents that are mostly Chinese any
    of them, for others one of the first two. What is pure ASCII does not change."""
    tables = _encodings()

    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        several = np.where(mostly_han(points, offsets), len(MODES), 2).astype(np.uint64)
        modes = (draw(seeds, 11) % several).astype(np.int64)
        longest = int(np.diff(offsets).max(initial=0))
        octets, again = (np.empty(12 * longest + 4, dtype=np.uint8) for _ in range(2))
        made, places = np.empty(6 * len(points), dtype=np.uint32), np.zeros(len(offsets), dtype=np.int64)
        n = _garble(points, offsets, modes, *tables, octets, again, made, places)
        return made[:n].copy(), places, [MODES[mode] for mode in modes.tolist()]

    return told_by(batch, kernel, seed, f"mojibake {seed}")


@lru_cache(maxsize=1)
def _encodings() -> tuple[ch.U32, ch.U32, ch.U32]:
    """What a byte is in Windows-1252 (what that lacks: in Latin-1), what two bytes are in GBK, and what a code point is
    in GBK; _NONE where it is nothing."""
    latin = np.array([ord(_decoded(bytes([i]), "cp1252") or chr(i)) for i in range(256)], dtype=np.uint32)
    pairs = np.full(1 << 16, _NONE, dtype=np.uint32)
    codes = np.full(sys.maxunicode + 1, _NONE, dtype=np.uint32)
    codes[:0x80] = np.arange(0x80)
    for code in range(0x8140, 0xFEFF):
        char = _decoded(code.to_bytes(2, "big"), "gbk")
        if char is not None and len(char) == 1:
            pairs[code] = ord(char)
            codes[ord(char)] = code
    return latin, pairs, codes


def _decoded(octets: bytes, encoding: str) -> str | None:
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError:
        return None


@compiled
def _garble(
    points: Any, offsets: Any, modes: Any, latin: Any, pairs: Any, codes: Any, octets: Any, again: Any, made: Any,
    places: Any,
) -> int:  # fmt: skip
    n = 0
    for d in range(len(offsets) - 1):
        if modes[d] < 2:
            size = _utf8(points, offsets[d], offsets[d + 1], octets)
        else:
            size = _gbk(points, offsets[d], offsets[d + 1], codes, octets)
        if modes[d] == 1 or modes[d] == 2:
            for i in range(size):
                made[n + i] = latin[octets[i]]
            n += size
        elif modes[d] == 0:
            n = _from_gbk(octets, size, pairs, made, n)
        else:
            size = _replaced(octets, size, again)
            n = _from_gbk(again, size, pairs, made, n)
        places[d + 1] = n
    return n


@compiled
def _utf8(points: Any, begin: int, end: int, octets: Any) -> int:
    n = 0
    for i in range(begin, end):
        point = points[i]
        if point < 0x80:
            octets[n] = point
            n += 1
            continue
        more = 1 if point < 0x800 else 2 if point < 0x10000 else 3
        octets[n] = (0xFF00 >> (more + 1)) & 0xFF | (point >> np.uint32(6 * more))
        for j in range(1, more + 1):
            octets[n + j] = 0x80 | (point >> np.uint32(6 * (more - j))) & 0x3F
        n += more + 1
    return n


@compiled
def _gbk(points: Any, begin: int, end: int, codes: Any, octets: Any) -> int:
    """What GBK lacks is a question mark."""
    n = 0
    for i in range(begin, end):
        code = codes[points[i]]
        if code >= 0x100 and code != _NONE:
            octets[n] = code >> np.uint32(8)
            n += 1
        octets[n] = 0x3F if code == _NONE else code & 0xFF
        n += 1
    return n


@compiled
def _from_gbk(octets: Any, size: int, pairs: Any, made: Any, n: int) -> int:
    i = 0
    while i < size:
        lead = octets[i]
        if lead < 0x80:
            made[n] = lead
        else:
            made[n] = _BAD
            if lead != 0x80 and lead != 0xFF and i + 1 < size:
                char = pairs[np.int64(lead) << 8 | np.int64(octets[i + 1])]
                if char != _NONE:
                    made[n] = char
                    i += 1
        n += 1
        i += 1
    return n


@compiled
def _replaced(octets: Any, size: int, again: Any) -> int:
    """Bytes taken for UTF-8 and written again: every byte that is none becomes U+FFFD, three bytes."""
    n = 0
    i = 0
    while i < size:
        length = _length(octets, i, size)
        if length > 0:
            for j in range(i, i + length):
                again[n] = octets[j]
                n += 1
            i += length
            continue
        again[n], again[n + 1], again[n + 2] = 0xEF, 0xBF, 0xBD
        n += 3
        i -= length
    return n


@compiled
def _length(octets: Any, at: int, size: int) -> int:
    """The bytes of the character here; or how many bytes are none, negative (as Unicode recommends: a beginning of a
    character that breaks off is one)."""
    lead = octets[at]
    if lead < 0x80:
        return 1
    if lead < 0xC2 or lead > 0xF4:
        return -1
    wanted = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    low, high = 0x80, 0xBF
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    for k in range(1, wanted):
        if at + k >= size or octets[at + k] < low or octets[at + k] > high:
            return -k
        low, high = 0x80, 0xBF
    return wanted


def misread(batch: pa.RecordBatch, rate: float, seed: int) -> Told:
    """Each character that looks like another one is taken for it with probability `rate`, as by a machine that reads a
    scan: 0 and O, rn and m, 未 and 末. Characters without a double stay."""
    double, snippets = _doubles()

    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        drawn = draws(seeds, offsets, 12)
        hit = hits(drawn, rate)
        hit = hit[double[0][points[hit]] < double[1][points[hit]]]
        more = ch.mix(drawn[hit])
        first, count = double[0][points[hit]], double[1][points[hit]] - double[0][points[hit]]
        snippet = first + (more % count.astype(np.uint64)).astype(np.int64)
        document = np.searchsorted(offsets, hit, side="right") - 1
        lengths = np.ones(len(hit), dtype=np.int64)
        # r, c and v are misread only before n, l and v, with them
        wanted = double[2][snippet]
        follows = np.minimum(hit + 1, len(points) - 1)
        pair = (wanted > 0) & (hit + 1 < offsets[document + 1]) & (points[follows] == wanted)
        taken = np.append(False, pair[:-1] & (np.diff(hit) == 1))[: len(hit)]  # by the pair that begins before it
        good = ((wanted == 0) | pair) & ~taken
        lengths[pair] = 2
        edits = Edits(document[good], hit[good], lengths[good], snippet[good])
        return *spliced(points, offsets, edits, snippets), [f"{n} places" for n in _per_document(edits, offsets)]

    return told_by(batch, kernel, seed, f"misread {rate!r} {seed}")


def _per_document(edits: Edits, offsets: ch.I64) -> list[int]:
    made: list[int] = np.bincount(edits.document, minlength=len(offsets) - 1).tolist()
    return made


@lru_cache(maxsize=1)
def _doubles() -> tuple[tuple[ch.I64, ch.I64, ch.I64], tuple[ch.U32, ch.I64]]:
    """Of every code point the first of its doubles among the snippets and the one beyond the last; and of a snippet the
    character that must follow (0: any)."""
    doubles: dict[str, list[tuple[str, int]]] = {}
    for entry in _CONFUSIONS.split():
        for other in entry[2:]:
            doubles.setdefault(entry[0], []).append((other, 0))
    for seen, other in _PAIRS.items():
        doubles.setdefault(seen[0], []).append((other, ord(seen[1]) if len(seen) > 1 else 0))
    first, last = (np.zeros(sys.maxunicode + 1, dtype=np.int64) for _ in range(2))
    texts: list[str] = []
    follow: list[int] = []
    for char, found in doubles.items():
        first[ord(char)], last[ord(char)] = len(texts), len(texts) + len(found)
        texts += [text for text, _ in found]
        follow += [after for _, after in found]
    return (first, last, np.array(follow)), ch.points_of(pa.array(texts))


def truncated(batch: pa.RecordBatch, seed: int) -> Told:
    """The beginning of each document, cut off at a random place between a fifth and four fifths of it, wherever that
    is."""

    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        lengths = np.diff(offsets)
        kept = np.minimum(lengths, np.ceil(lengths * (0.2 + 0.6 * share(draw(seeds, 13)))).astype(np.int64))
        made = put_together(points, offsets[:-1], kept, np.arange(len(offsets)))
        told = [f"{n} of {m} characters" for n, m in zip(kept.tolist(), lengths.tolist(), strict=True)]
        return *made, told

    return told_by(batch, kernel, seed, f"truncated {seed}")


def hard_wrapped(batch: pa.RecordBatch, width: int, seed: int) -> Told:
    """Lines broken after at most `width` cells, as e-mail and old plain text have them; a Chinese character takes two
    cells. Lines break at spaces, in text without spaces anywhere; a longer word stays whole."""

    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        del seeds
        made = np.empty(2 * len(points), dtype=np.uint32)
        places = np.zeros(len(offsets), dtype=np.int64)
        n = _wrap(points, offsets, ch.classes(), width, made, places)
        return made[:n].copy(), places, [f"at {width} cells"] * len(places[1:])

    return told_by(batch, kernel, seed, f"hard_wrapped {width} {seed}")


@compiled
def _wrap(points: Any, offsets: Any, classes: Any, width: int, made: Any, places: Any) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        cells = 0  # of this line so far
        since = 0  # cells behind the last place to break
        place = -1  # that place: where a space was written
        for i in range(begin, end):
            point = points[i]
            if point == 0x0A:
                cells, since, place = 0, 0, -1
                made[n] = point
                n += 1
                continue
            single = classes[point] & ch.UNSPACED > 0
            cell = 2 if single else 1
            if cells + cell > width:
                if single and cells > 0:
                    made[n] = 0x0A
                    n += 1
                    cells, since, place = 0, 0, -1
                elif place >= 0 and point != 0x20:
                    made[place] = 0x0A
                    cells, since, place = since, 0, -1
            if point == 0x20 and cells > 0:
                place, since = n, 0
            else:
                since += cell
            made[n] = point
            n += 1
            cells += cell
        places[d + 1] = n
    return n


def unpunctuated(batch: pa.RecordBatch, seed: int) -> Told:
    """No punctuation, as `surface.without_punctuation` takes it out."""
    return _by_step(batch, surface.without_punctuation, seed, "unpunctuated")


def lower_case(batch: pa.RecordBatch, seed: int) -> Told:
    """Everything in lower case."""
    return _by_step(batch, surface.lower, seed, "lower_case")


def _by_step(batch: pa.RecordBatch, step: Any, seed: int, name: str) -> Told:
    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        del seeds
        return *step(Texts(points=(points, offsets))).points, [""] * (len(offsets) - 1)

    return told_by(batch, kernel, seed, f"{name} {seed}")


_TAGS = ("<p>", "</p>", '<div class="content">', "</div>", "<br/>", "<span>", "</span>", "&nbsp;", "&amp;", "&quot;",
         "&lt;", "&gt;")  # fmt: skip
_NBSP, _AMP, _QUOT, _LT, _GT = range(7, 12)


def html_residue(batch: pa.RecordBatch, seed: int) -> Told:
    """What bad extraction leaves of a web page: tags around half of the lines, entities for all marks that HTML
    escapes, and for one space in twenty."""
    snippets = ch.points_of(pa.array(_TAGS))

    def kernel(_: pa.RecordBatch, points: ch.U32, offsets: ch.I64, seeds: ch.U64) -> tuple[ch.U32, ch.I64, list[str]]:
        begins, ends, owner = line_spans(points, offsets)
        first = np.searchsorted(owner, np.arange(len(offsets)))
        drawn = draws(seeds, first, 14)
        tagged = (share(drawn) < 0.5) & (ends > begins)
        kind = (ch.mix(drawn) % np.uint64(4)).astype(np.int64)
        pairs = tagged & (kind < 3)
        opened, closed = np.array([0, 2, 5]), np.array([1, 3, 6])
        chosen = np.minimum(kind, 2)
        spaced = hits(draws(seeds, offsets, 15), 0.05)
        spaced = spaced[points[spaced] == 0x20]
        escaped = [np.flatnonzero(points == ord(char)) for char in '&"<>']
        parts = [
            (owner[pairs], begins[pairs], 0, opened[chosen[pairs]], 1),
            (owner[pairs], ends[pairs], 0, closed[chosen[pairs]], 0),
            (owner[tagged & (kind == 3)], ends[tagged & (kind == 3)], 0, np.array([4]), 0),
            *((_owner(offsets, at), at, 1, np.array([which]), 2)
              for at, which in zip([spaced, *escaped], (_NBSP, _AMP, _QUOT, _LT, _GT), strict=True)),
        ]  # fmt: skip
        edits = _merged(parts)
        return *spliced(points, offsets, edits, snippets), [f"{n} places" for n in _per_document(edits, offsets)]

    return told_by(batch, kernel, seed, f"html_residue {seed}")


def _owner(offsets: ch.I64, places: ch.I64) -> ch.I64:
    return np.searchsorted(offsets, places, side="right") - 1


def _merged(parts: list[tuple[ch.I64, ch.I64, int, ch.I64, int]]) -> Edits:
    """Edits of several kinds (document, begin, length, snippet, rank) in order: at one place by rank."""
    document = np.concatenate([part[0] for part in parts])
    begins = np.concatenate([part[1] for part in parts])
    lengths = np.concatenate([np.full(len(part[1]), part[2], dtype=np.int64) for part in parts])
    which = np.concatenate([np.broadcast_to(part[3], len(part[1])) for part in parts])
    rank = np.concatenate([np.full(len(part[1]), part[4], dtype=np.int64) for part in parts])
    order = np.lexsort((rank, begins, document))
    return Edits(document[order], begins[order], lengths[order], which[order])
