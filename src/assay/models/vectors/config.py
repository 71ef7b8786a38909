"""What a person may set when word vectors are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.errors import InputError


@dataclass(frozen=True)
class VectorsConfig:
    """How vectors are learned. The defaults are those of gensim and, for what GloVe alone has, of its paper; `buckets`
    aside, of which gensim has two million (800 MB at width 100).

    Attributes:
        family: word2vec (Mikolov et al. 2013), fasttext (Bojanowski et al. 2017) or glove (Pennington et al. 2014).
        objective: of word2vec and fasttext: a word predicts its neighbours, or they predict it.
        width: numbers in a vector.
        window: the most words between a word and its neighbour, counting it.
        min_count: rarer words are left out, as if they had not been written.
        epochs: passes over the text; of glove over the pairs of words.
        rate: the learning rate; None: 0.025, falling to 0.0001, or glove's constant 0.05.
        seed: of first weights and of all draws.
        workers: threads of gensim; more than one is faster, and no two runs are then alike.
        negative: noise words drawn for each true one (word2vec, fasttext).
        subsample: words that are a larger share of the text than this are skipped at random, the more so the more
            frequent they are; 0: none; None: 0.001, and none of glove's.
        shortest, longest: lengths in characters of the pieces of words, ends of words counted (fasttext).
        buckets: vectors that the pieces share by their hashes (fasttext).
        most, power: a pair of weight x counts min(1, x / most)^power (glove).
        batch: pairs whose gradients are taken before any is used; 1 is the authors' program to the letter (glove).
    """

    family: Literal["word2vec", "fasttext", "glove"] = "word2vec"
    objective: Literal["skipgram", "cbow"] = "skipgram"
    width: int = 100
    window: int = 5
    min_count: int = 5
    epochs: int = 5
    rate: float | None = None
    seed: int = 0
    workers: int = 1
    negative: int = 5
    subsample: float | None = None
    shortest: int = 3
    longest: int = 6
    buckets: int = 200_000
    most: float = 100.0
    power: float = 0.75
    batch: int = 1024

    def __post_init__(self) -> None:
        for name, allowed in (("family", ("word2vec", "fasttext", "glove")), ("objective", ("skipgram", "cbow"))):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}", remedy=f"use one of {', '.join(allowed)}")
        at_least_one = (
            "width", "window", "min_count", "epochs", "workers", "negative", "shortest", "buckets", "batch",
        )  # fmt: skip
        for name in at_least_one:
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", remedy="use 1 or more")
        if self.longest < self.shortest:
            raise InputError(
                f"longest is {self.longest} and shortest {self.shortest}", remedy="let longest be no less than shortest"
            )
        for name in ("most", "power", "learning_rate"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name.removeprefix('learning_')} is {getattr(self, name)}", remedy="use more than 0")
        if not 0 <= self.skipped_above < 1:
            raise InputError(f"subsample is {self.subsample}", remedy="use 0 or a small number such as 0.001")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}", remedy="use 0 or more")

    @property
    def learning_rate(self) -> float:
        """The rate, or that of the family where none is given."""
        if self.rate is not None:
            return self.rate
        return 0.05 if self.family == "glove" else 0.025

    @property
    def skipped_above(self) -> float:
        """`subsample`, or that of the family where none is given."""
        if self.subsample is not None:
            return self.subsample
        return 0.0 if self.family == "glove" else 1e-3
