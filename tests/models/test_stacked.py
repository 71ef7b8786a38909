"""A stack of decoders against its members alone: losses, gradients, whole trainings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from assay.errors import InputError
from assay.models.blocks import BlockConfig
from assay.models.build import build
from assay.models.decoder import Decoder, DecoderConfig, proxy, standard
from assay.models.protocol import Batch, Penalties
from assay.models.stacked import StackedConfig, StackedDecoder, stacked
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig

V, T, B = 40, 12, 3
SHAPES: dict[str, DecoderConfig] = {
    "proxy": proxy(V, 2, 16, 2, max_length=T),
    "proxy, value embeddings": proxy(V, 2, 16, 2, max_length=T, value_embeddings=True),
    "Qwen3": standard(V, 2, 16, 4, kv_heads=2, max_length=T),
    "GPT-2": DecoderConfig(
        V, 2, BlockConfig(16, 2, activation="gelu_tanh", norm="layer", gains=True, biases="all", qk_norm=False,
                          rotary=None),
        positions="learned", embedding_norm=False, tied=True, max_length=T, init="gpt2",
    ),
}  # fmt: skip
SEEDS = (3, 1, 4)
MUON = OptimizerConfig(weight_decay=0.01, l1=1e-5, clip_value=1.0)


def rows(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, V, (B, T + 1), generator=generator)
    ids[torch.rand(B, T + 1, generator=generator) < 0.15] = 0
    targets = ids[:, 1:].clone()
    targets[torch.rand(B, T, generator=generator) < 0.2] = -1
    inputs = ids[:, :-1].contiguous()
    return Batch(inputs, targets, (inputs == 0).cumsum(1))


def together(batches: list[Batch]) -> Batch:
    parts = [(b.inputs_BT, b.targets_BT, b.segments_BT) for b in batches]
    return Batch(*(torch.cat(own) for own in zip(*parts, strict=True)))  # type: ignore[arg-type]


def noisy(model: Decoder, seed: int) -> Decoder:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


@pytest.mark.parametrize("shape", SHAPES)
def test_a_member_computes_what_it_does_alone(shape: str) -> None:
    alone = [noisy(Decoder(SHAPES[shape], None), seed) for seed in SEEDS]
    stack = stacked([noisy(Decoder(SHAPES[shape], None), seed) for seed in SEEDS])
    batches = [rows(seed) for seed in range(len(SEEDS))]
    loss = stack.loss(together(batches))
    loss.mean.backward()
    assert {name: p.shape[1:] for name, p in stack.named_parameters()} == {
        name: p.shape for name, p in alone[0].named_parameters()
    }
    for m, (model, batch) in enumerate(zip(alone, batches, strict=True)):
        own = model.loss(batch)
        own.mean.backward()
        torch.testing.assert_close(loss.losses_BT[m * B : (m + 1) * B], own.losses_BT, rtol=1e-4, atol=1e-5)
        for name, parameter in model.named_parameters():
            found = stack.get_parameter(name).grad
            assert found is not None
            assert parameter.grad is not None
            torch.testing.assert_close(found[m], parameter.grad, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("optimizer", [MUON, replace(MUON, matrix="adamw")], ids=["muon", "adamw"])
@pytest.mark.parametrize("shape", SHAPES)
def test_members_train_as_they_do_alone(shape: str, optimizer: OptimizerConfig) -> None:
    config = SHAPES[shape]
    together_state = TrainState(TrainSpec(StackedConfig(config, SEEDS), optimizer, seed=0))
    alone = [TrainState(TrainSpec(config, optimizer, seed)) for seed in SEEDS]
    for step in range(4):
        batches = [rows(10 * step + m) for m in range(len(SEEDS))]
        losses = together_state.update(together(batches), 0.5)
        for m, state in enumerate(alone):
            own = state.update(batches[m], 0.5)
            torch.testing.assert_close(losses[m * B : (m + 1) * B], own, rtol=1e-3, atol=1e-4)
    model = together_state.model
    assert isinstance(model, StackedDecoder)
    for m, state in enumerate(alone):
        for name, parameter in model.member(m).named_parameters():
            torch.testing.assert_close(parameter, state.masters[name].detach(), rtol=1e-3, atol=1e-4, msg=name)


def test_a_stack_goes_on_where_it_stood() -> None:
    spec = TrainSpec(StackedConfig(SHAPES["Qwen3"], SEEDS), MUON, seed=0)
    whole, other = TrainState(spec), TrainState(spec)
    batches = [together([rows(10 * step + m) for m in range(len(SEEDS))]) for step in range(4)]
    for batch in batches[:2]:
        whole.update(batch, 1.0)
    other.load(whole.copy())
    for state in (whole, other):
        for batch in batches[2:]:
            state.update(batch, 1.0)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


def test_what_a_stack_cannot_do_is_refused() -> None:
    config = StackedConfig(SHAPES["proxy"], SEEDS)
    for spec in (
        TrainSpec(config, replace(MUON, clip_norm=1.0), 0),
        TrainSpec(config, MUON, 0, micro_rows=2),
        TrainSpec(config, replace(MUON, rest="adafactor"), 0),
    ):
        with pytest.raises(InputError, match="members of a stack"):
            TrainState(spec)
    model = build(config, None)
    assert isinstance(model, StackedDecoder)
    with pytest.raises(InputError, match="neither penalties"):
        model.loss(together([rows(0)] * 3), Penalties(z=0.1))
    with pytest.raises(ValueError, match="4 rows for 3 members"):
        model.loss(Batch(torch.ones(4, T, dtype=torch.int64), torch.ones(4, T, dtype=torch.int64)))
