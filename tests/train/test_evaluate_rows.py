"""Held-out loss under masked, span and denoising objectives: of every document, as each would have it alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from assay.metrics.ratio import Ratio
from assay.models.build import ModelConfig, build
from assay.models.encoder import bert
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import t5, transformer
from assay.tokens.stream import TokenStream
from assay.train.evaluate import Rows
from assay.train.objectives import Denoising, Masked, Objective, SpanCorruption
from miniature import SOURCES, VOCABULARY, documents, spans_of

T = 12
END, START, MASK = VOCABULARY, VOCABULARY + 1, VOCABULARY + 2
SENTINELS = tuple(range(VOCABULARY + 3, VOCABULARY + 12))
V = VOCABULARY + 12
CASES: dict[str, tuple[ModelConfig, Objective]] = {
    "masked": (bert(V, 1, 16, 2, max_length=T), Masked(MASK, VOCABULARY, 0.3)),
    "masked, recurrent": (RecurrentConfig(V, 1, 16, both_ways=True), Masked(MASK, VOCABULARY, 0.3)),
    "spans": (t5(V, 1, 16, 2), SpanCorruption(SENTINELS, END, START, 0.3, 2.0)),
    "denoising": (transformer(V, 1, 16, 2, max_length=40), Denoising(MASK, END, START, 0.3, 2.0)),
}


def stream() -> TokenStream:
    return TokenStream({source: np.concatenate(texts) for source, texts in documents(7, 25).items()})


def alone(batch: Batch, names: list[list[int]]) -> Iterator[tuple[int, Batch]]:
    """Every document's piece of every row by itself: (its number, a batch of one row)."""
    assert batch.segments_BT is not None
    for b, row in enumerate(names):
        for i, name in enumerate(dict.fromkeys(row)):
            if batch.source_BS is None:
                own = torch.tensor([other == name for other in row])
                yield name, Batch(batch.inputs_BT[b, own][None], batch.targets_BT[b, own][None])
            else:
                assert batch.source_segments_BS is not None
                own, read = batch.segments_BT[b] == i, batch.source_segments_BS[b] == i
                source = batch.source_BS[b, read][None]
                yield name, Batch(batch.inputs_BT[b, own][None], batch.targets_BT[b, own][None], source_BS=source)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_the_loss_of_a_document_is_that_of_the_document_alone_under_the_same_mask(case: str) -> None:
    config, objective = CASES[case]
    model: Any = build(config, torch.Generator().manual_seed(0)).eval()
    held_out = Rows(stream(), spans_of(stream()), T, objective, budget=20 * T, batch_rows=7)
    numbers = {source: (shard == 0).cumsum() - 1 for source, shard in held_out.stream.shards.items()}
    nll: dict[str, float] = defaultdict(float)
    n_tokens: dict[str, int] = defaultdict(int)
    chosen = held_out.chosen()
    for start in range(0, len(chosen), 7):
        own = chosen[start : start + 7]
        batch = objective(np.stack([held_out.stream.row(s, r, T) for s, r in own]).astype(np.int64), 0, start)
        names = [[int(i) for i in numbers[source][row * T : row * T + T]] for source, row in own]
        sources = {b: source for b, (source, _) in enumerate(own)}
        for b, row in enumerate(names):
            for number, piece in alone(batch.pieces(1)[b], [row]):
                if n := int((piece.targets_BT >= 0).sum()):
                    nll[f"{sources[b]}-{number}"] += float(model.loss(piece).losses_BT.double().sum())
                    n_tokens[f"{sources[b]}-{number}"] += n
    found = held_out.evaluate(model)
    assert dict(found.units.select("doc_id", "n_tokens").iter_rows()) == n_tokens
    for doc_id, value in found.units.select("doc_id", "nll").iter_rows():
        assert value == pytest.approx(nll[doc_id], rel=1e-5, abs=1e-5)
    assert len(found.units) > len(SOURCES) * 8
    assert held_out.evaluate(model).units.equals(found.units)  # the same ones are hidden at every evaluation
    values, counts = np.array(list(nll.values())), np.array([float(n_tokens[name]) for name in nll])
    assert found.ratio("n_tokens").interval(0.95) == pytest.approx(Ratio.of(values, counts).interval(0.95))


def test_documents_of_one_text_are_counted_together() -> None:
    config, objective = CASES["masked"]
    spans = spans_of(stream()).with_columns(pl.col("unit") // 5)
    found = Rows(stream(), spans, T, objective, budget=20 * T).evaluate(build(config, torch.Generator().manual_seed(0)))
    summed = found.units.group_by("source", "unit").agg(pl.col("nll", "n_tokens").sum())
    assert len(summed) == 2 * 5 < len(found.units)
    expected = Ratio.of(summed["nll"].to_numpy(), summed["n_tokens"].to_numpy().astype(float))
    assert found.ratio("n_tokens").interval(0.95) == pytest.approx(expected.interval(0.95))
