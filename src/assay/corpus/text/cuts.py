"""Where the words of many documents stand: those of `words`, for whole batches.

texts -> a document mostly without spaces between its words: jieba's dictionary; any other: spaCy's rules
      -> begin, end and kinds of every word, and where each document's words begin among them
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from assay.corpus.text import characters as ch
from assay.corpus.text import dictionary as dictionary_
from assay.corpus.text import words as w
from assay.corpus.text.compiled import compiled


class Spans(NamedTuple):
    """Words as [begin, end) in the code points of a batch, the kinds of characters in each, and the offsets of
    documents in them (n + 1)."""

    begins: ch.I64
    ends: ch.I64
    kinds: w.U16
    offsets: ch.I64


def spans(points: ch.U32, offsets: ch.I64) -> Spans:
    """The words of every document of `characters.points_of`."""
    unspaced = np.empty(len(offsets) - 1, dtype=bool)
    mostly_unspaced(points, w.kinds(), offsets, unspaced)
    begins, ends = (np.empty(len(points), dtype=np.int64) for _ in range(2))
    kinds, places = np.empty(len(points), dtype=np.uint16), np.zeros(len(offsets), dtype=np.int64)
    most = int(np.diff(offsets).max(initial=0))
    n = _spans(
        points, offsets, w.kinds(), w.lists(), dictionary_.dictionary(), unspaced, dictionary_.room(most), w.room(most),
        begins, ends, kinds, places,
    )  # fmt: skip
    return Spans(begins[:n].copy(), ends[:n].copy(), kinds[:n].copy(), places)


@compiled
def mostly_unspaced(points: Any, table: Any, offsets: Any, unspaced: Any) -> None:
    """Whether more than a third of a document's letters are of scripts without spaces."""
    for d in range(len(offsets) - 1):
        han = letters = 0
        for i in range(offsets[d], offsets[d + 1]):
            han += table[points[i]] & w.HAN > 0
            letters += table[points[i]] & w.ALPHA > 0
        unspaced[d] = han > w.UNSPACED_SHARE * letters


def end_to_end(pieces: Sequence[ch.I64]) -> tuple[ch.I64, ch.I64]:
    """The lengths of all documents' pieces, and where each document's begin in them."""
    return np.concatenate([np.empty(0, dtype=np.int64), *pieces]), np.cumsum([0, *map(len, pieces)])


@compiled
def _spans(
    points: Any, offsets: Any, table: Any, lists: w.Lists, known: dictionary_.Dictionary, unspaced: Any,
    spare: dictionary_.Room, words: w.Words, begins: Any, ends: Any, kinds: Any, places: Any,
) -> int:  # fmt: skip
    n = 0
    for d in range(len(offsets) - 1):
        if unspaced[d]:
            m = w.by_dictionary(points, table, known, offsets[d], offsets[d + 1], spare, words)
        else:
            m = w.cut(points, table, lists, offsets[d], offsets[d + 1], words)
        for i in range(m):
            kind = np.uint16(0)
            for j in range(words.begins[i], words.ends[i]):
                kind |= table[points[j]]
            begins[n], ends[n], kinds[n] = words.begins[i], words.ends[i], kind
            n += 1
        places[d + 1] = n
    return n
