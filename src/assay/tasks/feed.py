"""Items -> batches, for training (a pure function of the step) and for asking (the longest first).

    items --order of an epoch--> groups of much the same length --pads--> batch

An epoch is a random order of all items, cut into groups of some dozens of batches; within a group items of one length
stand together, so that little is padding, and batches come in random order again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from assay.models.attention import PADDING
from assay.models.protocol import Batch, Model
from assay.tasks.protocol import Item

GROUP = 50  # batches among which items are sorted by length


def collated(items: Sequence[Item], *, kinds: bool = False, causal: bool = False) -> Batch:
    """A batch of items, filled up at their ends.

    Args:
        kinds: with token types, where the model tells them apart.
        causal: the model looks back alone, and so never at what fills a row; nobody has to be told where that is.
    """
    B, T = len(items), max(len(item.ids) for item in items)
    ids, segments = np.zeros((B, T), np.int64), np.full((B, T), PADDING, np.int64)
    types, marks = np.zeros((B, T), np.int64), np.zeros((B, T), bool)
    wide = max(len(item.targets) for item in items)
    targets = np.full((B, wide), -1, np.int64)
    marked = any(item.marks is not None for item in items)
    for i, item in enumerate(items):
        n = len(item.ids)
        ids[i, :n], segments[i, :n] = item.ids, 0 if item.segments is None else item.segments
        targets[i, : len(item.targets)] = item.targets
        if item.kinds is not None:
            types[i, :n] = item.kinds
        if item.marks is not None:
            marks[i, :n] = item.marks
    if marked and wide > 2 and wide < T:  # tags: as wide as the ids
        targets = np.pad(targets, ((0, 0), (0, T - wide)), constant_values=-1)
    whole = any(item.segments is not None for item in items) if causal else bool((segments == PADDING).any())
    values = [item.values for item in items if item.values is not None]
    sources = [item.source for item in items if item.source is not None]
    source, source_segments = _padded(sources) if sources else (None, None)
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(targets),
        torch.from_numpy(segments) if whole else None,
        torch.from_numpy(types) if kinds else None,
        source,
        source_segments,
        marks_BT=torch.from_numpy(marks) if marked else None,
        values_BN=torch.from_numpy(np.stack(values).astype(np.float32)) if values else None,
        taught_BNL=_rows([item.taught for item in items], T),
        states_BND=_rows([item.states for item in items], T),
    )


def _rows(found: Sequence[np.ndarray | None], T: int) -> torch.Tensor | None:
    """(B, N, L) of (n, L) each, N = 1 or T; None where one item has none."""
    rows = [own for own in found if own is not None]
    if len(rows) < len(found):
        return None
    out = np.zeros((len(rows), 1 if all(len(own) == 1 for own in rows) else T, rows[0].shape[1]), np.float32)
    for i, own in enumerate(rows):
        out[i, : len(own)] = own
    return torch.from_numpy(out)


def _padded(sources: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, S) ids and segments of what an encoder-decoder reads."""
    ids = np.zeros((len(sources), max(map(len, sources))), np.int64)
    segments = np.full(ids.shape, PADDING, np.int64)
    for i, source in enumerate(sources):
        ids[i, : len(source)], segments[i, : len(source)] = source, 0
    return torch.from_numpy(ids), torch.from_numpy(segments)


