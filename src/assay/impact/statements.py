"""Claims in words: from differences and predictions to the claims contract.

    differences, predictions -> drafts -> correction for their number -> claims

A draft knows its p-value; whether it is supported is decided once all drafts of the study are there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.impact.claims import Claim, Kind, Outcome, Prediction, Text, discoveries
from assay.impact.measure import MEAN, Difference
from assay.present.numbers import compact, estimate, percent, significant
from assay.present.words import Both, both


@dataclass(frozen=True)
class Draft:
    """A claim before the correction."""

    id: str
    kind: Kind
    question: str  # key below statement.question
    difference: Difference
    evidence: list[str]
    headline: bool = False
    change: Both = field(default_factory=dict)
    target: str = MEAN
    source: str | None = None  # the source that the change is about
    about: Both | None = None  # whose loss it is, where that is neither the mean's nor a source's
    tokens_lost: tuple[float, float, float] | None = None
    registered_at: str | None = None
    prediction: Prediction | None = None
    measured: float | None = None
    sentence: Both | None = None
    words: str = "statement"  # where the sentences worse, better and unclear stand


def change(key: str, **values: Any) -> Both:
    """What was changed, as the beginning of a sentence."""
    return both(f"statement.change.{key}", **values)


def predicted_sentence(key: str, prediction: Prediction, measured: float, **values: Any) -> Both:
    """A registered prediction and what came of it, as a sentence."""
    value, interval = estimate(prediction.value, prediction.interval)
    decimals = len(value.partition(".")[2])
    return both(f"statement.{key}", predicted=value, interval=interval, measured=f"{measured:.{decimals}f}", **values)


def decide(drafts: Sequence[Draft], level: float, rate: float) -> list[Claim]:
    """Claims with verdicts, corrected for their number (`claims.discoveries`). What a prediction is about stands
    before it is tested, so it is none of those that are picked out of many."""
    judged = [i for i, draft in enumerate(drafts) if math.isfinite(draft.difference.se)]
    many = [i for i in judged if drafts[i].kind != "prediction"]
    found, threshold = discoveries([drafts[i].difference.p_value for i in many], rate)
    supported = {i for i, hit in zip(many, found, strict=True) if hit}
    supported |= {i for i in judged if drafts[i].kind == "prediction" and drafts[i].difference.p_value <= rate}
    return [_claim(draft, i in supported, i in judged, level, threshold) for i, draft in enumerate(drafts)]


def _claim(draft: Draft, supported: bool, judged: bool, level: float, threshold: float) -> Claim:
    difference = draft.difference
    detectable = difference.minimum_detectable(threshold) if judged else None
    interval = difference.interval(level) if judged else (difference.estimate, difference.estimate)
    sentence = draft.sentence or _sentence(draft, supported, interval, detectable)
    outcome = None
    if draft.prediction is not None and draft.measured is not None:
        low, high = draft.prediction.interval
        hit = low <= draft.measured <= high
        outcome = Outcome(value=draft.measured, verdict="hit" if hit else "miss")
    return Claim(
        id=draft.id,
        kind=draft.kind,
        question=Text(**both(f"statement.question.{draft.question}")),
        statement=Text(**sentence),
        unit="bpb",
        estimate=difference.estimate,
        interval=interval,
        level=level,
        n_seeds=difference.n_seeds,
        minimum_detectable=detectable,
        p_value=difference.p_value if judged else None,
        verdict="supported" if supported else "indistinguishable" if judged else "not identifiable",
        headline=draft.headline,
        evidence=draft.evidence,
        registered_at=draft.registered_at,
        prediction=draft.prediction,
        outcome=outcome,
    )


def _sentence(draft: Draft, supported: bool, interval: tuple[float, float], detectable: float | None) -> Both:
    effect = draft.difference.estimate
    target = draft.about or (
        both("statement.target.all") if draft.target == MEAN
        else both("statement.target.own") if draft.target == draft.source
        else both("statement.target.one", source=draft.target)
    )  # fmt: skip
    values: dict[str, Any] = {"change": draft.change, "target": target}
    if not supported:
        size, bounds = estimate(effect, interval, signed=True)
        shown = significant(detectable, 2)
        return both(f"{draft.words}.unclear", size=size, interval=bounds, detectable=shown, **values)
    sign = 1 if effect > 0 else -1
    low, high = sorted((sign * interval[0], sign * interval[1]))
    size, bounds = estimate(sign * effect, (low, high))
    sentence = both(f"{draft.words}.{'worse' if sign > 0 else 'better'}", size=size, interval=bounds, **values)
    if draft.tokens_lost is not None and effect > 0:
        share, low, high = draft.tokens_lost
        more = both("statement.lost", share=percent(share), interval=f"[{percent(low)}, {percent(high)}]")
        sentence = {language: sentence[language] + more[language] for language in sentence}
    return sentence


def proxy_text(layers: int, width: int) -> str:
    """A proxy as people read it: layers and width."""
    return f"{layers} × {width}"


def tokens_text(tokens: float) -> str:
    """A number of tokens as people read it."""
    return compact(tokens)
