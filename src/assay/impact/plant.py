"""Damage for the dose cells: altered copies of the study's training pool, encoded as token streams of their own.

    duplicates     copies (near_duplicates: edited) of passages of a few random documents, as many as the highest dose
                   reads; every seed has documents of its own
    all others     every document of the pool, damaged, in the same order: a damaged row stands for its clean one

What each defect does is the corpus room's affair (`corpus.altering.damage`). Donors of text, where one needs them, are
documents of the pool, so that held-out text stays unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.corpus import documents
from assay.corpus.altering import damage
from assay.corpus.altering.damage import DEFECTS, Damage
from assay.corpus.scan import Corpus
from assay.impact.plan import Plan
from assay.recipe.study import DesignRecipe
from assay.store import Store, fingerprint
from assay.tokens.sampler import splitmix64

COPIED_CHARS = 1_500  # of a copied document: enough documents are copied even where documents are books
_COPIED_AT_ONCE = 256  # documents


def aligned(defect: str) -> bool:
    """Whether its stream holds every document of the pool, in the same order."""
    return not DEFECTS[defect].adds


def donors(defect: str, corpus: Corpus, plan: Plan, store: Store, seed: int) -> Path | None:
    """The file of documents that a defect takes text from; None where it needs none.

    Raises:
        InputError: the corpus has none of another language, or source.
    """
    if DEFECTS[defect].needs is None:
        return None
    read = partial(corpus.read, "train", sources=list(plan.natural), below=plan.pool_share)
    inputs = {"corpus": corpus.fingerprint, "pool_share": fingerprint(plan.pool_share)}
    how = Damage(defect, 1.0, seed)
    return damage.pool(read, how, store, inputs, lambda done: None, "design.defects").file("pool.parquet")


def damaged_documents(
    defect: str,
    corpus: Corpus,
    plan: Plan,
    design: DesignRecipe,
    tokens_per_char: dict[str, float],
    seed: int,
    pool: Path | None = None,
    unchanged: Counter[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of altered copies (`doc_id`, `source`, `text`, ... of the documents contract).

    Args:
        tokens_per_char: of each source, to size the duplicates.
        pool: what `donors` gave.
        unchanged: gets how many documents of each source the defect found nothing to damage in.
    """
    kind = DEFECTS[defect]
    edits = design.edit_rate if "edits" in kind.uses else 0.0
    how = Damage(defect, design.noise_rate if kind.unit == "characters" else 1.0, seed, design.copies, edits, pool=pool)
    if kind.adds:
        for parents in _parents(corpus, plan, design, tokens_per_char, seed):
            copies, _ = kind.make(parents, how)
            # A document's copies stand together, so that equal parts of the stream are copies of different documents.
            order = np.arange(len(copies)).reshape(design.copies, len(parents)).T.ravel()
            yield copies.take(pa.array(order))
        return
    for batch in corpus.read("train", sources=list(plan.natural), below=plan.pool_share):
        made, _ = kind.make(batch, how)
        if unchanged is not None:
            same = batch.filter(pc.equal(batch.column("text"), made.column("text")))
            unchanged.update(same.column("source").to_pylist())
        yield made


def _parents(
    corpus: Corpus, plan: Plan, design: DesignRecipe, tokens_per_char: dict[str, float], seed: int
) -> Iterator[pa.RecordBatch]:
    """The passages that are copied: of each source as many random documents (COPIED_CHARS of each, from a random
    place) as make up, with their copies, the text that the highest dose replaces in the runs of all seeds."""
    replaced = max(*design.doses, *design.held_out_doses, 0.0) * plan.run_steps * plan.step_tokens * plan.parts
    least = COPIED_CHARS * plan.parts
    wanted = {
        source: max(least, share * replaced / design.copies / tokens_per_char[source])
        for source, share in plan.natural.items()
    }
    chosen = _chosen(corpus, plan, wanted, seed)
    found = [
        batch.filter(pa.array(np.isin(documents.keys(batch.column("doc_id")), chosen)))
        for batch in corpus.read("train", sources=list(plan.natural), below=plan.pool_share)
    ]
    table = pa.Table.from_batches(found)
    keys = documents.keys(table.column("doc_id"))
    table = table.take(pa.array(np.argsort(_random(keys, seed))))
    for start in range(0, len(table), _COPIED_AT_ONCE):
        for batch in table.slice(start, _COPIED_AT_ONCE).combine_chunks().to_batches():
            place = batch.schema.get_field_index("text")
            passages = _passages(batch, seed)
            yield batch.set_column(place, batch.schema.field("text"), passages)


def _chosen(corpus: Corpus, plan: Plan, wanted: dict[str, float], seed: int) -> np.ndarray:
    """Keys of the documents that are copied: of each source in random order until `wanted` characters are there."""
    pool: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {source: [] for source in wanted}
    for batch in corpus.read("train", ["doc_id", "source", "text"], sources=list(plan.natural), below=plan.pool_share):
        keys = documents.keys(batch.column("doc_id"))
        lengths = np.minimum(pc.utf8_length(batch.column("text")).to_numpy(zero_copy_only=False), COPIED_CHARS)
        sources = np.asarray(batch.column("source").to_pylist(), dtype=object)
        for source in dict.fromkeys(sources):
            pool[source].append((keys[sources == source], lengths[sources == source]))
    chosen = [np.zeros(0, dtype=np.uint64)]
    for source, parts in pool.items():
        if parts:
            keys, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(_random(keys, seed))
            enough = int(np.searchsorted(np.cumsum(lengths[order]), wanted[source])) + 1
            chosen.append(keys[order[:enough]])
    return np.concatenate(chosen)


def _random(keys: np.ndarray, seed: int) -> np.ndarray:
    """A random number for every document, another one for every seed."""
    return splitmix64(keys ^ splitmix64(np.array([seed])))


def _passages(batch: pa.RecordBatch, seed: int) -> pa.Array:
    """COPIED_CHARS of each text, from a random place."""
    starts = _random(documents.keys(batch.column("doc_id")), seed + 1)
    texts = []
    for text, start in zip(batch.column("text").to_pylist(), starts, strict=True):
        room = max(0, len(text) - COPIED_CHARS)
        begin = int(start) % (room + 1)
        texts.append(text[begin : begin + COPIED_CHARS])
    return pa.array(texts, pa.string())
