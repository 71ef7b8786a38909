"""Language and script of documents, from a bounded stretch of each.

    text column -> 600 characters from the middle of each document
        script   : the Unicode script of most of its letters
        language : py3langid's model (a byte automaton and naive Bayes)

The answers are those of `py3langid.classify` (tests compare them), from a compiled loop over the same model.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from assay.corpus import characters as ch
from assay.corpus.compiled import compiled

STRETCH = 600
"""Characters looked at in each document."""
LEAST_LETTERS = 10
"""With fewer letters than this (4 where the script puts no spaces) a document's language is "und"."""
_KANA_SHARE = 0.1  # of letters: ordinary Japanese has about a half, Chinese none
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


class _Automaton(NamedTuple):
    """py3langid's model as arrays: where each state's transitions begin, the next state of each byte there, the feature
    that a state emits (-1: none); the log-probability of each feature in each language, and of each language."""

    rows: npt.NDArray[np.int64]
    moves: npt.NDArray[np.int32]
    features: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    priors: npt.NDArray[np.float32]


@lru_cache(maxsize=1)
def _automaton() -> _Automaton:
    model = _model()
    return _Automaton(
        np.asarray(model.tk_row, dtype=np.int64) << 8,
        np.asarray(model.tk_nextmove).astype(np.int32),
        np.asarray(model.tk_output, dtype=np.int32),
        np.asarray(model.nb_ptc, dtype=np.float32),
        np.asarray(model.nb_pc, dtype=np.float32),
    )


def classify(texts: list[str]) -> npt.NDArray[np.object_]:
    """The language code of each text, as `py3langid.classify` gives it; "und" where it sees nothing."""
    data = [unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8") for text in texts]
    offsets = np.cumsum([0, *map(len, data)])
    model = _automaton()
    scores = np.empty((len(texts), len(model.priors)), dtype=np.float32)
    count, visited = np.zeros(len(model.weights), dtype=np.int32), np.empty(len(model.weights), dtype=np.int32)
    _score(np.frombuffer(b"".join(data), dtype=np.uint8), offsets, model, count, visited, scores)
    for first, other in _model()._alias_pairs:  # two columns of one language, kept as one
        scores[:, first] = np.maximum(scores[:, first], scores[:, other])
        scores[:, other] = _NO_SCORE
    labels = np.array(_model().nb_classes, dtype=object)
    return np.where(np.isnan(scores[:, 0]), "und", labels[scores.argmax(axis=1)]) if texts else labels[:0]


@compiled
def _score(data: Any, offsets: Any, model: _Automaton, count: Any, visited: Any, scores: Any) -> None:
    """The log-posterior of every language for each text; NaN where no feature occurs. `count` and `visited` are room
    for a number a feature; `count` is zero before and after."""
    for d in range(len(offsets) - 1):
        n, state = 0, 0
        for i in range(offsets[d], offsets[d + 1]):
            state = model.moves[model.rows[state] + data[i]]
            feature = model.features[state]
            if feature >= 0:
                if count[feature] == 0:
                    visited[n] = feature
                    n += 1
                count[feature] += 1
        row = scores[d]
        for language in range(len(row)):
            row[language] = model.priors[language] if n else np.nan
        for i in range(n):
            feature = visited[i]
            weight = np.float32(np.log1p(np.float32(count[feature])))
            count[feature] = 0
            for language in range(len(row)):
                row[language] += weight * model.weights[feature, language]
