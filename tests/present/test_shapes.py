"""Small drawings: what they show is where it belongs, whatever is given."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup

from assay.present.shapes import Dots, Shade, dots, histogram, matrix, strip


def test_bars_are_as_wide_and_as_high_as_what_they_show() -> None:
    bars = [(10.0, 100.0, 0.25), (100.0, 1000.0, 0.5)]
    drawing = histogram(bars, low=10, high=1000, top=0.5, mark=100, ident="x")
    found = re.findall(r'<rect class="bar-of" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawing)
    (x0, y0, w0, h0), (x1, y1, w1, h1) = (tuple(map(float, bar)) for bar in found)
    assert w0 == pytest.approx(w1)  # a factor of ten each
    assert h1 == pytest.approx(2 * h0, abs=0.2)
    assert y0 + h0 == pytest.approx(y1 + h1, abs=0.2)
    middle = float(re.findall(r'class="middle" d="M([\d.]+)', drawing)[0])
    assert middle == pytest.approx(x1 - 0.4, abs=0.2)
    assert x0 + w0 < x1


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 0.5), (0.2, 0.6)])
def test_a_strip_stays_within_its_rail(low: float, high: float) -> None:
    drawn = strip([0.1, 0.3, 0.5, 0.7, 0.9], low, high)
    places = [float(value) for value in re.findall(r"(?:left|width):(-?[\d.]+)%", drawn)]
    assert all(0 <= value <= 100 for value in places)
    if (low, high) == (0.0, 1.0):
        assert places == pytest.approx([10, 80, 30, 40, 50])


def test_a_map_has_all_dots_once_a_size_and_labels_in_their_middle() -> None:
    kinds = [Dots([(-1, -1), (0, 0), (1, 1)], "t0", "1"), Dots([], "t1", "2")]
    drawn = dots(kinds, ident="m")
    assert drawn.count("<svg") == 2
    assert drawn.count("h0") == 6
    assert re.findall(r'class="place"[^>]*>(\d)<', drawn) == ["1", "1"]
    assert dots(kinds, ident="m", sizes=[(100, 100)]).count("h0") == 3


def test_texts_in_a_matrix_are_escaped_and_colours_bounded() -> None:
    cells = [[Shade(1.7, "<i>", {"en": 'a "tip"', "zh": "提示"}), Shade(None, "–")]]
    drawn = matrix(["<b>"], ["1", Markup("<code>x</code>")], cells, "&")
    assert "<b>" not in drawn and "<i>" not in drawn and "&amp;" in drawn
    assert "<code>x</code>" in drawn
    assert re.findall(r"--dark:(\d+)%", drawn) == ["100"]
    assert 'data-zh="提示"' in drawn
