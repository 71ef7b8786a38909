"""The learning-rate finder: it ends where the loss bursts, and what it suggests trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor

from assay.models.protocol import Batch
from assay.store import Store
from assay.tokens.sampler import Sampler
from assay.train.finder import find_rate
from assay.train.job import JobData
from assay.train.loop import LossNotFinite, TrainState
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


def test_a_loss_that_is_no_number_ends_the_search_and_not_the_run(job_data: JobData) -> None:
    """On a CPU the update itself refuses it, elsewhere it is seen in the loss."""
    sampler = Sampler(PLAN, job_data.streams, 200)
    rates = dict.fromkeys((f"{role}_lr" for role in ("matrix", "embedding", "head", "vector")), 1.0)
    spec = replace(SPEC, optimizer=OptimizerConfig(matrix="sgd", rest="sgd", **rates))  # type: ignore[arg-type]
    for refuses in (True, False):
        state, honest = TrainState(spec), TrainState.update

        def update(batch: Batch, factor: float, state: TrainState = state, refuses: bool = refuses) -> Tensor:
            losses_BT = honest(state, batch, factor)  # noqa: B023
            if state.step <= 30:
                return losses_BT
            if refuses:
                raise LossNotFinite(state.step)
            return losses_BT * float("nan")

        state.update = update  # type: ignore[method-assign]
        found = find_rate(state, lambda step: Causal()(sampler.batch(step)), low=1e-6, high=1e-3, steps=40)
        assert len(found.factors) == len(found.losses) == len(found.smoothed) == 30
        assert np.isfinite(found.losses).all() and 0 < found.suggested < 1e-3
    with pytest.raises(LossNotFinite):
        state = TrainState(spec)
        state.model.get_parameter("embedding").data.fill_(float("nan"))
        find_rate(state, lambda step: Causal()(sampler.batch(step)))


def test_bounds_that_are_no_range_are_refused(job_data: JobData) -> None:
    for low, high, steps in ((1.0, 1.0, 50), (0.0, 1.0, 50), (0.1, 1.0, 3)):
        with pytest.raises(ValueError, match="no range"):
            find_rate(TrainState(SPEC), lambda _: pytest.fail("asked"), low=low, high=high, steps=steps)
