"""A teacher's answers beside the examples that a model is trained on (Hinton et al. 2015).

    a task with a head    what the teacher's head answers, and the states that it reads, stored with each item; labels
                          of texts that have none (unlabelled ones, and copies with words left out) are the teacher's
    a task of writing     what the teacher writes, in place of what was wanted (sequence-level: Kim and Rush 2016)

All of it is asked once, before the run, and stored in its folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from assay.corpus import documents
from assay.corpus.altering.augment import Augmentation, augmented
from assay.errors import InputError
from assay.generation.opened import model_folder
from assay.models.heads import Headed
from assay.models.interop import WEIGHTS
from assay.recipe.finetune import DistillRecipe
from assay.store import Stage, Store, file_digest, fingerprint, write_json_atomic
from assay.tasks.coding import Coder
from assay.tasks.feed import by_length, collated
from assay.tasks.opened import Opened, same_answers
from assay.tasks.protocol import Example, HeadTask, Item, Task, saved
from assay.tasks.reading import source

STAGE = Stage("taught", 1)
ANSWERS, TEXTS = "answers.safetensors", "texts.json"
LABELS = ("class", "labels", "value", "tags")
"""Heads whose answers can stand for labels."""
ROWS = 64


@dataclass(frozen=True)
class Teacher:
    """A model of the task at hand.

    Attributes:
        seed: of copies.
        store: where what it says is kept.
    """

    opened: Opened
    digest: str
    recipe: DistillRecipe
    seed: int
    store: Store

    @classmethod
    def of(cls, recipe: DistillRecipe, task: Task, device: str, seed: int, store: Store) -> Teacher:
        """The teacher of a recipe.

        Raises:
            InputError: there is none, it does another task, or has other labels.
        """
        folder = model_folder(Path(str(recipe.teacher)))
        opened = Opened.load(folder, device)
        same_answers(opened.task, task, folder)
        if isinstance(opened.model, Headed) and opened.model.config.head.kind == "preference":
            raise InputError("preferences are not distilled", where="distill.teacher", remedy="leave it out")
        return cls(opened, file_digest(folder / WEIGHTS), recipe, seed, store)

    def wrote(self, train: Sequence[Example]) -> list[Example]:
        """Examples of a task of writing, with what the teacher writes; where that is nothing, as they are.

        Raises:
            InputError: the recipe asks for what changes nothing here.
        """
        plain = DistillRecipe()
        for key, value in self.recipe:
            if key != "teacher" and value != getattr(plain, key):
                raise InputError(
                    f"distill.{key} changes nothing where the teacher writes", where=f"distill.{key}",
                    remedy="leave it out",
                )  # fmt: skip

        def make(folder: Path) -> None:
            write_json_atomic(folder / TEXTS, [answer["text"] for answer in self.opened.answers(train)])

        made = self.store.build(STAGE, self._address(train), saved(self.opened.task), make)
        texts = json.loads(made.file(TEXTS).read_text(encoding="utf-8"))
        return [replace(e, wanted=text) if text.strip() else e for e, text in zip(train, texts, strict=True)]

    def taught(
        self, task: HeadTask, train: Sequence[Example], coder: Coder, width: int
    ) -> tuple[list[Example], list[Item]]:
        """Examples with the texts that have no labels behind them, and their items with what the teacher says.

        Args:
            width: of the states that the student's head reads.

        Raises:
            InputError: texts without labels of a task whose answers are no labels; or rows that the teacher's
                tokenizer cuts in other ways.
        """
        model = self.opened.model
        assert isinstance(model, Headed)
        kind = model.config.head.kind
        more = [*self._unlabelled(task), *self._copies(task, train)]
        if more and kind not in LABELS:
            raise InputError(
                f"texts without labels teach nothing of {task.name}", where="distill", remedy="leave them out"
            )
        examples = [*train, *more]
        items, theirs = (list(task.items(examples, one)) for one in (coder, self.opened.coder))
        if len(items) != len(theirs) or (kind in ("tags", "span") and not all(map(_alike, items, theirs))):
            raise InputError(
                "teacher and student cut texts in different ways", where="distill.teacher",
                remedy="give both one tokenizer, and train.row_tokens as the teacher has it",
            )  # fmt: skip
        answers, states = self._asked(examples, theirs)
        reads: list[np.ndarray] | list[None] = [None] * len(items) if states is None else _in_width(states, width)
        made = []
        for item, said, read in zip(items, answers, reads, strict=True):
            own = replace(item, taught=said, states=read)
            made.append(_labelled(own, kind, said) if examples[item.example].wanted is None else own)
        return examples, made

    def _address(self, examples: Sequence[Example]) -> dict[str, str]:
        return {"teacher": self.digest, "texts": fingerprint([dict(e.given) for e in examples])}

    def _asked(
        self, examples: Sequence[Example], items: Sequence[Item]
    ) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """Of each item (N, L) what the teacher's head answers, and where that is asked for (N, D) what it reads."""
        states = self.recipe.hidden > 0

        def make(folder: Path) -> None:
            save_file(_answers(self.opened.model, items, states=states), folder / ANSWERS)

        how = {**saved(self.opened.task), "states": states}
        found = load_file(self.store.build(STAGE, self._address(examples), how, make).file(ANSWERS))
        cuts = np.cumsum(found["rows"])[:-1]
        return np.split(found["taught"], cuts), np.split(found["states"], cuts) if states else None

    def _unlabelled(self, task: HeadTask) -> list[Example]:
        if not self.recipe.unlabelled:
            return []
        rows = source.rows(list(self.recipe.unlabelled))
        return [replace(task.read(row.fields, row.where), wanted=None) for row in rows]

    def _copies(self, task: HeadTask, train: Sequence[Example]) -> list[Example]:
        """Copies with words left out; those that are like their texts are left out themselves."""
        if not self.recipe.copies:
            return []
        name = getattr(task, "text", None)
        if not isinstance(name, str) or not all(isinstance(e.given.get(name), str) for e in train):
            raise InputError(f"texts of {task.name} cannot be altered", where="distill.copies", remedy="leave it out")
        n = len(train)
        batch = documents.batch([e.given[name] for e in train], ["train"] * n, list(map(str, range(n))), [0] * n,
                                [None] * n)  # fmt: skip
        made, _ = augmented(batch, Augmentation(drop=self.recipe.drop, copies=self.recipe.copies, seed=self.seed))
        texts = zip(made.column("origin").to_pylist(), made.column("text").to_pylist(), strict=True)
        found = [(train[int(number)], text) for number, text in texts if text.strip()]
        return [replace(e, given={**e.given, name: text}, wanted=None) for e, text in found if text != e.given[name]]


