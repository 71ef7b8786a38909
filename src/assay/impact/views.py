"""What the page of a study shows of its comparisons: curves, the law, doses, filters, the mixture table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.impact import design
from assay.impact.analysis import Analysis
from assay.impact.claims import Claim, claimed, supported
from assay.impact.design import Cell, filtered, leaked
from assay.impact.laws.size import WINDOWS
from assay.impact.measure import MEAN, seed_interval
from assay.impact.predictions import outcome
from assay.impact.results import (
    Curve,
    CurvePoint,
    DamagedRow,
    DosePoint,
    DoseView,
    Effect,
    FilterRow,
    LawView,
    LeakRow,
    MixtureRow,
    MixtureView,
    OrderRow,
    ScaleRow,
    TogetherRow,
)
from assay.models.decoder import proxy
from assay.models.presets import heads_of
from assay.present.numbers import percent
from assay.present.words import Both, both


def _effects(of: Analysis, cell: str, about: str, claims: Sequence[Claim]) -> dict[str, Effect]:
    """The effect of a cell on each target, and whether the claim of it is supported."""
    found = supported(claims)
    return {
        target: of.shown(difference, claimed(about, target) in found)
        for target, difference in of.by_target(cell).items()
    }


def _point(of: Analysis, tokens: int, target: int, held_out: bool, cell: str = design.NATURAL) -> CurvePoint:
    """What a cell's runs of so many tokens lost on one target (an index into `of.measured.targets`)."""
    mean, interval = seed_interval(of.measured.bpb(cell, tokens)[:, target], of.design.level)
    return CurvePoint(tokens=tokens, bpb=mean, interval=interval, held_out=held_out)


def curves(of: Analysis) -> list[Curve]:
    """Held-out loss against training tokens, the mean over sources first."""
    sizes = sorted({*of.sizes, of.run_tokens})
    longest = of.plan.held_out_steps * of.plan.step_tokens
    larger = [longest] if of.measured.has(design.NATURAL, longest) else []
    return [
        Curve(
            target=name,
            points=[_point(of, size, i, False) for size in sizes] + [_point(of, size, i, True) for size in larger],
        )
        for i, name in enumerate(of.measured.targets)
    ]


def law_view(of: Analysis) -> LawView:
    """The law, its band, and the registered prediction moved from test to eval text by the level difference of the
    reference run (which both the prediction and its outcome share)."""
    law, level = of.law, of.design.level
    farthest = of.plan.held_out_steps * of.plan.step_tokens * 1.25
    grid = np.geomspace(of.sizes[-max(WINDOWS)], farthest, 48)
    points = [_point(of, size, 0, False) for size in of.sizes]
    prediction = None
    entry = next((e for e in of.registered if e.cell == design.LARGER and e.target == MEAN), None)
    if entry is not None:
        level_on_eval = _point(of, entry.reference_tokens, 0, False).bpb
        prediction = tuple(level_on_eval + x for x in entry.change)
        measured, _ = outcome(entry, of.tested)
        shift = level_on_eval - entry.anchor
        own = _point(of, entry.tokens, 0, True)
        half = (own.interval[1] - own.interval[0]) / 2
        value = measured + shift
        points.append(CurvePoint(tokens=entry.tokens, bpb=value, interval=(value - half, value + half), held_out=True))
    return LawView(
        model="E + B D^-beta",
        parameters={
            "E": float(law.shown.floor[0]),
            "B": float(law.shown.scale[0] * law.shown.unit ** law.shown.exponent[0]),
            "beta": float(law.shown.exponent[0]),
        },
        band=[(float(t), *map(float, row)) for t, row in zip(grid, law.band(grid, level), strict=True)],
        points=points,
        fitted_from=of.sizes[-max(WINDOWS)],
        prediction=prediction,
        more_data=[(factor, *law.change(factor * of.sizes[-1], of.sizes[-1], level)) for factor in (2.0, 4.0, 8.0)],
    )


def dose_views(of: Analysis, claims: Sequence[Claim]) -> list[DoseView]:
    found = supported(claims)
    views = []
    for defect in dict.fromkeys(cell.defect for cell in of.cells if cell.is_dose):
        own = [cell for cell in of.cells if cell.is_dose and cell.defect == defect]
        note = both(
            f"planted.{defect}",
            copies=of.design.copies,
            edit_rate=percent(of.design.edit_rate),
            rate=percent(of.design.noise_rate),
        )
        points = [
            DosePoint(
                dose=cell.dose,
                effect=of.shown(of.effects[cell.name][0], f"quality:{cell.name}" in found),
                tokens_lost=of.lost(cell),
                held_out=not cell.fitted,
            )
            for cell in own
        ]
        views.append(DoseView(defect=str(defect), points=points, note=note))
    return views


