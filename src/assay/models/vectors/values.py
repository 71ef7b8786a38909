"""Words and their vectors, and what one asks of them: similarity, neighbours, analogies.

A word that is not among them has no vector, unless FastText learned them: then it is the mean of the vectors of its
pieces, which `Subwords` holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assay.models.vectors.config import VectorsConfig

AT_ONCE = 512  # questions whose scores against all words are held together


@dataclass(frozen=True, eq=False)
class Subwords:
    """Vectors of pieces of words (Bojanowski et al. 2017), found by their hashes.

    Attributes:
        table: (buckets, width) float32; pieces whose hashes agree share a row.
        shortest, longest: lengths of pieces in characters; `<` and `>` mark a word's ends and count.
    """

    table: np.ndarray
    shortest: int
    longest: int

    def vector(self, word: str) -> np.ndarray | None:
        """The mean of its pieces' vectors; None where it is too short to have any."""
        rows = [_hash(piece) % len(self.table) for piece in _pieces(word, self.shortest, self.longest)]
        return np.asarray(self.table[rows].sum(axis=0) / len(rows), dtype=np.float32) if rows else None


def _pieces(word: str, shortest: int, longest: int) -> list[str]:
    marked = f"<{word}>"
    last = len(marked)
    return [
        marked[i : i + n]
        for i in range(last)
        for n in range(shortest, min(longest, last - i) + 1)
        if n > 1 or 0 < i < last - 1  # a mark alone is no piece
    ]


def _hash(piece: str) -> int:
    """32 bits of FNV-1a, with the slip of fastText's program, whose bytes have a sign: files agree with it."""
    digest = 2166136261
    for byte in piece.encode():
        digest ^= byte | (0xFFFFFF00 if byte > 127 else 0)
        digest = digest * 16777619 & 0xFFFFFFFF
    return digest


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words, the most frequent first, and their vectors.

    Attributes:
        vectors: (words, width) float32.
        subwords: what words that are not known are made of (FastText), or None.
        config: how they were learned, where that is known.
    """

    words: list[str]
    vectors: np.ndarray
    subwords: Subwords | None = None
    config: VectorsConfig | None = None

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    @cached_property
    def places(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def _unit(self) -> np.ndarray:
        return self.vectors / np.maximum(np.linalg.norm(self.vectors, axis=1, keepdims=True), 1e-12)

    def vector(self, word: str) -> np.ndarray | None:
        """(width,) of a word, made of its pieces where it is not known and there are any; else None."""
        if word in self.places:
            row: np.ndarray = self.vectors[self.places[word]]
            return row
        return self.subwords.vector(word) if self.subwords is not None else None

    def _direction(self, word: str) -> np.ndarray | None:
        vector = self.vector(word)
        return None if vector is None else vector / max(float(np.linalg.norm(vector)), 1e-12)

    def similarity(self, one: str, other: str) -> float | None:
        """Cosine of two words; None where one has no vector."""
        a, b = self._direction(one), self._direction(other)
        return None if a is None or b is None else float(a @ b)

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The `n` words most similar to a word, itself aside; none where it has no vector."""
        direction = self._direction(word)
        if direction is None:
            return []
        cosines = self._unit @ direction
        if word in self.places:
            cosines[self.places[word]] = -np.inf
        order = np.argsort(-cosines)[: min(n, len(self.words) - (word in self.places))]
        return [(self.words[i], float(cosines[i])) for i in order]

    def analogies(self, questions: Sequence[tuple[str, str, str, str]]) -> np.ndarray:
        """For each question a : b = c : d whether d is the word nearest to b - a + c, those three aside (Mikolov et al.
        2013): 1 or 0, or NaN where a word is not among the words."""
        found = np.full(len(questions), np.nan)
        known = [i for i, q in enumerate(questions) if all(word in self.places for word in q)]
        for start in range(0, len(known), AT_ONCE):
            rows = known[start : start + AT_ONCE]
            places = np.array([[self.places[word] for word in questions[i]] for i in rows])
            a, b, c = (self._unit[places[:, k]] for k in range(3))
            scores = (b - a + c) @ self._unit.T
            scores[np.arange(len(rows))[:, None], places[:, :3]] = -np.inf
            found[rows] = scores.argmax(axis=1) == places[:, 3]
        return found
