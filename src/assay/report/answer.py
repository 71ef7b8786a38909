"""The answer: headline claims, predictions with hits and misses alike, and the table of all claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assay.impact.claims import Claim, Text
from assay.impact.results import Effect, StudyResults
from assay.present.numbers import NONE, compact, durations, estimate, moment, percent, significant
from assay.present.parts import Content, Ids, badge, fold, said, spans, tile
from assay.present.plots import strip
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report import baseline

_SIGNS = {
    "supported": ("strong", "✓"),
    "indistinguishable": ("quiet", "≈"),
    "not identifiable": ("unknown", "?"),
    "hit": ("hit", "✓"),
    "miss": ("miss", "✕"),
    "untested": ("unknown", "…"),
}


@dataclass(frozen=True)
class ClaimView:
    """A claim as the page shows it."""

    claim: Claim
    anchor: str
    verdict: str
    badges: Markup
    kind: dict[str, str]
    question: dict[str, str]
    statement: dict[str, str]
    estimate: str
    bounds: str
    interval: Content
    detectable: str
    p_value: str


def view(results: StudyResults, ids: Ids) -> dict[str, Any]:
    """What the sections "answer" and "claims" place."""
    claims = [_claim(claim, ids) for claim in results.claims]
    effects = [shown for shown in claims if not _foretells(shown.claim)]
    supported = sum(shown.verdict == "supported" for shown in effects)
    return {
        "tiles": _tiles(results, supported, len(effects)),
        "headline": [shown for shown in effects if shown.claim.headline],
        "none_supported": supported == 0,
        "correction": _correction(results),
        "baseline": baseline.sentence(results),
        "predictions": _predictions(results, ids),
        "claims": claims,
        "kinds": _choices("kind", [claim.kind for claim in results.claims]),
        "verdicts": _choices("verdict", [shown.verdict for shown in claims]),
        "level": percent(results.level),
        "body_id": ids.new("claims-table"),
        "caption_id": ids.new("claims-caption"),
    }


def in_both(text: Text) -> dict[str, str]:
    """A claim's sentence as present's words have it."""
    return {"en": text.en, "zh": text.zh}


def effect_badge(effect: Effect) -> Markup:
    """Whether an effect is supported."""
    return verdict_badge("supported" if effect.supported else "indistinguishable")


def verdict_badge(verdict: str) -> Markup:
    """The badge of a verdict or an outcome."""
    tone, sign = _SIGNS[verdict]
    return badge(both(f"verdict.{verdict}"), tone, sign)


def p_value(p: float | None) -> str:
    """A p-value; tiny ones as a bound."""
    return "–" if p is None else "<0.0001" if p < 1e-4 else significant(p, 2)


def _claim(claim: Claim, ids: Ids) -> ClaimView:
    value, interval = _numbers(claim)
    unit = _unit(claim.unit)
    detectable = "–"
    # Of a prediction these are about its change since the reference run, which the outcome judges, not a test.
    if claim.minimum_detectable is not None and not _foretells(claim):
        detectable = significant(claim.minimum_detectable, 2) + unit
    return ClaimView(
        claim=claim,
        anchor=ids.new(f"claim-{claim.id}"),
        verdict=_verdict(claim),
        badges=_badges(claim),
        kind=both(f"kind.{claim.kind}"),
        question=in_both(claim.question),
        statement=in_both(claim.statement),
        estimate=value if value == NONE else value + unit,
        bounds=estimate(claim.estimate, claim.interval)[1],
        interval=interval,
        detectable=detectable,
        p_value=NONE if _foretells(claim) else p_value(claim.p_value),
    )


def _numbers(claim: Claim) -> tuple[str, Content]:
    """Value and interval beside a claim: of a prediction, the measured value and the registered interval."""
    if claim.prediction is None or not _foretells(claim):
        value, interval = estimate(claim.estimate, claim.interval)
        return value, f"{percent(claim.level)} {interval}"
    interval = estimate(claim.prediction.value, claim.prediction.interval)[1]
    value = estimate(claim.outcome.value, claim.prediction.interval)[0] if claim.outcome else NONE
    return value, both("claims.predicted", interval=interval)


def _foretells(claim: Claim) -> bool:
    """Whether a claim is a prediction and nothing else; its outcome then stands for its verdict."""
    return claim.kind == "prediction" and claim.prediction is not None


def _outcome(claim: Claim) -> str:
    return claim.outcome.verdict if claim.outcome else "untested"


def _verdict(claim: Claim) -> str:
    return _outcome(claim) if _foretells(claim) else claim.verdict


def _badges(claim: Claim) -> Markup:
    """A claim's verdict, and where an effect was predicted as well, the outcome beside it."""
    shown = [verdict_badge(_verdict(claim))]
    if claim.prediction and not _foretells(claim):
        shown.append(verdict_badge(_outcome(claim)))
    return Markup(" ").join(shown)


