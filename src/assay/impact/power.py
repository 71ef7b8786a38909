"""What a study will be able to see, said before a token is spent: the smallest effect that a claim finds.

A paired difference in bits per byte scatters over seeds and documents by about USUAL_SD at USUAL_TOKENS of a run, and
by less the longer runs are, as TOKENS_EXPONENT says. These are figures of past studies on real text (LAB_NOTES.md); a
study measures its own scatter and says at each claim what it could have seen.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from assay.impact.measure import POOLED_WEIGHT

USUAL_SD, USUAL_TOKENS, TOKENS_EXPONENT = 0.0075, 165_000, 0.75
POWER = 0.8
TRUE_SHARE = 0.5  # of the claims that are expected to be supported: it decides how strict the correction is


def detectable(run_tokens: float, seeds: int, claims: int, rate: float) -> float:
    """Bits per byte: the smallest true difference found with probability POWER, for this many claims.

    Args:
        run_tokens: of a comparison run.
        claims: tests of the study, corrected together (`claims.discoveries`).
        rate: the false discovery rate.
    """
    se = USUAL_SD * (USUAL_TOKENS / run_tokens) ** TOKENS_EXPONENT / seeds**0.5
    strict = rate * max(1.0, TRUE_SHARE * claims) / (claims * float(np.sum(1 / np.arange(1, claims + 1))))
    df = seeds - 1 + POOLED_WEIGHT
    return float(se * (stats.t.isf(strict / 2, df) + stats.t.ppf(POWER, df)))
