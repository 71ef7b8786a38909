"""Chinese words by jieba's dictionary: the likeliest way through its words, and a model for what it lacks.

    a run of Chinese characters, letters and digits -> the words of the dictionary that begin at each character
        -> the way through them whose product of frequencies is the largest
        -> single characters side by side: a hidden Markov model (begin, middle, end, alone) joins some of them

Anything else is cut character by character. The tables are jieba's own, the pieces are those of jieba-rs (tests hold
them to `rjieba`): compiled, because that one makes a Python string of every word with the interpreter's lock held.
"""

from __future__ import annotations

import ast
import importlib.util
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from assay.corpus.text.compiled import compiled, inlined
from assay.corpus.text.kept import Arrays, kept
from assay.store import file_digest

_HAN, _ALNUM, _LINK, _MARK = 1, 2, 4, 8
"""Of a character in a run: Chinese; a letter or digit of ASCII; - . _, which join such; + # & %."""
_FIRST, _LAST = 0x4E00, 0x9FD5  # the characters that the model knows
_RANGES = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0x2CEB0, 0x2EBEF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_TABLE = 0x30000  # code points from here on stand in no run
_PERCENT, _RETURN, _NEWLINE = map(ord, "%\r\n")
_BEGIN, _END, _MIDDLE, _ALONE = range(4)
_NEVER = -3.14e100  # jieba's logarithm of 0
_POINT, _NODE = np.uint64(21), np.uint64(20)  # bits of a code point, of a node
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Dictionary(NamedTuple):
    """jieba's words as a trie, and its model.

    `roots` is the node of each first character. `cells` hold, in open addressing, a node, a character and the node
    after it. Nodes are numbers from 1 on, words before what only begins words; `weights` is the log-probability of a
    word, [0] that of an unknown character. `emits` is that of each character in each of the four states, `moves` that
    of a state after another; [4] that of the first one."""

    kinds: npt.NDArray[np.uint8]
    roots: npt.NDArray[np.int32]
    cells: npt.NDArray[np.uint64]
    weights: npt.NDArray[np.float64]
    emits: npt.NDArray[np.float64]
    moves: npt.NDArray[np.float64]


class Room(NamedTuple):
    """For a document: the best log-probability from each character on, the end of its word there, the states before
    each, and the lengths of the pieces."""

    best: npt.NDArray[np.float64]
    after: npt.NDArray[np.int64]
    states: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.int64]


def room(chars: int) -> Room:
    """Room for a document of so many characters."""
    after, lengths = (np.empty(chars + 1, dtype=np.int64) for _ in range(2))
    return Room(np.empty(chars + 1), after, np.empty(chars + 1, dtype=np.uint8), lengths)


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """The tables, made once a machine: that takes some seconds."""
    found = importlib.util.find_spec("jieba")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent
    files = [folder / "dict.txt", *(folder / "finalseg" / f"prob_{part}.py" for part in ("start", "trans", "emit"))]
    return Dictionary(**kept("jieba", [1, *map(file_digest, files)], lambda: _made(*files)))


def _made(words: Path, *model: Path) -> Arrays:
    kinds = np.zeros(_TABLE, dtype=np.uint8)
    for first, last in _RANGES:
        kinds[first : last + 1] = _HAN
    for point in range(128):
        char = chr(point)
        kinds[point] = _ALNUM if char.isalnum() else _LINK if char in "-._" else _MARK if char in "+#&%" else 0
    start, trans, emit = (ast.literal_eval(path.read_text("utf-8").partition("P=")[2]) for path in model)
    emits, moves = np.full((_LAST + 1 - _FIRST, 4), _NEVER), np.full((5, 4), _NEVER)
    for state, name in enumerate("BEMS"):
        moves[4, state] = start[name]
        for other, probability in trans[name].items():
            moves[state, "BEMS".index(other)] = probability
        for char, probability in emit[name].items():
            emits[ord(char) - _FIRST, state] = round(probability, 6)  # as jieba-rs has them
    rows = (line.split(" ") for line in words.read_text("utf-8").splitlines())
    return {"kinds": kinds, "emits": emits, "moves": moves, **_trie({row[0]: int(row[1]) for row in rows})}


