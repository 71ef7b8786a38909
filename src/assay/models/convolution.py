"""Convolutions over a text (TextCNN, Kim 2014): token ids -> embedding -> filters of several widths side by side.

    ids_BT -> embedding -> dropout -> one convolution a width, each as long as the text, ReLU -> on end (B, T, D)

A body for heads (`heads`) and nothing else: it predicts no text. Kim's maximum over time is the head's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models.attention import PADDING
from assay.models.protocol import Batch
from assay.models.ranges import Count, Dropout


@dataclass(frozen=True)
class ConvolutionConfig:
    """The shape.

    Attributes:
        width: of the embedding.
        filters: of each width of filters.
        spans: widths of the filters, in tokens.
        dropout: of the embedding.
    """

    vocabulary: Count
    width: Count
    filters: Count = 100
    spans: tuple[Count, ...] = (3, 4, 5)
    dropout: Dropout = 0.0


class Convolution(nn.Module):
    """See the module."""

    def __init__(self, config: ConvolutionConfig, generator: torch.Generator | None) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, c.width))
        self.filters = nn.ModuleList(nn.Linear(span * c.width, c.filters) for span in c.spans)
        if generator is not None:
            self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Uniform: the embedding within 0.25 (Kim 2014), filters within 1 / sqrt(inputs)."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                bound = 0.25 if name == "embedding" else parameter.shape[1] ** -0.5
                parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)

    def states(self, batch: Batch) -> Tensor:
        """(B, T, D) what the filters answer at each position; what fills a row is nothing to them."""
        c = self.config
        x_BTD = functional.dropout(functional.embedding(batch.inputs_BT, self.embedding), c.dropout, self.training)
        if batch.segments_BT is not None:
            x_BTD = x_BTD * (batch.segments_BT != PADDING)[:, :, None]
        found = []
        for span, layer in zip(c.spans, self.filters, strict=True):
            around = functional.pad(x_BTD, (0, 0, (span - 1) // 2, span // 2))
            windows_BTC = around.unfold(1, span, 1).transpose(2, 3).flatten(2)  # (B, T, span * width)
            found.append(functional.relu(layer(windows_BTC)))
        return torch.cat(found, dim=2)

    def products(self) -> int:
        """Weights of all matrix products of a token."""
        c = self.config
        return sum(span * c.width * c.filters for span in c.spans)
