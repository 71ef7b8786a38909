"""Training rows of a cell: fewer of them, some with wrong labels, a class that is rarer, altered copies beside them.

Everything goes by a hash of what rows say and a seed, so that it does not depend on the order of files: the examples of
a size are among those of every larger one, and what is wrong at a dose is wrong alike at every larger one. Nothing of
dev or test is ever touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import xxhash

from assay.corpus import documents
from assay.corpus.altering.augment import Augmentation, augmented
from assay.errors import InputError
from assay.metrics.tagging import spans
from assay.tasks.protocol import Example, Task
from assay.tasks.reading import cutting
from assay.tasks.reading.rows import Row, canonical

Nature = Literal["classes", "entities", "tags", "values"]
AUGMENTED = Augmentation(drop=0.1, swap=0.1)  # one copy; Wei and Zou (2019) alter a tenth of the words, too


@dataclass(frozen=True)
class Training:
    """Rows of train in the order in which sizes take them, and what each is for the task.

    Attributes:
        task: that has learned from all of them.
        keys: (n,) hashes of what rows say and the seed.
    """

    task: Task
    rows: list[Row]
    examples: list[Example]
    keys: np.ndarray
    seed: int

    @classmethod
    def of(cls, task: Task, rows: Sequence[Row], seed: int) -> Training:
        """In an order that the seed and what rows say decide; equal texts by all that their rows hold."""
        salt = f"labels {seed}".encode()
        keys = [xxhash.xxh3_64_intdigest(salt + cutting.content(row)) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: (keys[i], canonical(rows[i].fields)))
        own = [rows[i] for i in order]
        examples = [task.read(row.fields, row.where) for row in own]
        return cls(task.learn(examples), own, examples, np.array([keys[i] for i in order], dtype=np.uint64), seed)

    def __len__(self) -> int:
        return len(self.rows)

    def rng(self, *about: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *about])


@dataclass(frozen=True)
class Planted:
    """Rows of a cell, and what was done to which.

    Attributes:
        notes: {where, from, to} of every label that was replaced, {where} of every row taken away or added.
    """

    rows: list[Row]
    notes: list[dict[str, Any]] = field(default_factory=list)


# Sizes


def covering(training: Training, least: int) -> Training:
    """The same rows, so ordered that the first `least` have every label: in front of the others stands the first row
    with each label that they would lack.

    Raises:
        InputError: so few examples cannot have them all.
    """
    wanted, front = training, 0
    while True:
        order = list(range(len(wanted)))
        try:
            learned = training.task.learn(wanted.examples[:least])
            new = next((i for i in order[least:] if learned.unlike(wanted.examples[i]) is not None), None)
        except InputError:  # all have one label
            first = wanted.examples[0].wanted
            new = next((i for i in order[least:] if wanted.examples[i].wanted != first), None)
        if new is None:
            return wanted
        front += 1
        if front > least // 2:
            raise InputError(f"{least} examples cannot hold every label", where="--sizes", remedy="ask for fewer sizes")
        order.insert(0, order.pop(new))
        wanted = replace(
            wanted, rows=[wanted.rows[i] for i in order], examples=[wanted.examples[i] for i in order],
            keys=wanted.keys[order],
        )  # fmt: skip


def subset(training: Training, n: int) -> Planted:
    """The first n rows."""
    return Planted(training.rows[:n])


# Wrong labels


def nature(task: Task, examples: Sequence[Example]) -> Nature | None:
    """What can be wrong about labels of a task; None: nothing that this room knows."""
    if isinstance(getattr(task, "tags", None), str):
        kind = getattr(task, "kind", None)
        return {"spans": "entities", "labels": "tags"}.get(kind or "")  # type: ignore[return-value]
    if not isinstance(getattr(task, "target", None), str):
        return None
    return "classes" if has_classes(task, examples) else "values"


def has_classes(task: Task, examples: Sequence[Example]) -> bool:
    """Whether an example has one label out of several."""
    labels = getattr(task, "labels", None)
    return isinstance(labels, tuple) and all(isinstance(e.wanted, str) and e.wanted in labels for e in examples)


def noisy(training: Training, dose: float) -> Planted:
    """A share of the labels replaced, exactly: classes, tags and types of whole entities by another one drawn at
    random, each as likely; numbers and whatever else is wanted shuffled among the rows that are chosen.

    Raises:
        InputError: labels of this task cannot be made wrong, or there is no other one.
    """
    kind = nature(training.task, training.examples)
    if kind is None:
        raise InputError(
            f"labels of {training.task.name} cannot be made wrong", where="--noise", remedy='leave it out: --noise ""'
        )
    if kind in ("entities", "tags"):
        return _noisy_tags(training, dose, whole=kind == "entities")
    chosen = _chosen([e.wanted if kind == "classes" else None for e in training.examples], dose, training.rng(1))
    name = str(training.task.target)  # type: ignore[attr-defined]
    rows, notes = list(training.rows), []
    others = _other_classes(training) if kind == "classes" else _shuffled(training, chosen, name)
    for i in chosen:
        row = rows[i]
        rows[i] = Row({**row.fields, name: others[i]}, row.where)
        notes.append({"where": row.where, "from": row.fields.get(name), "to": others[i]})
    return Planted(rows, notes)


def _chosen(kinds: Sequence[Any], dose: float, rng: np.random.Generator) -> list[int]:
    """Which of them are wrong: more at a larger dose, those of a smaller one among them; the first of each kind last
    of all, so that no label goes missing."""
    first = {kind: i for i, kind in reversed(list(enumerate(kinds))) if kind is not None}
    order = rng.permutation(len(kinds)).tolist()
    kept = set(first.values())
    order = [i for i in order if i not in kept] + [i for i in order if i in kept]
    return sorted(order[: round(dose * len(kinds))])


def _other_classes(training: Training) -> list[Any]:
    """Of every row another class, as files write it."""
    name = str(training.task.target)  # type: ignore[attr-defined]
    spelt: dict[str, Any] = {}
    for row, example in zip(training.rows, training.examples, strict=True):
        spelt.setdefault(example.wanted, row.fields[name])
    labels = sorted(spelt)
    steps = training.rng(2).integers(1, len(labels), size=len(training))
    number = {label: i for i, label in enumerate(labels)}
    return [
        spelt[labels[(number[e.wanted] + int(step)) % len(labels)]]
        for e, step in zip(training.examples, steps, strict=True)
    ]


def _shuffled(training: Training, chosen: list[int], name: str) -> dict[int, Any]:
    """Of every chosen row what another one has: around in a circle, in an order drawn at random."""
    order = [chosen[i] for i in training.rng(2).permutation(len(chosen))]
    return {i: training.rows[j].fields.get(name) for i, j in zip(order, order[1:] + order[:1], strict=True)}


def _noisy_tags(training: Training, dose: float, *, whole: bool) -> Planted:
    task = training.task
    name = str(task.tags)  # type: ignore[attr-defined]
    read = [_marked(e.wanted) if whole else [(t, i, i + 1) for i, t in enumerate(e.wanted)] for e in training.examples]
    kinds = sorted({kind for own in read for kind, _, _ in own})
    if len(kinds) < 2:
        raise InputError(f"all are {kinds[0] if kinds else 'O'!r}, and wrong ones would be of another type",
                         where="--noise", remedy='leave it out: --noise ""')  # fmt: skip
    places = [(i, k) for i, own in enumerate(read) for k in range(len(own))]
    steps = training.rng(2).integers(1, len(kinds), size=len(places))
    rows, notes = list(training.rows), []
    changed: dict[int, dict[int, str]] = {}
    for at in _chosen([read[i][k][0] for i, k in places], dose, training.rng(1)):
        i, k = places[at]
        changed.setdefault(i, {})[k] = kinds[(kinds.index(read[i][k][0]) + int(steps[at])) % len(kinds)]
    for i, own in sorted(changed.items()):
        row, now = rows[i], [(own.get(k, kind), begin, end) for k, (kind, begin, end) in enumerate(read[i])]
        if "spans" in row.fields and name not in row.fields:
            fields = {**row.fields, "spans": _respelt(training.examples[i], now)}
        else:
            fields = {**row.fields, name: _tags(len(training.examples[i].wanted), now, whole=whole)}
        rows[i] = Row(fields, row.where)
        notes += [{"where": row.where, "at": list(read[i][k][1:]), "from": read[i][k][0], "to": to}
                  for k, to in sorted(own.items())]  # fmt: skip
    return Planted(rows, notes)


def _marked(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    return [(kind, begin, end) for kind, begin, end in spans(tags)]


def _tags(n: int, now: Sequence[tuple[str, int, int]], *, whole: bool) -> list[str]:
    """Tags of entities in BIO, or of tokens as they are."""
    made = ["O"] * n
    for kind, begin, end in now:
        made[begin:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - begin - 1) if whole else [kind]
    return made


def _respelt(example: Example, now: Sequence[tuple[str, int, int]]) -> list[list[Any]]:
    """Entities as characters of the text."""
    begins, tokens = example.given["begins"], example.given["tokens"]
    return [[begins[b], begins[e - 1] + len(tokens[e - 1]), kind] for kind, b, e in now]


# A rarer class


def rarest(training: Training) -> str:
    """The class with the fewest examples, the first of several."""
    counts = {label: 0 for label in training.task.labels}  # type: ignore[attr-defined]
    for example in training.examples:
        counts[example.wanted] += 1
    return min(counts, key=lambda label: counts[label])


def rarer(training: Training, share: float) -> Planted:
    """A share of the examples of the rarest class taken away; one stays at least."""
    label = rarest(training)
    own = [i for i, e in enumerate(training.examples) if e.wanted == label]
    n = min(len(own) - 1, round(share * len(own)))
    gone = set(own[len(own) - n :])  # the last ones, so that what every size has stays
    notes = [{"where": training.rows[i].where, "from": label} for i in sorted(gone)]
    return Planted([row for i, row in enumerate(training.rows) if i not in gone], notes)


# Altered copies


def can_be_altered(task: Task) -> bool:
    """Whether words of a text can be dropped and swapped, and what is wanted stays as right as it was."""
    return isinstance(getattr(task, "text", None), str) and task.name in ("classification", "multilabel", "regression")


def with_copies(training: Training) -> Planted:
    """Every row with a copy behind it whose words are dropped and swapped (`AUGMENTED`); copies that would be like
    their rows are left out.

    Raises:
        InputError: the task's texts cannot be altered.
    """
    if not can_be_altered(training.task):
        raise InputError(f"texts of {training.task.name} cannot be altered", where="--augment", remedy="leave it out")
    names = [str(training.task.text), getattr(training.task, "second", None)]  # type: ignore[attr-defined]
    copies = [dict(row.fields) for row in training.rows]
    for name in filter(None, names):
        for copy, text in zip(
            copies, _altered([row.fields[name] for row in training.rows], training.seed), strict=True
        ):
            copy[name] = text
    rows, notes = [], []
    for row, copy in zip(training.rows, copies, strict=True):
        rows.append(row)
        if copy != row.fields:
            rows.append(Row(copy, row.where))
            notes.append({"where": row.where})
    return Planted(rows, notes)


def _altered(texts: Sequence[str], seed: int) -> list[str]:
    """Each text altered, or as it is where nothing was hit."""
    n = len(texts)
    batch = documents.batch(texts, ["labels"] * n, [str(i) for i in range(n)], [0] * n, [None] * n)
    made, _ = augmented(batch, replace(AUGMENTED, seed=seed))
    found = list(texts)
    for origin, text in zip(made.column("origin").to_pylist(), made.column("text").to_pylist(), strict=True):
        found[int(origin)] = text  # the copy stands behind its document
    return found
