"""Kernel ridge regression of the log of the loss: a linear surface, and bumps that sources make together.

    k(z, z') = 100 + z . z' / F + exp(-|z - z'|^2 / (2 F length^2)),    z the F features of a mixture

The posterior mean of a Gaussian process (Rasmussen and Williams 2006, chapter 2); the constant is a free level. Folds
need no fits of their own: with Q = (K + penalty I)^-1 the errors of the runs b of a fold are Q_bb^-1 (Q y)_b
(the same, 5.4.2, for folds of one).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from assay.impact.surfaces.features import F64, I64, Features

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_LEVEL = 100.0


@dataclass(frozen=True)
class Bumps:
    """A fitted kernel ridge.

    Attributes:
        runs: (runs, features).
        level: (draws, 1, targets).
        coefficients: (draws, runs, targets); 0 for runs that a draw does not hold.
    """

    form: Kernel
    features: Features
    runs: F64
    level: F64
    coefficients: F64

    def predict(self, shares: F64) -> F64:
        linear, bumps = self.form.parts(self.features.at(shares), self.runs)
        return np.exp(self.level + (_LEVEL + linear + bumps) @ self.coefficients)

    def slope(self, shares: F64, predicted: F64, weights: F64) -> F64:
        at = self.features.at(shares)
        pulls = (predicted * weights[:, None]) @ self.coefficients.swapaxes(-1, -2)  # (draws, mixtures, runs)
        near = pulls * self.form.parts(at, self.runs)[1]
        bumps = (near @ self.runs - near.sum(-1, keepdims=True) * at) / self.form.length**2
        return self.features.slope(shares, (bumps + pulls @ self.runs) / at.shape[-1])


@dataclass(frozen=True)
class Kernel:
    """The form.

    Attributes:
        eps: shares that are added before logarithms are taken.
        length: of the bumps, in units of the features' spread.
    """

    eps: tuple[float, ...]
    length: float

    @property
    def name(self) -> str:
        return f"kernel-log({', '.join(map(str, self.eps))}; length {self.length:g})"

    @property
    def penalties(self) -> tuple[float, ...]:
        return PENALTIES

    def parts(self, at: F64, runs: F64) -> tuple[F64, F64]:
        """(..., features), (runs, features) -> (..., runs): the linear part and the bumps."""
        width = at.shape[-1]
        products = at @ runs.T
        squares = (at**2).sum(-1, keepdims=True) + (runs**2).sum(-1) - 2 * products
        return products / width, np.exp(squares / (-2 * width * self.length**2))

    def _among(self, runs: F64) -> F64:
        linear, bumps = self.parts(runs, runs)
        return _LEVEL + linear + bumps

    def out_of_fold(self, shares: F64, losses: F64, folds: I64) -> F64:
        z = Features.of(self.eps, shares).at(shares)
        kernel = self._among(z)
        y = np.log(losses)
        rest = y - y.mean(0)
        found = np.empty((len(PENALTIES), *losses.shape))
        members = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        for i, penalty in enumerate(PENALTIES):
            inverse = np.linalg.inv(kernel + penalty * np.eye(len(z)))
            pulls = inverse @ rest
            for out in members:
                found[i, out] = y[out] - np.linalg.solve(inverse[np.ix_(out, out)], pulls[out])
        return np.exp(found)

    def fit(self, shares: F64, losses: F64, penalties: F64, counts: F64) -> Bumps:
        features = Features.of(self.eps, shares)
        z, y = features.at(shares), np.log(losses)
        kernel = self._among(z)
        level = (counts @ y / counts.sum(1, keepdims=True))[:, None]
        coefficients = np.zeros((len(counts), *y.shape))
        for draw, count in enumerate(counts):
            rows = np.flatnonzero(count)
            root = np.sqrt(count[rows])
            inner = kernel[np.ix_(rows, rows)] * np.outer(root, root)
            for penalty in np.unique(penalties):
                own = np.flatnonzero(penalties == penalty)
                factor = cho_factor(inner + penalty * np.eye(len(rows)), lower=True, check_finite=False)
                rest = root[:, None] * (y[np.ix_(rows, own)] - level[draw, :, own].T)
                coefficients[draw][np.ix_(rows, own)] = root[:, None] * cho_solve(factor, rest, check_finite=False)
        return Bumps(self, features, z, level, coefficients)
