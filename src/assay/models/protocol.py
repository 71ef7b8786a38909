"""What the one trainer asks of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

Role = Literal["matrix", "embedding", "head", "vector"]


@dataclass(frozen=True)
class Batch:
    """Inputs and targets of one step.

    Attributes:
        inputs_BT: int64 token ids.
        targets_BT: int64 token ids; -1 counts for nothing.
        segments_BT: ids of the documents within a row, or None where each row is one document.
    """

    inputs_BT: Tensor
    targets_BT: Tensor
    segments_BT: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """`mean` carries the gradient; `losses_BT` is the loss of each position in nats, 0 where it counts for nothing."""

    mean: Tensor
    losses_BT: Tensor


class Model(Protocol):
    """A neural model that the trainer can train: an `nn.Module` with these three methods."""

    def loss(self, batch: Batch) -> Loss: ...

    def roles(self) -> dict[str, Role]: ...

    def flops_per_token(self, length: int) -> float: ...
