"""What the one trainer asks of a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.errors import InputError

Role = Literal["matrix", "embedding", "head", "vector"]


@dataclass(frozen=True)
class Batch:
    """Inputs and targets of one step.

    Attributes:
        inputs_BT: int64 token ids.
        targets_BT: int64 token ids, or what a head is asked for (`heads`), then (B, anything); -1 counts for nothing.
        segments_BT: ids of the documents within a row, or None where each row is one document.
        token_types_BT: kinds of tokens that an encoder tells apart, or None.
        source_BS: what an encoder-decoder reads, or None.
        source_segments_BS: ids of the documents within a row of the source; padding has `attention.PADDING`.
        continues_B: whether each row goes on with the document that its row of the step before ended in, or None where
            rows of different steps have nothing to do with each other.
        state_BS: what the rows of the step before left in a model that carries a state, or None.
        marks_BT: bool, the positions that a head reads or chooses among, or None.
        values_BN: float32, what a head of numbers is asked for at the targets that count, or None.
        taught_BNL: float32, what another model's head answered to the same rows, or None (`heads`).
        states_BND: float32, the states that the other head read, in the model's own width, or None.
    """

    inputs_BT: Tensor
    targets_BT: Tensor
    segments_BT: Tensor | None = None
    token_types_BT: Tensor | None = None
    source_BS: Tensor | None = None
    source_segments_BS: Tensor | None = None
    continues_B: Tensor | None = None
    state_BS: Tensor | None = None
    marks_BT: Tensor | None = None
    values_BN: Tensor | None = None
    taught_BNL: Tensor | None = None
    states_BND: Tensor | None = None

    def to(self, device: str | torch.device) -> Batch:
        """The batch on a device."""
        moved = {f.name: tensor.to(device) for f in fields(self) if (tensor := getattr(self, f.name)) is not None}
        return Batch(**moved)

    def pieces(self, rows: int) -> list[Batch]:
        """The batch in pieces of so many rows; the last can be smaller."""
        whole = {f.name: tensor for f in fields(self) if (tensor := getattr(self, f.name)) is not None}
        split = {name: tensor.split(rows) for name, tensor in whole.items()}
        return [Batch(**dict(zip(split, piece, strict=True))) for piece in zip(*split.values(), strict=True)]


@dataclass(frozen=True)
class Penalties:
    """What training adds to the loss; evaluation adds nothing.

    Attributes:
        smoothing: share of each target that is spread over all tokens (Szegedy et al. 2016).
        z: factor of the squared logarithm of the softmax's denominator (Chowdhery et al. 2022), which keeps logits
            from drifting.
        taught: share of the loss that asks for a teacher's answers instead of labels, where a batch has them (Hinton et
            al. 2015).
        temperature: both answers' logits are divided by it there, and their loss multiplied by its square.
        hidden: factor of the mean squared distance to the teacher's states, over their variance.
    """

    smoothing: float = 0.0
    z: float = 0.0
    taught: float = 0.0
    temperature: float = 1.0
    hidden: float = 0.0


PLAIN = Penalties()


class Loss(NamedTuple):
    """`mean` carries the gradient, and holds the penalties; `losses_BT` is the plain loss of each position in nats, 0
    where it counts for nothing; `state_BS` is what the rows leave, of a model that was given one. A tuple, since what
    shares a model among processes looks for tensors in tuples."""

    mean: Tensor
    losses_BT: Tensor
    state_BS: Tensor | None = None


@dataclass(frozen=True)
class Shares:
    """What an objective makes of a row, as shares of its tokens.

    Attributes:
        source, target: what an encoder-decoder reads and what it writes.
        predicted: the positions that a head is asked about.
    """

    source: float = 1.0
    target: float = 1.0
    predicted: float = 1.0


WHOLE = Shares()


class Model(Protocol):
    """A neural model that the trainer can train: an `nn.Module` with these methods.

    `config` has the `vocabulary`; `n_parameters` is (non-embedding, all); `flops_per_token` are training FLOPs a token
    of rows of so many.
    """

    config: Any

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss: ...

    def roles(self) -> dict[str, Role]: ...

    def n_parameters(self) -> tuple[int, int]: ...

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float: ...


def check_ids(model: Model, lowest: int, highest: int, where: str) -> None:
    """Refuse token ids that a model has no rows for, before a device does in words of its own.

    Whoever opens text for a model asks once, so that no step has to look.

    Args:
        where: what the ids were found in.

    Raises:
        InputError: one is below 0 or beyond the vocabulary.
    """
    if lowest < 0 or highest >= model.config.vocabulary:
        worst = lowest if lowest < 0 else highest
        raise InputError(
            f"token ids reach {worst}, and the model's are 0 to {model.config.vocabulary - 1}", where=where,
            remedy="encode the text with the tokenizer that the model was trained with",
        )  # fmt: skip


def roles_of(model: nn.Module, tables: Collection[str]) -> dict[str, Role]:
    """The role of each parameter: that of `tables` (by the last part of their names) and of `head`, else by shape."""

    def role(name: str, parameter: Tensor) -> Role:
        if name.rpartition(".")[2] in tables:
            return "embedding"
        return "head" if name == "head" else "matrix" if parameter.dim() == 2 else "vector"

    return {name: role(name, parameter) for name, parameter in model.named_parameters()}


def places(ids_BT: Tensor, segments_BT: Tensor | None, past: int = 0) -> Tensor:
    """(B, T) or (1, T) position of each token in its own document, so that packed equals unpacked.

    Args:
        past: tokens of the one document of each row that came before these.
    """
    place = torch.arange(past, past + ids_BT.shape[1], device=ids_BT.device)[None]
    if segments_BT is None:
        return place
    begins = functional.pad(segments_BT[:, 1:] != segments_BT[:, :-1], (1, 0))
    return place - torch.where(begins, place, 0).cummax(dim=1).values
