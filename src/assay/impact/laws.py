"""The law of sample size: loss as a function of training tokens, and how far it can be trusted.

    L(D) = E + B D^-beta, with E >= 0 (Hestness et al. 2017; Hoffmann et al. 2022, with N fixed)

For a fixed beta the law is linear in (E, B): non-negative least squares on a grid of beta solves it exactly (variable
projection), for all bootstrap draws at once. Alternatives (no floor; only the last points) compete by forward
holdout: fit the first k sizes, predict the one twice as large. The errors of these past forecasts are what widens the
interval of the real one, since the noise of seeds alone makes intervals too narrow in extrapolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

BETAS = np.geomspace(0.02, 2.0, 240)
DRAWS = 400
LEAST_POINTS = 3
FORECAST_RATIO = 2.0


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
    """A way to fit: with or without a floor, on all points or the last few."""

    floor: bool
    window: int | None

    def fit(self, tokens: np.ndarray, losses: np.ndarray) -> PowerLaw:
        kept = slice(-self.window, None) if self.window else slice(None)
        losses = np.atleast_2d(losses)
        return fit(tokens[kept], losses[:, kept], floor=self.floor)

    @property
    def name(self) -> str:
        floor = "E + B D^-beta" if self.floor else "B D^-beta"
        return floor + (f", last {self.window} sizes" if self.window else "")


VARIANTS = [Variant(floor, window) for floor, window in product((True, False), (None, 4, 3))]


@dataclass(frozen=True)
class SizeLaw:
    """A law of one target, chosen and calibrated.

    Attributes:
        law: one fit a bootstrap draw over seeds.
        centre: the fit of the means.
        forecast_sd: relative error of past forecasts at FORECAST_RATIO.
        forecast_df: how many they were.
        noise_sd: relative residual of the means around the fit.
    """

    variant: Variant
    tokens: np.ndarray
    law: PowerLaw
    centre: PowerLaw
    forecast_sd: float
    forecast_df: int
    noise_sd: float

    def change(self, tokens: float, since: float, level: float, other_var: float = 0.0) -> tuple[float, float, float]:
        """Predicted difference between a run of `tokens` and one of `since`: value, low, high.

        Args:
            other_var: variance from elsewhere (the choice of held-out documents).
        """
        centre = self.centre.predict([tokens, since])[0]
        draws = self.law.predict([tokens, since])
        value = float(centre[0] - centre[1])
        spread = float(np.var(draws[:, 0] - draws[:, 1]))
        step = np.log(max(tokens / since, 1.0)) / np.log(FORECAST_RATIO)
        model = (self.forecast_sd * centre[0] * step) ** 2
        noise = 2 * (self.noise_sd * centre[0]) ** 2
        half = float(stats.t.ppf(0.5 + level / 2, 2 + self.forecast_df)) * (spread + model + noise + other_var) ** 0.5
        return value, value - half, value + half

    def band(self, tokens: np.ndarray, level: float) -> np.ndarray:
        """(len(tokens), 3) predicted loss, low, high; wider beyond the largest run fitted."""
        centre = self.centre.predict(tokens)[0]
        spread = self.law.predict(tokens).var(axis=0)
        beyond = np.maximum(0.0, np.log(tokens / self.tokens.max()) / np.log(FORECAST_RATIO))
        variance = spread + (self.noise_sd * centre) ** 2 + (self.forecast_sd * centre * beyond) ** 2
        half = float(stats.t.ppf(0.5 + level / 2, 2 + self.forecast_df)) * variance**0.5
        return np.stack([centre, centre - half, centre + half], axis=1)


def fit_size_law(tokens: np.ndarray, losses: np.ndarray, seed: int = 0) -> SizeLaw:
    """Choose a variant by forward holdout and fit it to bootstrap draws over seeds.

    Args:
        tokens: (points,) sizes, ascending.
        losses: (seeds, points) bits per byte; a seed's points are branches of one trunk and stay together.
    """
    mean = losses.mean(axis=0)
    scored = [(variant, forecast_errors(variant, tokens, mean)) for variant in VARIANTS]
    scored = [(variant, errors) for variant, errors in scored if len(errors)]
    variant, errors = min(scored, key=lambda item: float(np.mean(item[1] ** 2)))
    # All variants' errors, not only the chosen one's: choosing the smallest of several flatters it.
    typical = float(np.median([np.mean(e**2) for _, e in scored]) ** 0.5)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(losses), (DRAWS, len(losses)))
    law = variant.fit(tokens, losses[chosen].mean(axis=1))
    centre = variant.fit(tokens, mean)
    residual = (mean / centre.predict(tokens)[0] - 1)[-(variant.window or len(tokens)) :]
    freedom = max(1, len(residual) - (3 if variant.floor else 2))
    return SizeLaw(
        variant,
        tokens,
        law,
        centre,
        forecast_sd=max(float(np.mean(errors**2) ** 0.5), 0.5 * typical),
        forecast_df=len(errors),
        noise_sd=float((residual**2).sum() / freedom) ** 0.5,
    )


def forecast_errors(variant: Variant, tokens: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Relative errors of past forecasts: fit the first k sizes, predict the change to twice the k-th."""
    errors = []
    for k in range(max(LEAST_POINTS, variant.window or 0), len(tokens)):
        later = np.flatnonzero(np.abs(tokens / tokens[k - 1] / FORECAST_RATIO - 1) < 0.2)
        if len(later):
            law = variant.fit(tokens[:k], losses[:k])
            predicted = law.predict([tokens[later[0]], tokens[k - 1]])[0]
            change = losses[later[0]] - losses[k - 1]
            errors.append((predicted[0] - predicted[1] - change) / losses[later[0]])
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
