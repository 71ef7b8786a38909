"""A model with a head, asked about items; answers and losses of examples, whatever the size of the batches.

examples -> items -> batches, the longest first -> what the head says -> answers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import torch

from assay.metrics.scores import value_of
from assay.models.build import Neural
from assay.models.crf import Allowed
from assay.models.heads import Headed
from assay.models.protocol import Batch, Model, check_ids
from assay.tasks.coding import Coder
from assay.tasks.feed import by_length, collated
from assay.tasks.protocol import Answer, Example, HeadTask, Item, Said
from assay.tasks.writing import WritingTask, losses
from assay.train.evaluate import Evaluation

ROWS = 32


@torch.inference_mode()
def asked(
    model: Headed, items: Sequence[Item], *, rows: int = ROWS, allowed: Allowed | None = None, together: int = 1
) -> Iterator[tuple[Said, float]]:
    """What a model says of each item, and its loss there (nats, summed over targets), in no order.

    Args:
        rows: items at a time; what is said does not depend on it.
        allowed: tags that may follow one another, begin and end a row.

    Raises:
        InputError: there are token ids that the model has not.
    """
    device = next(model.parameters()).device
    kinds = model.config.tells_types
    was, _ = model.training, model.eval()
    for numbers in by_length(items, rows, together):
        own = [items[i] for i in numbers.tolist()]
        batch = collated(own, kinds=kinds)
        check_ids(model, int(batch.inputs_BT.min()), int(batch.inputs_BT.max()), "text")
        batch = batch.to(device)
        found = model(batch)
        losses = model.loss_of(found, batch).losses_BT.double().sum(1).cpu().tolist()
        yield from zip(_said(model, own, found, batch, allowed), losses, strict=True)
    model.train(was)


def _said(
    model: Headed, items: list[Item], found: torch.Tensor, batch: Batch, allowed: Allowed | None
) -> Iterator[Said]:
    kind = model.config.head.kind
    if kind == "tags":
        moved = None if allowed is None else tuple(tensor.to(found.device) for tensor in allowed)
        tags, likely, inside = (x.cpu().numpy() for x in model.tags_of(found, batch, moved))  # type: ignore[arg-type]
        for i, item in enumerate(items):
            n = int(inside[i].sum())
            yield Said(item, tags[i, :n], likely[i, :n])
        return
    values = found.float().cpu().numpy()
    for i, item in enumerate(items):
        yield Said(item, values[i, : len(item.ids)] if kind == "span" else values[i])


@dataclass(frozen=True)
class Answers:
    """What a model makes of examples.

    Attributes:
        nll: (examples,) summed loss of each in nats, 0 where nobody says what is right; n: of how many targets.
    """

    answers: list[Answer]
    nll: np.ndarray
    n: np.ndarray


def answered(
    task: HeadTask, model: Headed, examples: Sequence[Example], items: Sequence[Item], *, rows: int = ROWS
) -> Answers:
    """The answers to examples whose items these are."""
    by_example: list[list[tuple[int, Said]]] = [[] for _ in examples]
    nll, n = np.zeros(len(examples)), np.zeros(len(examples), int)
    place = {id(item): i for i, item in enumerate(items)}
    for said, loss in asked(model, items, rows=rows, allowed=task.allowed, together=task.together):
        own = said.item.example
        by_example[own].append((place[id(said.item)], said))
        nll[own] += loss
        n[own] += int((said.item.targets >= 0).sum())
    ordered = ([said for _, said in sorted(found, key=lambda pair: pair[0])] for found in by_example)
    return Answers([task.answer(e, said) for e, said in zip(examples, ordered, strict=True)], nll, n)


def written(
    task: WritingTask,
    model: Neural,
    coder: Coder,
    examples: Sequence[Example],
    items: Sequence[Item],
    *,
    rows: int = ROWS,
) -> Answers:
    """What a model writes for examples, and its loss of what is wanted."""
    nll, n = losses(model, items, rows)
    return Answers(task.answers(examples, model, coder, rows), nll, n)


@dataclass(frozen=True)
class Judged(Evaluation):
    """An evaluation that is judged by a score of the task's.

    Attributes:
        best: the name of that score.
        values: of all scores, by name.
    """

    best: str
    values: dict[str, float]

    @property
    def criterion(self) -> float:
        """The higher the score, the better; where it is not defined, the loss decides."""
        return -self.values[self.best] if self.best in self.values else self.loss

    @property
    def measured(self) -> dict[str, float]:
        return self.values


@dataclass(frozen=True)
class HeldTexts:
    """Examples of a task that is answered by writing: a model is judged by its loss on what is wanted, since writing
    takes long."""

    examples: Sequence[Example]
    items: Sequence[Item]
    rows: int = ROWS

    def evaluate(self, model: Model, device: str = "cpu") -> Evaluation:
        """The loss of each example."""
        nll, n = losses(model, self.items, self.rows)
        columns = (pl.Series("n_tokens", n), pl.lit(0).alias("n_bytes"), pl.Series("nll", nll))
        return Evaluation(_units(self.examples).with_columns(columns).filter(pl.col("n_tokens") > 0))


def _units(examples: Sequence[Example]) -> pl.DataFrame:
    groups = [e.group or str(i) for i, e in enumerate(examples)]
    return pl.DataFrame({"doc_id": [e.where for e in examples], "source": "examples", "unit": groups})


@dataclass(frozen=True)
class HeldExamples:
    """Examples that a model is judged on.

    Attributes:
        items: of the examples.
        best: name of the score that judges; None: the task's own.
    """

    task: HeadTask
    examples: Sequence[Example]
    items: Sequence[Item]
    best: str | None = None
    rows: int = ROWS
    kept: dict[str, Answers] = field(default_factory=dict, compare=False)

    def evaluate(self, model: Model, device: str = "cpu") -> Judged:
        """How good the model's answers are; they are kept until the next ones."""
        assert isinstance(model, Headed)
        found = answered(self.task, model, self.examples, self.items, rows=self.rows)
        self.kept["last"] = found
        columns = (pl.Series("n_tokens", found.n), pl.lit(0).alias("n_bytes"), pl.Series("nll", found.nll))
        values = value_of(self.task.measure(self.examples, found.answers))
        known = {name: value for name, value in values.items() if value is not None}
        units = _units(self.examples).with_columns(columns).filter(pl.col("n_tokens") > 0)
        return Judged(units, self.best or self.task.best, known)
