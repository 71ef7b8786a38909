"""What steppers and rows of neural models have in common."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from assay.inference.protocol import Ids

LOGITS_HELD = 1 << 22  # numbers of logits that `follow` holds at a time (16 MB)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="Neural")


def quietly(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """In evaluation mode, without gradients; a model that is training goes on to."""

    @functools.wraps(method)
    def quiet(self: Self, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        was_training = self.model.training
        if was_training:
            self.model.eval()
        try:
            with torch.inference_mode():
                return method(self, *arguments, **named)
        finally:
            if was_training:
                self.model.train()

    return quiet


class Neural:
    """What steppers and rows of neural models have in common: the model, and where it is."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vocabulary: int = model.config.vocabulary
        self.device: torch.device = model.embedding.device


class Reading(Neural):
    """A stepper of a neural model."""

    in_pieces = True

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.reads: int | None = getattr(model.config, "max_length", None)

    def history(self, prompt: Ids) -> list[int]:
        return list(prompt)

    def room(self, prompt: Ids) -> int | None:
        """The last token that is written is not read."""
        return None if self.reads is None else self.reads - len(prompt) + 1


class Rows(Neural, ABC):
    """Rows of a neural model; a family says what its hidden states are, and what goes along when rows are taken."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._logits: tuple[Tensor, Tensor | None]
        self._states: Tensor | None = None

    def logits(self) -> Tensor:
        """Rows are taken of them when they are asked for, which after most takes they are not: a step comes before."""
        logits, rows_N = self._logits
        if rows_N is not None:
            self._logits = logits.index_select(0, rows_N), None
        return self._logits[0]

    @abstractmethod
    def hidden(self, ids_BT: Tensor) -> Tensor:
        """States (B, T, D) of ids that go on from what came before."""

    @abstractmethod
    def taken(self, rows_N: Tensor, last: bool) -> Rows:
        """Rows with what came before, without logits."""

    @abstractmethod
    def joined(self, other: Any) -> Rows:
        """These rows and another's with what came before, without logits."""

    @abstractmethod
    def replaced(self, other: Any, at: Sequence[int]) -> bool:
        """`put`, but for the logits."""

    def _seen(self, x_BTD: Tensor) -> None:
        self._states = x_BTD
        self._logits = self.model.logits(x_BTD[:, -1]).float(), None

    def states(self) -> Tensor | None:
        return self._states

    def mark(self) -> None:
        pass

    @abstractmethod
    def back(self, count: int) -> None: ...

    @quietly
    def extend(self, ids_BT: Tensor) -> Tensor:
        self._states = x_BTD = self.hidden(ids_BT)
        logits_BTV = self.model.logits(x_BTD).float()
        self._logits = logits_BTV[:, -1], None
        return logits_BTV

    @quietly
    def read(self, ids_BT: Tensor) -> None:
        self._seen(self.hidden(ids_BT))

    def step(self, ids_B: Tensor) -> None:
        self.read(ids_B[:, None])

    @quietly
    def take(self, rows_N: Tensor, *, last: bool = False) -> Rows:
        new = self.taken(rows_N, last)
        new._logits = self.logits(), rows_N
        return new

    @quietly
    def join(self, other: Any) -> Rows:
        new = self.joined(other)
        new._logits = torch.cat([self.logits(), other.logits()]), None
        return new

    @quietly
    def put(self, other: Any, at: Sequence[int]) -> bool:
        fits = self.replaced(other, at)
        if fits:
            places_N = torch.tensor(at, device=self.device)
            self._logits = self.logits().index_copy(0, places_N, other.logits()), None
        return fits

    @quietly
    def follow(self, ids_BT: Tensor) -> tuple[Tensor, Tensor]:
        counted = ids_BT >= 0
        scores, best = torch.zeros(ids_BT.shape, device=self.device), torch.ones_like(counted)
        if not ids_BT.numel():
            return scores, best
        scores[:, 0], best[:, 0] = scored(self.logits(), ids_BT[:, 0])
        later_BT = counted[:, 1:]
        if later_BT.any():
            x_ND = self.hidden(ids_BT[:, :-1].clamp_min(0))[later_BT]
            size = max(1, LOGITS_HELD // self.vocabulary)
            pieces = zip(x_ND.split(size), ids_BT[:, 1:][later_BT].split(size), strict=True)
            parts = [scored(self.model.logits(x).float(), ids) for x, ids in pieces]
            scores[:, 1:][later_BT], best[:, 1:][later_BT] = (torch.cat(part) for part in zip(*parts, strict=True))
        return scores.masked_fill(~counted, 0.0), best | ~counted


def scored(logits_NV: Tensor, ids_N: Tensor) -> tuple[Tensor, Tensor]:
    """(log-probability of each id, whether no other is more likely), (N,) each."""
    at_N1 = ids_N.clamp_min(0)[:, None]
    # Not logsumexp: on a CPU that takes three times as long.
    scores_N = logits_NV.log_softmax(-1).gather(-1, at_N1).squeeze(-1)
    return scores_N, logits_NV.gather(-1, at_N1).squeeze(-1) >= logits_NV.amax(-1)
