"""Text for models that carry a state: rows that go on, a pure function of (manifest, seed, step).

Every step reads B rows of T tokens, and row b of a step begins where row b of the step before ended:

    a round       as many tokens as all sources hold, each source as its share says: the next ones of its documents,
                  which stand in a seeded random order, another one whenever all are read. Where the shares are by
                  size, a round is an epoch: every document once
    its pieces    these documents, all sources in one random order; whole, but where a share ends within one
    its lanes     the pieces on end, cut into B lanes of equally many windows of T tokens (Zaremba et al. 2014); what
                  is left of the last windows is read in another round

A state goes on within a piece alone: where a piece or a round begins, it begins anew. Nothing is remembered between
steps but the last rounds, for speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from assay.tokens.sampler import StreamPlan, permuted
from assay.tokens.stream import END_OF_TEXT_ID, TokenStream

_DOCUMENTS, _PIECES, _AGAIN = 1 << 23, 1 << 24, 1 << 32  # purposes: see `sampler`
NO_TARGET = -1
ROUNDS_KEPT = 3  # threads read a little ahead


class Windows(NamedTuple):
    """What a step reads.

    Attributes:
        inputs_BT, targets_BT: token ids; a target of -1 counts for nothing, since a document goes on elsewhere.
        segments_BT: numbers of the pieces.
        continues_B: whether a row goes on with the piece that its row of the step before ended in.
    """

    inputs_BT: np.ndarray
    targets_BT: np.ndarray
    segments_BT: np.ndarray
    continues_B: np.ndarray


class _Round(NamedTuple):
    """(pieces,) source, first token in its shard, whether a piece ends with its document, and the first token in the
    round; `offset` has the end, too."""

    source: np.ndarray
    start: np.ndarray
    ends: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Lanes:
    """Rows of a run, by step; see the module."""

    plan: StreamPlan
    stream: TokenStream
    _kept: dict[int, _Round] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def sources(self) -> list[str]:
        return sorted(self.stream.shards)

    @cached_property
    def quotas(self) -> list[int]:
        """Tokens of each source in a round."""
        read = [name for name in self.sources if self.plan.weights.get(name)]
        least = self.plan.batch_rows * self.plan.row_tokens + 1 + len(read)  # one step at least
        total = max(least, sum(len(self.stream.shards[name]) for name in read))
        return [round(total * self.plan.weights.get(name, 0.0)) for name in self.sources]

    @cached_property
    def round_steps(self) -> int:
        """Steps that a round lasts."""
        return (sum(self.quotas) - 1) // (self.plan.batch_rows * self.plan.row_tokens)

    def windows(self, step: int) -> Windows:
        """What a step reads."""
        number, k = divmod(step, self.round_steps)
        this, B, T = self._round(number), self.plan.batch_rows, self.plan.row_tokens
        begins = self._begins(k)
        piece_BT1 = np.searchsorted(this.offset, begins[:, None] + np.arange(T + 1), side="right") - 1
        ids_BT1 = np.empty((B, T + 1), dtype=np.int64)
        for b, begin in enumerate(begins):
            ids_BT1[b] = np.concatenate([self._ids(this, *part) for part in self._parts(this, begin, begin + T + 1)])
        ended = (ids_BT1[:, 1:] == END_OF_TEXT_ID) & this.ends[piece_BT1[:, :-1]]
        follows = (piece_BT1[:, 1:] == piece_BT1[:, :-1]) | ended
        before = np.searchsorted(this.offset, begins - 1, side="right") - 1
        return Windows(
            ids_BT1[:, :-1],
            np.where(follows, ids_BT1[:, 1:], NO_TARGET),
            piece_BT1[:, :-1].astype(np.int32),
            (before == piece_BT1[:, 0]) & (k > 0),
        )

    def source_of(self, step: int) -> np.ndarray:
        """(B, T) index into `sources` of each input of a step."""
        number, k = divmod(step, self.round_steps)
        this = self._round(number)
        places_BT = self._begins(k)[:, None] + np.arange(self.plan.row_tokens)
        return np.asarray(this.source[np.searchsorted(this.offset, places_BT, side="right") - 1])

    def reads(self, step: int) -> list[tuple[str, int, int]]:
        """(source, begin, end) of all inputs of a step, in tokens of the source's shard."""
        number, k = divmod(step, self.round_steps)
        this, found = self._round(number), []
        for begin in self._begins(k):
            for i, a, b in self._parts(this, begin, begin + self.plan.row_tokens):
                first = int(this.start[i])
                found.append((self.sources[this.source[i]], first + a, first + b))
        return found

    def stretches(self, until: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Where in its shard everything begins and ends that is an input before step `until`, by source."""
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in self.sources}
        B, T = self.plan.batch_rows, self.plan.row_tokens
        for number in range(-(-until // self.round_steps)):
            steps = min(self.round_steps, until - number * self.round_steps)
            this = self._round(number)
            for begin in np.arange(B) * self.round_steps * T:
                a, b = np.maximum(this.offset[:-1], begin), np.minimum(this.offset[1:], begin + steps * T)
                shift = this.start - this.offset[:-1]
                for i, name in enumerate(self.sources):
                    own = (b > a) & (this.source == i)
                    found[name].append(((a + shift)[own], (b + shift)[own]))
        nothing = np.zeros(0, np.int64)
        return {
            name: (np.concatenate([nothing, *(a for a, _ in own)]), np.concatenate([nothing, *(b for _, b in own)]))
            for name, own in found.items()
        }

    def _begins(self, k: int) -> np.ndarray:
        """(B,) where the rows of a round's k-th step begin in it."""
        T = self.plan.row_tokens
        return np.arange(self.plan.batch_rows) * self.round_steps * T + k * T

    def _parts(self, this: _Round, begin: int, end: int) -> list[tuple[int, int, int]]:
        """(piece, begin, end within it) of a stretch of a round."""
        found, i = [], int(np.searchsorted(this.offset, begin, side="right")) - 1
        while begin < end:
            stop = min(end, int(this.offset[i + 1]))
            found.append((i, int(begin - this.offset[i]), int(stop - this.offset[i])))
            begin, i = stop, i + 1
        return found

    def _ids(self, this: _Round, piece: int, begin: int, end: int) -> np.ndarray:
        first = int(this.start[piece])
        return self.stream.shards[self.sources[this.source[piece]]][first + begin : first + end]

    def _round(self, number: int) -> _Round:
        if (found := self._kept.get(number)) is None:
            found = self._kept[number] = self._made(number)
            for other in list(self._kept)[:-ROUNDS_KEPT]:
                self._kept.pop(other, None)
        return found

    def _made(self, number: int) -> _Round:
        pieces = [
            (np.full(len(own[0]), i), *own) for i in range(len(self.sources)) if len((own := self._of(i, number))[0])
        ]
        source, start, length, ends = (np.concatenate(column) for column in zip(*pieces, strict=True))
        n = len(source)
        order = permuted(np.arange(n), n, self.plan.seed, _PIECES + _AGAIN * number)
        offset = np.concatenate([[0], np.cumsum(length[order])])
        return _Round(source[order], start[order], ends[order], offset)

    def _of(self, source: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pieces,) first token and length of a source's pieces in a round; whether they end with their document."""
        name, quota = self.sources[source], self.quotas[source]
        total = len(self.stream.shards[name])
        low, high = number * quota, number * quota + quota
        if not quota:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)
        begins = self.stream.begins(name)
        lengths = np.diff(begins, append=total)
        starts, sizes, whole = [], [], []
        for epoch in range(low // total, (high - 1) // total + 1):
            order = permuted(np.arange(len(begins)), len(begins), self.plan.seed, _DOCUMENTS + source + _AGAIN * epoch)
            ends = epoch * total + lengths[order].cumsum()
            firsts = ends - lengths[order]
            a, b = np.maximum(firsts, low), np.minimum(ends, high)
            read = b > a
            starts.append((begins[order] + a - firsts)[read])
            sizes.append((b - a)[read])
            whole.append((b == ends)[read])
        return np.concatenate(starts), np.concatenate(sizes), np.concatenate(whole)