def _unit(unit: str) -> str:
    return f" {unit}" if unit and unit != "%" else unit


def _choices(what: str, values: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """The values that a filter offers, in the order in which they first occur."""
    return [(value, both(f"{what}.{value}")) for value in dict.fromkeys(values)]


def _tiles(results: StudyResults, supported: int, effects: int) -> Markup:
    """The four figures on top; predictions are counted apart from the claims that have a verdict."""
    tested = [claim.outcome for claim in results.claims if claim.outcome]
    hits = sum(outcome.verdict == "hit" for outcome in tested)
    tiles = [
        tile(
            both("answer.supported"),
            both("answer.of", k=supported, n=effects),
            both("answer.corrected"),
        ),
        tile(
            both("answer.hits"),
            both("answer.of", k=hits, n=len(tested)) if tested else "–",
            both("answer.registered_first") if tested else both("verdict.untested"),
        ),
        tile(
            both("answer.runs"),
            str(results.cost.runs),
            both("answer.per_run", tokens=compact(results.run_tokens)),
        ),
        tile(both("answer.time"), durations(results.cost.seconds), results.cost.device),
    ]
    return Markup("").join(tiles)


def _correction(results: StudyResults) -> Markup:
    tests = sum(claim.p_value is not None for claim in results.effects)
    return said(
        "answer.correction",
        n=len(results.claims),
        tests=tests,
        rate=percent(results.false_discovery_rate),
        level=percent(results.level),
    )


def _predictions(results: StudyResults, ids: Ids) -> Markup | None:
    claims = sorted((claim for claim in results.claims if claim.prediction), key=lambda claim: not claim.headline)
    if not claims:
        return None
    first = sum(claim.headline for claim in claims) or len(claims)
    rows: list[list[Content]] = [_prediction(claim) for claim in claims]
    missing = 1 - results.level
    every = round(1 / missing) if missing > 1e-6 else 0
    caption = (
        both("predictions.caption", level=percent(results.level), every=every)
        if every > 1
        else both("predictions.caption_plain", level=percent(results.level))
    )
    names = ("what", "outcome", "predicted", "measured", "picture")
    columns = [Column(both(f"predictions.{name}"), number=name in ("predicted", "measured")) for name in names]
    ident = ids.new("predictions-caption")
    shown = table(caption, columns, rows[:first], ident=ident, kind="predictions", stack=True)
    if first == len(rows):
        return shown
    tested = [claim.outcome for claim in claims[first:] if claim.outcome]
    hits = sum(outcome.verdict == "hit" for outcome in tested)
    more = both("predictions.more", n=len(rows) - first, hits=hits)
    rest = table(
        more, columns, rows[first:], ident=ids.new("predictions-more"), kind="predictions", stack=True, quiet=True
    )
    return shown + fold(more, rest)


def _prediction(claim: Claim) -> list[Content]:
    assert claim.prediction
    value, interval = estimate(claim.prediction.value, claim.prediction.interval)
    low, high = claim.prediction.interval
    measured = claim.outcome.value if claim.outcome else None
    unit = _unit(claim.unit)
    measured_text = "–" if measured is None else estimate(measured, (low, high))[0]
    label = both("predictions.strip", predicted=value, interval=interval, measured=measured_text)
    when = claim.registered_at
    question = Markup("{}<small>{}</small>{}").format(
        spans(in_both(claim.question)),
        spans(in_both(claim.statement)),
        Markup("<small>{}</small>").format(said("predictions.when", at=moment(when))) if when else "",
    )
    return [
        question,
        verdict_badge(_outcome(claim)),
        Markup("{}{}<small>{}</small>").format(value, unit, interval),
        f"{measured_text}{unit}" if measured is not None else "–",
        strip(low, high, claim.prediction.value, measured, label),
    ]
