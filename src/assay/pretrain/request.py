"""What a person asked `assay train` for, and the folder in which it happens."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay.corpus.reading.source import ReadOptions, identity_of
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.present.progress import Progress
from assay.recipe.pretrain import PretrainRecipe
from assay.train.world import ALONE, Alone
from assay.workspace import Workspace

RESULT, MODEL = "result.json", "model"


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        out: folder of the run.
        language: of progress.
        command: as typed.
    """

    recipe: PretrainRecipe
    out: Path
    language: str
    command: list[str]

    def identity(self) -> dict[str, Any]:
        """What makes it this run and no other."""
        sources = [identity_of(s) for s in self.recipe.data.sources]
        return {"sources": sources, "recipe": self.recipe.identity()}

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
    def recipe(self) -> PretrainRecipe:
        return self.request.recipe

    def scan(self) -> Corpus:
        """The corpus; what was read before is found."""
        d = self.recipe.data
        corpus = scan(
            list(d.sources),
            replace(ReadOptions.of(d), pair=d.pair),
            SplitOptions(eval_share=d.eval_share, test_share=d.test_share),
            self.space.store,
            self.progress.to,
            without=self.request.out,
            builtins=self.space.recall("builtins"),
        )
        self.space.check(corpus=corpus.fingerprint)
        return corpus

    def chosen(self, corpus: Corpus) -> list[str]:
        """The sources to train on.

        Raises:
            InputError: one is named that there is not, or none has training text.
        """
        wanted = [*(self.recipe.data.only or ()), *(self.recipe.data.weights or ())]
        for name in wanted:
            if name not in corpus.sources:
                there = ", ".join(corpus.sources[:12])
                raise InputError(f"there is no source {name!r}", where="data", remedy=f"there are: {there}")
        own = [s for s in corpus.sources if not wanted or s in wanted]
        found = [s for s in own if corpus.train_bytes(s)]
        if not found:
            raise InputError("no training text", where="data.sources", remedy="give more documents")
        return found

    def finished(self) -> dict[str, Any] | None:
        """The answer of a run that is done."""
        path = self.space.path(RESULT)
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


@contextlib.contextmanager
def opened(request: Request, parallel: Alone = ALONE, *, quiet: bool) -> Iterator[Work]:
    """The run's folder, locked by the first process; the time it takes is remembered however it ends."""
    space = Workspace(request.out, "training")
    if not parallel.is_first:  # the first one holds the lock for all, prepares, and writes
        parallel.barrier()
        with Progress(request.language, quiet=True) as silent:
            yield Work(request, space, silent)
        return
    progress = Progress(request.language, quiet=quiet)
    with space.at_work(request.identity(), shlex.join(request.command), progress):
        parallel.barrier()
        yield Work(request, space, progress)
