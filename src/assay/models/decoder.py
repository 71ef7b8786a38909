"""The decoder (GPT): token ids -> loss per token.

    ids_BT -> embedding (+ learned positions) [-> norm] -> blocks -> norm -> loss against the next tokens

One config spans GPT-2, Llama, Qwen3 and the proxies of fleets; `interop` reads and writes the first three. Two presets:

    proxy       rotary positions, QK-norm, RMS norms without gains, ReLU^2, no biases, output projections that start at
                zero, so that every layer starts as the identity: the fastest per unit of loss, used in fleets
    standard    the shape of Qwen3: every export and every foreign engine takes it
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models import attention, fused
from assay.models.attention import View
from assay.models.blocks import Block, BlockConfig, Norm, RotaryTable, through
from assay.models.memory import Memory
from assay.models.protocol import PLAIN, WHOLE, Batch, Loss, Penalties, Role, Shares, places, roles_of
from assay.models.ranges import Count, Positive


@dataclass(frozen=True)
class Llama3Scaling:
    """Llama 3.1's way to longer texts (Grattafiori et al. 2024): rotary frequencies of wavelengths above
    original / low are divided by `factor`, those below original / high stay, and between them both are mixed."""

    factor: Positive
    low: Positive
    high: Positive
    original: Count

    def of(self, frequency: Tensor) -> Tensor:
        """(K/2,) scaled frequencies, in radians a position."""
        turns = self.original * frequency / (2 * math.pi)
        share = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)  # of the unscaled one
        return frequency * (share + (1 - share) / self.factor)


@dataclass(frozen=True)
class DecoderConfig:
    """The shape of a decoder.

    Attributes:
        positions: learned ones are added to the embedding; rotary ones are the block's affair.
        embedding_norm: a norm on the way in.
        tied: the output matrix is the embedding.
        softcap: logits are softcap * tanh(logits / softcap) (Gemma team 2024); None: as they are.
        value_embeddings: every other layer, the last among them, adds an embedding of the token to its values.
        init: how the weights begin: "zero", see the top; "gpt2", normal with deviation 0.02 and, where layers end,
            0.02 / sqrt(2 layers) (Radford et al. 2019).
    """

    vocabulary: Count
    layers: Count
    block: BlockConfig
    positions: Literal["rotary", "learned"] = "rotary"
    embedding_norm: bool = True
    tied: bool = False
    softcap: Positive | None = None
    rotary_base: Positive = 1024.0
    rotary_scaling: Llama3Scaling | None = None
    max_length: Count = 1024
    value_embeddings: bool = False
    init: Literal["zero", "gpt2"] = "zero"

    @property
    def width(self) -> int:
        return self.block.width

    @property
    def heads(self) -> int:
        return self.block.heads

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all): the head counts as embedding, as in Kaplan et al. 2020."""
        with torch.device("meta"):
            model = Decoder(self, None)
        own = ("blocks.", "norm.", "values.")
        inside = sum(
            p.numel()
            for name, p in model.named_parameters()
            if name.startswith(own) and not name.endswith(".embedding")
        )
        return inside, sum(p.numel() for p in model.parameters())


def proxy(vocabulary: int, layers: int, width: int, heads: int, **more: Any) -> DecoderConfig:
    """What fleets train."""
    return DecoderConfig(vocabulary, layers, BlockConfig(width, heads), **more)


def standard(
    vocabulary: int, layers: int, width: int, heads: int, kv_heads: int | None = None, **more: Any
) -> DecoderConfig:
    """The shape of Qwen3: RMS norms with gains, QK-norm, gated SiLU, rotary halves, no biases, tied."""
    block = BlockConfig(
        width, heads, kv_heads, mlp_width=3 * width, activation="silu", gated=True, gains=True, rotary="halves"
    )
    settings: dict[str, Any] = {"embedding_norm": False, "tied": True, "rotary_base": 10_000.0, "init": "gpt2"}
    return DecoderConfig(vocabulary, layers, block, **settings | more)


class ValueEmbedding(nn.Module):
    """What a layer adds to its values: a table of the tokens, and a gate for each head that begins at 1.

    Tables beside the one at the input are modded-nanogpt's (Jordan et al. 2024, after the value residual of Zhou et al.
    2024): attention hands on what a token is however much of it the layers below have kept.
    """

    def __init__(self, c: DecoderConfig) -> None:
        super().__init__()
        self.groups = c.block.groups
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, self.groups * c.block.key_width))
        self.gate = nn.Parameter(torch.ones(self.groups))

    def forward(self, ids_BT: Tensor) -> Tensor:
        """(B, G, T, K)."""
        values_BTGK = functional.embedding(ids_BT, self.embedding).unflatten(-1, (self.groups, -1))
        return (values_BTGK * self.gate[:, None]).transpose(1, 2)


