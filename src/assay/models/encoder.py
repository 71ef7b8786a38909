"""The encoder (BERT, Devlin et al. 2019): token ids with some hidden -> loss of the hidden ones.

    ids_BT -> embedding + positions + token types -> norm -> blocks, looking both ways
           -> head: dense, activation, norm, the embedding as output matrix, a bias -> loss where a target stands

`bert` has the shape of BERT and RoBERTa, which `interop` reads and writes; `modern` has rotary positions and norms
before the layers, as later encoders do (Warner et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models import attention, fused
from assay.models.blocks import ACTIVATIONS, Block, BlockConfig, Norm, RotaryTable, through
from assay.models.protocol import PLAIN, WHOLE, Batch, Loss, Penalties, Role, Shares, places, roles_of
from assay.models.ranges import Count, Number, Positive

TABLES = ("embedding", "positions", "token_types")


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder.

    Attributes:
        positions: learned ones are added to the embedding; rotary ones are the block's affair.
        max_length: positions that there are.
        first_position: number of a document's first position (RoBERTa keeps two rows for padding).
        token_types: kinds of tokens told apart by an embedding (sentence A, sentence B); 0: none.
        head: with the head of masked language modelling.
        pooler: with BERT's dense layer on the first position.
    """

    vocabulary: Count
    layers: Count
    block: BlockConfig
    positions: Literal["rotary", "learned"] = "learned"
    rotary_base: Positive = 10_000.0
    max_length: Count = 512
    first_position: Number = 0
    token_types: Number = 2
    head: bool = True
    pooler: bool = False

    @property
    def width(self) -> int:
        return self.block.width

    @property
    def tells_types(self) -> bool:
        """Whether two texts of a row are told apart: not by a table of one row (RoBERTa)."""
        return self.token_types > 1


def bert(vocabulary: int, layers: int, width: int, heads: int, **more: Any) -> EncoderConfig:
    """The shape of BERT."""
    block = BlockConfig(
        width, heads, activation="gelu", norm="layer", gains=True, epsilon=1e-12, norm_place="after", biases="all",
        qk_norm=False, rotary=None, dropout=0.1, attention_dropout=0.1,
    )  # fmt: skip
    return EncoderConfig(vocabulary, layers, block, **more)


def modern(vocabulary: int, layers: int, width: int, heads: int, **more: Any) -> EncoderConfig:
    """Rotary positions, norms before the layers, gated GELU, no biases, no token types."""
    block = BlockConfig(
        width, heads, mlp_width=3 * width // 2, activation="gelu", gated=True, norm="layer", gains=True, epsilon=1e-5,
        qk_norm=False, rotary="halves",
    )  # fmt: skip
    settings: dict[str, Any] = {"positions": "rotary", "token_types": 0}
    return EncoderConfig(vocabulary, layers, block, **settings | more)


class _Head(nn.Module):
    """Dense, activation and norm before the output matrix, and a bias after it."""

    def __init__(self, c: EncoderConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[c.block.activation]
        self.dense = nn.Linear(c.width, c.width)
        self.norm = Norm.of(c.block)
        self.bias = nn.Parameter(torch.zeros(c.vocabulary))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.activation(self.dense(x)))


