"""What a model of counts makes of the same text: the yardstick beside the learning curves, and its sentence."""

from __future__ import annotations

from typing import Any

from assay.impact.results import BaselineRow, StudyResults
from assay.present.numbers import compact, estimate, percent, significant
from assay.present.parts import Content, Ids, estimated, said
from assay.present.tables import Column, table
from assay.present.words import Both, both


def sentence(results: StudyResults) -> Both | None:
    """How far the comparison runs are from the n-gram model, over all sources; None where nothing was measured."""
    row = next((row for row in results.baseline.rows if row.target == ""), None)
    if row is None:
        return None
    effect = row.difference
    low, high = effect.interval
    values = {
        "order": results.baseline.order,
        "tokens": compact(results.baseline.tokens),
        "level": percent(results.level),
    }
    if low < 0 < high:
        size, interval = estimate(effect.estimate, (low, high), signed=True)
        return both("baseline.alike", size=size, interval=interval, **values)
    sign = 1 if effect.estimate > 0 else -1
    size, interval = estimate(abs(effect.estimate), sorted((sign * low, sign * high)))
    return both("baseline.above" if sign > 0 else "baseline.below", size=size, interval=interval, **values)


def view(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "curves" places below the curves."""
    baseline = results.baseline
    if not baseline.rows:
        return None
    names = both("baseline.ngram", order=baseline.order)
    columns = [Column(both("curves.target")), Column(both("baseline.model")), Column(names)]
    columns.append(Column(both("baseline.difference")))
    caption = both(
        "baseline.caption", order=baseline.order, tokens=compact(baseline.tokens), level=percent(results.level)
    )
    rows = [_row(row) for row in baseline.rows]
    return {
        "title": said("baseline.title", order=baseline.order),
        "table": table(caption, columns, rows, ident=ids.new("baseline-caption"), kind="slim"),
    }


def _row(row: BaselineRow) -> list[Content]:
    return [
        row.target or both("curves.mean"),
        significant(row.model_bpb),
        estimated(row.bpb, row.interval),
        estimated(row.difference.estimate, row.difference.interval, signed=True),
    ]
