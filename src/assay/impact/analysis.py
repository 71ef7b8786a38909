"""From a finished fleet to what the page shows: drafts of claims, curves, doses, the mixture table.

Everything here reads losses and writes nothing. Effects are against the natural cell with the same seeds and tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assay.impact import decisions, design, doses
from assay.impact.claims import Claim
from assay.impact.design import Cell, dropped, filtered
from assay.impact.laws.size import WINDOWS, SizeLaw, tokens_for
from assay.impact.measure import MEAN, Difference, Measurements, seed_interval
from assay.impact.plan import Plan
from assay.impact.predictions import Registered, outcome, size_law
from assay.impact.results import (
    Curve,
    CurvePoint,
    DamagedRow,
    DecisionRow,
    DecisionView,
    DosePoint,
    DoseView,
    Effect,
    FilterRow,
    LawView,
    MixtureRow,
    MixtureView,
)
from assay.impact.statements import Draft, change, predicted_sentence, tokens_text
from assay.present.numbers import percent, significant
from assay.present.words import Both, both
from assay.recipe.study import DesignRecipe


@dataclass(frozen=True)
class Analysis:
    """All comparisons of a study.

    Args:
        plan: what was run.
        measured: eval losses of all runs (the runs that test predictions included).
        tested: test losses of the reference runs and of those that test predictions.
        registered: the predictions.
        design: level of the intervals, and what was planted.
    """

    plan: Plan
    measured: Measurements
    tested: Measurements
    registered: Sequence[Registered]
    design: DesignRecipe

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
        """Of each cell, one difference a target (the mean over sources first): against natural, what a filter keeps
        against as much kept at random."""
        names = {filtered(name): dropped(name) for name in self.filters}
        bases = {cell.name: names.get(cell.name, design.NATURAL) for cell in self.cells}
        return self.measured.differences(list(bases), bases, self.run_tokens)

    @cached_property
    def filters(self) -> list[str]:
        """Names of the filters that were compared."""
        there = {cell.name for cell in self.cells}
        return [name for name in self.design.filters if filtered(name) in there]

    # Claims

    def drafts(self) -> list[Draft]:
        """All claims of the study, before the correction for their number."""
        quality = [*self._quality(), *self._alone(), *self._filters()]
        return [*self._size(), *quality, *self._distribution(), *self._predictions()]

    @cached_property
    def _doublings(self) -> list[int]:
        """Pairs of branches (shorter, longer) with twice the tokens, in the upper half of the sizes."""
        pairs = []
        for longer in self.sizes[len(self.sizes) // 2 :]:
            shorter = min(self.sizes, key=lambda size: abs(size - longer / 2))
            pairs += [shorter, longer]
        return pairs

    def _size(self) -> list[Draft]:
        if design.LARGER not in self.plan.predictions:
            return []  # nobody asked
        half, longest = self._doublings[-2:]
        found = self.measured.along_trunk(design.NATURAL, self._doublings)
        words = change("doubling", a=tokens_text(half), b=tokens_text(longest))
        return [
            Draft(
                id="size:doubling" + (f"@{target}" if target else ""),
                kind="size",
                question="doubling",
                difference=difference,
                evidence=[f"{design.NATURAL}@{half}", f"{design.NATURAL}@{longest}"],
                headline=target == MEAN,
                change=words,
                target=target,
            )
            for target, difference in zip(self.measured.targets, found, strict=True)
        ]

    def _lost(self, cell: Cell) -> tuple[float, float, float] | None:
        level = self.design.level
        effect = self.effects[cell.name][0]
        return doses.tokens_lost(self.measured, design.NATURAL, self.sizes, self.run_tokens, effect, level)

    def _quality(self) -> list[Draft]:
        own = [cell for cell in self.cells if cell.is_dose and cell.fitted]
        highest = {cell.defect: max(c.dose for c in own if c.defect == cell.defect) for cell in own}
        return [
            Draft(
                id=f"quality:{cell.name}",
                kind="quality",
                question="defect",
                difference=self.effects[cell.name][0],
                evidence=[design.NATURAL, cell.name],
                headline=cell.dose == highest[cell.defect],
                change=change(str(cell.defect), dose=percent(cell.dose)),
                tokens_lost=self._lost(cell),
            )
            for cell in own
        ]

    def _alone(self) -> list[Draft]:
        """Defects in one source alone: what they do to every source's text."""
        own = [cell for cell in self.cells if cell.axis == "quality" and not cell.is_dose]
        return [
            Draft(
                id=f"quality:{cell.name}" + (f"@{target}" if target else ""),
                kind="quality",
                question="damaged_source",
                difference=difference,
                evidence=[design.NATURAL, cell.name],
                change=change(
                    "alone", defect=both(f"doses.name.{cell.defect}"), dose=percent(cell.dose), source=cell.source
                ),
                target=target,
                source=cell.source,
            )
            for cell in own
            for target, difference in zip(self.measured.targets, self.effects[cell.name], strict=True)
        ]

    def _filters(self) -> list[Draft]:
        return [
            Draft(
                id=f"filter:{name}" + (f"@{target}" if target else ""),
                kind="quality",
                question="filter",
                difference=difference,
                evidence=[dropped(name), filtered(name)],
                headline=target == MEAN,
                change=change("filter", filter=name),
                target=target,
            )
            for name in self.filters
            for target, difference in zip(self.measured.targets, self.effects[filtered(name)], strict=True)
        ]

    def _distribution(self) -> list[Draft]:
        own = [cell for cell in self.cells if cell.axis == "distribution" and cell.fitted]
        ranked = sorted(own, key=lambda cell: self.effects[cell.name][0].estimate)
        extremes = {cell.name for cell in (*ranked[:1], *ranked[-1:])}
        drafts = []
        for cell in own:
            for target, difference in zip(self.measured.targets, self.effects[cell.name], strict=True):
                drafts.append(
                    Draft(
                        id=f"distribution:{cell.name}" + (f"@{target}" if target else ""),
                        kind="distribution",
                        question="source" if cell.source else "mixture",
                        difference=difference,
                        evidence=[design.NATURAL, cell.name],
                        headline=target == MEAN and cell.name in extremes,
                        change=self._mixture_words(cell),
                        target=target,
                        source=cell.source,
                    )
                )
        return drafts

    def _mixture_words(self, cell: Cell) -> Both:
        if cell.source is None:
            if max(cell.weights.values()) - min(cell.weights.values()) < 1e-9:
                return change("uniform")
            shares = ", ".join(f"{source} {percent(share)}" for source, share in cell.weights.items())
            return change("evenly", shares=shares)
        a, b = self.plan.natural[cell.source], cell.weights[cell.source]
        return change("up", source=cell.source, a=percent(a), b=percent(b))

    def _predictions(self) -> list[Draft]:
        drafts = []
        for entry in self.registered:
            measured, difference = outcome(entry, self.tested)
            cell = next((cell for cell in self.cells if cell.name == entry.cell), None)
            where = (
                both("statement.test.all") if entry.target == MEAN else both("statement.test.one", source=entry.target)
            )
            key, values = self._about(entry, cell)
            prediction = entry.prediction()
            drafts.append(
                Draft(
                    id=entry.claim,
                    kind="prediction",
                    question=key,
                    difference=difference,
                    evidence=[f"{design.NATURAL}@{entry.reference_tokens}", f"{entry.cell}@{entry.tokens}"],
                    headline=entry.target == MEAN,
                    registered_at=entry.registered_at,
                    prediction=prediction,
                    measured=measured,
                    target=entry.target,
                    sentence=predicted_sentence(key, prediction, measured, where=where, **values),
                )
            )
        return drafts

    def _about(self, entry: Registered, cell: Cell | None) -> tuple[str, dict[str, Any]]:
        """The words for what a prediction is about, and the values that they want."""
        if cell is None:
            return "larger", {"tokens": tokens_text(entry.tokens)}
        if cell.defect:
            return "held_out_dose", {"change": change(cell.defect, dose=percent(cell.dose))}
        return "held_out_mixture", {"mixture": ", ".join(f"{s} {percent(share)}" for s, share in cell.weights.items())}

    # Decisions

    @cached_property
    def _half(self) -> int:
        return self.plan.half_steps * self.plan.step_tokens

    @cached_property
    def _twice(self) -> list[Cell]:
        """Cells that were measured at half of a run as well."""
        return [cell for cell in self.cells if cell.fitted and self.measured.has(cell.name, self._half)]

    def _growth(self, cells: list[str]) -> dict[str, Difference]:
        """Of each cell, how its effect on the mean grows with a doubling of the run."""
        rows = {}
        for name in cells:
            here, there = ((name, self.run_tokens), (design.NATURAL, self.run_tokens))
            full = self.measured.bpb(*here) - self.measured.bpb(*there)
            half = self.measured.bpb(name, self._half) - self.measured.bpb(design.NATURAL, self._half)
            doublings = np.log2(self.run_tokens / self._half)
            rows[name] = self.measured.between((full - half) / doublings, here, there, "eval")[0]
        return rows

    def decision_view(self, claims: Sequence[Claim]) -> DecisionView | None:
        """Recipes by their loss, how surely the first is the best, here and for all of the corpus; what to do."""
        own = [
            cell for cell in self._twice if cell.axis in ("distribution", "filter") and cell.name not in self._controls
        ]
        if not own:
            return None
        names = [cell.name for cell in own]
        whole = self.measured.differences(names, design.NATURAL, self.run_tokens)
        effects, growth = [whole[name][0] for name in names], self._growth(names)
        target = max(self.plan.corpus_tokens, 2.0 * self.run_tokens)
        doublings = float(np.log2(target / self.run_tokens))
        ranked = decisions.ranked([design.NATURAL, *names], effects, [growth[name] for name in names], doublings)
        shown = {cell.name: _label(cell) for cell in own} | {design.NATURAL: both("mixture.natural")}
        rows = [
            DecisionRow(
                cell=row.cell,
                label=shown[row.cell],
                effect=self._effect(whole[row.cell][0], None) if row.cell in whole else None,
                best=row.best,
                best_at_target=row.best_at_target,
                better_at_target=row.better_at_target if row.cell in whole else None,
            )
            for row in ranked
        ]
        every = [design.NATURAL, *(cell.name for cell in self._twice)]
        small, large = (
            np.stack([self.measured.bpb(name, tokens)[:, 0] for name in every], axis=1)
            for tokens in (self._half, self.run_tokens)
        )
        found = decisions.accuracy(small, large, self.design.level)
        return DecisionView(
            run_tokens=self.run_tokens,
            half_tokens=self._half,
            target_tokens=int(target),
            rows=sorted(rows, key=lambda row: -row.best),
            pairs=found.pairs,
            agreed=found.agreed,
            interval=found.interval,
            separated=found.separated,
            separated_agreed=found.separated_agreed,
            advice=self._advice(claims, rows),
        )

    @cached_property
    def _controls(self) -> set[str]:
        return {dropped(name) for name in self.filters}

    def _advice(self, claims: Sequence[Claim], rows: Sequence[DecisionRow]) -> list[Both]:
        """What to do with the corpus, each with what it is worth."""
        supported = {claim.id: claim for claim in claims if claim.verdict == "supported"}
        told: list[Both] = []
        better = [row for row in rows if row.effect is not None and self._holds(row.cell, supported) < 0]
        if better:
            best = min(better, key=lambda row: row.effect.estimate if row.effect else 0.0)
            assert best.effect
            worth = self._worth(best.effect.estimate)
            told.append(both("advice.use", recipe=best.label, worth=worth, sure=percent(best.best_at_target)))
        elif rows:
            told.append(both("advice.keep", n=len(rows) - 1))
        harmful = [
            cell.source
            for cell in self.cells
            if cell.axis == "distribution" and cell.source and self._holds(cell.name, supported) > 0
        ]
        if harmful:
            told.append(both("advice.not_more", n=len(harmful), sources=", ".join(harmful)))
        for name in self.filters:
            claim = supported.get(f"filter:{name}")
            if claim is not None:
                told.append(both("advice.filter" if claim.estimate < 0 else "advice.no_filter", filter=name))
        planted = [cell for cell in self.cells if cell.is_dose and f"quality:{cell.name}" in supported]
        lost = [(cell, self._lost(cell)) for cell in planted]
        harm = [(found[0], cell) for cell, found in lost if found is not None and found[0] > 0]
        if harm:
            share, cell = max(harm, key=lambda one: one[0] / one[1].dose)
            what = both(f"doses.name.{cell.defect}")
            told.append(both("advice.defect", defect=what, dose=percent(cell.dose), share=percent(share)))
        if self._doublings and design.LARGER in self.plan.predictions:
            half, longest = self._doublings[-2:]
            change = self.measured.along_trunk(design.NATURAL, self._doublings)[0].estimate
            told.append(
                both("advice.collect", change=significant(-change, 2), a=tokens_text(half), b=tokens_text(longest))
            )
        return told

    @staticmethod
    def _holds(cell: str, supported: Mapping[str, Claim]) -> float:
        """The supported effect of a mixture or filter on the mean; 0 where none is."""
        claim = supported.get(cell if cell.startswith("filter:") else f"distribution:{cell}")
        return claim.estimate if claim is not None else 0.0

    def _worth(self, effect: float) -> Both:
        """How many times the data would lower the loss of the corpus as it is by as much."""
        curve = np.array([self.measured.bpb(design.NATURAL, size)[:, 0].mean() for size in self.sizes])
        here = float(self.measured.bpb(design.NATURAL, self.run_tokens)[:, 0].mean())
        tokens = float(tokens_for(curve, np.array(self.sizes, dtype=float), np.array(here + effect)))
        if not np.isfinite(tokens):
            return both("advice.more_than", times=significant(self.sizes[-1] / self.run_tokens, 2))
        return both("advice.times", times=significant(tokens / self.run_tokens, 3))

    # Views

    def _effect(self, difference: Difference, supported: bool | None) -> Effect:
        return Effect(
            estimate=difference.estimate,
            interval=difference.interval(self.design.level),
            p_value=difference.p_value,
            supported=supported,
        )

    def _point(self, tokens: int, target: int, held_out: bool) -> CurvePoint:
        mean, interval = seed_interval(self.measured.bpb(design.NATURAL, tokens)[:, target], self.design.level)
        return CurvePoint(tokens=tokens, bpb=mean, interval=interval, held_out=held_out)

    @cached_property
    def _held_out_tokens(self) -> int | None:
        tokens = self.plan.held_out_steps * self.plan.step_tokens
        return tokens if self.measured.has(design.NATURAL, tokens) else None

    def curves(self) -> list[Curve]:
        """Held-out loss against training tokens, the mean over sources first."""
        sizes = sorted({*self.sizes, self.run_tokens})
        larger = [self._held_out_tokens] if self._held_out_tokens else []
        return [
            Curve(
                target=name,
                points=[self._point(size, i, False) for size in sizes]
                + [self._point(size, i, True) for size in larger],
            )
            for i, name in enumerate(self.measured.targets)
        ]

    def law_view(self) -> LawView:
        """The law, its band, and the registered prediction moved from test to eval text by the level difference of the
        reference run (which both the prediction and its outcome share)."""
        law, level = self.law, self.design.level
        farthest = self.plan.held_out_steps * self.plan.step_tokens * 1.25
        grid = np.geomspace(self.sizes[-max(WINDOWS)], farthest, 48)
        points = [self._point(size, 0, False) for size in self.sizes]
        prediction = None
        entry = next((e for e in self.registered if e.cell == design.LARGER and e.target == MEAN), None)
        if entry is not None:
            level_on_eval = self._point(entry.reference_tokens, 0, False).bpb
            prediction = tuple(level_on_eval + x for x in entry.change)
            measured, _ = outcome(entry, self.tested)
            shift = level_on_eval - entry.anchor
            own = self._point(entry.tokens, 0, True)
            half = (own.interval[1] - own.interval[0]) / 2
            value = measured + shift
            points.append(
                CurvePoint(tokens=entry.tokens, bpb=value, interval=(value - half, value + half), held_out=True)
            )
        return LawView(
            model="E + B D^-beta",
            parameters={
                "E": float(law.shown.floor[0]),
                "B": float(law.shown.scale[0] * law.shown.unit ** law.shown.exponent[0]),
                "beta": float(law.shown.exponent[0]),
            },
            band=[(float(t), *map(float, row)) for t, row in zip(grid, law.band(grid, level), strict=True)],
            points=points,
            fitted_from=self.sizes[-max(WINDOWS)],
            prediction=prediction,
            more_data=[
                (factor, *law.change(factor * self.sizes[-1], self.sizes[-1], level)) for factor in (2.0, 4.0, 8.0)
            ],
        )

    def dose_views(self, claims: Sequence[Claim]) -> list[DoseView]:
        supported = {claim.id for claim in claims if claim.verdict == "supported"}
        views = []
        for defect in dict.fromkeys(cell.defect for cell in self.cells if cell.is_dose):
            own = [cell for cell in self.cells if cell.is_dose and cell.defect == defect]
            note = both(
                f"planted.{defect}",
                copies=self.design.copies,
                edit_rate=percent(self.design.edit_rate),
                rate=percent(self.design.noise_rate),
            )
            points = [
                DosePoint(
                    dose=cell.dose,
                    effect=self._effect(self.effects[cell.name][0], f"quality:{cell.name}" in supported),
                    tokens_lost=self._lost(cell),
                    held_out=not cell.fitted,
                )
                for cell in own
            ]
            views.append(DoseView(defect=str(defect), points=points, note=note))
        return views

    def damaged_views(self, claims: Sequence[Claim]) -> list[DamagedRow]:
        """Of every defect in one source alone, which source's text suffers most."""
        supported = {claim.id for claim in claims if claim.verdict == "supported"}
        rows = []
        for cell in self.cells:
            if cell.axis != "quality" or cell.is_dose:
                continue
            by_target = dict(zip(self.measured.targets, self.effects[cell.name], strict=True))
            worst = max(self.measured.sources, key=lambda source: by_target[source].estimate)
            effects = {
                target: self._effect(effect, f"quality:{cell.name}" + (f"@{target}" if target else "") in supported)
                for target, effect in by_target.items()
            }
            rows.append(
                DamagedRow(
                    defect=str(cell.defect),
                    dose=cell.dose,
                    source=str(cell.source),
                    worst=worst,
                    found=worst == cell.source and bool(effects[worst].supported),
                    effects=effects,
                )
            )
        return rows

    def filter_views(self, claims: Sequence[Claim], kept: dict[str, dict[str, float]]) -> list[FilterRow]:
        """What each filter does, against as much text kept at random and against the corpus as it is.

        Args:
            kept: filter -> source -> share of its training text that it keeps.
        """
        supported = {claim.id for claim in claims if claim.verdict == "supported"}
        names = [filtered(name) for name in self.filters]
        whole = self.measured.differences(names, design.NATURAL, self.run_tokens) if names else {}
        return [
            FilterRow(
                name=name,
                kept=kept[name],
                share=sum(self.plan.natural[source] * kept[name][source] for source in self.plan.natural),
                effects={
                    target: self._effect(effect, f"filter:{name}" + (f"@{target}" if target else "") in supported)
                    for target, effect in zip(self.measured.targets, self.effects[filtered(name)], strict=True)
                },
                against_natural=self._effect(whole[filtered(name)][0], None),
            )
            for name in self.filters
        ]

    def mixture_view(self, claims: Sequence[Claim], epochs: dict[str, dict[str, float]]) -> MixtureView | None:
        """The heat map's numbers.

        Args:
            epochs: cell -> source -> how often its text was read, from the ledger.
        """
        own = [cell for cell in self.cells if cell.axis == "distribution"]
        if not own:
            return None
        supported = {claim.id for claim in claims if claim.verdict == "supported"}
        baseline = self.measured.bpb(design.NATURAL, self.run_tokens).mean(axis=0)
        rows = []
        for cell in own:
            effects = {}
            for target, difference in zip(self.measured.targets, self.effects[cell.name], strict=True):
                claim = f"distribution:{cell.name}" + (f"@{target}" if target else "")
                effects[target] = self._effect(difference, claim in supported if cell.fitted else None)
            rows.append(
                MixtureRow(
                    cell=cell.name,
                    label=_label(cell),
                    weights=cell.weights,
                    epochs=epochs.get(cell.name, {}),
                    effects=effects,
                    held_out=not cell.fitted,
                )
            )
        return MixtureView(
            sources=self.measured.sources,
            natural=self.plan.natural,
            baseline_bpb=dict(zip(self.measured.targets, map(float, baseline), strict=True)),
            rows=rows,
        )


def _label(cell: Cell) -> Both:
    if cell.axis == "filter":
        return both("mixture.filter", filter=cell.name.partition(":")[2])
    if not cell.fitted:
        return both("mixture.held_out")
    return both("mixture.up", source=cell.source) if cell.source else both("mixture.uniform")