class Decoder(nn.Module):
    """A decoder-only Transformer.

    Args:
        generator: None leaves weights as they come (they are about to be loaded).
        checkpointing: blocks are computed anew in the backward pass.
    """

    def __init__(
        self, config: DecoderConfig, generator: torch.Generator | None, *, checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.config = c = config
        self.checkpointing = checkpointing
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, c.width))
        learned = c.positions == "learned"
        self.positions = nn.Parameter(torch.empty(c.max_length, c.width)) if learned else None
        self.embedding_norm = Norm.of(c.block) if c.embedding_norm else None
        self.blocks = nn.ModuleList([Block(c.block) for _ in range(c.layers)])
        with_values = range(c.layers - 1, -1, -2) if c.value_embeddings else ()
        self.values = nn.ModuleDict({str(layer): ValueEmbedding(c) for layer in sorted(with_values)})
        self.norm = Norm.of(c.block)
        self.head = self.embedding if c.tied else nn.Parameter(torch.empty(c.vocabulary, c.width))
        scaled = c.rotary_scaling.of if c.rotary_scaling else None
        rotary = c.positions == "rotary"
        self.rotary = RotaryTable(c.max_length, c.block.key_width, c.rotary_base, scaled) if rotary else None
        if generator is not None:
            self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        c = self.config
        inner = c.width**-0.5 if c.init == "zero" else 0.02
        last = 0.0 if c.init == "zero" else 0.02 / (2 * c.layers) ** 0.5
        # A normed embedding's scale sets only how fast it can turn.
        outer = 0.3 if c.embedding_norm and not c.tied else 0.02

        def fill(parameter: Tensor, deviation: float) -> None:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)

        fill(self.embedding, outer)
        if self.positions is not None:
            fill(self.positions, 0.02)
        for name, parameter in self.blocks.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.dim() == 2:
                fill(parameter, last if name.endswith(("out.weight", "down.weight")) else inner)
        if not c.tied:
            fill(self.head, 0.0 if c.init == "zero" else 0.02)
        for values in self.values.values():  # last: a seed's other weights do not depend on them
            assert isinstance(values, ValueEmbedding)
            fill(values.embedding, inner)

    def hidden(
        self,
        ids_BT: Tensor,
        segments_BT: Tensor | None = None,
        memories: list[tuple[Memory, Memory]] | None = None,
        lead_B: Tensor | None = None,
    ) -> Tensor:
        """Final normed states (B, T, D).

        Args:
            memories: one a layer where text is generated: what stands in them came before, in rows of one document.
            lead_B: with `memories`, tokens of padding that each row begins with (its positions count from behind
                them), where documents of several lengths end together; None: no row has any.
        """
        c, T = self.config, ids_BT.shape[1]
        past = memories[0][0].length if memories else 0
        view = self._view(ids_BT, segments_BT, past, lead_B, cached=memories is not None)
        x_BTD = self.rows_of(self.embedding, ids_BT)
        where = None
        if lead_B is not None:
            where = (torch.arange(past, past + T, device=ids_BT.device) - lead_B[:, None]).clamp_min(0)
        if self.positions is not None:
            of_rows = places(ids_BT, segments_BT, past) if where is None else where
            x_BTD = x_BTD + self.rows_of(self.positions, of_rows)
        if self.embedding_norm is not None:
            x_BTD = self.embedding_norm(x_BTD)
        if c.block.dropout:
            x_BTD = functional.dropout(x_BTD, c.block.dropout, self.training)
        rotary = None
        if self.rotary is not None:
            rotary = self.rotary.at(past, T) if where is None else self.rotary.of(where)
        for i, block in enumerate(self.blocks):
            values = self.values[str(i)](ids_BT) if str(i) in self.values else None
            memory = memories[i] if memories else None
            x_BTD = through(self.checkpointing and not memories, block, x_BTD, view, rotary, memory, None, None, values)
        return self.norm(x_BTD)

    def states(self, batch: Batch) -> Tensor:
        """Final states (B, T, D) for a head, of rows of one document each: what fills their ends is seen by nothing
        before it."""
        return self.hidden(batch.inputs_BT)

    def rows_of(self, table: Tensor, ids_BT: Tensor) -> Tensor:
        """(B, T, D): the rows of a table that ids name."""
        return functional.embedding(ids_BT, table)

    def _view(
        self, ids_BT: Tensor, segments_BT: Tensor | None, past: int, lead_B: Tensor | None, *, cached: bool
    ) -> View:
        window, T = self.config.block.window, ids_BT.shape[1]
        most = past + T
        if most > self.config.max_length and lead_B is not None:
            most -= int(lead_B.min())
        if most > self.config.max_length:
            raise ValueError(f"{most} positions, and the model has {self.config.max_length}")
        if cached:
            return attention.after(past, T, window, ids_BT.device, lead_B)
        return attention.causal(segments_BT, window, T, ids_BT.device)

    def memories(self) -> list[tuple[Memory, Memory]]:
        """Empty ones, for `hidden`."""
        return [(Memory(), Memory()) for _ in self.blocks]

    def forward(
        self, ids_BT: Tensor, segments_BT: Tensor | None = None, memories: list[tuple[Memory, Memory]] | None = None
    ) -> Tensor:
        """Logits (B, T, V)."""
        return self.logits(self.hidden(ids_BT, segments_BT, memories))

    def logits(self, x: Tensor) -> Tensor:
        """(..., V) of states (..., D) that `hidden` gave."""
        logits = x @ self.head.t()
        cap = self.config.softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """Mean next-token loss and the loss of each position, in nats."""
        x_BTD = self.hidden(batch.inputs_BT, batch.segments_BT)
        mean, losses = fused.linear_cross_entropy(
            x_BTD.reshape(-1, self.config.width),
            self.head,
            batch.targets_BT.reshape(-1),
            softcap=self.config.softcap,
            penalties=penalties,
        )
        return Loss(mean, losses.view(batch.targets_BT.shape))

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer."""
        return roles_of(self, ("embedding", "positions"))

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        return self.config.n_parameters()

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """Training FLOPs a token: 6 per weight of every matrix product, and 6 T H K a layer for causal attention.

        As in PaLM (Chowdhery et al. 2022, appendix B), with half of the attention square counted.
        """
        c = self.config
        seen = min(length, c.block.window or length)
        attention_flops = 6.0 * c.layers * seen * c.block.heads * c.block.key_width
        return 6.0 * (c.layers * c.block.products() + c.vocabulary * c.width) + attention_flops
