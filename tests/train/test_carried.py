"""A state that goes on from step to step: trained in pieces, stopped, evaluated window by window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from assay.models.protocol import Batch
from assay.models.recurrent import Recurrent, RecurrentConfig
from assay.tokens import evalset
from assay.tokens.lanes import Lanes
from assay.tokens.sampler import StreamPlan
from assay.tokens.stream import TokenStream
from assay.train.evaluate import document_nll
from assay.train.feed import LaneFeed, with_threads
from assay.train.loop import TrainSpec, TrainState, train
from assay.train.optimizers import OptimizerConfig
from assay.train.run import _by_source
from assay.train.schedules import Constant
from miniature import SOURCES, VOCABULARY, documents

STEPS, B, T = 14, 6, 8
CELLS = pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])


def spec(cell: str = "lstm", dropout: float = 0.0, **more: object) -> TrainSpec:
    config = RecurrentConfig(VOCABULARY, 2, 16, cell, hidden=20, dropout=dropout, carried=True)  # type: ignore[arg-type]
    return replace(TrainSpec(config, OptimizerConfig("adamw", matrix_lr=0.01), seed=3), **more)  # type: ignore[arg-type]


def feed() -> LaneFeed:
    stream = TokenStream({source: np.concatenate(texts) for source, texts in documents(1, 14).items()})
    return LaneFeed(Lanes(StreamPlan(2, {SOURCES[0]: 0.6, SOURCES[1]: 0.4}, T, B), stream), STEPS)


def walked(state: TrainState, until: int = STEPS, threads: int = 0) -> list[torch.Tensor]:
    losses: list[torch.Tensor] = []
    with with_threads(feed(), threads) as own:
        train(state, own, Constant(2), until, lambda step, batch, losses_BT: losses.append(losses_BT.clone()))
    return losses


def by_hand(state: TrainState) -> list[torch.Tensor]:
    """The same, row by row: each a model's call of its own, its state kept in a list."""
    model, losses = state.model, []
    assert isinstance(model, Recurrent)
    left = [torch.zeros(1, model.state_size) for _ in range(B)]
    for step in range(STEPS):
        batch = feed().batch(step)
        assert batch.continues_B is not None
        n, found = int((batch.targets_BT >= 0).sum()), []
        for b, piece in enumerate(batch.pieces(1)):
            state_BS = left[b] if bool(batch.continues_B[b]) else torch.zeros_like(left[b])
            loss = model.loss(replace(piece, continues_B=None, state_BS=state_BS))
            (loss.mean * int((piece.targets_BT >= 0).sum()) / n).backward()
            assert loss.state_BS is not None
            left[b] = loss.state_BS
            found.append(loss.losses_BT.detach())
        losses.append(torch.cat(found))
        state._step(Constant(2).factor(step))
        state.step += 1
    return losses


@CELLS
def test_training_is_that_of_rows_whose_states_are_kept_by_hand(cell: str) -> None:
    expected = by_hand(one := TrainState(spec(cell)))
    for micro_rows in (None, 4, 1):
        state = TrainState(spec(cell, micro_rows=micro_rows))
        torch.testing.assert_close(torch.stack(walked(state)), torch.stack(expected), rtol=1e-3, atol=1e-4)
        for name, parameter in state.model.named_parameters():
            torch.testing.assert_close(parameter, one.model.get_parameter(name), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("stop", [1, 8])
def test_a_state_that_was_saved_goes_on_bit_by_bit(stop: int, dtype: str) -> None:
    made = spec(dropout=0.2, dtype=dtype)
    straight = TrainState(made)
    walked(straight, threads=2)
    first = TrainState(made)
    walked(first, stop)
    saved = first.copy()
    assert saved["carried"].shape == (B, 2 * (20 + 16)) and saved["carried"].abs().sum() > 0
    walked(first, stop + 2)  # changes nothing of what was copied
    second = TrainState(made)
    second.load(saved)
    walked(second)
    for name, tensor in straight.tensors().items():
        assert torch.equal(tensor, second.tensors()[name]), name
    forgotten = TrainState(made)
    forgotten.load({name: tensor for name, tensor in saved.items() if name != "carried"})
    walked(forgotten)
    assert not torch.equal(forgotten.tensors()["model.embedding"], straight.tensors()["model.embedding"])


def test_a_trial_whether_a_batch_fits_leaves_no_state() -> None:
    state = TrainState(spec())
    walked(state, 3)
    before = state.copy()
    state.try_backward(feed().batch(3).pieces(2)[0])
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors().items())


