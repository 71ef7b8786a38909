"""What this machine can do: tokens per second of a training step, by type of arithmetic and by size of a stack."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field, replace

import torch

from assay.models.decoder import DecoderConfig
from assay.models.protocol import Batch
from assay.train.loop import TrainSpec, TrainState
from assay.train.members import together
from assay.train.optimizers import OptimizerConfig


@dataclass(frozen=True)
class Probe:
    """A training step to be timed, of a run or of the members of a stack together; `optimizer` is the one to train with
    (Muon's step costs more than AdamW's)."""

    model: DecoderConfig
    row_tokens: int
    batch_rows: int
    dtype: str
    seconds: float = 1.5
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    members: int = 1
    device: str = "cpu"

    @property
    def spec(self) -> TrainSpec:
        """Of one member."""
        return TrainSpec(self.model, self.optimizer, seed=0, dtype=self.dtype)


def tokens_per_second(probe: Probe) -> float:
    """Of all members together: the median over the steps of `probe.seconds`, in this process with its number of
    threads."""
    state = TrainState(together([replace(probe.spec, seed=m) for m in range(probe.members)]), probe.device)
    generator = torch.Generator().manual_seed(0)
    n_rows = probe.members * probe.batch_rows
    rows = torch.randint(1, probe.model.vocabulary, (n_rows, probe.row_tokens + 1), generator=generator)
    segments = torch.zeros(n_rows, probe.row_tokens, dtype=torch.int32)
    segments[:: max(1, probe.batch_rows // 4), probe.row_tokens // 2 :] = 1  # some rows hold two documents
    batch = Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous(), segments)

    def step() -> None:
        state.update(batch, 0.1).sum().item()  # a device is done when its numbers are here

    for _ in range(3):
        step()
    times: list[float] = []
    end = time.perf_counter() + probe.seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return n_rows * probe.row_tokens / statistics.median(times)
