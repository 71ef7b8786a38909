"""Laws of the loss in parameters N, training tokens D and unique tokens U, fitted robustly to any table of runs.

    L = E + A N^-alpha + B D'^-beta                          (Hoffmann et al. 2022, approach 3)
    D' = U + U R_D (1 - exp(-R / R_D)),  R = D / U - 1       where text was repeated (Muennighoff et al. 2023)

What is minimised is the sum of Huber's loss (delta 0.001) of the logarithm of predicted over measured loss, as they do.

    a grid of (alpha, beta[, R_D])   for each the law is linear in (E, A, B): non-negative least squares (variable
                                     projection), so that no start is a guess
    the best starts                  refined in (ln E, ln A, ln B, alpha, beta, ln R_D) by reweighted least squares with
                                     Levenberg and Marquardt's damping
    bootstrap draws                  refined from the fit in the same way, all at once; whole clusters are drawn

N and D are divided by their geometric means, or the parameters could hardly be told apart numerically.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

NAMES = ("E", "A", "B", "alpha", "beta", "R_D")
_E, _A, _B, _ALPHA, _BETA, _R = range(6)
DELTA = 1e-3
EXPONENTS = np.linspace(0.05, 1.0, 32)
REPETITIONS = np.geomspace(1.0, 100.0, 9)
_STARTS = 8
_ABSENT = -60.0  # logarithm of a term that a form does not have
_FLOOR = -12.0  # of logarithms: a term of this size is none
OUTLIER = 5.0
"""A run is left out when its residual is beyond so many standard deviations, these told by the median of all."""
MOST_OUTLIERS = 0.1  # of the runs
_LEAST_FOR_OUTLIERS = 20  # runs, for their median to tell what is usual
_LEAST_SCALE = 1e-12  # of a table without noise
_TURNS = 8  # of leaving out and fitting again
_EXACT, _DRAWN = (1e-13, 1000), (1e-5, 200)  # tolerance and steps of the fit, and of a bootstrap draw


@dataclass(frozen=True)
class Runs:
    """Runs that a law is fitted to or asked about: arrays of one length, all values positive.

    Attributes:
        n: parameters; ones where the table has none.  d: training tokens; ones where it has none.
        unique: unique training tokens; None: nothing was repeated.
        loss: nats or bits, whatever the law is to be in.
        cluster: number of what was drawn together (branches of a trunk, seeds); bootstrap draws take it whole.
    """

    n: F64
    d: F64
    loss: F64
    cluster: npt.NDArray[np.int64]
    unique: F64 | None = None

    def __len__(self) -> int:
        return len(self.loss)

    def at(self, chosen: Any) -> Runs:
        unique = None if self.unique is None else self.unique[chosen]
        return Runs(self.n[chosen], self.d[chosen], self.loss[chosen], self.cluster[chosen], unique)


@dataclass(frozen=True)
class Form:
    """Which parameters a law has: a name, its formula, and how its free numbers become all six.

    Attributes:
        free: for each free number the parameters that it stands for.
        fixed_floor: E, where it is given.
    """

    name: str
    formula: str
    free: tuple[tuple[int, ...], ...]
    fixed_floor: float | None = None

    @property
    def parameters(self) -> list[str]:
        """The parameters that it has, fixed ones too."""
        own = {index for group in self.free for index in group} | ({_E} if self.fixed_floor is not None else set())
        return [NAMES[i] for i in sorted(own)]

    @property
    def map(self) -> F64:
        """(6, free): what each free number adds to each parameter."""
        made = np.zeros((6, len(self.free)))
        for column, group in enumerate(self.free):
            made[list(group), column] = 1.0
        return made

    @property
    def offset(self) -> F64:
        """(6,) parameters where all free numbers are zero."""
        base = np.array([_ABSENT, _ABSENT, _ABSENT, 0.0, 0.0, 0.0])
        base[[index for group in self.free for index in group]] = 0.0
        if self.fixed_floor is not None:
            base[_E] = np.log(self.fixed_floor) if self.fixed_floor > 0 else _ABSENT
        return base

    def has(self, name: str) -> bool:
        return name in self.parameters

    def with_floor(self, value: float) -> Form:
        """The same with E given."""
        free = tuple(group for group in self.free if group != (_E,))
        return replace(self, free=free, fixed_floor=value)


FORMS = {
    form.name: form
    for form in (
        Form("nd", "E + A N^-alpha + B D^-beta", ((_E,), (_A,), (_B,), (_ALPHA,), (_BETA,))),
        Form("nd-tied", "E + A N^-alpha + B D^-alpha", ((_E,), (_A,), (_B,), (_ALPHA, _BETA))),
        Form("d", "E + B D^-beta", ((_E,), (_B,), (_BETA,))),
        Form("n", "E + A N^-alpha", ((_E,), (_A,), (_ALPHA,))),
        Form("ndu", "E + A N^-alpha + B D'^-beta", ((_E,), (_A,), (_B,), (_ALPHA,), (_BETA,), (_R,))),
        Form("ndu-tied", "E + A N^-alpha + B D'^-alpha", ((_E,), (_A,), (_B,), (_ALPHA, _BETA), (_R,))),
        Form("du", "E + B D'^-beta", ((_E,), (_B,), (_BETA,), (_R,))),
    )
}


@dataclass(frozen=True)
class Law:
    """Fitted laws, one a row.

    Attributes:
        theta: (draws, 6) ln E, ln A, ln B, alpha, beta, ln R_D, of N and D in the units.
        units: geometric means that N and D are divided by.
    """

    form: Form
    theta: F64
    units: tuple[float, float]

    def predict(self, runs: Runs) -> F64:
        """(draws, runs) loss."""
        floor, width, data, _ = _terms(self.theta, _inputs(runs, self.units))
        return floor + width + data

    @property
    def parameters(self) -> dict[str, F64]:
        """(draws,) of each parameter that the form has, for N and D as they are."""
        theta = self.theta
        every = {
            "E": np.exp(theta[:, _E]),
            "A": np.exp(theta[:, _A]) * self.units[0] ** theta[:, _ALPHA],
            "B": np.exp(theta[:, _B]) * self.units[1] ** theta[:, _BETA],
            "alpha": theta[:, _ALPHA],
            "beta": theta[:, _BETA],
            "R_D": np.exp(theta[:, _R]),
        }
        return {name: every[name] for name in self.form.parameters}


@dataclass(frozen=True)
class Fit:
    """A law, the runs that it was fitted to, and bootstrap draws of it.

    Attributes:
        centre: one law.  draws: as many as were asked for.
        kept: (runs,) those that were fitted.
        residuals: (runs,) ln measured - ln predicted, of all.
        scale: standard deviation of residuals by their median, of those that were kept.
        noise: the same by their squares, for free numbers corrected.
    """

    centre: Law
    draws: Law
    runs: Runs
    kept: Bool
    residuals: F64
    scale: float
    noise: float

    @property
    def df(self) -> int:
        """Degrees of freedom of the noise."""
        return int(self.kept.sum()) - len(self.centre.form.free)


def fit(runs: Runs, form: Form, *, draws: int = 500, outliers: bool = True, seed: int = 0) -> Fit:
    """Fit a law, and draws of it.

    Args:
        runs: at least as many as the form has free numbers, and one more.
        draws: of the bootstrap.
        outliers: whether runs beyond OUTLIER are left out, in turns until no other is; none more
            where that would make them more than MOST_OUTLIERS of all.
    """
    kept = np.ones(len(runs), dtype=bool)
    for turn in range(_TURNS):
        centre = _centre(runs.at(kept), form)
        residuals = np.log(runs.loss) - np.log(centre.predict(runs)[0])
        scale = max(_scale(residuals[kept], len(form.free)), _LEAST_SCALE)
        usual = np.abs(residuals) <= OUTLIER * scale
        few = len(runs) - usual.sum() <= MOST_OUTLIERS * len(runs) and len(runs) >= _LEAST_FOR_OUTLIERS
        if not outliers or not few or (usual == kept).all() or turn == _TURNS - 1:
            break  # the law is that of the runs that are kept now
        kept = usual
    own = runs.at(kept)
    noise = float((residuals[kept] ** 2).sum() / max(1, len(own) - len(form.free))) ** 0.5
    weights = _resampled(own.cluster, draws, seed)
    theta = _refined(np.repeat(centre.theta, draws, axis=0), own, form, centre.units, weights, *_DRAWN)
    return Fit(centre, replace(centre, theta=theta), runs, kept, residuals, scale, noise)


def _scale(residuals: F64, free: int) -> float:
    """Standard deviation by the median. A fit of almost absolute values goes through as many runs as it has free
    numbers: these say nothing."""
    n = len(residuals)
    return float(np.quantile(np.abs(residuals), (free + 0.5 * max(0, n - free)) / n)) / 0.6745


def _centre(runs: Runs, form: Form) -> Law:
    units = (float(np.exp(np.log(runs.n).mean())), float(np.exp(np.log(runs.d).mean())))
    starts = _starts(runs, form, units)
    weights = np.ones((len(starts), len(runs)))
    refined = _refined(starts, runs, form, units, weights, *_EXACT)
    inputs, logs = _inputs(runs, units), np.log(runs.loss)
    best = int(np.argmin(_objective(np.log(sum(_terms(refined, inputs)[:3])) - logs, weights)))
    return Law(form, refined[best : best + 1], units)


def _resampled(cluster: npt.NDArray[np.int64], draws: int, seed: int) -> F64:
    """(draws, runs) how often each run is in each bootstrap draw of whole clusters."""
    _, own = np.unique(cluster, return_inverse=True)
    n = int(own.max()) + 1
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    return counts[:, own].astype(float)


# The law and its derivatives


def _inputs(runs: Runs, units: tuple[float, float]) -> tuple[F64, F64, F64 | None, F64 | None]:
    """ln N, ln D in units; where text was repeated, ln U in units and the repetitions D / U - 1."""
    x, y = np.log(runs.n / units[0]), np.log(runs.d / units[1])
    if runs.unique is None:
        return x, y, None, None
    return x, y, np.log(runs.unique / units[1]), np.maximum(runs.d / runs.unique - 1, 0.0)


def _effective(theta: F64, y: F64, u: F64 | None, repeats: F64 | None) -> tuple[F64, F64]:
    """(draws, runs) ln D' in units, and its derivative by ln R_D."""
    if u is None or repeats is None:
        return np.broadcast_to(y, (len(theta), len(y))), np.zeros((len(theta), len(y)))
    worth = np.exp(theta[:, _R, None])
    left = np.exp(-repeats / worth)
    factor = 1 + worth * (1 - left)
    slope = worth * (1 - left) - repeats * left
    once = np.minimum(y - u, 0.0)  # fewer tokens than there are unique ones: all of them are
    return u + once + np.log(factor), slope / factor


