"""A job of a fleet: a trunk and its branches, and the artifacts that it reads. `walk` does it, `record` writes it down.

A plain run is a trunk with one branch. A job's result depends on nothing but its spec and the study's artifacts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from assay.store import Artifact
from assay.tokens.evalset import EvalSet
from assay.tokens.sampler import StreamPlan
from assay.tokens.stream import TokenStream
from assay.train.loop import TrainSpec


class JobStopped(Exception):
    """Raised by `on_tokens` to stop a job; what it has done is saved and it can go on later."""


class OnTokens(Protocol):
    """Is told how many more tokens are trained on; `found` says that an earlier run did them."""

    def __call__(self, tokens: int, /, *, found: bool = False) -> None: ...


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
    """A run of a cell, or several of one trunk.

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
    def step_tokens(self) -> int:
        return self.stream.batch_rows * self.stream.row_tokens

    @property
    def tokens(self) -> int:
        return self.steps * self.step_tokens


@dataclass(frozen=True)
class JobInputs:
    """The artifacts that jobs read, by name; small enough to hand to a worker.

    Attributes:
        streams: token streams: "train" and the names of defects.
        evaluation: evaluation sets by split.
        orders: values of the training stream's documents, by the name of the order.
        tokenizer: fingerprint of the tokenizer.
        study: fingerprint of the study.
        stacked: whether members of stacks are trained: their results are those of runs alone within rounding, and have
            addresses of their own.
    """

    streams: dict[str, Artifact]
    evaluation: dict[str, Artifact]
    tokenizer: str
    study: str
    device: str = "cpu"
    orders: dict[str, Artifact] = field(default_factory=dict)
    stacked: bool = False

    def fingerprints(self) -> dict[str, str]:
        """What the address of every job is made from, besides the job itself."""
        return (
            {f"stream.{name}": artifact.fingerprint for name, artifact in self.streams.items()}
            | {f"evalset.{split}": artifact.fingerprint for split, artifact in self.evaluation.items()}
            | {f"order.{name}": artifact.fingerprint for name, artifact in self.orders.items()}
            | {"tokenizer": self.tokenizer}
            | ({"engine": "stacked"} if self.stacked else {})
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
