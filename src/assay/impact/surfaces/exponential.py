"""The mixing law: L(x) = exp(c) + exp(t . x) (Ye et al. 2024, "Data Mixing Laws"; convex in x).

Their k exp(t . x) is the same, since shares sum to 1. Fitted by the Huber loss (.01) on the log of the loss, as laws of
size are, from several floors exp(c) with t by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.impact.surfaces.features import F64, I64

HUBER = 0.01
FLOORS = (0.01, 0.3, 0.6, 0.9)  # of the least loss: where fits start
STEPS = 100
_ENOUGH = 1e-7  # of the misfit: a step that gains less is the last


@dataclass(frozen=True)
class Exponentials:
    """A fitted mixing law.

    Attributes:
        floor: (draws, 1, targets) exp(c).
        rates: (draws, sources, targets) t.
    """

    floor: F64
    rates: F64

    def predict(self, shares: F64) -> F64:
        return self.floor + _exp(shares @ self.rates)

    def slope(self, shares: F64, predicted: F64, weights: F64) -> F64:
        return ((predicted - self.floor) * weights[:, None]) @ self.rates.swapaxes(-1, -2)


@dataclass(frozen=True)
class Exponential:
    """The form; it has nothing to choose."""

    @property
    def name(self) -> str:
        return "exponential"

    @property
    def penalties(self) -> tuple[float, ...]:
        return (0.0,)

    def out_of_fold(self, shares: F64, losses: F64, folds: I64) -> F64:
        members = folds == np.unique(folds)[:, None]
        fitted = self.fit(shares, losses, np.zeros(losses.shape[1]), (~members).astype(float))
        predicted = fitted.predict(shares[None])
        return predicted[members.argmax(0), np.arange(len(shares))][None]

    def fit(self, shares: F64, losses: F64, penalties: F64, counts: F64) -> Exponentials:
        """Of several draws, each starts from where all runs together lead."""
        found = np.empty((len(counts), 1 + shares.shape[1], losses.shape[1]))
        for target, log_losses in enumerate(np.log(losses).T):
            whole = _fitted(shares, log_losses, np.ones(len(shares)), _starts(shares, log_losses))
            for draw, count in enumerate(counts):
                plain = bool((count == 1).all())
                found[draw, :, target] = whole if plain else _fitted(shares, log_losses, count, [whole])
        return Exponentials(np.exp(found[:, :1]), found[:, 1:])


def _exp(exponents: F64) -> F64:
    return np.exp(np.clip(exponents, -50, 50))


def _starts(shares: F64, log_losses: F64) -> list[F64]:
    """(1 + sources,) c and t for each floor, t by least squares of log(L - floor) on the shares."""
    losses = np.exp(log_losses)
    floors = [share * losses.min() for share in FLOORS]
    return [np.append(np.log(b), np.linalg.lstsq(shares, np.log(losses - b), rcond=None)[0]) for b in floors]


def _fitted(shares: F64, log_losses: F64, count: F64, starts: list[F64]) -> F64:
    """(1 + sources,) the best of c and t that the starts lead to."""
    ends = [_descended(shares, log_losses, count, start) for start in starts]
    return min(ends, key=lambda end: end[0])[1]


def _descended(shares: F64, log_losses: F64, count: F64, at: F64) -> tuple[float, F64]:
    """The misfit and the parameters that steps of reweighted least squares (Levenberg-Marquardt) lead to."""
    loss, errors, steep = _errors(shares, log_losses, count, at)
    damping = 1e-3
    for _ in range(STEPS):
        weighted = steep * (count * np.minimum(1, HUBER / np.maximum(np.abs(errors), 1e-12)))[:, None]
        products = weighted.T @ steep
        ridge = damping * np.diag(products) + 1e-12
        after = at - np.linalg.solve(products + np.diag(ridge), weighted.T @ errors)
        new, new_errors, new_steep = _errors(shares, log_losses, count, after)
        if new < loss:
            done = loss - new < _ENOUGH * loss
            at, loss, errors, steep, damping = after, new, new_errors, new_steep, max(damping / 4, 1e-9)
            if done:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 8
    return loss, at


def _errors(shares: F64, log_losses: F64, count: F64, at: F64) -> tuple[float, F64, F64]:
    """The Huber loss, (runs,) errors of the log of the loss, and their slopes, (runs, 1 + sources)."""
    floor, rest = _exp(at[:1]), _exp(shares @ at[1:])
    total = floor + rest
    errors = np.log(total) - log_losses
    bent = np.clip(errors, -HUBER, HUBER)
    steep = np.column_stack([floor / total, shares * (rest / total)[:, None]])
    return float(count @ (bent * (errors - bent / 2))), errors, steep
