"""A decoder in plain torch operations, written down once from the papers and shared by these tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.models.blocks import Block
from assay.models.decoder import Decoder

torch.set_num_threads(1)  # as in a worker of a fleet


def norm(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


def rotate(x_BHTK: Tensor, base: float) -> Tensor:
    """Rotary positions in complex numbers: the pair (2k, 2k + 1) of position t is turned by t * base^(-2k/K)."""
    T, K = x_BHTK.shape[-2:]
    pairs = torch.complex(x_BHTK[..., 0::2].double(), x_BHTK[..., 1::2].double())
    angle = torch.arange(T)[:, None] * base ** (-torch.arange(K // 2, dtype=torch.float64) * 2 / K)[None]
    turned = pairs * torch.polar(torch.ones_like(angle), angle)
    return torch.stack([turned.real, turned.imag], -1).flatten(-2).to(x_BHTK.dtype)


def side_by_side(K: int) -> Tensor:
    """Where the pairs' numbers stand half a head apart (Llama): the order that makes them neighbours, (K,)."""
    return torch.arange(K).view(2, K // 2).t().flatten()


def attention_inputs(x_BTD: Tensor, w_qkv: Tensor, n_heads: int, base: float) -> tuple[Tensor, Tensor, Tensor]:
    B, T, D = x_BTD.shape
    q, k, v = ((norm(x_BTD) @ w.t()).view(B, T, n_heads, D // n_heads).transpose(1, 2) for w in w_qkv.chunk(3))
    return rotate(norm(q), base), rotate(norm(k), base), v


def attention(q: Tensor, k: Tensor, v: Tensor, segments_BT: Tensor) -> Tensor:
    T, K = q.shape[-2:]
    may_look = torch.ones(T, T, dtype=torch.bool).tril() & (segments_BT[:, None, :] == segments_BT[:, :, None])
    scores = (q @ k.transpose(-1, -2)) / K**0.5
    return scores.masked_fill(~may_look[:, None], float("-inf")).softmax(-1) @ v


def attention_output(x_BTD: Tensor, y_BHTK: Tensor, w_out: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    x_BTD = x_BTD + y_BHTK.transpose(1, 2).flatten(2) @ w_out.t()
    return x_BTD + (norm(x_BTD) @ w_up.t()).relu().square() @ w_down.t()


def layers(block: Block) -> tuple[nn.Linear, ...]:
    return block.attention.qkv, block.attention.out, block.mlp.up, block.mlp.down


def logits(model: Decoder, ids_BT: Tensor, segments_BT: Tensor) -> Tensor:
    c = model.config
    x = norm(model.embedding[ids_BT])
    for i, block in enumerate(model.blocks):
        w_qkv, w_out, w_up, w_down = (layer.weight for layer in layers(block))
        q, k, v = attention_inputs(x, w_qkv, c.heads, c.rotary_base)
        if c.value_embeddings and (c.layers - 1 - i) % 2 == 0:
            added = model.values[str(i)]
            v = v + torch.einsum("btgk,g->bgtk", added.embedding[ids_BT].unflatten(-1, (c.heads, -1)), added.gate)
        x = attention_output(x, attention(q, k, v, segments_BT), w_out, w_up, w_down)
    return norm(x) @ (model.embedding if c.tied else model.head).t()
