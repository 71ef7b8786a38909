"""Exact and near duplicates, for texts with and without spaces between words.

    documents -> shingles -> MinHash of 120 values -> 20 bands of 6 rows (shingles.py)
    bands     -> candidate pairs (candidates.py), first those next to each other in a bucket, then, of those that are
                 not linked yet, the others
              -> verified by the Jaccard similarity of their shingle sets, read again from the documents
              -> connected components; a cluster is named by its smallest document id

Nothing depends on the order of files. 20 x 6 makes .998 of the pairs at Jaccard .8 share a band, .98 of those at .75
and half of those at .58.
Of the pairs at Jaccard .75 that share a band, all are found where other documents have up to a third of their shingles
in common, and .99, .95, .90 (standard error .01) where boilerplate makes all of 1,000 documents alike to .53, .59, .63
(test_dedup.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.duplicates.candidates import NEIGHBOURS, Sketches, neighbours
from assay.corpus.duplicates.shingles import BANDS, VALUES, bands, shingles, signatures
from assay.corpus.parts import in_order
from assay.corpus.text import characters as ch
from assay.machine import cores

THRESHOLD = 0.7
"""Documents whose shingle sets have at least this Jaccard similarity are near-duplicates."""
_SET = 4096  # shingles kept per document when a pair is verified: exact below, an estimate (s.e. < .008) above
_GROUP = 1 << 17  # candidate pairs that are in memory at a time
_SORTING = "512MB"  # of rows that are sorted; what is more goes through files
_ROUNDS = ((1, 1), (2, NEIGHBOURS))  # places apart in a bucket

DUPLICATES = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("exact_cluster", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("is_exact_duplicate", pa.bool_(), nullable=False),
        pa.field("is_near_duplicate", pa.bool_(), nullable=False),
    ]
)
"""A cluster's first document by id is its representative; the others are duplicates (near ones include exact
ones)."""


def signed(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """The kernel of the first pass: signatures (documents x VALUES) of a documents batch."""
    parts = [signatures(*shingles(part.column("text"))) for part in ch.slices(batch)]
    return np.concatenate([np.empty((0, VALUES), dtype=np.uint64), *parts])


def duplicates(
    parts: list[Path], scratch: Path, progress: Callable[[float], None] | None = None
) -> tuple[pa.Table, dict[str, int]]:
    """The DUPLICATES table of all documents, sorted by id, and counts of pairs (candidates, compared).

    `scratch` is a folder for band rows, sketches, pairs and what does not fit in memory; `progress` gets the bytes of
    text that are done.
    """
    with duckdb.connect(config={"temp_directory": str(scratch / "spilled"), "memory_limit": _SORTING}) as connection:
        ids = connection.sql(
            "SELECT doc_id, min(doc_id) OVER (PARTITION BY content_hash) AS exact_cluster"
            " FROM read_parquet($1) ORDER BY doc_id",
            params=[[str(part) for part in parts]],
        ).to_arrow_table()
        doc_ids, exact = ids.column("doc_id").combine_chunks(), ids.column("exact_cluster").combine_chunks()
        keys = documents.keys(doc_ids)
        repeats = _differs(doc_ids, exact)
        label = np.searchsorted(keys, documents.keys(exact))
        sketches = _write_bands(parts, scratch, keys, repeats, progress)
        sets = _Sets(scratch / "sets", len(keys))
        counts = {"candidates": 0, "compared": 0}
        for nearest, farthest in _ROUNDS:
            pairs = _Pairs(scratch / f"pairs-{nearest}")
            for left, right in neighbours(connection, scratch / "bands.parquet", nearest, farthest):
                counts["candidates"] += len(left)
                pairs.add(*_likely(np.searchsorted(keys, left), np.searchsorted(keys, right), label, sketches))
            sets.fill(parts, keys, pairs)
            label, compared = _verified(pairs, sets, label)
            counts["compared"] += compared
    cluster = doc_ids.take(pa.array(label))
    columns = [doc_ids, exact, cluster, pa.array(repeats), pa.array(label != np.arange(len(keys)))]
    return pa.table([pa.chunked_array([c]) for c in columns], schema=DUPLICATES), counts


def _differs(left: pa.Array, right: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.not_equal(left, right).to_numpy(zero_copy_only=False))


def _write_bands(
    parts: list[Path],
    scratch: Path,
    keys: ch.U64,
    repeats: npt.NDArray[np.bool_],
    progress: Callable[[float], None] | None,
) -> Sketches:
    """Band rows and sketches of all documents but exact repeats, which follow their first one anyway."""
    done = 0
    sketches = Sketches(scratch / "sketches", len(keys))
    schema = pa.schema([("key", pa.uint64()), ("band", pa.uint64())])

    def sign(batch: pa.RecordBatch) -> tuple[ch.I64, ch.U64, pa.RecordBatch, int]:
        numbers = np.searchsorted(keys, documents.keys(batch.column("doc_id")))
        fresh = ~repeats[numbers]
        signature = signed(batch.filter(pa.array(fresh)))
        owners = np.repeat(keys[numbers[fresh]], BANDS)
        rows = pa.record_batch([pa.array(owners), pa.array(bands(signature).reshape(-1))], schema)
        return numbers[fresh], signature, rows, batch.nbytes

    with pq.ParquetWriter(scratch / "bands.parquet", schema, compression="none") as writer:
        for numbers, signature, rows, size in in_order(sign, documents.read(parts, ["doc_id", "text"]), cores()):
            sketches.add(numbers, signature)
            writer.write_batch(rows)
            done += size
            if progress:
                progress(done)
    return sketches


def _likely(left: ch.I64, right: ch.I64, label: ch.I64, sketches: Sketches) -> tuple[ch.I64, ch.I64]:
    """The pairs of documents that are not linked yet and look similar enough to be read."""
    apart = label[left] != label[right]
    left, right = left[apart], right[apart]
    similar = sketches.similar(left, right)
    return left[similar], right[similar]


class _Pairs:
    """Pairs of documents by number, on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def add(self, left: ch.I64, right: ch.I64) -> None:
        with self.path.open("ab") as file:
            file.write(np.stack([left, right], axis=1).tobytes())

    def groups(self) -> Iterator[tuple[ch.I64, ch.I64]]:
        """The pairs, a bounded number at a time."""
        with self.path.open("rb") as file:
            while data := file.read(16 * _GROUP):
                group = np.frombuffer(data, dtype=np.int64).reshape(-1, 2)
                yield group[:, 0], group[:, 1]


