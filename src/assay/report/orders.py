"""What the order of the text does: a row for every order, against random order."""

from __future__ import annotations

from markupsafe import Markup

from assay.impact.results import StudyResults
from assay.present.parts import Content, Ids, estimated
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.answer import effect_badge

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
        changes = [estimated(effect.estimate, effect.interval, signed=True) for effect in row.effects.values()]
        rows.append([Markup("<code>{}</code>").format(row.order), effect_badge(row.effects[MEAN]), *changes])
    return table(both("orders.caption"), columns, rows, ident=ids.new("orders-caption"), kind="by-source")
