"""What a study will be able to see, said before a token is spent: the smallest effect that a claim finds.

A paired difference in bits per byte of one source's text varies, as past studies of real text say
(LAB_NOTES.md):

    over seeds       by USUAL_SD at USUAL_TOKENS of a run, and by less the longer runs are (TOKENS_EXPONENT)
    over documents   by DOCUMENT_SD / sqrt(tokens of it that are evaluated)

The mean over sources varies less: documents of different sources have nothing in common, and seeds little
(SHARED_BY_SOURCES, the correlation of two sources' differences over seeds). A study measures its own scatter and says
at each claim what it could have seen.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from assay.impact.measure import POOLED_WEIGHT

USUAL_SD, USUAL_TOKENS, TOKENS_EXPONENT = 0.0166, 166_000, 0.48
DOCUMENT_SD = 0.42
SHARED_BY_SOURCES = 0.1
POWER = 0.8
TRUE_SHARE = 0.5  # of the claims that are expected to be supported: it decides how strict the correction is


def standard_error(run_tokens: float, seeds: int, eval_tokens: float, sources: int = 1) -> float:
    """Bits per byte: of a paired difference on one source's text, or on the mean over so many.

    Args:
        run_tokens: of a comparison run.
        eval_tokens: held-out tokens of a source.
    """
    over_seeds = (USUAL_SD * (USUAL_TOKENS / run_tokens) ** TOKENS_EXPONENT) ** 2 / seeds
    shared = SHARED_BY_SOURCES + (1 - SHARED_BY_SOURCES) / sources
    return float((over_seeds * shared + DOCUMENT_SD**2 / eval_tokens / sources) ** 0.5)


def detectable(error: float, seeds: int, claims: int, rate: float) -> float:
    """Bits per byte: the smallest true difference found with probability POWER, for this many claims.

    Args:
        error: `standard_error`.
        claims: tests of the study, corrected together (`claims.discoveries`).
        rate: the false discovery rate.
    """
    strict = rate * max(1.0, TRUE_SHARE * claims) / (claims * float(np.sum(1 / np.arange(1, claims + 1))))
    df = seeds - 1 + POOLED_WEIGHT
    return float(error * (stats.t.isf(strict / 2, df) + stats.t.ppf(POWER, df)))
