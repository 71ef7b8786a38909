"""The short way of a step is the long way, and is left where a model has more to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from assay.models.blocks import BlockConfig
from assay.models.decoder import Decoder, DecoderConfig
from assay.models.lora import LoraConfig, adapt
from assay.models.presets import Size, preset
from assay.models.stepping import Steps

V = 30
PLAIN = BlockConfig(32, 4)
SHAPES: dict[str, DecoderConfig] = {
    **{name: preset(name, Size(V, 2, 32, 4, 24)) for name in ("proxy", "standard", "gpt2", "llama")},
    "grouped": DecoderConfig(V, 2, replace(PLAIN, kv_heads=2, head_width=10, gated=True, gains=True, rotary="halves")),
    "biased": DecoderConfig(V, 2, replace(PLAIN, biases="qkv", norm="layer", gains=True, scaled=False, qk_norm=False)),
    "capped": DecoderConfig(V, 2, PLAIN, softcap=3.0, tied=True, embedding_norm=False),
}  # fmt: skip


def made(config: DecoderConfig) -> Decoder:
    model = Decoder(config, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


@torch.inference_mode()
@pytest.mark.parametrize("lead", [None, [0, 4, 2]])
@pytest.mark.parametrize("name", SHAPES)
def test_steps_are_those_of_the_model(name: str, lead: list[int] | None) -> None:
    """Past the place where the memory grows, too."""
    model = made(SHAPES[name])
    assert Steps.possible(model)
    steps, ids = Steps(model), torch.randint(0, V, (3, 16), generator=torch.Generator().manual_seed(2))
    lead_B = None if lead is None else torch.tensor(lead)
    short, long = model.memories(), model.memories()
    for memories in (short, long):
        model.hidden(ids[:, :5], None, memories, lead_B)
    for t in range(5, 16):
        found = steps.hidden(ids[:, t], short, lead_B)
        torch.testing.assert_close(found, model.hidden(ids[:, t : t + 1], None, long, lead_B), rtol=1e-5, atol=1e-5)
    for (a, _), (b, _) in zip(short, long, strict=True):
        for x, y in zip(a.all(), b.all(), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("more", [{"window": 4}, {"norm_place": "after"}])
def test_what_has_more_to_it_goes_the_long_way(more: dict[str, Any]) -> None:
    config = DecoderConfig(V, 2, PLAIN)
    assert Steps.possible(made(config))
    assert not Steps.possible(made(replace(config, block=replace(PLAIN, **more))))
    assert not Steps.possible(made(replace(config, value_embeddings=True)))
    hooked = made(config)
    hooked.blocks[0].mlp.register_forward_hook(lambda *given: None)
    assert not Steps.possible(hooked)
    adapted = made(config)
    adapt(adapted, LoraConfig(), torch.Generator().manual_seed(0))
    assert not Steps.possible(adapted)
