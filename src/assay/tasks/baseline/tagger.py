"""The floor of tagging: a chain of labels over features of a window around each token.

    sentences -> features (hashes) -> those that the training text holds often enough
              -> weights, and steps between labels -> the likeliest labels of a whole sentence, and the chance of each

The chain is a conditional random field, fitted sentence by sentence. Of the same features an averaged perceptron
(Collins 2002) and a logistic regression with Viterbi over counted steps make less: entity F1 0.904 and 0.880 where the
chain has 0.914 (CoNLL-2003, dev), 0.920 and 0.911 where it has 0.929 (Resume, dev). The perceptron is as fast and says
not how likely a tag is; the regression takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.errors import InputError
from assay.tasks.baseline import chains, features, stored

KIND = "tagger"
EPOCHS, RATE, STRENGTH = 5, 0.05, 1e-4
LEAST = 2
"""Places that a feature stands at: what stands at one alone is mostly that place's name."""
_MOST = 1 << 26  # weights: where there are more, rarer features are left out
_STEPPED = 64  # labels beyond which pairs of them cost more than they tell: steps then stay zero


@dataclass(frozen=True)
class Tagger:
    """A fitted chain.

    Attributes:
        labels: in the order of the weights' columns.
        known: (features,) their hashes, sorted.
        weights: (features, labels) float32. steps: (labels + 1, labels) from each, and from a sentence's beginning.
        characters: which features.
    """

    labels: tuple[str, ...]
    known: features.U64
    weights: npt.NDArray[np.float32]
    steps: npt.NDArray[np.float32]
    characters: bool

    @property
    def chained(self) -> bool:
        """Whether labels side by side count."""
        return len(self.labels) <= _STEPPED

    @classmethod
    def fit(
        cls, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], *, seed: int = 0, epochs: int = EPOCHS
    ) -> Tagger:
        """Learn from tokens and their tags, a list a sentence each.

        Raises:
            InputError: there is no token, or a sentence has not as many tags as tokens.
        """
        for number, (tokens, own) in enumerate(zip(sentences, tags, strict=True)):
            if len(tokens) != len(own):
                what = f"{len(tokens)} tokens have {len(own)} tags"
                raise InputError(what, where=f"sentence {number + 1}", remedy="give each token one tag")
        labels = tuple(sorted({tag for own in tags for tag in own}))
        if not labels:
            raise InputError("no token to learn from", remedy="give tagged sentences")
        characters = features.are_characters(sentences)
        places = features.places(sentences, characters)
        known, count = np.unique(places.hashes, return_counts=True)
        least = LEAST if len(places.hashes) > 10_000 else 1
        while (count >= least).sum() * len(labels) > _MOST:
            least += 1
        known = known[count >= least]
        number_of = {label: number for number, label in enumerate(labels)}
        gold = np.array([number_of[tag] for own in tags for tag in own], dtype=np.int64)
        weights = np.zeros((len(known), len(labels)), dtype=np.float32)
        steps = np.zeros((len(labels) + 1, len(labels)), dtype=np.float32)
        _learn(weights, steps, _numbers(places, known), places.ends, gold, seed, epochs)
        return cls(labels, known, weights, steps, characters)

    def predict(self, sentences: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[npt.NDArray[np.float64]]]:
        """The tags of each sentence, and the chance of each tag."""
        places = features.places(sentences, self.characters)
        n = len(places.hashes)
        best, chance = np.zeros(n, dtype=np.int64), np.zeros(n)
        own = chains.room(int(np.diff(places.ends).max(initial=1)), len(self.labels))
        found = _numbers(places, self.known)
        chains.decoded(self.weights, self.steps, found, places.ends, self.chained, best, chance, own)
        cuts = places.ends[1:-1]
        return (
            [[self.labels[i] for i in own] for own in np.split(best, cuts)] if len(places.ends) > 1 else [],
            np.split(chance, cuts) if len(places.ends) > 1 else [],
        )

    def chances(self, sentences: Sequence[Sequence[str]]) -> list[npt.NDArray[np.float64]]:
        """Of each sentence (tokens, labels) the chance of each label at each token."""
        places = features.places(sentences, self.characters)
        made = np.zeros((len(places.hashes), len(self.labels)))
        own = chains.room(int(np.diff(places.ends).max(initial=1)), len(self.labels))
        found = _numbers(places, self.known)
        chains.likely(self.weights, self.steps, found, places.ends, self.chained, made, own)
        return np.split(made, places.ends[1:-1]) if len(places.ends) > 1 else []

    def save(self, folder: Path) -> None:
        """Write the model as JSON and safetensors."""
        held: stored.Arrays = {"known": self.known.view(np.int64), "weights": self.weights, "steps": self.steps}
        stored.save(folder, KIND, {"labels": list(self.labels), "characters": self.characters}, held)

    @classmethod
    def of(cls, config: dict[str, Any], held: dict[str, npt.NDArray[Any]]) -> Tagger:
        """What `save` wrote."""
        known = held["known"].view(np.uint64)
        return cls(tuple(config["labels"]), known, held["weights"], held["steps"], config["characters"])


def _numbers(places: features.Places, known: features.U64) -> npt.NDArray[np.int32]:
    """(places, features) the number of each hash among those known, -1 for others."""
    if not len(known):
        return np.full(places.hashes.shape, -1, dtype=np.int32)
    at = np.minimum(np.searchsorted(known, places.hashes), len(known) - 1)
    return np.where(known[at] == places.hashes, at, -1).astype(np.int32)


def _learn(
    weights: Any, steps: Any, found: Any, ends: features.I64, gold: features.I64, seed: int, epochs: int
) -> None:
    draw = np.random.default_rng(seed)
    squares, steps_squares = np.zeros_like(weights), np.zeros_like(steps)
    own = chains.room(int(np.diff(ends).max(initial=1)), weights.shape[1])
    chained = weights.shape[1] <= _STEPPED
    for _ in range(epochs):
        order = draw.permutation(len(ends) - 1)
        chains.learned(weights, squares, steps, steps_squares, found, ends, gold, order, chained, RATE, STRENGTH, own)
