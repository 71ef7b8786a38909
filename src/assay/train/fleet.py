"""A fleet: many jobs at once, done by an engine: single-threaded processes of this machine, one a core, the machines of
a cluster, or stacks of jobs on one device.

Jobs that are in the store are found; the others are handed out, longest first. Results do not depend on who did a job,
nor on how many there are: a job is a function of its spec and the artifacts that it reads (and in a stack, within
rounding, of the jobs beside it).

    with Fleet(store, LocalEngine(store.root, work, workers)) as fleet:
        speed = fleet.probe(probe)                    # all workers at once, as they will train
        parts = fleet.run(inputs, jobs, on_tokens)    # ledger artifacts, in the order of `jobs`
        more = fleet.run(inputs, other_jobs, ...)     # the same workers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from assay import ledger
from assay.errors import Stopped, WorkError
from assay.store import Artifact, Store
from assay.train.engines import Engine, Task
from assay.train.job import Job, JobInputs, OnTokens
from assay.train.probe import Probe


def _silent(tokens: int, *, found: bool = False) -> None:
    """Where nobody wants to be told."""


class Fleet:
    """Jobs, an engine, and a store (`ledger/`) where what is done goes."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self.store, self.engine = store, engine

    def __enter__(self) -> Fleet:
        self.engine.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()

    def start(self) -> None:
        """Start all workers now (they take seconds to come up) instead of with the first work."""
        self.engine.start()

    @property
    def size(self) -> int:
        """How many jobs are done at once."""
        return self.engine.size

    def probe(self, probe: Probe) -> list[float]:
        """Tokens per second of a training step in each worker, all at once."""
        return list(self._each([("probe", probe)] * self.engine.size, _silent))

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
        for group in self.engine.groups(jobs):
            done = [job for job in group if self.store.find(ledger.JOB, fingerprints, job.config())]
            for job in done:
                report(job.tokens, found=True)
            if len(done) < len(group):
                waiting.append(group)
        waiting.sort(key=lambda group: -sum(job.tokens for job in group))
        for _ in self._each([("jobs", (inputs, group)) for group in waiting], report):
            pass
        return [self._found(fingerprints, job) for job in jobs]

    def _each(self, tasks: Sequence[Task], report: OnTokens) -> Iterator[Any]:
        try:
            yield from self.engine.each(tasks, report)
        except KeyboardInterrupt:
            raise Stopped("stopped", remedy="run the same command again to go on from here") from None

    def _found(self, fingerprints: Mapping[str, str], job: Job) -> Artifact:
        part = self.store.find(ledger.JOB, fingerprints, job.config())
        if part is None:
            raise WorkError("a finished run is missing or damaged", where=job.cell, remedy="run the same command again")
        return part
