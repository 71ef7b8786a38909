"""Signals of single words and characters: Gopher's quality rules (Rae et al. 2021, table A1), as datatrove reads them.

Words are those of `words.split`: punctuation marks are words too, and what holds nothing else does not count towards
the number of words and their mean length.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import characters as ch
from assay.corpus import words as w
from assay.corpus.texts import Spans, Texts

Columns = dict[str, npt.NDArray[np.generic]]
STOP_WORDS = {
    "stop_words": "the be to of and that have with",
    "stop_words_zh": "的 了 在 是 我 有 和 就 不 人 都 一 一个 上 也 很 到 说 要 去 你 会",
}
"""Gopher's for English; for Chinese those that FineWeb-2 derived are not published as a list of words; these are the 22
most frequent of mixed text."""
_SLOTS = 52  # bits that do not choose the slot


def quality(texts: Texts) -> Columns:
    """The columns of this group."""
    words = texts.words
    every = np.diff(words.by_document)
    real = (words.kinds & w.WORD) > 0
    counted = texts.per_document(words.document[real])
    lengths = texts.per_document(words.document[real], (words.ends - words.begins)[real])
    alpha = texts.per_document(words.document[(words.kinds & w.ALPHA) > 0])
    hashes = texts.per_document(texts.document_of(np.flatnonzero(texts.low == ord("#"))))
    lines = texts.broken
    number = texts.per_document(lines.document)
    return {
        "n_words": counted,
        "n_tokens": every,
        "mean_word_length": ratio(lengths, counted),
        "alpha_words": ratio(alpha, every),
        "hashes": ratio(hashes, every),
        "ellipses": ratio(_ellipses(texts), every),
        **_stop_words(texts),
        "listed_words": ratio(_listed_words(texts, real), counted),
        "n_lines": number,
        "bullet_lines": ratio(texts.per_document(lines.document[_bulleted(texts, lines)]), number),
        "ellipsis_lines": ratio(texts.per_document(lines.document[_trailing_off(texts, lines)]), number),
    }


def ratio(part: npt.NDArray[np.generic], of: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """part / of, and 0 where there is nothing to divide by."""
    return (part / np.maximum(of, 1)).astype(np.float32)


def _ellipses(texts: Texts) -> npt.NDArray[np.int64]:
    """`...`, as many as stand one after another, and `…`."""
    stops = np.flatnonzero(texts.low == 0x2E)
    begins = stops[np.diff(stops, prepend=-2) > 1]
    ends = stops[np.diff(stops, append=len(texts.points) + 1) > 1] + 1
    one = np.flatnonzero(texts.points == 0x2026)
    return texts.per_document(texts.document_of(begins), (ends - begins) // 3) + texts.per_document(
        texts.document_of(one)
    )


def _bulleted(texts: Texts, lines: Spans) -> npt.NDArray[np.bool_]:
    bare = texts.strip(lines)
    first = texts.points[bare.begins]
    return (bare.lengths > 0) & ((first == 0x2022) | (first == 0x2D))


def _trailing_off(texts: Texts, lines: Spans) -> npt.NDArray[np.bool_]:
    bare = texts.strip(lines)
    last = texts.points[np.maximum(bare.ends - 1, 0)]
    return (bare.lengths > 0) & ((last == 0x2026) | (last == 0x2E) & dots_before(texts, bare))


def dots_before(texts: Texts, spans: Spans) -> npt.NDArray[np.bool_]:
    """Whether the two characters before the last of each stretch, both in it, are full stops."""
    back = [texts.points[np.maximum(spans.ends - i, 0)] == 0x2E for i in (2, 3)]
    return back[0] & back[1] & (spans.lengths >= 3)


def _stop_words(texts: Texts) -> dict[str, npt.NDArray[np.int64]]:
    """How many different ones of each list's words a document holds."""
    keys, of = _listed()
    words = texts.words
    key = texts.rolling.stretches(words.begins, words.ends)
    slot = (key >> np.uint64(_SLOTS)).astype(np.int64)
    found = np.flatnonzero(keys[slot] == key)
    cells = np.unique(words.document[found] << 64 - _SLOTS | slot[found])
    document, lists = cells >> 64 - _SLOTS, of[cells & (1 << 64 - _SLOTS) - 1]
    return {name: texts.per_document(document[lists == i]) for i, name in enumerate(STOP_WORDS)}


@lru_cache(maxsize=1)
def _listed() -> tuple[ch.U64, npt.NDArray[np.int64]]:
    """A table of hashes of all listed words by their highest bits, and the list that each is of."""
    keys = np.zeros(1 << 64 - _SLOTS, dtype=np.uint64)
    of = np.full(len(keys), -1)
    for i, listed in enumerate(STOP_WORDS.values()):
        points, offsets = ch.points_of(pa.array(listed.split(), pa.large_string()))
        key = ch.Rolling(points).stretches(offsets[:-1], offsets[1:])
        slot = (key >> np.uint64(_SLOTS)).astype(np.int64)
        assert not keys[slot].any() and len(set(slot.tolist())) == len(slot), "two words in one slot: another _SLOTS"
        keys[slot], of[slot] = key, i
    return keys, of


def _listed_words(texts: Texts, real: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many words are stop words, by the lists of stopwords-iso for English and Chinese, whatever their case."""
    keys, slots = _iso()
    words = texts.words
    low = ch.Rolling(ch.lowered()[texts.points])
    key = low.stretches(words.begins, words.ends)
    likely = np.flatnonzero(slots[(key >> np.uint64(48)).astype(np.int64)] & real)
    found = keys[np.minimum(np.searchsorted(keys, key[likely]), len(keys) - 1)] == key[likely]
    return texts.per_document(words.document[likely[found]])


@lru_cache(maxsize=1)
def _iso() -> tuple[ch.U64, npt.NDArray[np.bool_]]:
    """Hashes of the listed words, sorted, and which values their highest 16 bits take."""
    from stopwordsiso import stopwords

    points, offsets = ch.points_of(pa.array(sorted(stopwords(["en", "zh"])), pa.large_string()))
    keys = np.sort(ch.Rolling(points).stretches(offsets[:-1], offsets[1:]))
    slots = np.zeros(1 << 16, dtype=bool)
    slots[(keys >> np.uint64(48)).astype(np.int64)] = True
    return keys, slots
