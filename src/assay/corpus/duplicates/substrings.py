"""Exact substrings that stand earlier in the corpus (Lee et al. 2022), in bounded memory.

    text in order -> blocks: half as long as what is looked for, end to end in every document; their hashes in a table
                  -> a hash rolled over all places: which blocks stand elsewhere, and where
                  -> windows that hold such a block: the shortest stretch of LENGTH from each character on, its hash
                  -> the first window with the same hash (firsts.py), compared byte by byte
                  -> windows that repeat one, and what follows as long as both go on alike -> rows: begin, end, first

A stretch of LENGTH that stands twice holds a whole block in its first place, wherever that lies, so no repeat is
missed; what is left after the blocks is the small part of a corpus that may repeat, and only that is hashed window by
window. Both tables have a bounded size and are passed over as often as that takes, so that a text which stands in
every document costs no more than any other. (The blocks alone would find a repeat by going through all places where a
block stands: a square of them for boilerplate.)

A window does not repeat one that it overlaps: of a line of 1,000 dashes, the first LENGTH are left. (They are one row,
whose earlier place reaches into itself.)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from assay.corpus.duplicates.arrays import Appended, made
from assay.corpus.duplicates.firsts import LOAD, SLOTS, firsts, halves, ranges, slots_for
from assay.corpus.duplicates.ordered import U8, Ordered, document_at, point_at, size_of
from assay.corpus.duplicates.spans import tables
from assay.corpus.parts import in_order
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import BASE, compiled, inlined, mixed
from assay.machine import cores

LENGTH = 200
"""Characters of the shortest stretch, those of scripts without spaces counting thrice: 50 tokens (Lee et al. 2022)."""
LEAST = 20  # of LENGTH: shorter ones stand everywhere
_BLOCK_SLOTS = 1 << 24  # 9 bytes each; a table takes the blocks of a gigabyte
_LONGEST = 4  # bytes of a character


def repeated(
    corpus: Ordered,
    length: int,
    folder: Path,
    progress: Callable[[float], None] | None = None,
    slots: int = SLOTS,
) -> int:
    """Write `rows.npy` into the folder: begin, end, first (bytes of the text in order) of all that repeats.

    Args:
        length: characters of the shortest stretch, those of scripts without spaces counting `spans.WEIGHT` times.
        progress: gets the share that is done.
        slots: of both tables.

    Returns:
        how many windows were compared.
    """
    tell = progress or (lambda share: None)
    chunks = corpus.chunks()
    powers = np.cumprod(np.array([1] + [int(BASE)] * (_LONGEST * (length + 4)), dtype=np.uint64), dtype=np.uint64)
    spots = _Spots(corpus, chunks, made(folder / "spots.npy", (len(corpus.text) // 8 + len(chunks),), np.uint8))
    _find_blocks(spots, (length + 1) // 2, powers, min(slots, _BLOCK_SLOTS), lambda share: tell(0.4 * share))
    with (
        Appended(folder / "places", np.int64) as places,
        Appended(folder / "sizes", np.int32) as sizes,
        Appended(folder / "keys", np.uint64) as keys,
        Appended(folder / "rows", np.int64, 3) as rows,
    ):
        counts = []

        def cut(number: int) -> tuple[ch.I64, Any, ch.U64]:
            offsets, bits = spots.of(number)
            room = int(offsets[-1] - offsets[0])
            at, size = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32)
            key = np.empty(room, dtype=np.uint64)
            n = _windows(corpus.text, offsets, bits, length, tables().weights, powers, at, size, key)
            return at[:n].copy(), size[:n].copy(), key[:n].copy()

        for i, (at, size, key) in enumerate(in_order(cut, iter(range(len(chunks))), cores())):
            places.add(at)
            sizes.add(size)
            keys.add(key)
            counts.append(len(at))
            tell(0.4 + 0.2 * (i + 1) / len(chunks))
        first = made(folder / "first.npy", (keys.rows,), np.int64)
        firsts(keys.array(), first, slots, lambda share: tell(0.6 + 0.3 * share))
        edges = np.cumsum([0, *counts])
        windows, widths = places.array(), sizes.array()

        def compare(number: int) -> ch.I64:
            begin, end = int(edges[number]), int(edges[number + 1])
            found = np.empty((end - begin, 3), dtype=np.int64)
            return found[: _rows(corpus.text, corpus.offsets, windows, widths, first, begin, end, found)]

        for i, found in enumerate(in_order(compare, iter(range(len(chunks))), cores())):
            rows.add(found)
            tell(0.9 + 0.1 * (i + 1) / len(chunks))
        rows.save(folder / "rows.npy")
        total = keys.rows
    (folder / "first.npy").unlink()
    (folder / "spots.npy").unlink()
    return total


class _Spots:
    """A bit for every byte of the text, chunk by chunk, so that no two threads share a byte of bits."""

    def __init__(self, corpus: Ordered, chunks: list[tuple[int, int]], bits: U8) -> None:
        self.text, self.chunks = corpus.text, chunks
        self._offsets, self._bits = corpus.offsets, bits
        sizes = [int(corpus.offsets[end] - corpus.offsets[begin]) // 8 + 1 for begin, end in chunks]
        self._edges = np.cumsum([0, *sizes])

    def of(self, number: int) -> tuple[ch.I64, U8]:
        """The offsets of a chunk's documents, and its bits."""
        begin, end = self.chunks[number]
        return self._offsets[begin : end + 1], self._bits[self._edges[number] : self._edges[number + 1]]

    def blocks(self, width: int) -> int:
        """How many blocks of this width the text has at most."""
        return len(self.text) // width


