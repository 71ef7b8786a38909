"""What follows from a law: how much more data a target needs, the best N and D for a budget, which run to do next.

Each is asked of every bootstrap draw, so that its interval holds what the law does not know. What past forecasts have
taught about the law's own error (`forecast.Past.misfit`) shifts each draw by a random share of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from assay.impact.laws.forecast import Past, forecast
from assay.impact.laws.powers import F64, Fit, Law, Runs

FLOPS = 6.0
"""Training FLOPs for each parameter and token (Kaplan et al. 2020)."""
MOST_TOKENS = 1e20  # beyond what anybody could read: a target that needs more is not reachable
GRID = 61  # sizes of an isoFLOP curve
_ONE_SD = 0.6826894921370859


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; None where there is none (a target out of reach)."""

    value: float | None
    interval: tuple[float | None, float | None]


def one(n: float, d: float, unique: float | None = None) -> Runs:
    """A run to ask a law about."""
    made = None if unique is None else np.array([unique])
    return Runs(np.array([n]), np.array([d]), np.ones(1), np.zeros(1, dtype=np.int64), made)


# How much more data


@dataclass(frozen=True)
class MoreData:
    """Tokens that a loss needs at some size of the model.

    Attributes:
        reachable: share of the draws in which it is reached at all.
    """

    target: float
    n: float
    tokens: Estimate
    reachable: float
    beyond: float | None


def tokens_for(
    made: Fit, past: Past, target: float, n: float, level: float, unique: float | None = None, seed: int = 0
) -> MoreData:
    """Tokens at which a model of n parameters has this loss, by every draw.

    The value is None where the law itself never comes so low, an end of the interval where the draws there do not.
    """
    sd = past.misfit(_ONE_SD)
    shift = np.exp(sd * np.random.default_rng(seed).standard_normal(len(made.draws.theta)))
    found = np.array([_tokens(made.draws, i, target / shift[i], n, unique) for i in range(len(shift))])
    value = _tokens(made.centre, 0, target, n, unique)
    low, high = np.quantile(found, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    ends = (_finite(float(low)), _finite(float(high)))
    beyond = value / made.runs.at(made.kept).d.max() if np.isfinite(value) else None
    return MoreData(target, n, Estimate(_finite(value), ends), float(np.isfinite(found).mean()), beyond)


def _tokens(laws: Law, row: int, target: float, n: float, unique: float | None) -> float:
    """Where one law comes down to the target; infinite where it does not."""
    law = Law(laws.form, laws.theta[row : row + 1], laws.units)

    def above(logarithm: float) -> float:
        return float(law.predict(one(n, np.exp(logarithm), unique))[0, 0]) - target

    low, high = np.log(1.0), np.log(MOST_TOKENS)
    if above(high) > 0:
        return np.inf
    return 1.0 if above(low) <= 0 else float(np.exp(brentq(above, low, high, xtol=1e-6)))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


# The best model for a budget


@dataclass(frozen=True)
class Optimum:
    """The N and D that a budget is best spent on, and what loss that gives."""

    flops: float
    n: Estimate
    d: Estimate
    tokens_per_parameter: Estimate
    loss: Estimate
    beyond: float


def optimum(made: Fit, past: Past, flops: float, level: float) -> Optimum:
    """The closed form of every draw: N = G (C / 6)^(beta / (alpha + beta)), G = (alpha A / beta B)^(1 / (alpha + beta))
    (Hoffmann et al. 2022, equation 4)."""
    n = _best_n(made.draws, flops)
    centre = float(_best_n(made.centre, flops)[0])
    d = flops / FLOPS / centre
    found = forecast(made, past, one(centre, d), level)
    return Optimum(
        flops,
        _spread(centre, n, level),
        _spread(d, flops / FLOPS / n, level),
        _spread(d / centre, flops / FLOPS / n**2, level),
        Estimate(float(found.value[0]), (float(found.low[0]), float(found.high[0]))),
        float(found.beyond[0]),
    )


def _best_n(law: Law, flops: float) -> F64:
    own = law.parameters
    both = own["alpha"] + own["beta"]
    scale = (own["alpha"] * own["A"] / (own["beta"] * own["B"])) ** (1 / both)
    return np.asarray(scale * (flops / FLOPS) ** (own["beta"] / both))


def _spread(value: float, draws: F64, level: float) -> Estimate:
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, (float(low), float(high)))


def isoflop(made: Fit, flops: float) -> Runs:
    """Runs of one budget: models from a thirtieth to thirty times the best size."""
    n = float(_best_n(made.centre, flops)[0]) * np.geomspace(1 / 30, 30, GRID)
    return Runs(n, flops / FLOPS / n, np.ones(GRID), np.zeros(GRID, dtype=np.int64))


# The next run


@dataclass(frozen=True)
class NextRun:
    """A run that would tell most about a question, for its FLOPs.

    Attributes:
        n, d: of the run.  flops: what it costs.
        removes: share of the variance of the asked prediction that it would take away.
    """

    n: float
    d: float
    flops: float
    removes: float


def next_run(made: Fit, question: Runs, most: float = 2.0) -> NextRun:
    """Of runs up to `most` times the largest in N and in D, the one that removes most of the variance of the law's
    prediction for `question` per FLOP.

    By the draws: a run there, with the noise of a run, would leave var(q) - cov(q, r)^2 / (var(r) + noise^2).
    """
    fitted = made.runs.at(made.kept)
    asked = np.log(made.draws.predict(question)[:, 0])
    ns = [*np.unique(fitted.n).tolist(), most * float(fitted.n.max())] if made.centre.form.has("A") else [1.0]
    ds = np.geomspace(fitted.d.min(), most * fitted.d.max(), 12)
    n, d = (part.ravel() for part in np.meshgrid(ns, ds))
    unique = None if fitted.unique is None else d
    tried = Runs(n, d, np.ones(len(n)), np.zeros(len(n), dtype=np.int64), unique)
    told = np.log(made.draws.predict(tried))
    shared = ((told - told.mean(axis=0)) * (asked - asked.mean())[:, None]).mean(axis=0)
    removed = shared**2 / (told.var(axis=0) + made.noise**2) / max(float(asked.var()), 1e-300)
    flops = FLOPS * n * d
    best = int(np.argmax(removed / flops))
    worth = removed >= 0.1  # a cheap run that tells next to nothing is none to suggest
    if worth.any():
        best = int(np.argmax(np.where(worth, removed / flops, 0.0)))
    return NextRun(float(n[best]), float(d[best]), float(flops[best]), float(removed[best]))
