"""Decoders: keys and values of the prompt, grown by each token."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from assay.inference.protocol import Ids, Writing, padded_before
from assay.inference.steppers.neural import Reading, Rows, quietly
from assay.inference.steppers.padding import leads, leads_with, without_padding
from assay.models.decoder import Decoder
from assay.models.memory import Memory
from assay.models.stepping import Steps


class Decoding(Rows):
    """Rows of a decoder.

    Args:
        lead_B: tokens of padding before each; None where no row has any.
        steps: a shorter way for one token a row; None: the model has more to it.
    """

    def __init__(
        self, model: Decoder, memories: list[tuple[Memory, Memory]], lead_B: Tensor | None, steps: Steps | None
    ) -> None:
        super().__init__(model)
        self.memories, self.lead_B, self.steps = memories, lead_B, steps

    def hidden(self, ids_BT: Tensor) -> Tensor:
        if self.steps is not None and ids_BT.shape[1] == 1 and self.memories[0][0].length:
            return self.steps.hidden(ids_BT[:, 0], self.memories, self.lead_B)
        return self.model.hidden(ids_BT, None, self.memories, self.lead_B)

    def taken(self, rows_N: Tensor, last: bool) -> Decoding:
        lead_N, begin = without_padding(self.lead_B, rows_N)
        memories = [(own.take(rows_N, last=last, begin=begin), cross) for own, cross in self.memories]
        return Decoding(self.model, memories, lead_N, self.steps)

    def joined(self, other: Decoding) -> Decoding:
        pairs = zip(self.memories, other.memories, strict=True)
        memories = [(own.join(its, ends=True), cross) for (own, cross), (its, _) in pairs]
        return Decoding(self.model, memories, leads(self, other), self.steps)

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
        ragged = len({len(p) for p in prompts}) > 1
        steps = Steps(self.model) if Steps.possible(self.model) else None
        rows = Decoding(self.model, self.model.memories(), lead_B if ragged else None, steps)
        rows.read(ids_BT)
        return rows
