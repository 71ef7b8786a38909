"""The second pass: where more seeds help most to choose the best recipe.

    effects of the first pass, runs that were kept back -> more seeds for each recipe, and for the corpus as it is

A decision is for the recipe of the lowest loss. A recipe that gets `a` seeds besides its n will have another estimate,
which differs from today's by v / n - v / (n + a) in variance, where v is that of one run; the lowest estimate is then
chosen, and the farther down new seeds are expected to bring it, the better they are spent (the knowledge gradient;
Frazier, Powell and Dayanik 2009). They are given where they win most a run, several at once where one alone would
change no choice (Frazier and Powell 2010). Every run costs the same; a new seed of a recipe is compared with the corpus
as it is, whose run with that seed serves all recipes.

Intervals stay what they say, though which recipes get more seeds depends on what the first pass found: one that looked
good by luck is measured again and looks worse, one that looked bad by luck stays as it was. Where z is the error of the
first pass's estimate in standard errors, and a recipe gets as many seeds again if z is below some bound, a nominal 90 %
interval errs in

    P(z > 1.645, z above the bound) + P(|z of all seeds| > 1.645, z below the bound)

of all studies, where both z correlate by the root of 1/2: in 10 % where the bound is far out, and in 5 to 13 % wherever
it is; no test errs in more than one and a half times its level. Fewer new seeds change less, and more than as many
again are never given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from assay.impact import decisions, design
from assay.impact.measure import Difference, Measurements
from assay.impact.plan import Plan
from assay.store import Stage

SECOND = Stage("second", 1)


class SecondPass(BaseModel):
    """What was chosen.

    Attributes:
        runs: that were there to be spent.
        seeds: of every cell that gets any, the corpus as it is first.
        regret: bits per byte that the choice by the first pass was expected to lose against the best recipe.
        gain: of that, what the new seeds were expected to win.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: int
    seeds: dict[str, int]
    regret: float
    gain: float

    @property
    def spent(self) -> int:
        """Runs."""
        return sum(self.seeds.values())


def chosen(plan: Plan, measured: Measurements, runs: int) -> SecondPass:
    """What so many runs are spent on, by the losses of the first pass."""
    names = [cell.name for cell in plan.cell_list() if cell.is_recipe]
    found = measured.differences(names, design.NATURAL, plan.run_steps * plan.step_tokens)
    return choose({name: found[name][0] for name in names}, runs, min(len(plan.more_seeds), len(plan.seeds)))


def choose(effects: Mapping[str, Difference], runs: int, most: int, draws: int = decisions.DRAWS) -> SecondPass:
    """Spend runs on more seeds.

    Args:
        effects: of each recipe against the corpus as it is, in the first pass.
        runs: that can be paid for.
        most: new seeds of any recipe, at most.
        draws: that what they win is the mean over.
    """
    found = list(effects.values())
    expected = Expected(found, draws)
    more = np.zeros(len(found), dtype=int)
    gain = 0.0
    while options := [(expected.gain(one), one) for one in _steps(more, runs, most)]:
        now = _spent(more)
        won, best = max(options, key=lambda option: (option[0] - gain) / (_spent(option[1]) - now))
        if won <= gain:
            break
        gain, more = won, best
    given = {name: n for name, n in zip(effects, more.tolist(), strict=True) if n}
    seeds = {design.NATURAL: max(given.values()), **given} if given else {}
    return SecondPass(runs=runs, seeds=seeds, regret=decisions.regret(found), gain=gain)


def _spent(more: np.ndarray) -> int:
    """Runs of so many new seeds of each recipe: theirs, and those that they are compared with."""
    return int(more.sum() + more.max())


def _steps(more: np.ndarray, runs: int, most: int) -> Iterator[np.ndarray]:
    """All ways to give one recipe more seeds, any number of them."""
    for recipe in range(len(more)):
        for n in range(more[recipe] + 1, most + 1):
            step = more.copy()
            step[recipe] = n
            if _spent(step) <= runs:
                yield step


class Expected:
    """What new seeds are expected to win, all ways to give them on the same draws.

    Args:
        effects: of each recipe against the corpus as it is, over as many seeds.
    """

    def __init__(self, effects: list[Difference], draws: int = decisions.DRAWS, seed: int = 0) -> None:
        self.n = effects[0].n_seeds
        a_run = np.array([effect.se_seeds**2 for effect in effects]) * self.n / 2
        self.variances = np.concatenate([[a_run.mean()], a_run])
        self.estimates = np.array([0.0, *(effect.estimate for effect in effects)])
        df = np.array([effect.df for effect in effects])
        self.draws = np.random.default_rng(seed).standard_t(np.concatenate([[df.min()], df]), (draws, len(effects) + 1))

    def gain(self, more: np.ndarray) -> float:
        """Bits per byte by which the recipe that so many new seeds of each will speak for is expected to be better than
        the one that is chosen without them; at least 0."""
        n = self.n + np.concatenate([[more.max()], more])
        found = self.estimates + np.sqrt(self.variances * (1 / self.n - 1 / n)) * self.draws
        return float((found[:, self.estimates.argmin()] - found.min(axis=1)).mean())
