"""Which cells answer which question, and at what dose or mixture.

A cell is a training distribution; it is run once for each seed. All cells of a seed share initialisation and, as far
as their mixtures allow, the order of their data, so every comparison with the `natural` cell is paired.

    natural                   the corpus as it is: baseline of every comparison, and the trunk of the size law
    DEFECT:DOSE               a share of the training text replaced by damaged copies
    DEFECT:DOSE:SOURCE        that share of one source's text, all others as they are
    DEFECT+DEFECT:DOSE        two defects, each in that share of the text, neither where the other is
    repeated:DOSE             that share is what was read before, instead of fresh text: no defect, but asked like one
    leaked:COPIES             held-out documents stand so often in the training text (`leaks`)
    order:EXPRESSION          the same text, in the order of what is measured of it (`orders`)
    filter:NAME, drop:NAME    what a filter keeps; as much text kept at random (`filters`)
    uniform, up:SOURCE        every source alike; one source's odds raised
    scale:LAYERSxWIDTH        the corpus as it is, read by another proxy
    rates:LAYERSxWIDTH:FACTOR that proxy, or the study's own, with other learning rates
    mix:held-out, ...         mixtures that no fit has seen
    DEFECT:DOSE               likewise, where the dose is a held-out one
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from assay.tokens.sampler import LEAKED, REPEATED

Axis = Literal["size", "quality", "distribution", "filter", "leak", "order", "scale"]
NATURAL = "natural"
UNIFORM = "uniform"
HELD_OUT_MIX = "mix:held-out"
LARGER = "natural:larger"
KEEPS_LEAST, KEEPS_MOST = 0.02, 0.995  # of the text: what keeps less, or more, is no filter to compare
NOTICEABLE = 0.05  # a mixture whose shares differ less than this in all (half the L1 distance) is not another one


@dataclass(frozen=True)
class Cell:
    """One training distribution. `fitted` is False where a registered prediction is tested on it; `source` is the one
    that is raised, or alone damaged; `also` is a second defect; `stream` is the text that is read; `shape` is another
    proxy's layers and width, whose step costs `cost` times as much; `rate` multiplies the learning rates."""

    name: str
    axis: Axis
    weights: dict[str, float]
    defect: str | None = None
    dose: float = 0.0
    source: str | None = None
    fitted: bool = True
    stream: str = "train"
    order: str | None = None
    also: str | None = None
    shape: tuple[int, int] | None = None
    rate: float = 1.0
    cost: float = 1.0

    @property
    def is_dose(self) -> bool:
        """Whether it is a point of a dose curve: one defect in all of the text."""
        return self.axis == "quality" and self.source is None and self.also is None

    @property
    def is_recipe(self) -> bool:
        """Whether it is a way to use the corpus, one of those that a decision is between: a mixture, what a filter
        keeps."""
        return self.fitted and (self.axis == "distribution" or self.name.startswith(filtered("")))

    @property
    def halves(self) -> bool:
        """Whether half of its run is a smaller run of the same, and worth measuring: not where it counts how often, or
        when, text comes."""
        return self.defect not in (LEAKED, REPEATED) and self.order is None and self.rate == 1.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, value: dict[str, Any]) -> Cell:
        """What `as_dict` gave, whatever has become of its tuples."""
        return cls(**value | {"shape": tuple(value["shape"]) if value.get("shape") else None})


def up(source: str) -> str:
    """Name of the cell in which a source is up-weighted."""
    return f"up:{source}"


def damaged(defect: str, dose: float, source: str | None = None) -> str:
    """Name of the cell in which a share of the text, or of one source's, is damaged."""
    return f"{defect}:{dose:g}" + (f":{source}" if source is not None else "")


def normalised(weights: dict[str, float]) -> dict[str, float]:
    """Shares that sum to one."""
    total = sum(weights.values())
    return {source: weight / total for source, weight in weights.items()}


def uniform(most: dict[str, float]) -> dict[str, float]:
    """Equal shares, as far as none is above its `most`: what one source cannot take, the others share."""
    weights, left = {}, 1.0
    for i, source in enumerate(sorted(most, key=lambda s: most[s])):
        weights[source] = min(most[source], left / (len(most) - i))
        left -= weights[source]
    return {source: weights[source] for source in most}


def upweighted(natural: dict[str, float], source: str, factor: float, most: float) -> dict[str, float]:
    """The natural mixture with one source's odds multiplied by `factor`, at most up to the share `most`."""
    share = natural[source]
    odds = factor * share / (1 - share)
    raised = min(odds / (1 + odds), max(share, most))
    rest = (1 - raised) / (1 - share)
    return {s: raised if s == source else w * rest for s, w in natural.items()}


def held_out(
    natural: dict[str, float], factor: float, most: dict[str, float], seed: int, number: int = 0
) -> dict[str, float]:
    """A mixture inside the range of the up-weighted ones: every source's share is multiplied by its own random
    factor between factor^-0.6 and factor^0.8; another one for every `number`."""
    seeds = [seed, len(natural), *([number] if number else [])]
    draws = np.random.default_rng(seeds).uniform(-0.6, 0.8, len(natural))
    weights = {s: w * factor**u for (s, w), u in zip(sorted(natural.items()), draws, strict=True)}
    weights = normalised(weights)
    # As far towards it as every source stays within its up-weighted share (which its cap limits, too).
    limits = {s: upweighted(natural, s, factor, most[s])[s] for s in natural}
    reach = min([1.0] + [(limits[s] - natural[s]) / (w - natural[s]) for s, w in weights.items() if w > limits[s]])
    return {s: natural[s] + reach * (w - natural[s]) for s, w in weights.items()}