def _trie(words: dict[str, int]) -> Arrays:
    words = dict(sorted(words.items(), key=lambda word: -word[1]))  # what is often asked for side by side
    begun = {word[:size] for word in words for size in range(1, len(word))}
    nodes = {text: number for number, text in enumerate([*words, *sorted(begun - words.keys())], 1)}
    roots = np.zeros(_TABLE, dtype=np.int32)
    cells = np.zeros(1 << (2 * len(nodes)).bit_length(), dtype=np.uint64)
    for text, node in nodes.items():
        if len(text) == 1:
            roots[ord(text)] = node
    assert len(nodes) < 1 << int(_NODE), "more prefixes than a cell can number"
    keys = (
        (nodes[text[:-1]] << int(_POINT) | ord(text[-1])) << int(_NODE) | node
        for text, node in nodes.items()
        if len(text) > 1
    )
    _fill(np.fromiter(keys, dtype=np.uint64), cells)
    total = math.log(sum(words.values()))
    weights = np.array([0.0 - total, *(math.log(count) - total for count in words.values())])
    return {"roots": roots, "cells": cells, "weights": weights}


@compiled
def _fill(keys: Any, cells: Any) -> None:
    for key in keys:
        at = _place(key >> _NODE, cells)
        while cells[at]:
            at = (at + np.uint64(1)) & np.uint64(len(cells) - 1)
        cells[at] = key


@inlined
def _place(key: Any, cells: Any) -> Any:
    """Where to begin to look for a node and a character."""
    return ((key * _SPREAD) >> np.uint64(32)) & np.uint64(len(cells) - 1)


@inlined
def _next(known: Dictionary, node: Any, point: Any) -> Any:
    """The node after this one by a character, or 0."""
    key = np.uint64(node) << _POINT | np.uint64(point)
    at = _place(key, known.cells)
    while known.cells[at] and known.cells[at] >> _NODE != key:
        at = (at + np.uint64(1)) & np.uint64(len(known.cells) - 1)
    return np.int64(known.cells[at] & ((np.uint64(1) << _NODE) - np.uint64(1)))


@inlined
def _kind(points: Any, at: int, known: Dictionary) -> Any:
    return known.kinds[points[at]] if points[at] < _TABLE else np.uint8(0)


@compiled
def cut(points: Any, begin: int, end: int, known: Dictionary, room: Room) -> int:
    """Cut the document [begin, end) into pieces, spaces among them; returns how many. Their lengths are in `room`."""
    n = 0
    i = begin
    while i < end:
        beyond = i
        while beyond < end and _kind(points, beyond, known):
            beyond += 1
        if beyond > i:
            n = _cut_run(points, i, beyond, known, room, n)
            i = beyond
            continue
        size = 2 if points[i] == _RETURN and i + 1 < end and points[i + 1] == _NEWLINE else 1
        n = _add(room, size, n)
        i += size
    return n


@inlined
def _add(room: Room, length: int, n: int) -> int:
    room.lengths[n] = length
    return n + 1


@compiled
def _cut_run(points: Any, begin: int, end: int, known: Dictionary, room: Room, n: int) -> int:
    """The likeliest way, found from its end; of two that are equal the one with the longer word."""
    best, after = room.best, room.after
    best[end - begin] = 0.0
    for i in range(end - 1, begin - 1, -1):
        at = i - begin
        most, beyond = known.weights[0] + best[at + 1], at + 1
        any_word = False
        node, stop = np.int64(known.roots[points[i]]), at + 1
        while node:
            if node < len(known.weights):
                here = known.weights[node] + best[stop]
                if not any_word or here >= most:
                    most, beyond, any_word = here, stop, True
            if stop == end - begin:
                break
            node = _next(known, node, points[begin + stop])
            stop += 1
        best[at], after[at] = most, beyond
    single = i = 0
    while i < end - begin:
        stop = after[i]
        if stop - i > 1:
            n = _cut_singles(points, begin + single, begin + i, known, room, n)
            n = _add(room, stop - i, n)
            single = stop
        i = stop
    return _cut_singles(points, begin + single, end, known, room, n)


