"""Files -> examples of train, dev and test.

train, dev, test named each        as they are
a folder, or one data set's name   parts by the names of its files
no dev                             a share of the training texts, by a hash of what they say: equal texts never
                                   straddle
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from assay.errors import InputError
from assay.recipe.finetune import ExamplesRecipe
from assay.store import fingerprint
from assay.tasks.protocol import Example, Task
from assay.tasks.reading import cutting, source
from assay.tasks.reading.rows import Row, Rows, renamed

PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Examples:
    """What is trained on, and what is judged.

    Attributes:
        task: with its labels.
        parts: examples by name: train and dev always, test where there is one.
        left_out: examples that are not used, by reason.
        cut: dev is a share of train.
    """

    task: Task
    parts: dict[str, list[Example]]
    left_out: dict[str, int]
    fingerprint: str
    cut: bool


@dataclass(frozen=True)
class Parts:
    """Rows that are examples, by part: `Examples` before a task has learned its labels from them.

    Attributes:
        rows: train and dev always, test where there is one.
        left_out: rows that are not used, by reason.
        cut: dev is a share of train.
    """

    rows: dict[str, Rows]
    left_out: Counter[str]
    cut: bool


def parts_of(task: Task, recipe: ExamplesRecipe, seed: int) -> Parts:
    """Read all parts.

    Raises:
        InputError: nothing to train on, or a bad row (or none is left).
    """
    parts, cut = read_parts(recipe), False
    if "train" not in parts:
        raise InputError("no examples to train on", where="data.train", remedy="name files, or a folder with them")
    left_out = Counter[str]()
    for rows in parts.values():
        left_out.update(rows.skipped)
    for name, rows in parts.items():
        parts[name] = rows.of(_readable(task, rows, recipe, left_out, unknown=name == "test"))
        if name != "test" and not len(parts[name]):
            raise InputError(f"no example of {name} can be used", where=f"data.{name}", remedy="see what was skipped")
    if "dev" not in parts:
        parts["train"], parts["dev"] = cutting.cut(parts["train"], recipe.dev_share, seed)
        cut = True
    if recipe.limit is not None and recipe.limit < len(parts["train"]):
        _, parts["train"] = cutting.cut(parts["train"], recipe.limit / len(parts["train"]), seed)
    return Parts(parts, left_out, cut)


def examples(task: Task, recipe: ExamplesRecipe, seed: int) -> Examples:
    """Read all parts.

    Raises:
        InputError: as `parts_of`; or a label of dev or test that train has not.
    """
    made = parts_of(task, recipe, seed)
    parts, left_out = made.rows, made.left_out
    found = {name: [task.read(row.fields, row.where) for row in rows] for name, rows in parts.items()}
    learned = task.learn(found["train"])
    for name in ("dev", "test"):
        found[name] = _known(learned, found.get(name, []), recipe, left_out)
    if not found["test"]:
        del found["test"]
    read = fingerprint({name: rows.fingerprint for name, rows in parts.items()} | {"limit": recipe.limit})
    return Examples(learned, found, dict(left_out), read, made.cut)


def read_parts(recipe: ExamplesRecipe) -> dict[str, Rows]:
    """The rows of each part that there is, by their new names of fields."""
    how: dict[str, Any] = {"format": recipe.format, "on_error": recipe.on_error, "column": recipe.column}
    if recipe.train and not recipe.dev and not recipe.test:
        named = recipe.train[0] if len(recipe.train) == 1 else list(recipe.train)
        parts = _declared(named, how)
    else:
        parts = {name: source.rows(list(getattr(recipe, name)), **how) for name in PARTS if getattr(recipe, name)}
    return {name: renamed(rows, recipe.fields) if recipe.fields else rows for name, rows in parts.items()}


def _declared(named: str | list[str], how: dict[str, Any]) -> dict[str, Rows]:
    """Parts by the names of files or a field of rows; all of it is train where nothing declares any."""
    try:
        parts = dict(cutting.splits(named, **how).parts)
    except InputError as error:
        if "declares a split" not in error.what:
            raise
        return {"train": source.rows(named, **how)}
    if "train" not in parts and len(parts) == 1:
        raise InputError(
            f"holds {next(iter(parts))} alone, by its name", where=str(named), remedy="name it as data.train"
        )
    return parts


def _readable(
    task: Task, rows: Iterable[Row], recipe: ExamplesRecipe, left_out: Counter[str], *, unknown: bool
) -> list[Row]:
    """Rows that are examples; only those that say what is wanted, unless it may be unknown."""
    found = []
    for row in rows:
        try:
            example = task.read(row.fields, row.where)
            if example.wanted is None and not unknown:
                remedy = "give it, or skip such rows with data.on_error=skip"
                raise InputError("does not say what is right", where=row.where, remedy=remedy)
        except InputError as error:
            if recipe.on_error == "stop":
                raise
            left_out[error.what] += 1
            continue
        found.append(row)
    return found


def _known(task: Task, found: list[Example], recipe: ExamplesRecipe, left_out: Counter[str]) -> list[Example]:
    """Examples whose wanted answers a model that learned from train can give."""
    kept = []
    for example in found:
        why = None if example.wanted is None else task.unlike(example)
        if why is None:
            kept.append(example)
        elif recipe.on_error == "stop":
            raise InputError(why, where=example.where, remedy="mend the row, or skip such rows: data.on_error=skip")
        else:
            left_out[why] += 1
    return kept
