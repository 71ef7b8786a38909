"""Language and script of documents, from a bounded stretch of each.

    text column -> 600 characters from the middle of each document
        script   : the Unicode script of most of its letters
        language : py3langid's model (a byte automaton and naive Bayes)
        certainty: how likely the label is to be right

The labels are those of `py3langid.classify` (tests compare them), from a compiled loop over the same model. Its
posterior takes every feature for a witness of its own, which they are not, since they overlap; it is tempered here
(Guo et al. 2017), the more the more features there are.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled
from assay.corpus.text.kept import Arrays, kept
from assay.store import file_digest

STRETCH = 600
"""Characters looked at in each document."""
LEAST_LETTERS = 10
"""With fewer letters than this (4 where the script puts no spaces) a document's language is "und"."""
_KANA_SHARE = 0.1  # of letters: ordinary Japanese has about a half, Chinese none
_LANES = 8  # texts that the automaton reads at a time
_WHOLE = 1 << 40  # more bytes than any text has
_NO_SCORE = np.float32(-1.0e30)
TEMPERATURE = (0.38, 0.59)
"""a and b: the log-posterior of a text in which n different features occur is divided by a n^b, or
by 1. Fitted on half of the text in English, Chinese and German of benchmarks/language.py, which tests them on the other
half and, where they are at hand, on translations into some 75 languages."""


def annotate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A documents batch with its `language` and `script` columns filled in."""
    middle = stretches(batch.column("text"))
    points, offsets = ch.points_of(middle)
    filled = {"script": script(points, offsets), "language": language(points, offsets)}
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


def middles(offsets: ch.I64) -> tuple[ch.I64, ch.I64]:
    """Where these `stretches` begin and end in the code points of the documents."""
    begins = offsets[:-1] + np.maximum(np.diff(offsets) - STRETCH, 0) // 2
    return begins, np.minimum(begins + STRETCH, offsets[1:])


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


def language(points: ch.U32, offsets: ch.I64) -> pa.Array:
    """py3langid's code ("en", "zh", ...) for each document; "und" where there are too few letters to tell."""
    begins, ends = offsets[:-1], offsets[1:]
    chosen = np.flatnonzero(tellable(points, begins, ends))
    found = np.full(len(begins), "und", dtype=object)
    found[chosen] = classify(points, begins[chosen], ends[chosen])
    for code, standard in _AS_ZH.items():
        found[found == code] = standard
    return pa.array(found, pa.string())


def tellable(points: ch.U32, begins: ch.I64, ends: ch.I64) -> npt.NDArray[np.bool_]:
    """Whether there are letters enough in each [begin, end) to tell a language by."""
    letters, unspaced = letters_in(points, begins, ends)
    return (letters >= LEAST_LETTERS) | (unspaced >= 4)


def letters_in(points: ch.U32, begins: ch.I64, ends: ch.I64) -> tuple[ch.I64, ch.I64]:
    """The letters in each [begin, end), and those of scripts that put no spaces between words."""
    letters, unspaced = np.empty(len(begins), dtype=np.int64), np.empty(len(begins), dtype=np.int64)
    _count_letters(points, ch.classes(), begins, ends, letters, unspaced)
    return letters, unspaced


@compiled
def _count_letters(points: Any, classes: Any, begins: Any, ends: Any, letters: Any, unspaced: Any) -> None:
    for k in range(len(begins)):
        every = some = 0
        for i in range(begins[k], ends[k]):
            kind = classes[points[i]]
            every += kind & ch.LETTER > 0
            some += kind & ch.UNSPACED > 0
        letters[k], unspaced[k] = every, some


class _Automaton(NamedTuple):
    """py3langid's model as arrays: where each state's transitions begin, the next state of each byte there, the feature
    that a state emits (-1: none); the log-probability of each feature in each language, and of each language."""

    rows: npt.NDArray[np.uint32]
    moves: npt.NDArray[np.uint32]
    features: npt.NDArray[np.int32]
    weights: npt.NDArray[Any]
    """In parts of `unit`: whole numbers of two bytes, for their rows are what waits for memory."""
    unit: npt.NDArray[np.float32]
    priors: npt.NDArray[np.float32]
    damped: npt.NDArray[np.float32]
    """log(1 + count), for small counts, times `unit`."""
    forms: ch.U8


@lru_cache(maxsize=1)
def _model() -> Arrays:
    """py3langid's model, unpacked once a machine: that takes two seconds."""
    from py3langid import langid

    digest = file_digest(Path(langid.__file__).parent / langid.MODEL_FILE)
    return kept("language", [2, digest, unicodedata.unidata_version], _unpacked)


_UNIT = 2.0**-9