def _terms(theta: F64, inputs: tuple[F64, F64, F64 | None, F64 | None]) -> tuple[F64, F64, F64, F64]:
    """(draws, runs) E, the term of N, the term of D, and ln D'."""
    x, y, u, repeats = inputs
    data, _ = _effective(theta, y, u, repeats)
    return (
        np.broadcast_to(np.exp(theta[:, _E, None]), (len(theta), len(x))),
        np.exp(theta[:, _A, None] - theta[:, _ALPHA, None] * x),
        np.exp(theta[:, _B, None] - theta[:, _BETA, None] * data),
        data,
    )


def _objective(residuals: F64, weights: F64) -> F64:
    """(draws,) weighted sum of Huber's loss."""
    size = np.abs(residuals)
    return (weights * np.where(size <= DELTA, 0.5 * size**2, DELTA * (size - 0.5 * DELTA))).sum(axis=1)


def _refined(
    theta: F64, runs: Runs, form: Form, units: tuple[float, float], weights: F64, tolerance: float, most: int
) -> F64:
    """Minimise the objective for all rows at once.

    Reweighting by min(1, delta / |residual|) majorises Huber's loss, so a step that lowers the weighted squares lowers
    it, too; steps that do not are taken back and damped.

    Args:
        theta: (draws, 6) starts.  weights: (draws, runs).
        tolerance: a draw is done when three steps that lowered its objective did so by less than this share.
    """
    inputs, logs, back = _inputs(runs, units), np.log(runs.loss), form.map
    free = np.linalg.lstsq(back, (theta - form.offset).T, rcond=None)[0].T
    found = free.copy()
    damping, quiet = np.full(len(free), 1e-3), np.zeros(len(free), dtype=int)
    active = np.arange(len(free))
    value = _objective(np.log(sum(_terms(free @ back.T + form.offset, inputs)[:3])) - logs, weights)
    for _ in range(most):
        now = found[active] @ back.T + form.offset
        floor, width, data, effective = _terms(now, inputs)
        total = floor + width + data
        residuals, own = np.log(total) - logs, weights[active]
        slope = _effective(now, inputs[1], inputs[2], inputs[3])[1]
        x = inputs[0]
        every = [
            floor, width, data, -width * x, -data * effective, -data * now[:, _BETA, None] * slope
        ]  # fmt: skip
        jacobian = np.stack([part / total for part in every], axis=-1) @ back
        scaled = own * np.minimum(1.0, DELTA / np.maximum(np.abs(residuals), 1e-300))
        curvature = np.einsum("mi,mij,mik->mjk", scaled, jacobian, jacobian)
        gradient = np.einsum("mi,mij,mi->mj", scaled, jacobian, residuals)
        ridge = damping[active, None] * (np.einsum("mjj->mj", curvature) + 1e-14)
        step = np.linalg.solve(curvature + ridge[:, :, None] * np.eye(back.shape[1]), gradient[..., None])[..., 0]
        new = _within(found[active] - np.clip(step, -2.0, 2.0), form)
        after = _objective(np.log(sum(_terms(new @ back.T + form.offset, inputs)[:3])) - logs, own)
        better = after < value[active]
        gain = np.where(better, (value[active] - after) / np.maximum(value[active], 1e-300), 0.0)
        found[active[better]], value[active[better]] = new[better], after[better]
        damping[active] = np.clip(np.where(better, damping[active] / 5, damping[active] * 4), 1e-10, 1e8)
        quiet[active] = np.where(gain > tolerance, 0, quiet[active] + better)
        active = active[(quiet[active] < 3) & (damping[active] < 1e8)]
        if not len(active):
            break
    return found @ back.T + form.offset


