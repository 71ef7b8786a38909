"""Documents that say the same in other words: vectors of an encoder -> pairs alike -> one document for each group.

    vectors (embed) -> pairs of documents with a cosine of at least the threshold
        up to EXACT different texts     all pairs are compared
        beyond                          k-means; those that share one of their NEAREST clusters (SemDeDup, Abbas 2023)
    pairs + an order of preference -> every document in turn is kept, or goes to the first kept one that it is like

So each document that is left out is like the one that stands for it; in connected components, which suit copies, a
chain of small steps would join what has little in common. Equal texts are one. Nothing depends on the order of files:
what is drawn is drawn by document ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled
from assay.curate.embed import F32, Vectors
from assay.machine import one_thread
from assay.store import whole_file

THRESHOLD = 0.9
EXACT = 1 << 16
"""Different texts up to which all pairs are compared: some tens of seconds on two cores."""
PER_CLUSTER = 4096
"""Documents for one cluster of k-means, on average."""
NEAREST = 3
"""Clusters that a document is compared in."""
_ROUNDS = 10
_SAMPLE = 64  # documents for each cluster that k-means sees
_BLOCK = 2048
Pairs = tuple[ch.I64, ch.I64, F32]
Tell = Callable[[float, float], None]

PAIRS = pa.schema([pa.field("left", pa.int64()), pa.field("right", pa.int64()), pa.field("cosine", pa.float32())])
"""Numbers of documents, in their order; of equal texts, that of the smallest id."""
GROUPED = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("kept_id", pa.string(), nullable=False),
        pa.field("cosine", pa.float32(), nullable=False),
    ]
)
"""cluster: the smallest id in the group. kept_id: the document that stands for it; cosine: of this one with it."""


def nodes(texts: Sequence[Path]) -> tuple[ch.I64, ch.I64]:
    """The number of the document that stands for each one's text, and the documents that stand for one, by their ids:
    the smallest id of equal texts."""
    table = pl.read_parquet(list(texts), columns=["doc_id", "content_hash"], glob=False).with_row_index("row")
    first = table.sort("doc_id").unique("content_hash", keep="first", maintain_order=True)
    joined = table.join(first.select("content_hash", node="row"), on="content_hash", how="left", maintain_order="left")
    return joined["node"].to_numpy().astype(np.int64), first["row"].to_numpy().astype(np.int64)


def write_pairs(
    vectors: Vectors, rows: ch.I64, threshold: float, path: Path, tell: Tell, *, exact: int = EXACT
) -> dict[str, Any]:
    """Write the pairs among some documents, in the order of their ids, that are alike.

    Args:
        rows: their numbers.
        exact: compare all pairs up to so many.
    """
    few = len(rows) <= exact
    found = _all(vectors, rows, threshold, tell) if few else _within(vectors, rows, threshold, tell)
    count = 0
    with whole_file(path) as staging, documents.opened(staging, PAIRS) as writer:
        for left, right, cosine in found:
            writer.write_batch(pa.record_batch([left, right, cosine], schema=PAIRS))
            count += len(left)
    return {"texts": len(rows), "pairs": count, "exact": few, "clusters": 0 if few else n_clusters(len(rows))}


def _all(vectors: Vectors, rows: ch.I64, threshold: float, tell: Tell) -> Iterator[Pairs]:
    """All pairs, block by block."""
    blocks = range(0, len(rows), _BLOCK)
    done, total = 0, len(blocks) * (len(blocks) + 1) / 2
    for i in blocks:
        own = vectors.of(rows[i : i + _BLOCK])
        for j in range(i, len(rows), _BLOCK):
            other = own if i == j else vectors.of(rows[j : j + _BLOCK])
            a, b, cosine = _alike(own, other, threshold, same=i == j)
            if len(a):
                yield rows[i + a], rows[j + b], cosine
            done += 1
            tell(done, total)


def _alike(left: F32, right: F32, threshold: float, *, same: bool) -> Pairs:
    cosine = left @ right.T
    a, b = np.nonzero(cosine >= np.float32(threshold))
    if same:
        a, b = a[a < b], b[a < b]
    return a, b, cosine[a, b]


def _within(vectors: Vectors, rows: ch.I64, threshold: float, tell: Tell) -> Iterator[Pairs]:
    """Pairs that share a cluster; one that shares several comes several times."""
    n = len(rows)
    centres = centroids(vectors, rows, n_clusters(n))
    near = np.empty((n, min(NEAREST, len(centres))), dtype=np.int32)
    total = 2.0 * n
    for begin in range(0, n, _BLOCK):
        cosine = vectors.of(rows[begin : begin + _BLOCK]) @ centres.T
        near[begin : begin + _BLOCK] = np.argsort(-cosine, axis=1, kind="stable")[:, : near.shape[1]]
        tell(begin, total)
    cluster, member = near.ravel(), np.repeat(np.arange(n), near.shape[1])
    order = np.argsort(cluster, kind="stable")
    cluster, member = cluster[order], member[order]
    ends = np.searchsorted(cluster, np.arange(len(centres) + 1))
    for c in range(len(centres)):
        own = rows[member[ends[c] : ends[c + 1]]]
        yield from _all(vectors, own, threshold, lambda done, of: None)
        tell(n + n * (c + 1) / len(centres), total)


def n_clusters(n: int) -> int:
    """Of k-means, for so many documents."""
    return max(1, -(-n // PER_CLUSTER))


@one_thread()
def centroids(vectors: Vectors, rows: ch.I64, count: int) -> F32:
    """k-means of a sample: (at most count, width), of length one.

    Rows stand in the order of document ids, which are hashes: every so many-th is a sample drawn by chance, and the
    first of them are where the centroids begin."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import normalize

    seen = vectors.of(rows[:: max(1, len(rows) // (count * _SAMPLE))])
    begin = np.unique(seen[np.linspace(0, len(seen) - 1, count).astype(int)], axis=0)
    found = KMeans(len(begin), init=begin, n_init=1, max_iter=_ROUNDS).fit(seen)
    return np.asarray(normalize(found.cluster_centers_))


def group(
    pairs: Path, node: ch.I64, preferred: ch.I64, vectors: Vectors, ids: pa.Array, path: Path, scratch: Path
) -> None:
    """Write GROUPED, a row a document, in their order.

    Args:
        pairs: what `write_pairs` wrote.
        node: (documents,) the number of the one that stands for each one's text.
        preferred: (documents,) the numbers of documents, the most preferred first.
        scratch: a folder for what does not fit into memory.
    """
    n = len(node)
    place = np.empty(n, dtype=np.int64)
    place[preferred] = np.arange(n)
    best = np.full(n, n, dtype=np.int64)
    np.minimum.at(best, node, place)  # of equal texts, the most preferred stands for them
    leader = np.full(n, -1, dtype=np.int64)  # by places
    for later, earlier in _in_order(pairs, best, scratch):
        _lead(later, earlier, leader)
    own = best[node]
    led = np.where(leader[own] >= 0, leader[own], own)
    kept = preferred[led]
    cosine = np.empty(n, dtype=np.float32)
    for begin in range(0, n, _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, n))
        cosine[rows] = (vectors.of(rows) * vectors.of(kept[rows])).sum(axis=1)
    cosine[node == node[kept]] = 1.0
    table = pl.DataFrame({"doc_id": pl.Series(ids), "kept": kept, "cosine": np.minimum(cosine, 1.0)})
    table = table.with_columns(
        cluster=pl.col("doc_id").min().over("kept"), kept_id=table["doc_id"].gather(table["kept"])
    )
    pq.write_table(table.select(GROUPED.names).to_arrow().cast(GROUPED), path, compression="zstd")


def _in_order(pairs: Path, best: ch.I64, scratch: Path) -> Iterator[tuple[ch.I64, ch.I64]]:
    """Places of the less and the more preferred document of each pair, sorted: out of memory, by DuckDB."""
    schema = pa.schema([("later", pa.int64()), ("earlier", pa.int64())])
    staged = scratch / "placed.parquet"
    with documents.opened(staged, schema) as writer, pq.ParquetFile(pairs) as file:
        for batch in file.iter_batches(1 << 18):
            left, right = best[batch.column("left").to_numpy()], best[batch.column("right").to_numpy()]
            writer.write_batch(pa.record_batch([np.maximum(left, right), np.minimum(left, right)], schema=schema))
    with duckdb.connect(config={"temp_directory": str(scratch / "spill")}) as connection:
        query = "SELECT DISTINCT later, earlier FROM read_parquet($1) ORDER BY later, earlier"
        for batch in connection.sql(query, params=[str(staged)]).to_arrow_reader(1 << 18):
            yield batch.column("later").to_numpy(), batch.column("earlier").to_numpy()


@compiled
def _lead(later: Any, earlier: Any, leader: Any) -> None:
    """Documents come in the order of preference: whoever is not led yet, and is like one that is kept, is led by it."""
    for i in range(len(later)):
        if leader[later[i]] < 0 and leader[earlier[i]] < 0:
            leader[later[i]] = earlier[i]
