"""Loss of held-out pairs under an encoder-decoder: of each target, given its source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch
from torch import nn

from assay.models.attention import PADDING
from assay.models.protocol import Model, check_ids
from assay.tokens.pairs import PairStream
from assay.train.evaluate import Evaluation
from assay.train.objectives import Pairs

_ALL = ""  # the name of the one shard in which pairs of all sources stand


@dataclass(frozen=True)
class HeldPairs:
    """Pairs of a held-out stream; the loss is that of the targets' tokens and ends, none of it smoothed.

    Attributes:
        spans: of the stream (`pack.SPANS`).
        token_bytes: (V,) bytes that each token spells; None where bits per byte say nothing.
        budget: tokens a source, at most (but one pair at least).
    """

    stream: PairStream
    spans: pl.DataFrame
    objective: Pairs
    token_bytes: np.ndarray | None
    row_tokens: int
    budget: int
    batch_rows: int = 32

    @cached_property
    def chosen(self) -> pl.DataFrame:
        """Rows of `spans`: of each source the first ones by id, which is a hash; none that is longer than a row."""
        fitting = self.spans.filter(pl.col("length") <= self.row_tokens).sort("source", "doc_id")
        so_far = pl.col("length").cum_sum().over("source")
        return fitting.filter((so_far <= self.budget) | (so_far == pl.col("length")))

    @cached_property
    def _laid_out(self) -> PairStream:
        places = self.chosen.select("source", "start", "length").iter_rows()
        pairs = [self.stream.shards[source][start : start + length] for source, start, length in places]
        return PairStream({_ALL: np.concatenate(pairs)})

    @torch.inference_mode()
    def evaluate(self, model: Model, device: str = "cpu") -> Evaluation:
        """The loss of each pair; a pair's target alone is counted.

        Raises:
            InputError: there are token ids that the model has not.
        """
        assert isinstance(model, nn.Module)
        check_ids(model, *self.stream.bounds, where="held-out text")
        training = model.training
        model.eval()  # nothing is dropped
        n_rows, found = self._laid_out.n_rows(_ALL, self.row_tokens), np.zeros((3, len(self.chosen)))
        first = 0  # pair of the batch
        for begin in range(0, n_rows, self.batch_rows):
            rows = range(begin, min(n_rows, begin + self.batch_rows))
            batch = self.objective(np.stack([self._laid_out.row(_ALL, row, self.row_tokens) for row in rows]))
            losses_BT = model.loss(batch.to(device)).losses_BT.double().cpu().numpy()
            assert batch.segments_BT is not None
            pair_BT, targets_BT = batch.segments_BT.numpy(), batch.targets_BT.numpy()
            counts = pair_BT.max(axis=1) + 1  # of pairs in each row
            counted = pair_BT != PADDING
            owner = (pair_BT + (first + counts.cumsum() - counts)[:, None])[counted]
            spelled = np.zeros(owner.shape) if self.token_bytes is None else self.token_bytes[targets_BT[counted]]
            columns = (np.ones(owner.shape), spelled, losses_BT[counted])
            found += np.stack([np.bincount(owner, column, len(self.chosen)) for column in columns])
            first += int(counts.sum())
        model.train(training)
        n_tokens, n_bytes, nll = found
        return Evaluation(
            self.chosen.select(
                "doc_id", "source", "unit",
                pl.Series("n_tokens", n_tokens.astype(np.int64)), pl.Series("n_bytes", n_bytes.astype(np.int64)),
                pl.Series("nll", nll),
            )
        )  # fmt: skip
