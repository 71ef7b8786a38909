"""Plots as plain SVG: points with intervals, lines, bands, on linear or logarithmic axes.

Hand-made instead of a plotting library, for the reader's sake: a plot weighs some kilobytes, prints
exactly, needs no script, and its texts are in both languages. Colours and strokes are classes of the style
sheet; shapes differ as well, so that nothing is told by colour alone. A plot is drawn at the size at which
it is shown, so that letters keep their size: `plot` takes a size for wide pages and one for narrow ones,
and the style sheet shows the one that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from assay.present.parts import Content, spans, swapped
from assay.present.scales import Axis, Scale, extent, ticks, usable, written
from assay.present.words import LANGUAGES, in_language

WIDE, NARROW = (900, 430), (360, 300)
_TOP, _RIGHT = 14, 14


@dataclass(frozen=True)
class Point:
    """A measured value with its interval; `tip` is what a pointer resting on it reads."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tip: Content = ""
    hollow: bool = False


@dataclass(frozen=True)
class Series:
    """Points of one kind. `mark` is dot, diamond, bracket or none; `line` joins them."""

    points: Sequence[Point]
    tone: str = "accent"
    mark: str = "dot"
    line: bool = False
    dashed: bool = False
    dodge: float = 0.0  # pixels to the side, so that marks at the same place stay apart


@dataclass(frozen=True)
class Band:
    """An area between two curves: (x, low, high), x rising."""

    points: Sequence[tuple[float, float, float]]
    tone: str = "accent"


@dataclass(frozen=True)
class _Frame:
    """The two scales of one drawing."""

    x: Scale
    y: Scale

    def place(self, x: float, y: float) -> str:
        return f"{self.x(x):.1f},{self.y(y):.1f}"

    def shows(self, x: float, y: float) -> bool:
        return usable(x, self.x.log) and usable(y, self.y.log)


def plot(
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    ident: str,
    bands: Sequence[Band] = (),
    baseline: float | None = None,
    sizes: Sequence[tuple[int, int]] = (WIDE, NARROW),
) -> Markup:
    """A drawing per size, labelled through `parts.figure` with the same `ident`.

    Args:
        series: drawn in this order, later ones on top.
        baseline: a horizontal line that differences are read against.
        sizes: (width, height) for wide and for narrow pages, or one for both.
    """
    names = ("only",) if len(sizes) == 1 else ("wide", "narrow")
    drawings = []
    for name, (width, height) in zip(names, sizes, strict=True):
        body = _drawing(x, y, series, bands=bands, baseline=baseline, size=(width, height))
        drawings.append(
            Markup(
                '<svg class="drawing {name}" viewBox="0 0 {width} {height}" role="img" '
                'aria-labelledby="{ident}-title" aria-describedby="{ident}-about">{body}</svg>'
            ).format(name=name, width=width, height=height, ident=ident, body=body)
        )
    return Markup("").join(drawings)


def strip(low: float, high: float, predicted: float, measured: float | None, label: Content) -> Markup:
    """A prediction against its outcome on a short line: interval, predicted value, measured value."""
    values = [v for v in (low, high, predicted, measured) if v is not None and usable(v)]
    scale = Scale(*extent(values, Axis({})), 8, 152)
    parts = [
        Markup('<line class="rail" x1="4" y1="14" x2="156" y2="14"/>'),
        Markup('<rect class="reach" x="{:.1f}" y="8" width="{:.1f}" height="12" rx="2"/>').format(
            scale(low), max(scale(high) - scale(low), 1.5)
        ),
        Markup('<line class="middle" x1="{0:.1f}" y1="8" x2="{0:.1f}" y2="20"/>').format(scale(predicted)),
    ]
    if measured is not None and usable(measured):
        parts.append(Markup('<path class="mark" d="M{:.1f} 7l7 7-7 7-7-7z"/>').format(scale(measured)))
    return Markup('<svg class="strip" viewBox="0 0 160 28" role="img">{}{}</svg>').format(
        _title(label), Markup("").join(parts)
    )