@torch.inference_mode()
def _answers(model: object, items: Sequence[Item], *, states: bool) -> dict[str, np.ndarray]:
    """What a head answers to all items, their rows on end, how many rows each has, and what the head reads."""
    assert isinstance(model, Headed)
    model.eval()
    device = next(model.parameters()).device
    kinds = model.config.tells_types
    found: dict[str, list[np.ndarray]] = {"taught": [np.empty(0)] * len(items)}
    found |= {"states": [np.empty(0)] * len(items)} if states else {}
    for numbers in by_length(items, ROWS):
        own = [items[i] for i in numbers.tolist()]
        batch = collated(own, kinds=kinds).to(device)
        x = model.read(batch)
        for name, values in {"taught": model.answered(x, batch), "states": x}.items():
            if name not in found:
                continue
            rows = (values[:, None] if values.dim() == 2 else values).float().cpu().numpy()
            for i, row in zip(numbers.tolist(), rows, strict=True):
                found[name][i] = row[: len(items[i].ids)].copy()
    counts = np.array([len(row) for row in found["taught"]])
    return {"rows": counts, **{name: np.concatenate(rows) for name, rows in found.items()}}


def _alike(one: Item, other: Item) -> bool:
    return np.array_equal(one.ids, other.ids)


def _in_width(states: list[np.ndarray], width: int) -> list[np.ndarray]:
    """States in the student's width: of a wider teacher their principal components, of a narrower one with zeros
    behind; either keeps distances as far as the width can."""
    theirs = states[0].shape[1]
    if theirs <= width:
        return [np.pad(own, ((0, 0), (0, width - theirs))) for own in states]
    flat = np.concatenate(states).astype(np.float64)
    _, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    into = vectors[:, ::-1][:, :width].astype(np.float32)
    return [own @ into for own in states]


def _labelled(item: Item, kind: str, said: np.ndarray) -> Item:
    """The item with the teacher's answer for its label."""
    match kind:
        case "class":
            return replace(item, targets=said.argmax(1))
        case "labels":
            return replace(item, targets=(said[0] > 0).astype(np.int64))
        case "value":
            return replace(item, targets=np.zeros(1, np.int64), values=said[0].astype(np.float64))
    assert item.marks is not None
    return replace(item, targets=np.where(item.marks, said.argmax(1), -1))
