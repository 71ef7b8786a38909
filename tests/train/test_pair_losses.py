"""Losses of pairs: those of each pair alone, however they are packed and whoever stands beside them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from assay.models.build import Neural, build
from assay.models.presets import Size, preset
from assay.models.protocol import Penalties
from assay.tokens.pairs import PairStream
from assay.train.objectives import Pairs, pairs
from assay.train.pairs import HeldPairs

V, END, START, T = 60, 2, 1, 32
PAIRED = Pairs(END, START)


def texts(count: int) -> list[tuple[list[int], list[int]]]:
    rng = np.random.default_rng(1)
    return [(rng.integers(3, V, rng.integers(0, 9)).tolist(), rng.integers(3, V, rng.integers(0, 9)).tolist())
            for _ in range(count)]  # fmt: skip


def model(name: str) -> Neural:
    config = preset(name, Size(V, 2, 16, 2, 64), start=START, padding=START)
    return build(config, torch.Generator().manual_seed(0)).eval()


def alone(made: Neural, source: list[int], target: list[int]) -> float:
    """Summed loss of one pair in a batch of its own."""
    return float(made.loss(pairs([[*source, END]], [[*target, END]], START)).losses_BT.sum())


@pytest.mark.parametrize("name", ["marian", "bart", "t5", "transformer"])
def test_a_held_out_pair_has_the_loss_that_it_has_alone(name: str) -> None:
    made, found = model(name), texts(25)
    long = ([5] * 40, [6])  # in no row
    flat = [[0, *source, END, *target] for source, target in [*found[:9], long, *found[9:]]]
    lengths = [len(document) for document in flat]
    spans = pl.DataFrame(
        {
            "doc_id": [f"{(i * 7) % 26:032x}" for i in range(26)],
            "source": "talk",
            "unit": range(26),
            "start": np.cumsum(lengths) - lengths,
            "length": lengths,
        }
    )
    stream = PairStream({"talk": np.concatenate(flat)}, vocabulary=V)
    token_bytes = np.arange(V)
    held = HeldPairs(stream, spans, PAIRED, token_bytes, T, 10_000, batch_rows=3)
    units = held.evaluate(made).units.sort("unit")
    assert units["unit"].to_list() == [i for i in range(26) if i != 9]
    by_unit = {**dict(enumerate(found[:9])), **{i + 10: one for i, one in enumerate(found[9:])}}
    for row in units.iter_rows(named=True):
        source, target = by_unit[row["unit"]]
        assert row["n_tokens"] == len(target) + 1
        assert row["n_bytes"] == sum(target) + END
        assert row["nll"] == pytest.approx(alone(made, source, target), abs=1e-4)
        assert row["doc_id"] == spans["doc_id"][row["unit"]]
    few = HeldPairs(stream, spans, PAIRED, None, T, 60)
    assert 1 < len(few.chosen) < 10 and few.chosen["length"].sum() <= 60
    assert few.evaluate(made).bits_per_byte is None


def test_smoothing_is_of_training_alone() -> None:
    made, rows = model("marian"), np.zeros((1, T + 1), dtype=np.int64)
    rows[0, :7] = [0, 5, 6, END, 7, 8, 9]
    batch = PAIRED(rows)
    plain, smooth = made.loss(batch), made.loss(batch, Penalties(smoothing=0.1))
    assert torch.equal(plain.losses_BT, smooth.losses_BT)
    states = made(batch.source_BS, batch.inputs_BT, batch.source_segments_BS, batch.segments_BT)  # type: ignore[operator]
    expected = torch.nn.functional.cross_entropy(states[0], batch.targets_BT[0], label_smoothing=0.1)
    torch.testing.assert_close(smooth.mean, expected)