def _unpacked() -> Arrays:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE)
    weights = np.asarray(model.nb_ptc, dtype=np.float32)
    parts = np.round(weights / _UNIT).astype(np.int16)
    whole = np.array_equal(parts * np.float32(_UNIT), weights)
    return {
        "rows": np.asarray(model.tk_row, dtype=np.uint32) << 8,
        "moves": np.asarray(model.tk_nextmove).astype(np.uint32),
        "features": np.asarray(model.tk_output, dtype=np.int32),
        "weights": parts if whole else weights,
        "unit": np.array([_UNIT if whole else 1.0], dtype=np.float32),
        "priors": np.asarray(model.nb_pc, dtype=np.float32),
        "labels": np.asarray(model.nb_classes),
        "alike": np.asarray(list(model._alias_pairs), dtype=np.int64).reshape(-1, 2),
        "forms": _forms(),
    }


_LOW, _CASED, _ODD = 1, 2, 4


def _forms() -> ch.U8:
    """Of every code point: a small letter; a capital; what Unicode's composed form (NFC) may write otherwise, alone or
    after another."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    table[0x1100:0x1200] |= _ODD  # parts of Korean syllables
    for point in range(len(table)):
        char = chr(point)
        table[point] |= _LOW if char.islower() else _CASED if char.isupper() or char.istitle() else 0
        if unicodedata.combining(char) or not unicodedata.is_normalized("NFC", char):
            table[point] |= _ODD
        parts = unicodedata.decomposition(char).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            table[int(parts[1], 16)] |= _ODD
    return table


@lru_cache(maxsize=1)
def _automaton() -> _Automaton:
    model = _model()
    damped = np.log1p(np.arange(STRETCH, dtype=np.float32)) * model["unit"]
    return _Automaton(**{name: model[name] for name in _Automaton._fields if name != "damped"}, damped=damped)


def classify(points: ch.U32, begins: ch.I64, ends: ch.I64) -> npt.NDArray[np.object_]:
    """The language code of each text [begin, end), as `py3langid.classify` gives it; "und" where it sees nothing."""
    scores, features = log_posteriors(points, begins, ends)
    return np.where(features > 0, labels()[scores.argmax(axis=1)], "und")


@lru_cache(maxsize=1)
def labels() -> npt.NDArray[np.object_]:
    """The codes of the model's languages, in the order of its scores."""
    return _model()["labels"].astype(object)


@lru_cache(maxsize=1)
def standard() -> npt.NDArray[np.int64]:
    """For every label the place of the one that it is written as."""
    codes = labels().tolist()
    return np.array([codes.index(_AS_ZH.get(code, code)) for code in codes])


