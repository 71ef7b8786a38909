"""An engine as what `inference` asks of a model: so sampling, beams, stops and likelihoods are those of our own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError
from assay.export.runners.engine import Rows, Writer
from assay.inference.protocol import Ids, Writing

CPU = torch.device("cpu")


class Stepping:
    """See `inference.protocol.Stepper`."""

    def __init__(self, engine: Writer) -> None:
        self.engine, self.device = engine, CPU
        self.vocabulary: int = engine.facts["vocabulary"]
        self.reads: int | None = engine.facts["positions"]
        self.in_pieces = not self.translates

    @property
    def translates(self) -> bool:
        return bool(self.engine.facts["kind"] == "translator")

    def history(self, prompt: Ids) -> list[int]:
        return [self.engine.facts["start"]] if self.translates else list(prompt)

    def room(self, prompt: Ids) -> int | None:
        """The last token that is written is not read; of a target the first one is given."""
        if self.reads is None:
            return None
        return self.reads if self.translates else self.reads - len(prompt) + 1

    def begin(self, prompts: Sequence[Ids]) -> Writing:
        return Written(self.engine.begin(prompts))


class Written:
    """See `inference.protocol.Writing`. An engine tells no states."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._marked: tuple[Rows, list[np.ndarray]] | None = None  # rows as they were, and what was read since

    def logits(self) -> Tensor:
        return torch.from_numpy(self.rows.logits)

    def step(self, ids_B: Tensor) -> None:
        self.read(ids_B[:, None])

    def read(self, ids_BT: Tensor) -> None:
        self.extend(ids_BT)

    def extend(self, ids_BT: Tensor) -> Tensor:
        ids = ids_BT.numpy()
        logits_BTV = self.rows.read(ids)
        self.rows.logits = logits_BTV[:, -1]
        if self._marked is not None:
            self._marked[1].append(ids)
        return torch.from_numpy(logits_BTV)

    def states(self) -> None:
        return None

    def mark(self) -> None:
        every = np.arange(len(self.rows.logits))
        self._marked = self.rows.take(every), []

    def back(self, count: int) -> None:
        """From the mark on, what stays is read again."""
        assert self._marked is not None
        begun, read = self._marked
        kept = np.concatenate(read, axis=1)[:, : sum(ids.shape[1] for ids in read) - count]
        self.rows = begun
        self.mark()
        if kept.shape[1]:
            self.read(torch.from_numpy(kept))

    def join(self, other: Writing) -> Writing:
        """Of an encoder-decoder, targets would have to begin together.

        Raises:
            InputError: it is one.
        """
        assert isinstance(other, Written)
        if self.rows.engine.facts["kind"] == "translator":
            what = "rows of an exported encoder-decoder join no others"
            raise InputError(what, where="batch", remedy="write what is asked together, or give the model itself")
        return Written(self.rows.join(other.rows))

    def put(self, other: Writing, at: Sequence[int]) -> bool:
        return False

    def take(self, rows_N: Tensor, *, last: bool = False) -> Written:
        return Written(self.rows.take(rows_N.numpy()))

    def follow(self, ids_BT: Tensor) -> tuple[Tensor, Tensor]:
        counted = ids_BT >= 0
        if not ids_BT.numel():
            return torch.zeros(ids_BT.shape), torch.ones_like(counted)
        first = self.rows.logits[:, None]
        given = ids_BT.clamp_min(0).numpy()
        later = [self.rows.read(given[:, :-1])] if given.shape[1] > 1 else []
        logits_BTV = torch.from_numpy(np.concatenate([first, *later], axis=1))
        at = ids_BT.clamp_min(0)[:, :, None]
        scores = logits_BTV.log_softmax(-1).gather(-1, at).squeeze(-1)
        best = logits_BTV.gather(-1, at).squeeze(-1) >= logits_BTV.amax(-1)
        return scores.masked_fill(~counted, 0.0), best | ~counted
