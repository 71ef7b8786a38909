"""Two systems on the same items: how far apart they are, whether that is more than noise, what could have been seen.

    measures of a and b -> the same draws of items for both -> difference a - b, percentile interval, noise
                        -> swaps of both's items            -> p value of a permutation test (Noreen 1989)
                        -> verdict; `holm` corrects the verdicts of several comparisons

A verdict wants both: an interval without zero, and a p value below what the level leaves. Everything else is
"indistinguishable", and stands beside the smallest difference that would have been seen with power 0.8.

**Seeds.** One model a system says something about these two models alone (`compare`). What is said of two recipes wants
several seeds of each (`compare_seeds`): items and seeds are crossed, so a draw takes items once for all seeds and both
systems, and seeds of each system (or of pairs of the same seed) besides. The mean over k seeds drawn from k varies too
little by (k - 1) / k, so deviations of seeds are scaled by what makes it right (Davison and Hinkley 1997, 3.8), and the
interval by Student's t over the normal quantile, with the degrees of freedom that seeds and items leave (Welch 1947).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from assay.errors import InputError
from assay.metrics import scores
from assay.metrics.scores import (
    F64,
    LEVEL,
    REPLICATES,
    SAME,
    SHARE,
    Groups,
    Kind,
    Measure,
    percentiles,
    replicated,
    same_length,
    signature_of,
    still,
    units_of,
    unseen,
    value_of,
)
from assay.metrics.significance import holm

POWER = 0.8

Verdict = Literal["better", "worse", "different", "indistinguishable"]


@dataclass(frozen=True)
class Comparison:
    """System a against system b by one value.

    Attributes:
        a, b: the values; with several seeds their means. None where not defined.
        difference: a - b.
        interval: of the difference at `level`.
        p_value: of a difference this large or larger, either way, between two systems that are alike; corrected, where
            `family` is more than one.
        p_bootstrap: the same by the draws of the interval, moved to zero. None with several seeds.
        minimum_detectable: the difference that is found with power 0.8 at `level`, by one comparison.
        verdict: of a; "different" where neither way is better.
        n: items.
        seeds: of a and b.
        family: how many comparisons the p value and the verdict are corrected for.
    """

    name: str
    a: float | None
    b: float | None
    difference: float | None
    interval: tuple[float, float] | None
    level: float
    p_value: float | None
    p_bootstrap: float | None
    minimum_detectable: float | None
    verdict: Verdict
    n: int
    seeds: tuple[int, int]
    signature: str
    better: Literal["higher", "lower", "neither"] = "higher"
    family: int = 1


def compare(
    a: Measure,
    b: Measure,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
    groups: Groups | None = None,
) -> dict[str, Comparison]:
    """Every value of two systems that were judged on the same items, in the same order.

    Args:
        replicates: draws of the interval, and of the test; where all ways to swap are as few, the test is exact.
        groups: (n,) what is drawn and swapped together, such as the document of each item.

    Raises:
        InputError: the measures are not of the same items, or not the same measure.
    """
    _alike([a, b])
    units, _ = units_of(a.n, groups)
    drawn_a, drawn_b = replicated([a, b], replicates, seed, groups)
    of_a, of_b = value_of(a), value_of(b)
    swapped = _swapped(a, b, replicates, seed, groups)
    signed = signature_of(a, replicates, seed, None if groups is None else units)
    found = {}
    for name in of_a:
        value_a, value_b = of_a[name], of_b[name]
        kind = a.kinds.get(name, SHARE)
        n = min(one.rests_on.get(name, one.n) for one in (a, b))
        blank = Comparison(
            name, value_a, value_b, None, None, level, None, None, None, "indistinguishable", n, (1, 1),
            f"name:{name}|paired:permutation|{signed}", kind.better,
        )  # fmt: skip
        found[name] = blank
        if value_a is None or value_b is None:
            continue
        difference = value_a - value_b
        rounding = SAME * max(abs(value_a), abs(value_b))
        difference = difference if abs(difference) > rounding else 0.0
        drawn = drawn_a[name] - drawn_b[name]
        # Without a second unit nothing is known of the noise.
        interval = _interval(difference, drawn, level, kind, min(n, units)) if units > 1 else None
        noise = _deviation(drawn) if interval else None
        found[name] = _judged(replace(
            blank, difference=difference, interval=interval,
            p_value=_share(swapped[name], abs(difference) - rounding, exact=2**units <= replicates),
            p_bootstrap=_share(drawn - difference, abs(difference) - rounding, exact=False),
            minimum_detectable=(stats.norm.ppf(0.5 + level / 2) + stats.norm.ppf(POWER)) * noise if noise else None,
        ))  # fmt: skip
    return found


def compare_seeds(
    a: Sequence[Measure],
    b: Sequence[Measure],
    *,
    paired: bool = False,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
    groups: Groups | None = None,
) -> dict[str, Comparison]:
    """Every value of two recipes, each trained with several seeds and judged on the same items.

    Args:
        a, b: a measure a seed; the value of a recipe is the mean over its seeds.
        paired: seed i of a and seed i of b share what a seed decides (initial weights, order of data), so their noise
            partly cancels.

    Raises:
        InputError: fewer than two seeds of one, other numbers of them where they are paired, measures of other items.
    """
    if min(len(a), len(b)) < 2:
        said = f"{len(a)} and {len(b)} seeds"
        raise InputError(said, remedy="train two or more of each, or compare two models by `compare`")
    if paired:
        same_length("seeds of both", a, b)
    _alike([*a, *b])
    k = len(a), len(b)
    units, _ = units_of(a[0].n, groups)
    if units < 2:
        raise InputError("one item alone", remedy="give two or more, or nothing is known of the noise")
    drawn = replicated([*a, *b], replicates, seed, groups)
    whole = [value_of(one) for one in (*a, *b)]
    rng = np.random.default_rng([seed, 1])
    signed = signature_of(a[0], replicates, seed, None if groups is None else units)
    signed = f"paired:seeds+items|seeds:{k[0]}+{k[1]}{'p' if paired else ''}|{signed}"
    found = {}
    for name in whole[0]:
        kind = a[0].kinds.get(name, SHARE)
        n = min(one.rests_on.get(name, one.n) for one in (*a, *b))
        blank = Comparison(
            name, None, None, None, None, level, None, None, None, "indistinguishable", n, k, f"name:{name}|{signed}",
            kind.better,
        )  # fmt: skip
        found[name] = blank
        values = np.array([np.nan if (value := one[name]) is None else value for one in whole])
        if np.isnan(values).any():
            continue
        table = np.stack([one[name] for one in drawn], axis=1)  # (replicates, seeds of a, then of b)
        rows = [(values[: k[0]], table[:, : k[0]]), (values[k[0] :], table[:, k[0] :])]
        if paired:
            rows = [(rows[0][0] - rows[1][0], rows[0][1] - rows[1][1])]
        of_a, of_b = float(values[: k[0]].mean()), float(values[k[0] :].mean())
        by_items = table[:, : k[0]].mean(1) - table[:, k[0] :].mean(1)
        both = by_items
        for sign, (_, each) in zip((1, -1), rows, strict=False):
            both = both + sign * _seed_deviation(each, rng)
        parts = [
            (_deviation(by_items) ** 2, units - 1),
            *((one.var(ddof=1) / len(one), len(one) - 1) for one, _ in rows),
        ]
        found[name] = _judged(_by_student(replace(blank, a=of_a, b=of_b, difference=of_a - of_b), both, parts))
    return found


def _seed_deviation(table: F64, rng: np.random.Generator) -> F64:
    """(replicates, k) -> how far the mean over drawn seeds is from that over all, as variable as that of k new ones."""
    r, k = table.shape
    apart = table - table.mean(1, keepdims=True)
    drawn = np.take_along_axis(apart, rng.integers(k, size=(r, k)), axis=1)
    return np.asarray(drawn.mean(1) * (k / (k - 1)) ** 0.5)


def _by_student(blank: Comparison, drawn: F64, parts: list[tuple[float, int]]) -> Comparison:
    """With interval, p value and the least that is seen, by draws and by (variance, degrees of freedom) of parts."""
    assert blank.difference is not None
    interval = percentiles(drawn, blank.level)
    variance = sum(part for part, _ in parts)
    if interval is None or not variance > 0:
        return blank
    freedom = variance**2 / sum(part**2 / df for part, df in parts)
    quantile, error = float(stats.t.ppf(0.5 + blank.level / 2, freedom)), variance**0.5
    wider = quantile / float(stats.norm.ppf(0.5 + blank.level / 2))
    low, high = (blank.difference + wider * (end - blank.difference) for end in interval)
    return replace(
        blank,
        interval=(low, high),
        p_value=float(2 * stats.t.sf(abs(blank.difference) / error, freedom)),
        minimum_detectable=(quantile + float(stats.t.ppf(POWER, freedom))) * error,
    )


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with p values and verdicts corrected for their number, by Holm; intervals stay as they were.

    Those without a p value count as none.
    """
    known = [one for one in comparisons if one.p_value is not None]
    p_values = iter(holm([one.p_value for one in known if one.p_value is not None]))
    return [
        one if one.p_value is None else _judged(replace(one, p_value=next(p_values), family=len(known)))
        for one in comparisons
    ]


