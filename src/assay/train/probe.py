"""What this machine can do: tokens per second of a training step, by type of arithmetic."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

import torch

from assay.models.decoder import DecoderConfig
from assay.models.protocol import Batch
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig


@dataclass(frozen=True)
class Probe:
    """A training step to be timed; `optimizer` is the one to train with (Muon's step costs more than AdamW's)."""

    model: DecoderConfig
    row_tokens: int
    batch_rows: int
    dtype: str
    seconds: float = 1.5
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


def tokens_per_second(probe: Probe) -> float:
    """Median over the steps of `probe.seconds`, in this process with its number of threads."""
    state = TrainState(TrainSpec(probe.model, probe.optimizer, seed=0, dtype=probe.dtype))
    generator = torch.Generator().manual_seed(0)
    shape = (probe.batch_rows, probe.row_tokens + 1)
    rows = torch.randint(1, probe.model.vocabulary, shape, generator=generator)
    segments = torch.zeros(probe.batch_rows, probe.row_tokens, dtype=torch.int32)
    segments[:: max(1, probe.batch_rows // 4), probe.row_tokens // 2 :] = 1  # some rows hold two documents
    batch = Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous(), segments)
    for _ in range(3):
        state.update(batch, 0.1)
    times: list[float] = []
    end = time.perf_counter() + probe.seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        state.update(batch, 0.1)
        times.append(time.perf_counter() - start)
    return probe.row_tokens * probe.batch_rows / statistics.median(times)
