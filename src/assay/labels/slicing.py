"""Which slice to label next: the score of every slice of the test examples at every size, from the answers that are
there.

    facets      label, length (quarters), script, source, and what the task itself tells apart (`Task.slices`)
    slope       of ln error by ln n, over the three largest sizes, draw by draw
    gain        of the overall score from twice the slice's labelled examples: the slice's share of the test items times
                what its error would fall by, err (1 - 2^slope), as if a slice learned from its own examples alone
    rank        by the gain, within a facet; how often, over draws of items and seeds, a slice is ahead of all others

A slice of few items is left out, and so is a facet with one slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assay.labels.answered import Drawn, interval
from assay.labels.plan import Materials, length
from assay.metrics.scores import F64, Kind
from assay.metrics.tagging import spans
from assay.tasks.coding import WIDE
from assay.tasks.protocol import Example, Task, spelled
from assay.tasks.reading.rows import Row

LEAST_ITEMS = 25
MOST_SLICES = 12  # of a facet, those with the most items
GROUPS = ("source", "domain", "genre", "dataset", "group")  # fields of rows that say where they are from
MOSTLY, HARDLY = 0.8, 0.2  # shares of wide characters, for a text to be of one script
SURE = 0.95
LAST = 3  # sizes that the slope is of: the smallest ones say little of what the next examples bring
STEEP, RISING = -1.5, 0.5  # exponents beyond them are noise


@dataclass(frozen=True)
class Slice:
    """A share of the test examples.

    Attributes:
        facet: what is told apart: label, length, script, ...
        name: of the slice within it.
        own: (n,) booleans.
        labelled: how many training examples are of it.
    """

    facet: str
    name: str
    own: np.ndarray
    labelled: int


def slices(held: Materials) -> list[Slice]:
    """All that are large enough, facet by facet."""
    training = next(iter(held.training.values()))
    edges = np.unique(np.quantile(length(held.judged), [0.25, 0.5, 0.75]))
    rows = held.rows_judged
    kinds: dict[str, list[list[str]]] = {}
    for examples, own in ((held.judged, rows), (training.examples, training.rows)):
        for facet, named in _facets(held.task, examples, own, edges).items():
            kinds.setdefault(facet, []).append(named)  # type: ignore[arg-type]
    found = []
    for facet, pair in kinds.items():
        if len(pair) < 2:
            continue
        tested, trained = ([_set(one) for one in own] for own in pair)
        counts = {name: sum(name in one for one in tested) for name in sorted(set().union(*tested))}
        good = [name for name, count in counts.items() if LEAST_ITEMS <= count < len(tested)]
        good = sorted(good, key=lambda name: -counts[name])[:MOST_SLICES]
        if len(good) < 2:
            continue
        for name in sorted(good, key=lambda name: (len(name), name) if facet == "length" else (0, name)):
            inside = np.array([name in one for one in tested])
            found.append(Slice(facet, name, inside, sum(name in one for one in trained)))
    return found


def _set(value: Any) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def _facets(
    task: Task, examples: Sequence[Example], rows: Sequence[Row], edges: np.ndarray
) -> dict[str, list[str | Iterable[str]]]:
    """Of every example its slices, facet by facet."""
    found: dict[str, list[Any]] = {}
    labels = [_labels(task, e) for e in examples]
    if any(labels):
        found["label"] = labels
    found["length"] = [str(1 + int(np.searchsorted(edges, n, side="left"))) for n in length(examples)]
    found["script"] = [_script(e) for e in examples]
    for name in GROUPS:
        values = [row.fields.get(name) for row in rows]
        if all(isinstance(v, str) and v for v in values) and not any(name in e.given for e in examples):
            found[name] = values
    for e in examples:
        for facet, value in task.slices(e).items():
            found.setdefault(facet, []).append(value)
    return {facet: values for facet, values in found.items() if len(values) == len(examples)}


def _labels(task: Task, example: Example) -> list[str]:
    """Labels of an example: its class, its labels, the types of its entities, its tags."""
    if not getattr(task, "labels", None):
        return []
    if isinstance(example.wanted, str):
        return [example.wanted]
    if getattr(task, "kind", None) == "spans":
        return sorted({kind for kind, _, _ in spans(example.wanted)})
    return sorted(set(example.wanted)) if getattr(task, "kind", None) != "words" else []


def _script(example: Example) -> str:
    text = "".join(spelled(example))
    letters = sum(c.isalpha() for c in text)
    wide = len(WIDE.findall(text)) / max(1, letters)
    return "wide" if wide >= MOSTLY else "narrow" if wide <= HARDLY else "mixed"


@dataclass(frozen=True)
class Ranked:
    """What is known of a slice.

    Attributes:
        share: of the test items.  items: how many.  labelled: training examples of it.
        scores: at every size, means over seeds; intervals of them.
        slope: d ln error / d ln n; its interval.
        gain: expected of the overall score from twice the slice's labelled examples; its interval.
        per_thousand: the same gain for a thousand examples more, at the rate of these.
        first: how often it has the largest gain of its facet.  ahead: how often it is ahead of the next one.
        clear: whether it is ahead of the next one beyond noise; of the last one None.
    """

    facet: str
    name: str
    items: int
    share: float
    labelled: int
    scores: list[float]
    intervals: list[tuple[float, float]]
    slope: float
    slope_interval: tuple[float, float]
    gain: float
    interval: tuple[float, float]
    per_thousand: float | None
    first: float
    ahead: float | None
    clear: bool | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ranked(
    found: Sequence[Slice], measured: Sequence[Drawn], sizes: F64, seeds: int, level: float, kind: Kind
) -> list[Ranked]:
    """Slices with what is expected of them, by facet, the largest gain first.

    Args:
        measured: of each slice the scores of all sizes.
        kind: of the score.
    """
    n, high = (len(found[0].own) if found else 0), kind.high
    ends = (kind.low, high)
    by_facet: dict[str, list[tuple[Slice, Drawn]]] = {}
    for one, own in zip(found, measured, strict=True):
        by_facet.setdefault(one.facet, []).append((one, own))
    made = []
    for pairs in by_facet.values():
        told = []
        for one, own in pairs:
            items, least = int(one.own.sum()), high / int(one.own.sum()) / 2
            slope, error = _slope(high - own.value[None], sizes, least)
            slopes, errors = _slope(high - own.draws, sizes, least)
            share = items / n
            gain, gains = (float(share * (error * (1 - 2.0**slope))[0]), share * errors * (1 - 2.0**slopes))
            told.append((one, own, float(slope[0]), slopes, gain, gains))
        told.sort(key=lambda one: -one[4])
        table = np.stack([one[5] for one in told], axis=1)
        largest = table == np.nanmax(table, axis=1, keepdims=True)
        first = (largest / np.maximum(largest.sum(axis=1, keepdims=True), 1)).mean(axis=0)  # those alike share it
        for i, (one, own, slope_, slopes, gain_, gains) in enumerate(told):
            apart = table[:, i] - table[:, i + 1] if i + 1 < len(told) else None
            ahead = None if apart is None else float((apart > 0).mean())
            made.append(
                Ranked(
                    one.facet, one.name, int(one.own.sum()), float(one.own.mean()), one.labelled, own.value.tolist(),
                    [interval(float(v), own.draws[:, k], seeds, level, ends) for k, v in enumerate(own.value)],
                    slope_, interval(slope_, slopes, seeds, level), gain_, interval(gain_, gains, seeds, level),
                    1000 * gain_ / one.labelled if one.labelled else None, float(first[i]), ahead,
                    None if ahead is None else ahead >= SURE,
                )
            )  # fmt: skip
    return made


def _slope(errors: F64, sizes: F64, least: float) -> tuple[F64, F64]:
    """(draws,) slopes of ln error by ln n at the last sizes, and the errors that the line has at the largest size."""
    x = np.log(sizes[-LAST:] / sizes[-1])
    y = np.log(np.maximum(np.nan_to_num(errors[:, -LAST:], nan=least), least))
    away = x - x.mean()
    slope = np.clip((y * away).sum(axis=1) / (away**2).sum(), STEEP, RISING)
    return slope, np.exp(y.mean(axis=1) - slope * x.mean())


def adds_up(made: Sequence[Ranked], whole: float) -> bool:
    """Whether the score of all is the mean over items of every facet's slices: of accuracy, not of F1 or BLEU."""
    by_facet: dict[str, list[Ranked]] = {}
    for one in made:
        by_facet.setdefault(one.facet, []).append(one)
    full = [own for own in by_facet.values() if sum(one.share for one in own) > 1 - 1e-9]
    return all(abs(sum(one.share * one.scores[-1] for one in own) - whole) < 1e-6 for own in full)
