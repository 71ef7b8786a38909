"""Held-out text, laid out once: which documents, which of their tokens, and what they spell.

From every source as many documents as fit into the token budget take part, each with its first tokens: many short
looks tell more about a source than a few long ones, because documents differ more than their parts do. Rows are
packed like training rows; the special token and the filling of the last row count for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assay.errors import InputError
from assay.store import Artifact
from assay.tokens.pack import TokenStream
from assay.tokens.tokenizer import END_OF_TEXT_ID

MAX_DOCUMENTS = 400


@dataclass(frozen=True)
class EvalSet:
    """Rows to evaluate.

    Attributes:
        inputs_RT, targets_RT: int64 token ids; a target of -1 counts for nothing.
        document_RT: index into `documents` of the document that each target belongs to, or -1.
        documents: doc_id, source, n_tokens, n_bytes of what is counted of each.
    """

    inputs_RT: np.ndarray
    targets_RT: np.ndarray
    document_RT: np.ndarray
    documents: pl.DataFrame

    def save(self, folder: Path) -> dict[str, int]:
        rows = np.stack([self.inputs_RT, self.targets_RT, self.document_RT]).astype(np.int32)
        np.save(folder / "rows.npy", rows)
        self.documents.write_parquet(folder / "documents.parquet")
        return {"documents": len(self.documents), "tokens": int(self.documents["n_tokens"].sum())}

    @classmethod
    def open(cls, artifact: Artifact) -> EvalSet:
        inputs, targets, document = np.load(artifact.file("rows.npy")).astype(np.int64)
        return cls(inputs, targets, document, pl.read_parquet(artifact.file("documents.parquet")))


def build(stream: TokenStream, spans: pl.DataFrame, token_bytes: np.ndarray, row_tokens: int, budget: int) -> EvalSet:
    """Choose and lay out held-out documents.

    Args:
        stream: the encoded split.
        spans: its spans (doc_id, source, start, length).
        token_bytes: (V,) bytes that each token id spells.
        row_tokens: T.
        budget: tokens of text a source, at most.

    Raises:
        InputError: the split is empty.
    """
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    documents: list[pl.DataFrame] = []
    n_documents = 0
    for source in sorted(stream.shards):
        own = spans.filter(pl.col("source") == source).sort("doc_id")
        chosen = own.head(MAX_DOCUMENTS)  # doc_id is a hash: its order is random, and no file's
        if chosen.is_empty():
            continue
        lengths = np.minimum(chosen["length"].to_numpy(), 1 + _cap(chosen["length"].to_numpy() - 1, budget))
        flat, owner = _flatten(stream.shards[source], chosen["start"].to_numpy(), lengths, n_documents)
        counted = owner >= 0
        n_tokens = np.bincount(owner[counted] - n_documents, minlength=len(chosen))
        n_bytes = np.bincount(
            owner[counted] - n_documents, weights=token_bytes[flat[counted]], minlength=len(chosen)
        ).astype(np.int64)
        documents.append(
            chosen.select("doc_id", "source").with_columns(
                pl.Series("n_tokens", n_tokens, pl.Int64), pl.Series("n_bytes", n_bytes, pl.Int64)
            )
        )
        n_documents += len(chosen)
        for parts, values, filling in (
            (inputs, flat[:-1], END_OF_TEXT_ID),
            (targets, np.where(counted, flat, -1)[1:], -1),
            (owners, owner[1:], -1),
        ):
            parts.append(_rows(values, row_tokens, filling))
    if not documents:
        raise InputError("no held-out text", remedy="give more documents, or a larger corpus.eval_share")
    return EvalSet(np.concatenate(inputs), np.concatenate(targets), np.concatenate(owners), pl.concat(documents))


def _cap(lengths: np.ndarray, budget: int) -> int:
    """The largest cap on document lengths with which their sum stays within the budget (at least 8)."""
    low, high = 8, int(max(8, lengths.max(initial=8)))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(lengths, middle).sum() <= budget else (low, middle - 1)
    return low


def _flatten(shard: np.ndarray, starts: np.ndarray, lengths: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of the documents on end, and each one's document (-1 for the special token)."""
    flat = np.concatenate([shard[s : s + n] for s, n in zip(starts, lengths, strict=True)]).astype(np.int64)
    owner = np.repeat(np.arange(first, first + len(starts)), lengths)
    return flat, np.where(flat == END_OF_TEXT_ID, -1, owner)


def _rows(values: np.ndarray, row_tokens: int, filling: int) -> np.ndarray:
    padded = np.full(-(-len(values) // row_tokens) * row_tokens, filling, dtype=np.int64)
    padded[: len(values)] = values
    return padded.reshape(-1, row_tokens)