def _find_blocks(spots: _Spots, width: int, powers: ch.U64, slots: int, tell: Callable[[float], None]) -> None:
    """Set the bits of all places where a block begins that stands twice, at least once as one of the blocks that lie
    end to end."""
    size = slots_for(spots.blocks(width), slots)
    table, twice = np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.uint8)
    waiting = [(np.uint64(low), np.uint64(high)) for low, high in ranges(spots.blocks(width), size)]
    numbers = range(len(spots.chunks))
    done = 0
    while waiting:
        low, high = waiting.pop()
        table[:], twice[:] = 0, 0
        used = 0
        for number in numbers:
            used = _enter(spots.text, spots.of(number)[0], width, low, high, table, twice, used, int(LOAD * size))
            if used < 0:
                break
        if used < 0:
            waiting += [(np.uint64(a), np.uint64(b)) for a, b in halves(int(low), int(high))]
            continue

        def roll(number: int, low: Any = low, high: Any = high) -> None:
            _roll(spots.text, *spots.of(number), width, powers, low, high, table, twice)

        def settle(number: int, low: Any = low, high: Any = high) -> None:
            _settle(spots.text, *spots.of(number), width, low, high, table, twice)

        for i, _ in enumerate(in_order(roll, iter(numbers), cores())):
            tell((done + (i + 1) / len(numbers)) / (done + 1 + len(waiting)))
        for _ in in_order(settle, iter(numbers), cores()):
            pass
        done += 1


@inlined
def _octet(value: Any) -> Any:
    return mixed(np.uint64(value) + np.uint64(1))


@inlined
def _key(polynomial: Any) -> Any:
    key = mixed(polynomial)
    return key if key else np.uint64(1)


@compiled
def _block(text: Any, at: int, width: int) -> Any:
    total = np.uint64(0)
    for i in range(at, at + width):
        total = total * BASE + _octet(text[i])
    return _key(total)


@inlined
def _slot(table: Any, key: Any) -> Any:
    """Where a key is, or is to be put."""
    mask = np.uint64(len(table) - 1)
    at = mixed(key) & mask
    while table[at] != 0 and table[at] != key:
        at = (at + np.uint64(1)) & mask
    return at


@compiled
def _enter(
    text: Any, offsets: Any, width: int, low: Any, high: Any, table: Any, twice: Any, used: int, most: int
) -> int:
    """Put the blocks of some documents into the table; returns how many are in it, or -1 where it is full."""
    for d in range(len(offsets) - 1):
        for at in range(offsets[d], offsets[d + 1] - width + 1, width):
            key = _block(text, at, width)
            if key < low or key > high:
                continue
            slot = _slot(table, key)
            if table[slot] == key:
                twice[slot] = 1
                continue
            if used == most:
                return -1
            table[slot] = key
            used += 1
    return used


