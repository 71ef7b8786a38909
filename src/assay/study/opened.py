"""A study in its folder, with what does its runs, and the time that it takes."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterator

from assay.present.progress import Progress
from assay.store import Store
from assay.study.request import Request
from assay.train.engines.choice import Kind, choose
from assay.train.fleet import Fleet
from assay.workspace import Workspace

FINISHING_SECONDS = 15.0  # of a time budget, for tokenizer, encoding, claims and page
FINISHING_SHARE = 0.05
LEAST_SEEDS = 3  # that are run however long they take
NOTED_SECONDS = 10.0  # the time taken is written down so often, so that a killed run loses no more of it


class Opened:
    """See the module.

    Attributes:
        chosen: the engine of the fleet, and why it is this one.
        began: by the monotonic clock, of this process's work.
    """

    def __init__(self, request: Request, space: Workspace, progress: Progress) -> None:
        self.request, self.space, self.progress = request, space, progress
        self.recipe = request.recipe
        self.began = self._noted = time.monotonic()
        train = self.recipe.train
        before: Kind | None = None
        if space.settled:  # one that had begun before there were two engines does not say
            before = space.recall("engine") or "processes"
        self.chosen = choose(train.engine, before, request.ray)
        self.fleet = Fleet(
            self.store,
            self.chosen.engine(
                self.store.root, space.work, train.workers, train.members,
                lambda cell: progress.warn("lost", cell=cell),
            ),
        )  # fmt: skip

    @property
    def store(self) -> Store:
        return self.space.store

    @property
    def finishing(self) -> float:
        """Seconds of a time budget that are kept for what is neither reading nor training."""
        return FINISHING_SECONDS + FINISHING_SHARE * (self.request.seconds or 0.0)

    def seconds(self) -> dict[str, float]:
        """What every stage has taken so far, in all runs; written down."""
        return self.space.add_seconds(self.progress.take_seconds())

    def advance(self, tokens: int, *, found: bool = False) -> None:
        """Tell of tokens that the fleet has computed, or found."""
        self.progress.advance(tokens, found=found)
        if time.monotonic() - self._noted > NOTED_SECONDS:
            self.seconds()
            self._noted = time.monotonic()


@contextlib.contextmanager
def opened(request: Request, *, quiet: bool) -> Iterator[Opened]:
    """The study in its folder, which is locked; the time it takes is remembered however it ends."""
    space = Workspace(request.out)
    progress = Progress(request.language, quiet=quiet)
    with space.at_work(request.identity(), shlex.join(request.command), progress):
        yield Opened(request, space, progress)
