"""The law of sample size: loss as a function of training tokens, and how far it can be trusted.

    L(D) = E + B D^-beta, with E >= 0 (Hestness et al. 2017; Hoffmann et al. 2022, with N fixed)

For a fixed beta the law is linear in (E, B): non-negative least squares on a grid of beta solves it exactly (variable
projection), for all bootstrap draws at once. A forecast is the mean of fits with and without a floor to the last
sizes. Forward holdout calibrates it: fit the first k sizes, predict the one twice as large; the errors of these past
forecasts widen the interval of the real one, since the noise of seeds alone makes intervals too narrow in
extrapolation. They are few, and made where the curve still bends most: they are drawn towards what such forecasts err
in other studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

BETAS = np.geomspace(0.02, 2.0, 240)
DRAWS = 400
FORECAST_RATIO = 2.0
# What a forecast at FORECAST_RATIO errs, as a share of the loss, and the degrees of freedom that this counts for beside
# a study's own past forecasts. Errors of 0.3 to 0.9 per cent were seen (LAB_NOTES.md); benchmarks/intervals.py holds
# it.
USUAL_ERROR, USUAL_DF = 0.01, 8


@dataclass(frozen=True)
class PowerLaw:
    """Fitted laws, one a draw: arrays of equal length. Tokens are divided by `unit` before use."""

    unit: float
    floor: np.ndarray
    scale: np.ndarray
    exponent: np.ndarray

    def predict(self, tokens: Sequence[float] | np.ndarray) -> np.ndarray:
        """(draws, len(tokens)) bits per byte."""
        x = np.asarray(tokens, dtype=float) / self.unit
        return self.floor[:, None] + self.scale[:, None] * x[None, :] ** -self.exponent[:, None]


def fit(tokens: np.ndarray, losses: np.ndarray, *, floor: bool = True) -> PowerLaw:
    """Least squares in relative error.

    Args:
        tokens: (points,).
        losses: (draws, points) or (points,).
        floor: whether E is free (and non-negative) or zero.
    """
    losses = np.atleast_2d(np.asarray(losses, dtype=float))
    tokens = np.asarray(tokens, dtype=float)
    unit = float(np.exp(np.log(tokens).mean()))
    best = np.full(len(losses), np.inf)
    found = np.zeros((3, len(losses)))
    for beta in BETAS:
        basis = (tokens / unit) ** -beta
        floors, scales = _linear(basis, losses, floor)
        residual = (floors[:, None] + scales[:, None] * basis) / losses - 1
        error = (residual**2).sum(axis=1)
        better = error < best
        best[better] = error[better]
        found[:, better] = np.stack([floors, scales, np.full_like(floors, beta)])[:, better]
    return PowerLaw(unit, *found)


def _linear(basis: np.ndarray, losses: np.ndarray, floor: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of losses on [1, basis], both coefficients non-negative, one row a draw."""
    w = losses**-2.0
    sb, sbb = (w * basis).sum(1), (w * basis**2).sum(1)
    sy, syb, s = (w * losses).sum(1), (w * losses * basis).sum(1), w.sum(1)
    only_scale = syb / sbb
    if not floor:
        return np.zeros_like(s), only_scale
    det = s * sbb - sb**2
    e, b = (sbb * sy - sb * syb) / det, (s * syb - sb * sy) / det
    constrained = e < 0
    e, b = np.where(constrained, 0.0, e), np.where(constrained, only_scale, b)
    flat = b < 0
    return np.where(flat, sy / s, e), np.where(flat, 0.0, b)


@dataclass(frozen=True)
class Variant:
    """A way to fit: with or without a floor, on the last `window` sizes."""

    floor: bool
    window: int

    def fit(self, tokens: np.ndarray, losses: np.ndarray) -> PowerLaw:
        losses = np.atleast_2d(losses)
        return fit(tokens[-self.window :], losses[:, -self.window :], floor=self.floor)


# What lies ahead is like what lies close behind: the whole curve of a small model is steeper at first than any power
# law. With and without a floor err to opposite sides (no floor: too hopeful where the curve flattens, and the other
# way round); their mean errs about half as much as the one that did best in the past (LAB_NOTES.md).
WINDOWS = (4, 3)
VARIANTS = tuple(Variant(floor, window) for floor, window in product((True, False), WINDOWS))


def _ensemble(tokens: np.ndarray, losses: np.ndarray) -> list[PowerLaw]:
    return [variant.fit(tokens, losses) for variant in VARIANTS]


def _predict(laws: Sequence[PowerLaw], tokens: Sequence[float] | np.ndarray) -> np.ndarray:
    """(variants, draws, len(tokens))."""
    return np.stack([law.predict(tokens) for law in laws])


