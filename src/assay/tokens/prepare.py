"""From a corpus to what training reads, each an artifact of the store, found again by whoever asks for the same:

corpus --balanced sample--> tokenizer --> streams (a split, or a damaged copy of the training text)
                                             `--> evaluation sets: windows of held-out documents, laid out once
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from assay.corpus.scan import Corpus
from assay.errors import InputError
from assay.store import Artifact, Stage, Store, fingerprint
from assay.tokens import evalset
from assay.tokens.learn import Learning, learn
from assay.tokens.pack import encode_stream
from assay.tokens.sample import balanced_sample
from assay.tokens.stream import TokenStream
from assay.tokens.tokenizer import TOKENIZER_JSON, Encoder

TOKENIZER, STREAM, EVALSET = Stage("tokenizer", 2), Stage("stream", 3), Stage("evalset", 2)
CHECKED_TEXTS, CHECKED_CHARS = 40, 2000  # of a source, on which both tokenizer libraries have to agree


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


def tokenizer(corpus: Corpus, store: Store, how: Learning, sample_bytes: int) -> Tokenized:
    """Learn a tokenizer on a balanced sample of the training text, or find it learned."""

    def make(folder: Path) -> dict[str, Any]:
        content, told = learned(corpus, how, sample_bytes)
        (folder / TOKENIZER_JSON).write_text(content, encoding="utf-8")
        return told

    made = store.build(TOKENIZER, {"corpus": corpus.fingerprint}, {**asdict(how), "sample_bytes": sample_bytes}, make)
    return _opened(made)


def given_tokenizer(corpus: Corpus, store: Store, path: Path, sample_bytes: int) -> Tokenized:
    """A tokenizer that exists already, and what it does to this corpus.

    Raises:
        InputError: it cannot be read, or its id 0 cannot stand before a document.
    """
    encoder = Encoder.load(path)
    if not encoder.marks_documents:
        raise InputError(
            "id 0 is no special token, or the unknown one, and it has to stand before every document", where=path,
            remedy="train a tokenizer with assay tokenizer train, or take one whose id 0 is special",
        )  # fmt: skip
    content = encoder.content

    def make(folder: Path) -> dict[str, Any]:
        (folder / TOKENIZER_JSON).write_text(content, encoding="utf-8")
        return _told(encoder, balanced_sample(corpus, sample_bytes))

    config = {"given": fingerprint(content), "sample_bytes": sample_bytes}
    return _opened(store.build(TOKENIZER, {"corpus": corpus.fingerprint}, config, make))


def _opened(made: Artifact) -> Tokenized:
    # The special token of each document counts.
    per_byte = {
        str(source): (told["tokens"] + told["documents"]) / max(1, told["bytes"])
        for source, told in made.summary["sources"].items()
    }
    return Tokenized(made, Encoder.load(made.file(TOKENIZER_JSON)), per_byte)


def learned(corpus: Corpus, how: Learning, sample_bytes: int) -> tuple[str, dict[str, Any]]:
    """A tokenizer learned from a balanced sample, and what it does to each source of it."""
    sample = balanced_sample(corpus, sample_bytes)
    content = learn([text for texts in sample.values() for text in texts], how)
    return content, {"kind": how.kind, **_told(Encoder(content), sample)}


def _told(encoder: Encoder, sample: dict[str, list[str]]) -> dict[str, Any]:
    """What a tokenizer does to each source; both libraries have to agree on it.

    Raises:
        WorkError: they do not.
    """
    sources = {}
    for source, texts in sample.items():
        encoder.check_equal([text[:CHECKED_CHARS] for text in texts[:CHECKED_TEXTS]])
        ids, _ = encoder.encode(texts)
        n_bytes = sum(len(text.encode()) for text in texts)
        unknown = int((ids == encoder.unknown).sum()) if encoder.unknown is not None else 0
        sources[source] = {
            "documents": len(texts), "bytes": n_bytes, "tokens": len(ids), "unknown": unknown,
            "bytes_per_token": n_bytes / len(ids) if len(ids) else None,
        }  # fmt: skip
    return {
        "vocabulary": encoder.vocabulary,
        "lossless": encoder.lossless,
        "special": encoder.special,
        "sources": sources,
    }


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
    between: int | None = None,
    told: Callable[[], Mapping[str, Any]] = dict,
) -> Artifact:
    """Encode documents, or find them encoded; see `pack.encode_stream`.

    Args:
        name: of the split, or of the defect.
        config: holds `sources`, and what else decides which documents these are.
        inputs: fingerprints of what they come from, the tokenizer aside.
        told: what the summary says besides, once all batches were read.
    """

    def make(folder: Path) -> dict[str, Any]:
        sources = config["sources"]
        options: dict[str, Any] = {"aligned": aligned, "whole": whole, "between": between}
        summary = encode_stream(batches, tokens.encoder, folder, name, sources, **options)
        return {**summary, **told()}

    paired = {} if between is None else {"between": between}
    inputs = {**inputs, "tokenizer": tokens.artifact.fingerprint}
    return store.build(STREAM, inputs, {"stream": name, **config, **paired}, make)


def evaluation_set(held_out: Artifact, encoder: Encoder, store: Store, row_tokens: int, budget: int) -> Artifact:
    """Lay out held-out documents of an encoded split, or find them laid out; see `evalset.build`."""

    def make(folder: Path) -> dict[str, int]:
        spans = pl.read_parquet(held_out.file("spans.parquet"), glob=False)
        data = evalset.build(TokenStream.open(held_out), spans, encoder.token_bytes, row_tokens, budget)
        return data.save(folder)

    config = {"row_tokens": row_tokens, "eval_tokens": budget}
    return store.build(EVALSET, {"stream": held_out.fingerprint}, config, make)
