"""Equivalent clean tokens lost: read off a known curve."""

from __future__ import annotations

import numpy as np
import pytest

from assay.impact.doses import MISFIT, between, tokens_lost
from assay.impact.measure import Difference

SIZES = [250, 354, 500, 707, 1000, 1414, 2000]


class Curve:
    """A clean curve 3 D^-0.1, in place of a study's measurements."""

    def bpb(self, _cell: str, tokens: int) -> np.ndarray:
        return np.full((4, 2), loss(tokens))


def loss(tokens: float) -> float:
    return float(3 * tokens**-0.1)


def lost(share: float, half: float) -> tuple[float, float, float] | None:
    """What is found where a defect costs `share` of 1,000 tokens, with an interval of so many bits."""
    effect = loss(1000 * (1 - share)) - loss(1000)
    se = half / 1.6448536
    return tokens_lost(Curve(), "natural", SIZES, 1000, Difference(effect, se, 0.0, 1e6), 0.9)  # type: ignore[arg-type]


def test_the_share_is_read_off_the_clean_curve() -> None:
    found = lost(0.5, 0.01)
    assert found is not None
    value, low, high = found
    assert value == pytest.approx(0.5, abs=0.01)
    for bound, sign in ((low, -1), (high, 1)):
        there = loss(500) + sign * 0.01
        assert bound == pytest.approx(1 - (there / 3) ** -10 / 1000, abs=0.01)


def test_an_upper_bound_off_the_curve_is_all_of_the_tokens() -> None:
    found = lost(0.7, 0.1)
    assert found is not None
    assert found[2] == 1
    assert found[1] < 0.7


def test_a_run_that_is_worse_than_the_smallest_clean_one_is_off_the_curve() -> None:
    assert lost(0.8, 0.01) is None


def test_a_dose_between_two_lies_on_the_line_and_one_beyond_is_less_sure() -> None:
    effects = [Difference(value, 0.003, 0.004, 1e6) for value in (0.10, 0.16)]
    value, low, high = between([0.25, 0.5], effects, 0.375, 0.9, 0.001**2)
    assert value == pytest.approx(0.13)
    half = 1.6448536 * np.sqrt(0.005**2 + (MISFIT * 0.13) ** 2 + 0.001**2)
    assert (low, high) == (pytest.approx(0.13 - half), pytest.approx(0.13 + half))
    assert between([0.25, 0.5], effects, 0.1, 0.9, 0.0)[0] == pytest.approx(0.04)
    beyond = between([0.25, 0.5], effects, 0.75, 0.9, 0.0)
    assert beyond[0] == pytest.approx(0.24) and beyond[2] - beyond[1] > 1.9 * (high - low)
