"""A measure and what is known of its value: one interface under all scores of downstream tasks.

    items -> `Measure`: values(times), where times says how often each item counts
          -> `bootstrap` draws items again (Efron 1979) -> `Score`: value, percentile interval, signature

A measure is statistics of each item and a function of their sums (`Additive`), so that a thousand draws are one matrix
product; what goes by ranks (`Ranked`) is a function of how often each row counts. Draws depend on the number of items
and the seed alone: two systems judged on the same items with one seed are judged on the same draws (`paired.py`).

What is not defined is NaN within and None in a `Score`, never 0 in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from assay.errors import InputError

F64 = npt.NDArray[np.float64]
Values = dict[str, F64]
Groups = Sequence[Any] | np.ndarray

VERSION = 1
"""Of all formulas of this room that no other library versions; raised when a value changes."""
REPLICATES = 1000
LEVEL = 0.95
CELLS = 1 << 21
"""Items times draws that are held at once: 16 MB a column."""
SAME = 1e-12
"""Values that differ by less than this share of them are equal: sums in another order round otherwise."""
DEFINED = 0.5
"""The least share of draws in which a value must be defined for its percentiles to say something."""


@dataclass(frozen=True)
class Kind:
    """What a value means.

    Attributes:
        better: which way is better; `neither` for amounts, such as a mean length.
        low, high: the values that it can take.
        folded: a sum of sizes of differences, to which noise adds: its square in a sample is above the true one by the
            noise, and in a draw by twice as much. So the interval is the percentiles' mirrored at twice the square; it
            may lie below the value, which is too large then (percentiles would never hold a true zero).
    """

    better: Literal["higher", "lower", "neither"] = "higher"
    low: float = 0.0
    high: float = 1.0
    folded: bool = False


SHARE = Kind()
PERCENT = Kind(high=100.0)
CORRELATION = Kind(low=-1.0)
ERROR = Kind("lower", high=np.inf)
ERROR_SHARE = Kind("lower")
AMOUNT = Kind("neither", -np.inf, np.inf)


@dataclass(frozen=True)
class Score:
    """A value with what is needed to judge it.

    Attributes:
        value: None where it is not defined.
        interval: of the value at `level`; None where nothing was drawn, where one unit alone was there to draw from, or
            where the value is not defined in most draws.
        n: items that the value rests on.
        signature: what the value depends on, in the manner of sacrebleu (Post 2018).
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None
    level: float
    n: int
    signature: str


class Measure(Protocol):
    """One or several named values of the same items."""

    @property
    def n(self) -> int:
        """Items."""

    @property
    def signature(self) -> str:
        """`key:value` pairs between bars, without name, draws and version."""

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Of values that are not a `SHARE`."""

    @property
    def rests_on(self) -> Mapping[str, int]:
        """Items of values that do not rest on all of them."""

    def values(self, times: F64) -> Values:
        """(r, n) how often each item counts -> of each name (r,), NaN where it is not defined."""

    def joined(self, other: Any) -> Measure:
        """The measure of both's items: this one's, then the other's."""


@dataclass(frozen=True)
class Additive:
    """A function of sums over items.

    Attributes:
        statistics: (n, s) array, or a sparse one of SciPy where most are zero.
        of: (r, s) sums -> of each name (r,).
    """

    statistics: Any
    of: Callable[[F64], Values]
    signature: str = ""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    rests_on: Mapping[str, int] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return int(self.statistics.shape[0])

    def values(self, times: F64) -> Values:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.of(np.asarray(times @ self.statistics, dtype=np.float64))

    def joined(self, other: Additive) -> Additive:
        if isinstance(self.statistics, np.ndarray):
            return replace(self, statistics=np.concatenate([self.statistics, other.statistics]))
        from scipy import sparse

        return replace(self, statistics=sparse.vstack([self.statistics, other.statistics], format="csr"))