def _drawing(
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    bands: Sequence[Band],
    baseline: float | None,
    size: tuple[int, int],
) -> Markup:
    width, height = size
    xs = [p.x for s in series for p in s.points] + [p[0] for b in bands for p in b.points]
    ys = [v for s in series for p in s.points for v in (p.y, p.low, p.high) if v is not None]
    ys += [v for b in bands for p in b.points for v in p[1:]]
    (x_low, x_high), (y_low, y_high) = extent(xs, x), extent(ys, y)
    y_ticks = ticks(y_low, y_high, max(3, height // 52), y.log)
    y_texts = written(y_ticks, y.form)
    left = (30 if y.label else 10) + 7 * max((len(text) for text in y_texts), default=1)
    bottom = height - (46 if x.label else 24)
    frame = _Frame(
        Scale(x_low, x_high, left, width - _RIGHT, x.log),
        Scale(y_low, y_high, bottom, _TOP, y.log),
    )
    x_ticks = ticks(x_low, x_high, max(3, (width - left) // 64), x.log)
    parts = [_grid(frame, x_ticks, written(x_ticks, x.form), y_ticks, y_texts), _names(frame, x, y, height)]
    if baseline is not None and usable(baseline, y.log) and y_low <= baseline <= y_high:
        parts.append(
            Markup('<line class="baseline" x1="{0}" y1="{2:.1f}" x2="{1}" y2="{2:.1f}"/>').format(
                left, width - _RIGHT, frame.y(baseline)
            )
        )
    parts += [_band(band, frame) for band in bands]
    parts += [_series(one, frame) for one in series]
    return Markup("").join(parts)


def _grid(frame: _Frame, x_ticks: list[float], x_texts: list[str], y_ticks: list[float], y_texts: list[str]) -> Markup:
    left, right, bottom = frame.x.start, frame.x.end, frame.y.start
    parts = []
    for value, text in zip(y_ticks, y_texts, strict=True):
        parts.append(
            Markup(
                '<line class="grid" x1="{0:.0f}" y1="{2:.1f}" x2="{1:.0f}" y2="{2:.1f}"/>'
                '<text class="tick" x="{3:.0f}" y="{4:.1f}" text-anchor="end">{5}</text>'
            ).format(left, right, frame.y(value), left - 8, frame.y(value) + 4, text)
        )
    for value, text in zip(x_ticks, x_texts, strict=True):
        parts.append(
            Markup(
                '<line class="notch" x1="{0:.1f}" y1="{1:.0f}" x2="{0:.1f}" y2="{2:.0f}"/>'
                '<text class="tick" x="{0:.1f}" y="{3:.0f}" text-anchor="middle">{4}</text>'
            ).format(frame.x(value), bottom, bottom + 5, bottom + 18, text)
        )
    parts.append(
        Markup('<line class="axis" x1="{0:.0f}" y1="{2:.0f}" x2="{1:.0f}" y2="{2:.0f}"/>').format(left, right, bottom)
    )
    return Markup("").join(parts)


def _names(frame: _Frame, x: Axis, y: Axis, height: int) -> Markup:
    middle_x, middle_y = (frame.x.start + frame.x.end) / 2, (frame.y.start + frame.y.end) / 2
    if not (x.label and y.label):
        return Markup("")
    along = Markup('<text class="name" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>').format(
        middle_x, height - 6, _tspans(x.label)
    )
    up = Markup(
        '<text class="name" x="12" y="{0:.0f}" text-anchor="middle" transform="rotate(-90 12 {0:.0f})">{1}</text>'
    ).format(middle_y, _tspans(y.label))
    return along + up


def _tspans(text: Content) -> Markup:
    return spans(text, "tspan")


def _band(band: Band, frame: _Frame) -> Markup:
    held = [(x, low, high) for x, low, high in band.points if frame.shows(x, low) and frame.shows(x, high)]
    corners = [frame.place(x, high) for x, _, high in held] + [frame.place(x, low) for x, low, _ in held[::-1]]
    if not held:
        return Markup("")
    return Markup('<polygon class="band {}" points="{}"/>').format(band.tone, " ".join(corners))


def _series(series: Series, frame: _Frame) -> Markup:
    held = [point for point in series.points if frame.shows(point.x, point.y)]
    parts = []
    if series.line and len(held) > 1:
        kind = "curve dashed" if series.dashed else "curve"
        places = " ".join(frame.place(p.x, p.y) for p in held)
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(kind, places))
    if series.mark != "none":
        parts += [_point(point, series, frame) for point in held]
    return Markup('<g class="{}">{}</g>').format(series.tone, Markup("").join(parts))


def _point(point: Point, series: Series, frame: _Frame) -> Markup:
    x, y = frame.x(point.x) + series.dodge, frame.y(point.y)
    whisker = Markup("")
    if point.low is not None and point.high is not None and frame.shows(point.x, point.low):
        top, bottom = frame.y(point.high), frame.y(point.low)
        cap = 6 if series.mark == "bracket" else 3
        kind = "bracket" if series.mark == "bracket" else "whisker"
        whisker = Markup('<path class="{}" d="M{:.1f} {:.1f}h{}M{:.1f} {:.1f}h{}M{:.1f} {:.1f}V{:.1f}"/>').format(
            kind, x - cap, top, 2 * cap, x - cap, bottom, 2 * cap, x, top, bottom
        )
    shape = _SHAPES[series.mark](x, y, "open" if point.hollow else "fill")
    return Markup('<g class="point">{}{}{}</g>').format(_title(point.tip), whisker, shape)


def _dot(x: float, y: float, kind: str) -> Markup:
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(kind, x, y)


def _diamond(x: float, y: float, kind: str) -> Markup:
    return Markup('<path class="{}" d="M{:.1f} {:.1f}l6 6-6 6-6-6z"/>').format(kind, x, y - 6)


def _bracket(x: float, y: float, kind: str) -> Markup:
    return Markup('<line class="bracket" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(x - 9, y, x + 9, y)


_SHAPES: dict[str, Callable[[float, float, str], Markup]] = {
    "dot": _dot,
    "diamond": _diamond,
    "bracket": _bracket,
}


def _title(text: Content) -> Markup:
    """A tooltip; the script swaps its language, the text without a script is in the first."""
    if not text:
        return Markup("")
    return Markup("<title {}>{}</title>").format(swapped(text), in_language(text, LANGUAGES[0]))
