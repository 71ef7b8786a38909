"""What all forms of a surface have in common."""

from __future__ import annotations

from typing import Protocol

from assay.impact.surfaces.features import F64, I64


class Surface(Protocol):
    """Several targets' losses, fitted to several draws of the runs."""

    def predict(self, shares: F64) -> F64:
        """(draws or 1, mixtures, sources) -> (draws, mixtures, targets) losses."""
        ...

    def slope(self, shares: F64, predicted: F64, weights: F64) -> F64:
        """(draws, mixtures, sources): the derivative of the weighted sum of the targets.

        Args:
            predicted: `predict` of the shares.
            weights: (draws or 1, targets).
        """
        ...


class Form(Protocol):
    """A family of surfaces with all that is chosen of it but the penalty. Values that can be compared and hashed."""

    @property
    def name(self) -> str: ...

    @property
    def penalties(self) -> tuple[float, ...]:
        """Those to choose from."""
        ...

    def out_of_fold(self, shares: F64, losses: F64, folds: I64) -> F64:
        """(penalties, runs, targets): each run's losses as predicted by the runs of the other folds."""
        ...

    def fit(self, shares: F64, losses: F64, penalties: F64, counts: F64) -> Surface:
        """Fit a surface a draw.

        Args:
            shares: (runs, sources).
            losses: (runs, targets).
            penalties: (targets,).
            counts: (draws, runs) how often each run counts.
        """
        ...
