"""The chosen surfaces of several targets as one, and their weighted mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.impact.surfaces.choice import Choice
from assay.impact.surfaces.features import F64
from assay.impact.surfaces.forms import Form, Surface


@dataclass(frozen=True)
class Blend:
    """A surface of all targets, as `forms.Surface` says.

    Attributes:
        parts: a form's surface, and which targets it is of.
        targets: how many there are.
    """

    parts: tuple[tuple[Surface, np.ndarray], ...]
    targets: int

    def predict(self, shares: F64) -> F64:
        each = [(surface.predict(shares), own) for surface, own in self.parts]
        found = np.empty((*each[0][0].shape[:2], self.targets))
        for predicted, own in each:
            found[..., own] = predicted
        return found

    def slope(self, shares: F64, predicted: F64, weights: F64) -> F64:
        found = np.zeros(())
        for surface, own in self.parts:
            found = found + surface.slope(shares, predicted[..., own], weights[:, own])
        return found


def fit(choices: Sequence[Choice], shares: F64, losses: F64, counts: F64 | None = None) -> Blend:
    """Fit what was chosen.

    Args:
        choices: one a target.
        shares: (runs, sources).
        losses: (runs, targets).
        counts: (draws, runs) how often each run counts; None: one draw, each once.
    """
    counts = np.ones((1, len(shares))) if counts is None else counts
    of_form: dict[Form, list[int]] = {}
    for target, choice in enumerate(choices):
        of_form.setdefault(choice.form, []).append(target)
    penalties = np.array([choice.penalty for choice in choices])
    parts = tuple(
        (form.fit(shares, losses[:, own], penalties[own], counts), np.array(own)) for form, own in of_form.items()
    )
    return Blend(parts, len(choices))
