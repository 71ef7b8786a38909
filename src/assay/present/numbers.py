"""Numbers as people read them: language-neutral, except durations. NONE stands where there is no number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from assay.present.words import LANGUAGES, say

NONE = "–"
MINUS = "\u2212"
_LEAST = 1e-300  # below this a power of ten underflows
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fixed(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """`value` with so many decimals, thousands separated, a true minus sign, a plus sign where `signed`."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{abs(value):,.{decimals}f}"
    zero = not any(digit in text for digit in "123456789")
    sign = "" if zero else MINUS if value < 0 else "+" if signed else ""
    return sign + text


def significant(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """`value` to so many significant digits; very small and very large ones as 1.2 × 10⁻⁶."""
    if value is None or not math.isfinite(value):
        return NONE
    if abs(value) < _LEAST:
        return "0"
    exponent = _exponent(value, digits)
    if exponent < -4 or exponent >= 7:
        return scientific(value, digits, signed=signed)
    return fixed(value, max(0, digits - 1 - exponent), signed=signed)


def scientific(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """1.2 × 10¹⁵."""
    if value is None or not math.isfinite(value):
        return NONE
    if abs(value) < _LEAST:
        return "0"
    exponent = _exponent(value, digits)
    power = str(exponent).translate(_SUPERSCRIPT)
    return f"{fixed(value / 10.0**exponent, digits - 1, signed=signed)} × 10{power}"


def estimate(value: float, interval: Sequence[float], *, signed: bool = False) -> tuple[str, str]:
    """A value and its interval, both with the decimals that the interval's width deserves.

    The half-width keeps one significant digit, or two where its first three are 100 to 354, which is the
    rule of the Particle Data Group (Review of Particle Physics, introduction, 5.3):
    (-0.12345, [-0.151, -0.096]) -> ("−0.123", "[−0.151, −0.096]").
    """
    low, high = interval
    numbers = (value, low, high)
    finite = [abs(x) for x in numbers if math.isfinite(x)]
    half = (high - low) / 2
    if not finite or max(finite) == 0 or not math.isfinite(half) or half < _LEAST:
        texts = [significant(x, signed=signed) for x in numbers]
    else:
        exponent = _exponent(half, 3)
        decimals = max(0, (1 if half / 10.0**exponent < 3.545 else 0) - exponent)
        if decimals > 6 and max(finite) < 1e-3:
            texts = [significant(x, signed=signed) for x in numbers]
        else:
            texts = [fixed(x, min(decimals, 6), signed=signed) for x in numbers]
    return texts[0], f"[{texts[1]}, {texts[2]}]"


def percent(share: float | None, *, signed: bool = False) -> str:
    """0.123 -> 12.3%; what is not zero never reads as zero."""
    if share is None or not math.isfinite(share):
        return NONE
    value = 100 * share
    if value != 0 and abs(value) < 0.01:
        return "<0.01%" if value > 0 else f">{MINUS}0.01%"
    decimals = 0 if abs(value) >= 99.95 or abs(value - round(value)) < 1e-9 else 1 if abs(value) >= 1 else 2
    return fixed(value, decimals, signed=signed) + "%"


def compact(value: float | None) -> str:
    """1234567 -> 1.23M (thousand K, million M, billion B, trillion T)."""
    return _scaled(value, ("", "K", "M", "B", "T"))


def size(n_bytes: float | None) -> str:
    """1234567 -> 1.23 MB (powers of ten)."""
    return _scaled(n_bytes, (" B", " kB", " MB", " GB", " TB", " PB"))


def energy(joules: float | None) -> str:
    """Joules as watt-hours: 5.4 Wh, 1.2 kWh."""
    return NONE if joules is None else _scaled(joules / 3600, (" Wh", " kWh", " MWh", " GWh"))


def duration(seconds: float, language: str) -> str:
    """9 min 42 s; the two largest units that are not zero."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < 9.95:
        return say("duration.s", language, n=fixed(seconds, 1))
    rest = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append((count, unit))
    shown = [say(f"duration.{unit}", language, n=count) for count, unit in parts[:2] if count]
    return " ".join(shown)


def durations(seconds: float) -> dict[str, str]:
    """`duration` in both languages."""
    return {language: duration(seconds, language) for language in LANGUAGES}


def moment(text: str) -> str:
    """An ISO 8601 time as people read it: 2031-02-03 04:05 UTC. Other text is left as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at:%Y-%m-%d %H:%M} {at.tzname() or ''}".strip()


def _exponent(value: float, digits: int) -> int:
    """The power of ten of `value` once it is rounded to so many digits (9.99 to two digits is 1.0 × 10¹)."""
    return int(f"{abs(value):.{digits - 1}e}".split("e")[1])


def _scaled(value: float | None, units: Sequence[str]) -> str:
    if value is None or not math.isfinite(value):
        return NONE
    size_ = abs(value)
    step = 0
    while step < len(units) - 1 and float(f"{size_:.3g}") >= 1000:
        size_ /= 1000
        step += 1
    text = significant(size_) if size_ < 1000 and size_ != int(size_) else fixed(size_, 0)
    if "." in text:
        text = text.rstrip("0").rstrip(".") if "×" not in text else text
    return (MINUS if value < 0 else "") + text + units[step]
