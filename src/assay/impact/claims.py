"""What a study says: the claims contract, and the correction for saying many things at once.

A claim is one sentence with an interval. A prediction is registered (written to disk) before the run that tests it;
its outcome is filled in afterwards and its verdict is shown whether it is a hit or a miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["supported", "indistinguishable", "not identifiable"]
Kind = Literal["size", "quality", "distribution", "prediction", "cost"]
Pair = tuple[float, float]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Text(_Value):
    """One sentence, in both languages."""

    en: str
    zh: str


class Prediction(_Value):
    """A value registered before the run that tests it; `interval` is at the claim's level."""

    value: float
    interval: Pair


class Outcome(_Value):
    """What the run measured (mean over seeds): a hit lies inside the prediction's interval."""

    value: float
    verdict: Literal["hit", "miss"]


class Claim(_Value):
    """One answer of a study.

    `interval` is the raw one at `level`; `verdict` is corrected for the number of claims in the study.
    `minimum_detectable` is the smallest effect that this claim's design finds with probability 0.8.
    """

    id: str
    kind: Kind
    question: Text
    statement: Text
    unit: str
    estimate: float
    interval: Pair
    level: float
    n_seeds: int
    minimum_detectable: float | None
    p_value: float | None
    verdict: Verdict
    headline: Annotated[bool, Field(description="belongs to the answer in a few sentences")]
    evidence: list[str]
    registered_at: str | None
    prediction: Prediction | None
    outcome: Outcome | None


def claimed(about: str, target: str) -> str:
    """The id of what is claimed of a target; the mean over sources ("") has none of its own."""
    return about + (f"@{target}" if target else "")


def supported(claims: Sequence[Claim]) -> Mapping[str, Claim]:
    """The supported ones, by id."""
    return {claim.id: claim for claim in claims if claim.verdict == "supported"}


def discoveries(p_values: Sequence[float], rate: float = 0.05) -> tuple[np.ndarray, float]:
    """Which of many tests to support so that the expected share of false ones is at most `rate`.

    The step-up rule of Benjamini and Yekutieli (2001), which holds under any dependence: claims of one study share
    their baseline runs, and mixtures trade sources against one another, so independence cannot be assumed.

    Args:
        p_values: one per claim.
        rate: the false discovery rate.

    Returns:
        (supported, threshold): a boolean per claim, and the p-value below which a claim was supported (where none
        is, the threshold that the smallest would have had to meet).
    """
    p = np.asarray(p_values, dtype=float)
    m = len(p)
    if m == 0:
        return np.zeros(0, dtype=bool), rate
    ladder = rate * np.arange(1, m + 1) / (m * np.sum(1.0 / np.arange(1, m + 1)))
    below = np.flatnonzero(np.sort(p) <= ladder)
    threshold = float(ladder[below[-1]] if len(below) else ladder[0])
    return p <= (threshold if len(below) else -1.0), threshold
