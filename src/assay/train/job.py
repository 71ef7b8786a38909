"""One job of a fleet: a trunk and its branches, from initialisation (or a saved trunk) to rows of the ledger.

    for each branch, shortest first:
        the trunk walks on to where the branch's decay begins         (saved now and then: a killed job goes on here)
        a copy decays to the branch's end and is evaluated            -> one row of `runs`, losses by source, document
        the trunk takes its state back
    the trunk's last state is kept where a later job is to go on from it

A plain run is a trunk with one branch. A job's result depends on nothing but its spec and the study's artifacts.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
from torch import Tensor

from assay import ledger
from assay.models.protocol import Batch
from assay.store import Artifact, Store, fingerprint
from assay.tokens.evalset import EvalSet
from assay.tokens.sampler import Sampler, StreamPlan
from assay.tokens.stream import TokenStream
from assay.train import checkpoint
from assay.train.energy import Meter, Spent
from assay.train.evaluate import document_nll
from assay.train.feed import RowFeed
from assay.train.loop import TrainSpec, TrainState, train
from assay.train.schedules import WarmupStableDecay


class JobStopped(Exception):
    """Raised by `on_tokens` to stop a job; what it has done is saved and it can go on later."""


class OnTokens(Protocol):
    """Is told how many more tokens are trained on; `found` says that an earlier run did them."""

    def __call__(self, tokens: int, /, *, found: bool = False) -> None: ...


SAVE_EVERY_SECONDS = 20.0
TRAIN_LOSS_POINTS = 40  # of the training loss that a branch's ledger rows hold


@dataclass(frozen=True)
class Branch:
    """One run: `steps` in all, the last `decay` of them with a falling learning rate.

    `splits` names the held-out sets to evaluate: "test" is read by registered predictions alone.
    """

    steps: int
    decay: int
    splits: tuple[str, ...] = ("eval",)


@dataclass(frozen=True)
class Job:
    """What one worker does in one go.

    Attributes:
        cell: name of the experimental cell, e.g. `natural`, `up:news`, `character_noise:0.5`.
        axis: the question it belongs to.
        spec: model, optimizer, seed, dtype.
        stream: what is read.
        branches: shortest first.
        warmup: steps.
        start: ledger fingerprint of the job whose kept trunk this one goes on from, or None.
        keep: keep the trunk's last state.
    """

    cell: str
    axis: str
    spec: TrainSpec
    stream: StreamPlan
    branches: tuple[Branch, ...]
    warmup: int
    start: str | None = None
    start_step: int = 0
    keep: bool = False

    def config(self) -> dict[str, Any]:
        """The job as JSON: its identity."""
        return asdict(self)

    @property
    def steps(self) -> int:
        """Steps that are computed: the trunk's, and every branch's decay."""
        trunk = max(b.steps - b.decay for b in self.branches) - self.start_step
        return trunk + sum(b.decay for b in self.branches)

    @property
    def tokens(self) -> int:
        return self.steps * self.stream.batch_rows * self.stream.row_tokens


@dataclass(frozen=True)
class JobInputs:
    """The artifacts that jobs read, by name; small enough to hand to a worker.

    Attributes:
        streams: token streams: "train" and the names of defects.
        evaluation: evaluation sets by split.
        orders: values of the training stream's documents, by the name of the order.
        tokenizer: fingerprint of the tokenizer.
        study: fingerprint of the study.
    """

    streams: dict[str, Artifact]
    evaluation: dict[str, Artifact]
    tokenizer: str
    study: str
    device: str = "cpu"
    orders: dict[str, Artifact] = field(default_factory=dict)

    def fingerprints(self) -> dict[str, str]:
        """What the address of every job is made from, besides the job itself."""
        return (
            {f"stream.{name}": artifact.fingerprint for name, artifact in self.streams.items()}
            | {f"evalset.{split}": artifact.fingerprint for split, artifact in self.evaluation.items()}
            | {f"order.{name}": artifact.fingerprint for name, artifact in self.orders.items()}
            | {"tokenizer": self.tokenizer}
        )


@dataclass(frozen=True)
class JobData:
    """The artifacts that jobs read, opened once a worker."""

    streams: dict[str, TokenStream]
    evaluation: dict[str, EvalSet]
    inputs: dict[str, str]
    study: str
    device: str
    orders: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def open(cls, inputs: JobInputs) -> JobData:
        return cls(
            {name: TokenStream.open(artifact) for name, artifact in inputs.streams.items()},
            {split: EvalSet.open(artifact) for split, artifact in inputs.evaluation.items()},
            inputs.fingerprints(),
            inputs.study,
            inputs.device,
            {name: dict(np.load(artifact.file("values.npz"))) for name, artifact in inputs.orders.items()},
        )


@dataclass
class _Rows:
    """What a job has found so far; saved beside its state."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    documents: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # run -> split -> nll by document
    trunk_losses: list[tuple[int, str, int, float]] = field(default_factory=list)  # step, source, tokens, nll


