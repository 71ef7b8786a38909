"""Every family learns in the one loop, and a run that is taken up again is bitwise the run that was not interrupted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from assay.models import seq2seq
from assay.models.build import ModelConfig
from assay.models.decoder import proxy, standard
from assay.models.encoder import bert, modern
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import transformer
from assay.store import Store
from assay.tokens.sampler import Sampler
from assay.train.feed import RowFeed
from assay.train.job import JobData
from assay.train.loop import TrainSpec, TrainState, train
from assay.train.objectives import Causal, Denoising, Masked, Objective, SpanCorruption
from assay.train.optimizers import OptimizerConfig
from assay.train.schedules import WarmupStableDecay
from miniature import PLAN, VOCABULARY, T, data

V = VOCABULARY + 20  # special ids above those of the text
MASK, END, START, SENTINELS = V - 1, V - 2, V - 3, tuple(range(VOCABULARY, V - 3))
DECODER = standard(V, 2, 16, 2, kv_heads=1, max_length=T)
FAMILIES: dict[str, tuple[ModelConfig, Objective]] = {
    "proxy": (proxy(V, 2, 16, 2, max_length=T), Causal()),
    "standard decoder, dropout": (replace(DECODER, block=replace(DECODER.block, dropout=0.1)), Causal()),
    "bert": (bert(V, 2, 16, 2, max_length=T), Masked(MASK, VOCABULARY)),
    "modern encoder": (modern(V, 2, 16, 2, max_length=T), Masked(MASK, VOCABULARY)),
    "transformer": (transformer(V, 2, 16, 2), Denoising(MASK, END, START)),
    "t5": (seq2seq.t5(V, 2, 16, 2), SpanCorruption(SENTINELS, END, START, share=0.3)),
    "rnn": (RecurrentConfig(V, 1, 16, "rnn"), Causal()),
    "gru": (RecurrentConfig(V, 2, 16, "gru"), Causal()),
    "lstm, dropout": (RecurrentConfig(V, 2, 16, "lstm", dropout=0.1), Causal()),
}
EACH = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def job_data(tmp_path_factory: pytest.TempPathFactory) -> JobData:
    return data(Store(tmp_path_factory.mktemp("store")))


def spec(family: str) -> TrainSpec:
    rates = OptimizerConfig(matrix="adamw", matrix_lr=0.01, embedding_lr=0.01, head_lr=0.01, vector_lr=0.01)
    return TrainSpec(FAMILIES[family][0], rates, seed=5)


def walk(state: TrainState, job_data: JobData, family: str, until: int) -> list[float]:
    found: list[float] = []

    def note(_: int, __: Batch, losses_BT: torch.Tensor) -> None:
        counted = losses_BT[losses_BT != 0]
        found.append(float(counted.mean()))

    sampler = Sampler(PLAN, job_data.streams, 400)
    train(state, RowFeed(sampler, FAMILIES[family][1]), WarmupStableDecay(5, 400, 50), until, note)
    return found


@EACH
def test_every_family_learns(family: str, job_data: JobData) -> None:
    found = walk(TrainState(spec(family)), job_data, family, 120)
    assert found[0] == pytest.approx(np.log(V), rel=0.15)
    assert np.mean(found[-40:]) < 0.96 * np.mean(found[:3])  # the few hidden tokens of a batch are a noisy measure


@EACH
def test_a_run_taken_up_again_is_bitwise_the_uninterrupted_one(
    family: str, job_data: JobData, tmp_path: object
) -> None:
    whole = TrainState(spec(family))
    walk(whole, job_data, family, 9)
    first = TrainState(spec(family))
    walk(first, job_data, family, 4)
    file = f"{tmp_path}/state.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in first.copy().items()}, file)
    torch.manual_seed(12345)  # whatever else drew random numbers meanwhile
    second = TrainState(spec(family))
    second.load(load_file(file))
    walk(second, job_data, family, 9)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, second.tensors()[name]), name


def test_dropout_differs_from_step_to_step_and_from_seed_to_seed(job_data: JobData) -> None:
    family = "standard decoder, dropout"
    sampler = Sampler(PLAN, job_data.streams, 4)
    batch = Causal()(sampler.batch(0))

    def loss(seed: int, step: int) -> float:
        state = TrainState(replace(spec(family), seed=seed))
        with torch.no_grad():
            state.model.load_state_dict(TrainState(spec(family)).model.state_dict())
            for parameter in state.model.parameters():
                parameter.add_(0.1)
        state.step = step
        return float(state.update(batch, 1.0).mean())

    assert loss(1, 0) == loss(1, 0)
    assert len({loss(1, 0), loss(1, 1), loss(2, 0), loss(2, 1)}) == 4
