"""Answers of runs -> the task's best score, of all and of slices, on the same draws.

    a draw is of test items (the same for every run) and of seeds (the same for every cell)

What two cells, or two slices, are apart is then judged draw by draw, and so is whatever follows from them (equivalent
examples, ranks). The mean over k seeds drawn from k varies too little by (k - 1) / k; deviations of seeds are scaled by
what makes it right, as in `metrics.paired`, and ends of intervals by Student's t over the normal quantile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from assay.errors import InputError
from assay.finetune import answers
from assay.labels.plan import Cell, Materials
from assay.labels.running import Place
from assay.metrics.scores import F64, SHARE, Kind, Measure, Together, draws, value_of
from assay.tasks.protocol import Answer, Example, Task

REPLICATES = 1000


@dataclass(frozen=True)
class Judged:
    """Measures of all runs.

    Attributes:
        task: of the runs on all examples.
        examples: that are judged, in their order; groups of what is drawn together.
        measures: of a cell's name, one a seed: all of the task's scores.
        said: of a cell's name, one a seed: the answers.
    """

    task: Task
    examples: list[Example]
    groups: list[str] | None
    measures: dict[str, list[Measure]]
    said: dict[str, list[list[Answer]]]

    @property
    def kind(self) -> Kind:
        first = next(iter(self.measures.values()))[0]
        return first.kinds.get(self.task.best, SHARE)

    def errors(self, cell: str) -> F64:
        """(seeds,)."""
        return self.kind.high - np.array([_value(one, self.task.best) for one in self.measures[cell]])


def judged(held: Materials, cells: Sequence[Cell], seeds: Sequence[int], place: Place) -> Judged:
    """What runs that are done answered.

    Raises:
        InputError: the task's best score is not defined, or has no highest value.
    """
    measures: dict[str, list[Measure]] = {}
    said: dict[str, list[list[Answer]]] = {}
    task, examples = held.task, held.judged
    for cell in cells:
        for seed in seeds:
            _, own, found = answers.read(place.run(cell, seed) / f"answers.{held.part}.jsonl")
            if [e.given for e in own] != [e.given for e in examples]:
                raise InputError(
                    "has answered other examples", where=place.run(cell, seed), remedy="give another --out"
                )
            said.setdefault(cell.name, []).append(found)
            measures.setdefault(cell.name, []).append(task.measure(examples, found))
    return Judged(task, examples, answers.groups_of(examples), measures, said)


def _value(measure: Measure, name: str) -> float:
    value = value_of(measure)[name]
    if value is None:
        raise InputError(f"{name} is not defined for all runs", where="assay labels", remedy="give more test examples")
    return value


def lean(measure: Measure, name: str) -> Measure:
    """The part of a measure that has this score: a thousand draws of areas under curves would take minutes."""
    if isinstance(measure, Together):
        return next((part for part in measure.parts if name in value_of(part)), measure)
    return measure


@dataclass(frozen=True)
class Drawn:
    """Scores of one thing (all items, or a slice) in every draw.

    Attributes:
        value: (cells,) means over seeds.
        draws: (replicates, cells); NaN where a draw has none of the items.
        items: (cells,) standard deviations by items alone.
    """

    value: F64
    draws: F64
    items: F64


def drawn(
    held: Judged, cells: Sequence[Cell], slices: Sequence[np.ndarray], *, replicates: int = REPLICATES, seed: int = 0
) -> list[Drawn]:
    """The best score of cells, of all items first and then of every slice.

    Args:
        slices: (n,) booleans each: which items it has.
    """
    every = [np.ones(len(held.examples), dtype=bool), *slices]
    best = held.task.best
    measured = [
        [[_sliced(held, cell.name, s, own) for s in range(len(held.said[cell.name]))] for cell in cells]
        for own in every
    ]
    tables: list[list[F64]] = [[] for _ in every]
    with threadpool_limits(1, user_api="blas"):
        for times in draws(len(held.examples), replicates, seed, held.groups):
            for table, own, rows in zip(tables, every, measured, strict=True):
                some = times[:, own]
                table.append(np.stack([[one.values(some)[best] for one in row] for row in rows], axis=-1))
    seeds = len(measured[0][0])
    chosen = np.random.default_rng([seed, 1]).integers(seeds, size=(replicates, seeds))
    found = []
    for table, rows in zip(tables, measured, strict=True):
        joined = np.concatenate(table, axis=1)  # (seeds, replicates, cells)
        middle = joined.mean(axis=0)
        apart = joined - middle
        moved = np.stack([apart[chosen[:, k], np.arange(replicates)] for k in range(seeds)]).mean(axis=0)
        value = np.array([np.mean([_or_nan(one, best) for one in row]) for row in rows])
        spread = moved * (seeds / max(1, seeds - 1)) ** 0.5
        found.append(Drawn(value, middle + spread, np.nanstd(middle, axis=0)))
    return found


def _sliced(held: Judged, cell: str, seed: int, own: np.ndarray) -> Measure:
    chosen = np.flatnonzero(own)
    said = held.said[cell][seed]
    return lean(held.task.measure([held.examples[i] for i in chosen], [said[i] for i in chosen]), held.task.best)


def _or_nan(measure: Measure, name: str) -> float:
    value = value_of(measure)[name]
    return np.nan if value is None else value


def wider(seeds: int, level: float) -> float:
    """What the ends of an interval of percentiles are moved away by, for so few seeds."""
    # Items are many: half of the variance is thought to be theirs (Welch and Satterthwaite).
    freedom = 4 * (seeds - 1)
    return float(stats.t.ppf(0.5 + level / 2, freedom) / stats.norm.ppf(0.5 + level / 2))


def interval(
    value: float, found: F64, seeds: int, level: float, ends: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float]:
    """Of a value, by its draws.

    Args:
        ends: the least and the greatest that it can be.
    """
    drawn_ends = np.nanquantile(found, [0.5 - level / 2, 0.5 + level / 2])
    low, high = (value + wider(seeds, level) * (float(end) - value) for end in drawn_ends)
    return max(low, ends[0]), min(high, ends[1])
