"""All comparisons of a finished study: what `drafts` claims, `views` show and `advice` is made of.

Everything here reads losses and writes nothing. Effects are against the natural cell with the same seeds and tokens;
what a filter keeps is compared with as much kept at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from assay.impact import design, doses
from assay.impact.design import Cell, dropped, filtered
from assay.impact.laws.size import SizeLaw
from assay.impact.leaks import Planted, gain
from assay.impact.measure import Difference, Measurements
from assay.impact.plan import Plan
from assay.impact.predictions import Registered, size_law
from assay.impact.results import Effect
from assay.recipe.study import DesignRecipe


@dataclass(frozen=True)
class Analysis:
    """All comparisons of a study.

    Args:
        plan: what was run.
        every: eval losses of all runs (the runs that test predictions included), of both passes.
        tested: test losses of the reference runs and of those that test predictions.
        registered: the predictions.
        design: level of the intervals, and what was planted.
        planted: the held-out documents that were planted in training text, where any were.
    """

    plan: Plan
    every: Measurements
    tested: Measurements
    registered: Sequence[Registered]
    design: DesignRecipe
    planted: Planted | None = None

    @cached_property
    def measured(self) -> Measurements:
        """The first pass: what every cell was run with. Laws, curves and predictions are about these runs alone."""
        return self.every.of(self.plan.seeds)

    @cached_property
    def run_tokens(self) -> int:
        return self.plan.run_steps * self.plan.step_tokens

    @cached_property
    def sizes(self) -> list[int]:
        return [steps * self.plan.step_tokens for steps in self.plan.branch_steps]

    @cached_property
    def cells(self) -> list[Cell]:
        return self.plan.cell_list()

    @cached_property
    def law(self) -> SizeLaw:
        return size_law(self.plan, self.measured)

    @cached_property
    def effects(self) -> dict[str, list[Difference]]:
        """Of each cell, but of those that leak see `gains` and of other proxies `scaled`, one difference a target (the
        mean over sources first): against natural, what a filter keeps against as much kept at random."""
        names = {filtered(name): dropped(name) for name in self.filters}
        own = [cell.name for cell in self.cells if cell.axis not in ("leak", "scale")]
        bases = {name: names.get(name, design.NATURAL) for name in own}
        return self.every.differences(list(bases), bases, self.run_tokens)

    @cached_property
    def interactions(self) -> dict[str, list[Difference]]:
        """Of each cell of two defects: how far what both do is from the sum of what each does alone."""
        pairs = {c.name: (str(c.defect), str(c.also), c.dose) for c in self.cells if c.also is not None}
        if not pairs:
            return {}
        of = {name: (design.damaged(a, dose), design.damaged(b, dose)) for name, (a, b, dose) in pairs.items()}
        single = [cell.name for cell in self.cells if cell.is_dose and cell.fitted]
        return self.measured.interactions(of, design.NATURAL, single, self.run_tokens)

    @cached_property
    def scaled(self) -> dict[str, list[Difference]]:
        """Of other proxies against the study's own, and of other learning rates against the same proxy with its own."""
        bases = {}
        for cell in self.cells:
            if cell.shape is not None:
                own = cell.rate == 1.0 or cell.shape == self.plan.shape.size
                bases[cell.name] = design.NATURAL if own else design.scaled(*cell.shape)
        return self.measured.differences(list(bases), bases, self.run_tokens) if bases else {}

    @cached_property
    def gains(self) -> dict[int, Difference]:
        """By the number of copies: what the loss on planted documents gained."""
        if self.planted is None:
            return {}
        own = {round(cell.dose): cell.name for cell in self.cells if cell.axis == "leak"}
        return {
            copies: gain(self.measured, self.planted, name, design.NATURAL, self.run_tokens)
            for copies, name in own.items()
        }

    @cached_property
    def filters(self) -> list[str]:
        """Names of the filters that were compared."""
        there = {cell.name for cell in self.cells}
        return [name for name in dict.fromkeys(self.design.filters) if filtered(name) in there]

    @cached_property
    def doublings(self) -> list[int]:
        """Pairs of branches (shorter, longer) with twice the tokens, in the upper half of the sizes."""
        pairs = []
        for longer in self.sizes[len(self.sizes) // 2 :]:
            shorter = min(self.sizes, key=lambda size: abs(size - longer / 2))
            pairs += [shorter, longer]
        return pairs

    def by_target(self, cell: str) -> dict[str, Difference]:
        """The effect of a cell on each target, the mean over sources first."""
        return dict(zip(self.measured.targets, self.effects[cell], strict=True))

    def lost(self, cell: Cell) -> tuple[float, float, float] | None:
        """Share of the tokens that a defect made useless; see `doses.tokens_lost`."""
        effect = self.effects[cell.name][0]
        return doses.tokens_lost(self.measured, design.NATURAL, self.sizes, self.run_tokens, effect, self.design.level)

    def shown(self, difference: Difference, supported: bool | None) -> Effect:
        """A difference as results hold it."""
        return Effect(
            estimate=difference.estimate,
            interval=difference.interval(self.design.level),
            p_value=difference.p_value,
            supported=supported,
        )