@dataclass(frozen=True)
class Ranked:
    """A function of how often each row of some columns counts, prepared (sorted) once.

    Attributes:
        columns: arrays of n rows.
        prepare: columns -> (times -> values).
    """

    columns: tuple[np.ndarray, ...]
    prepare: Callable[[tuple[np.ndarray, ...]], Callable[[F64], Values]]
    signature: str = ""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    rests_on: Mapping[str, int] = field(default_factory=dict)
    _ready: list[Callable[[F64], Values]] = field(default_factory=list, repr=False, compare=False)

    @property
    def n(self) -> int:
        return len(self.columns[0])

    def values(self, times: F64) -> Values:
        if not self._ready:
            self._ready.append(self.prepare(self.columns))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._ready[0](times)

    def joined(self, other: Ranked) -> Ranked:
        columns = tuple(np.concatenate(pair) for pair in zip(self.columns, other.columns, strict=True))
        return replace(self, columns=columns, _ready=[])


@dataclass(frozen=True)
class Together:
    """Several measures of the same items as one."""

    parts: tuple[Measure, ...]

    @property
    def n(self) -> int:
        return self.parts[0].n

    @property
    def signature(self) -> str:
        return "|".join(dict.fromkeys(part.signature for part in self.parts if part.signature))

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return {name: kind for part in self.parts for name, kind in part.kinds.items()}

    @property
    def rests_on(self) -> Mapping[str, int]:
        return {name: n for part in self.parts for name, n in part.rests_on.items()}

    def values(self, times: F64) -> Values:
        return {name: values for part in self.parts for name, values in part.values(times).items()}

    def joined(self, other: Together) -> Together:
        return Together(tuple(mine.joined(theirs) for mine, theirs in zip(self.parts, other.parts, strict=True)))


def together(*parts: Measure) -> Together:
    """Several measures of the same items as one, whose values share their draws.

    Raises:
        InputError: they have other numbers of items.
    """
    same_length("measures", *(range(part.n) for part in parts))
    return Together(parts)


def means(
    columns: Mapping[str, Sequence[float | None] | np.ndarray],
    kinds: Mapping[str, Kind] | None = None,
    signature: str = "",
) -> Additive:
    """Means of what a caller knows of each item, such as whether a text is in the language of its prompt.

    Args:
        columns: of each name (n,) numbers or booleans; items with None or NaN do not count.
        kinds: of those that are no `SHARE`.

    Raises:
        InputError: columns of different lengths, or none.
    """
    same_length("columns", *columns.values())
    table = np.array([[np.nan if value is None else float(value) for value in column] for column in columns.values()])
    known = ~np.isnan(table)
    names = list(columns)

    def of(sums: F64) -> Values:
        return {name: sums[:, i] / sums[:, len(names) + i] for i, name in enumerate(names)}

    statistics = np.concatenate([np.where(known, table, 0.0), known]).T
    return Additive(statistics, of, signature, kinds or {}, dict(zip(names, known.sum(1).tolist(), strict=True)))


def value_of(measure: Measure) -> dict[str, float | None]:
    """The values of all items once, without intervals."""
    found = measure.values(np.ones((1, measure.n)))
    return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in found.items()}


def bootstrap(
    measure: Measure,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
    groups: Groups | None = None,
) -> dict[str, Score]:
    """Every value of a measure with its percentile interval (of calibration errors: mirrored, see `Kind`).

    A value at an end of its range that no draw moves (all answers right) is not certain: its interval is what as many
    units that are all alike leave open, Clopper and Pearson's (1934).

    Args:
        level: of the intervals.
        replicates: how often items are drawn; 0: no intervals.
        groups: (n,) what is drawn together, such as the document of each item. None: each item by itself.

    Raises:
        InputError: groups of another length, or a level that is none.
    """
    if not 0 < level < 1:
        raise InputError(f"level {level} is not between 0 and 1", remedy="give one such as 0.95")
    units, _ = units_of(measure.n, groups)
    drawn = replicated([measure], replicates, seed, groups)[0] if replicates and units > 1 else {}
    signed = signature_of(measure, replicates, seed, None if groups is None else units)
    scores = {}
    for name, value in value_of(measure).items():
        kind = measure.kinds.get(name, SHARE)
        n = measure.rests_on.get(name, measure.n)
        interval = None
        if value is not None and name in drawn:
            interval = _interval(value, drawn[name], level, kind, min(n, units))
        scores[name] = Score(name, value, interval, level, n, f"name:{name}|{signed}")
    return scores


