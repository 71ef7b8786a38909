"""From a corpus to what training reads, each an artifact of the store, found again by whoever asks for the same:

corpus --balanced sample--> tokenizer --> streams (a split, or a damaged copy of the training text)
                                             `--> evaluation sets: windows of held-out documents, laid out once
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from assay.corpus.scan import Corpus
from assay.store import Artifact, Stage, Store
from assay.tokens import evalset
from assay.tokens.pack import encode_stream
from assay.tokens.sample import balanced_sample
from assay.tokens.stream import TokenStream
from assay.tokens.tokenizer import Encoder, train_tokenizer

TOKENIZER, STREAM, EVALSET = Stage("tokenizer", 1), Stage("stream", 3), Stage("evalset", 2)
CHECKED_TEXTS = 40  # a source, on which both tokenizer libraries have to agree


@dataclass(frozen=True)
class Tokenized:
    """A tokenizer and what it does to the corpus that it was learned from.

    Attributes:
        artifact: holds `tokenizer.json`.
        per_byte: tokens a byte of training text (the special token of each document counted in), by source.
    """

    artifact: Artifact
    encoder: Encoder
    per_byte: dict[str, float]


def tokenizer(corpus: Corpus, store: Store, vocabulary: int, sample_bytes: int) -> Tokenized:
    """Learn a byte-level BPE on a balanced sample of the training text, or find it learned."""

    def make(folder: Path) -> dict[str, Any]:
        sample = balanced_sample(corpus, sample_bytes)
        content = train_tokenizer((text for texts in sample.values() for text in texts), vocabulary)
        encoder = Encoder(content)
        (folder / "tokenizer.json").write_text(content, encoding="utf-8")
        return {"vocabulary": encoder.vocabulary, "tokens_per_byte": _per_byte(encoder, sample)}

    config = {"vocabulary": vocabulary, "sample_bytes": sample_bytes}
    made = store.build(TOKENIZER, {"corpus": corpus.fingerprint}, config, make)
    per_byte = {str(s): float(x) for s, x in made.summary["tokens_per_byte"].items()}
    return Tokenized(made, Encoder.load(made.file("tokenizer.json")), per_byte)


def _per_byte(encoder: Encoder, sample: dict[str, list[str]]) -> dict[str, float]:
    found = {}
    for source, texts in sample.items():
        encoder.check_equal([text[:2000] for text in texts[:CHECKED_TEXTS]])
        ids, offsets = encoder.encode(texts)
        n_bytes = sum(len(text.encode()) for text in texts)
        found[source] = (len(ids) + len(offsets) - 1) / max(1, n_bytes)
    return found


def stream(
    batches: Iterable[pa.RecordBatch],
    tokens: Tokenized,
    store: Store,
    name: str,
    config: dict[str, Any],
    inputs: dict[str, str],
    *,
    aligned: bool = False,
    whole: Collection[str] = (),
) -> Artifact:
    """Encode documents, or find them encoded; see `pack.encode_stream`.

    Args:
        name: of the split, or of the defect.
        config: holds `sources`, and what else decides which documents these are.
        inputs: fingerprints of what they come from, the tokenizer aside.
    """
    return store.build(
        STREAM,
        {**inputs, "tokenizer": tokens.artifact.fingerprint},
        {"stream": name, **config},
        lambda folder: encode_stream(
            batches, tokens.encoder, folder, name, config["sources"], aligned=aligned, whole=whole
        ),
    )


def evaluation_set(held_out: Artifact, encoder: Encoder, store: Store, row_tokens: int, budget: int) -> Artifact:
    """Lay out held-out documents of an encoded split, or find them laid out; see `evalset.build`."""

    def make(folder: Path) -> dict[str, int]:
        spans = pl.read_parquet(held_out.file("spans.parquet"), glob=False)
        data = evalset.build(TokenStream.open(held_out), spans, encoder.token_bytes, row_tokens, budget)
        return data.save(folder)

    config = {"row_tokens": row_tokens, "eval_tokens": budget}
    return store.build(EVALSET, {"stream": held_out.fingerprint}, config, make)
