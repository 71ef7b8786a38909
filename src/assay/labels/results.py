"""From answers of runs to all numbers that are told: what results.json holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from assay.impact.laws.forecast import FAR
from assay.labels import answered, curve, slicing
from assay.labels.answered import Drawn, Judged, interval, lean
from assay.labels.curve import Curve
from assay.labels.plan import Cell, Materials, Plan
from assay.labels.request import LEVEL, Request
from assay.labels.running import Place
from assay.metrics.paired import Comparison, compare_seeds, corrected
from assay.metrics.scores import F64

_STEPS = 32  # points of a drawn law
_AHEAD = 4.0  # times the examples that there are: how far it is drawn


def law_of(found: Judged, cells: Sequence[Cell], items: float = 0.0) -> Curve:
    """The law of the errors of cells, the smallest first."""
    errors = np.stack([found.errors(cell.name) for cell in cells], axis=1)
    least = found.kind.high / len(found.examples) / 2
    return curve.fitted(np.array([cell.n for cell in cells], dtype=float), errors, items=items, least=least)


def foretold(held: Materials, made: Plan, place: Place, identifier: str) -> dict[str, Any]:
    """What the law of all sizes but the largest says of that one: the mean over seeds, on the same test examples."""
    cells = made.curve[:-1]
    found = answered.judged(held, cells, made.seeds, place)
    value, low, high = curve.predicted(law_of(found, cells), made.sizes[-1], LEVEL)
    best, least = found.kind.high, found.kind.low
    return {
        "id": identifier, "cell": made.clean.name, "score": held.task.best, "value": max(least, best - value),
        "interval": [max(least, best - high), best - low], "level": LEVEL, "from": [cell.name for cell in cells],
    }  # fmt: skip


def results(request: Request, held: Materials, made: Plan, place: Place) -> dict[str, Any]:
    """All numbers.

    Raises:
        InputError: the best score is not defined for all runs, or the target is none of its values.
    """
    found = answered.judged(held, made.cells, made.seeds, place)
    parts = slicing.slices(held)
    every, *_ = answered.drawn(found, made.cells, [])
    of_slices = answered.drawn(found, made.curve, [one.own for one in parts])[1:]
    high, best, last = found.kind.high, held.task.best, len(made.curve) - 1
    items = float(every.items[last] / max(high - every.value[last], high / len(found.examples)))
    law = law_of(found, made.curve, items)
    doubling, *against = _comparisons(found, made)
    whole = _compared(found, made.clean, made.curve[0])
    rises = whole.verdict == "better"  # a flat curve tells no examples from a score
    ranked = slicing.ranked(parts, of_slices, law.sizes, len(made.seeds), LEVEL, found.kind)
    return {
        "task": held.task.name, "score": best, "high": high, "part": held.part, "n": len(found.examples),
        "level": LEVEL, "seeds": made.seeds, "sizes": made.sizes, "equal": request.equal, "label": held.label,
        "skipped": made.skipped, "left_out": held.left_out,
        "curve": [_cell(cell, every, i, found, len(made.seeds)) for i, cell in enumerate(made.curve)],
        "law": _law(law, high, found.kind.low),
        "prediction": _outcome(place, float(every.value[last])),
        "doubling": _told(doubling), "whole": _told(whole),
        "target": _target(request, law, high, whole),
        "doses": [
            {**_cell(cell, every, last + 1 + i, found, len(made.seeds)), **_told(one),
             "equivalent": _equivalent(every, law, last, last + 1 + i, high, len(made.seeds)) if rises else None}
            for i, (cell, one) in enumerate(zip(made.doses, against, strict=True))
        ],
        "slices": [one.as_json() for one in ranked],
        "slices_add_up": slicing.adds_up(ranked, float(every.value[last])),
        "cost": _cost(made, place),
    }  # fmt: skip


def _cell(cell: Cell, every: Drawn, i: int, found: Judged, seeds: int) -> dict[str, Any]:
    value = float(every.value[i])
    return {
        "cell": cell.name, "kind": cell.kind, "dose": cell.dose, "n": cell.n, "steps": cell.steps,
        "changed": cell.changed, "value": value, "value_interval": interval(
            value, every.draws[:, i], seeds, LEVEL, (found.kind.low, found.kind.high)
        ),
        "values": (found.kind.high - found.errors(cell.name)).tolist(),
    }  # fmt: skip


def _law(law: Curve, high: float, least: float) -> dict[str, Any]:
    own, draws = law.made.centre.parameters, law.made.draws.parameters
    ends = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]
    x = np.geomspace(law.sizes[0], _AHEAD * law.sizes[-1], _STEPS)
    told = curve.band(law, x, LEVEL)
    band = [
        [n, high - value, max(least, high - top), high - low]
        for n, (value, low, top) in zip(x.tolist(), told, strict=True)
    ]
    far = float(FAR * law.sizes[-1])
    value, low, top = curve.predicted(law, far, LEVEL)
    return {
        "model": law.made.centre.form.formula.replace("D", "n"),
        "parameters": {name: float(value[0]) for name, value in own.items()},
        "intervals": {name: np.quantile(value, ends).tolist() for name, value in draws.items()},
        "best": high - float(own["E"][0]),
        "best_interval": [high - float(end) for end in reversed(np.quantile(draws["E"], ends))],
        "misfit": law.past.misfit(LEVEL), "past_forecasts": len(law.past.error),
        "far": [far, high - value, max(least, high - top), high - low],
        "band": band,
    }  # fmt: skip


def _outcome(place: Place, measured: float) -> dict[str, Any] | None:
    """The registered prediction and what came of it."""
    for one in place.registered():
        low, high = one["interval"]
        return {**one, "measured": measured, "verdict": "hit" if low <= measured <= high else "miss"}
    return None


def _comparisons(found: Judged, made: Plan) -> list[Comparison]:
    """All examples against half of them, then every dose against the clean cell; corrected together."""
    half = made.curve[-2]
    return corrected([
        _compared(found, made.clean, half), *(_compared(found, cell, made.clean) for cell in made.doses)
    ])  # fmt: skip


def _compared(found: Judged, one: Cell, other: Cell) -> Comparison:
    best = found.task.best
    a, b = ([lean(own, best) for own in found.measures[cell.name]] for cell in (one, other))
    return compare_seeds(a, b, paired=True, level=LEVEL, groups=found.groups)[best]


def _told(one: Comparison) -> dict[str, Any]:
    told = asdict(one)
    return {key: told[key] for key in ("difference", "interval", "p_value", "minimum_detectable", "verdict", "family")}


def _target(request: Request, law: Curve, high: float, whole: Comparison) -> dict[str, Any] | None:
    if request.target is None:
        return None
    target = request.target * high if high > 1 >= request.target else request.target
    found = curve.needed(law, high - target, LEVEL, falls=whole.verdict == "better")
    more = None if found.examples is None else found.examples - float(law.sizes[-1])
    return {"score": target, **found.as_json(), "more": more}


def _equivalent(every: Drawn, law: Curve, last: int, cell: int, high: float, seeds: int) -> dict[str, Any]:
    """Clean examples that a cell's score is worth, and the share of all that was lost (below zero: gained)."""
    n = float(law.sizes[-1])

    def worth(scores: F64) -> F64:
        errors = high - scores
        return curve.equivalent(errors[:, : last + 1], law.sizes, errors[:, cell], law)

    value = float(worth(every.value[None])[0])
    found = worth(every.draws)
    low, top = interval(value, found, seeds, LEVEL)
    low, top = max(0.0, low), min(FAR * n, top)
    beyond = "fewest" if value == 0 else "most" if value >= FAR * n else None
    return {
        "examples": value, "interval": [low, top], "beyond": beyond, "lost": 1 - value / n,
        "lost_interval": [1 - top / n, 1 - low / n],
    }  # fmt: skip


def _cost(made: Plan, place: Place) -> dict[str, Any]:
    done = [place.result(cell, seed) or {} for cell in made.cells for seed in made.seeds]
    return {
        "runs": len(done), "seconds": sum(one["seconds"] for one in done), "joules": sum(one["joules"] for one in done),
        "device": done[0]["device"], "parameters": done[0]["parameters"]["all"],
    }  # fmt: skip
