"""Jobs of one schedule in lockstep, from initialisation (or saved trunks) to their artifacts in the ledger. One job is
a walk of its own; several are members of a stack (`members`), which one model computes together.

    for each branch, shortest first:
        the trunk walks on to where the branch's decay begins         (saved now and then: a killed walk goes on here)
        a copy decays to the branch's end and is evaluated            -> of each job a row of `runs`, losses by source,
        the trunk takes its state back                                   by document
    the trunk's last state is kept where a later job is to go on from it

A job's result depends on nothing but its spec, the study's artifacts and, within rounding, who walked with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assay import ledger
from assay.models.protocol import Batch
from assay.models.stacked import StackedDecoder
from assay.store import Artifact, Store, fingerprint
from assay.train import checkpoint
from assay.train.energy import Meter, Spent
from assay.train.evaluate import document_nll, member_nll
from assay.train.feed import Feed, RowFeed, StackedFeed, with_threads
from assay.train.job import Branch, Job, JobData, JobStopped, OnTokens
from assay.train.loop import LossNotFinite, TrainState, train
from assay.train.members import joined, member_of, together
from assay.train.record import Record
from assay.train.schedules import WarmupStableDecay

SAVE_EVERY_SECONDS = 20.0
MOST_SAVING = 0.05  # of the time: a large stack takes long to write
_READ = "read"  # among the tensors of a saved state: nats of the rows that the trunk has read


def run_jobs(jobs: Sequence[Job], data: JobData, store: Store, work: Path, on_tokens: OnTokens) -> list[Artifact]:
    """Do jobs of one schedule, or find them done; returns their ledger artifacts.

    Args:
        work: folder for the states that let a killed walk go on.
        on_tokens: called after every step with the tokens computed for jobs that are not done, and first with those
            found; may raise to stop.

    Raises:
        JobStopped: by `on_tokens`; the state is saved.
        LossNotFinite: the loss of a job is no number. The others are done, and written.
    """
    found = [store.find(ledger.JOB, data.inputs, job.config()) for job in jobs]
    waiting = found.count(None)
    if not waiting:
        return [part for part in found if part is not None]
    # A state holds rows of the ledger: one that an older version of the stage left is not gone on from.
    identity = {"inputs": data.inputs, "jobs": [job.config() for job in jobs], "version": ledger.JOB.version}
    own_work = work / fingerprint(identity)[:20]
    walk = _Walk(jobs, waiting, data, store, own_work, on_tokens)
    try:
        walk.walk()
    except JobStopped:
        walk.save_where_possible()
        raise
    done = walk.write(store)
    walk.raise_failure()
    checkpoint.clear(own_work)
    return done


class _Walk:
    """Jobs on their way.

    Attributes:
        read_SR: nats of each row that the trunk reads, of all its steps, on the device: nobody waits for it.
        failed: the first step at which a job's loss was no number, by its place among the jobs.
    """

    def __init__(
        self, jobs: Sequence[Job], waiting: int, data: JobData, store: Store, work: Path, on_tokens: OnTokens
    ) -> None:
        self.jobs, self.first = jobs, jobs[0]  # what all have in common is the first one's
        self.waiting, self.data, self.work, self.on_tokens = waiting, data, work, on_tokens
        self.records = [Record(job, data) for job in jobs]
        feeds = [RowFeed(record.sampler) for record in self.records]
        self.feed: Feed = feeds[0] if len(jobs) == 1 else StackedFeed(feeds)
        self.state = TrainState(together([job.spec for job in jobs]), data.device)
        trunk_steps = max(b.steps - b.decay for b in self.first.branches) - self.first.start_step
        self.read_SR = self._unread(trunk_steps)
        self.failed: dict[int, int] = {}
        self.next_branch = 0
        self.on_trunk = True
        self.save_at = time.monotonic() + SAVE_EVERY_SECONDS
        self.meter = Meter(self._resume(store), data.device)  # of the branch at work

    def _unread(self, steps: int) -> Tensor:
        return torch.zeros(steps, len(self.jobs) * self.first.stream.batch_rows, device=self.data.device)

    def _resume(self, store: Store) -> Spent:
        """Take over the state that an earlier process left; returns what it had spent on the branch at work."""
        start = self.first.start_step
        if saved := checkpoint.newest(self.work):
            tensors, extra = saved
            read_SR = tensors.pop(_READ)
            self.read_SR[: len(read_SR)] = read_SR
            self.state.load(tensors)
            self.next_branch = extra["next_branch"]
            self.failed = {int(m): step for m, step in extra["failed"].items()}
            for record, rows in zip(self.records, extra["rows"], strict=True):
                record.load(rows)
            decays = sum(branch.decay for branch in self.first.branches[: self.next_branch])
            self.on_tokens((self.state.step - start + decays) * self._step_tokens, found=True)
            return Spent(**extra["spent"])
        if self.first.start is not None:
            trunks = [store.root / ledger.JOB.name / str(job.start)[:20] / "trunk" for job in self.jobs]
            self.state.load(joined([checkpoint.load(trunk) for trunk in trunks]))
        return Spent()

    def walk(self) -> None:
        """Train all branches that are not done yet; a member that fails is left where it is, and the others go on."""
        try:
            with with_threads(self.feed, 0 if self.data.device == "cpu" else 1) as feed:
                for index in range(self.next_branch, len(self.first.branches)):
                    self._walk_branch(index, feed)
        except LossNotFinite as error:  # of a job alone; a stack is looked at now and then
            self.failed.setdefault(0, error.step)
        except _AllFailed:
            pass

    def _walk_branch(self, index: int, feed: Feed) -> None:
        branch = self.first.branches[index]
        schedule = WarmupStableDecay(self.first.warmup, branch.steps, branch.decay)
        train(self.state, feed, schedule, schedule.stable_end, self._on_trunk_step)
        trunk_SR = self._read_by_trunk()
        self._look(trunk_SR, self.first.start_step)
        kept = self.state.copy()
        self.on_trunk = False
        tail_SR = self._unread(branch.decay)
        on_step = partial(self._on_step, into=tail_SR, first=schedule.stable_end)
        train(self.state, feed, schedule, branch.steps, on_step)
        self._look(tail_SR, schedule.stable_end)
        # By the plan and not by the clock: a job that was stopped and went on has the same rows.
        before = self.first.branches[index - 1] if index else None
        trunk_from = before.steps - before.decay if before else self.first.start_step
        computed = (schedule.stable_end - trunk_from + branch.decay) * self.first.step_tokens
        self._record(branch, torch.cat([trunk_SR, tail_SR]), computed)
        self.state.load(kept)
        self.on_trunk = True
        self.next_branch = index + 1
        self.meter = Meter(device=self.data.device)
        if index + 1 < len(self.first.branches) or len(self.jobs) > 1:  # of several, some may be written and some not
            self._save()

    @property
    def _step_tokens(self) -> int:
        """Of all jobs that are not done."""
        return self.waiting * self.first.step_tokens

    def _read_by_trunk(self) -> Tensor:
        return self.read_SR[: self.state.step - self.first.start_step]

    def _on_trunk_step(self, step: int, batch: Batch, losses_BT: Tensor) -> None:
        self._on_step(step, batch, losses_BT, self.read_SR, self.first.start_step)
        if time.monotonic() > self.save_at:
            self._save()

    def _on_step(self, step: int, _: Batch, losses_BT: Tensor, into: Tensor, first: int) -> None:
        into[step - first] = losses_BT.sum(dim=1)
        self.on_tokens(self._step_tokens)

    def _look(self, read_SR: Tensor, first: int) -> None:
        """See whose losses are numbers.

        Raises:
            _AllFailed: nobody's.
        """
        bad_MS = ~read_SR.view(len(read_SR), len(self.jobs), -1).isfinite().all(2).T.cpu()
        for m in bad_MS.any(1).nonzero().flatten().tolist():
            self.failed.setdefault(m, first + int(bad_MS[m].nonzero()[0]))
        if len(self.failed) == len(self.jobs):
            raise _AllFailed

    def save_where_possible(self) -> None:
        """Save the trunk's state; a branch in its decay starts again from what was saved last."""
        if self.on_trunk:
            self._save()

    def _save(self) -> None:
        began = time.monotonic()
        extra = {
            "next_branch": self.next_branch,
            "failed": self.failed,
            "rows": [record.state() for record in self.records],
            "spent": asdict(self.meter.spent()),
        }
        checkpoint.save(self.work, self.state.tensors() | {_READ: self._read_by_trunk()}, extra)
        now = time.monotonic()
        self.save_at = now + max(SAVE_EVERY_SECONDS, (now - began) / MOST_SAVING)

    def _record(self, branch: Branch, read_SR: Tensor, computed: int) -> None:
        held_out_MD = {split: self._held_out(split) for split in branch.splits}
        spent, n = self.meter.spent(), len(self.jobs)
        own = Spent(spent.seconds / n, spent.joules / n)
        read_MSB = np.split(read_SR.cpu().numpy().astype(np.float64), n, axis=1)
        for m, record in enumerate(self.records):
            if m not in self.failed:
                held_out = {split: nll_MD[m] for split, nll_MD in held_out_MD.items()}
                record.add(branch, self.state.model, read_MSB[m], held_out, own, computed)

    def _held_out(self, split: str) -> np.ndarray:
        """(M, documents) nats."""
        model, data = self.state.model, self.data.evaluation[split]
        if isinstance(model, StackedDecoder):
            return member_nll(model, data, self.data.device)
        return document_nll(model, data, self.data.device)[None]

    def write(self, store: Store) -> list[Artifact]:
        """The artifacts of all jobs that did not fail."""
        return [
            store.build(ledger.JOB, self.data.inputs, job.config(), partial(record.write, trunk=self._trunk(m)))
            for m, (job, record) in enumerate(zip(self.jobs, self.records, strict=True))
            if m not in self.failed
        ]

    def _trunk(self, m: int) -> dict[str, Tensor] | None:
        """What is kept of a job's trunk."""
        if not self.jobs[m].keep:
            return None
        return self.state.tensors() if len(self.jobs) == 1 else member_of(self.state.tensors(), m)

    def raise_failure(self) -> None:
        """Tell of the job that failed first.

        Raises:
            LossNotFinite: there is one.
        """
        if self.failed:
            m = min(self.failed, key=lambda m: (self.failed[m], m))
            job = self.jobs[m]
            raise LossNotFinite(self.failed[m], of=f"{job.cell}, seed {job.stream.seed}")


class _AllFailed(Exception):
    """Nobody is left to go on."""
