"""The one attention entry. Packed documents never see each other: segment ids decide who may look at whom.

Every model asks for attention here, with the same arguments whether its batch is packed or not:

    context = AttentionContext.of(segments_BT)      # once a batch
    out_BHTK = attend(q_BHTK, k_BHTK, v_BHTK, context)   # once a layer

Backends are chosen by what the batch needs: rows that hold one document each take the causal kernel of
`scaled_dot_product_attention`, packed rows take the same kernel with a boolean mask that is built once a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


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
    return functional.scaled_dot_product_attention(
        q_BHTK, k_BHTK, v_BHTK, attn_mask=context.mask_B1TT, is_causal=context.mask_B1TT is None
    )


def build_segments(starts_BT: Tensor) -> Tensor:
    """Segment ids from marks of document starts: (B, T) booleans -> (B, T) int32."""
    return starts_BT.cumsum(1, dtype=torch.int32)
