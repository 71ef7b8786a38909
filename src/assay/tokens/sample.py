"""Samples of a corpus in which every source counts alike: it gives as many bytes, however large the others are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.scan import Corpus

DOCUMENT_CHARS = 20_000  # of one document, so that no single text fills a source's part


def balanced_sample(corpus: Corpus, n_bytes: int) -> dict[str, list[str]]:
    """Training texts by source, about `n_bytes` in all; the same documents in every run.

    A source with less text than its part gives all of it, and its part is not passed on. The sides of a pair are two
    texts.
    """
    quota = n_bytes / max(1, len(corpus.sources))
    # Twice the quota is let through, because documents are of unequal length and are cut.
    shares = {s: min(1.0, 2 * quota / max(1, corpus.train_bytes(s))) for s in corpus.sources}
    texts: dict[str, list[str]] = {source: [] for source in corpus.sources}
    filled = dict.fromkeys(corpus.sources, 0)
    for batch in corpus.read("train", ["source", "text"], below=shares):
        for source, text in zip(batch.column("source").to_pylist(), batch.column("text").to_pylist(), strict=True):
            if filled[source] < quota:
                own = documents.sides(text) if corpus.paired else (text,)
                texts[source] += [side[:DOCUMENT_CHARS] for side in own]
                filled[source] += sum(len(side.encode()) for side in texts[source][-len(own) :])
    return texts


def even_sample(parts: list[Path], n_bytes: int) -> pl.DataFrame:
    """Documents of every split, at most about `n_bytes` a source: source, language, origin, ordinal, row, text.

    The same documents in every run; where a source has more, those that a number drawn from their ids chooses.

    Args:
        parts: the files of a documents artifact.
    """
    sizes: Counter[str] = Counter()
    for batch in documents.read(parts, ["source", "n_bytes"]):
        for source, size in zip(batch.column("source").to_pylist(), batch.column("n_bytes").to_pylist(), strict=True):
            sizes[source] += size
    shares = {source: min(1.0, n_bytes / max(1, size)) for source, size in sizes.items()}
    chosen = []
    for batch in documents.read(parts, ["doc_id", "source", "language", "origin", "ordinal", "text"]):
        below = np.array([shares[source] for source in batch.column("source").to_pylist()])
        keep = documents.uniform(batch.column("doc_id")) < below
        if keep.any():
            chosen.append(pl.DataFrame(batch.filter(pa.array(keep))))
    found = pl.concat(chosen)
    return found.select("source", "language", "origin", documents.row_of_text(), "ordinal", "text")
