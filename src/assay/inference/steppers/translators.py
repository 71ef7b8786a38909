"""Encoder-decoders: the prompt is the source; its keys and values are kept once, however many targets it gets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from assay.inference.protocol import Ids, Writing
from assay.inference.steppers.neural import Reading, Rows, quietly
from assay.inference.steppers.padding import leads, leads_with, shortest, without_padding
from assay.models.attention import PADDING
from assay.models.memory import Memory
from assay.models.seq2seq import Seq2Seq


class Translating(Rows):
    """Targets of an encoder-decoder.

    Args:
        memories: of self-attention, a row each target; of cross-attention, a row each source.
        segments_BS: of the sources; None where none has padding.
        of: the source of each row: as many rows on end for each of them.
        states_BSD: of the sources, until the memories have seen them.
        lead_B: positions of padding before each target; None where no row has any.
    """

    def __init__(
        self,
        model: Seq2Seq,
        memories: list[tuple[Memory, Memory]],
        segments_BS: Tensor | None,
        of: list[int],
        states_BSD: Tensor | None = None,
        lead_B: Tensor | None = None,
    ) -> None:
        super().__init__(model)
        self.memories, self.segments_BS, self.of, self.states_BSD = memories, segments_BS, of, states_BSD
        self.lead_B = lead_B

    def hidden(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.model.hidden(self.states_BSD, ids_BT, self.segments_BS, memories=self.memories, lead_B=self.lead_B)
        self.states_BSD = None
        return x_BTD

    def taken(self, rows_N: Tensor, last: bool) -> Translating:
        """Rows that stay with their sources leave the sources' keys and values where they are."""
        rows = rows_N.tolist()
        of = [self.of[row] for row in rows]
        sources = list(dict.fromkeys(of))
        each, rest = divmod(len(of), len(sources))
        if rest or of != [source for source in sources for _ in range(each)]:
            sources, each = of, 1  # the sources have different numbers of rows: one copy a row
        cross = [memory for _, memory in self.memories]
        segments_BS = self.segments_BS
        if sources != list(range(cross[0].rows)):
            kept = torch.tensor(sources, device=self.device)
            end = None
            if segments_BS is not None:
                segments_BS, end = shortest(segments_BS.index_select(0, kept))
            cross = [memory.take(kept, end=end) for memory in cross]
        lead_N, begin = without_padding(self.lead_B, rows_N)
        memories = [
            (own.take(rows_N, last=last, begin=begin), memory)
            for (own, _), memory in zip(self.memories, cross, strict=True)
        ]
        of = [i for i in range(len(sources)) for _ in range(each)]
        return Translating(self.model, memories, segments_BS, of, lead_B=lead_N)

    def joined(self, other: Translating) -> Translating:
        """Of both, sources with as many rows each; where these numbers differ, one copy a row."""
        one, two = self, other
        if len(one.of) * two._sources != len(two.of) * one._sources:
            one, two = one._apart(), two._apart()
        memories = [
            (own.join(its, ends=True), cross.join(other_cross, ends=False))
            for (own, cross), (its, other_cross) in zip(one.memories, two.memories, strict=True)
        ]
        longest = memories[0][1].length
        segments_BS = None
        if one.segments_BS is not None or two.segments_BS is not None or one._length != two._length:
            segments_BS = torch.cat([rows._segments(longest) for rows in (one, two)])
        of = [*one.of, *(one._sources + source for source in two.of)]
        return Translating(self.model, memories, segments_BS, of, lead_B=leads(one, two))

    def replaced(self, other: Translating, at: Sequence[int]) -> bool:
        """Where each row has a source of its own."""
        alone = len(self.of) == self._sources and len(other.of) == other._sources
        leads_B = leads_with(self, other, at) if alone and other._length <= self._length else None
        if leads_B is None:
            return False
        segments_BS = self._segments(self._length).clone()
        segments_BS[list(at)] = other._segments(self._length)
        if 2 * shortest(segments_BS)[1] < self._length:
            return False
        self.lead_B, self.segments_BS = leads_B, segments_BS
        for (own, cross), (its, its_cross) in zip(self.memories, other.memories, strict=True):
            own.put(its, at, ends=True)
            cross.put(its_cross, at, ends=False)
        return True

    @property
    def _sources(self) -> int:
        return self.memories[0][1].rows

    @property
    def _length(self) -> int:
        """Tokens of the longest source."""
        return self.memories[0][1].length

    def _apart(self) -> Translating:
        """The same rows, with a copy of its source for each."""
        of = torch.tensor(self.of, device=self.device)
        memories = [(own, cross.take(of)) for own, cross in self.memories]
        segments_BS = None if self.segments_BS is None else self.segments_BS.index_select(0, of)
        return Translating(self.model, memories, segments_BS, list(range(len(of))), lead_B=self.lead_B)

    def _segments(self, length: int) -> Tensor:
        """(sources, length), with padding at the ends."""
        own = self.segments_BS
        if own is None:
            own = torch.zeros(self._sources, self._length, dtype=torch.int64, device=self.device)
        return functional.pad(own, (0, length - own.shape[1]), value=PADDING)

    def back(self, count: int) -> None:
        for own, _ in self.memories:
            own.back(count)


class Translators(Reading):
    in_pieces = False  # a source is looked at both ways

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__(model)
        if model.config.positions == "relative":
            self.reads = None

    def history(self, prompt: Ids) -> list[int]:
        return [self.model.config.start]

    def room(self, prompt: Ids) -> int | None:
        """Of the target alone, which `start` begins."""
        return self.reads

    @quietly
    def begin(self, prompts: Sequence[Ids]) -> Writing:
        c, lengths = self.model.config, [len(prompt) for prompt in prompts]
        longest = max(lengths)
        source_BS = torch.tensor([[*p, *[c.padding] * (longest - len(p))] for p in prompts], device=self.device)
        segments_BS = None
        if min(lengths) < longest:
            ends_B = torch.tensor(lengths, device=self.device)
            segments_BS = torch.where(torch.arange(longest, device=self.device) < ends_B[:, None], 0, PADDING)
        states = self.model.encode(source_BS, segments_BS)
        rows = Translating(self.model, self.model.memories(), segments_BS, list(range(len(prompts))), states)
        rows.read(torch.full((len(prompts), 1), c.start, device=self.device))
        return rows
