"""Scores of parts of the examples, and which parts are worse than the rest by more than noise.

    length   quarters, by words and characters of Chinese
    script   of the letters: Latin, Chinese (simplified, traditional), both, others. Not the language: what tells it is
             often wrong about texts of one sentence
    label    that is wanted; types of spans in a sentence; quarters of numbers
    source   the file that a row is of; group: what was drawn together, where that is large
             and whatever a task names itself (`Task.slices`)

The value of a slice less that of the rest has an interval by the same draws of all examples (`metrics.scores`; groups
are drawn as wholes). Its p value is the larger of two: by the spread of those draws, and by that of slices of its size
drawn by chance, which also knows noise where a slice has none (all wrong). Holm corrects for the number of slices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from assay.corpus.signals.tongues import forms
from assay.corpus.text import characters as ch
from assay.metrics.paired import POWER
from assay.metrics.scores import (
    LEVEL,
    REPLICATES,
    SHARE,
    Groups,
    Measure,
    Together,
    draws,
    percentiles,
    still,
    unseen,
    value_of,
)
from assay.metrics.significance import holm
from assay.metrics.tagging import spans
from assay.tasks.checks.finding import units, whole
from assay.tasks.extraction import Extraction
from assay.tasks.protocol import Answer, Example, Task
from assay.tasks.regression import Regression
from assay.tasks.tagging import Tagging

LEAST = 20
"""Examples of a slice, and of the rest: fewer say nothing."""
MOST = 40  # slices of a dimension, the largest ones
_PERMUTED = 400  # slices by chance
_BOTH = 0.2  # share of letters of each of two scripts, of texts that have both
_SIMPLIFIED, _TRADITIONAL = 1, 2  # bits of `tongues.forms`
_PLACE = re.compile(r":\d+$|: (value|row|article|text) .*$|, .*$")


@dataclass(frozen=True)
class Slice:
    """One part of the examples against the rest.

    Attributes:
        dimension, name: what it is.
        value, interval: of its score. rest: of all others'.
        difference: value - rest, with its interval.
        p_value: corrected for `family` slices.
        minimum_detectable: the difference that would be seen with power 0.8 by one comparison.
        verdict: "worse" or "better" than the rest, or "indistinguishable".
    """

    dimension: str
    name: str
    n: int
    value: float | None
    interval: tuple[float, float] | None
    rest: float | None
    difference: float | None
    difference_interval: tuple[float, float] | None
    p_value: float | None
    minimum_detectable: float | None
    verdict: str = "indistinguishable"
    family: int = 1


def score_of(task: Task) -> str:
    """The score that slices are judged by: the task's own; of numbers their error, since a correlation shrinks where
    numbers vary less."""
    return "mae" if isinstance(task, Regression) else task.best


def members(task: Task, examples: Sequence[Example]) -> dict[str, list[list[str]]]:
    """Of each dimension the slices that each example is in."""
    found = {
        "length": [[name] for name in _quarters([len(units(whole(e))) for e in examples])],
        "script": [[name] for name in scripts([whole(e) for e in examples])],
        "label": _labels(task, examples),
        "source": [[_PLACE.sub("", e.where)] for e in examples],
        "group": [[e.group] if e.group else [] for e in examples],
    }
    for i, e in enumerate(examples):
        for dimension, name in task.slices(e).items():
            found.setdefault(dimension, [[] for _ in examples])[i] = [name]
    return found


def _quarters(numbers: Sequence[float]) -> list[str]:
    """The quarter that each number is in, by its bounds."""
    values = np.asarray(numbers, dtype=np.float64)
    edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="lower"))
    place = np.searchsorted(edges, values, side="left")
    names = {}
    for one in np.unique(place).tolist():
        low, high = values[place == one].min(), values[place == one].max()
        names[one] = f"{low:g}" if low == high else f"{low:g}–{high:g}"
    return [names[one] for one in place.tolist()]


def scripts(texts: Sequence[str]) -> list[str]:
    """Of each text the script of its letters: ISO 15924 codes, Hans and Hant where characters tell, or "mixed"."""
    points, offsets = ch.points_of(pa.array(list(texts), pa.large_string()))
    kinds = ch.scripts()[points].astype(np.int64)
    n, many = len(texts), len(ch.SCRIPTS)
    counts = np.bincount(ch.owner(offsets) * many + kinds, minlength=n * many).reshape(n, many)
    counts[:, 0] = 0
    kana = counts[:, [ch.SCRIPTS.index(name) for name in ("Hira", "Kana")]].sum(axis=1)
    simple, old = (ch.sums((forms()[points] & bit) > 0, offsets) for bit in (_SIMPLIFIED, _TRADITIONAL))
    han = ch.SCRIPTS.index("Hani")
    found = []
    for own, japanese, a, b in zip(counts, kana, simple, old, strict=True):
        first, second = np.argsort(-own, kind="stable")[:2].tolist()
        if japanese:
            found.append("Jpan")
        elif own[second] >= _BOTH * own.sum() > 0:
            found.append("mixed")
        elif first == han:
            found.append("Hans" if a > b else "Hant" if b > a else "Hani")
        else:
            found.append(ch.SCRIPTS[first])
    return found


def _labels(task: Task, examples: Sequence[Example]) -> list[list[str]]:
    if isinstance(task, Regression):
        return [[name] for name in _quarters([e.wanted for e in examples])]
    if isinstance(task, Tagging):
        if task.kind != "spans":
            return [[] for _ in examples]
        return [sorted({kind for kind, _, _ in spans(e.wanted)}) or ["O"] for e in examples]
    if isinstance(task, Extraction):
        return [["with" if e.wanted["text"] else "without"] for e in examples]
    if not hasattr(task, "labels"):
        return [[] for _ in examples]
    return [list(map(str, e.wanted)) if isinstance(e.wanted, list) else [str(e.wanted)] for e in examples]


def sliced(
    task: Task, examples: Sequence[Example], answers: Sequence[Answer], *, level: float = LEVEL,
    groups: Groups | None = None, seed: int = 0, replicates: int = REPLICATES,
) -> list[Slice]:  # fmt: skip
    """All slices that are large enough, those that are worse first."""
    name = score_of(task)
    measure = _with(task.measure(examples, list(answers)), name)
    masks = {}
    for dimension, of_each in members(task, examples).items():
        counts = Counter(one for own in of_each for one in set(own))
        large = [one for one, n in counts.most_common(MOST) if n >= LEAST and len(examples) - n >= LEAST]
        for one in large:
            masks[dimension, one] = np.array([one in own for own in of_each])
    found = [
        _slice(measure, name, key, mask, level, groups, seed, replicates) for key, mask in masks.items()
    ]  # fmt: skip
    return sorted(_judged(found, measure, name, level), key=_order)


def _order(one: Slice) -> tuple[bool, float]:
    return one.verdict != "worse", 1.0 if one.p_value is None else one.p_value


def _with(measure: Measure, name: str) -> Measure:
    """The part of a measure that has a value: others take time."""
    if not isinstance(measure, Together):
        return measure
    return next(part for part in measure.parts if name in value_of(part))


def _slice(
    measure: Measure, name: str, key: tuple[str, str], mask: npt.NDArray[np.bool_], level: float,
    groups: Groups | None, seed: int, replicates: int,
) -> Slice:  # fmt: skip
    inside = mask.astype(np.float64)
    value, rest = (_values(measure, name, part[None])[0] for part in (inside, 1 - inside))
    blank = Slice(key[0], key[1], int(mask.sum()), _known(value), None, _known(rest), None, None, None, None)
    if np.isnan(value) or np.isnan(rest):
        return blank
    both = [
        (_values(measure, name, times * inside), _values(measure, name, times * (1 - inside)))
        for times in draws(measure.n, replicates, seed, groups)
    ]
    own, apart = (np.concatenate(parts) for parts in ([a for a, _ in both], [a - b for a, b in both]))
    chance = _by_chance(measure, name, inside, seed)
    difference = float(value - rest)
    spread, noise = _deviation(apart), _deviation(chance)
    if not max(spread, noise) > 0:
        return replace(blank, difference=difference)
    centre = float(np.nanmean(chance))
    p_values = [2 * float(stats.norm.sf(abs(far) / size)) if size > 0 else 0.0
                for far, size in ((difference, spread), (difference - centre, noise))]  # fmt: skip
    seen = float(stats.norm.ppf(0.5 + level / 2) + stats.norm.ppf(POWER)) * max(spread, noise)
    return replace(
        blank,
        interval=_interval(float(value), own, level, int(mask.sum())),
        difference=difference,
        difference_interval=percentiles(apart, level),
        p_value=max(p_values),
        minimum_detectable=seen,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _values(measure: Measure, name: str, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return measure.values(times)[name]


def _deviation(drawn: npt.NDArray[np.float64]) -> float:
    known = drawn[~np.isnan(drawn)]
    return float(known.std(ddof=1)) if len(known) > 1 else 0.0


def _interval(value: float, drawn: npt.NDArray[np.float64], level: float, n: int) -> tuple[float, float] | None:
    """Percentiles; where no draw differs (all right, all wrong), what as many examples leave open, as in `scores`."""
    found = percentiles(drawn, level)
    if found is None or not still(drawn):
        return found
    away = unseen(level, n)
    return max(0.0, value - away), value + away if value < 0.5 else value


def _by_chance(measure: Measure, name: str, inside: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """Differences of slices of this size, drawn by chance."""
    rng = np.random.default_rng([seed, 3])
    drawn = rng.permuted(np.broadcast_to(inside, (_PERMUTED, len(inside))), axis=1)
    return _values(measure, name, drawn) - _values(measure, name, 1 - drawn)


def _judged(found: list[Slice], measure: Measure, name: str, level: float) -> list[Slice]:
    """With p values corrected, and verdicts: an interval without zero, and a p value below what the level leaves."""
    known = [one for one in found if one.p_value is not None]
    p_values = iter(holm([one.p_value for one in known if one.p_value is not None]))
    better = measure.kinds.get(name, SHARE).better
    made = []
    for one in found:
        if one.p_value is None or one.difference is None or one.difference_interval is None:
            made.append(one)
            continue
        p = next(p_values)
        low, high = one.difference_interval
        sure = p <= 1 - level and not low <= 0 <= high
        verdict = ("better" if (one.difference > 0) == (better != "lower") else "worse") if sure else one.verdict
        made.append(replace(one, p_value=p, verdict=verdict, family=len(known)))
    return made