@dataclass(frozen=True)
class ItemFeed:
    """Batches of training items by step.

    Attributes:
        rows: items a step.
        where: of each item the row of its file.
        names, sources_of: the sources, and of each item the number of its own; one source where nothing is given.
        kinds, causal: as in `collated`.
        together: items that stay next to one another (pairs: 2).
    """

    items: Sequence[Item]
    rows: int
    seed: int
    where: Sequence[str]
    names: list[str] = field(default_factory=lambda: ["train"])
    sources_of: Sequence[int] = ()
    kinds: bool = False
    causal: bool = False
    together: int = 1

    @property
    def steps_an_epoch(self) -> int:
        return -(-(len(self.items) // self.together) // max(1, self.rows // self.together))

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest token id."""
        return min(int(i.ids.min()) for i in self.items), max(int(i.ids.max()) for i in self.items)

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.array([item.size for item in self.items])

    @cached_property
    def _epochs(self) -> dict[int, list[np.ndarray]]:
        return {}

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        """The items of each batch of an epoch."""
        if (found := self._epochs.get(epoch)) is None:
            found = self._epochs[epoch] = self._ordered(np.random.default_rng([self.seed, epoch]))
            self._epochs.pop(epoch - 2, None)  # threads may still read the one before
        return found

    def _ordered(self, rng: np.random.Generator) -> list[np.ndarray]:
        k = self.together
        sizes = self._sizes.reshape(-1, k).max(axis=1)
        order = rng.permutation(len(sizes))
        batches: list[np.ndarray] = []
        rows = max(1, self.rows // k)
        for begin in range(0, len(order), GROUP * rows):
            own = order[begin : begin + GROUP * rows]
            own = own[np.argsort(sizes[own], kind="stable")]
            batches += [own[i : i + rows] for i in range(0, len(own), rows)]
        whole = [(units[:, None] * k + np.arange(k)).ravel() for units in batches]
        return [whole[i] for i in rng.permutation(len(whole))]

    def chosen(self, step: int) -> np.ndarray:
        """Numbers of the items of a step."""
        epoch, number = divmod(step, self.steps_an_epoch)
        return self._epoch(epoch)[number]

    def batch(self, step: int) -> Batch:
        return collated([self.items[i] for i in self.chosen(step)], kinds=self.kinds, causal=self.causal)

    def sources(self, step: int) -> np.ndarray:
        own = self.chosen(step)
        return np.array(self.sources_of)[own] if len(self.sources_of) else np.zeros(len(own), int)

    def rows_of(self, step: int) -> list[str]:
        """The rows of files that a step reads, for errors."""
        return sorted({self.where[i] for i in self.chosen(step).tolist()})

    def tokens(self, until: int) -> int:
        """Tokens, without what fills rows, of so many steps: those of whole epochs, and their mean a step of the rest,
        so that it does not depend on their order."""
        return int(self._sizes.sum() * until / self.steps_an_epoch)

    def flops_per_token(self, model: Model) -> float:
        return model.flops_per_token(int(self._sizes.mean()))


def by_length(items: Sequence[Item], rows: int, together: int = 1) -> Iterator[np.ndarray]:
    """Numbers of items, so many at a time, those of much the same length together, the longest first."""
    sizes = np.array([item.size for item in items]).reshape(-1, together).max(axis=1)
    order = np.argsort(-sizes, kind="stable")
    step = max(1, rows // together)
    for begin in range(0, len(order), step):
        yield (order[begin : begin + step, None] * together + np.arange(together)).ravel()


def packed(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """Items on end in rows of at most so many tokens, each a text of its own there: in a random order, each into the
    first of the open rows that has room (first fit, of some dozens)."""
    order = np.random.default_rng([seed, 7]).permutation(len(items))
    done: list[list[Item]] = []
    open_rows: list[list[Item]] = []
    room: list[int] = []
    for i in order.tolist():
        item = items[i]
        at = next((k for k, left in enumerate(room) if left >= len(item.ids)), None)
        if at is None:
            open_rows.append([])
            room.append(most)
            at = len(room) - 1
        open_rows[at].append(item)
        room[at] -= len(item.ids)
        if len(room) > GROUP:
            fullest = int(np.argmin(room))
            done.append(open_rows.pop(fullest))
            room.pop(fullest)
    return [_joined(row) for row in (*done, *open_rows)]


def _joined(row: Sequence[Item]) -> Item:
    numbers = np.repeat(np.arange(len(row)), [len(item.ids) for item in row])
    ids, targets = (np.concatenate([getattr(item, name) for item in row]) for name in ("ids", "targets"))
    return Item(row[0].example, ids, targets, segments=numbers)