@inlined
def _set(bits: Any, at: int) -> None:
    bits[at >> 3] |= np.uint8(1 << (at & 7))


@compiled
def _roll(
    text: Any, offsets: Any, bits: Any, width: int, powers: Any, low: Any, high: Any, table: Any, twice: Any
) -> None:
    """Look up every place that is no block's own."""
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        total = np.uint64(0)
        for i in range(begin, end):
            if i - begin >= width:
                total -= _octet(text[i - width]) * powers[width - 1]
            total = total * BASE + _octet(text[i])
            at = i - width + 1
            if at < begin or (at - begin) % width == 0:
                continue
            key = _key(total)
            if key < low or key > high:
                continue
            slot = _slot(table, key)
            if table[slot] == key:
                twice[slot] = 1
                _set(bits, at - offsets[0])


@compiled
def _settle(text: Any, offsets: Any, bits: Any, width: int, low: Any, high: Any, table: Any, twice: Any) -> None:
    """Set the bits of blocks that were met elsewhere."""
    for d in range(len(offsets) - 1):
        for at in range(offsets[d], offsets[d + 1] - width + 1, width):
            key = _block(text, at, width)
            if low <= key <= high and twice[_slot(table, key)]:
                _set(bits, at - offsets[0])


@compiled
def _windows(
    text: Any, offsets: Any, bits: Any, length: int, weights: Any, powers: Any, places: Any, sizes: Any, keys: Any
) -> int:
    """The shortest stretch of `length` from every character on, where it holds a block that stands elsewhere."""
    width = (length + 1) // 2
    n = 0
    for d in range(len(offsets) - 1):
        begin, end, last = offsets[d], offsets[d], offsets[d + 1]
        spot, seen = begin, begin - 1  # what was looked at; the last place with a bit
        weight, total = 0, np.uint64(0)
        while begin < last:
            while weight < length and end < last:
                weight += weights[point_at(text, end)]
                for _ in range(size_of(text[end])):
                    total = total * BASE + _octet(text[end])
                    end += 1
            if weight < length:
                break
            while spot <= end - width:
                bit = spot - offsets[0]
                if bits[bit >> 3] >> np.uint8(bit & 7) & 1:
                    seen = spot
                spot += 1
            if seen >= begin:
                places[n], sizes[n], keys[n] = begin, end - begin, _key(total)
                n += 1
            weight -= weights[point_at(text, begin)]
            for _ in range(size_of(text[begin])):
                total -= _octet(text[begin]) * powers[end - begin - 1]
                begin += 1
    return n


@inlined
def _equal(text: Any, begin: int, end: int, apart: int) -> bool:
    """Whether a stretch says the same as what stands so many bytes before it."""
    for i in range(begin, end):
        if text[i] != text[i - apart]:
            return False
    return True


@compiled
def _rows(text: Any, offsets: Any, places: Any, sizes: Any, first: Any, begin: int, end: int, rows: Any) -> int:
    """Stretches of windows that repeat, each cut where it ceases to follow one earlier place; returns their number."""
    n = 0
    apart = limit = covered = beyond = 0  # the open row: bytes to the earlier place, where that document ends
    for k in range(begin, end):
        at, stop = places[k], places[k] + sizes[k]
        if at >= beyond:
            beyond = offsets[document_at(offsets, at) + 1]
            covered = at
            apart = 0
        if apart >= sizes[k] and at <= covered and stop - apart <= limit and _equal(text, covered, stop, apart):
            covered = max(covered, stop)
            rows[n - 1, 1] = covered
            continue
        j = first[k]
        if j == k or places[j] + sizes[j] > at or not _equal(text, at, stop, at - places[j]):
            continue
        apart = at - places[j]
        limit = offsets[document_at(offsets, places[j]) + 1]
        rows[n, 0] = max(at, covered)
        rows[n, 1] = stop
        rows[n, 2] = rows[n, 0] - apart
        covered = stop
        n += 1
    return n
