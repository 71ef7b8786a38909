"""Loss as a function of the mixture, near the natural one.

A source's text helps a target by a power of how much of it is read, like training text in the size law. So each
source s enters by a curved measure of its share x_s against its natural share n_s, with the size law's exponent,

    phi(x_s) = (1 - ((x_s + c) / (n_s + c))^-beta) / beta          (about log(x_s / n_s) for small changes)

and the change in a target's loss is the sum over sources of a_s phi(x_s). The coefficients come from the up-weighted
mixtures by ridge regression; what the additive form misses is allowed for as a share of the effects themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

SMOOTHING = 0.01  # c: a source that is left out is no further away than this
RIDGE = 1e-3
MISFIT = 0.15  # error of the additive form, as a share of the effects it adds up; held to by benchmarks/coverage.py


@dataclass(frozen=True)
class MixtureModel:
    """Change in loss against the natural mixture, for one target.

    Attributes:
        natural: (sources,) shares.
        beta: exponent of phi.
        coefficients: (sources,).
        covariance: (sources, sources) of the coefficients, from the noise of seeds.
        misfit: error of the form, as a share of the effects.
    """

    natural: np.ndarray
    beta: float
    coefficients: np.ndarray
    covariance: np.ndarray
    misfit: float
    df: float

    def predict(self, shares: np.ndarray, level: float, other_var: float = 0.0) -> tuple[float, float, float]:
        """Predicted difference against natural: value, low, high.

        Args:
            shares: (sources,).
            other_var: variance of what is compared with (the new runs' seeds, the held-out documents).
        """
        phi = features(shares, self.natural, self.beta)
        effects = self.coefficients * phi
        variance = phi @ self.covariance @ phi + self.misfit**2 * (effects @ effects) + other_var
        half = float(stats.t.ppf(0.5 + level / 2, self.df)) * float(variance) ** 0.5
        value = float(effects.sum())
        return value, value - half, value + half


def features(shares: np.ndarray, natural: np.ndarray, beta: float) -> np.ndarray:
    """phi of each source: (..., sources)."""
    ratio = (shares + SMOOTHING) / (natural + SMOOTHING)
    return (1 - ratio**-beta) / beta


def fit(
    shares: np.ndarray,
    changes: np.ndarray,
    variances: np.ndarray,
    natural: np.ndarray,
    beta: float,
    df: float,
) -> MixtureModel:
    """Generalised ridge regression of measured changes on phi.

    Args:
        shares: (cells, sources) of the trained mixtures, natural left out.
        changes: (cells,) loss against natural.
        variances: (cells,) of the changes over seeds; half of each is the shared baseline's.
        natural: (sources,).
        beta: exponent of the size law.
        df: degrees of freedom of the variances.
    """
    phi = features(shares, natural, beta)
    shared = np.sqrt(np.outer(variances, variances)) / 2
    noise = shared + np.diag(variances - np.diag(shared))
    size = float(np.mean(changes**2)) or 1e-12
    # First pass: which effects there are. Second pass: cells with large effects are allowed larger misfit.
    coefficients = _solve(phi, changes, noise + 1e-3 * size * np.eye(len(changes)), size)[0]
    misfit = MISFIT**2 * ((phi * coefficients) ** 2).sum(axis=1)
    coefficients, covariance = _solve(phi, changes, noise + np.diag(misfit) + 1e-9 * size * np.eye(len(changes)), size)
    return MixtureModel(natural, beta, coefficients, covariance, MISFIT, df)


def _solve(phi: np.ndarray, changes: np.ndarray, noise: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of the coefficients under a wide normal prior: mean and covariance."""
    precision = np.linalg.inv(noise)
    prior = RIDGE / size * np.eye(phi.shape[1])
    covariance = np.linalg.inv(phi.T @ precision @ phi + prior)
    return covariance @ phi.T @ precision @ changes, covariance