def damaged_views(of: Analysis, claims: Sequence[Claim]) -> list[DamagedRow]:
    """Of every defect in one source alone, which source's text suffers most."""
    rows = []
    for cell in of.cells:
        if cell.axis != "quality" or cell.is_dose or cell.source is None:
            continue
        effects = _effects(of, cell.name, f"quality:{cell.name}", claims)
        worst = max(of.measured.sources, key=lambda source: effects[source].estimate)
        found = worst == cell.source and bool(effects[worst].supported)
        rows.append(
            DamagedRow(
                defect=str(cell.defect), dose=cell.dose, source=cell.source, worst=worst, found=found, effects=effects
            )
        )
    return rows


def together_rows(of: Analysis, claims: Sequence[Claim]) -> list[TogetherRow]:
    found = supported(claims)
    return [
        TogetherRow(
            defects=(str(cell.defect), cell.also),
            dose=cell.dose,
            effect=of.shown(of.effects[cell.name][0], f"quality:{cell.name}" in found),
            interaction=of.shown(of.interactions[cell.name][0], f"interaction:{cell.name}" in found),
            tokens_lost=of.lost(cell),
        )
        for cell in of.cells
        if cell.also is not None
    ]


def scale_rows(of: Analysis, claims: Sequence[Claim]) -> list[ScaleRow]:
    """The study's own proxy and the others, the smallest first."""
    found, shape = supported(claims), of.plan.shape
    own = Cell(design.NATURAL, "scale", of.plan.natural, shape=shape.size)
    rows = []
    for cell in (own, *(cell for cell in of.cells if cell.shape is not None)):
        layers, width = cell.shape or shape.size
        at = _point(of, of.run_tokens, 0, False, cell.name)
        rows.append(
            ScaleRow(
                layers=layers, width=width, rate=cell.rate, bpb=at.bpb, interval=at.interval,
                parameters=proxy(shape.vocabulary, layers, width, heads_of(width)).n_parameters()[0],
                effect=of.shown(of.scaled[cell.name][0], cell.name in found) if cell.name in of.scaled else None,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row.parameters, row.layers, row.rate != 1, row.rate)) if len(rows) > 1 else []


def leak_rows(of: Analysis, claims: Sequence[Claim]) -> list[LeakRow]:
    found = supported(claims)
    return [
        LeakRow(copies=copies, effect=of.shown(difference, leaked(copies) in found))
        for copies, difference in of.gains.items()
    ]


def order_rows(of: Analysis, claims: Sequence[Claim]) -> list[OrderRow]:
    own = [cell for cell in of.cells if cell.order is not None]
    return [OrderRow(order=str(cell.order), effects=_effects(of, cell.name, cell.name, claims)) for cell in own]


def filter_views(of: Analysis, claims: Sequence[Claim], kept: dict[str, dict[str, float]]) -> list[FilterRow]:
    """What each filter does, against as much text kept at random and against the corpus as it is.

    Args:
        kept: filter -> source -> share of its training text that it keeps.
    """
    names = [filtered(name) for name in of.filters]
    whole = of.every.differences(names, design.NATURAL, of.run_tokens) if names else {}
    return [
        FilterRow(
            name=name,
            kept=kept[name],
            share=sum(of.plan.natural[source] * kept[name][source] for source in of.plan.natural),
            effects=_effects(of, filtered(name), filtered(name), claims),
            against_natural=of.shown(whole[filtered(name)][0], None),
        )
        for name in of.filters
    ]


def mixture_view(of: Analysis, claims: Sequence[Claim], epochs: dict[str, dict[str, float]]) -> MixtureView | None:
    """The heat map's numbers.

    Args:
        epochs: cell -> source -> how often its text was read, from the ledger.
    """
    own = [cell for cell in of.cells if cell.axis == "distribution"]
    if not own:
        return None
    baseline = of.measured.bpb(design.NATURAL, of.run_tokens).mean(axis=0)
    rows = []
    for cell in own:
        effects = _effects(of, cell.name, f"distribution:{cell.name}", claims)
        if not cell.fitted:  # a prediction is about it, no claim
            effects = {target: effect.model_copy(update={"supported": None}) for target, effect in effects.items()}
        rows.append(
            MixtureRow(
                cell=cell.name,
                label=label(cell),
                weights=cell.weights,
                epochs=epochs.get(cell.name, {}),
                effects=effects,
                held_out=not cell.fitted,
            )
        )
    return MixtureView(
        sources=of.measured.sources,
        natural=of.plan.natural,
        baseline_bpb=dict(zip(of.measured.targets, map(float, baseline), strict=True)),
        rows=rows,
    )


def label(cell: Cell) -> Both:
    """What a recipe is called: a mixture, a filter."""
    if cell.axis == "filter":
        return both("mixture.filter", filter=cell.name.partition(":")[2])
    if not cell.fitted:
        return both("mixture.held_out")
    return both("mixture.up", source=cell.source) if cell.source else both("mixture.uniform")
