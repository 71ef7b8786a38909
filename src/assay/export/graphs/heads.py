"""A head on a body as a graph: what it answers, for the task to make sense of.

    (ids_BT, mask_BT, kinds_BT) -> logits (B, L), of tags and spans (B, T, L), of vectors (B, D)
    with a CRF besides             follows (L, L), begins (L,), ends (L,): who reads them finds the likeliest row

Rows are filled up at their ends, whatever the body. What marks decide (which tokens are the first of a word, where an
answer may stand) is left to whoever asks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.export.graphs.recurrent import Filtering, Remembering
from assay.export.graphs.transformers import Decoding, Encoding
from assay.models.attention import PADDING
from assay.models.convolution import Convolution
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder
from assay.models.heads import Headed
from assay.models.protocol import Batch


class Answering(nn.Module):
    """See the module."""

    def __init__(self, model: Headed) -> None:
        super().__init__()
        self.model = model
        self.body: Any
        match model.body:
            case Encoder():
                self.body = Encoding(model.body)
            case Decoder():
                self.body = Decoding(model.body)
            case Convolution():
                self.body = Filtering(model.body)
            case _:
                self.body = Remembering(model.body)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Any:
        m, head = self.model, self.model.config.head
        x = self._states(input_ids, attention_mask, token_type_ids)
        if head.kind not in ("tags", "span"):
            segments_BT = torch.where(attention_mask != 0, 0, PADDING)
            x = m._pooled(x, Batch(input_ids, input_ids, segments_BT))
        if m.dense is not None:
            x = torch.tanh(m.dense(x))
        if m.output is None:
            return functional.normalize(x, dim=-1)
        logits: Tensor = m.output(x)
        if m.transitions is None:
            return logits
        follows, begins, ends = (p.clone() for p in (m.transitions.follows, m.transitions.begins, m.transitions.ends))
        return logits, follows, begins, ends

    def _states(self, ids_BT: Tensor, mask_BT: Tensor, kinds_BT: Tensor | None) -> Tensor:
        """(B, T, D)."""
        if isinstance(self.body, Encoding):
            return self.body.hidden(ids_BT, mask_BT, kinds_BT)
        if isinstance(self.body, Filtering):
            return self.body.hidden(ids_BT, mask_BT)
        if isinstance(self.body, Remembering):
            return self.body.hidden(ids_BT, mask_BT, None)[0]
        block = self.body.model.config.block
        nothing = self.body.model.embedding.new_zeros(ids_BT.shape[0], block.groups, 0, block.key_width)
        past = [(nothing, nothing) for _ in self.body.model.blocks]
        return self.body.hidden(ids_BT, mask_BT, past)[0]
