"""The one attention entry. Packed documents never see each other: segment ids decide who may look at whom.

Every model asks for attention here, with the same arguments whether its batch is packed or not. A `View` says who may
look at whom; it is made once a batch and used by every layer:

    view = causal(segments_BT)                          decoders: backwards, within a document, maybe through a window
    view = within(segments_BT)                          encoders: both ways, within a document
    view = across(segments_BT, segments_BS)             cross-attention: from a target to its own source
    view = after(past, T)                               generation: T new positions behind a cache of `past`
    out_BHTK = attend(q_BHTK, k_BGSK, v_BGSK, view)     H a multiple of G: grouped queries (Ainslie et al. 2023)

Positions of segment PADDING are seen by nobody. Backends are chosen by what the batch needs: rows that hold one
document each take the causal kernel of `scaled_dot_product_attention`, others the same kernel with a boolean mask.
Short rows in bfloat16 on a CPU take batched products instead: the backward pass of PyTorch's kernel takes three times
as long there as in float32, the products a fifth of it (LAB_NOTES).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

PADDING = -1
SHORT_ROW = 512  # tokens; the probabilities that products keep for the backward pass grow with its square


@dataclass(frozen=True)
class View:
    """Who may look at whom.

    Attributes:
        mask: True where query t may look at key s; broadcasts to (B, H, T, S). None: everybody, or, where `is_causal`,
            everybody before.
        is_causal: plain causal attention says it all.
        bias: added to the scores; broadcasts to (B, H, T, S). None: nothing.
    """

    mask: Tensor | None = None
    is_causal: bool = False
    bias: Tensor | None = None

    def with_bias(self, bias: Tensor) -> View:
        return replace(self, bias=bias)


def _one_document_each(segments_BT: Tensor | None) -> bool:
    if segments_BT is None:
        return True
    first = segments_BT[:, :1]
    return bool((segments_BT == first).all()) and bool((first != PADDING).all())


def _same(queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    """(B, T, S): both in one segment."""
    return queries_BT[:, :, None] == keys_BS[:, None, :]


def causal(segments_BT: Tensor | None, window: int | None = None, length: int | None = None) -> View:
    """Position t sees s <= t of the same segment, and of these the last `window` alone (itself among them).

    Args:
        segments_BT: integer ids, constant within a document and different for neighbours in a row; None where each
            row is one document.
        window: None for no bound.
        length: T, needed for a window without segments.
    """
    T = segments_BT.shape[1] if segments_BT is not None else length
    if window is None or (T is not None and window >= T):
        if _one_document_each(segments_BT):
            return View(is_causal=True)
        window = None
    if segments_BT is not None:
        mask_BTT = _same(segments_BT, segments_BT)
    elif T is not None:
        mask_BTT = torch.ones(1, T, T, dtype=torch.bool)
    else:
        raise ValueError("a window without segments needs the length of the rows")
    mask_BTT = mask_BTT.tril()
    return View((mask_BTT if window is None else mask_BTT.triu(1 - window))[:, None])


def within(segments_BT: Tensor | None) -> View:
    """Every position sees its whole segment."""
    if segments_BT is None or _one_document_each(segments_BT):
        return View()
    return View(_same(segments_BT, segments_BT)[:, None])


def across(queries_BT: Tensor | None, keys_BS: Tensor | None) -> View:
    """Every position of the one sequence sees the segment of the same id in the other.

    Args:
        queries_BT: None where a row's queries see all of its keys but padding.
        keys_BS: None where no key is padding.
    """
    if keys_BS is None or (queries_BT is None and _one_document_each(keys_BS)):
        return View()
    if queries_BT is not None:
        filling = (queries_BT == PADDING)[:, :, None]  # sees everything, for a softmax over nothing is no number
        return View((_same(queries_BT, keys_BS) | filling)[:, None])
    return View((keys_BS != PADDING)[:, None, None, :])


def after(past: int, length: int, window: int | None = None, device: torch.device | None = None) -> View:
    """The `length` newest positions of a row of one document, of which `past` are in a cache."""
    if past == 0:
        return causal(None, window, length)
    if length == 1 and (window is None or past < window):
        return View()
    mask_TS = torch.ones(length, past + length, dtype=torch.bool, device=device).tril(past)
    if window is not None:
        mask_TS = mask_TS.triu(past + 1 - window)
    return View(mask_TS)


def attend(
    q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, view: View, *, scale: float | None = None, dropout: float = 0.0
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017), (B, H, T, K) queries over (B, G, S, K) keys -> (B, H, T, K).

    Args:
        scale: of the scores; None: 1 / sqrt(K).
        dropout: of the probabilities.
    """
    H, T, G, S = *q_BHTK.shape[1:3], *k_BGSK.shape[1:3]
    plain = view.bias is None and scale is None and not dropout and H == G and T == S
    if plain and q_BHTK.dtype is torch.bfloat16 and q_BHTK.device.type == "cpu" and T <= SHORT_ROW:
        mask = view.mask
        if mask is None and view.is_causal:
            mask = torch.ones(1, 1, T, T, dtype=torch.bool).tril_()
        return _ByProducts.apply(q_BHTK, k_BGSK, v_BGSK, mask)
    mask, is_causal = view.mask, view.is_causal
    if view.bias is not None:
        if is_causal:
            mask, is_causal = torch.ones(T, S, dtype=torch.bool, device=q_BHTK.device).tril_(S - T), False
        bias = view.bias.to(q_BHTK.dtype)
        mask = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
    return functional.scaled_dot_product_attention(
        q_BHTK, k_BGSK, v_BGSK, attn_mask=mask, is_causal=is_causal, scale=scale, dropout_p=dropout, enable_gqa=H != G
    )


class _ByProducts(torch.autograd.Function):
    """Attention by batched matrix products; keeps the probabilities."""

    @staticmethod
    def forward(ctx: Any, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask: Tensor | None) -> Tensor:
        B, H, T, K = q_BHTK.shape
        q, k, v = (x.reshape(B * H, T, K) for x in (q_BHTK * K**-0.5, k_BHTK, v_BHTK))
        scores = torch.bmm(q, k.mT).view(B, H, T, T)
        if mask is not None:
            scores.add_(torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, float("-inf")))
        probability = torch.softmax(scores, -1).view(B * H, T, T)
        ctx.save_for_backward(q, k, v, probability)
        return torch.bmm(probability, v).view(B, H, T, K)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BHTK: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, probability = ctx.saved_tensors
        B, H, T, K = grad_BHTK.shape
        grad = grad_BHTK.reshape(B * H, T, K)
        d_probability = torch.bmm(grad, v.mT)
        d_scores = torch._softmax_backward_data(d_probability, probability, -1, probability.dtype)
        grads = (
            torch.bmm(d_scores, k).mul_(K**-0.5),
            torch.bmm(d_scores.mT, q),
            torch.bmm(probability.mT, grad),
        )
        return *(d.view(B, H, T, K) for d in grads), None
