"""The encoder-decoder (Vaswani et al. 2017): a source sequence and the target so far -> loss of the next target token.

    source_BS -> embedding + positions -> blocks, looking both ways            -> states_BSD
    inputs_BT -> embedding + positions -> blocks: backwards, and to the states  -> loss against the next target tokens

One config spans Marian (sinusoidal positions, norms after), BART (learned positions, a norm on the way in) and T5
(relative positions as a bias of the scores, RMS norms before); `interop` reads and writes all three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from assay.models import attention, fused
from assay.models.attention import View
from assay.models.blocks import Block, BlockConfig, Norm, through
from assay.models.memory import Memory
from assay.models.protocol import PLAIN, WHOLE, Batch, Loss, Penalties, Role, Shares, places, roles_of
from assay.models.ranges import Count, Number

Memories = list[tuple[Memory, Memory]]


@dataclass(frozen=True)
class Seq2SeqConfig:
    """The shape of an encoder-decoder. Source and target share one vocabulary.

    Attributes:
        layers: of encoder and decoder.
        block: of the encoder; the decoder's has cross-attention besides.
        positions: sinusoidal and learned ones are added to the embedding; relative ones are added to the scores.
        first_position: number of a document's first position (BART keeps two rows for padding).
        buckets, distance: of relative positions (Raffel et al. 2020): how many, and from where on all are alike.
        embedding_norm: a norm on the way in.
        embedding_scale: embeddings are multiplied by sqrt(width).
        tied: the output matrix is the embedding.
        head_scale: states are divided by sqrt(width) before the output matrix.
        head_bias: a bias of the logits.
        start: id that every target begins with.  padding: id that fills rows.
    """

    vocabulary: Count
    layers: tuple[Count, Count]
    block: BlockConfig
    positions: Literal["sinusoidal", "learned", "relative"] = "sinusoidal"
    max_length: Count = 512
    first_position: Number = 0
    buckets: Annotated[int, Field(ge=4)] = 32
    distance: Count = 128
    embedding_norm: bool = False
    embedding_scale: bool = True
    tied: bool = True
    head_scale: bool = False
    head_bias: bool = False
    start: Number = 0
    padding: Number = 0

    @property
    def width(self) -> int:
        return self.block.width


def transformer(vocabulary: int, layers: int, width: int, heads: int, **more: Any) -> Seq2SeqConfig:
    """The shape of Vaswani et al. 2017, as Marian has it but with ReLU."""
    block = BlockConfig(
        width, heads, activation="relu", norm="layer", gains=True, epsilon=1e-5, norm_place="after", biases="all",
        qk_norm=False, rotary=None, dropout=0.1,
    )  # fmt: skip
    return Seq2SeqConfig(vocabulary, (layers, layers), block, **more)


def t5(vocabulary: int, layers: int, width: int, heads: int, **more: Any) -> Seq2SeqConfig:
    """The shape of T5 1.1: relative positions, RMS norms before the layers, gated GELU, no biases."""
    block = BlockConfig(
        width, heads, mlp_width=5 * width // 2, activation="gelu_tanh", gated=True, gains=True, qk_norm=False,
        rotary=None, scaled=False, dropout=0.1, attention_dropout=0.1,
    )  # fmt: skip
    settings: dict[str, Any] = {"positions": "relative", "embedding_scale": False, "tied": False}
    return Seq2SeqConfig(vocabulary, (layers, layers), block, **settings | more)


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) positions of Vaswani et al. 2017, all sines before all cosines (Marian's order)."""
    frequency = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


def relative_buckets(distance_TS: Tensor, both_ways: bool, buckets: int, furthest: int) -> Tensor:
    """The bucket of each distance key - query (Raffel et al. 2020): one for each small distance, then logarithmic."""
    bucket = torch.zeros_like(distance_TS)
    if both_ways:
        buckets //= 2
        bucket = buckets * (distance_TS > 0)
        distance = distance_TS.abs()
    else:
        distance = (-distance_TS).clamp_min(0)
    exact = buckets // 2
    far = (
        exact
        + (torch.log(distance.clamp_min(1).float() / exact) / math.log(furthest / exact) * (buckets - exact)).long()
    )
    return bucket + torch.where(distance < exact, distance, far.clamp_max(buckets - 1))


