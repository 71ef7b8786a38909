"""A model that was trained for a task, in its directory: weights, tokenizer, and the task with its labels.

config.json, model.safetensors, tokenizer.json, ...   a model directory
task.json    {"task": .., "version": .., "options": {..}, "row_tokens": ..}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from assay.errors import InputError
from assay.models import interop
from assay.models.build import Neural
from assay.models.heads import Headed
from assay.models.seq2seq import Seq2Seq
from assay.tasks.asking import ROWS, answered
from assay.tasks.coding import Coder
from assay.tasks.protocol import Answer, Example, HeadTask, Task, made, saved
from assay.tasks.writing import WritingTask
from assay.tokens.tokenizer import Encoder

TASK = "task.json"


@dataclass(frozen=True)
class Opened:
    """A task and a model that does it."""

    task: Task
    model: Neural
    coder: Coder

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Opened:
        """The model of a directory.

        Raises:
            InputError: there is none, or it was trained for no task.
        """
        folder = Path(folder)
        if not (folder / TASK).is_file() and (folder / "model" / TASK).is_file():
            folder = folder / "model"  # the folder of the run
        stated, task = _stated(folder), task_of(folder)
        model = cast(Neural, interop.load(folder))
        if isinstance(task, HeadTask) != isinstance(model, Headed):
            raise InputError("its model does not do its task", where=folder, remedy="give a whole directory")
        start = model.config.start if isinstance(model, Seq2Seq) else None
        coder = Coder.of(Encoder.load(folder), int(stated["row_tokens"]), folder, start)
        return cls(task, model.to(device), coder)

    def answers(self, examples: Sequence[Example], rows: int = ROWS) -> list[Answer]:
        """An answer to each example."""
        if isinstance(self.task, WritingTask):
            return self.task.answers(examples, self.model, self.coder, rows)
        assert isinstance(self.task, HeadTask)
        assert isinstance(self.model, Headed)
        items = list(self.task.items(examples, self.coder))
        return answered(self.task, self.model, examples, items, rows=rows).answers


def task_of(folder: Path) -> Task:
    """The task of a directory.

    Raises:
        InputError: its model was trained for none.
    """
    stated = _stated(folder)
    return made(str(stated.get("task")), stated.get("options") or {}, str(folder / TASK))


def same_answers(theirs: Task, own: Task, where: str | Path) -> None:
    """See that a model's answers mean the same in another task.

    Raises:
        InputError: it is another task, or has other labels.
    """
    if theirs.name != own.name:
        raise InputError(
            f"does {theirs.name}, and what is asked for is {own.name}", where=where, remedy="give a model of this task"
        )
    for name in ("labels", "types"):
        known, asked = (list(getattr(one, name, ())) for one in (theirs, own))
        if known != asked:
            raise InputError(
                f"has the {name} {', '.join(known)}, and the examples have {', '.join(asked)}", where=where,
                remedy="give a model that was trained on such examples",
            )  # fmt: skip


def task_json(task: Task, coder: Coder) -> dict[str, Any]:
    """The content of TASK."""
    return {**saved(task), "row_tokens": coder.most}


def _stated(folder: Path) -> dict[str, Any]:
    remedy = "give a directory that `assay finetune` has written"
    try:
        found: dict[str, Any] = json.loads((folder / TASK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"holds no model of a task: it has no {TASK}", where=folder, remedy=remedy) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", where=folder / TASK, remedy=remedy) from error
    return found
