"""One new token a row through a decoder, as generation asks for it: `Decoder.hidden` without what that does not need.

A step of a small model on a CPU is half Python: modules that call modules, shapes that hold a length of one, views that
are the same for all layers. Here the weights of all layers are looked up once for all steps, a row is a vector, and a
step is a loop over plain functions; the tests hold it equal to `Decoder.hidden`. What has more to it (windows, value
embeddings, adapters, hooks, weights that are spread over devices, norms behind their layers) goes the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models import attention
from assay.models.blocks import ACTIVATIONS, MLP, Attention, Block, Norm, RotaryTable, rotate
from assay.models.decoder import Decoder
from assay.models.memory import Memory

_KNOWN = (Decoder, Block, Attention, MLP, Norm, RotaryTable, nn.Linear, nn.ModuleList, nn.ModuleDict)
Normed = Callable[[Tensor], Tensor]
Linear = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class _Layer:
    """What one block computes with."""

    attention_norm: Normed
    qkv: Linear
    q_norm: Normed | None
    k_norm: Normed | None
    out: Linear
    mlp_norm: Normed
    up: Linear
    down: Linear


class Steps:
    """A decoder's steps.

    Args:
        model: for which `possible` holds; as it is now: its weights may change in place, and not be replaced.
    """

    def __init__(self, model: Decoder) -> None:
        c = model.config.block
        self._model, self._c = model, c
        self._heads, self._groups, self._width = c.heads, c.groups, c.key_width
        self._sizes = [c.heads, c.groups, c.groups]
        self._scale = None if c.scaled else 1.0
        self._activation = ACTIVATIONS[c.activation]
        self._norm = _normed(model.norm)
        self._first = None if model.embedding_norm is None else _normed(model.embedding_norm)
        self._layers = [_layer(block) for block in model.blocks if isinstance(block, Block)]

    @staticmethod
    def possible(model: Decoder) -> bool:
        """Whether this computes what the model does."""
        c = model.config.block
        if c.window is not None or c.norm_place != "before" or len(model.values) or "hidden" in vars(model):
            return False
        if not all(type(parameter) is nn.Parameter for parameter in model.parameters()):
            return False
        return all(
            type(module) in _KNOWN and not module._forward_hooks and not module._forward_pre_hooks
            for module in model.modules()
        )

    def hidden(self, ids_B: Tensor, memories: list[tuple[Memory, Memory]], lead_B: Tensor | None) -> Tensor:
        """(B, 1, D): as `Decoder.hidden` of ids (B, 1)."""
        model, past = self._model, memories[0][0].length
        view = model._view(ids_B[:, None], None, past, lead_B, cached=True)
        x_BD = functional.embedding(ids_B, model.embedding)
        where_B = None if lead_B is None else (past - lead_B).clamp_min(0)
        if model.positions is not None:
            x_BD = x_BD + (model.positions[past] if where_B is None else model.positions[where_B])
        if self._first is not None:
            x_BD = self._first(x_BD)
        rotary = None
        if model.rotary is not None:
            at = past if where_B is None else where_B[:, None]
            rotary = model.rotary.cos[at], model.rotary.sin[at]
        for layer, (memory, _) in zip(self._layers, memories, strict=True):
            x_BD = x_BD + self._attended(layer, x_BD, view, rotary, memory)
            hidden = functional.linear(layer.mlp_norm(x_BD), *layer.up)
            if self._c.gated:
                gate, hidden = hidden.chunk(2, dim=-1)
                hidden = self._activation(gate) * hidden
            else:
                hidden = self._activation(hidden)
            x_BD = x_BD + functional.linear(hidden, *layer.down)
        return self._norm(x_BD)[:, None]

    def _attended(
        self, layer: _Layer, x_BD: Tensor, view: attention.View, rotary: tuple[Tensor, Tensor] | None, memory: Memory
    ) -> Tensor:
        heads_BHK = functional.linear(layer.attention_norm(x_BD), *layer.qkv).view(len(x_BD), -1, self._width)
        q, k, v = heads_BHK.split(self._sizes, dim=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = layer.q_norm(q), layer.k_norm(k)
        if rotary is not None and self._c.rotary is not None:
            q, k = rotate(q, *rotary, self._c.rotary), rotate(k, *rotary, self._c.rotary)
        keys, values = memory.append(k, v)
        y_BHTK = attention.attend(q[:, :, None], keys, values, view, scale=self._scale)
        return functional.linear(y_BHTK.flatten(1), *layer.out)


def _layer(block: Block) -> _Layer:
    a, m = block.attention, block.mlp
    q_norm, k_norm = (None if norm is None else _normed(norm) for norm in (a.q_norm, a.k_norm))
    linear = [(part.weight, part.bias) for part in (a.qkv, a.out, m.up, m.down)]
    qkv, out, up, down = linear
    return _Layer(_normed(block.attention_norm), qkv, q_norm, k_norm, out, _normed(block.mlp_norm), up, down)


def _normed(norm: Norm) -> Normed:
    """A norm as a function of its numbers."""
    shape, weight, bias, epsilon = (norm.width,), norm.weight, norm.bias, norm.epsilon
    if norm.kind == "layer":
        return lambda x: torch.layer_norm(x, shape, weight, bias, epsilon)
    return lambda x: torch.rms_norm(x, shape, weight, epsilon)
