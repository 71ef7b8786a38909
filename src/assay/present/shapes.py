"""Small drawings beside `plots`: a histogram, a strip of quantiles, a map of dots, a shaded matrix.

A strip is markup that style sheets place, so that it is as wide as its cell; the others are SVG. Colours are classes of
the style sheet, dark pages have their own; what a colour tells is written beside it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assay.present.numbers import compact
from assay.present.parts import Content, spans, swapped
from assay.present.scales import Scale, ticks
from assay.present.words import in_language

HISTOGRAM = (260, 112)
MAP, NARROW_MAP = (720, 520), (360, 300)
TONES = 12
"""Classes t0, t1, ... of the style sheet: colours that are told apart."""


def histogram(
    bars: Sequence[tuple[float, float, float]], *, low: float, high: float, top: float, mark: float | None, ident: str
) -> Markup:
    """Bars (from, to, height) on a logarithmic axis from `low` to `high`, labelled through `parts.figure`.

    Args:
        top: the height that fills the drawing.
        mark: a place on the axis that gets a line (a median).
    """
    width, height = HISTOGRAM
    across, bottom = Scale(low, high, 6, width - 6, log=True), height - 22
    parts = [Markup('<line class="axis" x1="6" y1="{0}" x2="{1}" y2="{0}"/>').format(bottom, width - 6)]
    for begin, end, tall in bars:
        rise = max(tall / top * (bottom - 8), 0.6) if top > 0 else 0.6
        parts.append(
            Markup('<rect class="bar-of" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                across(begin) + 0.4, bottom - rise, max(across(end) - across(begin) - 0.8, 0.8), rise
            )
        )
    if mark is not None and low <= mark <= high:
        parts.append(Markup('<path class="middle" d="M{:.1f} 4V{}"/>').format(across(mark), bottom))
    for value in ticks(low, high, 4, log=True):
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                min(max(across(value), 12), width - 14), height - 6, compact(value)
            )
        )
    return Markup(
        '<svg class="drawing accent" viewBox="0 0 {} {}" role="img" aria-labelledby="{ident}-title"'
        ' aria-describedby="{ident}-about">{}</svg>'
    ).format(width, height, Markup("").join(parts), ident=ident)


def strip(quantiles: Sequence[float], low: float, high: float, tip: Content = "") -> Markup:
    """Five quantiles as a strip from `low` to `high`: a thin line for the outer two, a bar for the inner, a mark for
    the middle one."""

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low) if high > low else 0.0

    a, b, c, d, e = (min(max(at(value), 0.0), 100.0) for value in quantiles)
    return Markup(
        '<span class="quantiles" {}><i class="outer" style="left:{:.1f}%;width:{:.1f}%"></i>'
        '<i class="inner" style="left:{:.1f}%;width:{:.1f}%"></i><i class="mid" style="left:{:.1f}%"></i></span>'
    ).format(tipped(tip), a, e - a, b, d - b, c)


def tipped(text: Content) -> Markup:
    """The attributes of a tooltip in both languages."""
    if not text:
        return Markup("")
    return Markup('title="{}" data-tip {}').format(in_language(text, "en"), swapped(text))


@dataclass(frozen=True)
class Dots:
    """Dots of one kind, and a short label that stands in their middle."""

    places: Sequence[tuple[float, float]]
    tone: str
    label: str = ""


def dots(
    kinds: Sequence[Dots], *, ident: str, sizes: Sequence[tuple[int, int]] = (MAP, NARROW_MAP), weight: float = 5.0
) -> Markup:
    """A map of dots, each coordinate from -1 to 1; axes have no meaning and are not drawn.

    Args:
        sizes: (width, height) for wide and for narrow pages, or one for both; `weight` is a dot's width on the first.
    """
    names = ("only",) if len(sizes) == 1 else ("wide", "narrow")
    drawings = []
    for name, size in zip(names, sizes, strict=True):
        body = _dots(kinds, size, weight if size == sizes[0] else 0.7 * weight)
        drawings.append(
            Markup(
                '<svg class="drawing map {}" viewBox="0 0 {} {}" role="img" aria-labelledby="{ident}-title"'
                ' aria-describedby="{ident}-about">{}</svg>'
            ).format(name, *size, body, ident=ident)
        )
    return Markup("").join(drawings)


def _dots(kinds: Sequence[Dots], size: tuple[int, int], weight: float) -> Markup:
    width, height = size
    across, up = Scale(-1, 1, weight + 4, width - weight - 4), Scale(-1, 1, height - weight - 4, weight + 4)
    parts, labels = [], []
    for kind in kinds:
        path = "".join(f"M{across(x):.0f} {up(y):.0f}h0" for x, y in kind.places)
        parts.append(Markup('<path class="dots {}" d="{}" stroke-width="{:.1f}"/>').format(kind.tone, path, weight))
        if kind.label and kind.places:
            x, y = (sorted(place[i] for place in kind.places)[len(kind.places) // 2] for i in (0, 1))
            labels.append(
                Markup('<text class="place" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>').format(
                    across(x), up(y) + 5, kind.label
                )
            )
    return Markup("").join([*parts, *labels])


@dataclass(frozen=True)
class Shade:
    """A cell of a matrix: how dark it is (0 to 1), its text, its tooltip; None for dark: no colour."""

    dark: float | None
    text: Content
    tip: Content = ""


def matrix(
    names: Sequence[Content], heads: Sequence[Content], rows: Sequence[Sequence[Shade]], corner: Content
) -> Markup:
    """Head and body of a table whose cells are shaded; for `tables.framed` with the kind "matrix"."""
    head = Markup("").join(Markup('<th scope="col" class="n">{}</th>').format(spans(name)) for name in heads)
    body = []
    for name, row in zip(names, rows, strict=True):
        cells = Markup("").join(_shaded(cell) for cell in row)
        body.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(spans(name), cells))
    return Markup('<thead><tr><th scope="col">{}</th>{}</tr></thead><tbody>{}</tbody>').format(
        spans(corner), head, Markup("").join(body)
    )


def _shaded(cell: Shade) -> Markup:
    if cell.dark is None:
        return Markup('<td class="n none" {}>{}</td>').format(tipped(cell.tip), spans(cell.text))
    return Markup('<td class="n shade" style="--dark:{:.0f}%" {}>{}</td>').format(
        100 * min(max(cell.dark, 0.0), 1.0), tipped(cell.tip), spans(cell.text)
    )
