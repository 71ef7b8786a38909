"""How often registered intervals held, over many predictions: what a stated probability has been worth so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Tested:
    """A prediction that was tested.

    Attributes:
        study, claim: where it stands.
        kind: size, mixture or dose.
        target: the source it is about; "": the mean over all.
        measured, predicted: bits per byte.
        bands: level, low, high.
    """

    study: str
    claim: str
    kind: str
    target: str
    measured: float
    predicted: float
    bands: tuple[tuple[float, float, float], ...]

    def held(self, level: float) -> bool | None:
        """Whether the interval of this level held; None where none was registered."""
        for own, low, high in self.bands:
            if abs(own - level) < 1e-9:
                return low <= self.measured <= high
        return None


@dataclass(frozen=True)
class Row:
    """How often intervals of one level held, with Wilson's interval at 95 %. Predictions of one study share its runs,
    so that so many count for fewer: the interval is for independent ones."""

    kind: str
    level: float
    n: int
    studies: int
    held: float
    interval: tuple[float, float]


def table(tested: Sequence[Tested], levels: Iterable[float]) -> list[Row]:
    """A row for each kind and level, all kinds together first (kind "")."""
    rows = []
    for kind in ["", *dict.fromkeys(one.kind for one in tested)]:
        for level in levels:
            own = [one for one in tested if kind in ("", one.kind) and one.held(level) is not None]
            if not own:
                continue
            hits = sum(bool(one.held(level)) for one in own)
            found = stats.binomtest(hits, len(own)).proportion_ci(method="wilson")
            studies = len({one.study for one in own})
            interval = (float(found.low), float(found.high))
            rows.append(Row(kind, level, len(own), studies, hits / len(own), interval))
    return rows
