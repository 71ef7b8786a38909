"""Decoders, encoders and encoder-decoders as graphs.

    Decoding      (ids_BT, mask_BS, past keys and values) -> logits_BTV, keys and values with these
    Encoding      (ids_BT, mask_BT, kinds_BT)             -> states_BTD; with the head of hidden tokens logits_BTV
    Reading       (ids_BS, mask_BS)                       -> keys and values of the source, a pair a layer
    Translating   (ids_BT, mask_BS, source's, past ones)  -> logits_BTV, keys and values with these

One graph serves a prompt and every token after it: at first the past is of length 0. A mask is 1 where a token is, and
padding stands before a decoder's rows, behind those of everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models import attention
from assay.models.attention import View
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder
from assay.models.seq2seq import Seq2Seq, relative_buckets

Pairs = Sequence[Sequence[Tensor]]
"""Keys and values (B, G, S, K) of each layer."""


class Growing:
    """Keys and values of a layer: those of before, and the new ones behind them (`blocks.Memory`, without buffers)."""

    def __init__(self, pair: Sequence[Tensor]) -> None:
        self.pair = list(pair)
        self.length = 0

    def extend(self, *new: Tensor) -> list[Tensor]:
        self.pair = [torch.cat([old, more], dim=2) for old, more in zip(self.pair, new, strict=True)]
        return self.pair


class Whole:
    """Keys and values of a source, which are all there."""

    length = 1  # not 0: they need not be computed

    def __init__(self, pair: Sequence[Tensor]) -> None:
        self.pair = pair

    def all(self) -> Sequence[Tensor]:
        return self.pair


def seen(allowed: Tensor, bias: Tensor | None = None) -> View:
    """A view of scores: added to them is the least number where nothing may be looked at, and the bias elsewhere. Where
    all is hidden (queries of padding), all is equal, and no softmax is over nothing."""
    least = torch.finfo(torch.float32).min
    return View(bias=torch.where(allowed, 0.0 if bias is None else bias, least))


def backwards(mask_BS: Tensor, past: int, window: int | None) -> Tensor:
    """(B, 1, T, S) whether each of the newest positions may look at each position."""
    places = torch.arange(mask_BS.shape[1], device=mask_BS.device)
    new_T1 = places[past:, None]
    before_TS = places[None] <= new_T1
    if window is not None:
        before_TS = before_TS & (places[None] > new_T1 - window)
    return before_TS[None, None] & (mask_BS[:, None, None, :] != 0)


class Decoding(nn.Module):
    """See the module."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, past: Pairs) -> tuple[Tensor, list[list[Tensor]]]:
        states, pairs = self.hidden(input_ids, attention_mask, past)
        return self.model.logits(states), pairs

    def hidden(self, ids_BT: Tensor, mask_BS: Tensor, past: Pairs) -> tuple[Tensor, list[list[Tensor]]]:
        """States (B, T, D), and keys and values."""
        m, before = self.model, past[0][0].shape[2]
        where_BT = (mask_BS.cumsum(1) - 1).clamp_min(0)[:, before:]
        view = seen(backwards(mask_BS, before, m.config.block.window))
        x_BTD = functional.embedding(ids_BT, m.embedding)
        if m.positions is not None:
            x_BTD = x_BTD + functional.embedding(where_BT, m.positions)
        if m.embedding_norm is not None:
            x_BTD = m.embedding_norm(x_BTD)
        rotary = m.rotary.of(where_BT) if m.rotary is not None else None
        memories = [Growing(pair) for pair in past]
        with attention.using("sdpa"):
            for i, (block, memory) in enumerate(zip(m.blocks, memories, strict=True)):
                values = m.values[str(i)](ids_BT) if str(i) in m.values else None
                x_BTD = block(x_BTD, view, rotary, (memory, None), None, None, values)
        return m.norm(x_BTD), [memory.pair for memory in memories]


