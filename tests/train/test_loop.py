"""The loop: it learns, in either precision, and evaluation counts each document's own tokens."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional

from assay.errors import InputError
from assay.models.protocol import Batch
from assay.store import Stage, Store
from assay.tokens.learn import train_tokenizer
from assay.tokens.pack import encode_stream
from assay.tokens.sampler import Sampler
from assay.tokens.stream import TokenStream
from assay.tokens.tokenizer import Encoder
from assay.train.evaluate import Rows, document_nll
from assay.train.feed import RowFeed, with_threads
from assay.train.job import JobData
from assay.train.loop import TrainState, train
from assay.train.objectives import Causal
from assay.train.probe import Probe, tokens_per_second
from assay.train.schedules import WarmupStableDecay
from miniature import MODEL, PLAN, SPEC, T, data, spans_of


@pytest.fixture(scope="module")
def job_data(tmp_path_factory: pytest.TempPathFactory) -> JobData:
    return data(Store(tmp_path_factory.mktemp("store")))


def sampler(job_data: JobData, steps: int) -> Sampler:
    return Sampler(PLAN, job_data.streams, steps)


def losses(state: TrainState, job_data: JobData, steps: int) -> list[float]:
    found: list[float] = []
    schedule = WarmupStableDecay(5, steps, steps // 4)
    train(
        state,
        RowFeed(sampler(job_data, steps)),
        schedule,
        steps,
        lambda _, __, x: found.append(float(x.float().mean())),
    )
    return found


def test_training_learns_what_there_is_to_learn(job_data: JobData) -> None:
    found = losses(TrainState(SPEC), job_data, 150)
    assert found[0] == pytest.approx(np.log(MODEL.vocabulary), rel=1e-3)
    assert np.mean(found[-10:]) < 0.75 * found[0]


def test_bfloat16_trains_and_stays_near_float32(job_data: JobData) -> None:
    full, low = (TrainState(replace(SPEC, dtype=dtype)) for dtype in ("float32", "bfloat16"))
    a, b = (losses(state, job_data, 60) for state in (full, low))
    assert np.abs(np.array(a) - np.array(b)).max() < 0.15
    assert abs(np.mean(a[-10:]) - np.mean(b[-10:])) < 0.03
    # The weights that are updated and kept are float32: they move by less than bfloat16 could tell.
    assert all(t.dtype == torch.float32 for name, t in low.tensors().items() if name.startswith("model."))
    assert any((t != t.bfloat16().float()).any() for name, t in low.tensors().items() if name.startswith("model."))
    assert all(p.dtype == torch.bfloat16 for p in low.model.parameters())


def test_targets_are_the_inputs_one_later_and_segments_follow_the_documents() -> None:
    rows = np.array([[4, 5, 0, 6, 7], [0, 1, 2, 3, 4]])
    batch = Causal()(rows)
    assert batch.inputs_BT.tolist() == [[4, 5, 0, 6], [0, 1, 2, 3]]
    assert batch.targets_BT.tolist() == [[5, 0, 6, 7], [1, 2, 3, 4]]
    assert batch.segments_BT is not None
    assert batch.segments_BT.tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]


def test_the_seed_decides_the_run(job_data: JobData) -> None:
    one, same, other = (losses(TrainState(replace(SPEC, seed=s)), job_data, 8) for s in (1, 1, 2))
    assert one == same
    assert one[1:] != other[1:]


@pytest.mark.parametrize("batch_rows", [1, 5, 32])
def test_a_documents_loss_is_the_sum_over_its_own_tokens(job_data: JobData, batch_rows: int) -> None:
    state = TrainState(SPEC)
    losses(state, job_data, 20)
    data = job_data.evaluation["eval"]
    found = document_nll(state.model, data, batch_rows=batch_rows)
    assert found.shape == (len(data.documents),)
    inputs, targets, owner = (torch.from_numpy(x) for x in (data.inputs_RT, data.targets_RT, data.document_RT))
    expected = np.zeros(len(data.documents))
    for row, target, documents in zip(inputs, targets, owner, strict=True):
        for i in documents.unique().tolist():
            if i >= 0:  # alone in a row of its own
                own = documents == i
                logits = state.model(row[own][None]).detach()[0].double()
                expected[i] += functional.cross_entropy(logits, target[own], reduction="sum").item()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_evaluation_changes_nothing(job_data: JobData) -> None:
    state = TrainState(SPEC)
    losses(state, job_data, 3)
    before = state.copy()
    document_nll(state.model, job_data.evaluation["eval"])
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors().items())
    assert all(p.grad is None for p in state.model.parameters())


@pytest.mark.parametrize(
    ("ids", "vocabulary", "told"),
    [
        (lambda ids: ids, None, None),
        (lambda ids: np.where(ids == 5, 48, ids), None, r"token ids reach 48, and the model's are 0 to 47"),
        (lambda ids: np.where(ids == 5, -3, ids).astype(np.int64), None, r"token ids reach -3, and .* 0 to 47"),
        (lambda ids: ids, 500, r"token ids reach 499, and the model's are 0 to 47"),  # another tokenizer's shards
    ],
)  # fmt: skip
def test_token_ids_that_the_model_has_not_are_told_before_a_step(
    job_data: JobData, ids: Any, vocabulary: int | None, told: str | None
) -> None:
    shards = job_data.streams["train"].shards
    given = {source: ids(shard.astype(np.int64)) for source, shard in shards.items()}
    stream = TokenStream(given, vocabulary=vocabulary)
    state = TrainState(SPEC)
    feed = RowFeed(Sampler(PLAN, {"train": stream}, 2))
    held_out = job_data.evaluation["eval"]
    other = replace(held_out, inputs_RT=ids(held_out.inputs_RT))
    rows = Rows(stream, spans_of(job_data.streams["train"]), T, Causal(), budget=100)
    refused = nullcontext() if told is None else pytest.raises(InputError, match=told)
    with refused, with_threads(feed, 1) as ahead:
        train(state, ahead, WarmupStableDecay(1, 2, 1), 2)
    assert state.step == (2 if told is None else 0)
    with refused:
        rows.evaluate(state.model)
    if vocabulary is None:
        with refused:
            document_nll(state.model, other)


def test_an_encoded_stream_knows_the_ids_of_its_tokenizer(tmp_path: Path) -> None:
    encoder = Encoder(train_tokenizer(["some text", "一些文字"] * 20, 280))
    columns = {"doc_id": ["a"], "source": ["s"], "origin": ["o"], "ordinal": [0], "text": ["text"]}
    made = Store(tmp_path).build(
        Stage("stream", 1), {}, {},
        lambda folder: encode_stream([pa.RecordBatch.from_pydict(columns)], encoder, folder, "train", ["s"]),
    )  # fmt: skip
    stream = TokenStream.open(made)
    assert stream.bounds == (0, encoder.vocabulary - 1)
    assert replace(stream, vocabulary=None).bounds == (0, int(stream.shards["s"].max()))


def test_gradients_do_not_pile_up(job_data: JobData) -> None:
    """An update is that of its own batch: the same as that of a state that never saw the one before."""
    state, batch = TrainState(SPEC), Causal()(sampler(job_data, 1).batch(0))
    fresh = TrainState(SPEC)
    state.model.loss(batch)  # a loss that nobody went back from
    for each in (state, fresh):
        each.update(Batch(batch.inputs_BT, batch.targets_BT, batch.segments_BT), 0.5)
        each.update(batch, 0.5)
    assert all(torch.equal(a, b) for a, b in zip(state.tensors().values(), fresh.tensors().values(), strict=True))


def test_the_probe_measures() -> None:
    for dtype in ("float32", "bfloat16"):
        assert tokens_per_second(Probe(MODEL, row_tokens=8, batch_rows=2, dtype=dtype, seconds=0.05)) > 0


def test_the_state_of_another_model_is_refused_with_both_shapes() -> None:
    state, name = TrainState(SPEC), "blocks.0.mlp.up.weight"
    own, before = tuple(state.masters[name].shape), state.copy()
    other = {**before, f"model.{name}": torch.zeros(3, 5)}
    lacking = {key: tensor for key, tensor in before.items() if key != f"model.{name}"}
    for given, told in ((other, "of shape (3, 5)"), (lacking, "missing")):
        with pytest.raises(InputError) as caught:
            state.load(given)
        assert caught.value.line().startswith(f"{name} is {told} in the checkpoint, and of shape {own} in this model")
    assert all(torch.equal(tensor, before[key]) for key, tensor in state.tensors().items())
