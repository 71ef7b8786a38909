"""Tokenizers side by side on the same documents: what a token holds, by source and language.

    documents -> for each tokenizer and document: tokens, unknown ones, Chinese characters that stay whole or are split
              -> for each source and language: ratios of sums, with intervals      (`Row`)
              -> tokens against those of the first tokenizer, on the same text     (`Against`)
              -> what a language pays, in tokens, against another                  (`Parity`)

Every figure is a ratio of two sums over documents (bytes to tokens, tokens to words), so its interval is that of a
ratio estimator: documents are drawn, and their bytes and tokens vary together (Cochran 1977, Sampling Techniques,
chapter 6). Where texts are cut into several documents the texts are what is drawn (`corpus.split.whole_texts`). The
intervals say what other documents of the same sources would give; they are not corrected for their number.

Fertility is tokens per word (Rust et al. 2021), where punctuation marks count as words, and Chinese words are cut by a
segmenter. Parity is what Petrov et al. 2023 call a tokenizer's premium: tokens for the same bytes or characters, here
of different texts, since a corpus has no translations of itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from scipy import stats

from assay.corpus.text import characters as ch
from assay.metrics.ratio import ratio_variance
from assay.tokens import words
from assay.tokens.tokenizer import Encoder

LEVEL = 0.95
POWER = 0.8  # of the smallest difference that a comparison could have seen
AT_ONCE = 256  # documents encoded together
_HAN = ch.SCRIPTS.index("Hani")


@dataclass(frozen=True)
class Ratio:
    """A ratio of two sums over documents.

    Attributes:
        low, high: its interval; None with fewer than two units.
        detectable: the smallest difference from another value that would be told with POWER; None likewise.
    """

    value: float
    low: float | None = None
    high: float | None = None
    detectable: float | None = None


@dataclass(frozen=True, eq=False)
class Documents:
    """Texts to measure on.

    Attributes:
        sources, languages: of each.
        units: number of what is drawn by chance: the document, or the text that it is a piece of.
    """

    texts: Sequence[str]
    sources: np.ndarray
    languages: np.ndarray
    units: np.ndarray

    @cached_property
    def n_bytes(self) -> np.ndarray:
        return np.array([len(text.encode()) for text in self.texts], dtype=np.int64)

    @cached_property
    def n_characters(self) -> np.ndarray:
        return np.array([len(text) for text in self.texts], dtype=np.int64)

    @cached_property
    def n_words(self) -> np.ndarray:
        return np.array([len(words.spans(text)) for text in self.texts], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Measured:
    """What one tokenizer makes of each document.

    Attributes:
        tokens, unknown: (documents,) how many.
        han: (documents,) Chinese characters.
        whole: of these, those that one token holds, alone or with others.
        alone: those that are a token.
        split: those that take several tokens.
        used: sorted ids that occur, by the (source, language) that they occur in.
    """

    encoder: Encoder
    tokens: np.ndarray
    unknown: np.ndarray
    han: np.ndarray
    whole: np.ndarray
    alone: np.ndarray
    split: np.ndarray
    used: Mapping[tuple[str, str], np.ndarray]


def measure(encoder: Encoder, documents: Documents, advance: Callable[[int], None] = lambda n: None) -> Measured:
    """Encode all documents and count; `advance` is told of bytes done."""
    rows: list[np.ndarray] = []
    used: dict[tuple[str, str], np.ndarray] = {}
    for start in range(0, len(documents.texts), AT_ONCE):
        end = min(len(documents.texts), start + AT_ONCE)
        texts = documents.texts[start:end]
        ids, offsets, begins, ends = encoder.places(texts)
        for i, key in enumerate(zip(documents.sources[start:end], documents.languages[start:end], strict=True)):
            own = ids[offsets[i] : offsets[i + 1]]
            used[key] = np.union1d(used.get(key, np.zeros(0, np.uint32)), own)
        unknown = ids == encoder.unknown if encoder.unknown is not None else np.zeros(len(ids), dtype=bool)
        counted = [np.diff(offsets), ch.sums(unknown, offsets), *_chinese(texts, offsets, begins, ends, unknown)]
        rows.append(np.stack(counted, axis=1))
        advance(int(documents.n_bytes[start:end].sum()))
    table = np.concatenate(rows) if rows else np.zeros((0, 6), dtype=np.int64)
    tokens, n_unknown, han, whole, alone, split = table.T
    return Measured(encoder, tokens, n_unknown, han, whole, alone, split, used)


def _chinese(
    texts: Sequence[str], offsets: np.ndarray, begins: np.ndarray, ends: np.ndarray, unknown: np.ndarray
) -> list[np.ndarray]:
    """For each text its Chinese characters, and how many of these are whole, alone, and split.

    A character that an unknown token stands for is none of these.
    """
    points, starts = ch.points_of(pa.array(list(texts), pa.large_string()))
    widths = words.utf8_widths(points)
    byte_of = np.concatenate([[0], np.cumsum(widths)])  # of each character, all texts on end
    at_text = np.repeat(byte_of[starts[:-1]], np.diff(offsets))
    first, last = begins + at_text, ends + at_text
    han = ch.scripts()[points] == _HAN
    place, width = byte_of[:-1][han], widths[han]
    # Tokens stand in order: those over a character are from the first that ends behind its begin to the last that
    # begins before its end.
    left = np.searchsorted(last, place, side="right")
    right = np.searchsorted(first, place + width, side="left")
    over = right - left
    token = np.minimum(left, max(len(first) - 1, 0))
    known = (over > 0) & ~unknown[token] if len(first) else np.zeros(len(place), dtype=bool)
    one = known & (over == 1)
    own = one & (first[token] == place) & (last[token] == place + width) if len(first) else one
    counts = []
    for chosen in (np.ones(len(place), dtype=bool), one, own, known & (over > 1)):
        flags = np.zeros(len(points), dtype=np.int64)
        flags[np.flatnonzero(han)[chosen]] = 1
        counts.append(ch.sums(flags, starts))
    return counts


def ratio(over: np.ndarray, under: np.ndarray, units: np.ndarray) -> Ratio | None:
    """sum(over) / sum(under), with its interval; None where the second sum is 0.

    Args:
        over, under: (documents,) counts.
        units: (documents,) which are drawn together.
    """
    if not under.sum():
        return None
    value = float(over.sum() / under.sum())
    error = _error(over, under, units)
    if error is None:
        return Ratio(value)
    spread, freedom = error
    t = stats.t.ppf((1 + LEVEL) / 2, freedom)
    detectable = float((t + stats.t.ppf(POWER, freedom)) * spread)
    return Ratio(value, float(value - t * spread), float(value + t * spread), detectable)


def _error(over: np.ndarray, under: np.ndarray, units: np.ndarray) -> tuple[float, int] | None:
    """Standard error of sum(over) / sum(under), and its degrees of freedom; None with one unit."""
    _, number = np.unique(units, return_inverse=True)
    n = int(number.max()) + 1
    if n < 2:
        return None
    sums = [np.bincount(number, weights=values, minlength=n) for values in (over, under)]
    return ratio_variance(*sums) ** 0.5, n - 1


@dataclass(frozen=True)
class Row:
    """A tokenizer on the documents of one source in one language. Shares and ratios are None where there is nothing to
    divide by (no Chinese characters, say)."""

    tokenizer: str
    source: str
    language: str
    documents: int
    units: int
    bytes: int
    characters: int
    words: int
    tokens: int
    bytes_per_token: Ratio | None
    tokens_per_word: Ratio | None
    tokens_per_character: Ratio | None
    unknown_share: Ratio | None
    vocabulary: int
    vocabulary_used: int
    chinese_characters: int
    chinese_whole: Ratio | None
    chinese_alone: Ratio | None
    chinese_split: Ratio | None


@dataclass(frozen=True)
class Against:
    """Tokens of one tokenizer for each token of the first, on the same documents.

    Attributes:
        verdict: fewer, more or indistinguishable; "no interval" with fewer than two units.
    """

    tokenizer: str
    first: str
    source: str
    language: str
    units: int
    tokens: Ratio
    verdict: str


@dataclass(frozen=True)
class Parity:
    """Tokens that a tokenizer takes for a language's text, for each that it takes for as much text in another."""

    tokenizer: str
    language: str
    other: str
    units: int
    per_byte: Ratio
    per_character: Ratio


