"""The learning-rate finder: it ends where the loss bursts, and what it suggests trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.models.protocol import Batch
from assay.store import Store
from assay.tokens.sampler import Sampler
from assay.train.finder import find_rate
from assay.train.job import JobData
from assay.train.loop import TrainState
from assay.train.objectives import Causal
from assay.train.optimizers import OptimizerConfig
from miniature import PLAN, SPEC, data


@pytest.fixture(scope="module")
def job_data(tmp_path_factory: pytest.TempPathFactory) -> JobData:
    return data(Store(tmp_path_factory.mktemp("store")))


def test_the_rate_that_is_found_trains_and_higher_ones_burst(job_data: JobData) -> None:
    sampler = Sampler(PLAN, job_data.streams, 200)

    def batch(step: int) -> Batch:
        return Causal()(sampler.batch(step))

    rates = {f"{role}_lr": 0.001 for role in ("matrix", "embedding", "head", "vector")}
    spec = replace(SPEC, optimizer=OptimizerConfig(matrix="adamw", **rates))  # type: ignore[arg-type]
    found = find_rate(TrainState(spec), batch, low=0.01, high=1e5, steps=120)
    assert len(found.factors) == len(found.losses) == len(found.smoothed) < 120  # it burst on the way
    assert found.factors == sorted(found.factors)
    assert 0.1 < found.suggested < 1e3

    def trained(factor: float) -> float:
        state = TrainState(spec)
        return float(np.mean([float(state.update(batch(step), factor).mean()) for step in range(80)][-10:]))

    assert trained(found.suggested) < min(trained(0.02), trained(found.factors[-1])) - 0.2


def test_bounds_that_are_no_range_are_refused(job_data: JobData) -> None:
    for low, high, steps in ((1.0, 1.0, 50), (0.0, 1.0, 50), (0.1, 1.0, 3)):
        with pytest.raises(ValueError, match="no range"):
            find_rate(TrainState(SPEC), lambda _: pytest.fail("asked"), low=low, high=high, steps=steps)
