"""What each planted defect costs: a curve over its doses, and the clean tokens that it is worth."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assay.impact.results import DosePoint, DoseView, StudyResults
from assay.present.numbers import NONE, estimate, percent
from assay.present.parts import Content, Ids, Key, estimated, figure, legend, said
from assay.present.plots import Point, Series, plot
from assay.present.scales import Axis
from assay.present.tables import Column, table
from assay.present.words import both, known
from assay.report.answer import effect_badge

PANEL = (430, 300)


def view(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "doses" places; None where no defect was planted."""
    held = [dose for dose in results.doses if dose.points]
    if not held:
        return None
    keys = [
        Key("dot", "accent", both("doses.key_supported")),
        Key("ring", "accent", both("doses.key_not")),
    ]
    if any(point.held_out for dose in held for point in dose.points):
        keys.append(Key("diamond", "warm", both("doses.key_held_out")))
    return {
        "damaged": _damaged(results, ids),
        "together": _together(results, ids),
        "legend": legend(keys),
        "defects": [
            {
                "figure": _figure(dose, results.level, ids),
                "note": dose.note,
                "table": _table(dose, ids),
            }
            for dose in held
        ],
    }


def _name(dose: DoseView) -> dict[str, str]:
    return known(f"doses.name.{dose.defect}", dose.defect.replace("_", " "))


def _figure(dose: DoseView, level: float, ids: Ids) -> Markup:
    ident = ids.new(f"dose-{dose.defect}")
    points = sorted(dose.points, key=lambda point: point.dose)
    drawing = plot(
        Axis(both("doses.x"), form=percent, include=(0.0,)),
        Axis(both("doses.y"), include=(0.0,)),
        [
            Series([_point(point) for point in points if not point.held_out], "accent", "dot", line=True),
            Series([_point(point) for point in points if point.held_out], "warm", "diamond"),
        ],
        ident=ident,
        baseline=0.0,
        sizes=[PANEL],
    )
    fitted = [point for point in points if not point.held_out]
    harmed = sum(bool(point.effect.supported) for point in fitted)
    about = both("doses.about", level=percent(level), harmed=harmed, n=len(fitted))
    return figure(drawing, title=_name(dose), about=about, ident=ident)


def _point(point: DosePoint) -> Point:
    effect = point.effect
    value, interval = estimate(effect.estimate, effect.interval, signed=True)
    tip = both("doses.tip", dose=percent(point.dose), value=value, interval=interval)
    hollow = not effect.supported and not point.held_out
    return Point(point.dose, effect.estimate, *effect.interval, tip=tip, hollow=hollow)


def _table(dose: DoseView, ids: Ids) -> Markup:
    columns = [
        Column(both("doses.dose")),
        Column(both("doses.verdict"), number=False),
        Column(both("doses.effect")),
        Column(both("doses.lost")),
    ]
    rows: list[list[Content]] = []
    for point in sorted(dose.points, key=lambda point: point.dose):
        effect = point.effect
        verdict: Content = effect_badge(effect)
        if point.held_out:
            verdict = both("doses.held_out")
        change = estimated(effect.estimate, effect.interval, signed=True)
        rows.append([percent(point.dose), verdict, change, _lost(point.tokens_lost)])
    caption = both("doses.caption", defect=_name(dose))
    return table(caption, columns, rows, ident=ids.new(f"dose-{dose.defect}-caption"), kind="slim")


def _beyond() -> Markup:
    return Markup('<span class="wraps">{}</span>').format(said("doses.beyond"))


def _lost(lost: tuple[float, float, float] | None) -> Content:
    """Clean tokens lost with their interval, or why there is no number."""
    if lost is None:
        return _beyond()
    value, low, high = (percent(share) for share in lost)
    if value == NONE:
        return _beyond()
    return Markup("{}<small>[{}, {}]</small>").format(value, low, high)


def _together(results: StudyResults, ids: Ids) -> Markup | None:
    """Two defects at once: what both cost, and whether that is the sum of what each costs alone."""
    if not results.together:
        return None
    heads = ("defects", "dose", "effect", "lost", "verdict", "more")
    columns = [Column(both(f"together.{name}"), number=name not in ("defects", "verdict")) for name in heads]
    rows: list[list[Content]] = []
    for row in results.together:
        names = both(
            "together.pair", **{key: both(f"doses.name.{d}") for key, d in zip("ab", row.defects, strict=True)}
        )
        effect, more = (estimated(e.estimate, e.interval, signed=True) for e in (row.effect, row.interaction))
        rows.append([names, percent(row.dose), effect, _lost(row.tokens_lost), effect_badge(row.interaction), more])
    return table(both("together.caption"), columns, rows, ident=ids.new("together-caption"), stack=True)


def _damaged(results: StudyResults, ids: Ids) -> Markup | None:
    """Defects in one source alone: which text suffers most, and whether it is the damaged source's."""
    if not results.damaged:
        return None
    heads = ("defect", "where", "dose", "worst", "seen", "effect")
    columns = [Column(both(f"damaged.{name}"), number=name in ("dose", "effect")) for name in heads]
    rows: list[list[Content]] = []
    for row in results.damaged:
        effect = row.effects[row.source]
        change = estimated(effect.estimate, effect.interval, signed=True)
        seen = both("damaged.found" if row.found else "damaged.missed")
        rows.append(
            [both(f"doses.name.{row.defect}"), row.source, percent(row.dose), row.worst, seen,
             change]
        )  # fmt: skip
    return table(both("damaged.caption"), columns, rows, ident=ids.new("damaged-caption"), stack=True)