def run_job(job: Job, data: JobData, store: Store, work: Path, on_tokens: OnTokens) -> Artifact:
    """Do a job, or find it done; returns its ledger artifact.

    Args:
        work: folder for the states that let a killed job go on.
        on_tokens: called after every step with the tokens computed, and first with those found; may raise to stop.
    """
    if found := store.find(ledger.JOB, data.inputs, job.config()):
        return found
    # A state holds rows of the ledger: one that an older version of the stage left is not gone on from.
    identity = {"inputs": data.inputs, "job": job.config(), "version": ledger.JOB.version}
    own_work = work / fingerprint(identity)[:20]
    runner = _Runner(job, data, store, own_work, on_tokens)
    try:
        runner.walk()
    except JobStopped:
        runner.save_where_possible()
        raise
    done = store.build(ledger.JOB, data.inputs, job.config(), runner.write)
    checkpoint.clear(own_work)
    return done


class _Runner:
    def __init__(self, job: Job, data: JobData, store: Store, work: Path, on_tokens: OnTokens) -> None:
        self.job, self.data, self.work, self.on_tokens = job, data, work, on_tokens
        self.sampler = Sampler(job.stream, data.streams, max(b.steps for b in job.branches), data.orders)
        self.feed = RowFeed(self.sampler)
        self.state = TrainState(job.spec, data.device)
        self.rows = _Rows()
        self.next_branch = 0
        self.on_trunk = True
        self.saved_at = time.monotonic()
        self.meter = Meter(self._resume(store))  # of the branch at work

    def _resume(self, store: Store) -> Spent:
        """Take over the state that an earlier process left; returns what it had spent on the branch at work."""
        if saved := checkpoint.newest(self.work):
            tensors, extra = saved
            self.state.load(tensors)
            self.next_branch = extra["next_branch"]
            self.rows = _Rows(**extra["rows"])
            self.rows.trunk_losses = [tuple(row) for row in self.rows.trunk_losses]  # type: ignore[misc]
            decays = sum(branch.decay for branch in self.job.branches[: self.next_branch])
            self.on_tokens((self.state.step - self.job.start_step + decays) * self._step_tokens, found=True)
            return Spent(**extra["spent"])
        if self.job.start is not None:
            self.state.load(checkpoint.load(store.root / ledger.JOB.name / self.job.start[:20] / "trunk"))
        return Spent()

    def walk(self) -> None:
        """Train all branches that are not done yet."""
        for index in range(self.next_branch, len(self.job.branches)):
            branch = self.job.branches[index]
            schedule = WarmupStableDecay(self.job.warmup, branch.steps, branch.decay)
            train(self.state, self.feed, schedule, schedule.stable_end, self._on_trunk_step)
            kept = self.state.copy()
            self.on_trunk = False
            tail: list[tuple[int, str, int, float]] = []
            train(self.state, self.feed, schedule, branch.steps, partial(self._on_step, into=tail))
            # By the plan and not by the clock: a job that was stopped and went on has the same rows.
            before = self.job.branches[index - 1] if index else None
            trunk_from = before.steps - before.decay if before else self.job.start_step
            computed = (schedule.stable_end - trunk_from + branch.decay) * self._step_tokens
            self._record(branch, tail, computed, self.meter.spent())
            self.state.load(kept)
            self.on_trunk = True
            self.next_branch = index + 1
            self.meter = Meter()
            if index + 1 < len(self.job.branches):
                self._save()

    @property
    def _step_tokens(self) -> int:
        return self.job.stream.batch_rows * self.job.stream.row_tokens

    def _on_trunk_step(self, step: int, batch: Batch, losses_BT: Tensor) -> None:
        self._on_step(step, batch, losses_BT, self.rows.trunk_losses)
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self._save()

    def _on_step(self, step: int, _: Batch, losses_BT: Tensor, into: list[tuple[int, str, int, float]]) -> None:
        per_row = losses_BT.sum(dim=1).tolist()
        by_source: dict[int, list[float]] = {}
        for source, nll in zip(self.feed.sources(step).tolist(), per_row, strict=True):
            by_source.setdefault(source, []).append(nll)
        for source, nlls in by_source.items():
            into.append((step, self.sampler.sources[source], len(nlls) * losses_BT.shape[1], sum(nlls)))
        self.on_tokens(self._step_tokens)

    def save_where_possible(self) -> None:
        """Save the trunk's state; a branch in its decay starts again from what was saved last."""
        if self.on_trunk:
            self._save()

    def _save(self) -> None:
        extra = {"next_branch": self.next_branch, "rows": asdict(self.rows), "spent": asdict(self.meter.spent())}
        checkpoint.save(self.work, self.state.tensors(), extra)
        self.saved_at = time.monotonic()

    def _record(self, branch: Branch, tail: list[tuple[int, str, int, float]], computed: int, spent: Spent) -> None:
        job, stream = self.job, self.job.stream
        tokens = branch.steps * self._step_tokens
        run_id = fingerprint({"inputs": self.data.inputs, "job": job.config(), "steps": branch.steps})[:20]
        n_inside, n_total = self.state.model.n_parameters()
        sampler = Sampler(stream, self.data.streams, branch.steps, self.data.orders)
        epochs = sampler.epochs()
        self.rows.documents[run_id] = {}
        for split in branch.splits:
            nll = document_nll(self.state.model, self.data.evaluation[split], self.data.device)
            self.rows.documents[run_id][split] = nll.tolist()
        self.rows.losses += _binned(run_id, self.rows.trunk_losses + tail, branch.steps)
        self.rows.runs.append(
            {
                "run_id": run_id,
                "study": self.data.study,
                "cell": job.cell,
                "axis": job.axis,
                "defect": f"{stream.defect}+{stream.also}" if stream.also else stream.defect,
                "dose": stream.dose,
                "mixture": dict(stream.weights),
                "epochs": dict(epochs),
                "seed": stream.seed,
                "pair": f"seed-{stream.seed}",
                "trunk": fingerprint({"cell": job.cell, "seed": stream.seed})[:12],
                "tokenizer": self.data.inputs["tokenizer"],
                "evaluation_set": fingerprint({k: v for k, v in self.data.inputs.items() if k.startswith("evalset")}),
                "N": n_inside,
                "N_total": n_total,
                "D": tokens,
                "U": _distinct_rows(sampler) * stream.row_tokens,
                "C": self.state.model.flops_per_token(stream.row_tokens) * tokens,
                "computed_tokens": computed,
                "config": fingerprint(job.config()),
                "status": "done",
                "wall_seconds": spent.seconds,
                "device": self.data.device,
                "energy_joules": spent.joules,
            }
        )

    def write(self, folder: Path) -> dict[str, Any]:
        """The job's ledger tables, and its trunk where it is to be kept."""
        losses, documents = [], []
        for run in self.rows.runs:
            step = run["D"] // self._step_tokens
            for split, nll in self.rows.documents[run["run_id"]].items():
                table = self.data.evaluation[split].documents.with_columns(
                    pl.lit(run["run_id"]).alias("run_id"),
                    pl.lit(step, pl.Int64).alias("step"),
                    pl.lit(split).alias("split"),
                    pl.Series("nll", nll, pl.Float64),
                )
                documents.append(table.select(ledger.DOCUMENT_LOSSES.names))
                by_source = table.group_by("run_id", "step", "split", "source", maintain_order=True)
                losses.append(by_source.agg(pl.col("n_tokens", "n_bytes", "nll").sum()))
        training = pa.Table.from_pylist(self.rows.losses, schema=ledger.LOSSES)
        held_out = pl.concat(losses).select(ledger.LOSSES.names).to_arrow().cast(ledger.LOSSES)
        ledger.write_tables(
            folder,
            {
                "runs": [_with_maps(run) for run in self.rows.runs],
                "losses": pa.concat_tables([training, held_out]),
                "document_losses": pl.concat(documents).to_arrow().cast(ledger.DOCUMENT_LOSSES),
            },
        )
        if self.job.keep:
            checkpoint.write(folder / "trunk", self.state.tensors())
        return {"cell": self.job.cell, "seed": self.job.stream.seed, "runs": len(self.rows.runs)}


def _distinct_rows(sampler: Sampler) -> int:
    """How many different rows a run reads; a row and its damaged copy are two."""
    return np.unique(np.stack(sampler.slots), axis=1).shape[1]


def _with_maps(run: dict[str, Any]) -> dict[str, Any]:
    """A row of `runs` with its maps as Arrow takes them; as dicts they survive a saved state."""
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in run.items()}


def _binned(run_id: str, steps: list[tuple[int, str, int, float]], total: int) -> list[dict[str, Any]]:
    """Training loss by source, summed over stretches of the run; `step` is a stretch's last."""
    width = max(1, -(-total // TRAIN_LOSS_POINTS))
    bins: dict[tuple[int, str], list[float]] = {}
    for step, source, tokens, nll in steps:
        entry = bins.setdefault((min(total, (step // width + 1) * width), source), [0, 0.0])
        entry[0] += tokens
        entry[1] += nll
    return [
        {
            "run_id": run_id,
            "step": s,
            "split": "train",
            "source": source,
            "n_tokens": int(n),
            "n_bytes": None,
            "nll": x,
        }
        for (s, source), (n, x) in sorted(bins.items())
    ]
