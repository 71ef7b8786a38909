"""Layers, heads and units taken out: those that do nothing go first, and then nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from assay.compress import cutting
from assay.errors import InputError
from assay.models import interop
from compressed import CONFIGS, awake, batch, said

FAMILIES = ["proxy", "standard", "bert", "transformer", "headed"]


def _rows(name: str, n: int = 4) -> list[Any]:
    return [batch(name, 1, 10, seed) for seed in range(n)]


def _inner(model: Any) -> Any:
    return getattr(model, "body", model)


@torch.no_grad()
def test_a_layer_that_does_nothing_goes_first_and_nothing_changes() -> None:
    model = awake(CONFIGS["standard"])
    model.blocks[1].attention.out.weight.zero_()
    model.blocks[1].mlp.down.weight.zero_()
    found = cutting.influence(model, _rows("standard"))["blocks"]
    assert found[1] == pytest.approx(0, abs=1e-6)
    assert min(found[0], found[2]) > 0.01
    smaller = cutting.cut(model, _rows("standard"), layers=2, heads=None, width=None)
    given = batch("standard", seed=8)
    assert smaller.config.layers == 2  # type: ignore[union-attr]
    torch.testing.assert_close(said(smaller, "standard", given), said(model, "standard", given))


def test_block_influence_is_one_less_the_cosine_of_in_and_out() -> None:
    model = awake(CONFIGS["bert"])
    states: list[tuple[Tensor, Tensor]] = []
    hook = model.blocks[1].register_forward_hook(lambda _, given, out: states.append((given[0][0], out[0])))
    for row in _rows("bert"):
        said(model, "bert", row)
    hook.remove()
    cosines = [float(a @ b / (a.norm() * b.norm())) for x, y in states for a, b in zip(x, y, strict=True)]
    wanted = 1 - sum(cosines) / len(cosines)
    assert cutting.influence(model, _rows("bert"))["blocks"][1] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_heads_that_nothing_reads_go_and_nothing_changes(name: str) -> None:
    """In every attention, that of decoders to their source, too; with grouped heads, whole groups."""
    model = awake(CONFIGS[name])
    b = _inner(model).config.block
    shared = b.heads // b.groups
    with torch.no_grad():
        for i, (_, module) in enumerate(
            (path, m) for path, m in model.named_modules() if isinstance(m, cutting.Attention)
        ):
            idle = (1 + i) % b.groups
            size = shared * b.key_width
            module.out.weight[:, idle * size : (idle + 1) * size] = 0
    kept = b.heads - shared
    smaller = cutting.cut(model, _rows(name), layers=None, heads=kept, width=None)
    c = _inner(smaller).config.block
    assert (c.heads, c.groups, c.key_width) == (kept, b.groups - 1, b.key_width)
    given = batch(name, seed=8)
    torch.testing.assert_close(said(smaller, name, given), said(model, name, given), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [*FAMILIES, "t5"])
def test_units_that_nothing_reads_go_and_nothing_changes(name: str) -> None:
    model = awake(CONFIGS[name])
    inner = _inner(model).config.block.inner
    idle = torch.randperm(inner, generator=torch.Generator().manual_seed(0))[: inner // 3]
    with torch.no_grad():
        for path, module in model.named_modules():
            if path.endswith(".mlp.down"):
                module.weight[:, idle] = 0
    rows = _rows(name, 40)  # so many that every other unit of ReLU is at work somewhere
    smaller = cutting.cut(model, rows, layers=None, heads=None, width=inner - len(idle))
    assert _inner(smaller).config.block.inner == inner - len(idle)
    given = batch(name, seed=8)
    torch.testing.assert_close(said(smaller, name, given), said(model, name, given), atol=1e-5, rtol=1e-4)


def test_a_unit_counts_by_what_the_loss_says_of_it() -> None:
    """|x dL/dx|, against differences of the loss."""
    model, row = awake(CONFIGS["bert"]), _rows("bert", 1)[0]
    found = cutting.importance(model, [row], {"blocks.1.mlp.down": 1})["blocks.1.mlp.down"]
    layer, wanted = model.blocks[1].mlp.down, torch.zeros(len(found), dtype=torch.float64)
    model = model.double()
    with torch.no_grad():
        for unit in range(0, len(found), 7):
            for place in range(row.inputs_BT.shape[1]):
                losses = []
                for step in (1e-4, -1e-4):
                    hook = layer.register_forward_pre_hook(
                        lambda _, x, s=step, u=unit, p=place: (_scaled(x[0], s, u, p),)
                    )
                    losses.append(float(model.loss(row).mean))
                    hook.remove()
                wanted[unit] += abs(losses[0] - losses[1]) / 2e-4
    some = slice(0, None, 7)
    torch.testing.assert_close(found[some], wanted[some], atol=1e-5, rtol=1e-2)


def _scaled(x: Tensor, step: float, unit: int, place: int) -> Tensor:
    """Of one number more by a share of itself: the loss changes by that share of x dL/dx."""
    x = x.clone()
    x[:, place, unit] *= 1 + step
    return x


def test_without_a_loss_parts_count_by_what_they_add() -> None:
    model = awake(CONFIGS["headed"])
    rows = [type(row)(row.inputs_BT, torch.full_like(row.targets_BT, -1)) for row in _rows("headed")]
    with torch.no_grad():
        model.body.blocks[0].mlp.down.weight[:, 5:] *= 0.01
    kept = cutting.importance(model, rows, {"body.blocks.0.mlp.down": 1})["body.blocks.0.mlp.down"]
    assert set(kept.argsort(descending=True)[:4].tolist()) <= set(range(5))


def test_a_narrower_decoder_is_what_transformers_opens(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    smaller = cutting.cut(awake(CONFIGS["standard"]), _rows("standard"), layers=2, heads=2, width=100)
    interop.save(smaller, tmp_path, native=False)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    given = batch("standard", seed=8)
    with torch.no_grad():
        wanted = theirs(given.inputs_BT).logits
    torch.testing.assert_close(said(smaller, "standard", given), wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "asked", "match"),
    [
        ("standard", {"layers": 3}, "3 of 3 are to stay"), ("standard", {"layers": 0}, "0 of 3"),
        ("standard", {"heads": 3}, "no multiple"), ("standard", {"width": 9999}, "are to stay"),
        ("t5", {"heads": 2}, "order all layers share"),
    ],
)  # fmt: skip
def test_parts_that_are_not_there_are_refused(name: str, asked: dict[str, int], match: str) -> None:
    parts: Any = {"layers": None, "heads": None, "width": None, **asked}
    with pytest.raises(InputError, match=match):
        cutting.cut(awake(CONFIGS[name]), _rows(name), **parts)
