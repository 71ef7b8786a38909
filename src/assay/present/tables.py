"""Tables: plain ones and the heat map, with captions, scopes, and a frame that scrolls wide ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assay.present.numbers import fixed
from assay.present.parts import Content, spans, swapped

# A style that turns rows into cards would take away a table's meaning for screen readers; roles keep it.
_ROLES = {
    "row": Markup('role="row" '),
    "group": Markup('role="rowgroup" '),
    "column": Markup('role="columnheader" '),
    "header": Markup('role="rowheader" '),
    "cell": Markup('role="cell" '),
}


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers stand to the right."""

    label: Content
    number: bool = True


def table(
    caption: Content,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Content]],
    *,
    ident: str,
    kind: str = "",
    quiet: bool = False,
    stack: bool = False,
) -> Markup:
    """A table whose first column names the rows.

    Args:
        caption: what the table holds; `quiet` shows it to screen readers alone.
        rows: as many cells as columns; text is escaped, markup is kept.
        ident: the id of the caption, unique in the page.
        kind: a class of the style sheet.
        stack: on narrow pages a row becomes a card of named values, instead of scrolling sideways.
    """
    roles = _ROLES if stack else {}
    head = Markup("").join(
        Markup('<th {}scope="col" class="{}">{}</th>').format(
            roles.get("column", ""), "n" if column.number and i else "", spans(column.label)
        )
        for i, column in enumerate(columns)
    )
    body = Markup("").join(_row(columns, row, stack) for row in rows)
    inner = Markup("<thead {group}><tr {row}>{head}</tr></thead><tbody {group}>{body}</tbody>").format(
        group=roles.get("group", ""), row=roles.get("row", ""), head=head, body=body
    )
    return framed(caption, inner, ident=ident, kind=f"{kind} stack" if stack else kind, quiet=quiet)


def framed(caption: Content, inner: Markup, *, ident: str, kind: str = "", quiet: bool = False) -> Markup:
    """`inner` (head and body) as a table with a caption, in a frame that scrolls sideways and says so."""
    return Markup(
        '<div class="frame"><div class="scroll" role="region" aria-labelledby="{ident}">'
        '<table role="table" class="{kind}"><caption id="{ident}" class="{hidden}">'
        '<span class="cap">{caption}</span></caption>{inner}</table></div></div>'
    ).format(ident=ident, kind=kind, hidden="unseen" if quiet else "", caption=spans(caption), inner=inner)


def _row(columns: Sequence[Column], row: Sequence[Content], stack: bool) -> Markup:
    roles = _ROLES if stack else {}
    first, *others = row
    cells = [Markup('<th {}scope="row">{}</th>').format(roles.get("header", ""), spans(first))]
    for column, content in zip(columns[1:], others, strict=True):
        inner = cell(column.label, content) if stack else spans(content)
        kind = "n" if column.number else ""
        cells.append(Markup('<td {}class="{}">{}</td>').format(roles.get("cell", ""), kind, inner))
    return Markup("<tr {}>{}</tr>").format(roles.get("row", ""), Markup("").join(cells))


def cell(label: Content, content: Content) -> Markup:
    """The inside of a cell that names itself where its row has become a card."""
    return Markup('<span class="cell-name" aria-hidden="true">{}</span><span class="cell">{}</span>').format(
        spans(label), spans(content)
    )


@dataclass(frozen=True)
class Heat:
    """One cell of a heat map: a signed number, its tooltip, and whether it is more than noise."""

    value: float
    text: str
    sure: bool
    tip: Content = ""


def heat_row(name: Content, cells: Sequence[Heat | None], reach: float, kind: str = "") -> Markup:
    """A row of a heat map.

    Colours run from blue (below 0) over white to orange (above 0) and are full at `reach`. A cell that is not
    `sure` has no colour but hatching, and its number is muted; None is an empty cell.
    """
    parts = [Markup('<th scope="row">{}</th>').format(spans(name))]
    for cell in cells:
        if cell is None:
            parts.append(Markup('<td class="n none">–</td>'))
            continue
        style = Markup("") if not cell.sure else Markup(' style="background:{}"').format(heat(cell.value, reach))
        parts.append(
            Markup('<td class="n {}"{} {}>{}</td>').format(
                "sure" if cell.sure else "unsure", style, _tip(cell.tip), cell.text
            )
        )
    return Markup('<tr class="{}">{}</tr>').format(kind, Markup("").join(parts))


def heat(value: float, reach: float) -> str:
    """The colour of a value between -reach (blue) and reach (orange); dark text is readable on all."""
    strength = min(1.0, abs(value) / reach) if reach > 0 and math.isfinite(value) else 0.0
    strength = math.sqrt(strength)  # small effects stay visible beside a large one
    end = (126, 178, 232) if value < 0 else (247, 168, 92)
    red, green, blue = (round(255 + (part - 255) * strength) for part in end)
    return f"#{red:02x}{green:02x}{blue:02x}"


def heat_scale(reach: float, below: Content, above: Content, unsure: Content, decimals: int) -> Markup:
    """The legend of a heat map: its colours with numbers, and what hatching means."""
    steps = [-1.0, -0.5, -0.15, 0.15, 0.5, 1.0]
    cells = Markup("").join(
        Markup('<i style="background:{}">{}</i>').format(
            heat(step * reach, reach), fixed(step * reach, decimals, signed=True)
        )
        for step in steps
    )
    return Markup(
        '<p class="heat-scale"><span>{}</span><span class="steps">{}</span><span>{}</span>'
        '<span class="unsure-key"><i class="unsure"></i>{}</span></p>'
    ).format(spans(below), cells, spans(above), spans(unsure))


def _tip(text: Content) -> Markup:
    if not text:
        return Markup("")
    return Markup('title="{}" data-tip {}').format(text if isinstance(text, str) else text["en"], swapped(text))
