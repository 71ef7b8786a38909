"""Workers on this machine: a process each, one a core.

The parent holds one pipe to each worker and hands out tasks. A worker that dies closes its pipe and is noticed; a
parent that stops or dies closes them all, and its workers save what they have and stop.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from assay.errors import WorkError
from assay.machine import ctrl_c_later, die_with_parent
from assay.train.engines import Task, name_of, one_by_one
from assay.train.job import Job, OnTokens

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # read when a library is loaded
SAVING_SECONDS = 5.0  # that busy workers have to save their state when a fleet ends early


@dataclass
class _Hand:
    """A worker as its parent sees it."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None


class LocalEngine:
    """Processes that do tasks.

    Args:
        root: of the store.
        work: folder for states of unfinished jobs.
        size: number of processes.
    """

    def __init__(self, root: Path, work: Path, size: int) -> None:
        self.root, self.work, self.size = root, work, size
        self.hands: list[_Hand] = []
        self._context = multiprocessing.get_context("spawn")

    def open(self) -> None:
        """They come up with the first work."""

    def groups(self, jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
        return one_by_one(jobs)

    def start(self) -> None:
        self._start(self.size)

    def close(self) -> None:
        """End all workers: idle ones at once; busy ones see a closed pipe, and have a moment to save their state."""
        for hand in self.hands:
            hand.pipe.close()
            if hand.task is None or hand.task[0] == "probe":  # there is nothing to save
                hand.process.kill()
        end = time.monotonic() + SAVING_SECONDS
        for hand in self.hands:
            hand.process.join(timeout=max(0.0, end - time.monotonic()))
            hand.process.kill()
            hand.process.join()
        self.hands.clear()

    def each(self, tasks: Sequence[Task], report: OnTokens) -> Iterator[Any]:
        waiting = deque(tasks)
        self._start(min(self.size, len(waiting)))
        for hand in self.hands:
            if waiting:
                _hand_out(hand, waiting.popleft())
        while busy := {hand.pipe: hand for hand in self.hands if hand.task is not None}:
            for pipe in wait(list(busy)):
                hand = busy[pipe]  # type: ignore[index]
                kind, content = _receive(hand)
                if kind == "tokens":
                    tokens, found = content
                    report(tokens, found=found)
                    continue
                hand.task = None
                if waiting:
                    _hand_out(hand, waiting.popleft())
                yield content

    def _start(self, wanted: int) -> None:
        """Start workers up to the wanted number; the environment is theirs alone, and what Ctrl-C means is decided
        by this process alone."""
        before = {key: os.environ.get(key) for key in ENVIRONMENT}
        os.environ.update(ENVIRONMENT)
        try:
            with ctrl_c_later():
                self._start_processes(wanted)
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def _start_processes(self, wanted: int) -> None:
        while len(self.hands) < wanted:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_live, args=(theirs, str(self.root), str(self.work)), daemon=True)
            process.start()
            theirs.close()
            self.hands.append(_Hand(process, ours))


def _hand_out(hand: _Hand, task: Task) -> None:
    hand.task = task
    with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed on receiving
        hand.pipe.send(task)


def _receive(hand: _Hand) -> tuple[str, Any]:
    where = name_of(hand.task or ("probe", None))
    try:
        kind, content = hand.pipe.recv()
    except (EOFError, ConnectionResetError):
        hand.process.join(timeout=5)
        raise WorkError(
            f"a worker died (exit code {hand.process.exitcode})",
            where=where,
            remedy="most often memory ran out: try --set train.workers=1; a rerun goes on from here",
        ) from None
    if kind == "error":
        what, place, remedy = content
        raise WorkError(what, where=place or where, remedy=remedy)
    return kind, content


def _live(pipe: Connection, root: str, work: str) -> None:
    """A worker's life."""
    die_with_parent()
    from assay.train.engines.worker import Worker
    from assay.train.job import JobStopped

    worker = Worker(root, work)

    def on_tokens(tokens: int, *, found: bool = False) -> None:
        try:
            pipe.send(("tokens", (tokens, found)))
        except OSError:  # the parent is winding down, or gone
            raise JobStopped from None

    def say(kind: str, content: Any) -> None:
        pipe.send((kind, content))

    with contextlib.suppress(EOFError, ConnectionError, JobStopped):
        while worker.do(pipe.recv(), say, on_tokens):
            pass
