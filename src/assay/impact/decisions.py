"""Which recipe to choose, how surely, and whether runs as small as these decide rightly.

A recipe is a way to use the corpus: as it is, another mixture, a filter. Every cell is measured at half of a comparison
run, too; so it is seen how effects change with size, and how often half-size runs would have put two cells into the
order of full ones (decision accuracy; DataDecide, Magnusson et al. 2025).

    effect at the target = effect + log2(target / run) * (effect - effect at half) / log2(run / half)

taken seed by seed, since both effects are of the same seeds: the farther the target, the less the ranking is sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from scipy import stats

from assay.impact.measure import Difference

DRAWS = 4000


@dataclass(frozen=True)
class Ranked:
    """A recipe and how likely it is the best one.

    Attributes:
        best: probability at the size of the runs.  best_at_target: at the target size.
        better_at_target: than the corpus as it is.
    """

    cell: str
    best: float
    best_at_target: float
    better_at_target: float | None  # None: it is that itself


def ranked(
    cells: Sequence[str], here: Sequence[Difference], target: Sequence[Difference], seed: int = 0
) -> list[Ranked]:
    """Recipes, the baseline first, with the probabilities that each is the best; see `drawn`.

    Args:
        cells: names, the baseline's first.
        here, target: of all others, one at least, against the baseline: at the size of the runs, and at the target.
    """
    rng = np.random.default_rng(seed)
    first, last = drawn(here, rng), drawn(target, rng)
    best, best_at_target = _best(first), _best(last)
    better = [None, *map(float, (last[:, 1:] < last[:, :1]).mean(axis=0))]
    return [Ranked(cell, float(best[i]), float(best_at_target[i]), better[i]) for i, cell in enumerate(cells)]


def regret(effects: Sequence[Difference], seed: int = 0) -> float:
    """Bits per byte that the recipe of the lowest estimate is expected to lose against the best one.

    Args:
        effects: of all recipes against the baseline, which is one of them.
    """
    values = drawn(effects, np.random.default_rng(seed))
    chosen = int(np.argmin([0.0, *(effect.estimate for effect in effects)]))
    return float((values[:, chosen] - values.min(axis=1)).mean())


def drawn(effects: Sequence[Difference], rng: np.random.Generator) -> np.ndarray:
    """(draws, 1 + effects) bits per byte: the baseline at 0, and the others against it.

    Half of a difference's variance is the baseline's, which is drawn once for all that share its seeds: the mean over
    the first few of these is that over all, and a draw of its own for those that it lacks.
    """
    half = np.array([effect.se for effect in effects]) / 2**0.5
    df = np.array([effect.df for effect in effects])
    own = rng.standard_t(df, (DRAWS, len(effects))) * half
    seeds = np.array([effect.n_seeds for effect in effects])
    a_run = float(np.mean([effect.se_seeds**2 * effect.n_seeds for effect in effects])) / 2
    documents = float(np.mean([effect.se_documents**2 for effect in effects])) / 2
    most, *fewer = np.unique(seeds)[::-1].tolist()
    shared = {most: rng.standard_t(float(df.min()), DRAWS) * (a_run / most + documents) ** 0.5}
    for more, less in pairwise([most, *fewer]):
        lacks = rng.standard_t(float(df.min()), DRAWS) * (a_run * (1 / less - 1 / more)) ** 0.5
        shared[less] = shared[more] + lacks
    others = np.array([effect.estimate for effect in effects]) + own
    others -= np.stack([shared[n] for n in seeds.tolist()], axis=1)
    return np.concatenate([np.zeros((DRAWS, 1)), others], axis=1)


def _best(values: np.ndarray) -> np.ndarray:
    return np.bincount(values.argmin(axis=1), minlength=values.shape[1]) / len(values)


@dataclass(frozen=True)
class Accuracy:
    """How often the smaller runs put two cells into the order of the larger ones.

    Attributes:
        pairs, agreed: all pairs, and those in the same order.
        interval: of the share, cells drawn anew.
        separated, separated_agreed: of pairs that the larger runs tell apart.
    """

    pairs: int
    agreed: int
    interval: tuple[float, float]
    separated: int
    separated_agreed: int


def accuracy(small: np.ndarray, large: np.ndarray, level: float, seed: int = 0) -> Accuracy:
    """Compare the order of cells at two sizes.

    Args:
        small, large: (seeds, cells) losses, paired by seed.
        level: of the interval, and of telling two cells apart by Student's t over seeds.
    """
    n, cells = large.shape
    agreed, apart = (np.zeros((cells, cells), dtype=bool) for _ in range(2))
    quantile = float(stats.t.ppf(0.5 + level / 2, n - 1))
    for a, b in combinations(range(cells), 2):
        change, before = large[:, a] - large[:, b], small[:, a].mean() - small[:, b].mean()
        agreed[a, b] = agreed[b, a] = before * change.mean() > 0
        apart[a, b] = abs(change.mean()) > quantile * change.std(ddof=1) / n**0.5
    upper = np.triu(np.ones((cells, cells), dtype=bool), 1)
    rng, shares = np.random.default_rng(seed), []
    for _ in range(1000):
        chosen = rng.integers(0, cells, size=(cells,))
        other = chosen[:, None] != chosen[None, :]
        if other.any():
            shares.append(float(agreed[np.ix_(chosen, chosen)][other].mean()))
    low, high = np.quantile(shares, [0.5 - level / 2, 0.5 + level / 2])
    return Accuracy(
        int(upper.sum()),
        int(agreed[upper].sum()),
        (float(low), float(high)),
        int(apart.sum()),
        int(agreed[apart].sum()),
    )