def _alike(measures: Sequence[Measure]) -> None:
    first, names = measures[0], list(value_of(measures[0]))
    for other in measures[1:]:
        same_length("items of the systems", range(first.n), range(other.n))
        if other.signature != first.signature or list(value_of(other)) != names:
            said = f"the systems are measured differently: {first.signature or names} and {other.signature or names}"
            raise InputError(said, remedy="give both the same options, and the same labels or types")


def _swapped(a: Measure, b: Measure, replicates: int, seed: int, groups: Groups | None) -> dict[str, F64]:
    """Differences where of some units both systems' items were swapped: all ways, or as many by chance as there are
    replicates."""
    joined = a.joined(b)
    parts = []
    with threadpool_limits(1, user_api="blas"):
        for swap in _swaps(a.n, replicates, seed, groups):
            stay = joined.values(np.concatenate([1 - swap, swap], axis=1))
            gone = joined.values(np.concatenate([swap, 1 - swap], axis=1))
            parts.append({name: stay[name] - gone[name] for name in stay})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _swaps(n: int, replicates: int, seed: int, groups: Groups | None) -> Iterator[F64]:
    """(r, n) ones where an item is swapped, some draws at a time."""
    rng = np.random.default_rng([seed, 2])
    units, unit = units_of(n, groups)
    exact = 2**units <= replicates
    total = 2**units if exact else replicates
    at_once = max(1, scores.CELLS // (2 * n))
    for start in range(0, total, at_once):
        r = min(at_once, total - start)
        if exact:
            some = np.arange(start, start + r)[:, None] >> np.arange(units) & 1
        else:
            some = rng.integers(2, size=(r, units))
        yield some[:, unit].astype(np.float64)


def _share(drawn: F64, far: float, *, exact: bool) -> float | None:
    """Of draws that far from zero, or further; what was found is one of them, too, where not all were drawn."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return None
    hits = int((np.abs(known) >= far).sum())
    return hits / len(known) if exact else (hits + 1) / (len(known) + 1)


def _interval(difference: float, drawn: F64, level: float, kind: Kind, units: int) -> tuple[float, float] | None:
    found = percentiles(drawn, level)
    if found is None or not still(drawn):
        return found
    # No draw differs from another, which is no certainty: as many units could all be alike by chance.
    most = kind.high - kind.low
    away = unseen(level, units) * most
    return (max(difference - away, -most), min(difference + away, most)) if np.isfinite(away) else None


def _deviation(drawn: F64) -> float:
    known = drawn[~np.isnan(drawn)]
    return float(known.std(ddof=1)) if len(known) > 1 else 0.0


def _judged(one: Comparison) -> Comparison:
    verdict: Verdict = "indistinguishable"
    if one.difference is not None and one.interval is not None and one.p_value is not None:
        beyond = not one.interval[0] <= 0 <= one.interval[1]
        if beyond and one.p_value <= 1 - one.level + SAME:
            if one.better == "neither":
                verdict = "different"
            else:
                verdict = "better" if (one.difference > 0) == (one.better == "higher") else "worse"
    return replace(one, verdict=verdict)
