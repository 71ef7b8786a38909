"""What the order of the text does: a row for every order, against random order."""

from __future__ import annotations

from markupsafe import Markup

from assay.impact.results import StudyResults
from assay.present.numbers import estimate
from assay.present.parts import Content, Ids
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.answer import verdict_badge

MEAN = ""  # the target that is the mean over sources


def view(results: StudyResults, ids: Ids) -> Markup | None:
    """The table of the section "orders"; None where no order was tried."""
    if not results.orders:
        return None
    sources = [target for target in results.orders[0].effects if target != MEAN]
    columns = [
        Column(both("orders.order"), number=False), Column(both("orders.verdict"), number=False),
        Column(both("orders.effect")), *(Column(source) for source in sources),
    ]  # fmt: skip
    rows: list[list[Content]] = []
    for row in sorted(results.orders, key=lambda row: row.effects[MEAN].estimate):
        cells: list[Content] = [
            Markup("<code>{}</code>").format(row.order),
            verdict_badge("supported" if row.effects[MEAN].supported else "indistinguishable"),
        ]
        for target in (MEAN, *sources):
            effect = row.effects[target]
            value, interval = estimate(effect.estimate, effect.interval, signed=True)
            cells.append(Markup("{}<small>{}</small>").format(value, interval))
        rows.append(cells)
    return table(both("orders.caption"), columns, rows, ident=ids.new("orders-caption"), kind="by-source")
