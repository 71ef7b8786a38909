"""N-gram models: the last tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from assay.inference.protocol import Ids, Writing
from assay.inference.steppers.neural import scored
from assay.models.ngram import KneserNey


class Counting:
    """Rows of an n-gram model."""

    def __init__(self, model: KneserNey, texts: list[list[int]], known_BV: Tensor | None = None) -> None:
        self.model, self.texts = model, texts
        # A token that has no probability has a logarithm all the same: minus infinity.
        self._known = torch.from_numpy(model.next_probabilities(texts)).log() if known_BV is None else known_BV

    def logits(self) -> Tensor:
        return self._known

    def step(self, ids_B: Tensor) -> None:
        self.read(ids_B[:, None])

    def states(self) -> None:
        return None

    def mark(self) -> None:
        pass

    def extend(self, ids_BT: Tensor) -> Tensor:
        found = []
        for ids_B in ids_BT.T:
            self.step(ids_B)
            found.append(self._known)
        return torch.stack(found, dim=1)

    def back(self, count: int) -> None:
        self.texts = [text[: len(text) - count] for text in self.texts]

    def take(self, rows_N: Tensor, *, last: bool = False) -> Counting:
        return Counting(self.model, [self.texts[row] for row in rows_N.tolist()], self._known[rows_N])

    def join(self, other: Any) -> Counting:
        return Counting(self.model, [*self.texts, *other.texts], torch.cat([self._known, other._known]))

    def put(self, other: Any, at: Sequence[int]) -> bool:
        for place, text in zip(at, other.texts, strict=True):
            self.texts[place] = text
        self._known = self._known.index_copy(0, torch.tensor(at), other._known)
        return True

    def read(self, ids_BT: Tensor) -> None:
        texts = [[*text, *ids] for text, ids in zip(self.texts, ids_BT.tolist(), strict=True)]
        self.texts, self._known = texts, Counting(self.model, texts).logits()

    def follow(self, ids_BT: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for ids_B in ids_BT.T:
            found.append(scored(self._known, ids_B))
            self.step(ids_B.clamp_min(0))
        counted = ids_BT >= 0
        if not found:
            return torch.zeros(ids_BT.shape, dtype=torch.float64), torch.ones_like(counted)
        scores, best = (torch.stack(part, dim=1) for part in zip(*found, strict=True))
        return scores.masked_fill(~counted, 0.0), best | ~counted


class NGrams:
    in_pieces = True

    def __init__(self, model: KneserNey) -> None:
        self.model, self.vocabulary, self.device = model, model.vocabulary, torch.device("cpu")
        self.reads: int | None = None

    def history(self, prompt: Ids) -> list[int]:
        return list(prompt)

    def room(self, prompt: Ids) -> int | None:
        return None

    def begin(self, prompts: Sequence[Ids]) -> Writing:
        return Counting(self.model, [list(p) for p in prompts])
