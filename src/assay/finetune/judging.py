"""Answers judged: of a model, of a file that somebody else's program wrote, and of two of them against each other.

model, files            -> examples -> answers -> scores            `evaluate`
examples and answers    -> scores                                   `score`
answers, answers        -> differences, with what noise explains    `compare`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import InputError
from assay.finetune import answers
from assay.metrics.paired import Comparison, compare, compare_seeds, corrected
from assay.metrics.scores import Measure, bootstrap
from assay.metrics.significance import mcnemar
from assay.present.progress import Progress
from assay.store import file_digest, fingerprint, write_atomic
from assay.tasks.opened import Opened
from assay.tasks.protocol import Answer, Example, Task, made
from assay.tasks.reading import source
from assay.tasks.reading.rows import Rows, renamed
from assay.train.world import device_of


@dataclass(frozen=True)
class Asked:
    """What examples are read from, and how.

    Attributes:
        on_error: as in `tasks.reading.source.rows`.
        fields: other names of fields.
        rows: examples at a time; the scores do not depend on it.
    """

    sources: Sequence[str]
    format: str | None = None
    on_error: Any = "stop"
    fields: dict[str, str] = field(default_factory=dict)
    rows: int = 32
    device: str = "auto"
    level: float = 0.95


def read(task: Task, asked: Asked, *, known: bool = True) -> tuple[list[Example], dict[str, int], Rows]:
    """Examples, what was left out by reason, and the rows that they are of.

    Args:
        known: refuse what the task's labels do not have.

    Raises:
        InputError: a bad row, or none is left.
    """
    rows = source.rows(list(asked.sources), format=asked.format, on_error=asked.on_error)
    if asked.fields:
        rows = renamed(rows, asked.fields)
    found, left_out = [], dict(rows.skipped)
    for row in rows:
        try:
            example = task.read(row.fields, row.where)
            why = task.unlike(example) if known and example.wanted is not None else None
            if why is not None:
                raise InputError(why, where=example.where, remedy="mend the row, or skip such rows: --on-error skip")
        except InputError as error:
            if asked.on_error == "stop":
                raise
            left_out[error.what] = left_out.get(error.what, 0) + 1
            continue
        found.append(example)
    if not found:
        raise InputError("no example can be used", where=", ".join(asked.sources), remedy="see what was skipped")
    return found, left_out, rows


def evaluate(model: Path, asked: Asked, progress: Progress, out: Path | None = None) -> dict[str, Any]:
    """A model's scores on examples.

    Args:
        out: a file that the answers are written to.

    Raises:
        InputError: no model of a task, no examples that say what is right.
    """
    device = device_of(asked.device, "--device")
    opened = Opened.load(model, device)
    examples, left_out, rows = read(opened.task, asked)
    right = [e for e in examples if e.wanted is not None]
    if not right:
        raise InputError(
            "no example says what is right", where=", ".join(asked.sources),
            remedy="give examples with labels, or ask for answers alone: assay predict",
        )  # fmt: skip
    progress.stage("answer", len(right))
    found = opened.answers(right, asked.rows)
    if out is not None:
        write_atomic(out, answers.written(opened.task, right, found))
    body = _scored(opened.task, right, found, asked.level)
    return {
        "task": opened.task.name, "model": str(model), **body, "left_out": left_out,
        "shown": list(opened.task.shown), "rows": rows.fingerprint, **signed(body, rows.fingerprint, str(model)),
    }  # fmt: skip


def score(task: str, options: dict[str, Any], file: Path, asked: Asked) -> dict[str, Any]:
    """Scores of answers that stand in a file: rows as `assay predict` writes them (`answer`), in the order of the
    examples; of other programs the fields of an answer themselves, such as {"label": "positive"}.

    Raises:
        InputError: other numbers of answers than of examples, or an answer without what its task asks for.
    """
    asked_task = made(task, options)
    examples, left_out, rows = read(asked_task, asked, known=False)
    right = [e for e in examples if e.wanted is not None]
    given = [_answer_of(row.fields) for row in source.rows([str(file)], format="table")]
    if len(given) != len(right):
        raise InputError(
            f"holds {len(given)} answers, and there are {len(right)} examples", where=file,
            remedy="give one answer an example, in their order",
        )  # fmt: skip
    try:
        meant = [replace(e, wanted=asked_task.meant(answer)) for e, answer in zip(right, given, strict=True)]
    except KeyError as error:
        raise _lacking(error, task) from error
    learned = asked_task.learn([*right, *(e for e in meant if e.wanted is not None)])
    body = _scored(learned, right, given, asked.level)
    return {
        "task": task, "model": str(file), **body, "left_out": left_out, "shown": list(asked_task.shown),
        **signed(body, rows.fingerprint, file_digest(file)),
    }  # fmt: skip


def _answer_of(fields: dict[str, Any]) -> Answer:
    found = fields.get("answer")
    return dict(found) if isinstance(found, dict) else dict(fields)


def _scored(task: Task, examples: list[Example], found: Sequence[Answer], level: float) -> dict[str, Any]:
    try:
        measure = task.measure(examples, list(found))
    except KeyError as error:
        raise _lacking(error, task.name) from error
    return {"n": len(examples), "metrics": scored(measure, examples, level)}


def scored(measure: Measure, examples: Sequence[Example], level: float) -> dict[str, Any]:
    """The values of a measure of examples with their intervals, as `--json` has them."""
    return answers.as_json(bootstrap(measure, level=level, groups=answers.groups_of(examples)))


def _lacking(error: KeyError, task: str) -> InputError:
    return InputError(f"an answer lacks {error}", where=f"task {task}", remedy="write answers as `assay predict` does")


def signed(body: dict[str, Any], *parts: str) -> dict[str, Any]:
    """What ends every answer: the version, and a fingerprint of what was found and what it is of."""
    return {"assay_version": __version__, "fingerprint": fingerprint([body, *parts])}


@dataclass(frozen=True)
class System:
    """One side of a comparison: answers of one model, or of several seeds.

    Attributes:
        measures: one a seed.
        answers: of the first.
    """

    name: str
    task: Task
    examples: list[Example]
    measures: list[Measure]
    answers: list[Answer]


def compared(a: Sequence[Path], b: Sequence[Path], *, level: float, paired: bool = False) -> dict[str, Any]:
    """Two systems on the same examples, by every score of their task.

    Args:
        a, b: folders of `assay finetune`, or files of answers; several are seeds.
        paired: the i-th seeds of both share what a seed decides.

    Raises:
        InputError: they answer other examples, or another task.
    """
    one, other = (_system(paths) for paths in (a, b))
    if one.task.name != other.task.name or [e.given for e in one.examples] != [e.given for e in other.examples]:
        raise InputError(
            "the two have not answered the same examples", where=f"{a[0]}, {b[0]}",
            remedy="ask both about one file, with `assay eval MODEL FILE --answers OUT`",
        )  # fmt: skip
    groups = answers.groups_of(one.examples)
    test = None
    if len(one.measures) == len(other.measures) == 1:
        right = [one.task.is_right(e, mine) for e, mine in zip(one.examples, one.answers, strict=True)]
        theirs = [one.task.is_right(e, said) for e, said in zip(one.examples, other.answers, strict=True)]
        test = asdict(mcnemar([bool(x) for x in right], [bool(x) for x in theirs])) if None not in right else None
    if len(one.measures) > 1 or len(other.measures) > 1:
        found = compare_seeds(one.measures, other.measures, paired=paired, level=level, groups=groups)
    else:
        found = compare(one.measures[0], other.measures[0], level=level, groups=groups)
    shown = [name for name in one.task.shown if name in found]
    family = dict(zip(shown, corrected([found[name] for name in shown]), strict=True))
    body = {name: _compared(own) for name, own in (found | family).items()}
    return {
        "task": one.task.name, "a": one.name, "b": other.name, "n": len(one.examples), "shown": shown,
        "comparisons": body, "mcnemar": test, **signed({"n": len(one.examples), "metrics": body}, one.name, other.name),
    }  # fmt: skip


def _compared(one: Comparison) -> dict[str, Any]:
    told = asdict(one)
    del told["name"]
    return told


def _system(paths: Sequence[Path]) -> System:
    read_all = [answers.read(Path(path)) for path in paths]
    task, examples, _ = read_all[0]
    for path, (its, own, _) in zip(paths, read_all, strict=True):
        if its.name != task.name or [e.given for e in own] != [e.given for e in examples]:
            raise InputError("has answered other examples", where=path, remedy="give runs on the same data")
    measures = [task.measure(own, found) for _, own, found in read_all]
    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]}, ... ({len(paths)})"
    return System(name, task, examples, measures, read_all[0][2])
