"""The answer of `assay calibration` -> one HTML file in both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from assay.present.numbers import estimate, fixed, percent
from assay.present.page import begun
from assay.present.parts import Content, Ids, Key, estimated, figure, json_address
from assay.present.plots import Point, Series, plot
from assay.present.scales import Axis
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.answer import verdict_badge
from assay.report.sheet import filled

PAGE = "calibration.html"
_SHOWN = 500  # predictions in the list


def render(found: Mapping[str, Any], command: str, language: str = "en") -> str:
    """The page.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, ("table", "list"))
    return filled(
        "calibration.html",
        language=language, page_title=both("calibration.title"), command=command,
        contents=[(name, both(f"calibration.nav.{name}")) for name in ("table", "list")],
        n=found["n"], studies=found["studies"],
        figure=_figure(found["table"], ids), table=_table(found["table"], ids),
        list=_list(found["predictions"], ids), version=found["assay_version"],
        data=json_address(found),
    )  # fmt: skip


def _kind(kind: str) -> Content:
    return both(f"calibration.kind.{kind or 'all'}")


def _figure(rows: Sequence[Mapping[str, Any]], ids: Ids) -> Markup:
    ident = ids.new("calibration-figure")
    every = [row for row in rows if not row["kind"]]
    points = [
        Point(
            row["level"], row["held"], row["interval"][0], row["interval"][1],
            tip=both("calibration.tip", level=percent(row["level"]), held=percent(row["held"]), n=row["n"]),
        )
        for row in every
    ]  # fmt: skip
    equal = Series([Point(0.0, 0.0), Point(1.0, 1.0)], "plain", "none", line=True, dashed=True)
    x, y = (Axis(both(f"calibration.axis.{name}"), form=percent, include=(0.0, 1.0)) for name in ("level", "held"))
    told = ", ".join(f"{percent(row['level'])}: {percent(row['held'])}" for row in every)
    return figure(
        plot(x, y, [equal, Series(points, "accent", "dot")], ident=ident),
        title=both("calibration.figure"),
        about=both("calibration.about", rows=told),
        ident=ident,
        keys=[
            Key("dot", "accent", both("calibration.key_held")),
            Key("dashes", "plain", both("calibration.key_equal")),
        ],
    )


def _table(rows: Sequence[Mapping[str, Any]], ids: Ids) -> Markup:
    heads = ("kind", "level", "n", "studies", "held", "interval")
    columns = [Column(both(f"calibration.column.{name}"), number=name != "kind") for name in heads]
    cells: list[list[Content]] = [
        [
            _kind(row["kind"]), percent(row["level"]),
            fixed(row["n"], 0), fixed(row["studies"], 0), percent(row["held"]),
            "[" + ", ".join(percent(end) for end in row["interval"]) + "]",
        ]
        for row in rows
    ]  # fmt: skip
    return table(both("calibration.caption"), columns, cells, ident=ids.new("calibration-caption"))


def _list(rows: Sequence[Mapping[str, Any]], ids: Ids) -> Markup:
    heads = ("study", "claim", "outcome", "predicted", "measured")
    columns = [Column(both(f"calibration.column.{name}"), number=name in ("predicted", "measured")) for name in heads]
    cells: list[list[Content]] = []
    for row in rows[:_SHOWN]:
        _, low, high = max(row["bands"])
        hit = "hit" if low <= row["measured"] <= high else "miss"
        predicted = estimated(row["predicted"], (low, high))
        measured = estimate(row["measured"], (low, high))[0]
        cells.append([row["study"], row["claim"].removeprefix("prediction:"), verdict_badge(hit), predicted, measured])
    return table(both("calibration.list_caption"), columns, cells, ident=ids.new("list-caption"))
