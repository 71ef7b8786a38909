"""Answers on disk: a line an example, as JSON.

    {"where": .., "given": {..}, "wanted": .., "group": .., "answer": {..}, "nll": ..}

The first line names the task besides, as task.json does: so a file of answers can be scored and compared by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.metrics.scores import Score
from assay.store import canonical_json
from assay.tasks.protocol import Answer, Example, Task, made, saved


def written(task: Task, examples: Sequence[Example], answers: Sequence[Answer], nll: Sequence[float] = ()) -> str:
    """The content of the file.

    Args:
        nll: of each example, in nats; empty: nobody knows it.
    """
    lines = []
    for i, (example, answer) in enumerate(zip(examples, answers, strict=True)):
        line = {**asdict(example), "answer": answer}
        line |= {"nll": float(nll[i])} if len(nll) else {}
        lines.append(canonical_json(line | ({"task": saved(task)} if i == 0 else {})) + "\n")
    return "".join(lines)


@dataclass(frozen=True)
class Read:
    """Answers with the examples that say what is right.

    Attributes:
        file: that they stand in.
        nll: of each example, in nats; None where the file does not say of all.
    """

    file: Path
    task: Task
    examples: list[Example]
    answers: list[Answer]
    nll: list[float] | None


def read(path: Path) -> tuple[Task, list[Example], list[Answer]]:
    """A task, the examples that say what is right, and the answers to them: see `read_whole`."""
    whole = read_whole(path)
    return whole.task, whole.examples, whole.answers


def read_whole(path: Path, part: str | None = None) -> Read:
    """The answers of a file.

    Args:
        path: a file of answers, or a folder of `assay finetune`.
        part: of a folder, "dev" or "test"; None: test, else dev.

    Raises:
        InputError: it holds none.
    """
    file = path
    if path.is_dir():
        names = [path / f"answers.{name}.jsonl" for name in (("test", "dev") if part is None else (part,))]
        file = next((name for name in names if name.is_file()), names[0])
    remedy = "give a folder of `assay finetune`, or a file that `assay eval --answers` wrote"
    if not file.is_file():
        raise InputError("holds no answers", where=file if part else path, remedy=remedy)
    task: Task | None = None
    kept: list[tuple[Example, Answer, float | None]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if not line:
            continue
        try:
            row = json.loads(line)
            task = task or made(row["task"]["task"], row["task"]["options"], str(file))
            example = Example(row["given"], row["wanted"], row["where"], row["group"])
            answer: Answer = row["answer"]
            loss: float | None = row.get("nll")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("is no line of answers", where=f"{file}:{number}", remedy=remedy) from error
        if example.wanted is not None:
            kept.append((example, answer, loss))
    if task is None or not kept:
        raise InputError("holds no answers to examples that say what is right", where=file, remedy=remedy)
    nll = [loss for _, _, loss in kept if loss is not None]
    examples, answers = [example for example, _, _ in kept], [answer for _, answer, _ in kept]
    return Read(file, task, examples, answers, nll if len(nll) == len(kept) else None)


def groups_of(examples: Sequence[Example]) -> list[str] | None:
    """What is drawn together; None where every example is by itself."""
    return [e.group or e.where for e in examples] if any(e.group for e in examples) else None


def as_json(scores: dict[str, Score]) -> dict[str, Any]:
    """Scores as `--json` has them."""
    told = {}
    for name, score in scores.items():
        own = asdict(score)
        del own["name"]
        told[name] = own
    return told
