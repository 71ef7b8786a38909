"""What a document gains by standing in the training text: the loss on it by the number of its copies."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assay.impact.results import LeakRow, StudyResults
from assay.present.numbers import estimate, percent
from assay.present.parts import Content, Ids, estimated, figure
from assay.present.plots import Point, Series, plot
from assay.present.scales import Axis
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.answer import effect_badge

PANEL = (430, 300)


def view(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "leaks" places; None where nothing was planted."""
    if not results.leaks:
        return None
    return {"figure": _figure(results, ids), "table": _table(results.leaks, ids)}


def _figure(results: StudyResults, ids: Ids) -> Markup:
    ident = ids.new("leaks-plot")
    points = [
        Point(row.copies, row.effect.estimate, *row.effect.interval, tip=_tip(row), hollow=not row.effect.supported)
        for row in results.leaks
    ]
    drawing = plot(
        Axis(both("leaks.x"), log=True),
        Axis(both("leaks.y"), include=(0.0,)),
        [Series(points, "accent", "dot", line=True)],
        ident=ident,
        baseline=0.0,
        sizes=[PANEL],
    )
    about = both("leaks.about", level=percent(results.level))
    return figure(drawing, title=both("leaks.plot"), about=about, ident=ident)


def _tip(row: LeakRow) -> dict[str, str]:
    value, interval = estimate(row.effect.estimate, row.effect.interval, signed=True)
    return both("leaks.tip", copies=row.copies, value=value, interval=interval)


def _table(rows: list[LeakRow], ids: Ids) -> Markup:
    columns = [Column(both("leaks.copies")), Column(both("leaks.verdict"), number=False), Column(both("leaks.effect"))]
    cells: list[list[Content]] = []
    for row in rows:
        change = estimated(row.effect.estimate, row.effect.interval, signed=True)
        cells.append([str(row.copies), effect_badge(row.effect), change])
    return table(both("leaks.caption"), columns, cells, ident=ids.new("leaks-caption"), kind="slim")
