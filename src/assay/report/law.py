"""The answer of `assay law fit` -> one HTML file, in English and Chinese, that carries everything it shows.

Sections: what came out, loss by tokens, budgets, how far it can be trusted, parameters, what was left out. The order of
the page is that of `templates/law.html`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from assay.present.numbers import NONE, compact, estimate, percent, significant
from assay.present.page import begun
from assay.present.parts import Content, Ids, Key, figure, fold, json_address, spans, tile
from assay.present.plots import Band, Point, Series, plot
from assay.present.scales import Axis
from assay.present.tables import Column, table
from assay.present.words import Both, both, known
from assay.report.sheet import filled

PAGE = "law.html"
SECTIONS = ("answer", "fit", "budgets", "trust", "parameters", "left-out", "read")
_SHOWN = 40  # rows of a table
_GREEK = {"alpha": "α", "beta": "β"}


def render(found: Mapping[str, Any], title: str, command: str, language: str = "en") -> str:
    """The page of one law or, where there are groups, of each.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, SECTIONS)
    groups = found.get("groups", {"": found})
    many = len(groups) > 1
    laws = [_law(name, one, ids, many) for name, one in groups.items()]
    contents: list[tuple[str, Content]]
    if many:
        contents = [(one["ident"], one["name"]) for one in laws]
    else:
        contents = [(name, both(f"lawpage.nav.{name}")) for name in SECTIONS if _has(laws[0], name)]
    return filled(
        "law.html",
        language=language, page_title=both("lawpage.title", title=title), title=title, command=command,
        contents=contents, laws=laws, many=many, level=percent(found["level"]), data=json_address(found),
        version=found["assay_version"], fingerprint=found["fingerprint"],
    )  # fmt: skip


def _has(law: Mapping[str, Any], section: str) -> bool:
    return law.get(section.replace("-", "_"), True) is not None


def _law(name: str, found: Mapping[str, Any], ids: Ids, many: bool) -> dict[str, Any]:
    return {
        "name": name or NONE,
        "ident": ids.new(f"law-{name}") if many else "answer",
        "tiles": _tiles(found),
        "sentences": _sentences(found),
        "warnings": found["warnings"],
        "fit": _by_tokens(found, ids),
        "budgets": _budgets(found, ids),
        "trust": _trust(found, ids),
        "parameters": _parameters(found, ids),
        "left_out": _left_out(found, ids),
    }


def _formula(model: str) -> Markup:
    """A law's right-hand side as it is printed in papers."""
    text = re.sub(r"\^-(\w+)", lambda match: f"<sup>−{_GREEK[match[1]]}</sup>", str(escape(model)))
    return Markup(re.sub(r"\b([EABND])\b", r"<i>\1</i>", text))


def _tiles(found: Mapping[str, Any]) -> Markup:
    tiles = [tile(both("lawpage.tile.runs"), str(found["n_points"]), _formula(found["model"]))]
    tiles.append(tile(both("lawpage.tile.noise"), percent(found["noise"]), both("lawpage.tile.noise_is")))
    past = found["past_forecasts"]
    tiles.append(
        tile(
            both("lawpage.tile.past"),
            percent(past["mean_abs_relative_error"]),
            both("lawpage.tile.past_is", n=past["n"], cuts=past["cuts"]),
        )
    )
    if found["coverage"] is not None:
        more = both("lawpage.tile.held_is", n=len(found["holdout"]), level=percent(found["level"]))
        tiles.append(tile(both("lawpage.tile.held"), percent(found["coverage"]), more))
    return Markup("").join(tiles)


def _sentences(found: Mapping[str, Any]) -> list[Both]:
    """Answers to what was asked."""
    told: list[Both] = []
    for row in found.get("predictions", []):
        value, interval = estimate(row["predicted"], row["interval"])
        run = ", ".join(f"{name} = {compact(row[name])}" for name in ("N", "D") if row[name] is not None)
        told.append(both("lawpage.predicted", run=run, value=value, interval=interval))
    if best := found.get("optimum"):
        values = {name: _spread(best[name]) for name in ("n", "d", "tokens_per_parameter", "loss")}
        told.append(both("lawpage.best", flops=significant(best["flops"]), **values))
    if asked := found.get("more_data"):
        values = {"target": significant(asked["target"], 4), "share": percent(asked["reachable"])}
        key = "lawpage.out_of_reach" if asked["tokens"]["value"] is None else "lawpage.needs"
        told.append(both(key, tokens=_spread(asked["tokens"]), **values))
    return told