def distance(a: dict[str, float], b: dict[str, float]) -> float:
    """Total variation distance of two mixtures: the share of slots in which they differ."""
    return 0.5 * sum(abs(a[s] - b[s]) for s in a)


def quality_cells(
    natural: dict[str, float],
    defects: tuple[str, ...],
    doses: tuple[float, ...],
    held_out_doses: tuple[float, ...] = (),
    sources: tuple[str, ...] = (),
) -> list[Cell]:
    """Each defect at each dose; those at held-out doses are not fitted. Then each in some sources alone."""
    everywhere = [
        Cell(damaged(defect, dose), "quality", natural, defect=defect, dose=dose, fitted=dose in doses)
        for defect in dict.fromkeys(defects)
        for dose in sorted({*doses, *held_out_doses})
    ]
    alone = [
        Cell(damaged(defect, dose, source), "quality", natural, defect=defect, dose=dose, source=source)
        for source in dict.fromkeys(sources)
        for defect in dict.fromkeys(defects)
        for dose in sorted(doses)
    ]
    return everywhere + alone


def together(defect: str, also: str, dose: float) -> str:
    """Name of the cell in which two defects are, each at a dose."""
    return damaged(f"{defect}+{also}", dose)


def together_cells(
    natural: dict[str, float], pairs: tuple[tuple[str, str], ...], doses: tuple[float, ...]
) -> list[Cell]:
    """Each pair of defects at each dose that leaves room for both."""
    return [
        Cell(together(defect, also, dose), "quality", natural, defect=defect, also=also, dose=dose)
        for defect, also in {frozenset(pair): pair for pair in reversed(pairs)}.values()
        for dose in sorted(doses)
        if 2 * dose <= 1
    ]


def leaked(copies: int) -> str:
    """Name of the cell in which held-out documents stand so often in the training text."""
    return f"{LEAKED}:{copies}"


def leak_cells(natural: dict[str, float], copies: tuple[int, ...]) -> list[Cell]:
    return [Cell(leaked(k), "leak", natural, defect=LEAKED, dose=float(k)) for k in sorted(set(copies))]


def ordered(text: str) -> str:
    """Name of the cell that reads its text in the order of an expression."""
    return f"order:{text}"


def order_cells(natural: dict[str, float], texts: tuple[str, ...]) -> list[Cell]:
    return [Cell(ordered(text), "order", natural, order=text) for text in dict.fromkeys(texts)]


def scaled(layers: int, width: int) -> str:
    """Name of the cell of another proxy."""
    return f"scale:{layers}x{width}"


def scale_cells(
    natural: dict[str, float],
    scales: tuple[tuple[int, int], ...],
    rates: tuple[float, ...],
    own: tuple[int, int],
    cost: Callable[[int, int], float],
) -> list[Cell]:
    """Every other proxy, and every proxy, the study's own among them, with each factor on its learning rates.

    Args:
        own: layers and width of the study's proxy.
        cost: of a step of another one, against that.
    """
    others = [Cell(scaled(*shape), "scale", natural, shape=shape, cost=cost(*shape)) for shape in dict.fromkeys(scales)]
    tried = [
        Cell(f"rates:{layers}x{width}:{rate:g}", "scale", natural, shape=(layers, width), rate=rate,
             cost=cost(layers, width))
        for layers, width in dict.fromkeys((own, *scales))
        for rate in sorted(set(rates))
    ]  # fmt: skip
    return others + tried


def filtered(name: str) -> str:
    """Name of the cell that reads what a filter keeps."""
    return f"filter:{name}"


def dropped(name: str) -> str:
    """Name of the cell that reads as much text, kept at random."""
    return f"drop:{name}"


def filter_streams(number: int) -> tuple[str, str]:
    """Names of the streams that the cells of a filter read: what it keeps, and its control."""
    return f"filter-{number}", f"drop-{number}"


def filter_cells(
    natural: dict[str, float], kept: dict[str, dict[str, float]], least: float = KEEPS_LEAST
) -> list[Cell]:
    """A cell for each filter and its control, both with the mixture that the filter leaves; they read the streams of
    its number in `kept` (`filter_streams`).

    Args:
        kept: filter -> source -> share of its text that is kept.
        least: share of all text; what keeps less has no cell.
    """
    cells = []
    for number, (name, shares) in enumerate(kept.items()):
        if not max(least, KEEPS_LEAST) < sum(natural[s] * shares[s] for s in natural) < KEEPS_MOST:
            continue
        weights = normalised({s: natural[s] * shares[s] for s in natural})
        for cell, stream in zip((filtered(name), dropped(name)), filter_streams(number), strict=True):
            cells.append(Cell(cell, "filter", weights, stream=stream))
    return cells


def distribution_cells(
    natural: dict[str, float], sources: list[str], factor: float, most: dict[str, float], seed: int, held: int = 1
) -> list[Cell]:
    """Uniform (where it is another mixture), one up-weighted mixture for each of `sources`, so many held out.

    Args:
        most: the largest share of each source that its text allows without being read too often.
    """
    cells = []
    even = uniform({s: max(most[s], share) for s, share in natural.items()})
    if distance(even, natural) >= NOTICEABLE:
        cells.append(Cell(UNIFORM, "distribution", even))
    for source in sources:
        weights = upweighted(natural, source, factor, most[source])
        if distance(weights, natural) >= NOTICEABLE / 2:
            cells.append(Cell(up(source), "distribution", weights, source=source))
    if any(cell.source for cell in cells):
        for number in range(held):
            name = HELD_OUT_MIX + (f"-{number + 1}" if number else "")
            mixture = held_out(natural, factor, most, seed, number)
            cells.append(Cell(name, "distribution", mixture, fitted=False))
    return cells
