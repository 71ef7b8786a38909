"""Damage for the dose cells: altered copies of the study's training pool, encoded as token streams of their own.

character_noise   every document of the pool, damaged, in the same order: a damaged row stands for its clean one
near_duplicates   edited copies of passages of a few random documents, as many as the highest dose reads; every seed
                  has documents of its own
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.corpus import documents
from assay.corpus.altering import defects
from assay.corpus.scan import Corpus
from assay.impact.plan import Plan
from assay.recipe.study import DesignRecipe
from assay.tokens.sampler import splitmix64

COPIED_CHARS = 1_500  # of a copied document: enough documents are copied even where documents are books
ALIGNED = ("character_noise",)  # defects whose stream holds every document of the pool, in the same order
_COPIED_AT_ONCE = 256  # documents


def damaged_documents(
    defect: str,
    corpus: Corpus,
    plan: Plan,
    design: DesignRecipe,
    tokens_per_char: dict[str, float],
    seed: int,
) -> Iterator[pa.RecordBatch]:
    """Batches of altered copies (`doc_id`, `source`, `text`, ... of the documents contract).

    Args:
        tokens_per_char: of each source, to size the near-duplicates.
    """
    if defect == "character_noise":
        for batch in corpus.read("train", sources=list(plan.natural), below=plan.pool_share):
            yield defects.character_noise(batch, design.noise_rate, seed)
    elif defect == "near_duplicates":
        for parents in _parents(corpus, plan, design, tokens_per_char, seed):
            copies = defects.near_duplicates(parents, design.copies, design.edit_rate, seed)
            # A document's copies stand together, so that equal parts of the stream are copies of different documents.
            order = np.arange(len(copies)).reshape(design.copies, len(parents)).T.ravel()
            yield copies.take(pa.array(order))
    else:
        raise ValueError(f"no defect {defect!r}")


def _parents(
    corpus: Corpus, plan: Plan, design: DesignRecipe, tokens_per_char: dict[str, float], seed: int
) -> Iterator[pa.RecordBatch]:
    """The passages that are copied: of each source as many random documents (COPIED_CHARS of each, from a random
    place) as make up, with their copies, the text that the highest dose replaces in the runs of all seeds."""
    replaced = max(design.doses) * plan.run_steps * plan.step_tokens * plan.parts
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
