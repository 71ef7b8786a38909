"""Preferences: of two answers the better one (DPO, Rafailov et al. 2023).

    conversation, chosen, rejected -> two rows -> how much likelier each has become than the model found it at first

The model that training begins with is the reference. What is left afterwards writes conversations (`writing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from assay.errors import InputError
from assay.generation.conversation import PLAIN, Template
from assay.metrics.scores import AMOUNT, Measure, means
from assay.models.heads import HeadConfig
from assay.tasks.coding import Coder
from assay.tasks.protocol import Answer, Example, Fields, HeadTask, Item, Said, register
from assay.tasks.writing import Instruction


@register
@dataclass(frozen=True, kw_only=True)
class Preference(HeadTask):
    """See the module.

    Attributes:
        beta: how closely the model stays to the reference: small, less so.
        template: as of conversations.
    """

    name = "preference"
    best = "accuracy"
    shown = ("accuracy", "margin")
    together = 2

    beta: float = 0.1
    template: Template = field(default=PLAIN)

    def read(self, fields: Fields, where: str) -> Example:
        if not isinstance(fields.get("messages"), list):
            raise InputError("has no messages", where=where, remedy="write prompt, chosen and rejected")
        for name in ("chosen", "rejected"):
            if not isinstance(fields.get(name), str) or not fields[name].strip():
                raise InputError(f"{name} is no text, or empty", where=where, remedy="give both answers, or skip it")
        given = {name: fields[name] for name in ("messages", "chosen", "rejected")}
        return Example(given, 1, where)

    @property
    def writer(self) -> Instruction:
        """The task that the model does afterwards."""
        return Instruction(template=self.template)

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("preference", 1, dropout=0.0, beta=self.beta)

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        """Two rows an example, the better one first; without a reference yet."""
        both = [
            Example({"messages": e.given["messages"]}, e.given[name])
            for e in examples
            for name in ("chosen", "rejected")
        ]
        answers = coder.ids([one.wanted for one in both])
        for number, (item, answer) in enumerate(zip(self.writer.items(both, coder), answers, strict=True)):
            ids = np.append(item.ids, item.targets[-1])
            marks = np.zeros(len(ids), bool)
            marks[max(1, len(ids) - len(answer) - 1) :] = True  # the answer and its end
            yield Item(number // 2, ids, np.array([0]), marks=marks, values=np.zeros(1))

    def against(self, items: Sequence[Item], said: Sequence[Said]) -> list[Item]:
        """The items with what a reference said of them."""
        found = {id(one.item): one.values for one in said}
        return [replace(item, values=found[id(item)].astype(np.float64)) for item in items]

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        better, worse = (float(one.values[0]) for one in said)
        return {"margin": self.beta * (better - worse), "chosen": better, "rejected": worse}

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        margins = [a["margin"] for a in answers]
        accuracy = [0.5 if margin == 0 else float(margin > 0) for margin in margins]
        return means({"accuracy": accuracy, "margin": margins}, {"margin": AMOUNT})
