"""Energy of a stretch of work on this machine, measured where the processor tells, estimated otherwise."""

from __future__ import annotations

import os
from pathlib import Path

RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
# Estimate: a busy server core with its share of the package, about 250 W over 32 cores, and of the machine around it.
WATTS_PER_CORE = 10.0


def measurable() -> bool:
    """Whether the processor's energy counter (RAPL) can be read."""
    return os.access(RAPL, os.R_OK)


class EnergyMeter:
    """Joules of one core's share of the package since it was made."""

    def __init__(self) -> None:
        self._start = int(RAPL.read_text()) if measurable() else None

    def joules(self, seconds: float) -> float:
        """Energy since the start; by the counter (divided over the cores), else seconds x WATTS_PER_CORE."""
        if self._start is None:
            return seconds * WATTS_PER_CORE
        now = int(RAPL.read_text())
        if now < self._start:  # the counter wraps
            return seconds * WATTS_PER_CORE
        return (now - self._start) / 1e6 / (os.cpu_count() or 1)