def row(name: str, measured: Measured, documents: Documents, source: str, language: str) -> Row:
    """The figures of a tokenizer for one source and language."""
    at = (documents.sources == source) & (documents.languages == language)
    units = documents.units[at]

    def share(over: np.ndarray, under: np.ndarray) -> Ratio | None:
        return ratio(over[at], under[at], units)

    m, special = measured, list(measured.encoder.special.values())
    used = np.setdiff1d(m.used[(source, language)], special)
    return Row(
        name, source, language,
        documents=int(at.sum()), units=len(np.unique(units)),
        bytes=int(documents.n_bytes[at].sum()), characters=int(documents.n_characters[at].sum()),
        words=int(documents.n_words[at].sum()), tokens=int(m.tokens[at].sum()),
        bytes_per_token=share(documents.n_bytes, m.tokens),
        tokens_per_word=share(m.tokens, documents.n_words),
        tokens_per_character=share(m.tokens, documents.n_characters),
        unknown_share=share(m.unknown, m.tokens),
        vocabulary=m.encoder.vocabulary, vocabulary_used=len(used),
        chinese_characters=int(m.han[at].sum()),
        chinese_whole=share(m.whole, m.han), chinese_alone=share(m.alone, m.han), chinese_split=share(m.split, m.han),
    )  # fmt: skip


