"""How much of a promised gain is luck: the optimum is sought where the surface errs in its favour (the winner's curse).

Runs are drawn again with replacement (Breiman 1996). Each draw's surface has its own optimum, which is judged by a
surface fitted to the runs that were left out of the draw (about 37 %): they had no part in its choice, so what they
say of it is not hopeful. To each loss comes the error of a run that a fold predicted, drawn at random: the form's
misfit and the noise of a run. So the intervals are of what runs would measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.impact.surfaces import blend, optimum
from assay.impact.surfaces.choice import Choice
from assay.impact.surfaces.features import F64

DRAWS = 200
_AT_ONCE = 50  # draws: what all runs say of them fits the memory of a laptop


@dataclass(frozen=True)
class Judged:
    """What the left-out runs say of each draw's optimum, and of mixtures to compare it with.

    Attributes:
        optimum: (draws,) losses, weighted over targets.
        others: (draws, mixtures).
        errors: (draws, 1 + mixtures) of runs: of the optimum's and of the others'.
    """

    optimum: F64
    others: F64
    errors: F64

    def loss(self, level: float) -> tuple[float, float, float]:
        """At the optimum: median, low, high."""
        return _summary(self.optimum, self.errors[:, 0], level)

    def gain(self, other: int, level: float) -> tuple[float, float, float]:
        """By how much the optimum is below another mixture: median, low, high."""
        return _summary(self.others[:, other] - self.optimum, self.errors[:, 1 + other] - self.errors[:, 0], level)


def judged(
    choices: Sequence[Choice],
    shares: F64,
    losses: F64,
    weights: F64,
    natural: F64,
    kl: float,
    caps: F64,
    others: F64,
    draws: int = DRAWS,
    seed: int = 0,
) -> Judged:
    """Draw, choose, judge.

    Args:
        choices: of the targets that count, one each.
        shares: (runs, sources).
        losses: (runs, targets).
        weights: (targets,), summing to 1.
        natural, kl, caps: as `optimum.best` takes them.
        others: (mixtures, sources) to compare with.
    """
    rng = np.random.default_rng(seed)
    found = []
    for first in range(0, draws, _AT_ONCE):
        counts = _drawn(rng, len(shares), min(_AT_ONCE, draws - first))
        inside = blend.fit(choices, shares, losses, counts)
        outside = blend.fit(choices, shares, losses, (counts == 0).astype(float))
        lowest = shares[np.where(counts > 0, losses @ weights, np.inf).argmin(1)]
        starts = np.stack([natural + 0 * lowest, np.full_like(lowest, 1 / lowest.shape[1]), lowest], 1)
        optima = optimum.best(inside, weights[None], natural, kl, caps, starts)
        at = np.concatenate([optima[:, None], np.broadcast_to(others, (len(optima), *others.shape))], 1)
        found.append(outside.predict(at) @ weights)
    said = np.concatenate(found)
    errors = losses @ weights - np.stack([choice.out_of_fold for choice in choices], 1) @ weights
    return Judged(said[:, 0], said[:, 1:], rng.choice(errors, said.shape))


def _drawn(rng: np.random.Generator, runs: int, draws: int) -> F64:
    """(draws, runs) how often each run is drawn; draws that leave less than a quarter to judge by are drawn again."""
    counts = rng.multinomial(runs, np.full(runs, 1 / runs), size=draws)
    while (few := 4 * (counts == 0).sum(1) < runs).any():
        counts[few] = rng.multinomial(runs, np.full(runs, 1 / runs), size=few.sum())
    return counts.astype(float)


def _summary(values: F64, errors: F64, level: float) -> tuple[float, float, float]:
    low, high = np.quantile(values + errors, [(1 - level) / 2, (1 + level) / 2])
    return float(np.median(values)), float(low), float(high)
