"""Learning rates over a run, as factors of the peak; all begin with a linear warmup.

Constant            the peak to the end
Linear              down to `final` when all steps are done; the last one is one step above it, as in PyTorch and
                    transformers, so that with `final` 0 it still teaches something
Cosine              down along half a wave (Loshchilov and Hutter 2017)
CosineRestarts      several such halves, each as long as the last times `factor_length` (SGDR)
WarmupStableDecay   a constant part that any number of branches can leave, and a decay of 1 - sqrt(progress) at the
                    end of each branch (Hu et al. 2024, MiniCPM; Hagele et al. 2024)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol


class Schedule(Protocol):
    """A factor of the peak learning rate for the update at `step`, counted from 0."""

    def factor(self, step: int) -> float: ...


def _rising(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


@dataclass(frozen=True)
class Constant:
    """The peak, after the warmup."""

    warmup: int = 0

    def factor(self, step: int) -> float:
        return _rising(step, self.warmup)


@dataclass(frozen=True)
class Linear:
    """From the peak after the warmup to `final` after the last of `total` steps."""

    warmup: int
    total: int
    final: float = 0.0

    def factor(self, step: int) -> float:
        return _rising(step, self.warmup) * (1 - (1 - self.final) * _progress(step, self.warmup, self.total))


@dataclass(frozen=True)
class Cosine:
    """From the peak after the warmup along half a wave to `final` after the last of `total` steps."""

    warmup: int
    total: int
    final: float = 0.0

    def factor(self, step: int) -> float:
        return _rising(step, self.warmup) * _wave(_progress(step, self.warmup, self.total), self.final)


@dataclass(frozen=True)
class CosineRestarts:
    """Half waves one after another: the first is `length` steps long, each other `growth` times the one before. A
    fraction as the length makes them end with a run that they do not divide."""

    warmup: int
    length: int | Fraction
    growth: float = 1.0
    final: float = 0.0

    def factor(self, step: int) -> float:
        place, length = Fraction(step - self.warmup), Fraction(self.length)
        while place >= length:
            place, length = place - length, length * Fraction(self.growth)
        return _rising(step, self.warmup) * _wave(float(max(Fraction(0), place) / length), self.final)


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
        rising = _rising(step, self.warmup)
        if step < self.stable_end:
            return rising
        return rising * (1.0 - math.sqrt((step - self.stable_end + 1) / (self.decay + 1)))


def _progress(step: int, warmup: int, total: int) -> float:
    """0 at the end of the warmup, 1 after the last step."""
    return min(1.0, max(0, step - warmup) / max(1, total - warmup))


def _wave(progress: float, final: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2