def texts() -> list[np.ndarray]:
    """One of 130 tokens, and many others, one of which holds nothing to predict."""
    rng = np.random.default_rng(5)
    return [np.concatenate([[0], rng.integers(1, VOCABULARY, n)]) for n in (130, 3, 17, 0, 1, 60, 33, 16, 15, 31, 2)]


@CELLS
@torch.no_grad()
def test_the_loss_of_a_long_document_in_windows_is_that_in_one(cell: str) -> None:
    model = Recurrent(spec(cell).model, torch.Generator().manual_seed(1)).eval()  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.mul_(3)  # so that it matters what stands far back
    expected = np.array(
        [
            float(model.loss(Batch(ids[None, :-1], ids[None, 1:])).losses_BT.double().sum())
            for own in texts()
            if len(ids := torch.from_numpy(own)) > 1
        ]
    )
    longest = max(map(len, texts()))
    data = evalset.whole(texts(), ["s"] * len(texts()), np.ones(VOCABULARY), longest, longest)
    for window in (16, 1, 7, longest):
        for lanes in (1, 3, 32):
            np.testing.assert_allclose(document_nll(model, data, "cpu", lanes, window), expected, rtol=1e-5)
    plain = Recurrent(replace(model.config, carried=False), None).eval()
    plain.load_state_dict(model.state_dict())
    np.testing.assert_allclose(document_nll(plain, data), expected, rtol=1e-5)  # in one row, it is carried anyway
    cut = evalset.whole(texts(), ["s"] * len(texts()), np.ones(VOCABULARY), 16, 16)
    assert abs(document_nll(plain, cut).sum() / expected.sum() - 1) > 1e-4


@torch.no_grad()
def test_windows_of_held_out_documents_that_rows_cut_are_read_whole() -> None:
    """The layout of evaluations within training, where a window can go over several rows."""
    shard = np.concatenate(texts())
    starts = np.flatnonzero(shard == 0)
    spans = pl.DataFrame({
        "doc_id": [f"{i:032x}" for i in range(len(starts))], "source": "s", "unit": range(len(starts)),
        "start": starts, "length": np.diff(starts, append=len(shard)),
    })  # fmt: skip
    data = evalset.build(TokenStream({"s": shard}), spans, np.ones(VOCABULARY, np.int64), T, 10_000)
    model = Recurrent(spec().model, torch.Generator().manual_seed(1)).eval()  # type: ignore[arg-type]
    found = document_nll(model, data, batch_rows=4)
    for i, start in enumerate(data.documents["doc_id"].to_list()):
        own = torch.from_numpy(texts()[int(start, 16)])
        alone = model.loss(Batch(own[None, :-1], own[None, 1:])).losses_BT.double().sum()
        assert found[i] == pytest.approx(float(alone), rel=1e-5)


def test_losses_are_told_by_source_where_a_row_holds_several() -> None:
    sources, losses, ones = np.array([[2, 2, 0], [0, 2, 2]]), np.arange(6.0).reshape(2, 3), np.ones((2, 3), bool)
    found = _by_source(sources, losses, ones)
    assert [column.tolist() for column in found] == [[0, 2], [2.0 + 3.0, 0.0 + 1.0 + 4.0 + 5.0], [2, 4]]


@pytest.mark.parametrize("until", [1, 5, STEPS])
def test_the_ledger_counts_what_was_read(until: int) -> None:
    own, read = feed(), {source: set() for source in SOURCES}  # type: ignore[var-annotated]
    for step in range(until):
        for name, begin, end in own.reads(step):
            read[name] |= set(range(begin, end))
        names = own.sources(step)
        assert sum(end - begin for _, begin, end in own.reads(step)) == names.size == B * T
    assert own.tokens(until) == until * B * T
    assert own.unique_tokens(until) == sum(map(len, read.values()))
    total = sum(share * len(own.lanes.stream.shards[name]) for name, share in own.epochs().items())
    assert total == pytest.approx(own.tokens(STEPS))
