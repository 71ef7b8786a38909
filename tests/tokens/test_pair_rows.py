"""Encoded pairs: both sides are found again, rows hold whole pairs, and each pair that fits is in one row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from assay.corpus.documents import BETWEEN
from assay.store import Stage, Store
from assay.tokens.learn import train_tokenizer
from assay.tokens.pack import encode_stream
from assay.tokens.pairs import PairStream
from assay.tokens.sampler import Sampler, StreamPlan
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder
from assay.train.objectives import Pairs

END, START = 2, 1
TEXTS = [("red blue", "blue red"), ("一二三", "three"), ("a", "long " * 30), ("<|end|> inside", "x"), ("last", "末")]


def test_both_sides_are_encoded_for_themselves_with_an_end_between(tmp_path: Path) -> None:
    encoder = Encoder(train_tokenizer([side for pair in TEXTS for side in pair], 300, special=("<|pad|>", "<|end|>")))
    columns = {
        "doc_id": [f"{i:032x}" for i in range(len(TEXTS))],
        "source": ["talk"] * len(TEXTS),
        "text": [BETWEEN.join(pair) for pair in TEXTS],
    }
    batch = pa.record_batch(columns)
    made = Store(tmp_path).build(
        Stage("stream", 1),
        {},
        {},
        lambda folder: encode_stream([batch], encoder, folder, "train", ["talk"], between=END),
    )
    spans = pl.read_parquet(made.file("spans.parquet"))
    stream, found = PairStream.open(made), []
    for start, length, n_bytes in spans.select("start", "length", "n_bytes").iter_rows():
        document = stream.shards["talk"][start : start + length]
        source, target = Pairs(END, START).pair(document)
        assert document[0] == END_OF_TEXT_ID
        assert source[-1] == target[-1] == END
        found.append((encoder.decode(source[:-1]), encoder.decode(target[:-1])))
        assert n_bytes == sum(len(side.encode()) for side in found[-1])
        assert len(source) + len(target) == length  # what T counts
    assert found == TEXTS
    fits = spans.filter(pl.col("length") <= 20)["length"]
    assert stream.too_long("talk", 20) == (len(TEXTS) - len(fits), len(TEXTS))
    read, written = stream.sides("talk", 20, END)
    assert (read + written) * stream.n_tokens("talk", 20) == fits.sum()


pair = st.tuples(st.lists(st.integers(3, 99), max_size=12), st.lists(st.integers(3, 99), max_size=12))


@given(st.lists(pair, max_size=30), st.integers(8, 24))
def test_every_pair_that_fits_is_in_one_row_and_none_is_cut(pairs: list[tuple[list[int], list[int]]], T: int) -> None:
    flat = [np.array([END_OF_TEXT_ID, *source, END, *target], np.uint16) for source, target in pairs]
    stream = PairStream({"talk": np.concatenate(flat) if flat else np.zeros(0, np.uint16)})
    found = []
    for index in range(stream.n_rows("talk", T)):
        row = stream.row("talk", index, T)
        assert row.shape == (T + 1,)
        batch = Pairs(END, START)(row[None])
        assert batch.segments_BT is not None and batch.source_BS is not None and batch.source_segments_BS is not None
        for k in range(int(batch.segments_BT.max()) + 1):
            source = batch.source_BS[batch.source_segments_BS == k].tolist()
            target, inputs = (x[batch.segments_BT == k].tolist() for x in (batch.targets_BT, batch.inputs_BT))
            assert source[-1] == target[-1] == END
            assert inputs == [START, *target[:-1]]
            found.append((source[:-1], target[:-1]))
    fitting = [(source, target) for source, target in pairs if len(source) + len(target) + 2 <= T]
    assert found == fitting
    assert stream.too_long("talk", T) == (len(pairs) - len(fitting), len(pairs))


def test_rows_of_pairs_are_drawn_as_all_rows_are() -> None:
    rng = np.random.default_rng(0)
    shards = {
        name: np.concatenate([[0, *rng.integers(3, 99, rng.integers(1, 9)), END, 7] for _ in range(40)])
        for name in ("a", "b")
    }
    stream = PairStream(shards)
    sampler = Sampler(StreamPlan(5, {"a": 0.5, "b": 0.5}, 16, 4), {"train": stream}, 30)
    again = Sampler(StreamPlan(5, {"a": 0.5, "b": 0.5}, 16, 4), {"train": PairStream(shards)}, 30)
    assert np.array_equal(sampler.batch(7), again.batch(7))
    source, row, _ = sampler.slots
    n = stream.n_rows("a", 16)
    assert sorted(set(row[source == 0][:n].tolist())) == list(range(n))  # all once before any twice
