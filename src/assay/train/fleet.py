"""A fleet: many jobs at once, one single-threaded worker a core.

The parent holds one pipe to each worker and hands out jobs, longest first. A worker that dies closes its pipe and is
noticed; a parent that stops or dies closes them all, and its workers save what they have and stop. Results do not
depend on which worker did a job, nor on how many there are: a job is a function of its spec and the artifacts that it
reads.

    with Fleet(store, work, workers) as fleet:
        speed = fleet.probe(probe)                    # all workers at once, as they will train
        parts = fleet.run(inputs, jobs, on_tokens)    # ledger artifacts, in the order of `jobs`
        more = fleet.run(inputs, other_jobs, ...)     # the same workers
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from assay import ledger
from assay.errors import AssayError, Stopped, WorkError
from assay.machine import ctrl_c_later, die_with_parent
from assay.store import Artifact, Store, canonical_json
from assay.train.job import Job, JobInputs, OnTokens
from assay.train.probe import Probe

WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # read when a library is loaded
SAVING_SECONDS = 5.0  # that busy workers have to save their state when a fleet ends early

_Task = tuple[str, Any]


def _silent(tokens: int, *, found: bool = False) -> None:
    """Where nobody wants to be told."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: _Task | None = None


class Fleet:
    """Workers that train jobs.

    Args:
        store: where finished jobs go (`ledger/`).
        work: folder for states of unfinished jobs.
        workers: number of processes.
    """

    def __init__(self, store: Store, work: Path, workers: int) -> None:
        self.store, self.work, self.n_workers = store, work, workers
        self._workers: list[_Worker] = []
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers: idle ones at once; busy ones see a closed pipe, and have a moment to save their state."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.task is None or worker.task[0] == "probe":  # there is nothing to save
                worker.process.kill()
        end = time.monotonic() + SAVING_SECONDS
        for worker in self._workers:
            worker.process.join(timeout=max(0.0, end - time.monotonic()))
            worker.process.kill()
            worker.process.join()
        self._workers.clear()

    def start(self) -> None:
        """Start all workers now (they take seconds to come up) instead of with the first work."""
        self._start(self.n_workers)

    def probe(self, probe: Probe) -> list[float]:
        """Tokens per second of a training step in each worker, all at once."""
        self._start(self.n_workers)
        speeds: list[float] = []
        self._serve([(worker, ("probe", probe)) for worker in self._workers], lambda _, speed: speeds.append(speed))
        return speeds

    def run(self, inputs: JobInputs, jobs: Sequence[Job], on_tokens: OnTokens | None = None) -> list[Artifact]:
        """Do all jobs that are not done yet.

        Args:
            inputs: what all of them read.
            on_tokens: called with the number of training tokens computed, or found done, since the last call.

        Raises:
            Stopped: the person pressed Ctrl-C; unfinished jobs were saved.
            WorkError: a worker died or failed.
        """
        report = on_tokens or _silent
        fingerprints = inputs.fingerprints()
        waiting = []
        for job in jobs:
            if self.store.find(ledger.JOB, fingerprints, job.config()):
                report(job.tokens, found=True)
            else:
                waiting.append(job)
        waiting.sort(key=lambda job: job.tokens)

        def next_task() -> _Task | None:
            return ("job", (inputs, waiting.pop())) if waiting else None

        def on_done(worker: _Worker, _: Any) -> None:
            if task := next_task():
                self._hand_out(worker, task)

        self._start(min(self.n_workers, len(waiting)))
        first = [(worker, task) for worker in self._workers if (task := next_task())]
        self._serve(first, on_done, report)
        return [self._found(fingerprints, job) for job in jobs]

    def _found(self, fingerprints: Mapping[str, str], job: Job) -> Artifact:
        part = self.store.find(ledger.JOB, fingerprints, job.config())
        if part is None:
            raise WorkError("a finished run is missing or damaged", where=job.cell, remedy="run the same command again")
        return part

    def _serve(
        self,
        first: Sequence[tuple[_Worker, _Task]],
        on_done: Callable[[_Worker, Any], None],
        report: OnTokens = _silent,
    ) -> None:
        """Hand out the first tasks and listen until no worker is busy."""
        try:
            for worker, task in first:
                self._hand_out(worker, task)
            while busy := {worker.pipe: worker for worker in self._workers if worker.task is not None}:
                for pipe in wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]
                    kind, content = self._receive(worker)
                    if kind == "tokens":
                        tokens, found = content
                        report(tokens, found=found)
                    else:
                        worker.task = None
                        on_done(worker, content)
        except KeyboardInterrupt:
            raise Stopped("stopped", remedy="run the same command again to go on from here") from None

    def _hand_out(self, worker: _Worker, task: _Task) -> None:
        worker.task = task
        with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed on receiving
            worker.pipe.send(task)

    def _receive(self, worker: _Worker) -> tuple[str, Any]:
        where = worker.task[1][1].cell if worker.task and worker.task[0] == "job" else "probe"
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join(timeout=5)
            raise WorkError(
                f"a worker died (exit code {worker.process.exitcode})",
                where=where,
                remedy="most often memory ran out: try --set train.workers=1; a rerun goes on from here",
            ) from None
        if kind == "error":
            what, place, remedy = content
            raise WorkError(what, where=place or where, remedy=remedy)
        return kind, content

    def _start(self, wanted: int) -> None:
        """Start workers up to the wanted number; the environment is theirs alone, and what Ctrl-C means is decided
        by this process alone."""
        before = {key: os.environ.get(key) for key in WORKER_ENVIRONMENT}
        os.environ.update(WORKER_ENVIRONMENT)
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
        while len(self._workers) < wanted:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_work,
                args=(theirs, str(self.store.root), str(self.work)),
                daemon=True,
            )
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))


def _work(pipe: Connection, root: str, work: str) -> None:
    """A worker's life."""
    die_with_parent()
    import torch

    from assay.train.job import JobData, JobStopped, run_job
    from assay.train.probe import tokens_per_second
    from assay.train.process import keep_freed_memory

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    opened: dict[str, JobData] = {}
    store = Store(Path(root))

    def on_tokens(tokens: int, *, found: bool = False) -> None:
        try:
            pipe.send(("tokens", (tokens, found)))
        except OSError:  # the parent is winding down, or gone
            raise JobStopped from None

    while True:
        try:
            kind, content = pipe.recv()
            if kind == "probe":
                pipe.send(("done", tokens_per_second(content)))
                continue
            inputs, job = content
            key = canonical_json(inputs.fingerprints())
            if key not in opened:
                opened = {key: JobData.open(inputs)}
            run_job(job, opened[key], store, Path(work), on_tokens)
            pipe.send(("done", None))
        except (EOFError, ConnectionError, JobStopped):
            return
        except AssayError as error:
            _tell(pipe, error.what, error.where, error.remedy)
            return
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            _tell(pipe, f"{type(error).__name__}: {error}", where, "report this as a defect of assay")
            return


def _tell(pipe: Connection, what: str, where: str | None, remedy: str) -> None:
    with contextlib.suppress(OSError):
        pipe.send(("error", (what, where, remedy)))
