"""What generation keeps of one attention layer: keys and values of the tokens so far, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Memory:
    """Keys and values of one attention layer that generation keeps: (B, G, S, K) each, grown by what is new.

    They lie in buffers (B, size, G, K) that double when they are full, so that a step copies what is new and not what
    is old, and what is filled of a row lies on end, so that taking rows copies whole stretches.
    """

    def __init__(self) -> None:
        self._both: tuple[Tensor, ...] | None = None
        self._spare: tuple[Tensor, ...] | None = None  # where the rows lay that these were taken from
        self.length = 0  # S

    @property
    def rows(self) -> int:
        """B; 0 where it is empty."""
        return 0 if self._both is None else self._both[0].shape[0]

    def all(self) -> tuple[Tensor, Tensor]:
        """Keys and values so far."""
        if self._both is None:
            raise ValueError("nothing is remembered")
        k, v = (x[:, : self.length].transpose(1, 2) for x in self._both)
        return k, v

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add new keys and values; returns all."""
        new = k.transpose(1, 2), v.transpose(1, 2)
        start, self.length = self.length, self.length + k.shape[2]
        if self._both is None:
            self._both = new
        elif torch.is_grad_enabled() and k.requires_grad:  # a backward pass needs what is old as it was
            pairs = zip(self._both, new, strict=True)
            self._both = tuple(torch.cat([old[:, :start], more], dim=1) for old, more in pairs)
        else:
            if self.length > self._both[0].shape[1]:
                self._both = tuple(self._grown(x, start) for x in self._both)
            for buffer, more in zip(self._both, new, strict=True):
                buffer[:, start : self.length] = more
        return self.all()

    def append(self, k_BGK: Tensor, v_BGK: Tensor) -> tuple[Tensor, Tensor]:
        """`extend` by one position, without gradients."""
        at = self.length
        if self._both is None or at == self._both[0].shape[1]:
            return self.extend(k_BGK[:, :, None], v_BGK[:, :, None])
        self.length = at + 1
        keys, values = self._both
        keys[:, at], values[:, at] = k_BGK, v_BGK
        return keys[:, : at + 1].transpose(1, 2), values[:, : at + 1].transpose(1, 2)

    def _grown(self, old: Tensor, filled: int) -> Tensor:
        B, size, G, K = old.shape
        new = old.new_empty(B, max(self.length, 2 * size), G, K)
        new[:, :filled] = old[:, :filled]
        return new

    def back(self, count: int) -> None:
        """Forget the last positions."""
        self.length -= count

    @torch.no_grad()
    def take(self, rows_N: Tensor, *, last: bool = False, begin: int = 0, end: int | None = None) -> Memory:
        """A memory of these rows, in this order, each as often as it is named.

        Args:
            last: this one is not asked for anything more, and the next one taken may lie where it lay. New pages from
                the system cost three times what copying into old ones does. Otherwise it stays as it is.
            begin, end: the stretch of positions that is kept.
        """
        taken, end = Memory(), self.length if end is None else end
        if self._both is not None:
            spare = self._spare if last and self._spare is not None else (None, None)
            taken.length, taken._spare = end - begin, self._both if last else None
            pairs = zip(self._both, spare, strict=True)
            taken._both = tuple(self._taken(x[:, begin:end], x.shape[1], rows_N, old) for x, old in pairs)
        return taken

    def _taken(self, x: Tensor, size: int, rows_N: Tensor, spare: Tensor | None) -> Tensor:
        (_, filled, G, K), N = x.shape, len(rows_N)
        size = size if filled < size else 2 * size
        if 4 * filled < size:  # what was long has left
            size = 2 * filled
        fits = spare is not None and spare.shape[0] >= N and size <= spare.shape[1] <= 4 * size
        new = spare[:N] if spare is not None and fits else x.new_empty(N, size, G, K)
        torch.index_select(x, 0, rows_N, out=new[:, :filled])
        return new

    @torch.no_grad()
    def put(self, other: Memory, at: Sequence[int], *, ends: bool) -> None:
        """The rows of another memory, which is no longer than this one, take the places of some of this one's: at
        their ends, or at their beginnings. What is around them there stays, and has to be hidden."""
        assert self._both is not None
        assert other._both is not None
        begin = self.length - other.length if ends else 0
        for buffer, own in zip(self._both, other._both, strict=True):
            for row, place in enumerate(at):
                buffer[place, begin : begin + other.length] = own[row, : other.length]

    @torch.no_grad()
    def join(self, other: Memory, *, ends: bool) -> Memory:
        """A memory of this one's rows and, behind them, another's; both stay as they are.

        Args:
            ends: rows of two lengths end together, with zeros before the shorter ones; else they begin together.
        """
        assert self._both is not None
        assert other._both is not None
        joined = Memory()
        joined.length = max(self.length, other.length)
        pairs = zip(self._both, other._both, strict=True)
        joined._both = tuple(self._joined(x, y[:, : other.length], joined.length, ends) for x, y in pairs)
        return joined

    def _joined(self, x: Tensor, y: Tensor, length: int, ends: bool) -> Tensor:
        x = x[:, : self.length]
        size = length + max(16, length // 2) if ends else length  # a source does not grow
        new = x.new_empty(len(x) + len(y), size, *x.shape[2:])
        for rows, old in ((new[: len(x)], x), (new[len(x) :], y)):
            short = length - old.shape[1]
            begin = short if ends else 0
            rows[:, begin : begin + old.shape[1]] = old
            # Hidden from all, but a probability of nothing times what is no number is no number.
            rows[:, :begin] = 0
            rows[:, begin + old.shape[1] : length] = 0
        return new
