"""A number for a text or a pair of texts: similarity of sentences, grades of essays and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from assay.errors import InputError
from assay.metrics.regression import kappa, regression
from assay.metrics.scores import Measure, together
from assay.models.heads import HeadConfig
from assay.tasks.classification import _OfTexts
from assay.tasks.coding import Coder
from assay.tasks.protocol import Answer, Answering, Example, Fields, Item, Said, learned, register


@register
@dataclass(frozen=True, kw_only=True)
class Regression(_OfTexts):
    """A number.

    Attributes:
        target: field of the number.
        grades: answers are rounded to whole numbers within those of training, and judged by weighted kappa, too.
        mean, deviation, lowest, highest: of the training numbers, learned; the model is asked for (y - mean) /
            deviation.
    """

    name = "regression"
    best = "pearson"
    shown = ("pearson", "spearman", "mse", "mae", "kappa")

    target: str = "score"
    grades: bool = False
    mean: float = learned(0.0)
    deviation: float = learned(1.0)
    lowest: float = learned(0.0)
    highest: float = learned(0.0)

    def read(self, fields: Fields, where: str) -> Example:
        wanted = fields.get(self.target)
        try:
            number = None if wanted is None else float(wanted)
        except (TypeError, ValueError):
            number = np.nan
        if number is not None and not np.isfinite(number):
            raise InputError(f"{self.target} is no number ({wanted!r})", where=where, remedy="write one such as 3.5")
        return Example(self.texts_of(fields, where), number, where)

    def learn(self, examples: Sequence[Example]) -> Self:
        numbers = np.array([e.wanted for e in examples if e.wanted is not None], dtype=np.float64)
        if len(numbers) < 2 or numbers.std() == 0:
            what = "all numbers are the same" if len(numbers) > 1 else "there are fewer than two numbers"
            raise InputError(what, where=self.target, remedy="give examples with different ones")
        mean, deviation, lowest, highest = map(float, (numbers.mean(), numbers.std(), numbers.min(), numbers.max()))
        return replace(self, mean=mean, deviation=deviation, lowest=lowest, highest=highest)

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("value", 1)

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        asked = [self.mean if e.wanted is None else e.wanted for e in examples]
        targets = [
            {
                "targets": np.array([-1 if e.wanted is None else 0]),
                "values": np.array([(number - self.mean) / self.deviation]),
            }
            for e, number in zip(examples, asked, strict=True)
        ]
        yield from self.rows(examples, coder, targets)

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        return {"score": self._graded(float(said[0].values[0]) * self.deviation + self.mean)}

    def floor(self, examples: Sequence[Example]) -> Answering:
        predict = self.floor_of(examples, "regression")
        return lambda asked: [{"score": self._graded(float(value))} for value in predict(asked)[0]]

    def _graded(self, value: float) -> float:
        return round(min(self.highest, max(self.lowest, value))) if self.grades else value

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        wanted, found = [e.wanted for e in examples], [a["score"] for a in answers]
        values = regression(wanted, found)
        return together(values, kappa(wanted, found)) if self.grades else values
