"""Which row stands where in training: a pure function of (manifest, seed, step).

Every row of every batch is a slot, numbered through the run. For a slot, counter-based random numbers decide

    its source     an exponential race: the source with the smallest E / share wins (so raising one source's share
                   takes slots from the others but never moves a slot between two others: runs of the same seed with
                   different mixtures differ in as few slots as can be)
    its row        the rows of the run's part of the source in a seeded random order, without replacement; when all are
                   read, another order (an epoch)
    its damage     damaged where a uniform number is below the dose (so a higher dose damages a superset); by a second
                   defect where it is that near to one

Where text is to be repeated, the rows that a run would read first are read again and again: the run without repetition
begins in the same order.

Seeds that are to count the luck of the draw of training documents read different parts: the units of a source (its
documents, or the texts that these are pieces of) in one random order, cut into as many equal parts as there are seeds.

Nothing is remembered between steps: any step of any run can be computed at any time, by any worker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from assay.tokens.stream import TokenStream

REPEATED = "repeated"
"""In place of a defect: the dose is the share of the text that is not fresh, but was read before."""
LEAKED = "leaked"
"""As a defect: the dose is how often every row of its stream's part is read, in the place of as many others."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Purposes keep the random numbers of one seed apart.
_DAMAGE, _PART, _RACE, _ORDER, _COPIES, _EPOCH = 1, 2, 1 << 20, 1 << 21, 1 << 22, 1 << 32


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


def without_replacement(count: int, n: int, seed: int, purpose: int, *, first: bool = True) -> np.ndarray:
    """`count` of range(n) in random order, each once; when all are out, all again in another order.

    Args:
        first: shuffle the first order, too.
    """
    out = np.zeros(count, dtype=np.int64)
    for epoch, begin in enumerate(range(0, count, n) if n else ()):
        order = np.arange(min(n, count - begin))
        shuffled = first or epoch
        out[begin : begin + n] = permuted(order, n, seed, purpose + _EPOCH * epoch) if shuffled else order
    return out


@dataclass(frozen=True)
class Part:
    """One of `of` equal parts of every source's training text; parts of one `seed` are disjoint."""

    index: int = 0
    of: int = 1
    seed: int = 0

    def rows(self, stream: TokenStream, source: str, row_tokens: int) -> np.ndarray:
        """(rows,) indices of the part's rows of T tokens, unit by unit: whole units, but where the text is cut into
        parts. A row belongs to the document that its first token does."""
        rows = np.arange(stream.n_rows(source, row_tokens))
        if self.of == 1:
            return rows
        begins = stream.begins(source)
        unit = np.searchsorted(begins, rows * row_tokens, side="right") - 1
        n_units = len(begins)
        if source in stream.units:
            numbers = stream.units[source]
            unit, n_units = numbers[unit], int(numbers[-1]) + 1
        order = np.lexsort((rows, permuted(unit, n_units, self.seed, _PART)))
        return np.array_split(rows[order], self.of)[self.index]


def part_of(n_rows: int, part: Part) -> np.ndarray:
    """The rows, of some that are few, that a part reads: every part its own where there are enough."""
    of = min(part.of, n_rows)
    return np.array_split(np.arange(n_rows), of)[part.index % of]


@dataclass(frozen=True)
class StreamPlan:
    """What a run reads.

    Attributes:
        seed: decides slots, order and damage.
        weights: share of each source, summing to 1.
        row_tokens: T.
        batch_rows: B.
        defect: name of the damaged stream, REPEATED, or None.
        dose: share of the rows that is damaged, or repeats others; of LEAKED how often each is read.
        only: the source that is damaged, or repeated; None: all.
        also: a second damaged stream, of which as large a share is read; None: there is one defect.
        stream: what is read where nothing is damaged.
        order: name of the values in whose rising order a source's rows are read; None: in random order.
        part: of every source's text, that which the run reads.
    """

    seed: int
    weights: dict[str, float]
    row_tokens: int
    batch_rows: int
    defect: str | None = None
    dose: float = 0.0
    part: Part = Part()
    only: str | None = None
    also: str | None = None
    stream: str = "train"
    order: str | None = None


