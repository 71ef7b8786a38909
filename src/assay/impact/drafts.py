"""What a study claims, before the correction for the number of its claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay.impact import design
from assay.impact.analysis import Analysis
from assay.impact.claims import Kind, claimed
from assay.impact.design import Cell, damaged, dropped, filtered, leaked
from assay.impact.measure import MEAN
from assay.impact.predictions import Registered, outcome
from assay.impact.statements import Draft, change, predicted_sentence, proxy_text, tokens_text
from assay.present.numbers import percent
from assay.present.words import Both, both


def drafts(of: Analysis) -> list[Draft]:
    """All claims of a study."""
    quality = [*_quality(of), *_together(of), *_alone(of), *_leaks(of), *_orders(of), *_filters(of)]
    return [*_size(of), *_scales(of), *quality, *_distribution(of), *_predictions(of)]


def _of_every_target(
    of: Analysis,
    cell: str,
    about: str,
    kind: Kind,
    *,
    question: str,
    change: Both,
    against: str = design.NATURAL,
    source: str | None = None,
    headline: bool = False,
) -> Iterator[Draft]:
    """A claim for the effect of a cell on each target; only that on the mean can be a headline."""
    for target, difference in of.by_target(cell).items():
        yield Draft(
            id=claimed(about, target), kind=kind, question=question, difference=difference, evidence=[against, cell],
            headline=headline and target == MEAN, change=change, target=target, source=source,
        )  # fmt: skip


def _size(of: Analysis) -> list[Draft]:
    if design.LARGER not in of.plan.predictions:
        return []  # nobody asked
    half, longest = of.doublings[-2:]
    found = of.measured.along_trunk(design.NATURAL, of.doublings)
    words = change("doubling", a=tokens_text(half), b=tokens_text(longest))
    return [
        Draft(
            id=claimed("size:doubling", target),
            kind="size",
            question="doubling",
            difference=difference,
            evidence=[f"{design.NATURAL}@{half}", f"{design.NATURAL}@{longest}"],
            headline=target == MEAN,
            change=words,
            target=target,
        )
        for target, difference in zip(of.measured.targets, found, strict=True)
    ]


def _scales(of: Analysis) -> Iterator[Draft]:
    """Other proxies on the same text, and whether the learning rates suit each."""
    for cell in of.cells:
        if cell.shape is None:
            continue
        is_scale = cell.rate == 1.0
        words = (
            change("scale", proxy=proxy_text(*cell.shape), base=proxy_text(*of.plan.shape.size)) if is_scale
            else change("rates", proxy=proxy_text(*cell.shape), factor=f"{cell.rate:g}")
        )  # fmt: skip
        yield Draft(
            id=cell.name, kind="size", question="scale" if is_scale else "rates",
            difference=of.scaled[cell.name][0], evidence=[design.NATURAL, cell.name], headline=is_scale, change=words,
        )  # fmt: skip


def _quality(of: Analysis) -> list[Draft]:
    own = [cell for cell in of.cells if cell.is_dose and cell.fitted]
    highest = {cell.defect: max(c.dose for c in own if c.defect == cell.defect) for cell in own}
    return [
        Draft(
            id=f"quality:{cell.name}",
            kind="quality",
            question="defect",
            difference=of.effects[cell.name][0],
            evidence=[design.NATURAL, cell.name],
            headline=cell.dose == highest[cell.defect],
            change=change(str(cell.defect), dose=percent(cell.dose)),
            tokens_lost=of.lost(cell),
        )
        for cell in own
    ]


def _together(of: Analysis) -> Iterator[Draft]:
    """Two defects: what both do, and whether that is the sum of what each does alone."""
    for cell in of.cells:
        if cell.also is None:
            continue
        names = {"a": both(f"doses.name.{cell.defect}"), "b": both(f"doses.name.{cell.also}")}
        alone = [damaged(str(cell.defect), cell.dose), damaged(cell.also, cell.dose)]
        yield Draft(
            id=f"quality:{cell.name}", kind="quality", question="defect", difference=of.effects[cell.name][0],
            evidence=[design.NATURAL, cell.name], change=change("together", dose=percent(cell.dose), **names),
            tokens_lost=of.lost(cell),
        )  # fmt: skip
        yield Draft(
            id=f"interaction:{cell.name}", kind="quality", question="together",
            difference=of.interactions[cell.name][0], evidence=[design.NATURAL, *alone, cell.name], headline=True,
            change=change("interaction", dose=percent(cell.dose), **names), words="statement.interaction",
        )  # fmt: skip


def _alone(of: Analysis) -> Iterator[Draft]:
    """Defects in one source alone: what they do to every source's text."""
    for cell in of.cells:
        if cell.axis == "quality" and cell.source is not None:
            defect = both(f"doses.name.{cell.defect}")
            words = change("alone", defect=defect, dose=percent(cell.dose), source=cell.source)
            yield from _of_every_target(
                of, cell.name, f"quality:{cell.name}", "quality", question="damaged_source", change=words,
                source=cell.source,
            )  # fmt: skip


