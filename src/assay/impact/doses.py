"""What a defect costs, in one currency: equivalent clean tokens lost.

A run on damaged text ends at some loss. The clean trunk of the same seed reached that loss earlier, after D_eq clean
tokens. So of the D tokens of the damaged run, D - D_eq did nothing: the share 1 - D_eq / D was lost.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from assay.impact.laws.size import tokens_for
from assay.impact.measure import Difference, Measurements


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