class Encoder(nn.Module):
    """An encoder-only Transformer.

    Args:
        generator: None leaves weights as they come (they are about to be loaded).
        checkpointing: blocks are computed anew in the backward pass.
    """

    def __init__(
        self, config: EncoderConfig, generator: torch.Generator | None, *, checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.config = c = config
        self.checkpointing = checkpointing

        def table(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(rows, c.width))

        learned, before = c.positions == "learned", c.block.norm_place == "before"
        self.embedding = table(c.vocabulary)
        self.positions = table(c.max_length + c.first_position) if learned else None
        self.token_types = table(c.token_types) if c.token_types else None
        self.embedding_norm = Norm.of(c.block)
        self.blocks = nn.ModuleList([Block(c.block) for _ in range(c.layers)])
        self.norm = Norm.of(c.block) if before else None
        self.head = _Head(c) if c.head else None
        self.pooler = nn.Linear(c.width, c.width) if c.pooler else None
        rotary = c.positions == "rotary"
        self.rotary = RotaryTable(c.max_length, c.block.key_width, c.rotary_base) if rotary else None
        if generator is not None:
            self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Normal with deviation 0.02, as BERT begins."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
            elif name.endswith("bias"):
                parameter.zero_()

    def hidden(self, ids_BT: Tensor, segments_BT: Tensor | None = None, token_types_BT: Tensor | None = None) -> Tensor:
        """Final states (B, T, D).

        Args:
            segments_BT: ids of the documents in a row, `attention.PADDING` for no document; None: one document a row.
            token_types_BT: None: all 0.

        Raises:
            ValueError: a row is longer than the positions that the model has.
        """
        c, T = self.config, ids_BT.shape[1]
        if c.max_length < T:
            raise ValueError(f"{T} positions, and the model has {c.max_length}")
        x_BTD = functional.embedding(ids_BT, self.embedding)
        if self.positions is not None:
            x_BTD = x_BTD + functional.embedding(c.first_position + places(ids_BT, segments_BT), self.positions)
        if self.token_types is not None:
            kinds = torch.zeros_like(ids_BT) if token_types_BT is None else token_types_BT
            x_BTD = x_BTD + functional.embedding(kinds, self.token_types)
        x_BTD = functional.dropout(self.embedding_norm(x_BTD), c.block.dropout, self.training)
        view = attention.within(segments_BT)
        rotary = self.rotary.at(0, T) if self.rotary is not None else None
        for block in self.blocks:
            x_BTD = through(self.checkpointing, block, x_BTD, view, rotary)
        return x_BTD if self.norm is None else self.norm(x_BTD)

    def states(self, batch: Batch) -> Tensor:
        """Final states (B, T, D) for a head."""
        return self.hidden(batch.inputs_BT, batch.segments_BT, batch.token_types_BT)

    def forward(
        self, ids_BT: Tensor, segments_BT: Tensor | None = None, token_types_BT: Tensor | None = None
    ) -> Tensor:
        """Logits of the tokens that may stand at each position (B, T, V)."""
        head = self._with_head()
        return head(self.hidden(ids_BT, segments_BT, token_types_BT)) @ self.embedding.t() + head.bias

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """Mean loss of the positions that have a target, and the loss of each, in nats. The head is computed there
        alone."""
        head, targets_BT = self._with_head(), batch.targets_BT
        x_BTD = self.hidden(batch.inputs_BT, batch.segments_BT, batch.token_types_BT)
        wanted = targets_BT >= 0
        mean, found = fused.linear_cross_entropy(
            head(x_BTD[wanted]), self.embedding, targets_BT[wanted], bias_V=head.bias, penalties=penalties
        )
        losses_BT = torch.zeros(targets_BT.shape, dtype=found.dtype, device=found.device)
        losses_BT[wanted] = found.detach()
        return Loss(mean, losses_BT)

    def _with_head(self) -> _Head:
        if self.head is None:
            raise ValueError("this encoder has no head of masked language modelling")
        return self.head

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer."""
        return roles_of(self, TABLES)

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        sizes = {name: p.numel() for name, p in self.named_parameters()}
        tables = sum(sizes.get(name, 0) for name in TABLES)
        return sum(sizes.values()) - tables, sum(sizes.values())

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """Training FLOPs a token of a row: 6 per weight of every matrix product, of the head at predicted positions
        alone, and 12 T H K a layer for attention that looks both ways."""
        c = self.config
        head = shares.predicted * c.width * (c.width + c.vocabulary) if c.head else 0
        attention_flops = 12.0 * c.layers * length * c.block.heads * c.block.key_width
        return 6.0 * (c.layers * c.block.products() + head) + attention_flops
