"""A study's artifacts in miniature: token streams, evaluation sets and jobs that train in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from assay import ledger
from assay.models.decoder import proxy
from assay.store import Artifact, Stage, Store
from assay.tokens import evalset
from assay.tokens.sampler import StreamPlan
from assay.tokens.stream import TokenStream
from assay.train.job import Branch, Job, JobData, JobInputs, OnTokens
from assay.train.loop import TrainSpec
from assay.train.optimizers import OptimizerConfig
from assay.train.walk import run_jobs

torch.set_num_threads(1)  # as in a worker of a fleet

VOCABULARY, T, B = 48, 8, 4
SOURCES = ("letters", "numbers")
MODEL = proxy(VOCABULARY, layers=2, width=16, heads=2, max_length=T)
SPEC = TrainSpec(MODEL, OptimizerConfig(), seed=3)
PLAN = StreamPlan(seed=3, weights={"letters": 0.7, "numbers": 0.3}, row_tokens=T, batch_rows=B)
JOB = Job("natural", "size", SPEC, PLAN, (Branch(8, 2), Branch(12, 3, ("eval", "test")), Branch(17, 4)), warmup=3)


def documents(seed: int, count: int) -> dict[str, list[np.ndarray]]:
    """Random walks over the ids: each source steps by other amounts, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    steps = {"letters": [1, 2], "numbers": [5, 7, 11]}
    return {
        source: [
            np.concatenate([[0], 1 + np.cumsum(rng.choice(steps[source], rng.integers(2, 40))) % (VOCABULARY - 1)])
            for _ in range(count)
        ]
        for source in SOURCES
    }


def spans_of(stream: TokenStream) -> pl.DataFrame:
    """The documents of a stream, each named by its source and number."""
    rows = [
        {"doc_id": f"{source}-{i}", "source": source, "unit": i, "start": int(start)}
        for source in sorted(stream.shards)
        for i, start in enumerate(np.flatnonzero(stream.shards[source] == 0))
    ]
    return pl.DataFrame(rows)


def stream(store: Store, name: str, seed: int, count: int = 60) -> Artifact:
    own = documents(seed, count)

    def make(folder: Path) -> dict[str, Any]:
        totals, spans = {}, []
        for source, texts in own.items():
            np.concatenate(texts).astype("<u2").tofile(folder / f"{source}.bin")
            totals[source] = {"shard": f"{source}.bin", "tokens": sum(map(len, texts))}
            starts = np.cumsum([0, *map(len, texts)])
            spans += [
                {"doc_id": f"{seed:08x}{source.encode().hex():>014.14}{i:010x}", "source": source, "unit": i,
                 "start": int(s), "length": len(text)}
                for i, (s, text) in enumerate(zip(starts, texts, strict=False))
            ]  # fmt: skip
        pl.DataFrame(spans).write_parquet(folder / "spans.parquet")
        return {"dtype": "<u2", "sources": totals}

    return store.build(Stage("stream", 1), {}, {"name": name, "seed": seed, "count": count}, make)


def evaluation(store: Store, split: str, seed: int) -> Artifact:
    held_out = stream(store, split, seed, 6)
    spans = pl.read_parquet(held_out.file("spans.parquet"), glob=False)
    token_bytes = np.arange(VOCABULARY) % 4

    def make(folder: Path) -> dict[str, int]:
        return evalset.build(TokenStream.open(held_out), spans, token_bytes, T, 100).save(folder)

    return store.build(Stage("evalset", 1), {"stream": held_out.fingerprint}, {"split": split}, make)


def inputs(store: Store) -> JobInputs:
    return JobInputs(
        streams={"train": stream(store, "train", 1), "noise": stream(store, "noise", 2)},
        evaluation={"eval": evaluation(store, "eval", 3), "test": evaluation(store, "test", 4)},
        tokenizer="0" * 32,
        study="1" * 32,
    )


def data(store: Store) -> JobData:
    return JobData.open(inputs(store))


def run_job(job: Job, data: JobData, store: Store, work: Path, on_tokens: OnTokens) -> Artifact:
    """A job that nobody walks with."""
    (part,) = run_jobs([job], data, store, work, on_tokens)
    return part


def with_seed(job: Job, seed: int) -> Job:
    return replace(job, spec=replace(job.spec, seed=seed), stream=replace(job.stream, seed=seed))


def tables(part: Artifact) -> dict[str, pl.DataFrame]:
    """The job's ledger, without what two equal runs may differ in."""
    return {
        name: pl.read_parquet(part.file(f"{name}.parquet"), glob=False).drop(*(ledger.TIMES if name == "runs" else ()))
        for name in ledger.TABLES
    }


def silent(tokens: int, *, found: bool = False) -> None:
    """Nobody is told how far a job has come."""


def assert_equal(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    """Bit for bit: not one number may differ."""
    assert one.keys() == other.keys()
    for name, table in one.items():
        assert len(table) > 0
        assert table.equals(other[name]), f"{name} differ:\n{table}\n{other[name]}"
