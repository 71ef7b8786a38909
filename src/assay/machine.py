"""What of this machine a process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path


def cores() -> int:
    """Cores that this process may use: fewer than the machine's where it is pinned, or in a container with a quota."""
    pinned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(pinned, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no quota ("max")
        return pinned
