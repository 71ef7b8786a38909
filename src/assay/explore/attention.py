"""Who looks at whom: the attention weights of every layer and head, computed in the open.

The models compute attention by kernels that never hold the weights; here the same views and scores go through a plain
softmax (`models.attention.watched`), so what is shown is what the model does, up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from assay.errors import InputError
from assay.models import attention
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder
from assay.models.heads import Headed
from assay.models.protocol import Batch
from assay.models.seq2seq import Seq2Seq

Side = Literal["self", "source", "cross"]


@dataclass(frozen=True)
class Layer:
    """The weights of a layer.

    Attributes:
        side: self: of the tokens at hand; source: within an encoder-decoder's source; cross: from its target to it.
        weights_HTS: of each query over the keys; a row sums to 1.
    """

    side: Side
    number: int
    weights_HTS: Tensor


def has_maps(model: Any) -> bool:
    """Whether there are any to see."""
    return isinstance(model.body if isinstance(model, Headed) else model, Decoder | Encoder | Seq2Seq)


@torch.no_grad()
def maps(model: Any, batch: Batch) -> list[Layer]:
    """The layers' weights, of one row.

    Args:
        batch: its inputs, and of an encoder-decoder its source.

    Raises:
        InputError: the model has no attention.
    """
    body = model.body if isinstance(model, Headed) else model
    if not has_maps(model):
        what = "the model has no attention: it is no Transformer"
        raise InputError(what, where="attention", remedy="choose another model")
    was, _ = model.training, model.eval()
    try:
        with attention.watched() as seen:
            if isinstance(body, Seq2Seq):
                assert batch.source_BS is not None
                states = body.encode(batch.source_BS, batch.source_segments_BS)
                body.hidden(states, batch.inputs_BT, batch.source_segments_BS)
            else:
                body.states(batch)
    finally:
        model.train(was)
    weights = [one[0].float() for one in seen]
    if not isinstance(body, Seq2Seq):
        return [Layer("self", i, one) for i, one in enumerate(weights)]
    n = body.config.layers[0]
    pairs = weights[n:]
    return [
        *(Layer("source", i, one) for i, one in enumerate(weights[:n])),
        *(Layer("self", i, one) for i, one in enumerate(pairs[::2])),
        *(Layer("cross", i, one) for i, one in enumerate(pairs[1::2])),
    ]