class _Side(nn.Module):
    """Encoder or decoder: positions, blocks and norms; the embedding is the model's."""

    def __init__(self, c: Seq2SeqConfig, block: BlockConfig, layers: int, checkpointing: bool) -> None:
        super().__init__()
        self.c, self.both_ways, self.checkpointing = c, not block.cross, checkpointing
        learned, relative = c.positions == "learned", c.positions == "relative"
        rows = c.max_length + c.first_position
        self.positions = nn.Parameter(torch.empty(rows, c.width)) if learned else None
        self.distances = nn.Parameter(torch.empty(c.buckets, block.heads)) if relative else None
        self.embedding_norm = Norm.of(block) if c.embedding_norm else None
        self.blocks = nn.ModuleList([Block(block) for _ in range(layers)])
        self.norm = Norm.of(block) if block.norm_place == "before" else None
        self.waves: Tensor
        if c.positions == "sinusoidal":
            self.register_buffer("waves", sinusoids(c.max_length, c.width), persistent=False)

    def forward(
        self,
        x_BTD: Tensor,
        segments_BT: Tensor | None,
        view: View,
        past: int = 0,
        memories: Memories | None = None,
        states_BSD: Tensor | None = None,
        cross_view: View | None = None,
        lead_B: Tensor | None = None,
    ) -> Tensor:
        c, T = self.c, x_BTD.shape[1]
        if self.distances is not None:
            view = view.with_bias(self._bias(self.distances, past, T))
        else:
            where = self._places(x_BTD[:, :, 0], segments_BT, past, lead_B)
            table = self.waves if self.positions is None else self.positions
            x_BTD = x_BTD + functional.embedding(c.first_position + where, table)
        if self.embedding_norm is not None:
            x_BTD = self.embedding_norm(x_BTD)
        x_BTD = functional.dropout(x_BTD, c.block.dropout, self.training)
        for i, block in enumerate(self.blocks):
            memory = memories[i] if memories else None
            x_BTD = through(
                self.checkpointing and not memories, block, x_BTD, view, None, memory, states_BSD, cross_view
            )
        return x_BTD if self.norm is None else self.norm(x_BTD)

    def _places(self, ids_BT: Tensor, segments_BT: Tensor | None, past: int, lead_B: Tensor | None) -> Tensor:
        """`places`, of which the model must have rows: a row of several documents can be longer than that, for each
        begins anew, and what fills it has no position of its own.

        Raises:
            ValueError: a document is longer than the positions that the model has.
        """
        where, most = places(ids_BT, segments_BT, past), past + ids_BT.shape[1]
        if lead_B is not None:
            where = (torch.arange(past, most, device=ids_BT.device) - lead_B[:, None]).clamp_min(0)
            most -= int(lead_B.min()) if most > self.c.max_length else 0
        if most <= self.c.max_length:  # a row that fits needs no look, which on a GPU would wait for it
            return where
        if segments_BT is not None:
            where = torch.where(segments_BT == attention.PADDING, 0, where)
            most = int(where.max()) + 1
        if most > self.c.max_length:
            raise ValueError(f"{most} positions, and the model has {self.c.max_length}")
        return where

    def _bias(self, distances: Tensor, past: int, T: int) -> Tensor:
        """(1, H, T, past + T) bias of the scores."""
        c = self.c
        keys = torch.arange(past + T, device=distances.device)
        bucket_TS = relative_buckets(keys[None] - keys[past:, None], self.both_ways, c.buckets, c.distance)
        return functional.embedding(bucket_TS, distances).permute(2, 0, 1)[None]


