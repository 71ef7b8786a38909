"""Decoders: keys and values of the prompt, grown by each token."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from assay.inference.protocol import Ids, Writing, padded_before
from assay.inference.steppers.neural import Reading, Rows, quietly
from assay.inference.steppers.padding import leads, leads_with, without_padding
from assay.models.decoder import Decoder
from assay.models.memory import Memory


class Decoding(Rows):
    """Rows of a decoder.

    Args:
        lead_B: tokens of padding before each; None where no row has any.
    """

    def __init__(self, model: Decoder, memories: list[tuple[Memory, Memory]], lead_B: Tensor | None) -> None:
        super().__init__(model)
        self.memories, self.lead_B = memories, lead_B

    def hidden(self, ids_BT: Tensor) -> Tensor:
        return self.model.hidden(ids_BT, None, self.memories, self.lead_B)

    def taken(self, rows_N: Tensor, last: bool) -> Decoding:
        lead_N, begin = without_padding(self.lead_B, rows_N)
        memories = [(own.take(rows_N, last=last, begin=begin), cross) for own, cross in self.memories]
        return Decoding(self.model, memories, lead_N)

    def joined(self, other: Decoding) -> Decoding:
        pairs = zip(self.memories, other.memories, strict=True)
        memories = [(own.join(its, ends=True), cross) for (own, cross), (its, _) in pairs]
        return Decoding(self.model, memories, leads(self, other))

    def replaced(self, other: Decoding, at: Sequence[int]) -> bool:
        leads_B = leads_with(self, other, at)
        if leads_B is None:
            return False
        self.lead_B = leads_B
        for (own, _), (its, _) in zip(self.memories, other.memories, strict=True):
            own.put(its, at, ends=True)
        return True

    def back(self, count: int) -> None:
        for own, _ in self.memories:
            own.back(count)


class Decoders(Reading):
    @quietly
    def begin(self, prompts: Sequence[Ids]) -> Writing:
        ids_BT, lead_B = padded_before(prompts, 0, self.device)
        rows = Decoding(self.model, self.model.memories(), lead_B if len({len(p) for p in prompts}) > 1 else None)
        rows.read(ids_BT)
        return rows