def judged(
    points: ch.U32, begins: ch.I64, ends: ch.I64, most: int = _WHOLE
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
    """The label of each text [begin, end), as documents have it ("und" where the model sees nothing), and its
    `certainty` (NaN).

    Args:
        most: look at so many bytes of each text only.
    """
    scores, features = log_posteriors(points, begins, ends, most)
    best = standard()[scores.argmax(axis=1)]
    seen = features > 0
    return np.where(seen, labels()[best], "und"), np.where(seen, certainty(scores, features, best), np.float32(np.nan))


def certainty(
    scores: npt.NDArray[np.float32], features: npt.NDArray[np.int32], best: npt.NDArray[np.int64],
    temperature: tuple[float, float] = TEMPERATURE,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """How likely it is that the label with the number `best` is right, in [0, 1], of what `log_posteriors` gives."""
    a, b = temperature
    warmth = np.maximum(a * np.maximum(features, 1) ** b, 1).astype(np.float32)
    chances = np.exp((scores - scores.max(axis=1, keepdims=True)) / warmth[:, None])
    right = np.sum(chances, axis=1, where=standard() == best[:, None])
    return np.asarray(right / chances.sum(axis=1), dtype=np.float32)


def log_posteriors(
    points: ch.U32, begins: ch.I64, ends: ch.I64, most: int = _WHOLE
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:  # fmt: skip
    """The model's log-posterior of every language for each text [begin, end), up to a constant, and how many different
    features it saw there (0: the scores say nothing)."""
    model = _automaton()
    octets, firsts, beyonds = _as_read(points, begins, ends, most, model.forms)
    emitted = np.empty(len(octets), dtype=np.int32)
    _run(octets, firsts, beyonds, model, np.empty(_LANES, dtype=np.uint32), emitted)
    scores = np.empty((len(begins), len(model.priors)), dtype=np.float32)
    count, visited = (np.zeros(len(model.weights) + extra, dtype=np.int32) for extra in (0, 3))
    features = np.empty(len(begins), dtype=np.int32)
    _score(emitted, firsts, beyonds, model, count, visited, np.empty(4, dtype=np.float32), scores, features)
    for first, other in _model()["alike"]:  # two columns of one language, kept as one
        scores[:, first] = np.maximum(scores[:, first], scores[:, other])
        scores[:, other] = _NO_SCORE
    return scores, features


def _as_read(
    points: ch.U32, begins: ch.I64, ends: ch.I64, most: int, forms: ch.U8
) -> tuple[ch.U8, ch.I64, ch.I64]:  # fmt: skip
    """The bytes that the model reads of each text, end to end, and where each one's are: composed, and small if all of
    it is in capitals. Half a character at the end does no harm."""
    octets = np.empty(int(np.minimum(4 * (ends - begins), most + 3).sum()), dtype=np.uint8)
    firsts, beyonds, odd = np.empty_like(begins), np.empty_like(begins), np.empty(len(begins), dtype=bool)
    size = _encode(points, begins, ends, most, forms, octets, firsts, beyonds, odd)
    more = []
    for k in np.flatnonzero(odd).tolist():
        text = points[begins[k] : ends[k]].astype("<u4", copy=False).tobytes().decode("utf-32-le")
        made = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8")[:most]
        firsts[k], beyonds[k] = size, size + len(made)
        size += len(made)
        more.append(made)
    rest = np.frombuffer(b"".join(more), dtype=np.uint8)
    return np.append(octets[: size - len(rest)], rest), firsts, beyonds


@compiled
def _encode(
    points: Any, begins: Any, ends: Any, most: int, forms: Any, octets: Any, firsts: Any, beyonds: Any, odd: Any
) -> int:  # fmt: skip
    """UTF-8 of texts that the model reads as they stand; the others, which are left out, are `odd`."""
    n = 0
    for k in range(len(begins)):
        firsts[k] = n
        some = np.uint8(0)
        for i in range(begins[k], ends[k]):
            point = points[i]
            some |= forms[point]
            if n - firsts[k] >= most:
                continue
            if point < 0x80:
                octets[n] = point
                n += 1
                continue
            size = 2 if point < 0x800 else 3 if point < 0x10000 else 4
            for j in range(size - 1, 0, -1):
                octets[n + j] = 0x80 | point & 0x3F
                point >>= np.uint32(6)
            octets[n] = (0xF00 >> size) & 0xFF | point
            n += size
        odd[k] = some & _ODD or some & (_LOW | _CASED) == _CASED
        n = firsts[k] if odd[k] else min(n, firsts[k] + most)
        beyonds[k] = n
    return n


@compiled
def _run(octets: Any, firsts: Any, beyonds: Any, model: _Automaton, states: Any, emitted: Any) -> None:
    """The feature that the automaton emits at each byte, or -1. It waits for memory at every step, so that some texts
    take theirs side by side."""
    for first in range(0, len(firsts), len(states)):
        count = min(len(states), len(firsts) - first)
        longest = 0
        for k in range(count):
            states[k] = 0
            longest = max(longest, beyonds[first + k] - firsts[first + k])
        for step in range(longest):
            for k in range(count):
                i = firsts[first + k] + step
                if i < beyonds[first + k]:
                    state = model.moves[model.rows[states[k]] + octets[i]]
                    states[k] = state
                    emitted[i] = model.features[state]


@compiled
def _score(
    emitted: Any, firsts: Any, beyonds: Any, model: _Automaton, count: Any, visited: Any, four: Any, scores: Any,
    features: Any,
) -> None:  # fmt: skip
    """The log-posterior of every language for each text, and how many different features occur. `count` and `visited`
    are room for a number a feature, `four` for as many; `count` is zero before and after."""
    for d in range(len(firsts)):
        n = 0
        for i in range(firsts[d], beyonds[d]):
            feature = emitted[i]
            if feature >= 0:
                if count[feature] == 0:
                    visited[n] = feature
                    n += 1
                count[feature] += 1
        row = scores[d]
        for language in range(len(row)):
            row[language] = model.priors[language]
        features[d] = n
        visited[n : n + 3] = 0  # with no weight
        for i in range(0, n, 4):  # four rows of weights on their way at once, added one after another
            for k in range(4):
                feature = visited[i + k]
                times = count[feature] if i + k < n else 0
                small = times < len(model.damped)
                four[k] = model.damped[times] if small else np.float32(np.log1p(np.float32(times))) * model.unit[0]
                count[feature] = 0
            a, b, c, e = four[0], four[1], four[2], four[3]
            of_a, of_b = model.weights[visited[i]], model.weights[visited[i + 1]]
            of_c, of_e = model.weights[visited[i + 2]], model.weights[visited[i + 3]]
            for language in range(len(row)):
                value = row[language] + a * np.float32(of_a[language])
                value += b * np.float32(of_b[language])
                value += c * np.float32(of_c[language])
                row[language] = value + e * np.float32(of_e[language])