@dataclass(frozen=True)
class Sampler:
    """Rows of a run, by step. `streams` maps names, that of the plan's stream and of its defects, to token streams;
    `orders` names to the values of every document of a source."""

    plan: StreamPlan
    streams: dict[str, TokenStream]
    n_steps: int
    orders: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def sources(self) -> list[str]:
        return sorted(self.streams[self.plan.stream].shards)

    @cached_property
    def part_rows(self) -> dict[str, np.ndarray]:
        """The rows that the run may read, by source."""
        train = self.streams[self.plan.stream]
        return {name: self.plan.part.rows(train, name, self.plan.row_tokens) for name in self.sources}

    @cached_property
    def slots(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For every slot of the run: source (an index into `sources`), row of that source (of its damaged copy where
        the slot is damaged), and what it reads: 0 what is clean, 1 the defect's stream, 2 that of `also`."""
        plan = self.plan
        slots = np.arange(self.n_steps * plan.batch_rows)
        source = np.zeros(len(slots), dtype=np.int64)
        best = np.full(len(slots), np.inf)
        for i, name in enumerate(self.sources):
            share = plan.weights.get(name, 0.0)
            if share and len(self.part_rows[name]):  # a few words fill no row
                time = -np.log(uniform(plan.seed, _RACE + i, slots)) / share
                source[time < best] = i
                best = np.minimum(best, time)
        defect = plan.defect if plan.defect != REPEATED else None
        draw = uniform(plan.seed, _DAMAGE, slots)
        dose = plan.dose if defect not in (None, LEAKED) else 0.0
        damaged = np.where(draw < dose, 1, 2 * (draw > 1 - dose) * (plan.also is not None))
        row = np.zeros(len(slots), dtype=np.int64)
        for i, name in enumerate(self.sources):
            own = np.flatnonzero(source == i)
            if len(own):
                row[own] = self._read(i, len(own))
            if plan.only not in (None, name):
                damaged[own] = 0
            if defect == LEAKED:
                damaged[own[np.argsort(draw[own])[: self._leaked(name)]]] = 1
            for kind, stream in enumerate((defect, plan.also), 1):
                hit = own[damaged[own] == kind]
                if stream is not None and len(hit):
                    copies = self._copies(i, self.streams[stream], row[hit])
                    damaged[hit] = kind if len(copies) else 0  # none was fit to be damaged: the clean ones stay
                    row[hit[: len(copies)]] = copies
        return source, row, damaged

    def _read(self, source: int, count: int) -> np.ndarray:
        """The rows of a source that so many slots read, in order."""
        plan, name = self.plan, self.sources[source]
        rows = self.part_rows[name]
        if plan.defect == REPEATED and plan.only in (None, name):
            fresh = min(len(rows), max(1, round((1 - plan.dose) * count)))
            rows = rows[permuted(np.arange(fresh), len(rows), plan.seed, _ORDER + source)]
            return rows[without_replacement(count, fresh, plan.seed, _ORDER + source, first=False)]
        read = rows[without_replacement(count, len(rows), plan.seed, _ORDER + source)]
        return read if plan.order is None else read[np.argsort(self._values(name, read), kind="stable")]

    def _values(self, name: str, rows: np.ndarray) -> np.ndarray:
        """What orders some rows of a source: the values of the documents that their first tokens belong to."""
        places = rows * self.plan.row_tokens
        document = np.searchsorted(self.streams[self.plan.stream].begins(name), places, side="right") - 1
        return self.orders[str(self.plan.order)][name][document]

    def _leaked(self, name: str) -> int:
        """How many slots of a source read what is leaked."""
        n = self.streams[LEAKED].n_rows(name, self.plan.row_tokens)
        return round(self.plan.dose) * len(part_of(n, self.plan.part)) if n else 0

    def _copies(self, source: int, copy: TokenStream, rows: np.ndarray) -> np.ndarray:
        """The damaged rows that stand for `rows` of the training stream, in order; none where the source has no copy.

        An aligned copy stands for its source document by document: the row at the same place. Copies of a few
        documents only are read in random order, each once before any is read again, by every part its own.
        """
        plan, name, T = self.plan, self.sources[source], self.plan.row_tokens
        train, n_copied = self.streams[plan.stream], copy.n_rows(name, T)
        if not n_copied:
            return rows[:0]
        if not copy.aligned:
            own = part_of(n_copied, plan.part)
            return own[without_replacement(len(rows), len(own), plan.seed, _COPIES + source)]
        edges, copied = (np.append(stream.begins(name), len(stream.shards[name])) for stream in (train, copy))
        if len(edges) != len(copied):
            raise ValueError(f"a copy of {len(copied) - 1} documents of {name!r} stand for {len(edges) - 1}")
        return np.minimum(np.interp(rows * T, edges, copied).astype(np.int64) // T, n_copied - 1)

    def epochs(self) -> dict[str, float]:
        """How often the rows of each source's part are read over the whole run; where text is repeated, those of them
        that are read at all."""
        source, row, _ = self.slots
        found = {}
        for i, name in enumerate(self.sources):
            read, rows = row[source == i], len(self.part_rows[name])
            if self.plan.defect == REPEATED and self.plan.only in (None, name):
                rows = len(np.unique(read))
            found[name] = float(len(read) / rows) if len(read) else 0.0
        return found

    def rows(self, slots: range) -> np.ndarray:
        """(len(slots), T + 1) int64 token ids of some slots: inputs and, shifted by one, targets."""
        plan = self.plan
        source, row, damaged = self.slots
        out = np.empty((len(slots), plan.row_tokens + 1), dtype=np.int64)
        for b, slot in enumerate(slots):
            name = (plan.stream, plan.defect, plan.also)[damaged[slot]]
            out[b] = self.streams[str(name)].row(self.sources[source[slot]], int(row[slot]), plan.row_tokens)
        return out

    def batch(self, step: int) -> np.ndarray:
        """(B, T + 1) rows of a step."""
        B = self.plan.batch_rows
        return self.rows(range(step * B, step * B + B))
