"""Damage for the dose cells: altered copies of the study's training pool, encoded as token streams of their own.

character_noise   every document of the pool, damaged, in the same order: a damaged row stands for its clean one
near_duplicates   edited copies of the beginnings of a few documents, as many as the highest dose reads
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from assay.corpus import defects
from assay.corpus.scan import Corpus
from assay.impact.plan import Plan
from assay.recipe import DesignRecipe

COPIED_CHARS = 1_500  # of a copied document: enough documents are copied even where documents are books


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
        for batch in _parents(corpus, plan, design, tokens_per_char):
            yield defects.near_duplicates(batch, design.copies, design.edit_rate, seed)
    else:
        raise ValueError(f"no defect {defect!r}")


def _parents(
    corpus: Corpus, plan: Plan, design: DesignRecipe, tokens_per_char: dict[str, float]
) -> Iterator[pa.RecordBatch]:
    """The documents that are copied: of each source as many (at least COPIED_CHARS of them) as make up, with their
    copies, the text that the highest dose replaces."""
    replaced = max(design.doses) * plan.run_steps * plan.step_tokens
    wanted = {
        source: max(COPIED_CHARS, share * replaced / design.copies / tokens_per_char[source])
        for source, share in plan.natural.items()
    }
    for batch in corpus.read("train", sources=list(plan.natural), below=plan.pool_share):
        lengths = pc.utf8_length(batch.column("text")).to_pylist()
        take = []
        for i, (source, length) in enumerate(zip(batch.column("source").to_pylist(), lengths, strict=True)):
            if wanted[source] > 0:
                wanted[source] -= min(length, COPIED_CHARS)
                take.append(i)
        if take:
            chosen = batch.take(pa.array(take))
            cut = pc.utf8_slice_codeunits(chosen.column("text"), 0, COPIED_CHARS)
            yield chosen.set_column(chosen.schema.get_field_index("text"), chosen.schema.field("text"), cut)
        if all(left <= 0 for left in wanted.values()):
            return
