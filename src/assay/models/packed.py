"""Attention over packed rows that builds no mask of (T, S) a row: FlexAttention and varlen, for GPUs.

    segments_BT --pieces--> where each document begins in the rows on end --by_pieces--> varlen_attn
    rule(b, h, t, s) --blocks--> which blocks of 128 x 128 are all, part or none --by_blocks--> flex_attention

Both skip what nobody looks at, so that packed rows cost about what their documents would cost alone (Dong et al. 2024
for FlexAttention; Dao 2024 for varlen). Neither has a kernel that trains on a CPU: FlexAttention's forward pass runs
there slowly and exactly, which the tests use.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import flex_attention as flex

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(row, head, query, key) -> whether that query sees that key."""


@dataclass(frozen=True)
class Pieces:
    """Rows on end, cut into documents.

    Attributes:
        bounds: (N + 1,) int32: document i is [bounds[i], bounds[i + 1]) of the B * T tokens.
        longest: tokens of the longest one.
    """

    bounds: Tensor
    longest: int


def pieces(segments_BT: Tensor) -> Pieces | None:
    """The runs of equal ids; None where an id returns within its row, since its runs then see one another."""
    B, T = segments_BT.shape
    begins_BT = functional.pad(segments_BT[:, 1:] != segments_BT[:, :-1], (1, 0), value=True)
    starts = begins_BT.flatten().nonzero().squeeze(1)
    ids = torch.stack([starts // T, segments_BT.flatten()[starts].to(starts.dtype)])
    if torch.unique(ids, dim=1).shape[1] != len(starts):
        return None
    bounds = torch.cat([starts, starts.new_tensor([B * T])])
    return Pieces(bounds.to(torch.int32), int(bounds.diff().max()))


@cache
def _varlen() -> Callable[..., Any] | None:
    """This PyTorch's kernel, where it has one with windows and grouped queries."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    known = inspect.signature(varlen_attn).parameters
    return varlen_attn if {"window_size", "enable_gqa", "scale"} <= known.keys() else None


@cache
def _half_precision_kernels(device: torch.device) -> bool:
    """FlashAttention asks for Ampere or later."""
    return torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= (8, 0)


def has_varlen(q: Tensor) -> bool:
    """Whether varlen has a kernel for this tensor."""
    return (
        q.is_cuda
        and q.dtype in (torch.bfloat16, torch.float16)
        and q.shape[-1] % 8 == 0
        and q.shape[-1] <= 256
        and _varlen() is not None
        and _half_precision_kernels(q.device)
    )


def by_pieces(
    q_BHTK: Tensor,
    k_BGTK: Tensor,
    v_BGTK: Tensor,
    cut: Pieces,
    *,
    causal: bool,
    window: int | None,
    scale: float | None,
) -> Tensor:  # fmt: skip
    """Attention within each piece: (B, H, T, K)."""
    kernel = _varlen()
    if kernel is None:
        raise ValueError("this PyTorch has no varlen_attn with windows and grouped queries")
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q_BHTK, k_BGTK, v_BGTK))
    # (left, right) are positions besides one's own; -1: all of them.
    left, right = (-1 if window is None else window - 1), (0 if causal else -1)
    out = kernel(
        q, k, v, cut.bounds, cut.bounds, cut.longest, cut.longest,
        scale=scale, window_size=(left, right), enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    return out.unflatten(0, (q_BHTK.shape[0], -1)).transpose(1, 2)


@cache
def _compiles() -> bool:
    """torch.compile writes Triton kernels for a GPU, and a C compiler builds what starts them."""
    compilers = filter(None, (os.environ.get("CC"), "cc", "gcc", "clang"))
    return importlib.util.find_spec("triton") is not None and any(shutil.which(name) for name in compilers)


def has_flex(q: Tensor) -> bool:
    """Whether FlexAttention trains with this tensor."""
    return q.is_cuda and q.shape[-1] >= 16 and _compiles()


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)


def blocks(rule: Rule, rows: int | None, T: int, S: int, device: torch.device) -> flex.BlockMask:
    """What FlexAttention needs to know of a rule; `rows` None where it is the same for all."""
    make = _compiled(flex.create_block_mask) if device.type == "cuda" else flex.create_block_mask
    return make(rule, rows, None, T, S, device=str(device))


def by_blocks(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, mask: flex.BlockMask, *, scale: float | None) -> Tensor:
    """Attention where the mask allows it: (B, H, T, K)."""
    kernel: Any = flex.flex_attention
    run = _compiled(kernel) if q_BHTK.is_cuda else kernel
    grouped = q_BHTK.shape[1] != k_BGSK.shape[1]
    return run(q_BHTK, k_BGSK, v_BGSK, block_mask=mask, scale=scale, enable_gqa=grouped)
