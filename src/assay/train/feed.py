"""What each step of a run reads: a pure function of the step.

    step -> slots of the sampler -> rows (B, T + 1) -> objective -> batch

A run can begin with fewer rows a step (`Phase.rows`) and with rows that are cut into shorter ones (`Phase.cut`): the
slots are the same in the same order, so nothing is read twice or left out. `LaneFeed` has rows that go on where those
of the step before ended, for models that carry a state; `StackedFeed` those of all members of a stack. `Prefetched`
computes batches ahead in threads; nothing changes but the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from assay.models.protocol import Batch, Model
from assay.tokens.lanes import Lanes
from assay.tokens.sampler import Sampler, StreamPlan
from assay.train.objectives import NEXT_TOKEN, Objective


class Feed(Protocol):
    """Batches by step, on the CPU, of token ids within `bounds`."""

    @property
    def bounds(self) -> tuple[int, int]: ...

    def batch(self, step: int) -> Batch: ...


class NamedFeed(Feed, Protocol):
    """Batches whose rows have sources: what a run reads."""

    @property
    def names(self) -> list[str]:
        """The sources, by index."""

    def sources(self, step: int) -> np.ndarray:
        """(B,) index of the source of each row of the step's batch; (B, T) of each input, where rows hold several."""

    def tokens(self, until: int) -> int:
        """Tokens that are read before step `until`."""

    def flops_per_token(self, model: Model) -> float:
        """Training FLOPs a token that is read."""


class TextFeed(NamedFeed, Protocol):
    """Batches of text, and which text that is."""

    @property
    def plan(self) -> StreamPlan: ...

    def reads(self, step: int) -> list[tuple[str, int, int]]:
        """(source, begin, end) of what a step reads, in tokens of the source's shard."""

    def unique_tokens(self, until: int) -> int:
        """How many different ones these are."""

    def epochs(self) -> dict[str, float]:
        """How often each source is read over the whole run."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a run.

    Attributes:
        steps: how many; the last phase goes on for ever.
        rows: rows of the sampler a step.
        cut: each is cut into so many shorter ones.
    """

    steps: int
    rows: int
    cut: int = 1


@dataclass(frozen=True)
class RowFeed:
    """Rows of a sampler under an objective.

    Args:
        phases: how a run begins; none: `batch_rows` whole rows at every step.
    """

    sampler: Sampler
    objective: Objective = NEXT_TOKEN
    phases: tuple[Phase, ...] = ()

    @cached_property
    def _phases(self) -> tuple[Phase, ...]:
        return self.phases or (Phase(1, self.sampler.plan.batch_rows),)

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest token id that there can be."""
        lows, highs = zip(*(stream.bounds for stream in self.sampler.streams.values()), strict=True)
        return min(lows), max(highs)

    @property
    def plan(self) -> StreamPlan:
        return self.sampler.plan

    @property
    def names(self) -> list[str]:
        return self.sampler.sources

    def slots(self, step: int) -> tuple[range, int]:
        """The slots that a step reads, and into how many pieces each row is cut."""
        first = 0
        for phase in self._phases[:-1]:
            if step < phase.steps:
                break
            step, first = step - phase.steps, first + phase.steps * phase.rows
        else:
            phase = self._phases[-1]
        first += step * phase.rows
        return range(first, first + phase.rows), phase.cut

    def batch(self, step: int) -> Batch:
        slots, cut = self.slots(step)
        rows = self.sampler.rows(slots)
        if cut > 1:
            rows = np.concatenate([piece_of(rows, i, cut) for i in range(cut)])
        return self.objective(rows, self.sampler.plan.seed, step)

    def sources(self, step: int) -> np.ndarray:
        """(B,) index into `sampler.sources` of each row of the step's batch."""
        slots, cut = self.slots(step)
        return np.tile(self.sampler.slots[0][slots.start : slots.stop], cut)

    def flops_per_token(self, model: Model) -> float:
        """Training FLOPs a token that is read, of uncut rows."""
        return model.flops_per_token(self.sampler.plan.row_tokens, self.objective.shares)

    def tokens(self, until: int) -> int:
        """Tokens that are read before step `until`."""
        return self.slots(until)[0].start * self.sampler.plan.row_tokens

    def reads(self, step: int) -> list[tuple[str, int, int]]:
        plan, (source, row, _) = self.plan, self.sampler.slots
        stream = self.sampler.streams[plan.stream]
        named = [(self.names[source[slot]], int(row[slot])) for slot in self.slots(step)[0]]
        return [(name, *stream.place(name, number, plan.row_tokens)) for name, number in named]

    def unique_tokens(self, until: int) -> int:
        read = self.slots(until)[0].start
        source, row, _ = (column[:read] for column in self.sampler.slots)
        return len(np.unique(source * (row.max(initial=0) + 1) + row)) * self.plan.row_tokens

    def epochs(self) -> dict[str, float]:
        return self.sampler.epochs()


