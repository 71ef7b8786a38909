"""The decoder (GPT): token ids -> loss per token.

    ids_BT -> embedding, RMSNorm
      per layer:  pre_attention -> attend -> post_attention      (the residual stream x_BTD goes through)
    -> RMSNorm -> linear_cross_entropy with the output matrix (tied to the embedding or its own)

The `proxy` preset is what fleets train: rotary positions, QK-norm, RMSNorm without gains, ReLU^2, no biases, output
projections that start at zero, so that every layer starts as the identity.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models import blocks
from assay.models.attention import AttentionContext, attend
from assay.models.protocol import Batch, Loss, Role


@dataclass(frozen=True)
class DecoderConfig:
    """The shape of a decoder."""

    vocabulary: int
    layers: int
    width: int
    heads: int
    mlp_ratio: int = 4
    tied: bool = False
    rotary_base: float = 1024.0
    max_length: int = 1024

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all): the head counts as embedding, as in Kaplan et al. 2020."""
        inside = self.layers * self.width**2 * (4 + 2 * self.mlp_ratio)
        return inside, inside + self.vocabulary * self.width * (1 if self.tied else 2)

    def as_dict(self) -> dict[str, int | float | bool]:
        return asdict(self)


class Decoder(nn.Module):
    """A decoder-only Transformer."""

    def __init__(self, config: DecoderConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        V, D, M = config.vocabulary, config.width, config.mlp_ratio * config.width

        def normal(rows: int, columns: int, deviation: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator).mul_(deviation))

        # The embedding is RMS-normalised on the way in, so its scale sets only how fast it can turn.
        self.embedding = normal(V, D, 0.02 if config.tied else 0.3)
        self.head = self.embedding if config.tied else nn.Parameter(torch.zeros(V, D))
        self.w_qkv = nn.ParameterList([normal(3 * D, D, D**-0.5) for _ in range(config.layers)])
        self.w_out = nn.ParameterList([nn.Parameter(torch.zeros(D, D)) for _ in range(config.layers)])
        self.w_up = nn.ParameterList([normal(M, D, D**-0.5) for _ in range(config.layers)])
        self.w_down = nn.ParameterList([nn.Parameter(torch.zeros(D, M)) for _ in range(config.layers)])
        cos, sin = blocks.rotary_tables(config.max_length, D // config.heads, config.rotary_base)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def hidden(self, ids_BT: Tensor, segments_BT: Tensor | None) -> Tensor:
        """Final normalised states (B, T, D)."""
        context = AttentionContext.of(segments_BT)
        x_BTD = blocks.rms_norm(functional.embedding(ids_BT, self.embedding))
        for w_qkv, w_out, w_up, w_down in zip(self.w_qkv, self.w_out, self.w_up, self.w_down, strict=True):
            q, k, v = blocks.pre_attention(x_BTD, w_qkv, self.cos, self.sin, self.config.heads)
            x_BTD = blocks.post_attention(x_BTD, attend(q, k, v, context), w_out, w_up, w_down)
        return blocks.rms_norm(x_BTD)

    def forward(self, ids_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        """Logits (B, T, V)."""
        return self.hidden(ids_BT, segments_BT) @ self.head.t()

    def loss(self, batch: Batch) -> Loss:
        """Mean next-token loss and the loss of each position, in nats."""
        x_BTD = self.hidden(batch.inputs_BT, batch.segments_BT)
        mean, losses = blocks.linear_cross_entropy(
            x_BTD.reshape(-1, self.config.width), self.head, batch.targets_BT.reshape(-1)
        )
        return Loss(mean, losses.view(batch.targets_BT.shape))

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer."""
        names = dict(self.named_parameters())
        return {name: "embedding" if name == "embedding" else "head" if name == "head" else "matrix" for name in names}

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        return self.config.n_parameters()

    def flops_per_token(self, length: int) -> float:
        """Training FLOPs a token: 6 per weight of every matrix product, and 6 T D a layer for causal attention.

        As in PaLM (Chowdhery et al. 2022, appendix B), with half of the attention square counted.
        """
        inside, _ = self.n_parameters()
        c = self.config
        return 6.0 * (inside + c.vocabulary * c.width) + 6.0 * c.layers * length * c.width
