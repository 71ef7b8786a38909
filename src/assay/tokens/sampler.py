"""Which row stands where in training: a pure function of (manifest, seed, step).

Every row of every batch is a slot, numbered through the run. For a slot, counter-based random numbers decide

    its source     an exponential race: the source with the smallest E / share wins (so raising one source's share
                   takes slots from the others but never moves a slot between two others: runs of the same seed with
                   different mixtures differ in as few slots as can be)
    its row        the source's rows in a seeded random order, without replacement; when all are read, another order
                   (an epoch)
    its damage     damaged where a uniform number is below the dose (so a higher dose damages a superset)

Nothing is remembered between steps: any step of any run can be computed at any time, by any worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assay.tokens.stream import TokenStream

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Purposes keep the random numbers of one seed apart.
_DAMAGE, _RACE, _ORDER, _EPOCH = 1, 1 << 20, 1 << 21, 1 << 32


def splitmix64(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64-bit integers."""
    with np.errstate(over="ignore"):
        x = x.astype(np.uint64) + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniform(seed: int, purpose: int, slots: np.ndarray) -> np.ndarray:
    """Uniform numbers in (0, 1), one per slot, for a seed and a purpose."""
    key = splitmix64(splitmix64(np.array([seed])) ^ np.uint64(purpose))
    bits = splitmix64(slots.astype(np.uint64) ^ key) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def permuted(index: np.ndarray, n: int, seed: int, purpose: int) -> np.ndarray:
    """The places of `index` in a random order of range(n): a Feistel network with cycle walking (Black and Rogaway
    2002), so that no order is ever stored."""
    half = max(1, (int(n - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = splitmix64(np.arange(4, dtype=np.uint64) + splitmix64(np.array([seed])) * np.uint64(2 * purpose + 1))

    def mix(x: np.ndarray) -> np.ndarray:
        left, right = x >> np.uint64(half), x & mask
        for key in keys:
            left, right = right, left ^ (splitmix64(right ^ key) & mask)
        return (left << np.uint64(half)) | right

    result = mix(index.astype(np.uint64))
    while (outside := result >= n).any():
        result[outside] = mix(result[outside])
    return result.astype(np.int64)


@dataclass(frozen=True)
class StreamPlan:
    """What a run reads.

    Attributes:
        seed: decides slots, order and damage.
        weights: share of each source, summing to 1.
        row_tokens: T.
        batch_rows: B.
        defect: name of the damaged stream, or None.
        dose: share of the rows that is damaged.
    """

    seed: int
    weights: dict[str, float]
    row_tokens: int
    batch_rows: int
    defect: str | None = None
    dose: float = 0.0


@dataclass(frozen=True)
class Sampler:
    """Rows of a run, by step. `streams` maps "train" and the names of defects to token streams."""

    plan: StreamPlan
    streams: dict[str, TokenStream]
    n_steps: int

    @cached_property
    def sources(self) -> list[str]:
        return sorted(self.streams["train"].shards)

    @cached_property
    def slots(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For every slot of the run: source (an index into `sources`), row of that source, damaged or not."""
        plan = self.plan
        slots = np.arange(self.n_steps * plan.batch_rows)
        source = np.zeros(len(slots), dtype=np.int64)
        best = np.full(len(slots), np.inf)
        for i, name in enumerate(self.sources):
            share = plan.weights.get(name, 0.0)
            if share and self.streams["train"].n_rows(name, plan.row_tokens):  # a few words fill no row
                time = -np.log(uniform(plan.seed, _RACE + i, slots)) / share
                source[time < best] = i
                best = np.minimum(best, time)
        row = np.zeros(len(slots), dtype=np.int64)
        for i, name in enumerate(self.sources):
            own = np.flatnonzero(source == i)
            n_rows = self.streams["train"].n_rows(name, plan.row_tokens)
            for epoch, occurrences in enumerate(np.split(own, range(n_rows, len(own), n_rows)) if len(own) else []):
                order = np.arange(len(occurrences))
                row[occurrences] = permuted(order, n_rows, plan.seed, _ORDER + i + _EPOCH * epoch)
        damaged = uniform(plan.seed, _DAMAGE, slots) < (plan.dose if plan.defect else 0.0)
        return source, row, damaged

    def epochs(self) -> dict[str, float]:
        """How often each source's rows are read over the whole run."""
        source, _, _ = self.slots
        counts = np.bincount(source, minlength=len(self.sources))
        rows = {name: self.streams["train"].n_rows(name, self.plan.row_tokens) for name in self.sources}
        return {s: float(c / rows[s]) if c else 0.0 for s, c in zip(self.sources, counts, strict=True)}

    def batch(self, step: int) -> np.ndarray:
        """(B, T + 1) int64 token ids of a step: inputs and, shifted by one, targets."""
        plan = self.plan
        source, row, damaged = self.slots
        out = np.empty((plan.batch_rows, plan.row_tokens + 1), dtype=np.int64)
        for b in range(plan.batch_rows):
            slot = step * plan.batch_rows + b
            name, index = self.sources[source[slot]], int(row[slot])
            stream = self.streams["train"]
            if damaged[slot] and plan.defect is not None:
                copy = self.streams[plan.defect]
                # The damaged copy of a stream follows its documents in order: take the same place in it. Where it has
                # no row (no document of the source was fit to be damaged), the clean one stays.
                if rows := copy.n_rows(name, plan.row_tokens):
                    index = index * rows // stream.n_rows(name, plan.row_tokens)
                    stream = copy
            out[b] = stream.row(name, index, plan.row_tokens)
        return out
