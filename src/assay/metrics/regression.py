"""Numbers predicted -> errors, correlations, and the agreement of graders.

Pearson's correlation and the weighted kappa are functions of sums of powers, so only Spearman's goes by ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from assay.errors import InputError
from assay.metrics.scores import CORRELATION, ERROR, F64, Additive, Ranked, Together, Values, same_length, together

ROUNDING = 1e-12
"""A variance below this share of the mean square is one of rounding."""


def regression(references: Sequence[float] | np.ndarray, predictions: Sequence[float] | np.ndarray) -> Together:
    """`mse`, `rmse`, `mae`, `pearson`, `spearman`. Correlations with what does not vary are not defined.

    Args:
        references, predictions: (n,).

    Raises:
        InputError: columns of different lengths, empty ones, or what is no finite number.
    """
    a, b = _columns(references, predictions)
    shift = a[0], b[0]  # sums of squares of what is far from zero round badly
    x, y = a - shift[0], b - shift[1]
    statistics = np.stack([(b - a) ** 2, np.abs(b - a), np.ones(len(a)), x, y, x**2, y**2, x * y], axis=1)

    def of(sums: F64) -> Values:
        square, size, n, *moments = sums.T
        mse = square / n
        return {"mse": mse, "rmse": np.sqrt(mse), "mae": size / n, "pearson": _correlation(n, *moments)}

    kinds = {"mse": ERROR, "rmse": ERROR, "mae": ERROR, "pearson": CORRELATION}
    return together(Additive(statistics, of, "", kinds), Ranked((a, b), _spearman, "", {"spearman": CORRELATION}))


def kappa(references: Sequence[float] | np.ndarray, predictions: Sequence[float] | np.ndarray) -> Additive:
    """`kappa`: Cohen's (1968) with quadratic weights, which judges grades of essays.

    The weights are squared differences of the grades themselves, whatever grades occur; what is expected by chance
    follows from the means and squares of both graders. Not defined where both give one and the same grade to all.

    Raises:
        InputError: columns of different lengths, empty ones, or what is no finite number.
    """
    a, b = _columns(references, predictions)
    x, y = a - a[0], b - a[0]
    statistics = np.stack([(x - y) ** 2, x, y, x**2 + y**2, np.ones(len(a))], axis=1)

    def of(sums: F64) -> Values:
        apart, first, second, squares, n = sums.T
        by_chance = squares - 2 * first * second / n
        return {
            "kappa": np.where(by_chance > ROUNDING * squares, 1 - apart / np.where(by_chance > 0, by_chance, 1), np.nan)
        }

    return Additive(statistics, of, "weights:quadratic", {"kappa": CORRELATION})


def _columns(references: Sequence[float] | np.ndarray, predictions: Sequence[float] | np.ndarray) -> tuple[F64, F64]:
    same_length("references and predictions", references, predictions)
    a, b = (np.asarray(column, dtype=np.float64) for column in (references, predictions))
    for what, column in (("reference", a), ("prediction", b)):
        if not np.isfinite(column).all():
            where = f"{what} {int(np.flatnonzero(~np.isfinite(column))[0]) + 1}"
            raise InputError("is not a finite number", where=where, remedy="give numbers")
    return a, b


def _correlation(n: F64, x: F64, y: F64, xx: F64, yy: F64, xy: F64) -> F64:
    """Of sums; NaN where one of both does not vary."""
    vary_x, vary_y = xx - x**2 / n, yy - y**2 / n
    both = (vary_x > ROUNDING * xx) & (vary_y > ROUNDING * yy)
    size = np.sqrt(np.where(both, vary_x * vary_y, 1.0))
    return np.where(both, np.clip((xy - x * y / n) / size, -1, 1), np.nan)


def _spearman(columns: tuple[np.ndarray, ...]) -> Callable[[F64], Values]:
    """Pearson's correlation of ranks; ties share theirs."""
    ranks = [_ranks(column) for column in columns]

    def of(times: F64) -> Values:
        n = times.sum(1)
        x, y = (rank(times) - (n[:, None] + 1) / 2 for rank in ranks)  # their mean is known: no sums that cancel
        xx, yy, xy = ((times * a * b).sum(1) for a, b in ((x, x), (y, y), (x, y)))
        return {"spearman": _correlation(n, np.zeros_like(n), np.zeros_like(n), xx, yy, xy)}

    return of


def _ranks(column: np.ndarray) -> Callable[[F64], F64]:
    """(r, n) how often each counts -> (r, n) its rank among them."""
    order = np.argsort(column, kind="stable")
    new = np.append(True, np.diff(column[order]) != 0)
    starts = np.flatnonzero(new)
    place = np.empty(len(column), dtype=np.int64)
    place[order] = np.cumsum(new) - 1

    def of(times: F64) -> F64:
        alike = np.add.reduceat(times[:, order], starts, axis=1)
        return np.asarray((np.cumsum(alike, axis=1) - alike / 2 + 0.5)[:, place])

    return of
