"""A fleet: many jobs at once, one single-threaded worker a core.

The parent holds one pipe to each worker and hands out jobs, longest first. A worker that dies closes its pipe and is
noticed; a parent that dies is noticed by its workers, which stop. Results do not depend on which worker did a job,
nor on how many there are: a job is a function of its spec and the artifacts that it reads.

    with Fleet(inputs, store, work, workers) as fleet:
        parts = fleet.run(jobs, on_progress)          # ledger artifacts, in the order of `jobs`
        more = fleet.run(other_jobs, on_progress)     # the same workers
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import Any

from assay import ledger
from assay.errors import AssayError, Stopped, WorkError
from assay.store import Artifact, Store
from assay.train.job import Job, JobInputs

# A step allocates and frees the same large buffers over and over. By default glibc gives buffers above 128 KiB back to
# the kernel each time and pays page faults to get them again: about a tenth of a small model's step on a CPU.
WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "MALLOC_TOP_PAD_": str(64 << 20),
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: int | None = None


class Fleet:
    """Workers that train jobs.

    Args:
        inputs: what all jobs read.
        store: where finished jobs go (`ledger/`).
        work: folder for states of unfinished jobs.
        workers: number of processes.
    """

    def __init__(self, inputs: JobInputs, store: Store, work: Path, workers: int) -> None:
        self.inputs, self.store, self.work, self.n_workers = inputs, store, work, workers
        self._workers: list[_Worker] = []
        self._context = multiprocessing.get_context("spawn")
        self._stop: Event = self._context.Event()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(timeout=10)
            if worker.process.is_alive():
                worker.process.kill()
        self._workers.clear()

    def run(
        self, jobs: Sequence[Job], on_tokens: Callable[[int], None] | None = None
    ) -> list[Artifact]:
        """Do all jobs that are not done yet.

        Args:
            on_tokens: called with the number of training tokens computed (or found done) since the last call.

        Raises:
            Stopped: the person pressed Ctrl-C; unfinished jobs were saved.
            WorkError: a worker died or failed.
        """
        report = on_tokens or (lambda _: None)
        fingerprints = self.inputs.fingerprints()
        parts = [self.store.find(ledger.JOB, fingerprints, job.config()) for job in jobs]
        for job, part in zip(jobs, parts, strict=True):
            if part is not None:
                report(job.tokens)
        waiting = sorted((i for i, part in enumerate(parts) if part is None), key=lambda i: jobs[i].tokens)
        try:
            self._start(min(self.n_workers, len(waiting)))
            for worker in self._workers:
                self._hand_out(worker, jobs, waiting)
            while any(worker.job is not None for worker in self._workers):
                for pipe in wait([w.pipe for w in self._workers if w.job is not None]):
                    self._receive(pipe, jobs, waiting, report)
        except KeyboardInterrupt:
            self._wind_down()
            raise Stopped("stopped", remedy="run the same command again to go on from here") from None
        return [self._found(job) for job in jobs]

    def _found(self, job: Job) -> Artifact:
        part = self.store.find(ledger.JOB, self.inputs.fingerprints(), job.config())
        if part is None:
            raise WorkError("a finished run is missing or damaged", where=job.cell, remedy="run the same command again")
        return part

    def _start(self, wanted: int) -> None:
        """Start workers up to the wanted number; the environment is theirs alone."""
        before = {key: os.environ.get(key) for key in WORKER_ENVIRONMENT}
        os.environ.update(WORKER_ENVIRONMENT)
        try:
            while len(self._workers) < wanted:
                ours, theirs = self._context.Pipe()
                process = self._context.Process(
                    target=_work,
                    args=(theirs, self._stop, self.inputs, str(self.store.root), str(self.work), os.getpid()),
                    daemon=True,
                )
                process.start()
                theirs.close()
                self._workers.append(_Worker(process, ours))
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def _hand_out(self, worker: _Worker, jobs: Sequence[Job], waiting: list[int]) -> None:
        worker.job = waiting.pop() if waiting else None
        if worker.job is not None:
            worker.pipe.send(jobs[worker.job])

    def _receive(
        self, pipe: Any, jobs: Sequence[Job], waiting: list[int], report: Callable[[int], None]
    ) -> None:
        worker = next(w for w in self._workers if w.pipe is pipe)
        try:
            kind, content = pipe.recv()
        except EOFError:
            worker.process.join(timeout=5)
            raise WorkError(
                f"a worker died (exit code {worker.process.exitcode})",
                where=jobs[worker.job or 0].cell,
                remedy="most often memory ran out: use fewer with --set train.workers=1; a rerun goes on from here",
            ) from None
        if kind == "tokens":
            report(content)
        elif kind == "done":
            self._hand_out(worker, jobs, waiting)
        elif kind == "error":
            what, remedy = content
            raise WorkError(what, where=jobs[worker.job or 0].cell, remedy=remedy)

    def _wind_down(self) -> None:
        """Ask all workers to save and leave; give them a moment."""
        self._stop.set()
        for worker in self._workers:
            worker.process.join(timeout=15)


def _work(pipe: Connection, stop: Event, inputs: JobInputs, root: str, work: str, parent: int) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _die_with_parent()
    import torch

    from assay.train.job import JobData, JobStopped, run_job

    torch.set_num_threads(1)
    data = JobData.open(inputs)
    store = Store(Path(root))

    def on_tokens(tokens: int) -> None:
        pipe.send(("tokens", tokens))
        if stop.is_set() or os.getppid() != parent:
            raise JobStopped

    while True:
        try:
            job = pipe.recv()
            run_job(job, data, store, Path(work), on_tokens)
            pipe.send(("done", None))
        except (EOFError, BrokenPipeError, JobStopped):
            return
        except AssayError as error:
            pipe.send(("error", (error.line(), "run the same command again once it is mended")))
            return
        except Exception as error:
            pipe.send(("error", (f"{type(error).__name__}: {error}", traceback.format_exc().splitlines()[-2].strip())))
            return


def _die_with_parent() -> None:
    """On Linux, ask the kernel to end this process when its parent ends, however it ends."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except (AttributeError, OSError):
        return