class Seq2Seq(nn.Module):
    """An encoder-decoder Transformer.

    Args:
        generator: None leaves weights as they come (they are about to be loaded).
        checkpointing: blocks are computed anew in the backward pass.
    """

    def __init__(
        self, config: Seq2SeqConfig, generator: torch.Generator | None, *, checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, c.width))
        self.encoder = _Side(c, c.block, c.layers[0], checkpointing)
        self.decoder = _Side(c, replace(c.block, cross=True), c.layers[1], checkpointing)
        self.head = self.embedding if c.tied else nn.Parameter(torch.empty(c.vocabulary, c.width))
        self.head_bias = nn.Parameter(torch.zeros(c.vocabulary)) if c.head_bias else None
        if generator is not None:
            self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Glorot and Bengio 2010 for matrices; embeddings normal, so that they have deviation 1 / sqrt(width) where
        they are scaled, and unscaled scores (T5) begin as small as scaled ones."""
        c = self.config
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.dim() == 2:
                deviation = (2.0 / sum(parameter.shape)) ** 0.5
                if name in ("embedding", "head"):
                    deviation = c.width**-0.5 if c.embedding_scale else 0.02
                elif name.endswith(("positions", "distances")):
                    deviation = 0.02
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
        if not c.block.scaled:
            for block in (*self.encoder.blocks, *self.decoder.blocks):
                rows = c.block.heads * c.block.key_width
                block.attention.qkv.weight[:rows] *= c.block.key_width**-0.5
                if block.cross is not None:
                    block.cross.q.weight *= c.block.key_width**-0.5

    def _embedded(self, ids: Tensor) -> Tensor:
        x = functional.embedding(ids, self.embedding)
        return x * self.config.width**0.5 if self.config.embedding_scale else x

    def encode(self, source_BS: Tensor, segments_BS: Tensor | None = None) -> Tensor:
        """States of the source (B, S, D)."""
        return self.encoder(self._embedded(source_BS), segments_BS, attention.within(segments_BS))

    def hidden(
        self,
        states_BSD: Tensor | None,
        inputs_BT: Tensor,
        source_segments_BS: Tensor | None = None,
        segments_BT: Tensor | None = None,
        memories: Memories | None = None,
        lead_B: Tensor | None = None,
    ) -> Tensor:
        """Final states of the target (B, T, D), ready for the output matrix.

        Args:
            states_BSD: from `encode`; None where `memories` have seen them. There may be several targets on end for
                each row of the source that they hold.
            source_segments_BS, segments_BT: a target position sees the source of its own segment; with `segments_BT`
                None, all of it but padding.
            memories: one a layer where text is generated, in rows of one document.
            lead_B: with `memories`, positions of padding that each row begins with, where targets of several lengths
                end together; None: no row has any.
        """
        past, T = memories[0][0].length if memories else 0, inputs_BT.shape[1]
        view = attention.causal(segments_BT)
        if memories:
            view = attention.after(past, T, device=inputs_BT.device, lead_B=lead_B)
        x_BTD = self.decoder(
            self._embedded(inputs_BT), segments_BT, view, past, memories, states_BSD,
            attention.across(segments_BT, source_segments_BS), lead_B,
        )  # fmt: skip
        return x_BTD * self.config.width**-0.5 if self.config.head_scale else x_BTD

    def memories(self) -> Memories:
        """Empty ones, for `hidden`."""
        return [(Memory(), Memory()) for _ in self.decoder.blocks]

    def forward(
        self,
        source_BS: Tensor,
        inputs_BT: Tensor,
        source_segments_BS: Tensor | None = None,
        segments_BT: Tensor | None = None,
    ) -> Tensor:
        """Logits of the next target tokens (B, T, V)."""
        states = self.encode(source_BS, source_segments_BS)
        return self.logits(self.hidden(states, inputs_BT, source_segments_BS, segments_BT))

    def logits(self, x: Tensor) -> Tensor:
        """(..., V) of states (..., D) that `hidden` gave."""
        return functional.linear(x, self.head, self.head_bias)

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """Mean loss of the next target tokens and the loss of each, in nats."""
        if batch.source_BS is None:
            raise ValueError("an encoder-decoder needs batches with a source")
        states = self.encode(batch.source_BS, batch.source_segments_BS)
        x_BTD = self.hidden(states, batch.inputs_BT, batch.source_segments_BS, batch.segments_BT)
        mean, losses = fused.linear_cross_entropy(
            x_BTD.reshape(-1, self.config.width),
            self.head,
            batch.targets_BT.reshape(-1),
            bias_V=self.head_bias,
            penalties=penalties,
        )
        return Loss(mean, losses.view(batch.targets_BT.shape))

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer."""
        return roles_of(self, ("embedding", "positions", "distances"))

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        roles = self.roles()
        sizes = {name: p.numel() for name, p in self.named_parameters()}
        inside = sum(n for name, n in sizes.items() if roles[name] in ("matrix", "vector") and name != "head_bias")
        return inside, sum(sizes.values())

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """Training FLOPs a token of a row, of which source and target are shares: 6 per weight of every matrix product
        (keys and values of cross-attention are the source's), 12 S H K a layer for the encoder's attention,
        6 T H K + 12 S H K for the decoder's (half of its own square counted)."""
        c, b = self.config, self.config.block
        source, target = shares.source, shares.target
        queries, keys = (2 * b.width * b.key_width * heads for heads in (b.heads, b.groups))
        read = c.layers[0] * b.products() + c.layers[1] * keys
        written = c.layers[1] * (b.products() + queries) + c.vocabulary * c.width
        squares = 12.0 * c.layers[0] * source**2 + c.layers[1] * (6.0 * target**2 + 12.0 * source * target)
        return 6.0 * (source * read + target * written) + squares * length * b.heads * b.key_width
