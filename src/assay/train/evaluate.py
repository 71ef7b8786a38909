"""Loss of held-out text under a model.

Documents   windows of documents, each next token after those before it         decoders, recurrent models, n-grams
Rows        rows of a held-out stream under the objective of training, the losses told apart by the document that
            each position belongs to                                            encoders, encoder-decoders
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl
import torch
from torch import nn

from assay.metrics.ratio import Ratio
from assay.models.ngram import KneserNey
from assay.models.protocol import Batch, Model, check_ids
from assay.models.stacked import StackedDecoder
from assay.tokens.evalset import EvalSet
from assay.tokens.sampler import permuted
from assay.tokens.stream import END_OF_TEXT_ID, TokenStream
from assay.train.objectives import Objective

LN2 = float(np.log(2))
MOST_AT_ONCE = 512  # tokens of a window of a model that carries its state
_MOST_NATS = 700.0  # e to the power of more is beyond float64


def perplexity_of(loss: float) -> float:
    """exp(loss) of a loss in nats a token; at most e^700, where floating point ends."""
    return math.exp(min(loss, _MOST_NATS))


@torch.inference_mode()
def document_nll(
    model: Model, data: EvalSet, device: str = "cpu", batch_rows: int = 32, window: int | None = None
) -> np.ndarray:
    """Summed negative log-likelihood (nats) of each document's counted tokens, (documents,) float64.

    Args:
        window: tokens at a time of a model that carries its state, which sees each document whole however long that
            is; the losses do not depend on it. None: a row, at most MOST_AT_ONCE.

    Raises:
        InputError: there are token ids that the model has not.
    """
    assert isinstance(model, nn.Module)
    _check(model, data)
    training = model.training
    model.eval()  # nothing is dropped
    total = np.zeros(len(data.documents))
    if getattr(model.config, "carried", False):
        found = _carried(model, data, device, batch_rows, window or min(data.inputs_RT.shape[1], MOST_AT_ONCE))
    else:
        found = _row_by_row(model, data, device, batch_rows)
    for owner, losses in found:
        counted = owner >= 0
        total += np.bincount(owner[counted], weights=losses[counted], minlength=len(total))
    model.train(training)
    return total


@torch.inference_mode()
def member_nll(model: StackedDecoder, data: EvalSet, device: str = "cpu", batch_rows: int = 32) -> np.ndarray:
    """(M, documents) float64: what `document_nll` is, of each member of a stack; all read the same rows together.

    Raises:
        InputError: as `document_nll`.
    """
    M, n = model.members, len(data.documents)
    _check(model, data)
    training = model.training
    model.eval()
    total = np.zeros(M * n)
    for start in range(0, len(data.inputs_RT), batch_rows):
        rows = slice(start, start + batch_rows)
        owner = data.document_RT[rows]
        given = (torch.from_numpy(values).to(device) for values in (data.inputs_RT[rows], data.targets_RT[rows], owner))
        losses = model.loss(Batch(*(tensor.repeat(M, 1) for tensor in given))).losses_BT.double().cpu().numpy()
        counted = np.tile(owner >= 0, (M, 1))
        place = np.repeat(np.arange(M) * n, len(owner))[:, None] + np.tile(owner, (M, 1))
        total += np.bincount(place[counted], losses[counted], len(total))
    model.train(training)
    return total.reshape(M, n)


def _check(model: Model, data: EvalSet) -> None:
    highest = max(int(data.inputs_RT.max()), int(data.targets_RT.max()))
    check_ids(model, int(data.inputs_RT.min()), highest, "held-out text")


Found = Iterator[tuple[np.ndarray, np.ndarray]]
"""The document of some positions, -1 for none, and their losses."""


def _row_by_row(model: Model, data: EvalSet, device: str, batch_rows: int) -> Found:
    for start in range(0, len(data.inputs_RT), batch_rows):
        rows = slice(start, start + batch_rows)
        owner = data.document_RT[rows]
        given = (torch.from_numpy(values) for values in (data.inputs_RT[rows], data.targets_RT[rows], owner))
        yield owner, model.loss(Batch(*given).to(device)).losses_BT.double().cpu().numpy()


def _carried(model: Any, data: EvalSet, device: str, lanes: int, window: int) -> Found:
    """Window by window along lanes of whole documents: a state goes on in the next window, unless that begins with
    another document."""
    places_LN = _lanes(data, lanes)
    # The last one is what fills: index -1.
    inputs, targets, owner = (
        np.append(values.ravel(), filling)
        for values, filling in ((data.inputs_RT, END_OF_TEXT_ID), (data.targets_RT, -1), (data.document_RT, -1))
    )
    state_BS = torch.zeros(len(places_LN), model.state_size, device=device)
    before_B = np.full(len(places_LN), -1)
    for begin in range(0, places_LN.shape[1], window):
        places_BT = places_LN[places_LN[:, begin] >= 0, begin : begin + window]  # the longest lanes come first
        B, owner_BT = len(places_BT), owner[places_BT]
        goes_on = torch.from_numpy(owner_BT[:, 0] == before_B[:B]).to(device)
        given = (torch.from_numpy(values) for values in (inputs[places_BT], targets[places_BT], owner_BT))
        batch = replace(Batch(*given).to(device), state_BS=state_BS[:B].where(goes_on[:, None], 0.0))
        loss = model.loss(batch)
        state_BS, before_B = loss.state_BS, owner_BT[:, -1]
        yield owner_BT, loss.losses_BT.double().cpu().numpy()


def _lanes(data: EvalSet, count: int) -> np.ndarray:
    """(lanes, longest) places in the flat rows of whole documents on end, -1 behind a lane's end: each document, the
    longest first, goes to the lane that is shortest; the longest lane comes first."""
    owner = data.document_RT.ravel()
    places = np.flatnonzero(owner >= 0)
    documents = np.split(places, np.flatnonzero(np.diff(owner[places])) + 1)
    made: list[list[np.ndarray]] = [[] for _ in range(min(count, len(documents)))]
    lengths = [(0, lane) for lane in range(len(made))]
    for document in sorted(documents, key=len, reverse=True):
        length, lane = heapq.heappop(lengths)
        made[lane].append(document)
        heapq.heappush(lengths, (length + len(document), lane))
    joined = sorted((np.concatenate(lane) for lane in made), key=len, reverse=True)
    out = np.full((len(joined), len(joined[0])), -1)
    for lane, own in enumerate(joined):
        out[lane, : len(own)] = own
    return out


def ngram_nll(model: KneserNey, data: EvalSet) -> np.ndarray:
    """What `document_nll` is, of an n-gram model: (documents,) float64, in nats."""
    document = data.document_RT.ravel()
    counted = document >= 0
    document, inputs, targets = document[counted], data.inputs_RT.ravel()[counted], data.targets_RT.ravel()[counted]
    first = np.flatnonzero(np.diff(document, prepend=-1))  # each window is its first input, then its targets
    tokens = np.insert(targets, first, inputs[first])
    cuts = first + np.arange(len(first))
    nll = -model.log_probabilities(tokens, cuts)
    return np.bincount(np.insert(document, first, document[first]), nll, len(data.documents))


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        units: one row a document (or a window of one): `doc_id`, `source`, `unit` (what was drawn by chance),
            `n_tokens` that are predicted, `n_bytes` that they spell (0 where that says nothing), `nll` in nats.
    """

    units: pl.DataFrame

    @property
    def criterion(self) -> float:
        """What decides which weights are kept: lower is better."""
        return self.loss

    @property
    def measured(self) -> dict[str, float]:
        """What else is told of it, by name."""
        return {}

    @property
    def loss(self) -> float:
        """Nats a predicted token."""
        return self.sum("nll") / max(1.0, self.sum("n_tokens"))

    @property
    def bits_per_byte(self) -> float | None:
        """None where the objective does not spell the text."""
        n_bytes = self.sum("n_bytes")
        return self.sum("nll") / LN2 / n_bytes if n_bytes else None

    def sum(self, column: str) -> float:
        """Over all units."""
        return float(self.units[column].to_numpy().sum())

    def by_source(self) -> dict[str, Evaluation]:
        """The same of each source alone."""
        return {str(name): Evaluation(own) for (name,), own in sorted(self.units.group_by("source"))}

    def ratio(self, per: str, scale: float = 1.0) -> Ratio:
        """nll * `scale` over the column `per`, with its standard error from the choice of units."""
        summed = self.units.group_by("source", "unit", maintain_order=True).agg(pl.col("nll").sum(), pl.col(per).sum())
        return Ratio.of(summed["nll"].to_numpy() * scale, summed[per].to_numpy().astype(float))

    def measures(self, level: float) -> dict[str, Any]:
        """`loss` (nats a token), `perplexity` and, where tokens spell the text, `bits_per_byte`: each its `value` and
        its `interval` over what was drawn by chance."""
        loss = self.ratio("n_tokens")
        interval = loss.interval(level)
        made: dict[str, Any] = {
            "loss": {"value": loss.value, "interval": interval},
            "perplexity": {
                "value": perplexity_of(loss.value),
                "interval": interval and tuple(map(perplexity_of, interval)),
            },
        }
        if self.bits_per_byte is not None:
            bits = self.ratio("n_bytes", 1 / LN2)
            made["bits_per_byte"] = {"value": bits.value, "interval": bits.interval(level)}
        return made


