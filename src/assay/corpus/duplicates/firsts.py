"""For each of many keys, the first place that holds an equal one; in a table of bounded size, however many there are.

    keys (on disk, in the order of the corpus) -> a pass for each range of their values -> a table of that range's keys

Every pass reads all keys and looks at those of its range; a range with more different keys than the table takes is
halved. Keys are hashes: whoever uses a place that is found compares what stands there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled, mixed

SLOTS = 1 << 24
"""Of the table: 16 bytes each, 268 MB."""
LOAD = 0.7
_TOP = (1 << 64) - 1


def ranges(count: float, slots: int) -> list[tuple[int, int]]:
    """Ranges of 64-bit keys, of which each has no more of `count` scattered ones than a table takes."""
    n = max(1, -int(-count // (0.95 * LOAD * slots)))  # some have more than their share
    edges = [(_TOP + 1) * i // n for i in range(n + 1)]
    return [(low, high - 1) for low, high in pairwise(edges)]


def halves(low: int, high: int) -> list[tuple[int, int]]:
    """The two halves of a range."""
    middle = (low + high) // 2
    return [(low, middle), (middle + 1, high)]


def slots_for(count: int, slots: int) -> int:
    """The size of a table for so many keys: a power of two, `slots` at most."""
    return min(slots, 1 << max(4, int(count / LOAD).bit_length()))


def firsts(keys: ch.U64, first: ch.I64, slots: int = SLOTS, progress: Callable[[float], None] | None = None) -> None:
    """Fill `first` with the smallest place of an equal key; of key 0, which stands for none, with its own.

    Args:
        keys, first: arrays, perhaps mapped, equally long.
        slots: of the table, a power of two.
        progress: gets the share of passes that are done.
    """
    size = slots_for(len(keys), slots)
    table, at = np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.int64)
    waiting = ranges(len(keys), size)
    done = 0
    while waiting:
        low, high = waiting.pop()
        at[:] = -1
        if _find(keys, first, np.uint64(low), np.uint64(high), table, at, int(LOAD * size)):
            done += 1
        else:
            waiting += halves(low, high)
        if progress:
            progress(done / (done + len(waiting)))


@compiled
def _find(keys: Any, first: Any, low: Any, high: Any, table: Any, at: Any, most: int) -> bool:
    """Whether the different keys of the range are `most` at most, and if so, their first places."""
    mask = np.uint64(len(table) - 1)
    used = 0
    for i in range(len(keys)):
        key = keys[i]
        if key < low or key > high:
            continue
        if key == 0:
            first[i] = i
            continue
        slot = mixed(key) & mask
        while at[slot] >= 0 and table[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if at[slot] < 0:
            if used == most:
                return False
            table[slot], at[slot] = key, i
            used += 1
        first[i] = at[slot]
    return True
