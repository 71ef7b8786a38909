"""Language and script of documents, from a bounded stretch of each.

    text column -> 600 characters from the middle of each document
        script   : the Unicode script of most of its letters
        language : py3langid's model (a byte automaton and naive Bayes), run over the whole batch at once

py3langid walks one document at a time in Python; here every document of the batch takes its next byte in the
same step, and the scores are one sparse product. The answers are those of `py3langid.classify` (tests compare
them).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from assay.corpus import characters as ch

STRETCH = 600
"""Characters looked at in each document."""
LEAST_LETTERS = 10
"""With fewer letters than this (4 where the script puts no spaces) a document's language is "und"."""
_KANA_SHARE = 0.1  # of letters: ordinary Japanese has about a half, Chinese none
_AT_ONCE = 2048  # documents: the table of what they emit then takes some 15 MB
_NO_SCORE = np.float32(-3.0e38)


def annotate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A documents batch with its `language` and `script` columns filled in."""
    middle = stretches(batch.column("text"))
    points, offsets = ch.points_of(middle)
    filled = {"script": script(points, offsets), "language": language(middle, points, offsets)}
    columns = [filled.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.record_batch(columns, schema=batch.schema)


def stretches(text: pa.Array) -> pa.Array:
    """At most STRETCH characters from the middle of every document."""
    series = pl.Series("text", pl.from_arrow(text))
    frame = pl.DataFrame({"text": series}).with_columns(
        start=((pl.col("text").str.len_chars().cast(pl.Int64) - STRETCH) // 2).clip(lower_bound=0)
    )
    made = frame.select(pl.col("text").str.slice(pl.col("start"), STRETCH)).to_series().to_arrow()
    return made.cast(pa.large_string())


def script(points: ch.U32, offsets: ch.I64) -> pa.Array:
    """ISO 15924 code of the script that most letters of each document belong to.

    "Zyyy" where there are no letters; "Jpan" for Han mixed with kana.
    """
    counts = _script_counts(points, offsets)
    kana = counts[:, _number("Hira")] + counts[:, _number("Kana")]
    letters = counts.sum(axis=1)
    japanese = (kana > 0) & (kana >= _KANA_SHARE * letters) & (kana + counts[:, _number("Hani")] > letters / 2)
    codes = np.array([*ch.SCRIPTS, "Jpan"], dtype=object)
    best = np.where(letters > 0, counts.argmax(axis=1), 0)
    return pa.array(codes[np.where(japanese, len(ch.SCRIPTS), best)], pa.string())


def _number(code: str) -> int:
    return ch.SCRIPTS.index(code)


def _script_counts(points: ch.U32, offsets: ch.I64) -> npt.NDArray[np.int64]:
    kinds = len(ch.SCRIPTS)
    cell = ch.owner(offsets) * kinds + ch.scripts()[points]
    counts = np.bincount(cell, minlength=(len(offsets) - 1) * kinds).reshape(-1, kinds)
    counts[:, 0] = 0
    return counts.astype(np.int64)


# Labels that the library gives to short and classical Chinese documents; their written forms are Chinese.
_AS_ZH = {"wuu": "zh", "lzh": "zh"}


def language(text: pa.Array, points: ch.U32, offsets: ch.I64) -> pa.Array:
    """py3langid's code ("en", "zh", ...) for each document; "und" where there are too few letters to tell."""
    classes = ch.classes()[points]
    letters = ch.sums((classes & ch.LETTER) > 0, offsets)
    unspaced = ch.sums((classes & ch.UNSPACED) > 0, offsets)
    enough = (letters >= LEAST_LETTERS) | (unspaced >= 4)
    texts = text.to_pylist()
    chosen = np.flatnonzero(enough)
    found = np.full(len(texts), "und", dtype=object)
    found[chosen] = classify([texts[i] for i in chosen])
    for code, standard in _AS_ZH.items():
        found[found == code] = standard
    return pa.array(found, pa.string())


@lru_cache(maxsize=1)
def _model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


@lru_cache(maxsize=1)
def _automaton() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Transitions (row << 8 | byte -> state), row of each state, feature that each state emits (-1: none)."""
    model = _model()
    rows = np.asarray(model.tk_row, dtype=np.int64) << 8
    return rows, np.asarray(model.tk_nextmove).astype(np.int32), np.asarray(model.tk_output, dtype=np.int32)


def classify(texts: list[str]) -> npt.NDArray[np.object_]:
    """The language code of each text, as `py3langid.classify` gives it; "und" where it sees nothing."""
    if not texts:
        return np.empty(0, dtype=object)
    return np.concatenate([_classified(texts[i : i + _AT_ONCE]) for i in range(0, len(texts), _AT_ONCE)])


def _classified(texts: list[str]) -> npt.NDArray[np.object_]:
    data = [unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8") for text in texts]
    order = np.argsort([-len(octets) for octets in data], kind="stable")
    scores = _scores([data[i] for i in order])
    model = _model()
    for first, other in model._alias_pairs:  # two columns of one language, kept as one
        scores[:, first] = np.maximum(scores[:, first], scores[:, other])
        scores[:, other] = _NO_SCORE
    labels = np.array(model.nb_classes, dtype=object)
    found = np.empty(len(texts), dtype=object)
    found[order] = np.where(np.isnan(scores[:, 0]), "und", labels[scores.argmax(axis=1)])
    return found


def _scores(data: list[bytes]) -> npt.NDArray[np.float32]:
    """Log-posterior of every language for texts given longest first; NaN where no feature occurs."""
    from scipy.sparse import csr_matrix

    rows, moves, features = _automaton()
    lengths = np.array([len(octets) for octets in data])
    width = int(lengths[0])
    table = np.zeros((len(data), width), dtype=np.uint8)
    flat = np.frombuffer(b"".join(data), dtype=np.uint8)
    table[np.arange(width)[None, :] < lengths[:, None]] = flat
    by_step = np.ascontiguousarray(table.T).astype(np.int64)
    active = np.searchsorted(-lengths, -np.arange(width), side="left")  # texts longer than each step
    state = np.zeros(len(data), dtype=np.int64)
    emitted = np.full((width, len(data)), -1, dtype=np.int32)
    for step in range(width):
        n = active[step]
        state[:n] = moves[rows[state[:n]] + by_step[step, :n]]
        emitted[step, :n] = features[state[:n]]
    _, document = (hit := emitted >= 0).nonzero()
    model = _model()
    counts = csr_matrix(
        (np.ones(len(document), dtype=np.float32), (document, emitted[hit])),
        shape=(len(data), model.nb_ptc.shape[0]),
    )
    counts.sum_duplicates()
    counts.data = np.log1p(counts.data)
    scores = np.asarray(counts @ np.asarray(model.nb_ptc, dtype=np.float32)) + model.nb_pc
    scores[np.diff(counts.indptr) == 0] = np.nan
    return scores.astype(np.float32)
