"""Numbers read as a careful person would write them, and never as NaN."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.present import numbers

ANY = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.0123456, "0.0123"),
        (-0.5, "−0.500"),
        (1234.5, "1,234"),
        (12345678, "1.23 × 10⁷"),
        (-2.5e-7, "−2.50 × 10⁻⁷"),
        (math.nan, "–"),
        (math.inf, "–"),
        (None, "–"),
    ],
)
def test_significant(value: float | None, shown: str) -> None:
    assert numbers.significant(value) == shown


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [
        # The examples of the Particle Data Group: 0.827 ± 0.119, 0.827 ± 0.367, and one that rounds up.
        (0.827, (0.708, 0.946), ("0.83", "[0.71, 0.95]")),
        (0.827, (0.46, 1.194), ("0.8", "[0.5, 1.2]")),
        (-0.0811, (-0.0881, -0.0741), ("−0.081", "[−0.088, −0.074]")),
        (1234.0, (1200.0, 1268.0), ("1,234", "[1,200, 1,268]")),
        (0.0, (0.0, 0.0), ("0", "[0, 0]")),
        (1e-9, (0.0, 2e-9), ("1.00 × 10⁻⁹", "[0, 2.00 × 10⁻⁹]")),
        (math.nan, (math.nan, math.inf), ("–", "[–, –]")),
    ],
)
def test_estimate(value: float, interval: tuple[float, float], shown: tuple[str, str]) -> None:
    assert numbers.estimate(value, interval) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.3, "30%"),
        (0.123, "12.3%"),
        (0.00004, "<0.01%"),
        (-0.05, "−5%"),
        (3 * 0.1, "30%"),
    ],
)
def test_percent(share: float, shown: str) -> None:
    assert numbers.percent(share) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (1234567, "1.23M"),
        (999_999, "1M"),
        (5e9, "5B"),
        (-1500, "−1.5K"),
    ],
)
def test_compact(value: float, shown: str) -> None:
    assert numbers.compact(value) == shown


def test_sizes_energies_and_powers() -> None:
    assert numbers.size(1_730_000_000) == "1.73 GB"
    assert numbers.size(512) == "512 B"
    assert numbers.energy(18_000) == "5 Wh"
    assert numbers.scientific(3.9e14) == "3.9 × 10¹⁴"
    assert numbers.scientific(9.99e14) == "1.0 × 10¹⁵"


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.42, "0.4 s", "0.4 秒"),
        (59.6, "1 min", "1 分"),
        (583.2, "9 min 43 s", "9 分 43 秒"),
        (3600, "1 h", "1 小时"),
        (90061, "1 d 1 h", "1 天 1 小时"),
    ],
)
def test_durations(seconds: float, english: str, chinese: str) -> None:
    assert numbers.durations(seconds) == {"en": english, "zh": chinese}


def test_moments() -> None:
    assert numbers.moment("2031-02-03T04:05:06Z") == "2031-02-03 04:05 UTC"
    assert numbers.moment("yesterday") == "yesterday"


@given(ANY, ANY, ANY)
def test_no_number_reads_as_nan_or_infinity(value: float, low: float, high: float) -> None:
    texts = [*numbers.estimate(value, (low, high))]
    texts += [
        numbers.percent(value),
        numbers.compact(value),
        numbers.scientific(value),
        numbers.energy(value),
    ]
    texts += [numbers.significant(value, signed=True), numbers.duration(abs(value), "en")]
    assert not any(word in text.lower() for text in texts for word in ("nan", "inf"))


def test_what_is_as_good_as_zero_is_zero() -> None:
    assert numbers.estimate(0.0, (0.0, 5e-324)) == ("0", "[0, 0]")
    assert numbers.scientific(5e-324) == "0"