def _spread(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{_amount(found['value'])} [{_amount(low)}, {'∞' if high is None else _amount(high)}]"


def _amount(value: float | None) -> str:
    return NONE if value is None else compact(value) if value >= 1000 else significant(value, 3)


# Figures


def _by_tokens(found: Mapping[str, Any], ids: Ids) -> Markup:
    view, ident = found["view"], ids.new("fit-figure")
    by_tokens = "beta" in found["parameters"]
    name = "D" if by_tokens else "N"
    series, bands = [], []
    for i, line in enumerate(view["lines"]):
        points = [
            Point(x, y, tip=both("lawpage.line_tip", n=_amount(line["N"]), x=compact(x), value=significant(y, 4)))
            for x, y in zip(line["x"], line["loss"], strict=True)
        ]
        series.append(Series(points, _tone(i, len(view["lines"])), "none", line=True))
        if i in (0, len(view["lines"]) - 1):
            bands.append(
                Band(list(zip(line["x"], line["low"], line["high"], strict=True)), _tone(i, len(view["lines"])))
            )
    keys = [Key("line", "accent", both("lawpage.key.line")), Key("band", "accent", both("lawpage.key.band"))]
    fitted = view["fitted"]
    series.append(Series([_point(fitted, name, k) for k in range(len(fitted["loss"]))], "dark", "dot"))
    keys.append(Key("dot", "dark", both("lawpage.key.fitted")))
    if held := view.get("held_out"):
        series.append(Series([_point(held, name, k) for k in range(len(held["loss"]))], "warm", "diamond"))
        keys.append(Key("diamond", "warm", both("lawpage.key.held_out")))
    left = view["left_out"]
    if left["loss"]:
        series.append(Series([_point(left, name, k, hollow=True) for k in range(len(left["loss"]))], "plain", "dot"))
        keys.append(Key("ring", "plain", both("lawpage.key.left_out")))
    sizes = ", ".join(compact(line["N"]) for line in view["lines"])
    x = Axis(both(f"lawpage.axis.{name}"), log=True, form=compact)
    return figure(
        plot(x, Axis(both("lawpage.axis.loss")), series, ident=ident, bands=bands),
        title=both("lawpage.fit_title" if by_tokens else "lawpage.fit_title_n"),
        about=both("lawpage.fit_about", n=len(fitted["loss"]), sizes=sizes),
        ident=ident, keys=keys,
    )  # fmt: skip


def _tone(i: int, n: int) -> str:
    """Small models warm, large ones blue, those between plain."""
    return "warm" if i == 0 and n > 1 else "accent" if i == n - 1 else "plain"


def _point(points: Mapping[str, Sequence[float]], x: str, k: int, hollow: bool = False) -> Point:
    tip = both(
        "lawpage.run_tip", n=_amount(points["N"][k]), d=_amount(points["D"][k]), loss=significant(points["loss"][k], 4)
    )
    return Point(points[x][k], points["loss"][k], tip=tip, hollow=hollow)


def _budgets(found: Mapping[str, Any], ids: Ids) -> Markup | None:
    curves = found["view"].get("budgets")
    if not curves:
        return None
    ident = ids.new("budget-figure")
    series = []
    for curve in curves:
        tip = both("lawpage.budget_tip", flops=significant(curve["flops"]), n=compact(curve["best_N"]),
                   loss=significant(curve["best_loss"], 4))  # fmt: skip
        points = [Point(x, y, tip=tip) for x, y in zip(curve["N"], curve["loss"], strict=True)]
        series.append(Series(points, "plain", "none", line=True))
        series.append(Series([Point(curve["best_N"], curve["best_loss"], tip=tip)], "accent", "diamond"))
    keys = [Key("line", "plain", both("lawpage.key.budget")), Key("diamond", "accent", both("lawpage.key.best"))]
    first, last = curves[0], curves[-1]
    return figure(
        plot(
            Axis(both("lawpage.axis.N"), log=True, form=compact),
            Axis(both("lawpage.axis.loss")), series, ident=ident,
        ),
        title=both("lawpage.budgets_title"),
        about=both(
            "lawpage.budgets_about", a=significant(first["flops"]), an=compact(first["best_N"]),
            b=significant(last["flops"]), bn=compact(last["best_N"]),
        ),
        ident=ident, keys=keys,
    )  # fmt: skip


def _trust(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    return {"figures": [one for one in (_past(found, ids), _held_out(found, ids)) if one], "forms": _forms(found, ids)}


def _past(found: Mapping[str, Any], ids: Ids) -> Markup | None:
    past = found["view"]["past"]
    if not past["error"]:
        return None
    ident = ids.new("past-figure")
    points = [
        Point(
            max(x, 1.0),
            100 * y,
            tip=both("lawpage.past_tip", runs=k, ratio=significant(x), error=percent(y, signed=True)),
        )
        for x, y, k in zip(past["ratio"], past["error"], past["runs"], strict=True)
    ]
    most, half = max(2.0, *past["ratio"]), 100 * past["half"]
    return figure(
        plot(
            Axis(both("lawpage.axis.ratio"), log=True, form=lambda value: f"{significant(value)}×"),
            Axis(both("lawpage.axis.error")), [Series(points, "dark", "dot")], ident=ident, baseline=0.0,
            bands=[Band([(1.0, -half, half), (most, -half, half)], "accent")],
        ),
        title=both("lawpage.past_title"),
        about=both(
            "lawpage.past_about", n=len(points), error=percent(found["past_forecasts"]["mean_abs_relative_error"])
        ),
        ident=ident,
        keys=[Key("dot", "dark", both("lawpage.key.past")), Key("band", "accent", both("lawpage.key.widened"))],
    )  # fmt: skip


def _held_out(found: Mapping[str, Any], ids: Ids) -> Markup | None:
    rows = found["holdout"]
    if not rows:
        return None
    ident = ids.new("held-figure")
    points = []
    for row in rows:
        value, interval = _estimated(row)
        tip = both("lawpage.held_tip", loss=significant(row["loss"], 4), value=value, interval=interval)
        points.append(Point(row["loss"], row["predicted"], row["interval"][0], row["interval"][1], tip=tip))
    ends = [min(row["loss"] for row in rows), max(row["loss"] for row in rows)]
    equal = Series([Point(x, x) for x in ends], "plain", "none", line=True, dashed=True)
    return figure(
        plot(
            Axis(both("lawpage.axis.measured")), Axis(both("lawpage.axis.predicted")),
            [equal, Series(points, "warm", "diamond")], ident=ident,
        ),
        title=both("lawpage.held_title"),
        about=both(
            "lawpage.held_about", n=len(rows), coverage=percent(found["coverage"]),
            width=percent(found["mean_relative_width"]), plain=percent(found["uncalibrated"]["coverage"]),
            narrow=percent(found["uncalibrated"]["mean_relative_width"]),
        ),
        ident=ident,
        keys=[
            Key("diamond", "warm", both("lawpage.key.prediction")), Key("dashes", "plain", both("lawpage.key.equal")),
        ],
    )  # fmt: skip


def _estimated(row: Mapping[str, Any]) -> tuple[str, str]:
    return estimate(row["predicted"], row["interval"])


# Tables


def _forms(found: Mapping[str, Any], ids: Ids) -> Markup:
    rows: list[list[Content]] = [[_formula(one["model"]), percent(one["past_error"])] for one in found["forms"]]
    columns = [Column(both("lawpage.model")), Column(both("lawpage.past_error"))]
    return table(both("lawpage.forms_caption"), columns, rows, ident=ids.new("forms-caption"), kind="slim")


def _parameters(found: Mapping[str, Any], ids: Ids) -> Markup:
    rows: list[list[Content]] = [
        [
            known(f"lawpage.named.{name}", name), significant(value, 4),
            significant(found["standard_errors"][name], 2),
            "[" + ", ".join(_amount(end) for end in found["intervals"][name]) + "]",
        ]
        for name, value in found["parameters"].items()
    ]  # fmt: skip
    heads = ("parameter", "value", "standard_error", "interval")
    columns = [Column(both(f"lawpage.{name}"), number=name != "parameter") for name in heads]
    return table(both("lawpage.parameters_caption"), columns, rows, ident=ids.new("parameters-caption"))


def _left_out(found: Mapping[str, Any], ids: Ids) -> Markup | None:
    left = found["left_out"]
    if not left:
        return None
    rows: list[list[Content]] = [
        [
            str(row["row"]), compact(row["N"]), compact(row["D"]), significant(row["loss"], 4),
            both(f"lawpage.why.{row['why']}"),
            NONE if row["deviations"] is None else significant(row["deviations"], 2, signed=True),
        ]
        for row in left[:_SHOWN]
    ]  # fmt: skip
    heads = ("row", "N", "D", "loss", "why_heading", "deviations")
    columns = [Column(both(f"lawpage.{name}"), number=name not in ("row", "why_heading")) for name in heads]
    body = table(both("lawpage.left_out_caption"), columns, rows, ident=ids.new("left-caption"))
    shown = spans(both("lawpage.left_out_count", n=len(left)))
    return body if len(left) <= 12 else fold(shown, body)
