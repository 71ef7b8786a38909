"""What other proxies make of the same text, and whether the learning rates suit each: a row for each."""

from __future__ import annotations

from markupsafe import Markup

from assay.impact.results import ScaleRow, StudyResults
from assay.present.numbers import compact
from assay.present.parts import Content, Ids, estimated
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.answer import effect_badge


def view(results: StudyResults, ids: Ids) -> Markup | None:
    """The table of the section "scales"; None where there is one proxy with one set of learning rates."""
    if not results.scales:
        return None
    heads = ("proxy", "parameters", "rates", "loss", "verdict", "effect")
    columns = [Column(both(f"scales.{name}"), number=name not in ("proxy", "verdict")) for name in heads]
    rows = [_row(row) for row in results.scales]
    return table(both("scales.caption"), columns, rows, ident=ids.new("scales-caption"), stack=True)


def _row(row: ScaleRow) -> list[Content]:
    verdict: Content = both("scales.own")
    change: Content = ""
    if row.effect is not None:
        verdict, change = effect_badge(row.effect), estimated(row.effect.estimate, row.effect.interval, signed=True)
    loss = estimated(row.bpb, row.interval)
    return [f"{row.layers} × {row.width}", compact(row.parameters), f"× {row.rate:g}", loss, verdict, change]
