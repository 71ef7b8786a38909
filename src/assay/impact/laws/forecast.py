"""How far a law can be trusted beyond the runs that it was fitted to.

    the bootstrap       what other runs of the same kind would have told
    noise               what a single run scatters about the law
    past forecasts      fit the smallest runs, predict all larger ones, for several cuts (rolling origin): the errors
                        that neither explains are the law's own, since no law is exact

The intervals of the first two are too narrow in extrapolation (on Chinchilla's table a nominal 90 % holds 55 to 65 %).
Where past forecasts have held less often than their level says, a third variance is added to forecasts of runs larger
than any that was fitted: the smallest one with which they would have held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from assay.impact.laws.powers import F64, Fit, Form, Runs, fit

CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the runs, smallest first, that past forecasts were made from."""
LEAST_RUNS = 5  # for each free number, for a cut to be tried
PAST_DRAWS = 100
FAR = 8.0
"""Beyond so many times the largest run seen a forecast is told with a warning."""


@dataclass(frozen=True)
class Past:
    """Errors of past forecasts: arrays of one length.

    Attributes:
        cut: number of runs that each was made from.
        error: ln measured - ln predicted.  known: standard deviation that bootstrap and noise told.
        ratio: compute of the run over that of the largest fitted.
        df: degrees of freedom of the fit that each was made from.
    """

    cut: F64
    error: F64
    known: F64
    ratio: F64
    df: F64

    def misfit(self, level: float) -> float:
        """The standard deviation to add, for so many of the past forecasts to have held; none where they held as often
        as that anyway, within a standard error of so many runs."""
        if not len(self.error):
            return 0.0
        needed = (self.error / stats.t.ppf(0.5 + level / 2, self.df)) ** 2 - self.known**2
        allowed = (level * (1 - level) / np.count_nonzero(self.cut == self.cut.min())) ** 0.5
        if (needed <= 0).mean() >= level - allowed:
            return 0.0
        return float(np.quantile(np.maximum(needed, 0.0), level, method="higher")) ** 0.5

    @property
    def mean_error(self) -> float | None:
        """Mean absolute relative error."""
        return float(np.abs(self.error).mean()) if len(self.error) else None


def compute(runs: Runs) -> F64:
    """What runs are ordered by: parameters times tokens, a sixth of the training FLOPs."""
    return runs.n * runs.d


def past_forecasts(runs: Runs, form: Form, *, outliers: bool = True, seed: int = 0) -> Past:
    """Fit the smallest runs, predict all larger ones, for every cut that leaves enough to fit."""
    order = np.argsort(compute(runs), kind="stable")
    ordered = runs.at(order)
    found = []
    for share in CUTS:
        k = int(share * len(runs))
        own, later = ordered.at(slice(0, k)), ordered.at(slice(k, None))
        if not enough(own, form) or not len(later):
            continue
        made = fit(own, form, draws=PAST_DRAWS, outliers=outliers, seed=seed)
        known = np.hypot(np.log(made.draws.predict(later)).std(axis=0), made.noise)
        error = np.log(later.loss) - np.log(made.centre.predict(later)[0])
        ratio = compute(later) / compute(own).max()
        found.append((np.full(len(later), float(k)), error, known, ratio, np.full(len(later), float(made.df))))
    parts = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [np.empty(0)] * 5
    return Past(*parts)


def enough(runs: Runs, form: Form) -> bool:
    """Whether a law of this form can be told from these runs: enough of them, at enough sizes."""
    many = len(runs) >= LEAST_RUNS * len(form.free)
    return many and not (form.has("A") and _sizes(runs.n) < 2) and not (form.has("B") and _sizes(runs.d) < 3)


def _sizes(values: F64) -> int:
    """How many sizes there are that differ by a twentieth."""
    return len(np.unique(np.round(np.log(values) / np.log(1.05))))


@dataclass(frozen=True)
class Forecasts:
    """Predictions of runs: arrays of one length.

    Attributes:
        value: predicted loss.  low, high: the interval for a single run.
        plain_low, plain_high: the same without what past forecasts taught.
        beyond: how many times the largest run seen, in N, D or both; at most 1 within.
    """

    value: F64
    low: F64
    high: F64
    plain_low: F64
    plain_high: F64
    beyond: F64


def forecast(made: Fit, past: Past, wanted: Runs, level: float) -> Forecasts:
    """Predict runs that the law has not seen; `wanted.loss` is not looked at."""
    centre = np.log(made.centre.predict(wanted)[0])
    known = np.hypot(np.log(made.draws.predict(wanted)).std(axis=0), made.noise)
    fitted = made.runs.at(made.kept)
    outside = compute(wanted) > compute(fitted).max()
    total = np.hypot(known, np.where(outside, past.misfit(level), 0.0))
    quantile = float(stats.t.ppf(0.5 + level / 2, max(1, made.df)))
    beyond = np.maximum(wanted.n / fitted.n.max(), wanted.d / fitted.d.max())
    low, high = np.exp(centre - quantile * total), np.exp(centre + quantile * total)
    plain = np.exp(centre - quantile * known), np.exp(centre + quantile * known)
    return Forecasts(np.exp(centre), low, high, *plain, beyond)


@dataclass(frozen=True)
class Judged:
    """How a form would have forecast: its past errors, None where the runs do not suffice for one."""

    form: Form
    mean_error: float | None


def judged(runs: Runs, forms: Sequence[Form], *, outliers: bool = True, seed: int = 0) -> list[Judged]:
    """Forms by their past forecasts, the best first (forward holdout)."""
    found = [Judged(form, past_forecasts(runs, form, outliers=outliers, seed=seed).mean_error) for form in forms]
    return sorted(found, key=lambda one: np.inf if one.mean_error is None else one.mean_error)