@dataclass(frozen=True)
class LaneFeed:
    """Rows that go on where those of the step before ended; next tokens are asked for.

    Args:
        steps: of the run.
    """

    lanes: Lanes
    steps: int

    @property
    def plan(self) -> StreamPlan:
        return self.lanes.plan

    @property
    def names(self) -> list[str]:
        return self.lanes.sources

    @property
    def bounds(self) -> tuple[int, int]:
        return self.lanes.stream.bounds

    def batch(self, step: int) -> Batch:
        inputs, targets, segments, continues = map(torch.from_numpy, self.lanes.windows(step))
        return Batch(inputs, targets, segments, continues_B=continues)

    def sources(self, step: int) -> np.ndarray:
        return self.lanes.source_of(step)

    def reads(self, step: int) -> list[tuple[str, int, int]]:
        return self.lanes.reads(step)

    def tokens(self, until: int) -> int:
        return until * self.plan.batch_rows * self.plan.row_tokens

    def unique_tokens(self, until: int) -> int:
        return sum(_covered(*read) for read in self.lanes.stretches(until).values())

    def epochs(self) -> dict[str, float]:
        read = self.lanes.stretches(self.steps)
        return {s: float((b - a).sum() / max(1, len(self.lanes.stream.shards[s]))) for s, (a, b) in read.items()}

    def flops_per_token(self, model: Model) -> float:
        return model.flops_per_token(self.plan.row_tokens)


@dataclass(frozen=True)
class StackedFeed:
    """What each member of a stack (`models.stacked`) reads at a step, on end; as many rows each."""

    members: Sequence[RowFeed]

    @property
    def bounds(self) -> tuple[int, int]:
        lows, highs = zip(*(member.bounds for member in self.members), strict=True)
        return min(lows), max(highs)

    def batch(self, step: int) -> Batch:
        batches = [member.batch(step) for member in self.members]
        segments = [batch.segments_BT for batch in batches if batch.segments_BT is not None]
        return Batch(
            torch.cat([batch.inputs_BT for batch in batches]),
            torch.cat([batch.targets_BT for batch in batches]),
            torch.cat(segments),
        )


def _covered(begins: np.ndarray, ends: np.ndarray) -> int:
    """How many places lie in any of some stretches."""
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], np.maximum.accumulate(ends[order])
    reached = np.concatenate([begins[:1], ends])[: len(begins)]
    return int(np.maximum(0, ends - np.maximum(begins, reached)).sum())


def piece_of(rows_BT1: np.ndarray, i: int, cut: int) -> np.ndarray:
    """(B, T/cut + 1) the i-th of `cut` pieces of each row, with one more target."""
    width = (rows_BT1.shape[1] - 1) // cut
    return rows_BT1[:, i * width : (i + 1) * width + 1]


def slots_of(phases: Sequence[Phase], steps: int) -> int:
    """How many slots `steps` steps read; the last phase goes on for ever."""
    total = 0
    for phase in phases[:-1]:
        taken = min(steps, phase.steps)
        total, steps = total + taken * phase.rows, steps - taken
    return total + steps * phases[-1].rows


@dataclass
class Prefetched:
    """A feed whose next batches are computed in threads while the model is at work."""

    feed: Feed
    threads: int
    _pool: ThreadPoolExecutor = field(init=False, repr=False)
    _coming: dict[int, Future[Batch]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="feed")

    @property
    def bounds(self) -> tuple[int, int]:
        return self.feed.bounds

    def batch(self, step: int) -> Batch:
        for ahead in range(step, step + 2 * self.threads):
            if ahead not in self._coming:
                self._coming[ahead] = self._pool.submit(self.feed.batch, ahead)
        for other in [s for s in self._coming if s < step]:
            del self._coming[other]
        return self._coming.pop(step).result()

    def close(self) -> None:
        """Drop what is coming."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def with_threads(feed: Feed, threads: int) -> Iterator[Feed]:
    """The feed, computed ahead in so many threads; 0: when it is asked for."""
    if not threads:
        yield feed
        return
    ahead = Prefetched(feed, threads)
    try:
        yield ahead
    finally:
        ahead.close()