class Encoding(nn.Module):
    """See the module."""

    def __init__(self, model: Encoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        x_BTD, head = self.hidden(input_ids, attention_mask, token_type_ids), self.model.head
        return x_BTD if head is None else functional.linear(head(x_BTD), self.model.embedding, head.bias)

    def hidden(self, ids_BT: Tensor, mask_BT: Tensor, kinds_BT: Tensor | None) -> Tensor:
        """States (B, T, D)."""
        m, c = self.model, self.model.config
        where_T = torch.arange(ids_BT.shape[1], device=ids_BT.device)
        x_BTD = functional.embedding(ids_BT, m.embedding)
        if m.positions is not None:
            x_BTD = x_BTD + functional.embedding(c.first_position + where_T, m.positions)
        if m.token_types is not None:
            kinds = torch.zeros_like(ids_BT) if kinds_BT is None else kinds_BT
            x_BTD = x_BTD + functional.embedding(kinds, m.token_types)
        x_BTD = m.embedding_norm(x_BTD)
        view = seen(mask_BT[:, None, None, :] != 0)
        rotary = m.rotary.of(where_T[None]) if m.rotary is not None else None
        with attention.using("sdpa"):
            for block in m.blocks:
                x_BTD = block(x_BTD, view, rotary)
        return x_BTD if m.norm is None else m.norm(x_BTD)


class Reading(nn.Module):
    """See the module."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> list[list[Tensor]]:
        m, side, length = self.model, self.model.encoder, input_ids.shape[1]
        x_BSD = _placed(m, side, input_ids, 0)
        view = seen(attention_mask[:, None, None, :] != 0, _distances(m, side, 0, length))
        with attention.using("sdpa"):
            for block in side.blocks:
                x_BSD = block(x_BSD, view)
        states_BSD = x_BSD if side.norm is None else side.norm(x_BSD)
        return [[*_pair(block.cross, states_BSD)] for block in m.decoder.blocks]


class Translating(nn.Module):
    """See the module."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, encoder_attention_mask: Tensor, source: Pairs, past: Pairs
    ) -> tuple[Tensor, list[list[Tensor]]]:
        m, side, before, length = self.model, self.model.decoder, past[0][0].shape[2], input_ids.shape[1]
        x_BTD = _placed(m, side, input_ids, before)
        places = torch.arange(before + length, device=input_ids.device)
        view = seen((places[None] <= places[before:, None])[None, None], _distances(m, side, before, length))
        across = seen(encoder_attention_mask[:, None, None, :] != 0)
        memories = [Growing(pair) for pair in past]
        with attention.using("sdpa"):
            for block, memory, pair in zip(side.blocks, memories, source, strict=True):
                x_BTD = block(x_BTD, view, None, (memory, Whole(pair)), None, across)
        x_BTD = x_BTD if side.norm is None else side.norm(x_BTD)
        x_BTD = x_BTD * m.config.width**-0.5 if m.config.head_scale else x_BTD
        return m.logits(x_BTD), [memory.pair for memory in memories]


def _pair(cross: Any, states_BSD: Tensor) -> tuple[Tensor, ...]:
    """Keys and values of a source, for one layer of the decoder."""
    return cross._heads(cross.kv(states_BSD)).chunk(2, dim=1)


def _placed(m: Seq2Seq, side: Any, ids_BT: Tensor, past: int) -> Tensor:
    """Embeddings with their positions (B, T, D)."""
    c = m.config
    x_BTD = functional.embedding(ids_BT, m.embedding)
    x_BTD = x_BTD * c.width**0.5 if c.embedding_scale else x_BTD
    if side.distances is None:
        where_T = torch.arange(past, past + ids_BT.shape[1], device=ids_BT.device)
        table = side.waves if side.positions is None else side.positions
        x_BTD = x_BTD + functional.embedding(c.first_position + where_T, table)
    return x_BTD if side.embedding_norm is None else side.embedding_norm(x_BTD)


def _distances(m: Seq2Seq, side: Any, past: int, length: int) -> Tensor | None:
    """(1, H, T, past + T) what is added to scores, of models with relative positions."""
    if side.distances is None:
        return None
    keys = torch.arange(past + length, device=side.distances.device)
    apart_TS = keys[None] - keys[past:, None]
    buckets_TS = relative_buckets(apart_TS, side.both_ways, m.config.buckets, m.config.distance)
    return functional.embedding(buckets_TS, side.distances).permute(2, 0, 1)[None]
