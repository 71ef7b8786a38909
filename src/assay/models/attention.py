"""The one attention entry. Packed documents never see each other: segment ids decide who may look at whom.

Every model asks for attention here, with the same arguments whether its batch is packed or not:

    context = AttentionContext.of(segments_BT)      # once a batch
    out_BHTK = attend(q_BHTK, k_BHTK, v_BHTK, context)   # once a layer

Backends are chosen by what the batch needs: rows that hold one document each take the causal kernel of
`scaled_dot_product_attention`, packed rows take the same kernel with a boolean mask that is built once a batch. Short
rows in bfloat16 on a CPU take batched products instead: the backward pass of PyTorch's kernel takes three times as
long there as in float32, the products a fifth of it (LAB_NOTES).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

SHORT_ROW = 512  # tokens; the probabilities that products keep for the backward pass grow with its square


@dataclass(frozen=True)
class AttentionContext:
    """Who may look at whom in a batch. `mask_B1TT` is None where plain causal attention says it all."""

    mask_B1TT: Tensor | None

    @staticmethod
    def of(segments_BT: Tensor | None) -> AttentionContext:
        """Causal attention within segments: position t sees s <= t of the same segment.

        Args:
            segments_BT: integer ids, constant within a document and different for neighbours in a row; None where
                each row is one document.
        """
        if segments_BT is None or bool((segments_BT == segments_BT[:, :1]).all()):
            return AttentionContext(None)
        same_BTT = segments_BT[:, :, None] == segments_BT[:, None, :]
        return AttentionContext(same_BTT.tril_()[:, None])


def attend(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, context: AttentionContext) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017), (B, H, T, K) -> (B, H, T, K)."""
    mask_B1TT, T = context.mask_B1TT, q_BHTK.shape[2]
    if q_BHTK.dtype is torch.bfloat16 and q_BHTK.device.type == "cpu" and T <= SHORT_ROW:
        if mask_B1TT is None:
            mask_B1TT = torch.ones(1, 1, T, T, dtype=torch.bool).tril_()
        return _ByProducts.apply(q_BHTK, k_BHTK, v_BHTK, mask_B1TT)
    return functional.scaled_dot_product_attention(
        q_BHTK, k_BHTK, v_BHTK, attn_mask=mask_B1TT, is_causal=mask_B1TT is None
    )


class _ByProducts(torch.autograd.Function):
    """Attention by batched matrix products; keeps the probabilities."""

    @staticmethod
    def forward(ctx: Any, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask_B1TT: Tensor) -> Tensor:
        B, H, T, K = q_BHTK.shape
        q, k, v = (x.reshape(B * H, T, K) for x in (q_BHTK * K**-0.5, k_BHTK, v_BHTK))
        barred = torch.zeros(mask_B1TT.shape, dtype=q.dtype).masked_fill_(~mask_B1TT, float("-inf"))
        scores = torch.bmm(q, k.mT).view(B, H, T, T).add_(barred)
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