def _leaks(of: Analysis) -> Iterator[Draft]:
    """What a held-out document gains by standing in the training text."""
    for copies, difference in of.gains.items():
        yield Draft(
            id=leaked(copies), kind="quality", question="leak", difference=difference,
            evidence=[design.NATURAL, leaked(copies)], headline=copies == max(of.gains),
            change=change("leaked", n=copies), about=both("statement.target.leaked"),
        )  # fmt: skip


def _orders(of: Analysis) -> Iterator[Draft]:
    for cell in of.cells:
        if cell.order is not None:
            yield from _of_every_target(
                of, cell.name, cell.name, "distribution", question="order", headline=True,
                change=change("order", order=cell.order),
            )  # fmt: skip


def _filters(of: Analysis) -> Iterator[Draft]:
    for name in of.filters:
        yield from _of_every_target(
            of, filtered(name), filtered(name), "quality", question="filter", headline=True,
            against=dropped(name), change=change("filter", filter=name),
        )  # fmt: skip


def _distribution(of: Analysis) -> Iterator[Draft]:
    own = [cell for cell in of.cells if cell.axis == "distribution" and cell.fitted]
    ranked = sorted(own, key=lambda cell: of.effects[cell.name][0].estimate)
    extremes = {cell.name for cell in (*ranked[:1], *ranked[-1:])}
    for cell in own:
        yield from _of_every_target(
            of, cell.name, f"distribution:{cell.name}", "distribution",
            question="source" if cell.source else "mixture", headline=cell.name in extremes,
            change=_mixture_words(of, cell), source=cell.source,
        )  # fmt: skip


def _mixture_words(of: Analysis, cell: Cell) -> Both:
    if cell.source is None:
        if max(cell.weights.values()) - min(cell.weights.values()) < 1e-9:
            return change("uniform")
        shares = ", ".join(f"{source} {percent(share)}" for source, share in cell.weights.items())
        return change("evenly", shares=shares)
    a, b = of.plan.natural[cell.source], cell.weights[cell.source]
    return change("up", source=cell.source, a=percent(a), b=percent(b))


def _predictions(of: Analysis) -> list[Draft]:
    drafts = []
    for entry in of.registered:
        measured, difference = outcome(entry, of.tested)
        cell = next((cell for cell in of.cells if cell.name == entry.cell), None)
        where = both("statement.test.all") if entry.target == MEAN else both("statement.test.one", source=entry.target)
        key, values = _about(entry, cell)
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


def _about(entry: Registered, cell: Cell | None) -> tuple[str, dict[str, Any]]:
    """The words for what a prediction is about, and the values that they want."""
    if cell is None:
        return "larger", {"tokens": tokens_text(entry.tokens)}
    if cell.defect:
        return "held_out_dose", {"change": change(cell.defect, dose=percent(cell.dose))}
    return "held_out_mixture", {"mixture": ", ".join(f"{s} {percent(share)}" for s, share in cell.weights.items())}
