"""Whole parts taken out of a model: layers, attention heads, units of the MLP. What is left is ordinary, and smaller.

    layers   those whose output is least unlike their input go: block influence, 1 - cosine (Men et al. 2024)
    heads    in each layer those that matter least to the loss: |x . dL/dx| of what a head hands on (Michel et al. 2019)
    width    units of each MLP, by the same (Molchanov et al. 2017)

Where nobody says what the loss is, a part counts by how much it adds to the outputs: its size times that of the weights
that read it. The model's own width stays: a norm sums over all of it, so none of it can go and leave the rest as it
was.

Shapes: U units (heads, or numbers within an MLP) of K numbers each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.compress.walking import blocks, run
from assay.errors import InputError
from assay.models import quantized
from assay.models.blocks import Attention, Block
from assay.models.build import Neural, build
from assay.models.heads import Headed
from assay.models.protocol import Batch


def cut(model: Neural, batches: Sequence[Batch], *, layers: int | None, heads: int | None, width: int | None) -> Neural:
    """The model with so many layers (of each side), heads and units of the MLP.

    Raises:
        InputError: it has no such parts, or fewer.
    """
    if not blocks(model):
        raise InputError("has no blocks to take parts out of", remedy="give a decoder, encoder or encoder-decoder")
    if layers is not None:
        _check(layers, min(len(own) for own in sides(model).values()), "--layers")
        found = influence(model, batches)
        model = with_layers(model, {side: _most(torch.tensor(own), layers) for side, own in found.items()})
    if heads is not None:
        model = _with_heads(model, batches, heads)
    if width is not None:
        model = _with_width(model, batches, width)
    return model.eval()


def _check(asked: int, there: int, where: str) -> None:
    if not 0 < asked < there:
        raise InputError(f"{asked} of {there} are to stay", where=where, remedy=f"give 1 to {there - 1}")


def _most(scores: Tensor, n: int) -> list[int]:
    """The places of the n highest scores, in their order."""
    return sorted(scores.argsort(descending=True, stable=True)[:n].tolist())


def sides(model: nn.Module) -> dict[str, list[Block]]:
    """The blocks of each stack, by the name of the stack."""
    found: dict[str, list[Block]] = {}
    for name, block in blocks(model):
        found.setdefault(name.rpartition(".")[0], []).append(block)
    return found


@torch.no_grad()
def influence(model: Neural, batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Of each block 1 less the mean cosine of what goes in and what comes out, over all positions."""
    model.eval()
    names = {id(block): (side, i) for side, own in sides(model).items() for i, block in enumerate(own)}
    sums = {place: [0.0, 0] for place in names.values()}

    def after(block: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        cosines = functional.cosine_similarity(given[0], out, dim=-1)
        own = sums[names[id(block)]]
        own[0] += float(cosines.double().sum())
        own[1] += cosines.numel()

    hooks = [block.register_forward_hook(after) for _, block in blocks(model)]
    try:
        for batch in batches:
            run(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        side: [1 - sums[side, i][0] / sums[side, i][1] for i in range(len(own))] for side, own in sides(model).items()
    }


def with_layers(model: Neural, kept: dict[str, list[int]]) -> Neural:
    """The model with these blocks of each stack alone, in this order.

    Raises:
        InputError: layers have embeddings of their own.
    """
    if getattr(_inner(model).config, "value_embeddings", False):
        raise InputError("has layers with embeddings of their own, at places of their own", remedy="leave layers out")
    old: dict[str, Tensor] = dict(model.named_parameters())
    new: dict[str, Tensor] = {}
    for name, tensor in old.items():
        side = next((side for side in kept if name.startswith(f"{side}.")), None)
        if side is None:
            new[name] = tensor
            continue
        number, _, rest = name.removeprefix(f"{side}.").partition(".")
        for place in (i for i, own in enumerate(kept[side]) if own == int(number)):
            new[f"{side}.{place}.{rest}"] = tensor
    counts = tuple(len(own) for own in kept.values())
    return rebuilt(model, {"layers": counts if len(counts) > 1 else counts[0]}, {}, new)


def rebuilt(model: Neural, changed: dict[str, Any], in_block: dict[str, Any], state: dict[str, Tensor]) -> Neural:
    """A model of a changed config, with these parameters."""
    config = _inner(model).config
    config = replace(config, **changed, block=replace(config.block, **in_block))
    made = build(replace(model.config, body=config) if isinstance(model, Headed) else config, None)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(state[name])
    return made.eval()


def _inner(model: Neural) -> Any:
    return model.body if isinstance(model, Headed) else model


def importance(model: Neural, batches: Sequence[Batch], which: dict[str, int]) -> dict[str, Tensor]:
    """(U,) how much the units of some layers' inputs matter.

    Args:
        which: names of layers, and K, the numbers of a unit.
    """
    model.eval()
    for _, block in blocks(model):
        block.fusable = False
    layers = {name: layer for name, layer in quantized.layers(model) if name in which}
    found = {name: torch.zeros(layer.in_features // which[name], dtype=torch.float64) for name, layer in layers.items()}
    by_loss = all(bool((batch.targets_BT >= 0).any()) for batch in batches)
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            x = inputs[0].detach().requires_grad_() if not inputs[0].requires_grad else inputs[0]
            if by_loss:
                x.retain_grad()
            given[name] = x
            return (x,)

        return before

    hooks = [layer.register_forward_pre_hook(keep(name)) for name, layer in layers.items()]
    try:
        for batch in batches:
            if by_loss:
                model.loss(batch).mean.backward()
            else:
                with torch.no_grad():
                    run(model, batch)
            for name, x in given.items():
                found[name] += _counted(x, layers[name].weight, which[name], by_loss)
            given.clear()
            model.zero_grad(set_to_none=True)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _counted(x: Tensor, weight_OI: Tensor, size: int, by_loss: bool) -> Tensor:
    """(U,)."""
    x_NI = x.detach().flatten(0, -2).double()
    if by_loss:
        assert x.grad is not None
        return (x_NI * x.grad.flatten(0, -2)).unflatten(1, (-1, size)).sum(2).abs().sum(0)
    lengths = weight_OI.detach().double().norm(dim=0)
    return (x_NI * lengths).square().sum(0).unflatten(0, (-1, size)).sum(1)


def _with_heads(model: Neural, batches: Sequence[Batch], heads: int) -> Neural:
    """Heads of queries go with their keys and values: those of one group together."""
    config = _inner(model).config
    b = config.block
    shared = b.heads // b.groups
    _check(heads, b.heads, "--heads")
    if heads % shared:
        raise InputError(
            f"{shared} heads share their keys and values, and {heads} is no multiple of that", where="--heads",
            remedy=f"give {max(1, heads // shared) * shared}, say",
        )  # fmt: skip
    if getattr(config, "positions", "") == "relative" or getattr(config, "value_embeddings", False):
        raise InputError("has heads whose order all layers share", where="--heads", remedy="cut layers or width")
    modules = {name: module for name, module in model.named_modules() if isinstance(module, Attention)}
    found = importance(model, batches, {f"{name}.out": shared * b.key_width for name in modules})
    state: dict[str, Tensor] = dict(model.named_parameters())
    for name in modules:
        kept = _most(found[f"{name}.out"], heads // shared)
        queries, keys = _rows(kept, shared * b.key_width), _rows(kept, b.key_width)
        size, all_queries = b.groups * b.key_width, b.heads * b.key_width
        rows = {
            "qkv": torch.cat([queries, all_queries + keys, all_queries + size + keys]),
            "q": queries, "kv": torch.cat([keys, size + keys]),
        }  # fmt: skip
        for own, places in rows.items():
            for kind in ("weight", "bias"):
                if (full := f"{name}.{own}.{kind}") in state:
                    state[full] = state[full][places]
        state[f"{name}.out.weight"] = state[f"{name}.out.weight"][:, queries]
    groups = heads // shared
    return rebuilt(
        model, {}, {"heads": heads, "kv_heads": None if shared == 1 else groups, "head_width": b.key_width}, state
    )


def _rows(kept: list[int], size: int) -> Tensor:
    """The rows of these units of so many each."""
    return (torch.tensor(kept)[:, None] * size + torch.arange(size)).flatten()


def _with_width(model: Neural, batches: Sequence[Batch], width: int) -> Neural:
    b = _inner(model).config.block
    _check(width, b.inner, "--width")
    names = [f"{name}.mlp" for name, _ in blocks(model)]
    found = importance(model, batches, {f"{name}.down": 1 for name in names})
    state: dict[str, Tensor] = dict(model.named_parameters())
    for name in names:
        kept = torch.tensor(_most(found[f"{name}.down"], width))
        rows = torch.cat([kept, b.inner + kept]) if b.gated else kept
        for kind in ("weight", "bias"):
            if (full := f"{name}.up.{kind}") in state:
                state[full] = state[full][rows]
        state[f"{name}.down.weight"] = state[f"{name}.down.weight"][:, kept]
    return rebuilt(model, {}, {"mlp_width": width}, state)
