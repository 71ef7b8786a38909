"""A form that an answer has to have, as a search sees it: which ids may come next.

    Rules(constraint=make)     make() -> a Constraint, once for each answer
    form.allowed()             (V,) what may come
    form.tell(id)              what came
    form.done                  nothing may follow: the answer is whole, and ends without a stop id

A search that holds several continuations open (beams, a draft's proposals) copies a form for each. Who knows what a
regular expression is, is not this room's business: `generation.constrained` makes forms out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Constraint(Protocol):
    """What one answer may go on with."""

    def allowed(self) -> Tensor:
        """(V,) bool."""

    def tell(self, token: int) -> None:
        """It came; it was allowed."""

    def copy(self) -> Constraint:
        """One that goes its own way from here."""

    @property
    def done(self) -> bool:
        """Nothing may follow."""


def masks(forms: Sequence[Constraint | None], vocabulary: int, device: torch.device) -> Tensor:
    """(B, V) what each row may go on with; a row without a form, with anything."""
    anything = torch.ones(vocabulary, dtype=torch.bool)
    return torch.stack([anything if form is None else form.allowed() for form in forms]).to(device)


def told(form: Constraint, token: int) -> Constraint:
    """A copy that knows of one token more."""
    new = form.copy()
    new.tell(token)
    return new
