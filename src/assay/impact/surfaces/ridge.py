"""Ridge regression of the log of the loss on shares and their logarithms: each source multiplies the loss.

    log L(x) = a + b . x + sum_eps c_eps . log(x + eps)

The squares of b and c are penalised, in units of the features' spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.impact.surfaces.features import F64, I64, Features

PENALTIES = tuple(np.geomspace(1e-3, 1e4, 22).tolist())


@dataclass(frozen=True)
class LogLinear:
    """A fitted ridge.

    Attributes:
        level: (draws, 1, targets) log of the loss at the features' mean.
        coefficients: (draws, features, targets).
    """

    features: Features
    level: F64
    coefficients: F64

    def predict(self, shares: F64) -> F64:
        return np.exp(self.level + self.features.at(shares) @ self.coefficients)

    def slope(self, shares: F64, predicted: F64, weights: F64) -> F64:
        by_feature = (predicted * weights[:, None]) @ self.coefficients.swapaxes(-1, -2)
        return self.features.slope(shares, by_feature)


@dataclass(frozen=True)
class Ridge:
    """The form; `eps` are the shares added before logarithms are taken."""

    eps: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"ridge-log({', '.join(map(str, self.eps))})"

    @property
    def penalties(self) -> tuple[float, ...]:
        return PENALTIES

    def out_of_fold(self, shares: F64, losses: F64, folds: I64) -> F64:
        features = Features.of(self.eps, shares)
        z, y = features.at(shares), np.log(losses)
        found = np.empty((len(PENALTIES), *losses.shape))
        for fold in np.unique(folds):
            out = folds == fold
            center, values, vectors, pulls = _decomposed(z, y, (~out).astype(float))
            turned = (z[out] - center) @ vectors
            for i, penalty in enumerate(PENALTIES):
                found[i, out] = turned @ (pulls / (values + penalty)[:, None]) + y[~out].mean(0)
        return np.exp(found)

    def fit(self, shares: F64, losses: F64, penalties: F64, counts: F64) -> LogLinear:
        features = Features.of(self.eps, shares)
        z, y = features.at(shares), np.log(losses)
        level, coefficients = [], []
        for count in counts:
            center, values, vectors, pulls = _decomposed(z, y, count)
            coefficients.append(vectors @ (pulls / (values[:, None] + penalties)))
            level.append(np.average(y, axis=0, weights=count) - center @ coefficients[-1])
        return LogLinear(features, np.array(level)[:, None], np.array(coefficients))


def _decomposed(z: F64, y: F64, count: F64) -> tuple[F64, F64, F64, F64]:
    """The features' center, eigenvalues and eigenvectors of their products, and what the losses pull along these."""
    center = np.average(z, axis=0, weights=count)
    weighted = (z - center) * count[:, None]
    values, vectors = np.linalg.eigh(weighted.T @ (z - center))
    return center, np.maximum(values, 0), vectors, vectors.T @ (weighted.T @ (y - np.average(y, axis=0, weights=count)))
