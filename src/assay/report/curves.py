"""Learning curves per source, and the size law with the points that it was not fitted on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup, escape

from assay.impact.results import Curve, CurvePoint, LawView, StudyResults
from assay.present.numbers import compact, estimate, fixed, percent, significant
from assay.present.parts import Content, Ids, Key, figure, fold, legend, said
from assay.present.plots import Band, Point, Series, plot
from assay.present.scales import Axis, usable
from assay.present.tables import Column, table
from assay.present.words import both, known
from assay.report import baseline

SMALL = (232, 176)


def learning(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "curves" places: a small plot per source on the same axes, with the mean in each."""
    curves = [curve for curve in results.curves if curve.points]
    if not curves:
        return None
    mean = next((curve for curve in curves if curve.target == ""), None)
    ngram = {curve.target: curve for curve in results.baseline.curves}
    points = [point for curve in (*curves, *ngram.values()) for point in curve.points]
    x = Axis({}, log=True, form=compact, include=tuple(float(point.tokens) for point in points))
    y = Axis({}, include=tuple(v for point in points for v in (point.bpb, *point.interval)))
    keys = [Key("dot", "accent", both("curves.key_source"))]
    if mean and len(curves) > 1:
        keys.append(Key("dashes", "plain", both("curves.key_mean")))
    if ngram:
        keys.append(Key("ring", "warm", both("curves.key_ngram", order=results.baseline.order)))
    return {
        "lead": said("curves.lead", level=percent(results.level)),
        "legend": legend(keys),
        "axes": said(
            "curves.axes",
            **{"from": compact(min(p.tokens for p in points)), "to": compact(max(p.tokens for p in points))},
        ),
        "panels": [_panel(curve, mean, ngram.get(curve.target), x, y, ids) for curve in curves],
        "numbers": _learning_table(curves, ids),
        "baseline": baseline.view(results, ids),
    }


def _panel(curve: Curve, mean: Curve | None, ngram: Curve | None, x: Axis, y: Axis, ids: Ids) -> Markup:
    ident = ids.new(f"curve-{curve.target or 'mean'}")
    series = []
    if mean and curve is not mean:
        series.append(Series([_point(p) for p in mean.points], "plain", "none", line=True, dashed=True))
    if ngram:
        series.append(Series([replace(_point(p), hollow=True) for p in ngram.points], "warm", "dot", line=True))
    series.append(Series([_point(p) for p in curve.points], "accent", "dot", line=True))
    first, last = curve.points[0], curve.points[-1]
    about = both("curves.about", first=significant(first.bpb), last=significant(last.bpb))
    drawing = plot(x, y, series, ident=ident, sizes=[SMALL])
    return figure(drawing, title=_target(curve.target), about=about, ident=ident)


def _target(target: str) -> Content:
    return target or both("curves.mean")


def _point(point: CurvePoint) -> Point:
    value, interval = estimate(point.bpb, point.interval)
    tip = both("curves.tip", tokens=compact(point.tokens), value=value, interval=interval)
    return Point(point.tokens, point.bpb, *point.interval, tip=tip)


def _learning_table(curves: list[Curve], ids: Ids) -> Markup:
    sizes = sorted({point.tokens for curve in curves for point in curve.points})
    columns = [Column(both("curves.target")), *(Column(compact(tokens)) for tokens in sizes)]
    rows: list[list[Content]] = []
    for curve in curves:
        held = {point.tokens: point for point in curve.points}
        rows.append([_target(curve.target), *(_value(held.get(tokens)) for tokens in sizes)])
    body = table(both("curves.caption"), columns, rows, ident=ids.new("curves-caption"))
    return fold(both("curves.numbers"), body)


def _value(point: CurvePoint | None) -> Content:
    if point is None:
        return "–"
    value, interval = estimate(point.bpb, point.interval)
    mark = Markup("<small>{}</small>").format(said("curves.held_out")) if point.held_out else ""
    return Markup("{}<small>{}</small>{}").format(value, interval, mark)


