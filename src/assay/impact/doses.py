"""What a defect costs, in one currency, equivalent clean tokens lost; and what a dose that was not measured would.

A run on damaged text ends at some loss. The clean trunk of the same seed reached that loss earlier, after D_eq clean
tokens. So of the D tokens of the damaged run, D - D_eq did nothing: the share 1 - D_eq / D was lost.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from assay.impact.laws.size import tokens_for
from assay.impact.measure import Difference, Measurements

MISFIT = 0.1
"""Error of a straight line between two doses, as a share of the effect there."""


def between(
    doses: list[float], effects: list[Difference], dose: float, level: float, other_var: float
) -> tuple[float, float, float]:
    """The effect at a dose that was not measured, on the straight line between its neighbours: value, low, high. At
    dose 0 there is no effect; beyond the last dose the line from 0 goes on, and may err twice as much.

    Args:
        doses, effects: as measured, doses rising.
        other_var: variance of what the prediction is tested by.
    """
    known, values = np.array([0.0, *doses]), np.array([0.0, *(effect.estimate for effect in effects)])
    errors = np.array([0.0, *(effect.se for effect in effects)])
    if dose <= doses[-1]:
        value, error, misfit = float(np.interp(dose, known, values)), float(np.interp(dose, known, errors)), MISFIT
    else:
        value, error = float(values[-1] * dose / doses[-1]), float(errors[-1] * dose / doses[-1])
        misfit = 2 * MISFIT
    half = float(stats.t.ppf(0.5 + level / 2, effects[-1].df)) * float(
        np.sqrt(error**2 + (misfit * value) ** 2 + other_var)
    )
    return value, value - half, value + half


def tokens_lost(
    measured: Measurements, baseline: str, sizes: list[int], run_tokens: int, effect: Difference, level: float
) -> tuple[float, float, float] | None:
    """Share of the training tokens that a defect made useless, for the mean over sources: value, low, high.

    The clean curve is the mean over seeds of the trunk's branches; the effect's interval is carried through it.

    Returns:
        None where the damaged run is worse than the smallest clean one (the share lies off the curve). Where only
        the upper bound does, it is all of them.
    """
    curve = np.array([measured.bpb(baseline, size)[:, 0].mean() for size in sizes])
    tokens = np.array(sizes, dtype=float)
    here = measured.bpb(baseline, run_tokens)[:, 0].mean()
    half = float(stats.t.ppf(0.5 + level / 2, effect.df)) * effect.se
    points = here + effect.estimate + np.array([0.0, -half, half])
    found = tokens_for(np.broadcast_to(curve, (3, len(curve))), tokens, points)
    if np.isnan(found[0]):
        return None
    low = found[1] if np.isfinite(found[1]) else tokens[-1]
    high = found[2] if np.isfinite(found[2]) else 0.0
    return tuple(float(1 - x / run_tokens) for x in (found[0], low, high))  # type: ignore[return-value]
