"""Loss as a function of the mixture, near the natural one: each source's text is worth so much of a target's data.

The size law says what more data of the natural mixture does to a target: its loss falls by -slope for each e-fold.
Another mixture x (natural: n) acts like another amount of natural data, the effective data ratio

    r_t(x) = (sum_s w_ts (x_s / n_s)^gamma)^(1/gamma),    w_ts >= 0,  sum_s w_ts = 1
    change in loss of target t = slope_t * ln r_t(x)

The weight w_ts is the part of target t's progress that source s brings. With gamma = 1 sources are exchangeable in
proportion to their weights; as gamma goes to 0 each is needed (a product of powers). Raised to gamma the model is
linear in w, so non-negative least squares fits it.

Tried against this (LAB_NOTES.md): additive linear, logarithmic and Box-Cox forms of the shares with ridge, which
err about twice as much on a mixture that they have not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import nnls

GAMMA = 0.75
# Error of the form, as a share of each target's own predicted change and independent between targets; held to by
# benchmarks/intervals.py.
MISFIT = 0.3
DRAWS = 200
_SUM_WEIGHT = 10.0  # how strongly the weights are held to sum to one


@dataclass(frozen=True)
class MixtureModel:
    """Fitted weights of all targets, and draws of them under the noise of the measurements.

    Attributes:
        natural: (sources,) shares.
        slopes: (targets,) change in loss for an e-fold of natural data; negative.
        weights: (targets, sources).
        draws: (draws, targets, sources).
        df: degrees of freedom of the noise.
    """

    natural: np.ndarray
    slopes: np.ndarray
    weights: np.ndarray
    draws: np.ndarray
    df: float

    def changes(self, shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(..., targets) predicted changes in loss for a mixture (sources,)."""
        effective = weights @ (shares / self.natural) ** GAMMA
        return self.slopes * np.log(np.maximum(effective, 1e-3)) / GAMMA

    def predict(
        self, shares: np.ndarray, level: float, other_var: float = 0.0, target: int | None = None
    ) -> tuple[float, float, float]:
        """Predicted change of one target, or of the mean over all (None), against natural: value, low, high.

        Args:
            shares: (sources,).
            other_var: variance of what is compared with (the new runs' seeds, the held-out documents).
        """
        own = slice(None) if target is None else slice(target, target + 1)
        each = self.changes(shares, self.weights)[own]
        spread = self.changes(shares, self.draws)[:, own].mean(axis=-1).var()
        misfit = MISFIT**2 * (each**2).sum() / len(each) ** 2
        half = float(stats.t.ppf(0.5 + level / 2, self.df)) * float(spread + misfit + other_var) ** 0.5
        value = float(each.mean())
        return value, value - half, value + half


def fit(
    shares: np.ndarray,
    changes: np.ndarray,
    variances: np.ndarray,
    natural: np.ndarray,
    slopes: np.ndarray,
    df: float,
    seed: int = 0,
) -> MixtureModel:
    """Fit the weights of every target.

    Args:
        shares: (cells, sources) of the trained mixtures, natural left out.
        changes: (cells, targets) loss against natural.
        variances: (cells, targets) of the changes over seeds; half of each is the shared baseline's.
        natural: (sources,).
        slopes: (targets,) of the loss on ln D.
        df: degrees of freedom of the variances.
    """
    rng = np.random.default_rng(seed)
    slopes = np.minimum(slopes, 0.1 * slopes.mean())  # a target that more data hardly moves has no ratio to speak of
    own = rng.standard_normal((DRAWS, *changes.shape))
    shared = rng.standard_normal((DRAWS, 1, changes.shape[1]))
    noisy = changes + np.sqrt(variances / 2) * (own + shared)
    powers = (shares / natural) ** GAMMA
    weights = np.stack([_weights(powers, changes[:, t], slopes[t]) for t in range(len(slopes))])
    draws = np.stack(
        [np.stack([_weights(powers, noisy[d, :, t], slopes[t]) for t in range(len(slopes))]) for d in range(DRAWS)]
    )
    return MixtureModel(natural, slopes, weights, draws, df)


def _weights(powers: np.ndarray, changes: np.ndarray, slope: float) -> np.ndarray:
    """(sources,) weights of one target, by least squares on the effective data ratio to the power gamma."""
    ratios = np.exp(np.clip(GAMMA * changes / slope, -5, 5))
    # An error of the loss is worth slope / ratio of an error of the ratio: weigh rows so that losses are fitted.
    rows = 1 / ratios
    design = np.vstack([powers * rows[:, None], np.full(powers.shape[1], _SUM_WEIGHT)])
    found = nnls(design, np.append(np.ones(len(ratios)), _SUM_WEIGHT))[0]
    return np.asarray(found) / max(float(found.sum()), 1e-9)
