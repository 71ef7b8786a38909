"""Embeddings of the tokens that are added to values: against the plain reference, cached, packed, grouped, counted."""

from __future__ import annotations

from dataclasses import replace

import plain_decoder as reference
import pytest
import torch
from torch.nn import functional

from assay.models.blocks import BlockConfig
from assay.models.decoder import Decoder, DecoderConfig, proxy
from assay.models.protocol import Batch

CONFIG = proxy(37, layers=3, width=24, heads=3, rotary_base=50.0, max_length=64, value_embeddings=True)
GROUPED = replace(CONFIG, block=BlockConfig(24, 4, kv_heads=2, window=5))
LENGTHS = [7, 1, 12]


def decoder(config: DecoderConfig = CONFIG, dtype: torch.dtype = torch.float32) -> Decoder:
    """Every parameter at work."""
    model = Decoder(config, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.to(dtype)


def row() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 37, (1, sum(LENGTHS)), generator=torch.Generator().manual_seed(3))
    return ids, torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))[None]


@pytest.mark.parametrize("fusable", [True, False])
def test_losses_and_gradients_are_those_of_the_plain_reference(fusable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockConfig, "fusable", fusable)
    model, plain = decoder(), decoder(dtype=torch.float64)
    ids, segments = row()
    loss = model.loss(Batch(ids, ids.roll(-1, 1), segments))
    loss.mean.backward()
    expected = functional.cross_entropy(reference.logits(plain, ids, segments).flatten(0, 1), ids.roll(-1, 1).flatten())
    expected.backward()
    torch.testing.assert_close(loss.mean.double(), expected, rtol=1e-5, atol=1e-6)
    theirs = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0, name
        torch.testing.assert_close(parameter.grad.double(), theirs[name].grad, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("config", [CONFIG, GROUPED])
@torch.no_grad()
def test_packed_is_unpacked_and_one_by_one_is_at_once(config: DecoderConfig) -> None:
    model = decoder(config)
    ids, segments = row()
    alone = torch.cat([model(part) for part in ids.split(LENGTHS, dim=1)], dim=1)
    torch.testing.assert_close(model(ids, segments), alone, rtol=1e-4, atol=1e-5)
    memories = model.memories()
    pieces = [model(part, memories=memories) for part in ids.split([6, 1, 1, 8, 4], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(ids), rtol=1e-4, atol=1e-5)


def test_tables_are_embeddings_and_no_work_of_products() -> None:
    model, without = decoder(), decoder(replace(CONFIG, value_embeddings=False))
    assert sorted(model.values) == ["0", "2"]  # every other layer, the last among them
    roles = model.roles()
    assert {roles[f"values.{i}.embedding"] for i in (0, 2)} == {"embedding"}
    assert {roles[f"values.{i}.gate"] for i in (0, 2)} == {"vector"}
    (inside, total), (inside_before, total_before) = model.n_parameters(), without.n_parameters()
    gates, tables = 2 * 3, 2 * 37 * 24
    assert inside - inside_before == gates
    assert total - total_before == gates + tables
    assert total == sum(p.numel() for p in model.parameters())
    assert model.flops_per_token(32) == without.flops_per_token(32)


def test_a_fresh_model_without_them_is_what_it_was() -> None:
    """Their weights are drawn last, so that those of a seed do not depend on them."""
    fresh, plain = (
        Decoder(replace(CONFIG, value_embeddings=wanted), torch.Generator().manual_seed(5)) for wanted in (True, False)
    )
    assert all(torch.equal(fresh.state_dict()[name], tensor) for name, tensor in plain.state_dict().items())
    assert (fresh.values["2"].gate == 1).all()
