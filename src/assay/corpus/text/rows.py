"""The lines of a document, found once for all that asks of them: where each ends, and a hash of what it says."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import compiled, spelled


class Rows(NamedTuple):
    """The newline at the end of each line (at that of the last one: the end of the document), and hashes."""

    ends: ch.I64
    keys: ch.U64


def room(chars: int) -> Rows:
    """Room for the lines of a document of so many characters."""
    return Rows(np.empty(chars + 1, dtype=np.int64), np.empty(chars + 1, dtype=np.uint64))


@compiled
def rows(points: Any, begin: int, end: int, found: Rows) -> int:
    """Find the lines of the document [begin, end); returns how many there are: newlines and one."""
    n = 0
    start = begin
    for i in range(begin, end):
        if points[i] == w.NEWLINE:
            found.ends[n], found.keys[n] = i, spelled(points, start, i)
            n += 1
            start = i + 1
    found.ends[n], found.keys[n] = end, spelled(points, start, end)
    return n + 1