def signature_of(measure: Measure, replicates: int, seed: int, groups: int | None) -> str:
    """The signature of a measure's values, without their names.

    Args:
        groups: how many there were, if items were drawn by groups.
    """
    parts = [measure.signature, f"bootstrap:{replicates}", f"seed:{seed}", f"groups:{groups}" if groups else ""]
    return "|".join(part for part in [*parts, f"version:{VERSION}"] if part)


def replicated(measures: Sequence[Measure], replicates: int, seed: int, groups: Groups | None = None) -> list[Values]:
    """Of each measure, all of the same items, and of each name (replicates,) values on the same draws.

    A draw is of as many units as there are, with replacement.
    """
    with threadpool_limits(1, user_api="blas"):  # how sums are rounded would depend on how many threads add
        times = draws(measures[0].n, replicates, seed, groups)
        parts = [[measure.values(some) for measure in measures] for some in times]
    return [
        {name: np.concatenate([part[name] for part in of_one]) for name in of_one[0]}
        for of_one in zip(*parts, strict=True)
    ]


def draws(n: int, replicates: int, seed: int, groups: Groups | None = None) -> Iterator[F64]:
    """How often each item was drawn, (r, n) for some draws at a time: the same for the same arguments."""
    rng = np.random.default_rng(seed)
    units, unit = units_of(n, groups)
    at_once = max(1, CELLS // n)
    for start in range(0, replicates, at_once):
        r = min(at_once, replicates - start)
        drawn = rng.integers(units, size=(r, units)) + units * np.arange(r)[:, None]
        times = np.bincount(drawn.ravel(), minlength=r * units).reshape(r, units).astype(np.float64)
        yield times if groups is None else times[:, unit]


def units_of(n: int, groups: Groups | None) -> tuple[int, np.ndarray]:
    """What is drawn: how many there are, and the one of each item."""
    if groups is None:
        return n, np.arange(n)
    same_length("items and groups", range(n), groups)
    numbers: dict[Any, int] = {}
    unit = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    return len(numbers), unit


def percentiles(drawn: F64, level: float) -> tuple[float, float] | None:
    """Of draws in which a value is defined; None where those are too few."""
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < DEFINED * len(drawn) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def unseen(level: float, units: int) -> float:
    """The share of other units that may be among all where so many were drawn and all alike (Clopper and Pearson)."""
    return float(1 - ((1 - level) / 2) ** (1 / max(units, 1)))


def _interval(value: float, drawn: F64, level: float, kind: Kind, units: int) -> tuple[float, float] | None:
    found = percentiles(drawn, level)
    if found is not None and kind.folded:
        low, high = (max(0.0, 2 * value**2 - end**2) ** 0.5 for end in reversed(found))
        return low, high
    if found is None or not still(drawn):
        return found
    away = unseen(level, units) * (kind.high - kind.low)
    if np.isclose(value, kind.low, rtol=SAME, atol=SAME):
        return (value, value + away) if np.isfinite(away) else None
    if np.isclose(value, kind.high, rtol=SAME, atol=SAME):
        return (value - away, value) if np.isfinite(away) else None
    return found


def still(drawn: F64) -> bool:
    """Whether all draws say the same, rounding aside."""
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    return bool(high - low <= SAME * max(abs(low), abs(high)))


def same_length(what: str, *columns: Any) -> int:
    """The number of items that all columns have.

    Raises:
        InputError: they have different ones, or there is none.
    """
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        said = " and ".join(map(str, lengths))
        raise InputError(f"{what} differ in number: {said}", remedy="give one of each for every item")
    if not lengths or not lengths[0]:
        raise InputError(f"no {what}", remedy="give at least one item")
    return lengths[0]
