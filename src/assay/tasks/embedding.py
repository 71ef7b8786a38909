"""Vectors of sentences: pairs that belong together are alike (contrastive learning, Gao et al. 2021).

Training pairs are two texts that say the same, or a question and its answer; every other text of a batch is one that
does not. Pairs with a number of their own (how alike people find them) judge: Spearman's correlation of it with the
cosines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assay.errors import InputError
from assay.metrics.regression import regression
from assay.metrics.scores import Measure, means, together
from assay.models.heads import HeadConfig
from assay.tasks.coding import Coder
from assay.tasks.protocol import Answer, Example, Fields, HeadTask, Item, Said, register, text_of


@register
@dataclass(frozen=True, kw_only=True)
class Embedding(HeadTask):
    """See the module.

    Attributes:
        text, second: names of the fields.
        score: of how alike people find both; optional.
    """

    name = "embedding"
    best = "cosine"
    shown = ("cosine", "spearman", "pearson")
    together = 2

    text: str = "text"
    second: str = "second"
    score: str = "score"

    def read(self, fields: Fields, where: str) -> Example:
        given = {name: text_of(fields, name, where) for name in (self.text, self.second)}
        wanted = fields.get(self.score)
        if wanted is None:
            return Example(given, 1.0, where)
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise InputError(f"{self.score} is no number ({wanted!r})", where=where, remedy="write one such as 3.5")
        return Example(given, float(wanted), where)

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("vector", 1, dropout=0.0)

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        for name_rows in zip(
            coder.texts([e.given[self.text] for e in examples]), coder.texts([e.given[self.second] for e in examples]),
            range(len(examples)), strict=True,
        ):  # fmt: skip
            *both, i = name_rows
            for coded in both:
                assert not isinstance(coded, int)
                yield Item(i, coded.ids, np.array([0]), coded.kinds)

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        one, other = said
        return {"cosine": float(one.values @ other.values)}

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        cosines = [a["cosine"] for a in answers]
        wanted = [e.wanted for e in examples]
        mean = means({"cosine": cosines})
        return mean if len(set(wanted)) < 2 else together(mean, regression(wanted, cosines))
