"""`assay predict`: texts and a model of a task -> answers, as JSON lines or as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.finetune.judging import Asked
from assay.present.progress import Progress
from assay.report.answers import page
from assay.store import canonical_json, whole_file, write_atomic
from assay.tasks.opened import Opened
from assay.tasks.pipeline import Pipeline
from assay.tasks.protocol import Example
from assay.tasks.reading import source
from assay.tasks.reading.rows import renamed
from assay.train.world import device_of

AT_ONCE = 2048  # examples that are asked about together, so that those of one length are


@dataclass(frozen=True)
class Predicted:
    """What was asked and answered.

    Attributes:
        left_out: rows that could not be asked about, by reason.
    """

    task: str
    model: str
    rows: list[dict[str, Any]]
    left_out: dict[str, int]


def predict(model: Path, texts: Sequence[str], asked: Asked, progress: Progress) -> Predicted:
    """Answers to texts that were typed, then to the rows of files, in their order.

    Raises:
        InputError: no model of a task, nothing to ask, or a bad row.
    """
    opened = Opened.load(model, device_of(asked.device, "--device"))
    left_out: dict[str, int] = {}
    examples = list(_examples(opened, texts, asked, left_out))
    if not examples:
        raise InputError("nothing to answer", where="assay predict", remedy="name files, or give --text")
    progress.stage("answer", len(examples))
    rows: list[dict[str, Any]] = []
    for begin in range(0, len(examples), AT_ONCE):
        some = examples[begin : begin + AT_ONCE]
        for example, answer in zip(some, opened.answers(some, asked.rows), strict=True):
            rows.append({"where": example.where, **dict(example.given), "answer": answer})
        progress.advance(len(some))
    return Predicted(opened.task.name, str(model), rows, left_out)


def _examples(opened: Opened, texts: Sequence[str], asked: Asked, left_out: dict[str, int]) -> Iterator[Example]:
    pipe = Pipeline(opened)
    yield from pipe.examples(texts)
    if not asked.sources:
        return
    rows = source.rows(list(asked.sources), format=asked.format, on_error=asked.on_error)
    left_out |= rows.skipped
    for row in renamed(rows, asked.fields) if asked.fields else rows:
        try:
            yield opened.task.read(row.fields, row.where)
        except InputError as error:
            if asked.on_error == "stop":
                raise
            left_out[error.what] = left_out.get(error.what, 0) + 1


def write(found: Predicted, out: Path, language: str) -> None:
    """Answers as JSON lines, or as a page where the file ends in .html; whole or not at all."""
    if out.suffix == ".html":
        write_atomic(out, page(found.task, found.rows, found.model, language))
        return
    with whole_file(out) as path, path.open("w", encoding="utf-8") as file:
        for row in found.rows:
            file.write(canonical_json(row) + "\n")
