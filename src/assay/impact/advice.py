"""What to do with a corpus: recipes by their chances (`decisions`), and advice in sentences with what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.impact import decisions, design
from assay.impact.analysis import Analysis
from assay.impact.claims import Claim, supported
from assay.impact.design import Cell, filtered
from assay.impact.laws.size import tokens_for
from assay.impact.results import DecisionRow, DecisionView, SecondPassView
from assay.impact.second import SecondPass
from assay.impact.statements import tokens_text
from assay.impact.views import label
from assay.present.numbers import percent, significant
from assay.present.words import Both, both
from assay.tokens.sampler import REPEATED

WORTHWHILE = 0.5  # of a fresh token: what a token read again is worth where it pays to read on


def decision_view(of: Analysis, claims: Sequence[Claim], second: SecondPass | None) -> DecisionView | None:
    """Recipes by their loss, how surely the first is the best, here and for all of the corpus; what to do; what the
    second pass was spent on."""
    half = of.plan.half_steps * of.plan.step_tokens
    twice = [c for c in of.cells if c.fitted and c.axis != "scale" and of.measured.has(c.name, half)]
    own = [cell for cell in twice if cell.is_recipe]
    if not own:
        return None
    target = max(of.plan.corpus_tokens, 2.0 * of.run_tokens)
    rows = _ranked(of, own, half, target)
    every = [design.NATURAL, *(cell.name for cell in twice)]
    small, large = (
        np.stack([of.measured.bpb(name, tokens)[:, 0] for name in every], axis=1) for tokens in (half, of.run_tokens)
    )
    found = decisions.accuracy(small, large, of.design.level)
    return DecisionView(
        run_tokens=of.run_tokens, half_tokens=half, target_tokens=int(target),
        rows=sorted(rows, key=lambda row: -row.best), pairs=found.pairs, agreed=found.agreed, interval=found.interval,
        separated=found.separated, separated_agreed=found.separated_agreed, advice=_advice(of, claims, rows),
        second=second and SecondPassView(
            runs=second.runs, spent=second.spent, seeds=second.seeds, regret=second.regret, gain=second.gain
        ),
    )  # fmt: skip


def _ranked(of: Analysis, own: Sequence[Cell], half: int, target: float) -> list[DecisionRow]:
    """The corpus as it is and other recipes, with their chances at the size of the runs and at the target."""
    names = [cell.name for cell in own]
    whole = of.every.differences(names, design.NATURAL, of.run_tokens)
    effects, doublings = [whole[name][0] for name in names], float(np.log2(target / of.run_tokens))
    far = [of.every.continued(name, design.NATURAL, half, of.run_tokens, doublings)[0] for name in names]
    called = {cell.name: label(cell) for cell in own} | {design.NATURAL: both("mixture.natural")}
    return [
        DecisionRow(
            cell=row.cell,
            label=called[row.cell],
            effect=of.shown(whole[row.cell][0], None) if row.cell in whole else None,
            seeds=len(of.every.common((row.cell, of.run_tokens))),
            best=row.best,
            best_at_target=row.best_at_target,
            better_at_target=row.better_at_target,
        )
        for row in decisions.ranked([design.NATURAL, *names], effects, far)
    ]


def _advice(of: Analysis, claims: Sequence[Claim], rows: Sequence[DecisionRow]) -> list[Both]:
    """What to do with the corpus, each with what it is worth; nothing that is not supported."""
    found = supported(claims)
    return [*_mixture_advice(of, found, rows), *_filter_advice(of, found, rows), *_text_advice(of, found)]


def _mixture_advice(of: Analysis, found: Mapping[str, Claim], rows: Sequence[DecisionRow]) -> list[Both]:
    mixtures = {cell.name: cell for cell in of.cells if cell.axis == "distribution" and cell.fitted}
    own = [(row, found.get(f"distribution:{row.cell}")) for row in rows if row.cell in mixtures]
    told: list[Both] = []
    better = [(claim.estimate, row) for row, claim in own if claim is not None and claim.estimate < 0]
    if better:
        effect, best = min(better, key=lambda one: one[0])
        worth, sure = _worth(of, effect), percent(best.best_at_target)
        told.append(both("advice.use", recipe=best.label, worth=worth, sure=sure))
    elif own:
        told.append(both("advice.keep", n=len(own)))
    worse = [mixtures[row.cell].source for row, claim in own if claim is not None and claim.estimate > 0]
    if harmful := [source for source in worse if source is not None]:
        told.append(both("advice.not_more", n=len(harmful), sources=", ".join(harmful)))
    return told


def _filter_advice(of: Analysis, found: Mapping[str, Claim], rows: Sequence[DecisionRow]) -> list[Both]:
    """A filter that chooses well may still leave too little: only one that beats the whole corpus, too, is for use."""
    whole = {row.cell: row.effect for row in rows}
    told: list[Both] = []
    for name in of.filters:
        claim, effect = found.get(filtered(name)), whole.get(filtered(name))
        if claim is None or effect is None:
            continue
        low, high = effect.interval
        key = (
            "no_filter"
            if claim.estimate > 0
            else "filter"
            if high < 0
            else "scarce_filter"
            if low > 0
            else "fair_filter"
        )
        told.append(both(f"advice.{key}", filter=name))
    return told


def _text_advice(of: Analysis, found: Mapping[str, Claim]) -> list[Both]:
    """Which defect to see to first, and what more text brings."""
    told: list[Both] = []
    doses = [cell for cell in of.cells if cell.is_dose and cell.fitted]
    planted = [cell for cell in doses if cell.defect != REPEATED and f"quality:{cell.name}" in found]
    harm = [(lost[0], cell) for cell in planted if (lost := of.lost(cell)) is not None and lost[0] > 0]
    if harm:
        share, cell = max(harm, key=lambda one: one[0] / one[1].dose)
        what = both(f"doses.name.{cell.defect}")
        told.append(both("advice.defect", defect=what, dose=percent(cell.dose), share=percent(share)))
    told += _repeat_advice(of, [cell for cell in doses if cell.defect == REPEATED])
    if (claim := found.get("size:doubling")) is not None and claim.estimate < 0:
        half, longest = of.doublings[-2:]
        sizes = {"a": tokens_text(half), "b": tokens_text(longest)}
        told.append(both("advice.collect", change=significant(-claim.estimate, 2), **sizes))
    return told


def _repeat_advice(of: Analysis, cells: Sequence[Cell]) -> list[Both]:
    """How many passes over a text still pay: the most at which a token read again is worth more than WORTHWHILE of a
    fresh one beyond noise, and the fewest at which it is worth less.

    Of the share `dose` of the tokens that were read before, `lost` did nothing: each was worth 1 - lost / dose."""
    pays: list[Both] = []
    fails: list[Both] = []
    for cell in sorted(cells, key=lambda cell: cell.dose):
        if (lost := of.lost(cell)) is None:
            continue
        worth, high, low = (1 - share / cell.dose for share in lost)
        values = {
            "times": significant(1 / (1 - cell.dose), 2),
            "worth": percent(worth),
            "interval": f"[{percent(low)}, {percent(high)}]",
        }
        if low > WORTHWHILE:
            pays.append(both("advice.repeat", **values))
        elif high < WORTHWHILE:
            fails.append(both("advice.no_repeat", **values))
    return [*pays[-1:], *fails[:1]]


def _worth(of: Analysis, effect: float) -> Both:
    """How many times the data would lower the loss of the corpus as it is by as much."""
    curve = np.array([of.measured.bpb(design.NATURAL, size)[:, 0].mean() for size in of.sizes])
    here = float(of.measured.bpb(design.NATURAL, of.run_tokens)[:, 0].mean())
    tokens = float(tokens_for(curve, np.array(of.sizes, dtype=float), np.array(here + effect)))
    if not np.isfinite(tokens):
        return both("advice.more_than", times=significant(of.sizes[-1] / of.run_tokens, 2))
    return both("advice.times", times=significant(tokens / of.run_tokens, 3))
