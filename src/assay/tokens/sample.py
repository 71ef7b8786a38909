"""A balanced sample of training text: every source gives as many bytes, however large the others are."""

from __future__ import annotations

from assay.corpus.scan import Corpus

DOCUMENT_CHARS = 20_000  # of one document, so that no single text fills a source's part


def balanced_sample(corpus: Corpus, n_bytes: int) -> dict[str, list[str]]:
    """Training texts by source, about `n_bytes` in all; the same documents in every run.

    A source with less text than its part gives all of it, and its part is not passed on.
    """
    quota = n_bytes / max(1, len(corpus.sources))
    # Twice the quota is let through, because documents are of unequal length and are cut.
    shares = {s: min(1.0, 2 * quota / max(1, corpus.train_bytes(s))) for s in corpus.sources}
    texts: dict[str, list[str]] = {source: [] for source in corpus.sources}
    filled = dict.fromkeys(corpus.sources, 0)
    for batch in corpus.read("train", ["source", "text"], below=shares):
        for source, text in zip(batch.column("source").to_pylist(), batch.column("text").to_pylist(), strict=True):
            if filled[source] < quota:
                texts[source].append(text[:DOCUMENT_CHARS])
                filled[source] += len(texts[source][-1].encode())
    return texts
