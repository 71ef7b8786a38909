"""What a person asked `assay finetune` for, and the folder in which it happens."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.present.progress import Progress
from assay.recipe.finetune import FinetuneRecipe
from assay.workspace import Workspace

RESULT, MODEL, ADAPTER = "result.json", "model", "adapter"


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        task: its name.
        out: folder of the run.
        language: of progress.
        command: as typed.
    """

    task: str
    recipe: FinetuneRecipe
    out: Path
    language: str
    command: list[str]

    def identity(self) -> dict[str, Any]:
        """What makes it this run and no other."""
        return {"task": self.task, "recipe": self.recipe.identity()}

    @property
    def title(self) -> str:
        return self.recipe.title or self.out.resolve().name


@dataclass(frozen=True)
class Work:
    """A run in its folder, which is locked."""

    request: Request
    space: Workspace
    progress: Progress

    @property
    def recipe(self) -> FinetuneRecipe:
        return self.request.recipe


@contextlib.contextmanager
def opened(request: Request, *, quiet: bool) -> Iterator[Work]:
    """The run's folder, locked; the time it takes is remembered however it ends."""
    space = Workspace(request.out, "finetuning")
    progress = Progress(request.language, quiet=quiet)
    with space.at_work(request.identity(), shlex.join(request.command), progress):
        yield Work(request, space, progress)
