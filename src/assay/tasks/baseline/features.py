"""Tokens of sentences -> numbers of features: what stands at a place and around it.

Whatever a token is told by (its letters, their shape, its beginnings and ends) is hashed once for each different token;
a feature of a place is made from such hashes at the places around it, all places of all sentences at once. Hashes have
64 bits, so that no two features meet; a model knows those that its training text holds often enough.

Chinese sentences whose tokens are characters have other neighbours: windows of characters, pairs and triples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
_AROUND = 2  # places to both sides that are looked at
_OUTSIDE = "\0"  # stands before and after a sentence
_CHARACTERS = 1.3  # mean length of tokens below which they are characters

_KINDS = ("word", "lower", "shape", "short", "p1", "p2", "p3", "p4", "s1", "s2", "s3", "s4", "class")
# A feature is a list of (kind, place): all are hashed together.
WORDS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("word", 0),), (("lower", 0),), (("shape", 0),), (("short", 0),),
    (("p1", 0),), (("p2", 0),), (("p3", 0),), (("p4", 0),), (("s1", 0),), (("s2", 0),), (("s3", 0),), (("s4", 0),),
    (("lower", -1),), (("lower", 1),), (("lower", -2),), (("lower", 2),),
    (("word", -1),), (("word", 1),), (("short", -1),), (("short", 1),), (("s3", -1),), (("s3", 1),),
    (("short", -1), ("short", 0)), (("short", 0), ("short", 1)), (("short", -1), ("short", 0), ("short", 1)),
    (("lower", -1), ("lower", 0)), (("lower", 0), ("lower", 1)), (("lower", -1), ("short", 0)),
    (("short", 0), ("lower", 1)), (("lower", -2), ("lower", -1)), (("lower", 1), ("lower", 2)),
)  # fmt: skip
CHARACTERS: tuple[tuple[tuple[str, int], ...], ...] = (
    *(((("word", place),)) for place in (-2, -1, 0, 1, 2)),
    (("word", -2), ("word", -1)), (("word", -1), ("word", 0)), (("word", 0), ("word", 1)), (("word", 1), ("word", 2)),
    (("word", -1), ("word", 1)), (("word", -1), ("word", 0), ("word", 1)), (("word", -2), ("word", -1), ("word", 0)),
    (("word", 0), ("word", 1), ("word", 2)), (("class", -1), ("class", 0), ("class", 1)), (("class", 0),),
)  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The places of sentences.

    Attributes:
        hashes: (places, features) what is found at each of them.
        ends: (sentences + 1,) where each begins, and the last ends.
    """

    hashes: U64
    ends: I64


def are_characters(sentences: Sequence[Sequence[str]]) -> bool:
    """Whether the tokens are characters, as in data sets of Chinese names."""
    n = sum(map(len, sentences))
    return n > 0 and sum(len(token) for tokens in sentences for token in tokens) < _CHARACTERS * n


def places(sentences: Sequence[Sequence[str]], characters: bool) -> Places:
    """All features of all places of sentences."""
    numbers: dict[str, int] = {_OUTSIDE: 0}
    around = [0] * _AROUND
    padded = list[int]()
    for tokens in sentences:
        padded += around
        padded += [numbers.setdefault(token, len(numbers)) for token in tokens]
        padded += around
    lengths = np.array([len(tokens) for tokens in sentences], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    own = np.arange(ends[-1]) + np.repeat(2 * _AROUND * np.arange(len(sentences)) + _AROUND, lengths)
    at = np.array(padded, dtype=np.int64)
    said = _hashes(list(numbers))
    templates = CHARACTERS if characters else WORDS
    hashes = np.empty((len(own), len(templates)), dtype=np.uint64)
    for number, parts in enumerate(templates):
        made = np.full(len(own), number + 1, dtype=np.uint64)
        for kind, place in parts:
            made = _mixed(made ^ said[kind][at[own + place]])
        hashes[:, number] = made
    return Places(hashes, ends)


def _mixed(values: U64) -> U64:
    """Steele, Lea and Flood (2014), SplitMix64: every bit of the result depends on every bit of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hashes(tokens: list[str]) -> dict[str, U64]:
    """Of every different token, what it is told by, hashed."""
    rows = [
        (
            token, token.lower(), (shape := _shape(token)), re.sub(r"(.)\1+", r"\1", shape),
            token[:1], token[:2], token[:3], token[:4], token[-1:], token[-2:], token[-3:], token[-4:], _class(token),
        )
        for token in tokens
    ]  # fmt: skip
    return {
        kind: np.array([xxhash.xxh3_64_intdigest(row[i].encode("utf-8", "replace")) for row in rows], dtype=np.uint64)
        for i, kind in enumerate(_KINDS)
    }


def _shape(token: str) -> str:
    """ "McDonald-7" is XxXxxxxx-d."""
    return "".join(
        "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else "c" if c.isalpha() else c for c in token
    )


def _class(token: str) -> str:
    return "d" if token.isdigit() else "a" if token.isascii() and token.isalpha() else "c" if token.isalpha() else "p"
