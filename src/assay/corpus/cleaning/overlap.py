"""An index of the n-grams of evaluation items, and where in documents they stand: compiled, one pass, verified.

    text -> units: words in lower case, letters and digits alone; where words are not spaced, each character is one
    items -> n-grams of units, their hashes in a table, with every item that holds one
    documents -> rolling hashes of units -> look-ups -> hits (window, place in an item), each compared unit by unit

Units follow from the character, not from the document, so that a Chinese question is found where an English page quotes
it. The length of n-grams follows from the item: one for words, one for characters; an item that is shorter is looked
for whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import BASE, compiled, mixed

U8 = npt.NDArray[np.uint8]
MOST_ITEMS = 50
"""An n-gram in more items than this is their template ("Choose the right answer from ..."), and is not looked for."""
_BLOOM_BITS = 22  # half a MiB: stays in the processor's cache, and lets one look-up in a hundred through


@dataclass(frozen=True)
class Units:
    """The units of some texts.

    Attributes:
        points: folded code points of all texts, end to end; 0 where there is no letter, digit or mark.
        begins, ends: of each unit, in `points`.
        offsets: of each text in the units (n + 1).
        starts: of each text in `points` (n + 1).
    """

    points: ch.U32
    begins: ch.I64
    ends: ch.I64
    offsets: ch.I64
    starts: ch.I64

    @property
    def counts(self) -> ch.I64:
        return np.diff(self.offsets)


def units(text: pa.Array) -> Units:
    """The units of a column of texts."""
    points, starts = ch.points_of(text)
    points = ch.folded()[points]
    begins, ends = np.empty(len(points), dtype=np.int64), np.empty(len(points), dtype=np.int64)
    offsets = np.empty(len(starts), dtype=np.int64)
    n = _cut(points, ch.unspaced(), starts, begins, ends, offsets)
    return Units(points, begins[:n], ends[:n], offsets, starts)


@compiled
def _cut(points: Any, unspaced: Any, starts: Any, begins: Any, ends: Any, offsets: Any) -> int:
    n = 0
    for d in range(len(starts) - 1):
        offsets[d] = n
        inside = False
        for i in range(starts[d], starts[d + 1]):
            point = points[i]
            if point == 0:
                inside = False
            elif unspaced[point]:
                begins[n], ends[n] = i, i + 1
                n += 1
                inside = False
            elif inside:
                ends[n - 1] = i + 1
            else:
                begins[n], ends[n] = i, i + 1
                n += 1
                inside = True
    offsets[len(starts) - 1] = n
    return n


def _spelled(made: Units) -> ch.U64:
    """The hash of each unit."""
    return ch.mix(ch.stretches(made.points, made.begins, made.ends))


def _hashes(spelled: ch.U64, offsets: ch.I64, width: int) -> ch.U64:
    """The hash of the `width` units from each unit on; 0 where the text has fewer left."""
    hashes = np.zeros(len(spelled), dtype=np.uint64)
    _roll(spelled, offsets, width, hashes)
    return hashes


@compiled
def _roll(spelled: Any, offsets: Any, width: int, hashes: Any) -> None:
    top = np.uint64(1)
    for _ in range(width):
        top *= BASE
    for d in range(len(offsets) - 1):
        first, last = offsets[d], offsets[d + 1]
        rolling = np.uint64(0)
        for i in range(first, last):
            rolling = rolling * BASE + spelled[i]
            if i - first >= width:
                rolling -= top * spelled[i - width]
            if i - first >= width - 1:
                hashes[i - width + 1] = mixed(rolling + np.uint64(width)) | np.uint64(1)


@dataclass(frozen=True)
class Index:
    """N-grams of items.

    Attributes:
        items: the units of the items.
        widths: of the n-grams, all that there are.
        hashes: of the n-grams, sorted; each once.
        first: of each, where its occurrences begin (n + 1).
        item, place: of each occurrence, the item, and the unit in `items` that it begins with: once an item.
        width: of each item's n-grams; 0: it is not looked for. full: what it is where the item has as much.
        total: how many different n-grams of each item are looked for.
        templates: how many n-grams were left out as the items' template.
    """

    items: Units
    widths: tuple[int, ...]
    hashes: ch.U64
    first: ch.I64
    item: ch.I64
    place: ch.I64
    width: ch.I64
    full: ch.I64
    total: ch.I64
    templates: int
    bloom: ch.U64


def index(items: pa.Array, words: int, characters: int, least: int) -> Index:
    """Index the texts of items.

    Args:
        words: in an n-gram.
        characters: in an n-gram of an item more than half of whose units are characters of scripts without spaces.
        least: items of fewer units are not looked for.
    """
    made = units(items)
    counts = made.counts
    owner = np.repeat(np.arange(len(counts)), counts)
    single = np.bincount(owner, ch.unspaced()[made.points[made.begins]], minlength=len(counts))
    full = np.where(2 * single > counts, characters, words)
    width = np.where(counts >= max(least, 1), np.minimum(counts, full), 0)
    found: list[tuple[ch.U64, ch.I64, ch.I64]] = []
    widths = tuple(int(w) for w in np.unique(width[width > 0]))
    spelled = _spelled(made)
    for w in widths:
        hashes = _hashes(spelled, made.offsets, w)
        at = np.flatnonzero((width[owner] == w) & (hashes != 0))
        found.append((hashes[at], owner[at], at))
    nothing = np.empty(0, dtype=np.int64)
    hashes = np.concatenate([np.empty(0, dtype=np.uint64), *(one[0] for one in found)])
    item, place = (np.concatenate([nothing, *(one[i] for one in found)]) for i in (1, 2))
    order = np.lexsort((place, item, hashes))
    hashes, item, place = hashes[order], item[order], place[order]
    fresh = np.append(True, (hashes[1:] != hashes[:-1]) | (item[1:] != item[:-1])) if len(order) else order > 0
    hashes, item, place = hashes[fresh], item[fresh], place[fresh]
    unique, first, holders = np.unique(hashes, return_index=True, return_counts=True)
    keep = np.repeat(holders <= MOST_ITEMS, holders)
    templates = int((holders > MOST_ITEMS).sum())
    item, place = item[keep], place[keep]
    unique, holders = unique[holders <= MOST_ITEMS], holders[holders <= MOST_ITEMS]
    first = np.concatenate([[0], np.cumsum(holders)])
    total = np.bincount(item, minlength=len(counts))
    return Index(made, widths, unique, first, item, place, width, full, total, templates, _bloom(unique))


def _bloom(hashes: ch.U64) -> ch.U64:
    bits = np.zeros(1 << (_BLOOM_BITS - 6), dtype=np.uint64)
    at = hashes >> np.uint64(64 - _BLOOM_BITS)
    np.bitwise_or.at(bits, (at >> np.uint64(6)).astype(np.int64), np.uint64(1) << (at & np.uint64(63)))
    return bits


@dataclass(frozen=True)
class Hits:
    """N-grams of items that stand in documents, one row each, verified: all are arrays of one length."""

    document: ch.I64
    unit: ch.I64
    item: ch.I64
    place: ch.I64


def hits(made: Units, against: Index) -> Hits:
    """Where n-grams of an index stand in documents."""
    units_, grams, spelled = [], [], _spelled(made)
    for width in against.widths:
        hashes = _hashes(spelled, made.offsets, width)
        bits = np.empty(len(hashes), dtype=np.bool_)
        _maybe(hashes, against.bloom, bits)
        at = np.flatnonzero(bits)
        found = np.searchsorted(against.hashes, hashes[at])
        same = against.hashes[np.minimum(found, len(against.hashes) - 1)] == hashes[at]
        units_.append(at[same])
        grams.append(found[same])
    nothing = np.empty(0, dtype=np.int64)
    unit, gram = np.concatenate([nothing, *units_]), np.concatenate([nothing, *grams])
    holders = np.diff(against.first)[gram]
    occurrence = ch.ranges(against.first[gram], holders)
    unit = np.repeat(unit, holders)
    item, place = against.item[occurrence], against.place[occurrence]
    good = np.empty(len(unit), dtype=np.bool_)
    other = against.items
    _same(
        made.points, made.begins, made.ends, unit, other.points, other.begins, other.ends, place, against.width[item],
        good,
    )  # fmt: skip
    unit, item, place = unit[good], item[good], place[good]
    document = np.searchsorted(made.offsets, unit, side="right") - 1
    return Hits(document, unit, item, place)


@compiled
def _maybe(hashes: Any, bloom: Any, bits: Any) -> None:
    for i in range(len(hashes)):
        at = hashes[i] >> np.uint64(64 - _BLOOM_BITS)
        bit = (bloom[at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1)
        bits[i] = hashes[i] != 0 and bit != 0


@compiled
def _same(
    points: Any, begins: Any, ends: Any, unit: Any, others: Any, other_begins: Any, other_ends: Any, place: Any,
    widths: Any, good: Any,
) -> None:  # fmt: skip
    """Whether n-grams whose hashes are equal are."""
    for k in range(len(unit)):
        good[k] = True
        for j in range(widths[k]):
            a, b = unit[k] + j, place[k] + j
            size = ends[a] - begins[a]
            if size != other_ends[b] - other_begins[b]:
                good[k] = False
                break
            for i in range(size):
                if points[begins[a] + i] != others[other_begins[b] + i]:
                    good[k] = False
                    break


@dataclass(frozen=True)
class Spans:
    """Runs of hits: the longest stretches that a document and an item share.

    Attributes:
        begin, end: in the document; item_begin, item_end: in the item; all in characters of the text.
        place: of the run's first n-gram in the item, in units; n_grams: hits of the run.
        share: of the item's n-grams, how many stand in this document.
    """

    document: ch.I64
    item: ch.I64
    begin: ch.I64
    end: ch.I64
    item_begin: ch.I64
    item_end: ch.I64
    place: ch.I64
    n_grams: ch.I64
    share: ch.F64


def spans(made: Units, against: Index, found: Hits) -> Spans:
    """Hits joined where the next n-gram of the item follows in the document as well; what an item and a document share
    several times is told once."""
    order = np.lexsort((found.unit, found.unit - found.place, found.item, found.document))
    document, unit, item, place = (x[order] for x in (found.document, found.unit, found.item, found.place))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (
        (document[1:] != document[:-1])
        | (item[1:] != item[:-1])
        | (unit[1:] != unit[:-1] + 1)
        | (place[1:] != place[:-1] + 1)
    )
    at = np.flatnonzero(new)
    last = np.append(at[1:], len(order)) - 1 if len(order) else at
    pairs = np.stack([document, item, place])
    of_pair, different = np.unique(np.unique(pairs, axis=1)[:2], axis=1, return_counts=True)
    _, once = np.unique(np.stack([document[at], item[at], place[at], last - at]), axis=1, return_index=True)
    at, last = at[once], last[once]
    wide = len(against.total) + 1
    pair = np.searchsorted(of_pair[0] * wide + of_pair[1], document[at] * wide + item[at])
    beyond = against.width[item[at]] - 1
    other = against.items
    return Spans(
        document[at],
        item[at],
        made.begins[unit[at]] - made.starts[document[at]],
        made.ends[unit[last] + beyond] - made.starts[document[at]],
        other.begins[place[at]] - other.starts[item[at]],
        other.ends[place[last] + beyond] - other.starts[item[at]],
        place[at] - other.offsets[item[at]],
        last - at + 1,
        different[pair] / against.total[item[at]],
    )
