"""Signals of a document: all computed once and stored beside it, so that a rule is a question asked of a table.

    documents batch -> code points -> for every document: its words, then each group of signals -> one row a document

Every signal is a pure function of the text. What each means is said where it is made: `composition` (characters),
`quality` (words), `repetition` (lines, paragraphs, n-grams), `lines` (FineWeb, C4, RefinedWeb), `program` (code),
`tongues` (languages). The kernels hold no lock: threads that each take a batch share the cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpus.signals import composition as composition_
from assay.corpus.signals import lines as lines_
from assay.corpus.signals import program as program_
from assay.corpus.signals import quality as quality_
from assay.corpus.signals import repetition as repetition_
from assay.corpus.signals import tongues as tongues_
from assay.corpus.text import characters as ch
from assay.corpus.text import dictionary
from assay.corpus.text import rows as rows_
from assay.corpus.text import words as w
from assay.corpus.text.compiled import Seen, compiled, seen
from assay.corpus.text.cuts import end_to_end, mostly_unspaced

_GROUPS = (composition_.NAMES, quality_.NAMES, lines_.NAMES, repetition_.NAMES, program_.NAMES)
NAMES = (*(name for group in _GROUPS for name in group), *tongues_.NAMES)
COUNTS = frozenset((*composition_.COUNTS, *quality_.COUNTS, *lines_.COUNTS))
"""The signals that are whole numbers."""
SIGNALS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        *(pa.field(name, pa.int32() if name in COUNTS else pa.float32()) for name in NAMES),
    ]
)
_A, _B, _C, _D, _E = np.cumsum([len(group) for group in _GROUPS]).tolist()


def signals(batch: pa.RecordBatch, pieces: Sequence[ch.I64] | None = None) -> pa.RecordBatch:
    """The signals of a documents batch (needs the columns doc_id and text).

    Args:
        pieces: the words of every document, cut by someone else: the lengths in characters of the pieces that it
            consists of, whitespace among them.
    """
    text = batch.column("text")
    points, offsets = ch.points_of(text)
    rows = np.empty((len(text), _E))
    table, most = w.kinds(), int(np.diff(offsets).max(initial=0))
    unspaced = np.empty(len(text), dtype=bool)
    mostly_unspaced(points, table, offsets, unspaced)
    lengths, cuts = end_to_end(pieces or [])
    _measure(
        points, offsets, table, ch.classes(), w.lists(), dictionary.dictionary(), quality_.stop_words(),
        lines_.phrases(), program_.table(), unspaced, pieces is not None, lengths, cuts, dictionary.room(most),
        w.room(most), rows_.room(most), w.room(most), np.empty(most, dtype=np.uint32), seen(most + 1),
        repetition_.room(most), np.empty(composition_.MOST, dtype=np.int64), program_.room(), rows,
    )  # fmt: skip
    found = dict(zip((name for group in _GROUPS for name in group), rows.T, strict=True))
    found |= tongues_.tongues(points, offsets)
    made = [
        pa.array(found[name].astype(np.int32 if name in COUNTS else np.float32), from_pandas=True) for name in NAMES
    ]
    return pa.record_batch([batch.column("doc_id"), *made], schema=SIGNALS)


@compiled
def _measure(
    points: Any, offsets: Any, table: Any, classes: Any, lists: w.Lists, chinese: dictionary.Dictionary,
    listed: quality_.StopWords, phrases: lines_.Phrases, known: program_.Table, unspaced: Any, given: bool,
    lengths: Any, cuts: Any, way: dictionary.Room, words: w.Words, ruled: rows_.Rows, spare: w.Words, line: Any,
    seen: Seen, grams: repetition_.Grams, counts: Any, found: Any, rows: Any,
) -> None:  # fmt: skip
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        if given:
            n = w.take(points, table, lengths[cuts[d] : cuts[d + 1]], begin, words)
        elif unspaced[d]:
            n = w.by_dictionary(points, table, chinese, begin, end, way, words)
        else:
            n = w.cut(points, table, lists, begin, end, words)
        w.spell(points, table, words, n)
        m = rows_.rows(points, begin, end, ruled)
        row = rows[d]
        composition_.composition(points, classes, table, begin, end, unspaced[d], seen, counts, row[0:_A])
        quality_.quality(points, table, begin, end, words, n, listed, row[_A:_B])
        lines_.lines(points, table, lists, begin, end, words, n, ruled, m, seen, phrases, line, spare, row[_B:_C])
        repetition_.repetition(points, table, begin, end, words, n, ruled, m, seen, grams, row[_C:_D])
        program_.program(points, table, known, begin, end, found, row[_D:_E])
