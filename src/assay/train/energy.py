"""Time and energy of a stretch of work; energy is measured where the hardware tells, estimated otherwise.

A processor counts joules (RAPL); a GPU tells its power (NVML), which is asked for now and then and summed over time.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
# Estimate: a busy server core with its share of the package, about 250 W over 32 cores, and of the machine around it.
WATTS_PER_CORE = 10.0
GPU_WATTS = 500.0  # estimate: a data centre GPU of 700 W at work


def measurable(device: str = "cpu") -> bool:
    """Whether energy is measured: the processor's counter (RAPL), and on a GPU its power (NVML), can be read."""
    return os.access(RAPL, os.R_OK) and (device == "cpu" or _gpu_watts(device) is not None)


def _gpu_watts(device: str) -> float | None:
    """What the GPU draws; None where NVML does not tell (it takes the package nvidia-ml-py)."""
    import torch

    try:
        return torch.cuda.power_draw(device) / 1000
    except Exception:  # no package, no right, no such sensor: each with an error of its own
        return None


@dataclass(frozen=True)
class Spent:
    """What a stretch of work took: seconds by the clock, joules of its cores' share of the package."""

    seconds: float = 0.0
    joules: float = 0.0


NOTHING = Spent()


class Meter:
    """What a stretch of work has taken since the meter was made, and `before` that.

    `before` is what an earlier process, killed since, had spent on the same work: a state that goes on later keeps
    what was spent up to it.

    Args:
        cores: busy with the work.
    """

    def __init__(self, before: Spent = NOTHING, device: str = "cpu", cores: int = 1) -> None:
        self._before, self._began, self._device, self._cores = before, time.monotonic(), device, cores
        self._gpu_joules, self._asked = 0.0, self._began
        self._counter = int(RAPL.read_text()) if measurable() else None

    def spent(self) -> Spent:
        """All that was spent so far."""
        seconds = time.monotonic() - self._began
        self._ask_gpu()
        joules = self._joules(seconds) + self._gpu_joules
        return Spent(self._before.seconds + seconds, self._before.joules + joules)

    def _ask_gpu(self) -> None:
        """Let the power of now stand for the time since it was asked last."""
        if self._device == "cpu":
            return
        now = time.monotonic()
        self._gpu_joules += (_gpu_watts(self._device) or GPU_WATTS) * (now - self._asked)
        self._asked = now

    def _joules(self, seconds: float) -> float:
        """Energy since the meter was made; by the counter (its share of all cores), else by WATTS_PER_CORE."""
        estimated = seconds * WATTS_PER_CORE * self._cores
        if self._counter is None:
            return estimated
        now = int(RAPL.read_text())
        if now < self._counter:  # the counter wraps
            return estimated
        cores = os.cpu_count() or 1
        return (now - self._counter) / 1e6 * min(self._cores, cores) / cores
