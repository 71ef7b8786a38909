"""Recurrent models: a state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from assay.inference.protocol import Ids, Writing, padded_before
from assay.inference.steppers.neural import Reading, Rows, quietly
from assay.models.recurrent import Recurrent, State


class Remembering(Rows):
    """Rows of a recurrent model."""

    def __init__(self, model: Recurrent, state: State | None) -> None:
        super().__init__(model)
        self.state = state
        self._marked: tuple[State | None, Tensor] | None = None  # the state at the mark, and ids (B, T) since

    def hidden(self, ids_BT: Tensor) -> Tensor:
        if self._marked is not None:
            self._marked = self._marked[0], torch.cat([self._marked[1], ids_BT], dim=1)
        x_BTD, self.state = self.model.hidden(ids_BT, None, self.state)
        return x_BTD

    def mark(self) -> None:
        assert self.state is not None
        rows = self.state[0][0].shape[0]
        self._marked = self.state, torch.zeros(rows, 0, dtype=torch.int64, device=self.device)

    @quietly
    def back(self, count: int) -> None:
        """A state does not say what it was: what stays is read again from the mark on."""
        if not count:
            return
        assert self._marked is not None
        self.state, ids_BT = self._marked
        self.mark()
        if ids_BT.shape[1] > count:
            self.hidden(ids_BT[:, :-count])

    def taken(self, rows_N: Tensor, last: bool) -> Remembering:
        assert self.state is not None
        return Remembering(self.model, [tuple(s.index_select(0, rows_N) for s in layer) for layer in self.state])

    def joined(self, other: Remembering) -> Remembering:
        assert self.state is not None
        assert other.state is not None
        layers = zip(self.state, other.state, strict=True)
        return Remembering(self.model, [tuple(map(torch.cat, zip(*both, strict=True))) for both in layers])

    def replaced(self, other: Remembering, at: Sequence[int]) -> bool:
        assert self.state is not None
        assert other.state is not None
        places_N = torch.tensor(at, device=self.device)
        layers = zip(self.state, other.state, strict=True)
        self.state = [tuple(s.index_copy(0, places_N, x) for s, x in zip(*both, strict=True)) for both in layers]
        return True


class Recurrents(Reading):
    @quietly
    def begin(self, prompts: Sequence[Ids]) -> Writing:
        """Padding is a document of its own, so that the state begins anew behind it."""
        ids_BT, lead_B = padded_before(prompts, 0, self.device)
        segments_BT = (torch.arange(ids_BT.shape[1], device=self.device) >= lead_B[:, None]).long()
        x_BTD, state = self.model.hidden(ids_BT, segments_BT)
        rows = Remembering(self.model, state)
        rows._seen(x_BTD)
        return rows