class _Sets:
    """Shingle sets of documents that are to be compared, sorted, at most _SET hashes of each, on disk."""

    def __init__(self, path: Path, n: int) -> None:
        self.path = path
        self._begin, self._size = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self._end = 0

    def fill(self, parts: list[Path], keys: ch.U64, pairs: _Pairs) -> None:
        """Read the documents of all pairs that are not here yet."""
        wanted = np.zeros(len(keys), dtype=bool)
        for left, right in pairs.groups():
            wanted[left] = wanted[right] = True
        wanted &= self._begin < 0
        if not wanted.any():
            return
        with self.path.open("ab") as file:
            for batch in documents.read(parts, ["doc_id", "text"]):
                chosen = wanted[np.searchsorted(keys, documents.keys(batch.column("doc_id")))]
                for part in ch.slices(batch.filter(pa.array(chosen))):
                    hashes, offsets = shingles(part.column("text"))
                    numbers = np.searchsorted(keys, documents.keys(part.column("doc_id")))
                    for i, number in enumerate(numbers.tolist()):
                        found = np.unique(hashes[offsets[i] : offsets[i + 1]])[:_SET]
                        file.write(found.tobytes())
                        self._begin[number], self._size[number] = self._end, len(found)
                        self._end += len(found)

    def similarities(self, left: ch.I64, right: ch.I64) -> npt.NDArray[np.float64]:
        """The Jaccard similarity of each pair."""
        if not len(left):
            return np.empty(0)
        stored = np.memmap(self.path, np.uint64, "r")

        def of(number: int) -> ch.U64:
            return stored[self._begin[number] : self._begin[number] + self._size[number]]

        return np.array([jaccard(of(a), of(b)) for a, b in zip(left.tolist(), right.tolist(), strict=True)])


def _verified(pairs: _Pairs, sets: _Sets, label: ch.I64) -> tuple[ch.I64, int]:
    """Labels with the pairs joined that have a similarity of at least THRESHOLD, and how many were compared.

    What a group of pairs has linked is not compared in the next."""
    compared = 0
    for left, right in pairs.groups():
        code = np.unique((left * len(label) + right)[label[left] != label[right]])
        a, b = np.divmod(code, len(label))
        similar = sets.similarities(a, b) >= THRESHOLD
        compared += len(code)
        if similar.any():
            everything = np.arange(len(label))
            label = _components(
                len(label), np.concatenate([everything, a[similar]]), np.concatenate([label, b[similar]])
            )
    return label, compared


def jaccard(left: ch.U64, right: ch.U64) -> float:
    """Similarity of two sorted sets of hashes, each cut to its smallest _SET: exact where both are whole, else that of
    the hashes up to where the first of them is cut: a random sample of the shingles of both."""
    cut = [hashes[-1] for hashes in (left, right) if len(hashes) >= _SET]
    if cut:
        left, right = (hashes[: np.searchsorted(hashes, min(cut), side="right")] for hashes in (left, right))
    both = np.concatenate([left, right])
    if not len(both):
        return 0.0
    both.sort(kind="stable")  # which merges two sorted runs in one pass
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)


def _components(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The smallest member of each node's connected component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return first[label]
