"""Axes hold what they are given, ticks are round, and drawings are sound whatever the data."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assay.present.plots import Band, Point, Series, plot, strip
from assay.present.scales import Axis, Scale, extent, ticks, written
from assay.present.tables import heat

LABEL = {"en": "x & y", "zh": "横轴"}


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_linear_ticks_are_round_and_inside(low: float, width: float, count: int) -> None:
    assume(abs(low) < 1e6 * width)
    found = ticks(low, low + width, count)
    assert 1 <= len(found) <= 2 * count + 1
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in found)


def test_log_ticks_stand_at_1_2_5() -> None:
    assert ticks(90e3, 2.1e6, 8, log=True) == [1e5, 2e5, 5e5, 1e6, 2e6]
    assert len(ticks(1, 1e12, 5, log=True)) <= 7
    assert len(ticks(1.1e6, 1.9e6, 5, log=True)) >= 2


def test_ticks_share_their_decimals() -> None:
    assert written([0.0, 0.05, 0.1], None) == ["0.00", "0.05", "0.10"]
    assert written([-200.0, 0.0, 200.0], None) == ["−200", "0", "200"]


def test_extent_survives_what_cannot_be_placed() -> None:
    low, high = extent([math.nan, math.inf], Axis(LABEL))
    assert math.isfinite(low) and low < high < math.inf
    low, high = extent([3.0, 3.0], Axis(LABEL))
    assert low < 3 < high
    low, high = extent([0.0, -1.0, 10.0], Axis(LABEL, log=True))
    assert 0 < low < 10 < high


def test_scale_meets_its_ends() -> None:
    scale = Scale(1, 100, 0, 50, log=True)
    assert [round(scale(x), 6) for x in (1, 10, 100)] == [0, 25, 50]


@pytest.mark.parametrize(
    "points",
    [
        [],
        [Point(1e5, 2.0, 1.9, 2.1)],
        [Point(0, 1), Point(1e6, math.nan), Point(1e5, 2.0, math.nan, math.inf)],
        [Point(10.0**i, 1 / (i + 1), 0, 1, tip={"en": "<b>", "zh": "&"}) for i in range(8)],
    ],
)
@pytest.mark.parametrize("log", [True, False])
def test_drawings_are_well_formed_and_finite(points: list[Point], log: bool) -> None:
    series = [Series(points, mark=mark, line=True) for mark in ("dot", "diamond", "bracket", "none")]
    band = Band([(p.x, p.y, p.y) for p in points])
    drawn = plot(Axis(LABEL, log=log), Axis(LABEL), series, ident="p", bands=[band], baseline=0.0)
    ElementTree.fromstring(f"<div>{drawn}</div>")
    assert not re.search(r"\b(nan|inf)\b", drawn.lower())
    assert drawn.count('aria-labelledby="p-title"') == 2  # one for wide pages, one for narrow ones


def test_a_strip_shows_a_prediction_with_and_without_an_outcome() -> None:
    tested, untested = strip(1, 2, 1.5, 1.7, "label"), strip(1, 2, 1.5, None, "label")
    assert 'class="mark"' in tested and 'class="mark"' not in untested
    ElementTree.fromstring(str(tested))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@given(st.floats(-1, 1))
def test_text_is_readable_on_every_colour_of_the_heat_map(value: float) -> None:
    contrast = (luminance(heat(value, 1.0)) + 0.05) / (luminance("#16191d") + 0.05)
    assert contrast >= 4.5  # WCAG 2.2 AA


def test_heat_diverges_around_zero() -> None:
    assert heat(0, 1) == "#ffffff"
    assert heat(-1, 1) != heat(1, 1)
    assert heat(5, 1) == heat(1, 1)
    assert heat(math.nan, 1) == heat(1, 0) == "#ffffff"
