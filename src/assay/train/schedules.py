"""Learning rates over a run, as factors of the peak.

Warmup-stable-decay (Hu et al. 2024, MiniCPM; Hagele et al. 2024): a short linear warmup, a constant part that any
number of branches can leave, and a decay of 1 - sqrt(progress) at the end of each branch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupStableDecay:
    """The schedule of one branch, in steps."""

    warmup: int
    total: int
    decay: int

    @property
    def stable_end(self) -> int:
        """The first step of the decay: up to here a branch is its trunk."""
        return self.total - self.decay

    def factor(self, step: int) -> float:
        """Factor of the peak learning rate for the update at `step` (0-based)."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if step < self.stable_end:
            return rising
        return rising * (1.0 - math.sqrt((step - self.stable_end + 1) / (self.decay + 1)))
