"""Exact and near duplicates, for texts with and without spaces between words.

    documents -> folded code points (letters and digits only, lower case)
              -> shingles: 24 characters (about 5 English words), or 5 where words are not spaced
              -> MinHash of 120 values by one-permutation hashing -> 20 bands of 6 rows
    bands     -> candidate pairs (DuckDB, so that they need not fit in memory)
              -> verified by the Jaccard similarity of their shingle sets, read again from the documents
              -> connected components; a cluster is named by its smallest document id

Nothing depends on the order of files. Broder 1997 (MinHash); Li, Owen, Zhang 2012 (one permutation);
Shrivastava 2017 (optimal densification of empty bins). 20 x 6 finds .998 of the pairs at Jaccard .8 and half
of those at .58.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import characters as ch
from assay.corpus import documents

BANDS, ROWS = 20, 6
VALUES = BANDS * ROWS
THRESHOLD = 0.7
"""Documents whose shingle sets have at least this Jaccard similarity are near-duplicates."""
WINDOW, WINDOW_UNSPACED = 24, 5
"""Shingle widths in letters and digits; the second where at least a third of them are of scripts without
spaces."""
_UNSPACED_SHARE = 1 / 3
_SET = 4096  # shingles kept per document when a pair is verified: exact below, an estimate (s.e. < .008) above
_TRIES = 400
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)

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


def shingles(text: pa.Array) -> tuple[ch.U64, ch.I64]:
    """Shingle hashes of every document, end to end, with repeats, and their offsets.

    A document shorter than one shingle has a single one, of all that it has (or of its raw text, if no
    letters)."""
    points, offsets = ch.points_of(text)
    table = ch.folded()[points]
    solid = table != 0
    kept = np.flatnonzero(solid)
    ends = np.searchsorted(kept, offsets)
    folded = table[kept]
    unspaced = ch.sums((ch.classes()[folded] & ch.UNSPACED) > 0, ends)
    lengths = np.diff(ends)
    width = np.where(unspaced > _UNSPACED_SHARE * lengths, WINDOW_UNSPACED, WINDOW)
    rolling = ch.Rolling(folded)
    count = np.maximum(lengths - width + 1, 0)
    made = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(np.maximum(count, 1), out=made[1:])
    hashes = np.empty(made[-1], dtype=np.uint64)
    for w in (WINDOW, WINDOW_UNSPACED):
        chosen = np.flatnonzero((width == w) & (count > 0))
        if len(chosen):
            of_window = rolling.windows(w)
            if len(chosen) == len(count):
                index = np.arange(made[-1]) + np.repeat(ends[:-1] - made[:-1], count)
                hashes = of_window[index]
            else:
                at = _ranges(made[chosen], count[chosen])
                hashes[at] = of_window[_ranges(ends[chosen], count[chosen])]
    short = np.flatnonzero(count == 0)
    if len(short):
        hashes[made[short]] = rolling.stretches(ends[short], ends[short + 1])
        bare = short[lengths[short] == 0]
        hashes[made[bare]] = ch.Rolling(points).stretches(offsets[bare], offsets[bare + 1])
    return hashes, made


def _ranges(begins: ch.I64, lengths: ch.I64) -> ch.I64:
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - (ends - lengths), lengths)


def signatures(hashes: ch.U64, offsets: ch.I64) -> npt.NDArray[np.uint64]:
    """MinHash signatures (documents x VALUES): each shingle falls into one bin, each bin keeps its smallest
    hash.

    Long documents leave out shingles that are too large to win any bin, which changes nothing but the time.
    """
    n = len(offsets) - 1
    count = np.diff(offsets)
    # With 32 expected survivors a bin, the chance that one is empty is e^-32.
    bound = np.minimum(32.0 * VALUES / np.maximum(count, 1), 1.0)
    limit = np.where(bound >= 1, float(1 << 40), np.floor(bound * (1 << 40))).astype(np.uint64)
    value = hashes & np.uint64((1 << 40) - 1)
    owner = ch.owner(offsets)
    if (bound < 1).any():
        kept = np.flatnonzero(value < np.repeat(limit, count))
        hashes, value, owner = hashes[kept], value[kept], owner[kept]
    bins = ((hashes >> np.uint64(40)) * np.uint64(VALUES)) >> np.uint64(24)
    cell = owner.astype(np.uint64) * np.uint64(VALUES) + bins
    key = (cell << np.uint64(40)) | value  # the cell needs 24 bits: at most 139,810 documents a call
    key.sort()
    cells = (key >> np.uint64(40)).astype(np.int64)
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    made = np.full(n * VALUES, _EMPTY, dtype=np.uint64)
    made[cells[first]] = key[first] & np.uint64((1 << 40) - 1)
    return _densified(made.reshape(n, VALUES))


@lru_cache(maxsize=1)
def _detours() -> npt.NDArray[np.int64]:
    grid = np.arange(_TRIES * VALUES, dtype=np.uint64).reshape(_TRIES, VALUES)
    return (ch.mix(grid) % np.uint64(VALUES)).astype(np.int64)


def _densified(made: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Every empty bin takes the value of a bin chosen by a hash of (bin, attempt) that all documents
    share."""
    filled = made != _EMPTY
    row, column = np.nonzero(~filled)
    result = made.copy()
    for attempt in range(_TRIES):
        if not len(row):
            return result
        donor = _detours()[attempt][column]
        works = filled[row, donor]
        result[row[works], column[works]] = made[row[works], donor[works]] + np.uint64(attempt + 1 << 41)
        row, column = row[~works], column[~works]
    for step in range(1, VALUES):  # so few are left that walking on to the next bin decides
        donor = (column + step) % VALUES
        works = filled[row, donor]
        result[row[works], column[works]] = made[row[works], donor[works]] + np.uint64(step << 51)
        row, column = row[~works], column[~works]
    return result


