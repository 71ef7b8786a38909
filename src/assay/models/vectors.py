"""Word vectors: GloVe of our own (Pennington, Socher and Manning 2014), and what vectors are good for.

    cooccurrences   documents of word ids -> how often each pair stands within a window, nearer ones counting more
    GloVe.fit       weighted least squares on their logarithms by AdaGrad -> WordVectors
    WordVectors     words and their vectors: similarity, neighbours, analogies; text files that word2vec's kin read

Counts are sorted and merged block by block, so that memory grows with the distinct pairs and not with the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from assay.errors import InputError

BLOCK_TOKENS = 1 << 20


def cooccurrences(documents: Iterable[np.ndarray], vocabulary: int, window: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of words within `window` of one another in a document, each weighted by 1 / distance, both ways.

    Args:
        documents: word ids, -1 for a word that is none of the vocabulary (it keeps its place).

    Returns:
        (pairs, 2) word and context, sorted; (pairs,) their weights, float64.
    """
    keys, weights = np.zeros(0, dtype=np.int64), np.zeros(0)
    block: list[np.ndarray] = []
    held = 0
    gap = np.full(window, -1, dtype=np.int64)  # no pair crosses from one document into the next
    for document in documents:
        block += [np.asarray(document, dtype=np.int64), gap]
        held += len(document)
        if held >= BLOCK_TOKENS:
            keys, weights = _merged(keys, weights, *_pairs(np.concatenate(block), vocabulary, window))
            block, held = [], 0
    if block:
        keys, weights = _merged(keys, weights, *_pairs(np.concatenate(block), vocabulary, window))
    return np.stack([keys // vocabulary, keys % vocabulary], axis=1), weights


def _pairs(ids: np.ndarray, vocabulary: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    keys, weights = [], []
    for distance in range(1, window + 1):
        left, right = ids[:-distance], ids[distance:]
        known = (left >= 0) & (right >= 0)
        left, right = left[known], right[known]
        keys += [left * vocabulary + right, right * vocabulary + left]
        weights.append(np.full(2 * len(left), 1.0 / distance))
    return _merged(np.concatenate(keys), np.concatenate(weights))


def _merged(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal keys as one, their weights added: of (keys, weights), or of two such pairs."""
    keys, weights = np.concatenate(columns[::2]), np.concatenate(columns[1::2])
    unique, inverse = np.unique(keys, return_inverse=True)
    return unique, np.bincount(inverse, weights, len(unique))


@dataclass(frozen=True)
class GloVe:
    """Settings of the method; the defaults are the paper's.

    Attributes:
        most, power: a pair of weight x counts min(1, x / most)^power.
        batch: pairs whose gradients are taken before any is used; 1 is the published algorithm to the letter.
    """

    dimensions: int = 100
    epochs: int = 25
    rate: float = 0.05
    most: float = 100.0
    power: float = 0.75
    batch: int = 1024
    seed: int = 0

    def fit(self, words: Sequence[str], pairs: np.ndarray, weights: np.ndarray) -> WordVectors:
        """The vectors of `words`: the sums of word and context vectors, as the paper proposes.

        Args:
            pairs, weights: from `cooccurrences`.
        """
        generator = torch.Generator().manual_seed(self.seed)
        V, D = len(words), self.dimensions
        # Rows: words, then contexts. The last column is the bias, learned like the rest.
        table = (torch.rand(2 * V, D + 1, generator=generator, dtype=torch.float32) - 0.5) / D
        squares = torch.ones_like(table)
        left = torch.from_numpy(pairs[:, 0].copy())
        right = torch.from_numpy(pairs[:, 1] + V)
        logs = torch.from_numpy(np.log(weights)).float()
        counts = torch.from_numpy(np.minimum(1.0, weights / self.most) ** self.power).float()
        for _ in range(self.epochs):
            for rows in torch.randperm(len(logs), generator=generator).split(self.batch):
                self._step(table, squares, left[rows], right[rows], logs[rows], counts[rows])
        vectors = (table[:V, :D] + table[V:, :D]).numpy()
        return WordVectors(list(words), vectors)

    def _step(
        self,
        table: torch.Tensor,
        squares: torch.Tensor,
        left: torch.Tensor,
        right: torch.Tensor,
        logs: torch.Tensor,
        counts: torch.Tensor,
    ) -> None:
        a, b = table[left], table[right]
        error = counts * ((a[:, :-1] * b[:, :-1]).sum(1) + a[:, -1] + b[:, -1] - logs)
        for index, other in ((left, b), (right, a)):
            gradient = error[:, None] * torch.cat([other[:, :-1], torch.ones(len(other), 1)], dim=1)
            table.index_add_(0, index, gradient / squares[index].sqrt(), alpha=-self.rate)
            squares.index_add_(0, index, gradient.square())


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors (words, dimensions), float32."""

    words: list[str]
    vectors: np.ndarray

    @cached_property
    def places(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def _unit(self) -> np.ndarray:
        return self.vectors / np.maximum(np.linalg.norm(self.vectors, axis=1, keepdims=True), 1e-12)

    def similarity(self, one: str, other: str) -> float | None:
        """Cosine of two words; None where one is not known."""
        if one not in self.places or other not in self.places:
            return None
        return float(self._unit[self.places[one]] @ self._unit[self.places[other]])

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The `n` words most similar to a word, itself aside; none where it is not known."""
        if word not in self.places:
            return []
        cosines = self._unit @ self._unit[self.places[word]]
        cosines[self.places[word]] = -np.inf
        order = np.argsort(-cosines)[: min(n, len(self.words) - 1)]
        return [(self.words[i], float(cosines[i])) for i in order]

    def analogies(self, questions: Sequence[tuple[str, str, str, str]]) -> np.ndarray:
        """For each question a : b = c : d whether d is the word nearest to b - a + c, those three aside (Mikolov et al.
        2013): 1 or 0, or NaN where a word is not known."""
        found = np.full(len(questions), np.nan)
        known = [i for i, q in enumerate(questions) if all(word in self.places for word in q)]
        for start in range(0, len(known), 512):
            rows = known[start : start + 512]
            places = np.array([[self.places[word] for word in questions[i]] for i in rows])
            a, b, c = (self._unit[places[:, k]] for k in range(3))
            scores = (b - a + c) @ self._unit.T
            scores[np.arange(len(rows))[:, None], places[:, :3]] = -np.inf
            found[rows] = scores.argmax(axis=1) == places[:, 3]
        return found

    def save(self, path: Path) -> None:
        """A text file as word2vec writes it: counts, then a word and its numbers a line."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{len(self.words)} {self.vectors.shape[1]}\n")
            for word, vector in zip(self.words, self.vectors, strict=True):
                file.write(f"{word} {' '.join(f'{x:.8g}' for x in vector)}\n")

    @classmethod
    def load(cls, path: Path) -> WordVectors:
        """What `save` or word2vec wrote, or GloVe, which writes no counts.

        Raises:
            InputError: a line does not hold a word and as many numbers as the first one.
        """
        words: list[str] = []
        rows: list[np.ndarray] = []
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                word, *rest = line.rstrip("\n").rstrip(" ").split(" ")
                if number == 1 and len(rest) == 1 and word.isdigit():
                    continue
                try:
                    row = np.array(rest, dtype=np.float32)
                except ValueError:
                    row = np.zeros(0, dtype=np.float32)
                if not len(row) or (rows and len(row) != len(rows[0])):
                    raise InputError(
                        "no word and its numbers", where=f"{path}:{number}", remedy="give a file of word vectors"
                    )
                words.append(word)
                rows.append(row)
        if not words:
            raise InputError("holds no vectors", where=path, remedy="give a file of word vectors")
        return cls(words, np.stack(rows))
