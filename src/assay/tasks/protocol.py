"""What a task is.

    rows of files --read--> examples --learn--> the task with its labels --items--> tokens and targets
    what a model says of the items --answer--> one answer an example, as JSON --measure--> metrics with intervals

A task is a frozen dataclass: its fields are its options and what it has learned (its labels), so a trained model keeps
the task as JSON beside its weights and opens it again. To add one, write such a class and `register` it
(docs/tasks.md).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

from assay.errors import InputError
from assay.metrics.scores import Measure
from assay.models.crf import Allowed
from assay.models.heads import HeadConfig
from assay.tasks.coding import Coder, joined

Fields = Mapping[str, Any]
Answer = dict[str, Any]
"""One example's, as JSON: `wanted` is left out, whatever else a task says of it."""


@dataclass(frozen=True)
class Example:
    """What a model is asked, once.

    Attributes:
        given: what it may see.
        wanted: what is right; None: nobody says.
        where: its row, for errors ("file.jsonl:12").
        group: what was drawn by chance together (a document of several questions); its own where that is "".
    """

    given: Mapping[str, Any]
    wanted: Any = None
    where: str = ""
    group: str = ""


@dataclass(frozen=True)
class Item:
    """A row of tokens: an example, or a part of one.

    Attributes:
        example: its number.
        ids: (n,) token ids.
        kinds: (n,) token types; None: all 0.
        targets: what the head is asked for (`models.heads`): (n,) for tags, else (k,); -1 where nobody says.
        marks: (n,) bool, the positions that the head reads.
        values: (k,) numbers asked for.
        taught: (N, L) what another model's head answered, N = n or 1; states: (N, D) what that head read.
        source: (m,) what an encoder-decoder reads; `ids` are then its inputs.
        segments: (n,) of which text each token is, of a row that holds several; None: one.
        places: whatever the task needs to make an answer of what is said.
    """

    example: int
    ids: np.ndarray
    targets: np.ndarray
    kinds: np.ndarray | None = None
    marks: np.ndarray | None = None
    values: np.ndarray | None = None
    source: np.ndarray | None = None
    segments: np.ndarray | None = None
    taught: np.ndarray | None = None
    states: np.ndarray | None = None
    places: Any = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Tokens that a model computes with."""
        return len(self.ids) + (0 if self.source is None else len(self.source))


@dataclass(frozen=True)
class Said:
    """What a model says of an item, as its head answers (`models.heads`), without the batch.

    Attributes:
        values: (L,) logits of a class, labels or numbers, (D,) of a vector, (n, 2) of a span, (W,) numbers of tags.
        likely: (W,) how likely each tag is.
    """

    item: Item
    values: np.ndarray
    likely: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """Every task.

    Attributes:
        name: on the command line.
        version: raised when the same files would give other scores.
        best: name of the score, the higher the better, that decides which weights are kept.
        shown: names of the scores that a terminal shows, those that there are; all are in what is written.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    best: ClassVar[str]
    shown: ClassVar[tuple[str, ...]]

    @abstractmethod
    def read(self, fields: Fields, where: str) -> Example:
        """The example of a row.

        Raises:
            InputError: it lacks a field, or has one that cannot be meant.
        """

    def learn(self, examples: Sequence[Example]) -> Self:
        """The task with what it learns of training examples: its labels.

        Raises:
            InputError: there is nothing to tell apart.
        """
        return self

    @abstractmethod
    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        """How good answers are, to examples that say what is wanted: `metrics.scores` makes intervals of it, and
        `metrics.paired` compares two of them."""

    def unlike(self, example: Example) -> str | None:
        """Why an example with a wanted answer cannot be trained on or scored: a label that training has not; None:
        it can."""
        return None

    def is_right(self, example: Example, answer: Answer) -> bool | None:
        """Whether an answer is right as a whole, for McNemar's test; None: that is no question of this task."""
        return None

    def meant(self, answer: Answer) -> Any:
        """What would be wanted, were an answer right; None where that says nothing of labels. For scores of answers
        that stand in a file."""
        return None

    def floor(self, examples: Sequence[Example]) -> Answering | None:
        """A linear model that learned from training examples, beside which every result stands; None: there is none
        of this task."""
        return None

    def slices(self, example: Example) -> dict[str, str]:
        """Groups that scores are told for apart, besides length and language: a name and what this example is."""
        return {}


@dataclass(frozen=True, kw_only=True)
class HeadTask(Task):
    """A task that a head on a body answers.

    Attributes:
        together: items that belong together, next to one another.
    """

    together: ClassVar[int] = 1

    @property
    @abstractmethod
    def head(self) -> HeadConfig:
        """The head."""

    @property
    def allowed(self) -> Allowed | None:
        """Tags that may follow one another; None: all, or there are none."""
        return None

    @abstractmethod
    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        """Their tokens and targets, in order; several of an example that is too long for one."""

    @abstractmethod
    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        """What a model's words about all items of one example come to."""


Answering = Callable[[Sequence[Example]], list[Answer]]
"""Answers to examples."""
TASKS: dict[str, type[Task]] = {}


def register(task: type[Task]) -> type[Task]:
    """Have a task known by its name."""
    TASKS[task.name] = task
    return task


def options(kind: type[Task]) -> list[str]:
    """Names of a task's options."""
    return [f.name for f in fields(kind) if not f.metadata.get("learned")]


def learned(default: Any) -> Any:
    """A field that training fills in, which is no option."""
    return field(default=default, metadata={"learned": True})


def made(name: str, given: Mapping[str, Any], where: str = "task") -> Task:
    """The task of a name, with these options (or all fields of one that was saved).

    Raises:
        InputError: no task has this name, or it has no such option.
    """
    kind = TASKS.get(name)
    if kind is None:
        remedy = (
            f"give one of {', '.join(sorted(TASKS))}; or the Python file of your own (--task, where a model has it)"
        )
        raise InputError(f"there is no task {name!r}", where=where, remedy=remedy)
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(given) - known):
        own = ", ".join(options(kind)) or "none"
        raise InputError(f"{name} has no option {unknown[0]!r}", where=where, remedy=f"it has: {own}")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(dict(given)), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{key}: {first['msg']}", where=where, remedy=f"change it, or leave it out: {name}") from error


def saved(task: Task) -> dict[str, Any]:
    """A task as JSON: for `made`."""
    return {"task": task.name, "version": task.version, "options": asdict(task)}


def spelled(example: Example) -> list[str]:
    """All texts that an example gives, for a tokenizer to learn from; words of a sentence with their spaces."""
    found = []
    for value in example.given.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
            found.append(joined(value))
        elif isinstance(value, list | tuple):
            found += [one["content"] for one in value if isinstance(one, dict) and "content" in one]
    return found


def text_of(fields: Fields, name: str, where: str) -> str:
    """The text of a field.

    Raises:
        InputError: there is none, or it is no text, or an empty one.
    """
    value = fields.get(name)
    if value is None:
        there = ", ".join(list(fields)[:8]) or "none"
        raise InputError(f"has no field {name!r}", where=where, remedy=f"it has: {there}; say which it is")
    if not isinstance(value, str):
        raise InputError(f"{name} is no text but {type(value).__name__}", where=where, remedy="write it as a string")
    if not value.strip():
        raise InputError(f"{name} is empty", where=where, remedy="take the row out, or skip bad ones")
    return value
