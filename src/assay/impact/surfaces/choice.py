"""Which form predicts each target best: by folds of the runs, all forms on the same folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assay.impact.surfaces.exponential import Exponential
from assay.impact.surfaces.features import F64, I64
from assay.impact.surfaces.forms import Form
from assay.impact.surfaces.kernel import Kernel
from assay.impact.surfaces.ridge import Ridge

FOLDS = 10
RUNS_OF_KERNELS = 1000  # above, a matrix of all runs takes long, and the other forms know enough
RUNS_PER_RATE = 6  # of the mixing law, which nothing penalises: what judges an optimum is fitted to a third of the runs


@dataclass(frozen=True)
class Choice:
    """What was chosen for a target.

    Attributes:
        penalty: of the form.
        out_of_fold: (runs,) losses, each predicted by the other folds.
        rmse: of these.
    """

    form: Form
    penalty: float
    out_of_fold: F64
    rmse: float


def forms(runs: int, sources: int) -> list[Form]:
    """Those that so many runs can tell apart."""
    found: list[Form] = [Ridge(eps) for eps in ((0.01,), (0.001,), (0.001, 0.03))]
    if runs <= RUNS_OF_KERNELS:
        found += [Kernel((0.001, 0.03), length) for length in (1.0, 2.0, 4.0)]
    if runs >= RUNS_PER_RATE * (1 + sources):
        found.append(Exponential())
    return found


def chosen(shares: F64, losses: F64, of: Sequence[Form], seed: int = 0) -> list[Choice]:
    """The form and penalty with the least squared error out of fold, for each target.

    Args:
        shares: (runs, sources).
        losses: (runs, targets), positive.
    """
    folds = np.random.default_rng(seed).permutation(len(shares)) % min(FOLDS, len(shares))
    best: list[Choice | None] = [None] * losses.shape[1]
    for form, penalty, predicted in _candidates(shares, losses, folds, of):
        rmse = np.sqrt(((predicted - losses) ** 2).mean(0))
        for target, before in enumerate(best):
            if before is None or rmse[target] < before.rmse:
                best[target] = Choice(form, penalty, predicted[:, target], float(rmse[target]))
    return [choice for choice in best if choice is not None]


def _candidates(shares: F64, losses: F64, folds: I64, of: Sequence[Form]) -> Iterator[tuple[Form, float, F64]]:
    for form in of:
        for penalty, predicted in zip(form.penalties, form.out_of_fold(shares, losses, folds), strict=True):
            yield form, penalty, predicted
