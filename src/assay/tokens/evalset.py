"""Held-out text, laid out once: which documents, which of their tokens, and what they spell.

From every source as many documents as the token budget allows take part, each with one window of its tokens that
begins at a place drawn from its id: many looks tell more about a source than a few long ones, because documents
differ more than their parts do, and beginnings (headers, titles) are not what documents are like. Windows are packed
into rows on end; attention stays within a window, and only the filling of the last row counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assay.errors import InputError
from assay.store import Artifact
from assay.tokens.stream import END_OF_TEXT_ID, TokenStream

LEAST_WINDOW_ROWS = 2  # a window is at least this many rows long, where its document is
NO_DOCUMENT = -1


@dataclass(frozen=True)
class EvalSet:
    """Rows to evaluate.

    Attributes:
        inputs_RT, targets_RT: int64 token ids; a target of -1 counts for nothing.
        document_RT: index into `documents` of the document that a position belongs to, or -1: these are also the
            segments that attention stays within.
        documents: doc_id, source, unit, n_tokens, n_bytes of what is counted of each.
    """

    inputs_RT: np.ndarray
    targets_RT: np.ndarray
    document_RT: np.ndarray
    documents: pl.DataFrame

    def save(self, folder: Path) -> dict[str, int]:
        rows = np.stack([self.inputs_RT, self.targets_RT, self.document_RT]).astype(np.int32)
        np.save(folder / "rows.npy", rows, allow_pickle=False)
        self.documents.write_parquet(folder / "documents.parquet")
        return {"documents": len(self.documents), "tokens": int(self.documents["n_tokens"].sum())}

    @classmethod
    def open(cls, artifact: Artifact) -> EvalSet:
        inputs, targets, document = np.load(artifact.file("rows.npy"), allow_pickle=False).astype(np.int64)
        return cls(inputs, targets, document, pl.read_parquet(artifact.file("documents.parquet"), glob=False))


def build(stream: TokenStream, spans: pl.DataFrame, token_bytes: np.ndarray, row_tokens: int, budget: int) -> EvalSet:
    """Choose and lay out held-out documents.

    Args:
        stream: the encoded split.
        spans: its spans (doc_id, source, unit, start, length); a span begins with the special token.
        token_bytes: (V,) bytes that each token id spells.
        row_tokens: T.
        budget: tokens of text a source, at most (but at least one document's window).

    Raises:
        InputError: the split is empty.
    """
    windows: list[np.ndarray] = []
    chosen: list[pl.DataFrame] = []
    for source in sorted(stream.shards):
        own = spans.filter((pl.col("source") == source) & (pl.col("length") > 1)).sort("doc_id")
        if own.is_empty():
            continue
        own = _windows(own, LEAST_WINDOW_ROWS * row_tokens, budget)
        shard = stream.shards[source]
        for start, length in own.select("start", "length").iter_rows():
            windows.append(shard[start : start + length].astype(np.int64))
        chosen.append(own)
    if not windows:
        raise InputError("no held-out text", remedy="give more documents, or a larger corpus.eval_share")

    inputs = np.concatenate([window[:-1] for window in windows])
    targets = np.concatenate([window[1:] for window in windows])
    lengths = np.array([len(window) - 1 for window in windows])
    owner = np.repeat(np.arange(len(windows)), lengths)
    n_bytes = np.bincount(owner, weights=token_bytes[targets], minlength=len(windows)).astype(np.int64)
    documents = pl.concat(chosen).select("doc_id", "source", "unit").with_columns(
        pl.Series("n_tokens", lengths, pl.Int64), pl.Series("n_bytes", n_bytes, pl.Int64)
    )  # fmt: skip
    return EvalSet(
        _rows(inputs, row_tokens, END_OF_TEXT_ID),
        _rows(targets, row_tokens, NO_DOCUMENT),
        _rows(owner, row_tokens, NO_DOCUMENT),
        documents,
    )


def whole(
    documents: Sequence[np.ndarray], sources: Sequence[str], token_bytes: np.ndarray, row_tokens: int, stride: int
) -> EvalSet:
    """Lay out every token of some documents, each predicted once.

    Windows of T tokens begin `stride` apart; a window counts what the one before it has not counted, so that every
    token but those of a document's first window has at least T - stride tokens before it.

    Args:
        documents: token ids, each begun by what stands before a document and is not predicted.
        sources: of each document.

    Returns:
        a set whose `documents` are windows; `unit` is the number of the document.
    """
    pieces: list[tuple[int, np.ndarray, np.ndarray]] = []
    for number, document in enumerate(documents):
        ids = document.astype(np.int64)
        counted = 0
        for begin in range(0, max(1, len(ids) - 1), stride):
            inputs, targets = ids[begin : begin + row_tokens], ids[begin + 1 : begin + row_tokens + 1].copy()
            inputs = inputs[: len(targets)]
            targets[: counted - begin] = NO_DOCUMENT
            counted = begin + len(targets)
            if len(targets):
                pieces.append((number, inputs, targets))
            if counted >= len(ids) - 1:
                break
    rows = _packed([len(inputs) for _, inputs, _ in pieces], row_tokens)
    shape = (len(rows), row_tokens)
    inputs_RT, targets_RT, owner_RT = (np.full(shape, fill, np.int64) for fill in (END_OF_TEXT_ID, NO_DOCUMENT, -1))
    for r, row in enumerate(rows):
        at = 0
        for i in row:
            _, inputs, targets = pieces[i]
            into = slice(at, at + len(inputs))
            inputs_RT[r, into], targets_RT[r, into], owner_RT[r, into] = inputs, targets, i
            at += len(inputs)
    own = [targets[targets >= 0] for _, _, targets in pieces]
    table = pl.DataFrame(
        {
            "doc_id": [str(number) for number, _, _ in pieces],
            "source": [sources[number] for number, _, _ in pieces],
            "unit": pl.Series([number for number, _, _ in pieces], dtype=pl.Int64),
            "n_tokens": pl.Series([len(targets) for targets in own], dtype=pl.Int64),
            "n_bytes": pl.Series([int(token_bytes[targets].sum()) for targets in own], dtype=pl.Int64),
        }
    )
    return EvalSet(inputs_RT, targets_RT, owner_RT, table)


def _packed(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Pieces put into rows, in their order, as many as fit."""
    rows: list[list[int]] = []
    left = 0
    for i, length in enumerate(lengths):
        if length > left:
            rows.append([])
            left = row_tokens
        rows[-1].append(i)
        left -= length
    return rows


def _windows(spans: pl.DataFrame, least: int, budget: int) -> pl.DataFrame:
    """One window of each document, as many documents as fit: `start` and `length` (inputs and one more target).

    `doc_id` is a hash: its order is random, and no file's. Where all documents fit, windows grow.
    """
    lengths = spans["length"].to_numpy() - 1
    cap = max(least, _cap(lengths, budget))
    sizes = np.minimum(lengths, cap)
    n = max(1, int(np.searchsorted(np.cumsum(sizes), budget, side="right")))
    spans, lengths, sizes = spans.head(n), lengths[:n], sizes[:n]
    draw = np.array([int(doc_id[-13:], 16) for doc_id in spans["doc_id"]]) / 16.0**13
    offset = np.floor(draw * (lengths - sizes + 1)).astype(np.int64)
    return spans.with_columns(
        (pl.col("start") + pl.Series(offset)).alias("start"), pl.Series("length", sizes + 1, pl.Int64)
    )


def _cap(lengths: np.ndarray, budget: int) -> int:
    """The largest cap on document lengths with which their sum stays within the budget."""
    low, high = 0, int(lengths.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(lengths, middle).sum() <= budget else (low, middle - 1)
    return low


def _rows(values: np.ndarray, row_tokens: int, filling: int) -> np.ndarray:
    padded = np.full(-(-len(values) // row_tokens) * row_tokens, filling, dtype=np.int64)
    padded[: len(values)] = values
    return padded.reshape(-1, row_tokens)