def bands(signature: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One hash for each band of each document (documents x BANDS)."""
    rows = signature.reshape(-1, BANDS, ROWS)
    hashed = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), rows.shape[:2])
    for i in range(ROWS):
        hashed = ch.mix(hashed ^ rows[:, :, i])
    return hashed


def band_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The kernel of the first pass: (doc_id's first 64 bits, band hash) rows of a documents batch."""
    parts = [np.empty((0, BANDS), dtype=np.uint64)]
    for part in ch.slices(batch):
        parts.append(bands(signatures(*shingles(part.column("text")))))
    hashed = np.concatenate(parts)
    keys = np.repeat(documents.keys(batch.column("doc_id")), BANDS)
    return pa.record_batch({"key": pa.array(keys), "band": pa.array(hashed.reshape(-1))})


def duplicates(
    parts: list[Path], scratch: Path, progress: Callable[[float], None] | None = None
) -> tuple[pa.Table, dict[str, int]]:
    """The DUPLICATES table of all documents, sorted by id, and counts (candidates, verified).

    `scratch` is a folder for band rows; `progress` gets the bytes of text that are done.
    """
    identity = duckdb.connect()
    try:
        names = [str(part) for part in parts]
        query = (
            "SELECT doc_id, min(doc_id) OVER (PARTITION BY content_hash) AS exact_cluster"
            " FROM read_parquet($1) ORDER BY doc_id"
        )
        ids = identity.sql(query, params=[names]).to_arrow_table()
        doc_ids, exact = ids.column("doc_id").combine_chunks(), ids.column("exact_cluster").combine_chunks()
        band_file = scratch / "bands.parquet"
        first = set(np.flatnonzero(_differs(doc_ids, exact)).tolist())
        repeats = np.sort(documents.keys(doc_ids.take(pa.array(sorted(first), pa.int64()))))
        _write_bands(parts, band_file, repeats, progress)
        pairs = _candidates(identity, band_file)
    finally:
        identity.close()
    keys = documents.keys(doc_ids)
    linked = verified(parts, pairs)
    exact_at = np.searchsorted(keys, documents.keys(exact))
    everything = np.arange(len(keys))
    label = _components(
        len(keys), np.concatenate([everything, np.searchsorted(keys, linked[:, 0])]),
        np.concatenate([exact_at, np.searchsorted(keys, linked[:, 1])]),
    )  # fmt: skip
    cluster = doc_ids.take(pa.array(label))
    columns = [doc_ids, exact, cluster, pa.array(_differs(doc_ids, exact)), pa.array(label != everything)]
    counts = {"candidates": len(pairs), "verified": len(linked)}
    return pa.table([pa.chunked_array([c]) for c in columns], schema=DUPLICATES), counts


def _differs(left: pa.Array, right: pa.Array) -> npt.NDArray[np.bool_]:
    import pyarrow.compute as pc

    return np.asarray(pc.not_equal(left, right).to_numpy(zero_copy_only=False))


def _write_bands(parts: list[Path], path: Path, repeats: ch.U64, progress: Callable[[float], None] | None) -> None:
    """Band rows of all documents but exact repeats, which follow their first one anyway."""
    done = 0
    schema = pa.schema([("key", pa.uint64()), ("band", pa.uint64())])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for batch in documents.read(parts, ["doc_id", "text"]):
            keys = documents.keys(batch.column("doc_id"))
            at = np.minimum(np.searchsorted(repeats, keys), max(len(repeats) - 1, 0))
            fresh = repeats[at] != keys if len(repeats) else np.ones(len(keys), dtype=bool)
            writer.write_batch(band_rows(batch.filter(pa.array(fresh))))
            done += batch.nbytes
            if progress:
                progress(done)


def _candidates(connection: Any, path: Path) -> npt.NDArray[np.uint64]:
    """Pairs of documents that share a band: each with the smallest of its bucket and with the one before
    it."""
    query = """
        WITH shared AS (
            SELECT key, min(key) OVER w AS smallest, lag(key) OVER (w ORDER BY key) AS previous
            FROM read_parquet($1) WINDOW w AS (PARTITION BY band)
        )
        SELECT DISTINCT a, b FROM (
            SELECT smallest AS a, key AS b FROM shared WHERE smallest <> key
            UNION ALL SELECT previous AS a, key AS b FROM shared WHERE previous IS NOT NULL
        ) ORDER BY a, b
    """
    found = connection.sql(query, params=[str(path)]).to_arrow_table()
    return np.stack([found.column(name).to_numpy() for name in "ab"], axis=1).astype(np.uint64)


def verified(parts: Iterable[Path], pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The pairs whose shingle sets have a Jaccard similarity of at least THRESHOLD."""
    if not len(pairs):
        return pairs
    wanted = np.unique(pairs)
    sets: dict[int, ch.U64] = {}
    for batch in documents.read(parts, ["doc_id", "text"]):
        keys = documents.keys(batch.column("doc_id"))
        at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        chosen = wanted[at] == keys
        if chosen.any():
            kept = batch.filter(pa.array(chosen))
            for part in ch.slices(kept):
                hashes, offsets = shingles(part.column("text"))
                for i, key in enumerate(documents.keys(part.column("doc_id")).tolist()):
                    sets[key] = np.unique(hashes[offsets[i] : offsets[i + 1]])[:_SET]
    similar = [jaccard(sets[a], sets[b]) >= THRESHOLD for a, b in pairs.tolist()]
    return pairs[np.array(similar)]


def jaccard(left: ch.U64, right: ch.U64) -> float:
    """Similarity of two sorted sets of hashes, each cut to its smallest _SET: exact, or the bottom-k
    estimate."""
    k = min(len(left), len(right)) if max(len(left), len(right)) >= _SET else None
    union = np.union1d(left, right)[: k if k and k >= _SET else None]
    both = np.intersect1d(left, right, assume_unique=True)
    shared = np.count_nonzero(both <= union[-1]) if len(union) else 0
    return shared / len(union) if len(union) else 0.0


def _components(n: int, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The smallest member of each node's connected component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    return first[label]
