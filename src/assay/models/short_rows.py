"""Attention over short rows by batched matrix products, for CPUs, with a backward pass of its own.

It keeps the probabilities, which long rows could not afford. A softmax takes powers of e and reads its row three times;
here log2(e) is folded into the product that makes the scores, powers of two are taken in place, and what a query does
not see is cleared bit by bit. No maximum is subtracted: where queries and keys are normed, scores are far from what
overflows, and where sums are not SAFE, all is done again with the maximum.

A causal row is cut into blocks of queries, each over the keys that it may see at most.

Shapes: R rows = B * H, T queries and keys, of which a span has t and s, K numbers of a head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG2_E = math.log2(math.e)
SAFE = (2.0**-60, 2.0**100)  # sums of powers of two between these have lost nothing that counts
# By bytes of a number. Smaller blocks save more of the square, and lose it again in smaller products.
_BLOCK = {2: 128, 4: 64, 8: 64}  # queries
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Span:
    """Queries [start, end) and the keys [first, last) that they may see at most."""

    start: int
    end: int
    first: int
    last: int


def spans(T: int, block: int, *, causal: bool, window: int | None) -> tuple[Span, ...]:
    """All queries of rows of T positions, the last ones first: those see the most keys."""
    if not causal:
        return (Span(0, T, 0, T),)
    bounds = [(start, min(start + block, T)) for start in reversed(range(0, T, block))]
    return tuple(Span(a, b, 0 if window is None else max(0, a + 1 - window), b) for a, b in bounds)


def bits(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as integers as wide as `dtype`: all ones where true, zeros elsewhere."""
    return -mask.to(_BITS[dtype.itemsize])


def is_safe(sums: Tensor) -> bool:
    """Whether sums of powers of two came out without over- or underflow."""
    return bool(((sums > SAFE[0]) & (sums < SAFE[1])).all())


def _product(a: Tensor, b: Tensor, times: float) -> Tensor:
    """times * a b of stacks of matrices; multiplied before it is rounded."""
    return torch.baddbmm(a.new_zeros(()), a, b, beta=0, alpha=times)


def _softmax(q_RtK: Tensor, k_RsK: Tensor, seen: Tensor | None, heads: int) -> Tensor:
    """Softmax of q k^T / sqrt(K) over what is seen: (R, t, s)."""
    for shifted in (False, True):
        powers = _product(q_RtK, k_RsK.mT, q_RtK.shape[-1] ** -0.5 * LOG2_E)
        by_head = powers.view(-1, heads, *powers.shape[1:])
        if shifted:
            if seen is not None:
                by_head.masked_fill_(seen == 0, float("-inf"))
            powers.sub_(powers.amax(-1, keepdim=True))
        powers.exp2_()
        if seen is not None:
            by_head.view(seen.dtype).bitwise_and_(seen)
        sums = powers.sum(-1, keepdim=True)  # asked for in another type they would be copied as a whole first
        if is_safe(sums):
            break
    return powers.mul_(sums.reciprocal_())


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, seen: Tensor | None, parts: tuple[Span, ...]
    ) -> Tensor:
        B, H, T, K = q_BHTK.shape
        q, k, v = (x.reshape(B * H, T, K) for x in (q_BHTK, k_BHTK, v_BHTK))
        y_BHTK = q.new_empty(B, T, H, K).transpose(1, 2)  # as the projection that follows reads it
        probabilities = []
        for p in parts:
            queries, keys = slice(p.start, p.end), slice(p.first, p.last)
            allowed = None if seen is None else seen[..., queries, keys]
            probabilities.append(_softmax(q[:, queries], k[:, keys], allowed, H))
            y_BHTK[:, :, queries] = torch.bmm(probabilities[-1], v[:, keys]).view(B, H, -1, K)
        ctx.save_for_backward(q, k, v, *probabilities)
        ctx.parts = parts
        return y_BHTK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BHTK: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *probabilities = ctx.saved_tensors
        B, H, T, K = grad_BHTK.shape
        grad = grad_BHTK.reshape(B * H, T, K)
        whole = ctx.parts[0].last - ctx.parts[0].first == T
        dq, dk, dv = (torch.empty_like(x) if whole else torch.zeros_like(x) for x in (q, k, v))
        for p, probability in zip(ctx.parts, probabilities, strict=True):
            queries, keys = slice(p.start, p.end), slice(p.first, p.last)
            d_probability = torch.bmm(grad[:, queries], v[:, keys].mT)
            d_scores = torch._softmax_backward_data(d_probability, probability, -1, probability.dtype)
            dq[:, queries] = _product(d_scores, k[:, keys], K**-0.5)
            own = _product(d_scores.mT, q[:, queries], K**-0.5), torch.bmm(probability.mT, grad[:, queries])
            for d, part in zip((dk, dv), own, strict=True):
                if whole and p is ctx.parts[0]:
                    d.copy_(part)
                else:
                    d[:, keys] += part
        return *(d.view(B, H, T, K) for d in (dq, dk, dv)), None, None


def attend(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, seen: Tensor | None, *, causal: bool, window: int | None
) -> Tensor:
    """softmax(q k^T / sqrt(K)) v: (B, H, T, K).

    Args:
        seen: `bits` of who sees whom; broadcasts to (B, H, T, T). None: everybody sees everybody.
        causal, window: what `seen` holds of them, so that nothing is computed where it is zero for certain.
    """
    parts = spans(q_BHTK.shape[2], _BLOCK[q_BHTK.dtype.itemsize], causal=causal, window=window)
    return _Attention.apply(q_BHTK, k_BHTK, v_BHTK, seen, parts)
