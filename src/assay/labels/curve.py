"""The error by the number of labelled examples: a law, how far it can be trusted, what follows from it.

    error = E + B n^-beta       fitted to all runs (`impact.laws.powers`), whole seeds drawn
    past forecasts              fit the first k sizes, predict the mean over seeds at all larger ones, for every k
    forecast, target            `impact.laws.forecast` and `uses`, whose intervals past forecasts widen

A table of five sizes has few past forecasts, and none at all when its largest size is foretold from the four smaller
ones by three: so a law is never taken to err less than USUAL beyond its runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assay.impact.laws import forecast, uses
from assay.impact.laws.powers import F64, FORMS, Fit, Runs, fit
from assay.impact.laws.size import tokens_for

FORM = FORMS["d"]
LEAST_SIZES = 3
USUAL = 0.03
"""Share of the error that a law of four sizes errs by at twice the largest, one standard deviation: with it 92 to 100 %
of the intervals of examples for a target hold that promise 95, on three made-up curves (LAB_NOTES, 2026-11-29)."""
REACHED = 0.5  # share of the draws that reach a target: below it nothing is said of how many examples that takes
CLEAR = 0.05  # below it, a target is out of reach
WIDE = 10.0  # times the lower end: an interval beyond it is nothing to plan by

Reach = Literal["reached", "needs", "wide", "unclear", "out of reach", "flat"]


@dataclass(frozen=True)
class Learnt(forecast.Past):
    """Past forecasts of a learning curve.

    Attributes:
        usual: what a law errs at least, as a share.
        items: what other test examples would change, as a share of the error; 0 where the same ones judge.
    """

    usual: float = USUAL
    items: float = 0.0

    def misfit(self, level: float) -> float:
        return float(np.hypot(max(super().misfit(level), self.usual), self.items))


@dataclass(frozen=True)
class Curve:
    """Errors of all runs, and their law.

    Attributes:
        sizes: (sizes,) numbers of examples, rising.
        errors: (seeds, sizes).
        made: the law.  past: how its like has forecast.
    """

    sizes: F64
    errors: F64
    made: Fit
    past: Learnt

    @property
    def mean(self) -> F64:
        """(sizes,) over seeds."""
        return np.asarray(self.errors.mean(axis=0))


def fitted(sizes: F64, errors: F64, *, seed: int = 0, items: float = 0.0, least: float = 1e-6) -> Curve:
    """Fit the law to a table.

    Args:
        sizes: (sizes,), rising, three or more.
        errors: (seeds, sizes), the same seeds at every size.
        items: see `Learnt`.
        least: an error below it is taken for it (half a test example: no error at all has no logarithm).
    """
    errors = np.maximum(np.asarray(errors, dtype=float), least)
    sizes = np.asarray(sizes, dtype=float)
    made = fit(_runs(sizes, errors), FORM, outliers=False, seed=seed)
    return Curve(sizes, errors, made, replace(_past(sizes, errors, seed), items=items))


def _runs(sizes: F64, errors: F64) -> Runs:
    seeds = len(errors)
    d = np.tile(sizes, seeds)
    return Runs(np.ones(len(d)), d, errors.ravel(), np.repeat(np.arange(seeds), len(sizes)))


def _past(sizes: F64, errors: F64, seed: int) -> Learnt:
    found = []
    for k in range(LEAST_SIZES, len(sizes)):
        own = fit(_runs(sizes[:k], errors[:, :k]), FORM, draws=forecast.PAST_DRAWS, outliers=False, seed=seed)
        later = Runs(np.ones(len(sizes) - k), sizes[k:], errors[:, k:].mean(axis=0), np.zeros(len(sizes) - k, int))
        known = np.hypot(np.log(own.draws.predict(later)).std(axis=0), own.noise / len(errors) ** 0.5)
        error = np.log(later.loss) - np.log(own.centre.predict(later)[0])
        found.append((np.full(len(later), float(k)), error, known, sizes[k:] / sizes[k - 1],
                      np.full(len(later), float(own.df))))  # fmt: skip
    parts = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [np.empty(0)] * 5
    return Learnt(*parts)


def predicted(curve: Curve, n: float, level: float) -> tuple[float, float, float]:
    """The mean error over as many seeds at another number of examples, judged on the same test examples: value, low,
    high."""
    noise = curve.made.noise / len(curve.errors) ** 0.5
    found = forecast.forecast(replace(curve.made, noise=noise), replace(curve.past, items=0.0), uses.one(1.0, n), level)
    return float(found.value[0]), float(found.low[0]), float(found.high[0])


def band(curve: Curve, x: F64, level: float) -> list[list[float]]:
    """(len(x), 3) the mean error, low, high, of a law that is drawn."""
    return [list(predicted(curve, float(n), level)) for n in x]


@dataclass(frozen=True)
class Needed:
    """How many labelled examples a target needs.

    Attributes:
        reach: reached by what there is; needs so many; wide (an interval, or a distance, that says no more than that);
            unclear (some draws of the law come there, others never do); out of reach (the law's floor is above it);
            flat (the score does not measurably change with examples).
        examples: in all.  interval: None at an end that no draw bounds.
        reachable: share of the draws in which it is reached at all.
    """

    error: float
    reach: Reach
    examples: float | None
    interval: tuple[float | None, float | None]
    reachable: float

    def as_json(self) -> dict[str, Any]:
        return {"reach": self.reach, "examples": self.examples, "interval": list(self.interval),
                "reachable": self.reachable}  # fmt: skip


def needed(curve: Curve, error: float, level: float, *, falls: bool, seed: int = 0) -> Needed:
    """Examples at which the error has come down to this.

    Args:
        falls: whether the error is measurably lower with all examples than with the fewest.
    """
    found = uses.tokens_for(curve.made, curve.past, error, 1.0, level, seed=seed)
    value, ends, share = found.tokens.value, found.tokens.interval, found.reachable
    there = curve.sizes[-1]
    reach: Reach
    if value is not None and value <= there:
        reach = "reached"
    elif not falls:
        reach = "flat"
    elif value is not None and share >= REACHED:
        low, high = ends
        close = low is not None and high is not None and high <= WIDE * low and value <= forecast.FAR * there
        reach = "needs" if close else "wide"
    else:
        reach = "out of reach" if share < CLEAR or (value is None and share < REACHED) else "unclear"
    if reach in ("flat", "out of reach"):
        return Needed(error, reach, None, (None, None), share)
    return Needed(error, reach, value if reach != "unclear" else None, ends, share)


def equivalent(curve: F64, sizes: F64, errors: F64, law: Curve) -> F64:
    """The number of clean examples at which the clean curve has these errors: between its points log-linear; beyond
    all of them by the law, at most `forecast.FAR` times as many; below the fewest examples 0.

    Args:
        curve: (sizes,) or (draws, sizes) clean errors.
        errors: (draws,).
    """
    least = 1e-9
    curve, errors = np.maximum(curve, least), np.maximum(errors, least)
    curve = np.minimum.accumulate(np.broadcast_to(curve, (len(errors), len(sizes))), axis=1)
    found = tokens_for(curve, sizes, errors)
    worse, better = errors > curve[:, 0], errors < curve[:, -1]
    found = np.where(worse, 0.0, found)
    if better.any():
        # From the curve's own end on, as the law goes on from there.
        grid = np.geomspace(sizes[-1], forecast.FAR * sizes[-1], 64)
        fall = np.array([law.made.centre.predict(uses.one(1.0, n))[0, 0] for n in grid])
        fall = np.minimum.accumulate(fall / fall[0])
        for i in np.flatnonzero(better):
            wanted = errors[i] / curve[i, -1]
            found[i] = grid[-1] if wanted < fall[-1] else np.exp(np.interp(-wanted, -fall, np.log(grid)))
    return np.asarray(found)
