"""Low-rank adapters: nothing at first, the sum of a matrix and a product, and merged without a difference."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from assay.errors import InputError
from assay.models import lora
from assay.models.build import build
from assay.models.decoder import standard
from assay.models.encoder import bert
from assay.models.heads import HeadConfig, HeadedConfig
from assay.models.lora import LoraConfig
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig

CONFIGS = {
    "decoder": standard(40, 2, 32, 2),
    "encoder": HeadedConfig(bert(40, 2, 32, 2, head=False), HeadConfig("class", 3)),
}


def _made(name: str) -> tuple[nn.Module, Batch]:
    model = build(CONFIGS[name], torch.Generator().manual_seed(0)).eval()
    ids = torch.randint(0, 40, (4, 8), generator=torch.Generator().manual_seed(1))
    targets = ids.roll(-1, 1) if name == "decoder" else torch.tensor([[0], [1], [2], [1]])
    return model, Batch(ids, targets)


def _trained(model: nn.Module, batch: Batch, steps: int = 5) -> None:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(batch).mean.backward()  # type: ignore[operator]
        optimizer.step()


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_adapters_begin_as_nothing_learn_and_are_merged_without_a_difference(name: str, dora: bool) -> None:
    model, batch = _made(name)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with torch.no_grad():
        first = model.loss(batch).mean  # type: ignore[operator]
    lora.adapt(model, LoraConfig(4, dora=dora), torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.allclose(model.loss(batch).mean, first, atol=1e-6)  # type: ignore[operator]
    _trained(model, batch)
    for n, tensor in before.items():  # what was there stays, but for the head of a task
        own = n if n in dict(model.named_parameters()) else lora.own_name(n)
        assert n.startswith(("output", "dense")) or torch.equal(model.get_parameter(own), tensor), n
    with torch.no_grad():
        adapted = model.loss(batch).mean  # type: ignore[operator]
        assert float(adapted) < float(first)
        lora.merged(model)
        assert torch.equal(model.loss(batch).mean, adapted)  # type: ignore[operator]
    assert [n for n, _ in model.named_parameters()] == list(before) or set(before) == set(
        dict(model.named_parameters())
    )


@pytest.mark.parametrize("dora", [False, True])
def test_the_weight_is_the_formula(dora: bool) -> None:
    layer = nn.Linear(6, 5)
    plain = layer.weight.detach().clone()
    block = nn.Module()
    block.blocks = nn.ModuleList([layer])
    lora.adapt(block, LoraConfig(2, 8.0, dora=dora), torch.Generator().manual_seed(0))
    adapter = layer.parametrizations["weight"][0]
    with torch.no_grad():
        adapter.up.normal_()
        wanted = plain + 8.0 / 2 * adapter.up @ adapter.down
        if dora:
            wanted = plain.norm(dim=1, keepdim=True) * wanted / wanted.norm(dim=1, keepdim=True)
        assert torch.allclose(layer.weight, wanted, atol=1e-6)


def test_chosen_layers_alone_have_adapters_and_few_numbers_are_trained() -> None:
    model, _ = _made("decoder")
    every = sum(p.numel() for p in model.parameters())
    lora.adapt(model, LoraConfig(2, targets=("*.attention.*",)), torch.Generator().manual_seed(0))
    adapted = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and parametrize.is_parametrized(m)]
    assert adapted
    assert all(".attention." in n for n in adapted)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) < every / 10


def test_rows_of_zeros_stay_numbers() -> None:
    layer = nn.Linear(4, 4)
    with torch.no_grad():
        layer.weight.zero_()
    block = nn.Module()
    block.blocks = nn.ModuleList([layer])
    lora.adapt(block, LoraConfig(2, dora=True), torch.Generator().manual_seed(0))
    layer(torch.ones(1, 4)).sum().backward()
    assert bool(layer.weight.isfinite().all())


def test_no_layer_of_that_name_is_refused() -> None:
    model, _ = _made("decoder")
    with pytest.raises(InputError, match="no layer is called nothing"):
        lora.adapt(model, LoraConfig(2, targets=("nothing",)), None)
    recurrent = build(RecurrentConfig(40, 1, 16), torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="no layer"):
        lora.adapt(recurrent, LoraConfig(2), None)
