"""Cells and seeds -> runs, in the order in which they are done; all of it written down before the first one.

    n-432 ... n-6920        sizes, the smallest first; the last one is all examples, the clean cell of every comparison
    noise-0.1               a share of the labels is wrong
    imbalance-0.75          a share of the rarest class is taken away
    augment                 altered copies beside their rows, for as many steps as the clean cell

A cell is run once with each seed. Cells share what a seed decides: initial weights, order, and which examples are in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assay.errors import InputError
from assay.finetune import data, tuning
from assay.labels import planting
from assay.labels.planting import Planted, Training
from assay.labels.request import IMBALANCE, LEAST_EXAMPLES, NOISE, Request, named
from assay.recipe.finetune import FinetuneRecipe
from assay.store import fingerprint
from assay.tasks.protocol import Example, Task, made
from assay.tasks.reading.rows import Row

Kind = Literal["size", "noise", "imbalance", "augment"]
JUDGED = ("test", "dev")


@dataclass(frozen=True)
class Cell:
    """One training set, for every seed.

    Attributes:
        dose: of noise, imbalance; None of others.
        n: examples.
        steps: updates, about: rows are counted as one an example.
        changed: labels that are wrong, rows taken away or added.
    """

    name: str
    kind: Kind
    dose: float | None
    n: int
    steps: int
    changed: int = 0


@dataclass(frozen=True)
class Materials:
    """What all runs are made from.

    Attributes:
        task: that has learned from all training examples.
        training: rows of train, by seed.
        held: rows of dev and, where there is one, of test.
        judged: examples of the part that scores are of, and its name.
        label: the rarest class, where there are classes.
    """

    task: Task
    training: dict[int, Training]
    held: dict[str, list[Row]]
    judged: list[Example]
    part: str
    left_out: dict[str, int]
    label: str | None

    @property
    def rows_judged(self) -> list[Row]:
        """Rows of the examples that are judged."""
        read = [(row, self.task.read(row.fields, row.where)) for row in self.held[self.part]]
        return [row for row, example in read if example.wanted is not None]

    @cached_property
    def fingerprint(self) -> str:
        first = next(iter(self.training.values()))
        rows = {"train": sorted(canonical_rows(first.rows))}
        return fingerprint(rows | {name: canonical_rows(own) for name, own in self.held.items()})


def canonical_rows(rows: Sequence[Row]) -> list[str]:
    """What rows say, for a fingerprint."""
    from assay.tasks.reading.rows import canonical

    return [canonical(row.fields).decode() for row in rows]


@dataclass(frozen=True)
class Plan:
    """All that is to be run.

    Attributes:
        sizes: numbers of examples, rising.
        skipped: what was not asked for by name and cannot be done: "noise", "imbalance".
    """

    cells: list[Cell]
    sizes: list[int]
    seeds: list[int]
    skipped: list[str]

    @property
    def clean(self) -> Cell:
        """All examples as they are."""
        return next(cell for cell in self.cells if cell.kind == "size" and cell.n == self.sizes[-1])

    @property
    def doses(self) -> list[Cell]:
        """Cells that are compared with the clean one."""
        return [cell for cell in self.cells if cell.kind != "size"]

    @property
    def curve(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "size"]

    def as_json(self) -> dict[str, Any]:
        return {"cells": [asdict(cell) for cell in self.cells], "sizes": self.sizes, "seeds": self.seeds,
                "skipped": self.skipped}  # fmt: skip


def materials(request: Request) -> Materials:
    """Read all parts, in the order of every seed.

    Raises:
        InputError: bad data, or too few examples.
    """
    task = made(request.task, request.recipe.task)
    found = data.parts_of(task, request.recipe.data, request.recipe.train.seed)
    rows, left_out = dict(found.rows), dict(found.left_out)
    least = _sizes(len(rows["train"]), request.sizes)[0]
    training = {
        seed: planting.covering(Training.of(task, list(rows["train"]), seed), least) for seed in request.numbers
    }
    learned = next(iter(training.values())).task
    held: dict[str, list[Row]] = {}
    examples: dict[str, list[Example]] = {}
    for name in (name for name in ("dev", "test") if name in rows):
        own = [(row, task.read(row.fields, row.where)) for row in rows[name]]
        good = [(row, e) for row, e in own if e.wanted is None or learned.unlike(e) is None]
        if len(good) < len(own) and request.recipe.data.on_error == "stop":
            bad = next(e for _, e in own if e.wanted is not None and learned.unlike(e) is not None)
            remedy = "mend the row, or skip such rows: --set data.on_error=skip"
            raise InputError(str(learned.unlike(bad)), where=bad.where, remedy=remedy)
        held[name] = [row for row, _ in good]
        examples[name] = [e for _, e in good if e.wanted is not None]
    part = next(name for name in JUDGED if examples.get(name))
    first = next(iter(training.values()))
    label = planting.rarest(first) if planting.has_classes(learned, first.examples) else None
    return Materials(learned, training, held, examples[part], part, left_out, label)


def _sizes(n: int, several: int) -> list[int]:
    """Numbers of examples, rising by factors of two up to all.

    Raises:
        InputError: the smallest would be next to nothing.
    """
    sizes = [max(1, round(n / 2**i)) for i in reversed(range(several))]
    if sizes[0] < LEAST_EXAMPLES:
        raise InputError(
            f"{n} examples make no {several} sizes: the smallest would have {sizes[0]}", where="--sizes",
            remedy="ask for fewer sizes, or give more examples",
        )  # fmt: skip
    return sizes


def plan(request: Request, held: Materials) -> Plan:
    """What is run: see the module.

    Raises:
        InputError: a dose was asked for that this task cannot have.
    """
    recipe, first = request.recipe, next(iter(held.training.values()))
    sizes = _sizes(len(first), request.sizes)
    clean = _steps(recipe, sizes[-1])
    cells = [Cell(f"n-{n}", "size", None, n, _steps(recipe, n) if request.equal == "epochs" else clean) for n in sizes]
    skipped = []
    noise, imbalance = request.noise, request.imbalance
    if noise is None:
        able = planting.nature(held.task, first.examples) is not None
        noise = NOISE if able else ()
        skipped += [] if able else ["noise"]
    if imbalance is None:
        imbalance = IMBALANCE if held.label is not None else ()
        skipped += [] if held.label is not None else ["imbalance"]
    if imbalance and held.label is None:
        raise InputError("is for one class out of several", where="--imbalance", remedy='leave it out: --imbalance ""')
    for dose, name in zip(noise, named(noise, "noise"), strict=True):
        changed = len(planting.noisy(first, dose).notes)
        cells.append(Cell(name, "noise", dose, sizes[-1], clean, changed))
    for share, name in zip(imbalance, named(imbalance, "imbalance"), strict=True):
        rows = planting.rarer(first, share)
        steps = _steps(recipe, len(rows.rows)) if request.equal == "epochs" else clean
        cells.append(Cell(name, "imbalance", share, len(rows.rows), steps, len(rows.notes)))
    if request.augment:
        rows = planting.with_copies(first)
        cells.append(Cell("augment", "augment", None, len(rows.rows), clean, len(rows.notes)))
    return Plan(cells, sizes, list(request.numbers), skipped)


def _steps(recipe: FinetuneRecipe, n: int) -> int:
    """Steps of a run on n examples, if each is a row.

    Raises:
        InputError: the budget is counted in tokens, which say nothing of examples.
    """
    b = recipe.budget
    if b.tokens is not None:
        raise InputError(
            "is not what cells can be compared by", where="budget.tokens", remedy="give budget.epochs or budget.steps"
        )
    if b.steps is not None:
        return b.steps
    epochs = b.epochs or (tuning.EPOCHS if recipe.model.path is not None else tuning.EPOCHS_ANEW)
    return max(1, math.ceil(epochs * math.ceil(n / recipe.train.batch_rows)))


def planted(cell: Cell, training: Training) -> Planted:
    """The rows of a cell."""
    if cell.kind == "size":
        return planting.subset(training, cell.n)
    if cell.kind == "augment":
        return planting.with_copies(training)
    assert cell.dose is not None
    return (planting.noisy if cell.kind == "noise" else planting.rarer)(training, cell.dose)


def recipe_of(request: Request, cell: Cell, seed: int, folder: Path, held: Materials) -> FinetuneRecipe:
    """The recipe of one run, whose files lie in a folder (`running`)."""
    files = request.recipe.data.model_copy(
        update={
            "train": (str(train_file(folder, cell, seed)),), "dev": (str(folder / "dev.jsonl.zst"),),
            "test": (str(folder / "test.jsonl.zst"),) if "test" in held.held else (), "format": "table", "fields": {},
            "limit": None, "column": None,
        }
    )  # fmt: skip
    recipe = request.recipe
    changed: dict[str, Any] = {"data": files, "train": recipe.train.model_copy(update={"seed": seed}), "floor": False}
    if cell.kind == "augment" or request.equal == "steps":
        changed["budget"] = recipe.budget.model_copy(update={"steps": cell.steps, "epochs": None})
    return recipe.model_copy(update=changed)


def train_file(folder: Path, cell: Cell, seed: int) -> Path:
    return folder / f"{cell.name}.{seed}.jsonl.zst"


def length(examples: Sequence[Example]) -> np.ndarray:
    """(n,) characters that each gives."""
    from assay.tasks.protocol import spelled

    return np.array([sum(map(len, spelled(e))) for e in examples])
