"""Stacks of runs on one device, a GPU where there is one: jobs of one shape and schedule are walked together.

One process computes them, and what it needs of an engine (to be begun, told of, stopped and gone on with) is that of a
worker on this machine. A job that has no like is walked alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from assay.machine import memory
from assay.store import canonical_json
from assay.train.engines import Task
from assay.train.engines.local import LocalEngine
from assay.train.job import Job, OnTokens
from assay.train.loop import TrainSpec
from assay.train.members import bytes_a_member, in_common, stackable

MEMORY_SHARE = 0.5  # of the device's, for what is counted of members; kernels and fragments have the rest


class StackedEngine(LocalEngine):
    """A process that walks stacks.

    Args:
        root, work: see `LocalEngine`.
        device: cpu or cuda.
        members: of a stack at most; None: as many as fit into the device's memory.
    """

    def __init__(self, root: Path, work: Path, device: str, members: int | None = None) -> None:
        super().__init__(root, work, size=1)
        self.device, self.members = device, members

    def groups(self, jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
        """Jobs of one schedule, in as few stacks as may be, of the same size but for one."""
        alike: dict[str, list[Job]] = {}
        for job in jobs:
            alike.setdefault(_schedule(job), []).append(job)
        return [piece for own in alike.values() for piece in _pieces(own, self._most_of(own[0]))]

    def _most_of(self, job: Job) -> int:
        return self.most(job.spec, job.stream.batch_rows, job.stream.row_tokens) if stackable(job.spec) else 1

    def most(self, spec: TrainSpec, rows: int, row_tokens: int) -> int:
        """How many runs of a shape are computed together, at most."""
        if self.members is not None:
            return self.members
        return max(1, int(_room(self.device) * MEMORY_SHARE / bytes_a_member(spec, rows, row_tokens)))

    def each(self, tasks: Sequence[Task], report: OnTokens) -> Iterator[Any]:
        return super().each([self._here(task) for task in tasks], report)

    def _here(self, task: Task) -> Task:
        """A probe measures a stack as it will be trained."""
        kind, probe = task
        if kind != "probe":
            return task
        members = min(probe.members, self.most(probe.spec, probe.batch_rows, probe.row_tokens))
        return kind, replace(probe, device=self.device, members=members)


def _schedule(job: Job) -> str:
    """What jobs that are walked together have in common; all of a job that no stack can compute."""
    if not stackable(job.spec):
        return canonical_json(job.config())
    return canonical_json(
        {
            "spec": in_common(job.spec),
            "branches": [asdict(branch) for branch in job.branches],
            "warmup": job.warmup,
            "start": [job.start is None, job.start_step],
            "rows": [job.stream.batch_rows, job.stream.row_tokens],
        }
    )


def _pieces(jobs: Sequence[Job], most: int) -> list[tuple[Job, ...]]:
    """As few as may be, and as alike in size."""
    n = -(-len(jobs) // most)
    cuts = [len(jobs) * i // n for i in range(n + 1)]
    return [tuple(jobs[a:b]) for a, b in pairwise(cuts)]


def _room(device: str) -> int:
    """Bytes of the device's memory."""
    if device == "cpu":
        return memory()
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)
