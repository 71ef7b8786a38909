"""Blocks that are computed anew in the backward pass: the very gradients, dropout included, for less memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from assay.errors import InputError
from assay.models.blocks import Block
from assay.models.build import ModelConfig, build
from assay.models.decoder import proxy, standard
from assay.models.encoder import bert, modern
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import t5, transformer

V, ROWS, T = 40, 3, 12
GROUPED = standard(V, 2, 24, 4, 2)
MODELS: dict[str, ModelConfig] = {
    "proxy": proxy(V, 2, 24, 3),
    "proxy, value embeddings": proxy(V, 2, 24, 3, value_embeddings=True),
    "standard, dropout": replace(GROUPED, block=replace(GROUPED.block, dropout=0.2, attention_dropout=0.2)),
    "bert, dropout": bert(V, 2, 24, 3),
    "modern": modern(V, 2, 24, 3),
    "transformer, dropout": transformer(V, 2, 24, 3),
    "t5, dropout": t5(V, 2, 24, 3),
}


def batch() -> Batch:
    generator = torch.Generator().manual_seed(2)
    ids, source = (torch.randint(0, V, (ROWS, T), generator=generator) for _ in range(2))
    segments = torch.arange(T).ge(5).long().expand(ROWS, T).contiguous()
    return Batch(ids, ids.roll(-1, 1), segments, None, source, segments)


def gradients(config: ModelConfig, *, checkpointing: bool) -> tuple[Tensor, dict[str, Tensor | None]]:
    model: Any = build(config, torch.Generator().manual_seed(0), checkpointing=checkpointing)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    torch.manual_seed(4)
    loss = model.loss(batch())
    loss.mean.backward()
    return loss.losses_BT, {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_are_bitwise_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[nn.Module] = []
    forward = Block.forward
    monkeypatch.setattr(Block, "forward", lambda block, *a, **k: runs.append(block) or forward(block, *a, **k))
    losses, kept = gradients(MODELS[name], checkpointing=False)
    once = len(runs)
    again, anew = gradients(MODELS[name], checkpointing=True)
    assert len(runs) == 3 * once  # as often as before, and as often again in the backward pass
    assert torch.equal(losses, again)
    for key, gradient in kept.items():
        assert gradient is not None
        assert torch.equal(gradient, anew[key]), key


def test_less_is_kept_for_the_backward_pass() -> None:
    """Bytes that autograd holds besides weights, counted where it takes them: an input a block, not its insides."""

    def kept(checkpointing: bool) -> int:
        model: Any = build(proxy(V, 6, 24, 3), torch.Generator().manual_seed(0), checkpointing=checkpointing)
        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = model.loss(batch())  # held until here, or storages would share addresses
        assert loss.mean.requires_grad
        return sum(sizes.values())

    assert kept(True) < kept(False) / 4


def test_nothing_is_computed_twice_without_gradients_and_a_cache_grows_once() -> None:
    model: Any = build(proxy(V, 2, 24, 3), torch.Generator().manual_seed(0), checkpointing=True)
    memories = model.memories()
    model(batch().inputs_BT, memories=memories).sum().backward()
    assert memories[0][0].length == T
    assert "checkpointing" not in str(model.config)


def test_a_recurrent_model_has_nothing_to_checkpoint() -> None:
    with pytest.raises(InputError, match="no blocks"):
        build(RecurrentConfig(V, 1, 8), None, checkpointing=True)
