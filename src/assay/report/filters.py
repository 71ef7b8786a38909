"""What filters of documents do to the model: against as much text kept at random, source by source."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assay.impact.results import Effect, FilterRow, StudyResults
from assay.present.numbers import percent
from assay.present.parts import Content, Ids, estimated, fold
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.answer import effect_badge

MEAN = ""  # the target that is the mean over sources


def view(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "filters" places; None where no filter was compared."""
    if not results.filters:
        return None
    sources = [target for target in results.filters[0].effects if target != MEAN]
    return {"table": _table(results.filters, ids), "sources": _by_source(results.filters, sources, ids)}


def _table(rows: list[FilterRow], ids: Ids) -> Markup:
    heads = ("filter", "share", "verdict", "effect", "against_natural")
    columns = [Column(both(f"filters.{name}"), number=name not in ("filter", "verdict")) for name in heads]
    cells: list[list[Content]] = []
    for row in sorted(rows, key=lambda row: row.effects[MEAN].estimate):
        effect = row.effects[MEAN]
        badge = effect_badge(effect)
        cells.append([_code(row.name), percent(row.share), badge, _effect(effect), _effect(row.against_natural)])
    return table(both("filters.caption"), columns, cells, ident=ids.new("filters-caption"), stack=True)


def _by_source(rows: list[FilterRow], sources: list[str], ids: Ids) -> Markup:
    columns = [Column(both("filters.filter")), *(Column(source) for source in sources)]
    cells: list[list[Content]] = [
        [
            _code(row.name),
            *(
                Markup("{}<br>{}").format(percent(row.kept.get(source)), _effect(row.effects[source]))
                for source in sources
            ),
        ]
        for row in rows
    ]
    body = table(both("filters.sources_caption"), columns, cells, ident=ids.new("filters-sources"), kind="by-source")
    return fold(both("filters.sources"), body)


def _code(name: str) -> Markup:
    return Markup("<code>{}</code>").format(name)


def _effect(effect: Effect) -> Markup:
    return estimated(effect.estimate, effect.interval, signed=True)