@inlined
def _cut_singles(points: Any, begin: int, end: int, known: Dictionary, room: Room, n: int) -> int:
    """What the way leaves as single characters; these stay so where all of them are a word of the dictionary."""
    if end - begin > 1 and not _is_word(points, begin, end, known):
        return _join(points, begin, end, known, room, n)
    for _ in range(begin, end):
        n = _add(room, 1, n)
    return n


@compiled
def _is_word(points: Any, begin: int, end: int, known: Dictionary) -> bool:
    node = np.int64(known.roots[points[begin]])
    i = begin + 1
    while node and i < end:
        node = _next(known, node, points[i])
        i += 1
    return bool(0 < node < len(known.weights))


@compiled
def _join(points: Any, begin: int, end: int, known: Dictionary, room: Room, n: int) -> int:
    """Chinese characters by the model, letters and digits with - . _ between them and % after them, and the rest."""
    i = begin
    while i < end:
        start = i
        while i < end and _FIRST <= points[i] <= _LAST:
            i += 1
        if i > start:
            n = _by_model(points, start, i, known, room, n)
            continue
        while i < end and not _FIRST <= points[i] <= _LAST and _kind(points, i, known) != _ALNUM:
            i += 1
        if i == start:
            i = _name_end(points, start, end, known)
        n = _add(room, i - start, n)
    return n


@inlined
def _name_end(points: Any, at: int, end: int, known: Dictionary) -> int:
    while at < end and _kind(points, at, known) == _ALNUM:
        at += 1
        if at + 1 < end and _kind(points, at, known) == _LINK and _kind(points, at + 1, known) == _ALNUM:
            at += 1
    return at + 1 if at < end and points[at] == _PERCENT else at


@compiled
def _by_model(points: Any, begin: int, end: int, known: Dictionary, room: Room, n: int) -> int:
    """The likeliest states (Viterbi 1967), of equals as jieba-rs has them. `room.states` remembers a bit for each state
    of a character: which of the two that may stand before it did."""
    if end - begin == 1:
        return _add(room, 1, n)
    emits, moves, states = known.emits, known.moves, room.states
    row = emits[points[begin] - _FIRST]
    b, e = moves[4, _BEGIN] + row[_BEGIN], moves[4, _END] + row[_END]
    m, s = moves[4, _MIDDLE] + row[_MIDDLE], moves[4, _ALONE] + row[_ALONE]
    for i in range(begin + 1, end):
        row = emits[points[i] - _FIRST]
        b0, b1 = e + moves[_END, _BEGIN] + row[_BEGIN], s + moves[_ALONE, _BEGIN] + row[_BEGIN]
        e0, e1 = b + moves[_BEGIN, _END] + row[_END], m + moves[_MIDDLE, _END] + row[_END]
        m0, m1 = m + moves[_MIDDLE, _MIDDLE] + row[_MIDDLE], b + moves[_BEGIN, _MIDDLE] + row[_MIDDLE]
        s0, s1 = s + moves[_ALONE, _ALONE] + row[_ALONE], e + moves[_END, _ALONE] + row[_ALONE]
        states[i - begin] = (b1 >= b0) | (e1 >= e0) << 1 | (m1 > m0) << 2 | (s1 > s0) << 3
        b, e, m, s = max(b0, b1), max(e0, e1), max(m0, m1), max(s0, s1)
    state = _ALONE if s >= e else _END
    for i in range(end - begin - 1, -1, -1):
        second = states[i] >> state & 1
        states[i] = state
        if state == _BEGIN:
            state = _ALONE if second else _END
        elif state == _END:
            state = _MIDDLE if second else _BEGIN
        elif state == _MIDDLE:
            state = _BEGIN if second else _MIDDLE
        else:
            state = _END if second else _ALONE
    start = 0
    for i in range(end - begin):
        if states[i] == _END or states[i] == _ALONE:
            n = _add(room, i + 1 - start, n)
            start = i + 1
    return n
