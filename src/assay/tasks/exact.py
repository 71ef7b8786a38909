"""Answers that are written, and have to be the right ones: BBH, sums, short answers. Greedy, up to a stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.errors import InputError
from assay.metrics import scores
from assay.metrics.generation import exact_match
from assay.metrics.grouped import grouped
from assay.metrics.scores import Kind, Measure, means
from assay.tasks.prompting import Prompted, together
from assay.tasks.protocol import Answer, Example, Fields, register
from assay.tasks.questions import Names, open_question_of


@register
@dataclass(frozen=True, kw_only=True)
class Exact(Prompted):
    """A text that has to be written. Options: see `Prompted`, and

    Attributes:
        stop: texts that end an answer.
        most: tokens of an answer.
    """

    name = "exact"
    best = "exact_match"
    shown = ("exact_match", "macro_exact_match", "stopped")

    stop: tuple[str, ...] = ("\n",)
    most: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most < 1:
            raise InputError(f"most is {self.most}", where=f"task {self.name}", remedy="give 1 token or more")

    def read(self, fields: Fields, where: str) -> Example:
        names = Names(self.question, self.choices, self.answer, self.passage, self.subject)
        given, wanted = open_question_of(fields, names, where)
        return Example(given, wanted, where, together(given.get("passage", "")))

    def right(self, example: Example) -> str:
        return str(example.wanted[0])

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        """`exact_match`, whatever the case, width and punctuation; its mean over subjects; the share that was stopped.

        Args:
            answers: {"text": .., "stopped": ..}.
        """
        matched = exact_match([e.wanted for e in examples], [str(a["text"]) for a in answers])
        hits = np.asarray(matched.statistics)[:, 0]
        subjects = [str(e.given.get("subject", "")) for e in examples]
        parts: list[Measure] = [grouped({"exact_match": hits}, subjects, signature=matched.signature)]
        if all("stopped" in a for a in answers):
            parts.append(means({"stopped": [bool(a["stopped"]) for a in answers]}, {"stopped": Kind("neither")}))
        return scores.together(*parts)
