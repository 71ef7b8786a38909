"""What a model gains on a document that it has seen: contamination of an evaluation, memorization of a text.

    evaluation set -> half of the texts of every source -> the evaluated windows of some of them, planted k times each
                   -> loss on them, against the runs without; less the same of the half that is planted nowhere

Every seed has planted documents of its own, so that the luck of their choice counts. What the copies displace costs a
little on all text; the half that was left out says how much, and it is taken off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from assay.errors import InputError
from assay.impact.measure import Difference, Measurements
from assay.impact.plan import Plan
from assay.recipe.study import DesignRecipe
from assay.store import Artifact
from assay.tokens.evalset import EvalSet
from assay.tokens.sampler import LEAKED, Part, part_of, splitmix64
from assay.tokens.stream import TokenStream
from assay.tokens.tokenizer import Encoder

MOST_DISPLACED = 0.25  # of a source's training text, by the most copies
LEAST_ROWS = 2  # of a source, a seed


def planted_documents(evaluation: Artifact, encoder: Encoder, plan: Plan, design: DesignRecipe) -> pa.RecordBatch:
    """The evaluated windows of the documents that are planted: of each source in the order of the evaluation set.

    Raises:
        InputError: runs are too short, or too little is held out, for that many copies.
    """
    held_out = EvalSet.open(evaluation)
    rows = [
        row
        for source in plan.natural
        for row in _planted(held_out.documents.with_row_index("place"), source, plan, design)
    ]
    if not rows:
        most = max(design.leaks)
        raise InputError(
            f"the runs are too short, or too little text is held out, to plant documents {most} times",
            where="design.leaks",
            remedy="give fewer copies, a larger budget, or larger tokens.eval_tokens",
        )
    flat, owner = held_out.targets_RT.ravel(), held_out.document_RT.ravel()
    texts = [encoder.decode(flat[owner == row["place"]]).strip("\ufffd") for row in rows]  # it may cut a character
    return pa.RecordBatch.from_pydict(
        {
            "doc_id": [row["doc_id"] for row in rows],
            "source": [row["source"] for row in rows],
            "origin": [LEAKED] * len(rows),
            "ordinal": pa.array(range(len(rows)), pa.int64()),
            "text": texts,
        }
    )


def _planted(documents: pl.DataFrame, source: str, plan: Plan, design: DesignRecipe) -> list[dict[str, object]]:
    """Of one source's texts that may be planted, as many documents as the most copies leave room for."""
    own = documents.filter(pl.col("source") == source)
    own = own.filter(pl.Series(_may_be_planted(own["unit"].to_numpy()), dtype=pl.Boolean))
    room = MOST_DISPLACED * plan.natural[source] * plan.run_steps * plan.step_tokens / max(design.leaks)
    fits = own.filter(own["n_tokens"].cum_sum() <= room * plan.parts)
    if fits["n_tokens"].sum() < LEAST_ROWS * plan.parts * plan.row_tokens:
        return []
    return fits.to_dicts()


def _may_be_planted(units: np.ndarray) -> np.ndarray:
    """(documents,) about half of the texts: no part of the others is ever planted."""
    return (splitmix64(units) & np.uint64(1)).astype(bool)


@dataclass(frozen=True)
class Planted:
    """Which documents of the evaluation set were planted.

    Attributes:
        by_seed: (seeds, documents): in the runs of that seed.
        never: (documents,): in none, and no other part of their text either.
    """

    by_seed: np.ndarray
    never: np.ndarray

    @classmethod
    def read(cls, stream: Artifact, evaluation: Artifact, plan: Plan) -> Planted:
        documents = pl.read_parquet(evaluation.file("documents.parquet"), glob=False)
        place = {doc_id: i for i, doc_id in enumerate(documents["doc_id"])}
        by_seed = np.zeros((len(plan.seeds), len(documents)), dtype=bool)
        spans = pl.read_parquet(stream.file("spans.parquet"), glob=False)
        tokens = TokenStream.open(stream)
        for source in tokens.shards:
            n_rows = tokens.n_rows(source, plan.row_tokens)
            own = spans.filter(pl.col("source") == source)
            for seed in range(len(plan.seeds) if n_rows else 0):
                rows = part_of(n_rows, Part(seed, plan.parts))
                first, last = rows[0] * plan.row_tokens, (rows[-1] + 1) * plan.row_tokens
                whole = own.filter((pl.col("start") >= first) & (pl.col("start") + pl.col("length") <= last + 1))
                by_seed[seed, [place[doc_id] for doc_id in whole["doc_id"]]] = True
        return cls(by_seed, ~_may_be_planted(documents["unit"].to_numpy()))


def gain(measured: Measurements, planted: Planted, cell: str, baseline: str, tokens: int) -> Difference:
    """The change in bits per byte on planted documents less that on documents that were not, both against the
    baseline: the mean over sources, and over seeds, each of which has planted documents of its own.

    Sources of which a seed has no planted document are left out of all.
    """
    change = measured.bits(cell, tokens) - measured.bits(baseline, tokens)
    by_seed = np.array([list(_gains(measured, planted, row, seed)) for seed, row in enumerate(change)])
    found = by_seed[:, ~np.isnan(by_seed).any(axis=0)].mean(axis=1)
    n = len(found)
    return Difference(float(found.mean()), float(found.std(ddof=1) / n**0.5), 0.0, n - 1, n_seeds=n)


def _gains(measured: Measurements, planted: Planted, change: np.ndarray, seed: int) -> Iterator[float]:
    """Of every source; NaN where there is nothing to compare."""
    for of, n_bytes in measured.by_source():
        there, not_there = of & planted.by_seed[seed], of & planted.never
        if not there.any() or not not_there.any():
            yield float("nan")
            continue
        yield float(change[there].sum() / n_bytes[there].sum() - change[not_there].sum() / n_bytes[not_there].sum())
