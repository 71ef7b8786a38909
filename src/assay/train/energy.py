"""Time and energy of a stretch of work; energy is measured where the processor tells, estimated otherwise."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
# Estimate: a busy server core with its share of the package, about 250 W over 32 cores, and of the machine around it.
WATTS_PER_CORE = 10.0


def measurable() -> bool:
    """Whether the processor's energy counter (RAPL) can be read."""
    return os.access(RAPL, os.R_OK)


@dataclass(frozen=True)
class Spent:
    """What a stretch of work took: seconds by the clock, joules of one core's share of the package."""

    seconds: float = 0.0
    joules: float = 0.0


NOTHING = Spent()


class Meter:
    """What a stretch of work has taken since the meter was made, and `before` that.

    `before` is what an earlier process, killed since, had spent on the same work: a state that goes on later keeps
    what was spent up to it.
    """

    def __init__(self, before: Spent = NOTHING) -> None:
        self._before, self._began = before, time.monotonic()
        self._counter = int(RAPL.read_text()) if measurable() else None

    def spent(self) -> Spent:
        """All that was spent so far."""
        seconds = time.monotonic() - self._began
        return Spent(self._before.seconds + seconds, self._before.joules + self._joules(seconds))

    def _joules(self, seconds: float) -> float:
        """Energy since the meter was made; by the counter (divided over the cores), else seconds x WATTS_PER_CORE."""
        if self._counter is None:
            return seconds * WATTS_PER_CORE
        now = int(RAPL.read_text())
        if now < self._counter:  # the counter wraps
            return seconds * WATTS_PER_CORE
        return (now - self._counter) / 1e6 / (os.cpu_count() or 1)
