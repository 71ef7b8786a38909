"""Signals of a document: all computed once and stored beside it, so that a rule is a question asked of a table.

    documents batch -> slices that stay in the processor's cache -> `Texts` -> groups of signals -> one row a document

Every signal is a pure function of the text. What each means is said where it is made: `composition` (characters),
`quality` (words), `repetition` (lines, paragraphs, n-grams), `lines` (C4, FineWeb, RefinedWeb).
"""

from __future__ import annotations

import pyarrow as pa

from assay.corpus import characters as ch
from assay.corpus.composition import composition, compression
from assay.corpus.lines import lines
from assay.corpus.quality import STOP_WORDS, quality
from assay.corpus.repetition import DUPLICATED, TOP, repetition
from assay.corpus.texts import Texts

_COUNTS = (
    "n_chars", "n_visible", "n_words", "n_tokens", "n_lines", *STOP_WORDS, "c4_sentences", "lorem_ipsum",
    "curly_brackets",
)  # fmt: skip
_SHARES = (
    "letters", "capitals", "unspaced", "digits", "punctuation", "whitespace", "special_characters", "non_ascii",
    "repeated_10chars", "repeated_13chars", "top_10chars", "compression",
    "mean_word_length", "alpha_words", "hashes", "ellipses", "bullet_lines", "ellipsis_lines", "listed_words",
    "duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs", "duplicate_paragraph_chars",
    *(f"top_{n}gram" for n in TOP), *(f"duplicate_{n}grams" for n in DUPLICATED), "repeated_10grams",
    "line_punctuation", "short_lines", "repeated_line_chars", "newlines_per_word", "mean_line_length",
    "c4_lines", "uppercase_lines", "flagged_words",
)  # fmt: skip
NAMES = (*_COUNTS, *_SHARES)
SIGNALS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        *(pa.field(name, pa.int32()) for name in _COUNTS),
        *(pa.field(name, pa.float32()) for name in _SHARES),
    ]
)


def signals(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The signals of a documents batch (needs the columns doc_id and text)."""
    parts = [_signals(part) for part in ch.slices(batch)]
    if not parts:
        return pa.RecordBatch.from_pylist([], schema=SIGNALS)
    return pa.Table.from_batches(parts, SIGNALS).combine_chunks().to_batches()[0]


def _signals(batch: pa.RecordBatch) -> pa.RecordBatch:
    text = batch.column("text")
    texts = Texts(text)
    columns = {
        "doc_id": batch.column("doc_id"),
        "compression": compression(text),
        **composition(texts),
        **quality(texts),
        **repetition(texts),
        **lines(texts),
    }
    return pa.record_batch([pa.array(columns[f.name], f.type) for f in SIGNALS], schema=SIGNALS)