def _within(free: F64, form: Form) -> F64:
    """Numbers that stay numbers: terms no smaller than nothing, exponents and R_D in what was ever seen."""
    low, high = np.full(6, _FLOOR), np.full(6, 60.0)
    low[[_ALPHA, _BETA]], high[[_ALPHA, _BETA]] = 1e-3, 3.0
    low[_R], high[_R] = np.log(0.05), np.log(1e4)
    first = [group[0] for group in form.free]
    return np.clip(free, low[first], high[first])


# Starts


def _starts(runs: Runs, form: Form, units: tuple[float, float]) -> F64:
    """(starts, 6): the best of a grid over the exponents (and R_D), by relative least squares."""
    x, y, u, repeats = _inputs(runs, units)
    alphas: Sequence[float] = EXPONENTS.tolist() if form.has("A") else [0.0]
    betas: Sequence[float] = EXPONENTS.tolist() if form.has("B") else [0.0]
    worths: Sequence[float] = REPETITIONS.tolist() if form.has("R_D") else [1.0]
    tied = (_ALPHA, _BETA) in form.free
    found = []
    for worth, beta in product(worths, betas):
        theta = np.zeros((1, 6))
        theta[0, _R] = np.log(worth)
        data = _effective(theta, y, u, repeats)[0][0]
        for alpha in [beta] if tied else alphas:
            columns = [np.ones_like(x), np.exp(-alpha * x), np.exp(-beta * data)]
            target = np.ones(len(runs))
            if form.fixed_floor is not None:
                target, columns[0] = 1 - form.fixed_floor / runs.loss, np.zeros_like(x)
            for name, place in (("E", 0), ("A", 1), ("B", 2)):
                if not form.has(name):
                    columns[place] = np.zeros_like(x)
            basis = np.stack(columns, axis=1) / runs.loss[:, None]
            linear, error = nnls(basis, target)
            found.append((error, linear, alpha, beta, worth))
    found.sort(key=lambda one: one[0])
    best = found[:_STARTS]
    starts = np.array(
        [[*np.log(np.maximum(linear, 1e-4)), alpha, beta, np.log(worth)] for _, linear, alpha, beta, worth in best]
    )
    return starts