@dataclass(frozen=True)
class SizeLaw:
    """The law of one target: the mean over VARIANTS, calibrated by its own past forecasts.

    Attributes:
        tokens: sizes that it was fitted on.
        laws: one a variant, each with one fit a bootstrap draw over seeds.
        centres: one a variant, fitted to the means.
        forecast_sd: relative error of forecasts at FORECAST_RATIO, from past ones and the usual.
        forecast_df: its degrees of freedom.
    """

    tokens: np.ndarray
    laws: list[PowerLaw]
    centres: list[PowerLaw]
    forecast_sd: float
    forecast_df: int

    @property
    def shown(self) -> PowerLaw:
        """The variant whose parameters are shown: with a floor, on the longest window."""
        return self.centres[0]

    def change(self, tokens: float, since: float, level: float, other_var: float = 0.0) -> tuple[float, float, float]:
        """Predicted difference between a run of `tokens` and one of `since`: value, low, high.

        Args:
            other_var: variance from elsewhere (the choice of held-out documents).
        """
        centre = _predict(self.centres, [tokens, since])[:, 0]
        each = centre[:, 0] - centre[:, 1]
        draws = _predict(self.laws, [tokens, since]).mean(axis=0)
        step = np.log(max(tokens / since, 1.0)) / np.log(FORECAST_RATIO)
        past = (self.forecast_sd * float(centre[:, 0].mean()) * step) ** 2
        model = max(past, float(_bracketed(each)))  # both are the law's misfit, seen from two sides
        seeds = float(np.var(draws[:, 0] - draws[:, 1]))
        half = self._quantile(level) * (model + seeds + other_var) ** 0.5
        value = float(each.mean())
        return value, value - half, value + half

    def band(self, tokens: np.ndarray, level: float) -> np.ndarray:
        """(len(tokens), 3) predicted loss, low, high; wider beyond the largest run fitted."""
        centre = _predict(self.centres, tokens)[:, 0]
        seeds = _predict(self.laws, tokens).mean(axis=0).var(axis=0)
        beyond = np.maximum(0.0, np.log(tokens / self.tokens.max()) / np.log(FORECAST_RATIO))
        mean = centre.mean(axis=0)
        variance = seeds + np.maximum((self.forecast_sd * mean * beyond) ** 2, _bracketed(centre))
        half = self._quantile(level) * variance**0.5
        return np.stack([mean, mean - half, mean + half], axis=1)

    def _quantile(self, level: float) -> float:
        return float(stats.t.ppf(0.5 + level / 2, self.forecast_df))


def _bracketed(variants: np.ndarray) -> np.ndarray:
    """Variance of a truth that lies anywhere between (variants, ...) forecasts, which err to opposite sides."""
    return np.ptp(variants, axis=0) ** 2 / 12


def fit_size_law(tokens: np.ndarray, losses: np.ndarray, seed: int = 0) -> SizeLaw:
    """Fit all variants to the means and to bootstrap draws over seeds, and judge their mean by forward holdout.

    Args:
        tokens: (points,) sizes, ascending.
        losses: (seeds, points) bits per byte; a seed's points are branches of one trunk and stay together.
    """
    mean = losses.mean(axis=0)
    chosen = np.random.default_rng(seed).integers(0, len(losses), (DRAWS, len(losses)))
    # The resampled mean of n seeds varies by (n - 1) / n too little.
    draws = mean + (losses[chosen].mean(axis=1) - mean) * (len(losses) / max(1, len(losses) - 1)) ** 0.5
    errors = forecast_errors(tokens, mean)
    weights = np.arange(1, len(errors) + 1)  # the latest forecast is the most like the one that counts
    own = len(errors) * float(np.average(errors**2, weights=weights)) if len(errors) else 0.0
    df = USUAL_DF + len(errors)
    return SizeLaw(
        tokens,
        laws=_ensemble(tokens, draws),
        centres=_ensemble(tokens, mean),
        forecast_sd=((own + USUAL_DF * USUAL_ERROR**2) / df) ** 0.5,
        forecast_df=df,
    )


def forecast_errors(tokens: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Relative errors of past forecasts: fit up to the k-th size, predict the change to twice that size."""
    errors = []
    for k in range(max(WINDOWS), len(tokens)):
        later = np.flatnonzero(np.abs(tokens / tokens[k - 1] / FORECAST_RATIO - 1) < 0.2)
        if len(later):
            predicted = _predict(_ensemble(tokens[:k], losses[:k]), [tokens[later[0]], tokens[k - 1]])[:, 0]
            change = losses[later[0]] - losses[k - 1]
            errors.append(((predicted[:, 0] - predicted[:, 1]).mean() - change) / losses[later[0]])
    return np.array(errors)


def tokens_for(losses: np.ndarray, tokens: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The number of tokens at which a falling curve reaches `target`, log-linear between its points; NaN outside.

    Args:
        losses: (..., points) of the curve.  tokens: (points,) ascending.  target: (...).
    """
    result = np.full(np.shape(target), np.nan)
    for index in np.ndindex(*np.shape(target)):
        curve = np.minimum.accumulate(losses[index])
        if curve[-1] <= target[index] <= curve[0]:
            result[index] = np.exp(np.interp(-target[index], -curve, np.log(tokens)))
    return result
