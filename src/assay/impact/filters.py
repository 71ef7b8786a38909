"""What a filter of documents does to a model: the text that it keeps, against as much kept at random.

    rule packs, single rules or an SQL expression -> decisions on every document -> share kept, by source
    filter:NAME   the documents of the pool that it keeps
    drop:NAME     documents drawn at random, each with the chance of its source that as much text is kept

Both cells have the filter's mixture of sources and its volume, so that what is compared is which documents are kept: a
filter that only makes text scarcer, or moves the mixture, is told from one that chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.cleaning import rules, select
from assay.corpus.scan import Corpus
from assay.errors import InputError
from assay.impact.plan import Plan
from assay.store import Artifact, Store
from assay.tokens.sampler import splitmix64

_DROP = np.uint64(0xD20B)


@dataclass(frozen=True)
class Filter:
    """A filter's decisions on all documents of a corpus.

    Attributes:
        kept: share of the training text (bytes) that it keeps, by source.
    """

    name: str
    decisions: Artifact
    kept: dict[str, float]


def decided(name: str, corpus: Corpus, store: Store) -> Filter:
    """Ask a filter of every document, or find the answers.

    Args:
        name: packs or rules joined by +, such as `gopher-quality+c4`; or an SQL expression over signals.

    Raises:
        InputError: there is no such pack, rule or signal.
    """
    asked = _rules(name)
    twins = corpus.duplicates.files(".parquet") if select.asks_of_twins(asked) else None

    def make(folder: Path) -> dict[str, Any]:
        return select.decide(corpus.documents.files(".parquet"), corpus.signals.files(".parquet"), twins, asked, folder)

    inputs = {"documents": corpus.documents.fingerprint, "signals": corpus.signals.fingerprint}
    inputs |= {"duplicates": corpus.duplicates.fingerprint} if twins else {}
    made = store.build(select.DECIDED_BY_RULES, inputs, {"rules": [(rule.name, rule.bounds()) for rule in asked]}, make)
    return Filter(name, made, _shares(corpus, made))


def _rules(name: str) -> list[rules.Rule | rules.Expression]:
    parts = [part.strip() for part in name.split("+")]
    known = {rule.name for pack in rules.PACKS.values() for rule in pack} | set(rules.PACKS)
    expression = not set(parts) & known and any(sign in name for sign in " <>=()")
    try:
        return rules.chosen([], [name]) if expression else rules.chosen(parts, [])
    except InputError as error:
        raise InputError(error.what, where=f"design.filters {name}", remedy=error.remedy) from error


def _shares(corpus: Corpus, decisions: Artifact) -> dict[str, float]:
    """The share of each source's training text in documents that are kept."""
    columns = ["doc_id", "source", "n_bytes"]
    rows = pl.read_parquet(corpus.documents.files(".parquet"), columns=columns, glob=False)
    split = pl.read_parquet(corpus.splits.files(".parquet"), columns=["doc_id", "split"], glob=False)
    keep = pl.read_parquet(decisions.file("decisions.parquet"), columns=["doc_id", "keep"], glob=False)
    rows = rows.join(split, on="doc_id").join(keep, on="doc_id").filter(pl.col("split") == "train")
    size = pl.col("n_bytes").sum()
    sums = rows.group_by("source").agg(
        share=(pl.col("n_bytes") * pl.col("keep")).sum() / pl.max_horizontal(size, 1)
    ).sort("source")  # fmt: skip
    return {source: float(share) for source, share in sums.iter_rows()}


def kept_documents(found: Filter, corpus: Corpus, plan: Plan) -> Iterator[pa.RecordBatch]:
    """The documents of the pool that a filter keeps."""
    table = pl.read_parquet(found.decisions.file("decisions.parquet"), columns=["doc_id", "keep"], glob=False)
    keys = np.sort(documents.keys(table.filter(pl.col("keep"))["doc_id"].to_arrow().cast(pa.string())))
    for batch in corpus.read("train", sources=list(plan.natural), below=plan.pool_share):
        own = documents.keys(batch.column("doc_id"))
        at = np.minimum(np.searchsorted(keys, own), max(0, len(keys) - 1))
        hit = keys[at] == own if len(keys) else np.zeros(len(own), dtype=bool)
        if hit.any():
            yield batch.filter(pa.array(hit))


def dropped_at_random(found: Filter, corpus: Corpus, plan: Plan, seed: int) -> Iterator[pa.RecordBatch]:
    """As much text of each source of the pool, documents drawn at random."""
    for batch in corpus.read("train", sources=list(plan.natural), below=plan.pool_share):
        keys = documents.keys(batch.column("doc_id"))
        drawn = splitmix64(keys ^ splitmix64(np.array([seed], dtype=np.uint64) + _DROP)) / 2.0**64
        shares = np.array([found.kept[source] for source in batch.column("source").to_pylist()])
        if (hit := drawn < shares).any():
            yield batch.filter(pa.array(hit))
