"""What compiled signals share: how they are compiled, and a set of 64-bit keys.

Signals go from character to character and remember what they have seen: loops that Python is hundreds of times too slow
for, and that operations on whole arrays say badly and do at a twentieth of the speed (LAB_NOTES). They are written as
such loops and compiled by numba when they are first used, without the interpreter's lock, so that threads share the
cores. That takes half a minute once a machine; the machine code is kept in the user's cache folder, under a name that
changes with the code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import xxhash

from assay.machine import cache_folder

_F = TypeVar("_F", bound=Callable[..., Any])

BASE = np.uint64(0x9E3779B97F4A7C55)
"""Of the polynomial hashes (Karp and Rabin 1987), modulo 2^64."""
_POWERS = tuple(np.uint64(pow(int(BASE), power, 1 << 64)) for power in range(1, 5))
_ONES = np.uint64(sum(pow(int(BASE), power, 1 << 64) for power in range(4)) % (1 << 64))
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def _folder() -> str:
    """Where machine code is kept: numba itself looks only at the file of a function, not at those that it calls."""
    code = xxhash.xxh3_64()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):  # the whole room: loops of one file call another's
        content = path.read_bytes()
        if b"assay.corpus.text.compiled import" in content or path == Path(__file__):
            code.update(content)
    return str(cache_folder() / f"compiled-{code.hexdigest()}")


_FOLDER = _folder()


def _made(function: _F, **options: Any) -> _F:
    """Compiled without the count of references to every array that is handed over, which would take ten times as long
    as what is done here with a character; so a compiled function allocates nothing."""
    config: Any = numba.config
    jit: Any = numba.njit
    before, config.CACHE_DIR = config.CACHE_DIR, _FOLDER
    try:
        return cast(_F, jit(nogil=True, cache=True, error_model="numpy", _nrt=False, **options)(function))
    finally:
        config.CACHE_DIR = before


def compiled(function: _F) -> _F:
    """The function as machine code."""
    return _made(function)


def inlined(function: _F) -> _F:
    """The same, put in the place of its call: a call hands an array over field by field."""
    return _made(function, inline="always")


class Seen(NamedTuple):
    """Keys and a number below 2^32 for each, in open addressing; emptied by a tick of the clock.

    A cell is a key, and the time at which it was put there with its number: side by side, for they are asked together.
    """

    cells: npt.NDArray[np.uint64]
    clock: npt.NDArray[np.uint64]


def seen(most: int) -> Seen:
    """Room for `most` keys."""
    size = 1 << max(4, (2 * most).bit_length())
    return Seen(np.zeros(2 * size, dtype=np.uint64), np.zeros(1, dtype=np.uint64))


@inlined
def fresh(table: Seen, count: int) -> Any:
    """Forget all keys. Returns a mask of the places to use for so many: few, so that they stay in the cache."""
    table.clock[0] += np.uint64(1)
    size = 16
    while size < 2 * count:
        size *= 2
    return np.uint64(2 * size - 2)


@inlined
def place_of(table: Seen, key: Any, mask: Any) -> Any:
    """Where a key is, or is to be put: `holds` tells which."""
    at = (key * _SPREAD) >> np.uint64(31) & mask  # the upper bits of a product depend on all of the key (Knuth 6.4)
    while table.cells[at + np.uint64(1)] >> np.uint64(32) == table.clock[0] and table.cells[at] != key:
        at = (at + np.uint64(2)) & mask
    return at


@inlined
def holds(table: Seen, at: Any) -> bool:
    """Whether a key is at this place."""
    return bool(table.cells[at + np.uint64(1)] >> np.uint64(32) == table.clock[0])


@inlined
def number_at(table: Seen, at: Any) -> Any:
    """The number of the key at this place."""
    return np.int64(table.cells[at + np.uint64(1)] & np.uint64(0xFFFFFFFF))


@inlined
def put(table: Seen, at: Any, key: Any, number: Any) -> None:
    """Put a key and its number at the place that `place_of` gave."""
    table.cells[at] = key
    table.cells[at + np.uint64(1)] = table.clock[0] << np.uint64(32) | np.uint64(number)


@inlined
def met(table: Seen, key: Any, mask: Any) -> bool:
    """Whether a key was met before; from now on it was."""
    at = place_of(table, key, mask)
    before = holds(table, at)
    if not before:
        put(table, at, key, 0)
    return before


@inlined
def spelled(points: Any, begin: int, end: int) -> Any:
    """The hash of [begin, end): the polynomial in BASE of code points and one, four of them at a step."""
    key = np.uint64(0)
    i = begin
    while i + 4 <= end:
        first = np.uint64(points[i]) * _POWERS[2] + np.uint64(points[i + 1]) * _POWERS[1]
        key = key * _POWERS[3] + (first + np.uint64(points[i + 2]) * BASE + np.uint64(points[i + 3]) + _ONES)
        i += 4
    while i < end:
        key = key * BASE + np.uint64(points[i]) + np.uint64(1)
        i += 1
    return key


@inlined
def place_among(keys: Any, key: Any) -> int:
    """The place of a key in a sorted array, or -1."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < len(keys) and keys[low] == key else -1


@inlined
def mixed(key: Any) -> Any:
    """A bijection of 64-bit words that scatters them: splitmix64's finaliser without its increment, so that 0 stays 0
    (`characters.mix` has it)."""
    x = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