class HeldOut(Protocol):
    """Text that a model is evaluated on."""

    def evaluate(self, model: Model, device: str = "cpu") -> Evaluation: ...


@dataclass(frozen=True)
class Documents:
    """Windows of documents.

    Attributes:
        spelled: whether the tokens spell the text, so that bits per byte mean something.
        window: as in `document_nll`.
    """

    data: EvalSet
    spelled: bool = True
    window: int | None = None

    def evaluate(self, model: Model, device: str = "cpu") -> Evaluation:
        return self.with_nll(document_nll(model, self.data, device, window=self.window))

    def with_nll(self, nll: np.ndarray) -> Evaluation:
        """The evaluation of whatever has found the (documents,) losses in nats."""
        columns = [pl.Series("nll", nll), *([] if self.spelled else [pl.lit(0).alias("n_bytes")])]
        return Evaluation(self.data.documents.with_columns(columns))


@dataclass(frozen=True)
class Rows:
    """Rows of a held-out stream under an objective, the same ones with the same draws at every evaluation.

    Attributes:
        spans: of the stream's documents: `doc_id`, `source`, `unit`, `start`.
        budget: tokens a source, at most.
    """

    stream: TokenStream
    spans: pl.DataFrame
    row_tokens: int
    objective: Objective
    budget: int
    batch_rows: int = 32

    def chosen(self) -> list[tuple[str, int]]:
        """(source, row) of every row, sources in turn so that a batch holds several."""
        rows = []
        for source in sorted(self.stream.shards):
            n = self.stream.n_rows(source, self.row_tokens)
            count = min(n, max(1, self.budget // self.row_tokens))
            rows += [(i, source, int(row)) for i, row in enumerate(permuted(np.arange(count), n, 0, 0) if n else ())]
        return [(source, row) for _, source, row in sorted(rows)]

    @cached_property
    def documents(self) -> pl.DataFrame:
        """All documents of the stream, in its order."""
        return self.spans.select("doc_id", "source", "unit", "start").sort("source", "start")

    def begun_in(self, chosen: Sequence[tuple[str, int]]) -> np.ndarray:
        """(rows,) index into `documents` of the one that each row's first token belongs to."""
        source, start = self.documents["source"].to_numpy(), self.documents["start"].to_numpy()
        first = {name: int(i) for name, i in zip(*np.unique(source, return_index=True), strict=True)}
        starts = {name: start[source == name] for name in first}
        return np.array(
            [first[s] + np.searchsorted(starts[s], row * self.row_tokens, side="right") - 1 for s, row in chosen]
        )

    @torch.inference_mode()
    def evaluate(self, model: Model, device: str = "cpu") -> Evaluation:
        """The loss of every document of which anything is predicted."""
        assert isinstance(model, nn.Module)
        check_ids(model, *self.stream.bounds, where="held-out text")
        training = model.training
        model.eval()
        chosen = self.chosen()
        begun = self.begun_in(chosen)
        owners, found = [], []
        for start in range(0, len(chosen), self.batch_rows):
            own = chosen[start : start + self.batch_rows]
            rows = np.stack([self.stream.row(source, row, self.row_tokens) for source, row in own]).astype(np.int64)
            batch = self.objective(rows, 0, start)  # what is hidden is the same at every evaluation
            counted = batch.targets_BT.numpy() >= 0
            owners.append((begun[start : start + len(own), None] + _pieces(batch))[counted])
            found.append(model.loss(batch.to(device)).losses_BT.double().cpu().numpy()[counted])
        model.train(training)
        return self._by_document(np.concatenate(owners), np.concatenate(found))

    def _by_document(self, owners: np.ndarray, losses: np.ndarray) -> Evaluation:
        """The evaluation of (predicted,) losses and the documents that they belong to."""
        n = len(self.documents)
        counts, nll = np.bincount(owners, minlength=n), np.bincount(owners, losses, n)
        made = self.documents.select("doc_id", "source", "unit").with_columns(
            pl.Series("n_tokens", counts, pl.Int64), pl.lit(0, pl.Int64).alias("n_bytes"), pl.Series("nll", nll)
        )
        return Evaluation(made.filter(pl.col("n_tokens") > 0))


def _pieces(batch: Batch) -> np.ndarray:
    """(B, T) number of the document within its row that each position belongs to, from 0."""
    assert batch.segments_BT is not None
    segments_BT = batch.segments_BT.numpy()
    return np.asarray(segments_BT - segments_BT[:, :1])
