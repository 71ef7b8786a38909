"""Weights that become zero: which ones, by what they are or by what they do.

    magnitude   |w| (Han et al. 2015)
    wanda       |w| times the length of its input over calibration text (Sun et al. 2024)

Of each row, each layer or the whole model the share with the lowest scores goes; or two of every four neighbours in a
row, which is what sparse units of GPUs compute with (2:4). The model keeps its shape: it is smaller where it is
stored compressed, and faster where an engine knows zeros.

Shapes: O outputs, I inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from assay.compress.walking import Seen, walked
from assay.errors import InputError
from assay.models import quantized
from assay.models.build import Neural
from assay.models.protocol import Batch

PATTERN = (2, 4)


@dataclass(frozen=True)
class Sparsity:
    """What is made zero.

    Attributes:
        share: of the weights; None: two of every four.
        within: what scores are compared within.
    """

    method: Literal["magnitude", "wanda"]
    share: float | None
    within: Literal["row", "layer", "model"]

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share < 1:
            raise InputError(f"{self.share} is no share between 0 and 1", where="--sparsity", remedy="give 0.5, say")


def scores(w_OI: Tensor, seen: Seen | None) -> Tensor:
    """(O, I); the input's length is the root of H's diagonal."""
    return w_OI.abs() if seen is None else w_OI.abs() * seen.h.diagonal().sqrt().to(w_OI.dtype)


def lowest(score_OI: Tensor, share: float, *, by_row: bool) -> Tensor:
    """(O, I) bool, the share with the lowest scores: of each row, or of all."""
    rows = score_OI if by_row else score_OI.view(1, -1)
    gone = torch.zeros_like(rows, dtype=torch.bool)
    gone.scatter_(1, rows.argsort(dim=1, stable=True)[:, : round(share * rows.shape[1])], True)
    return gone.view(score_OI.shape)


def two_of_four(score_OI: Tensor) -> Tensor:
    """(O, I) bool, the two lowest of every four neighbours; what is left at the end of a row stays."""
    n, m = PATTERN
    whole = score_OI.shape[1] // m * m
    gone = torch.zeros_like(score_OI, dtype=torch.bool)
    fours = score_OI[:, :whole].unflatten(1, (-1, m))
    gone[:, :whole] = torch.zeros_like(fours, dtype=torch.bool).scatter_(2, fours.argsort(2)[..., :n], True).flatten(1)
    return gone


@torch.no_grad()
def prune(
    model: Neural, how: Sparsity, batches: Sequence[Batch], told: Callable[[str], None] = lambda _: None
) -> float:
    """Make weights of blocks zero, in place; returns the share that is.

    Args:
        batches: calibration rows; of `magnitude` none are needed.

    Raises:
        InputError: the model has no linear layers in blocks.
    """
    before = dict(quantized.some_layers(model))
    if how.within == "model" and how.share is not None:
        _everywhere(model, how, how.share, batches)
    elif how.method == "magnitude":
        for layer in before.values():
            _cut(layer, scores(layer.weight, None), how)
    else:
        for found in walked(model, batches):
            for name, (layer, seen) in found.items():
                _cut(layer, scores(layer.weight, seen), how)
                told(name)
    zeros = sum(int((layer.weight == 0).sum()) for layer in before.values())
    return zeros / sum(layer.weight.numel() for layer in before.values())


def _cut(layer: nn.Linear, score_OI: Tensor, how: Sparsity) -> None:
    gone = two_of_four(score_OI) if how.share is None else lowest(score_OI, how.share, by_row=how.within == "row")
    layer.weight[gone] = 0


def _everywhere(model: Neural, how: Sparsity, share: float, batches: Sequence[Batch]) -> None:
    """One threshold for all layers, whose inputs are those of the whole model."""
    if how.method == "magnitude":
        found = {name: (layer, scores(layer.weight, None)) for name, layer in quantized.layers(model)}
    else:
        found = {
            name: (layer, scores(layer.weight, seen))
            for block in walked(model, batches)
            for name, (layer, seen) in block.items()
        }
    flat = torch.cat([score.flatten() for _, score in found.values()])
    gone = lowest(flat[None], share, by_row=True)[0].split([layer.weight.numel() for layer, _ in found.values()])
    for (layer, score), own in zip(found.values(), gone, strict=True):
        layer.weight[own.view(score.shape)] = 0