def law(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "law" places; None where no law was fitted."""
    view = results.law
    if view is None:
        return None
    ident = ids.new("law-figure")
    return {
        "figure": figure(
            _law_plot(view, ident),
            title=both("law.figure"),
            about=_law_about(view, results.level),
            ident=ident,
            keys=_law_keys(view),
        ),
        "equation": _equation(view.model),
        "parameters": [
            (known(f"parameter.{name}", name), significant(value)) for name, value in view.parameters.items()
        ],
        "numbers": _law_table(view, ids),
        "more": _more_table(view, results.level, ids),
    }


def _equation(model: str) -> Markup:
    """The law's right-hand side as it is printed in papers; a form that is not known stays as it is."""
    return Markup("bpb = {}").format(
        Markup(escape(model)).replace("B D^-beta", Markup("<i>B</i> · <i>D</i><sup>−β</sup>"))
    )


def _law_keys(view: LawView) -> list[Key]:
    keys = [
        Key("line", "accent", both("law.key_fit")),
        Key("band", "accent", both("law.key_band")),
        Key("dot", "dark", both("law.key_points")),
    ]
    if any(point.held_out for point in view.points):
        keys.append(Key("diamond", "warm", both("law.key_held_out")))
    if view.prediction:
        keys.append(Key("bracket", "accent", both("law.key_registered")))
    return keys


def _law_plot(view: LawView, ident: str) -> Markup:
    line = [
        Point(
            x,
            y,
            tip=both("law.law_at", tokens=compact(x), value=significant(y), interval=estimate(y, (low, high))[1]),
        )
        for x, y, low, high in view.band
    ]
    held_out = [point for point in view.points if point.held_out]
    series = [
        Series(line, "accent", "none", line=True),
        Series([_point(p) for p in view.points if not p.held_out], "dark", "dot"),
    ]
    place = _registered_at(view)
    if view.prediction and place:
        value, low, high = view.prediction
        shown, interval = estimate(value, (low, high))
        tip = both("law.registered_tip", value=shown, interval=interval)
        series.append(Series([Point(place, value, low, high, tip=tip)], "accent", "bracket", dodge=-11))
    series.append(Series([_point(p) for p in held_out], "warm", "diamond"))
    return plot(
        Axis(both("law.tokens"), log=True, form=compact),
        Axis(both("curves.bpb_long")),
        series,
        ident=ident,
        bands=[Band([(x, low, high) for x, _, low, high in view.band], "accent")],
    )


def _registered_at(view: LawView) -> int | None:
    """The size that the registered prediction is about: the largest held-out one."""
    return max((p.tokens for p in view.points if p.held_out and usable(p.bpb)), default=None)


def _law_about(view: LawView, level: float) -> dict[str, str]:
    fitted = sum(_role(view, point) == "fitted" for point in view.points)
    about = both("law.about", n=fitted, level=percent(level))
    place = _registered_at(view)
    if view.prediction and place:
        predicted, interval = estimate(view.prediction[0], view.prediction[1:])
        measured = next(p.bpb for p in view.points if p.held_out and p.tokens == place)
        more = both(
            "law.about_registered",
            predicted=predicted,
            interval=interval,
            measured=estimate(measured, view.prediction[1:])[0],
        )
        about = {"en": f"{about['en']} {more['en']}", "zh": about["zh"] + more["zh"]}
    return about


def _role(view: LawView, point: CurvePoint) -> str:
    return "held_out" if point.held_out else "fitted" if point.tokens >= view.fitted_from else "earlier"


def _law_table(view: LawView, ids: Ids) -> Markup:
    names = ("tokens", "role", "measured", "predicted")
    columns = [Column(both(f"law.{name}"), number=name != "role") for name in names]
    place = _registered_at(view)
    rows: list[list[Content]] = []
    for point in view.points:
        predicted: Content = "–"
        if view.prediction and point.held_out and point.tokens == place:
            predicted = _with_interval(view.prediction[0], view.prediction[1:])
        rows.append(
            [
                compact(point.tokens),
                both(f"law.{_role(view, point)}"),
                _with_interval(point.bpb, point.interval),
                predicted,
            ]
        )
    return fold(both("law.numbers"), table(both("law.caption"), columns, rows, ident=ids.new("law-caption")))


def _with_interval(value: float, interval: tuple[float, float]) -> Markup:
    return Markup("{} {}").format(*estimate(value, interval))


def _more_table(view: LawView, level: float, ids: Ids) -> Markup | None:
    if not view.more_data:
        return None
    columns = [
        Column(both("law.factor")),
        Column(both("law.gain")),
        Column(both("law.interval", level=percent(level))),
    ]
    rows: list[list[Content]] = []
    for factor, gain, low, high in view.more_data:
        value, interval = estimate(gain, (low, high), signed=True)
        shown = fixed(factor, 0) if factor == int(factor) else significant(factor)
        rows.append([both("law.times", factor=shown), value, interval])
    return table(both("law.more_caption"), columns, rows, ident=ids.new("more-caption"), kind="slim")
