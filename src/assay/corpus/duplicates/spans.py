"""Paragraphs and spans of sentences that stand earlier in the corpus.

    text in order -> pieces: lines, or sentences -> folded (letters and digits only, lower case)
                  -> a hash of every span of N pieces -> the first equal one (firsts.py), compared letter by letter
                  -> pieces of the spans that repeat one -> rows: begin, end, and where the text stands first

A paragraph is a line, as in CCNet (Wenzek et al. 2020) and Dolma (Soldaini et al. 2024); N is 1. C4 (Raffel et al.
2020) removes spans of three sentences, all but the first. A sentence ends where a mark of any script ends it, or a
line, unless the next goes on in lower case. Pieces tile a text: white space after a piece belongs to it, so that what
is left joins as it did. A text of fewer than N sentences is one span.

A span does not repeat one that it overlaps, so that of a line said ten times three are left where N is 3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from assay.corpus.duplicates.arrays import Appended, made
from assay.corpus.duplicates.firsts import SLOTS, firsts
from assay.corpus.duplicates.ordered import U8, Ordered, document_at, point_at, size_of
from assay.corpus.parts import in_order
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, compiled, inlined, mixed
from assay.machine import cores

Unit = Literal["paragraph", "sentence"]
WEIGHT = 3
"""A character of a script without spaces counts as so many: 67 Chinese characters are about as long as 200 of English
(some 45 tokens of a current tokenizer)."""
SHORTEST = 30
"""Letters and digits of the shortest span that is removed: some six words, or ten Chinese characters."""
_CLOSING = "\"'”’»›)]}」』）】》〉］｝〕"


class Tables(NamedTuple):
    """What the loops look up, of every code point."""

    folded: ch.U32
    kinds: w.U16
    weights: U8
    closing: U8
    lists: w.Lists


@lru_cache(maxsize=1)
def tables() -> Tables:
    closing = np.zeros(len(ch.folded()), dtype=np.uint8)
    closing[[ord(mark) for mark in _CLOSING]] = 1
    weights = np.where((ch.classes() & ch.UNSPACED) > 0, WEIGHT, 1).astype(np.uint8)
    return Tables(ch.folded(), w.kinds(), weights, closing, w.lists())


def repeated(
    corpus: Ordered,
    unit: Unit,
    n: int,
    shortest: int,
    folder: Path,
    progress: Callable[[float], None] | None = None,
    slots: int = SLOTS,
) -> int:
    """Write `rows.npy` into the folder: begin, end, first (bytes of the text in order) of all that repeats.

    Args:
        n: pieces of a span.
        shortest: letters and digits of the shortest span that is asked for, those without spaces counting thrice.
        progress: gets the share that is done.
        slots: of the table of hashes.

    Returns:
        how many pieces there are.
    """
    tell = progress or (lambda share: None)
    chunks = corpus.chunks()
    with (
        Appended(folder / "starts", np.int64) as starts,
        Appended(folder / "keys", np.uint64) as keys,
        Appended(folder / "rows", np.int64, 3) as rows,
    ):
        counts = []

        def cut(chunk: tuple[int, int]) -> tuple[ch.I64, ch.U64]:
            offsets = corpus.offsets[chunk[0] : chunk[1] + 1]
            return _pieces(corpus.text, offsets, unit == "paragraph", n, shortest)

        for i, (found, hashed) in enumerate(in_order(cut, iter(chunks), cores())):
            starts.add(found)
            keys.add(hashed)
            counts.append(len(found))
            tell(0.4 * (i + 1) / len(chunks))
        starts.add(np.array([len(corpus.text)]))
        total = keys.rows
        first = made(folder / "first.npy", (total,), np.int64)
        firsts(keys.array(), first, slots, lambda share: tell(0.4 + 0.3 * share))
        edges = np.cumsum([0, *counts])
        places = starts.array()

        def compare(number: int) -> ch.I64:
            begin, end = int(edges[number]), int(edges[number + 1])
            offsets = corpus.offsets[chunks[number][0] : chunks[number][1] + 1]
            origin = np.full(end - begin, -1, dtype=np.int64)
            _trace(corpus.text, corpus.offsets, offsets, places, first, begin, end, n, tables(), origin)
            found = np.empty((end - begin, 3), dtype=np.int64)
            return found[: _rows(corpus.offsets, offsets, places, begin, end, origin, found)]

        for i, found_rows in enumerate(in_order(compare, iter(range(len(chunks))), cores())):
            rows.add(found_rows)
            tell(0.7 + 0.3 * (i + 1) / len(chunks))
        rows.save(folder / "rows.npy")
    (folder / "first.npy").unlink()
    return total


def sentences(texts: pa.Array) -> list[list[str]]:
    """The sentences of each text, with the white space after each: on end they are the text."""
    encoded = [text.encode() for text in texts.to_pylist()]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    found, of = np.empty(int(offsets[-1]), dtype=np.int64), np.empty(len(offsets), dtype=np.int64)
    _cut_sentences(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets, tables(), found, of)
    cut = []
    for text, begin, own in zip(encoded, offsets.tolist(), pairwise(of.tolist()), strict=False):
        places = [*(found[own[0] : own[1]] - begin).tolist(), len(text)]
        cut.append([text[a:b].decode() for a, b in pairwise(places)])
    return cut


def _pieces(text: U8, offsets: ch.I64, lines: bool, n: int, shortest: int) -> tuple[ch.I64, ch.U64]:
    """Where the pieces of some documents begin, and a key of the span of each; 0 where there is none."""
    found = np.empty(int(offsets[-1] - offsets[0]), dtype=np.int64)
    of = np.empty(len(offsets), dtype=np.int64)
    (_cut_lines if lines else _cut_sentences)(text, offsets, tables(), found, of)
    count = int(of[-1])
    hashes, powers = np.empty(count, dtype=np.uint64), np.empty(count, dtype=np.uint64)
    weights, keys = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.uint64)
    _spell(text, offsets, found, of, tables(), hashes, powers, weights)
    _join(of, hashes, powers, weights, n, shortest, keys)
    return found[:count].copy(), keys


@compiled
def _cut_lines(text: Any, offsets: Any, t: Tables, found: Any, of: Any) -> None:
    """A line and the blank ones after it are a piece. `of` gets the pieces of each document."""
    n = 0
    for d in range(len(offsets) - 1):
        of[d] = n
        i, end = offsets[d], offsets[d + 1]
        if i < end:
            found[n] = i
            n += 1
        ended = filled = False
        while i < end:
            if text[i] == w.NEWLINE:
                ended = filled
                i += 1
                continue
            point, size = point_at(text, i), size_of(text[i])
            if not t.kinds[point] & w.SPACE:
                if ended:  # the line began after the last newline
                    start = i
                    while text[start - 1] != w.NEWLINE:
                        start -= 1
                    found[n] = start
                    n += 1
                    ended = False
                filled = True
            i += size
    of[len(offsets) - 1] = n


@compiled
def _cut_sentences(text: Any, offsets: Any, t: Tables, found: Any, of: Any) -> None:
    n = 0
    for d in range(len(offsets) - 1):
        of[d] = n
        begin, end = offsets[d], offsets[d + 1]
        if begin < end:
            found[n] = begin
            n += 1
        i = begin
        while i < end:
            point = point_at(text, i)
            beyond = i + size_of(text[i])
            if point == w.NEWLINE or t.kinds[point] & w.TERMINAL:
                stop = _ending(text, i, end, t)
                if _ends(text, begin, i, stop, end, t):
                    stop = _spaces(text, stop, end, t)
                    if stop < end:
                        found[n] = stop
                        n += 1
                beyond = max(beyond, stop)
            i = beyond
    of[len(offsets) - 1] = n


@inlined
def _ending(text: Any, at: int, end: int, t: Tables) -> int:
    """Where the marks end that may end a sentence here, and the quotes and brackets that close with it."""
    while at < end and t.kinds[point_at(text, at)] & w.TERMINAL:
        at += size_of(text[at])
    while at < end and t.closing[point_at(text, at)]:
        at += size_of(text[at])
    return at


@inlined
def _spaces(text: Any, at: int, end: int, t: Tables) -> int:
    while at < end and t.kinds[point_at(text, at)] & w.SPACE:
        at += size_of(text[at])
    return at


@compiled
def _ends(text: Any, begin: int, at: int, stop: int, end: int, t: Tables) -> bool:
    """Whether a sentence ends at the mark or line end `at`, after which [at, stop) belongs to it."""
    after = _spaces(text, stop, end, t)
    if after == end:
        return True
    following = t.kinds[point_at(text, after)]
    small = following & (w.LOWER | w.UPPER) == w.LOWER
    if text[at] == w.NEWLINE:
        lines = 0
        for i in range(at, after):
            lines += text[i] == w.NEWLINE
        return bool(lines > 1 or not small)
    if text[at] >= 0x80 and point_at(text, at) != _WIDE_DOT:
        return True  # marks of other scripts need no space after them
    if stop == after and not following & w.HAN:
        return False
    if text[at] != w.DOT or stop - at > 1:
        return bool(not small or text[at] != w.DOT)
    first = at
    while first > begin and not t.kinds[text[first - 1]] & w.SPACE and text[first - 1] < 0x80:
        first -= 1
    initial = at - first == 1 and t.kinds[text[first]] & w.ALPHA
    return bool(not small and not initial and w.in_list(text, first, at, t.lists.abbreviations) < 0)


_WIDE_DOT = ord("．")


@compiled
def _spell(text: Any, offsets: Any, found: Any, of: Any, t: Tables, hashes: Any, powers: Any, weights: Any) -> None:
    """Of every piece the hash of its letters and digits, BASE to the power of their number, and their weight."""
    for d in range(len(offsets) - 1):
        for k in range(of[d], of[d + 1]):
            end = found[k + 1] if k + 1 < of[d + 1] else offsets[d + 1]
            key, power, weight = np.uint64(0), np.uint64(1), 0
            i = found[k]
            while i < end:
                point = t.folded[point_at(text, i)]
                if point:
                    key = key * BASE + mixed(np.uint64(point))
                    power *= BASE
                    weight += t.weights[point]
                i += size_of(text[i])
            hashes[k], powers[k], weights[k] = key, power, weight


@compiled
def _join(of: Any, hashes: Any, powers: Any, weights: Any, n: int, shortest: int, keys: Any) -> None:
    for d in range(len(of) - 1):
        first, beyond = of[d], of[d + 1]
        for k in range(first, beyond):
            keys[k] = 0
            if k + n > beyond and k > first:
                continue
            key, weight = np.uint64(0), 0
            for j in range(k, min(k + n, beyond)):
                key = key * powers[j] + hashes[j]
                weight += weights[j]
            if weight >= shortest:
                key = mixed(key)
                keys[k] = key if key else np.uint64(1)


@compiled
def _trace(
    text: Any, all_offsets: Any, offsets: Any, starts: Any, first: Any, begin: int, end: int, n: int, t: Tables,
    origin: Any,
) -> None:  # fmt: skip
    """Of every piece [begin, end) that belongs to a span which repeats one, the piece that it repeats."""
    d = 0
    for k in range(begin, end):
        j = first[k]
        if j == k:
            continue
        while offsets[d + 1] <= starts[k]:
            d += 1
        beyond = min(k + n, end)
        while starts[beyond - 1] >= offsets[d + 1]:
            beyond -= 1
        last = all_offsets[document_at(all_offsets, starts[j]) + 1]
        source = j
        while source < j + n and starts[source] < last:
            source += 1
        if starts[source] > starts[k]:
            continue
        if not _same(text, starts[k], starts[beyond], starts[j], starts[source], t.folded):
            continue
        for i in range(beyond - k):
            if origin[k + i - begin] < 0:
                origin[k + i - begin] = min(j + i, source - 1)


@compiled
def _same(text: Any, i: int, end: int, j: int, stop: int, folded: Any) -> bool:
    """Whether two stretches say the same, letter by letter."""
    while True:
        while i < end and folded[point_at(text, i)] == 0:
            i += size_of(text[i])
        while j < stop and folded[point_at(text, j)] == 0:
            j += size_of(text[j])
        if i >= end or j >= stop:
            return i >= end and j >= stop
        if folded[point_at(text, i)] != folded[point_at(text, j)]:
            return False
        i += size_of(text[i])
        j += size_of(text[j])


@compiled
def _rows(all_offsets: Any, offsets: Any, starts: Any, begin: int, end: int, origin: Any, rows: Any) -> int:
    """Pieces side by side that repeat pieces side by side of one document are one row; returns the number of rows."""
    n, d = 0, 0
    for k in range(begin, end):
        source = origin[k - begin]
        if source < 0:
            continue
        fresh = k == begin or origin[k - begin - 1] < 0 or origin[k - begin - 1] != source - 1
        while offsets[d + 1] <= starts[k]:
            d += 1
            fresh = True
        if not fresh:
            fresh = document_at(all_offsets, starts[source - 1]) != document_at(all_offsets, starts[source])
        if fresh:
            rows[n, 0], rows[n, 2] = starts[k], starts[source]
            n += 1
        rows[n - 1, 1] = starts[k + 1]
    return n