def against(
    names: tuple[str, str], one: Measured, first: Measured, documents: Documents, source: str, language: str
) -> Against | None:
    """The second of `names` is the first tokenizer. None where that takes no tokens."""
    at = (documents.sources == source) & (documents.languages == language)
    found = ratio(one.tokens[at], first.tokens[at], documents.units[at])
    if found is None:
        return None
    if found.low is None or found.high is None:
        verdict = "no interval"
    else:
        verdict = "fewer" if found.high < 1 else "more" if found.low > 1 else "indistinguishable"
    return Against(*names, source, language, len(np.unique(documents.units[at])), found, verdict)


def parity(name: str, measured: Measured, documents: Documents, language: str, other: str) -> Parity | None:
    """None where one of both languages has no text."""
    one, two = documents.languages == language, documents.languages == other
    by_byte = _quotient(measured.tokens, documents.n_bytes, documents.units, one, two)
    by_character = _quotient(measured.tokens, documents.n_characters, documents.units, one, two)
    if by_byte is None or by_character is None:
        return None
    return Parity(name, language, other, len(np.unique(documents.units[one])), by_byte, by_character)


def _quotient(over: np.ndarray, under: np.ndarray, units: np.ndarray, one: np.ndarray, two: np.ndarray) -> Ratio | None:
    """One ratio of sums by that of other documents; the interval on the scale of logarithms, where errors add up."""
    first, second = (ratio(over[at], under[at], units[at]) for at in (one, two))
    if first is None or second is None or not first.value or not second.value:
        return None
    value = first.value / second.value
    errors = [_error(over[at], under[at], units[at]) for at in (one, two)]
    known = [error for error in errors if error is not None]
    if len(known) < 2:
        return Ratio(value)
    relative = [spread / found.value for (spread, _), found in zip(known, (first, second), strict=True)]
    together = math.hypot(*relative)
    freedom = min(n for _, n in known)
    t = stats.t.ppf((1 + LEVEL) / 2, freedom)
    detectable = float(value * np.expm1((t + stats.t.ppf(POWER, freedom)) * together))
    return Ratio(value, float(value * np.exp(-t * together)), float(value * np.exp(t * together)), detectable)
