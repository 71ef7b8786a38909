"""Verdicts: corrected for the claims that are picked out of many, and for those alone."""

from __future__ import annotations

import pytest

from assay.impact.claims import Prediction
from assay.impact.measure import Difference
from assay.impact.statements import Draft, change, decide, predicted_sentence


def difference(p: float) -> Difference:
    """One with (nearly) this p-value."""
    from scipy import stats

    return Difference(float(stats.norm.isf(p / 2)), 1.0, 0.0, 1e6)


def draft(name: str, p: float) -> Draft:
    return Draft(name, "size", "doubling", difference(p), [], change=change("doubling", a="1M", b="2M"))


def predicted(name: str, p: float) -> Draft:
    prediction = Prediction(value=2.0, interval=(1.9, 2.1))
    sentence = predicted_sentence("larger", prediction, 2.05, tokens="4M", where="here")
    return Draft(
        name, "prediction", "larger", difference(p), [], prediction=prediction, measured=2.05, sentence=sentence
    )


def verdicts(drafts: list[Draft]) -> dict[str, str]:
    return {claim.id: claim.verdict for claim in decide(drafts, 0.9, 0.05)}


def test_predictions_do_not_count_among_the_many() -> None:
    alone = [draft("a", 0.03)]
    assert verdicts(alone) == {"a": "supported"}
    together = verdicts([*alone, *(predicted(f"p{i}", 0.5) for i in range(9))])
    assert together["a"] == "supported"
    assert together["p0"] == "indistinguishable"
    assert verdicts([*alone, *(draft(f"b{i}", 0.5) for i in range(9))])["a"] == "indistinguishable"


def test_a_hit_is_a_hit() -> None:
    (claim,) = decide([predicted("p", 1e-6)], 0.9, 0.05)
    assert claim.verdict == "supported"
    assert claim.outcome is not None
    assert claim.outcome.verdict == "hit"
    assert claim.outcome.value == pytest.approx(2.05)
