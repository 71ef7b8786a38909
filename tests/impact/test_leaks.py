"""Planted held-out documents: which ones, how often they are read, and what is made of their losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from assay.errors import InputError
from assay.impact import leaks
from assay.impact.leaks import Planted, gain, planted_documents
from assay.impact.plan import Plan
from assay.recipe.study import DesignRecipe
from assay.store import Artifact, Stage, Store
from assay.tokens import evalset
from assay.tokens.learn import train_tokenizer
from assay.tokens.pack import encode_stream
from assay.tokens.sampler import LEAKED, Part, Sampler, StreamPlan, part_of
from assay.tokens.stream import TokenStream
from assay.tokens.tokenizer import Encoder

T, B, SEEDS, STEPS = 16, 16, 2, 60
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]
NATURAL = {"a": 0.75, "b": 0.25}


def texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 30)) for _ in range(n)]


ENCODER = Encoder(train_tokenizer(texts(200, 0), 300))


def encoded(store: Store, name: str, batch: pa.RecordBatch) -> Artifact:
    return store.build(
        Stage("stream", 1), {}, {"name": name},
        lambda folder: encode_stream([batch], ENCODER, folder, name, list(NATURAL)),
    )  # fmt: skip


def documents(name: str, n: int) -> pa.RecordBatch:
    sources = [s for s in NATURAL for _ in range(n)]
    return pa.RecordBatch.from_pydict(
        {
            "doc_id": [f"{i:032x}" for i in range(len(sources))], "source": sources, "origin": [name] * len(sources),
            "ordinal": pa.array(range(len(sources)), pa.int64()), "text": texts(len(sources), 1 + len(name)),
        }
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def evaluation(store: Store) -> Artifact:
    made = encoded(store, "eval", documents("eval", 60))
    spans = pl.read_parquet(made.file("spans.parquet"))
    bytes_ = np.asarray(ENCODER.token_bytes)
    return store.build(
        Stage("evalset", 1), {}, {},
        lambda folder: evalset.build(TokenStream.open(made), spans, bytes_, T, 4_000).save(folder),
    )  # fmt: skip


def plan() -> Plan:
    plan = Plan.model_construct(natural=NATURAL, run_steps=STEPS, row_tokens=T, batch_rows=B, seeds=[0, 1], parts=SEEDS)
    return plan


def test_half_of_the_texts_are_planted_and_read_as_often_as_asked(store: Store, evaluation: Artifact) -> None:
    design = DesignRecipe(leaks=(2, 5))
    batch = planted_documents(evaluation, ENCODER, plan(), design)
    assert set(batch.column("source").to_pylist()) == {"a", "b"}
    held_out = documents("eval", 60)
    whole = dict(zip(held_out["doc_id"].to_pylist(), held_out["text"].to_pylist(), strict=True))
    for doc_id, text in zip(batch.column("doc_id").to_pylist(), batch.column("text").to_pylist(), strict=True):
        assert text.strip() in whole[doc_id]
    stream = encoded(store, LEAKED, batch)
    found = Planted.read(stream, evaluation, plan())
    assert found.by_seed.any(axis=1).all()
    assert not (found.by_seed[0] & found.by_seed[1]).any()  # each seed has its own
    assert not (found.by_seed.any(axis=0) & found.never).any()
    assert 0.25 < found.never.mean() < 0.75

    train = encoded(store, "train", documents("train", 400))
    streams = {"train": TokenStream.open(train), LEAKED: TokenStream.open(stream)}
    for copies in (2, 5):
        for seed in range(SEEDS):
            own = StreamPlan(seed, NATURAL, T, B, defect=LEAKED, dose=float(copies), part=Part(seed, SEEDS))
            sampler = Sampler(own, streams, STEPS)
            source, row, damaged = sampler.slots
            for i, name in enumerate(sampler.sources):
                here = (source == i) & (damaged == 1)
                assert here.sum() <= leaks.MOST_DISPLACED * 1.2 * (source == i).sum()
                read, times = np.unique(row[here], return_counts=True)
                assert set(times) == {copies}
                wanted = part_of(streams[LEAKED].n_rows(name, T), own.part)
                assert read.tolist() == wanted.tolist()
            fresh = Sampler(replace(own, defect=None), streams, STEPS).slots[1]
            assert (fresh[damaged == 0] == row[damaged == 0]).all()  # nothing else has changed


def test_too_many_copies_for_short_runs_are_refused(evaluation: Artifact) -> None:
    with pytest.raises(InputError) as caught:
        planted_documents(evaluation, ENCODER, plan(), DesignRecipe(leaks=(256,)))
    assert caught.value.line().startswith("design.leaks: the runs are too short")


class Losses:
    """Measurements of a closed form: every document loses what it is given."""

    def __init__(self, bits: dict[str, np.ndarray], source: np.ndarray, n_bytes: np.ndarray) -> None:
        self._bits, self._source, self._n_bytes = bits, source, n_bytes

    def bits(self, cell: str, tokens: int) -> np.ndarray:
        return self._bits[cell]

    def by_source(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(self._source == i, self._n_bytes) for i in range(2)]


def test_what_copies_displace_is_taken_off_the_gain() -> None:
    rng = np.random.default_rng(3)
    source, n_bytes = np.repeat([0, 1], 20), rng.integers(50, 200, 40).astype(float)
    by_seed = np.zeros((3, 40), dtype=bool)
    for seed in range(3):
        by_seed[seed, [2 * seed, 2 * seed + 1, 20 + 2 * seed]] = True
    never = np.arange(40) % 20 >= 10
    natural = rng.normal(size=(3, 40))
    leaked = natural + 0.01 * n_bytes - by_seed * 0.3 * n_bytes  # 0.01 bpb worse everywhere, 0.3 better where seen
    planted = Planted(by_seed, never)
    found = gain(Losses({"leaked:4": leaked, "natural": natural}, source, n_bytes), planted, "leaked:4", "natural", 1)  # type: ignore[arg-type]
    assert found.estimate == pytest.approx(-0.3)
    assert found.se_seeds == pytest.approx(0, abs=1e-12)
    none = replace(planted, by_seed=by_seed & (source == 0))  # a source without planted documents is left out
    found = gain(Losses({"leaked:4": leaked, "natural": natural}, source, n_bytes), none, "leaked:4", "natural", 1)  # type: ignore[arg-type]
    assert found.estimate == pytest.approx(-0.3)
