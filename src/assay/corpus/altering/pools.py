"""Defects that need other documents of the corpus: another's text, joined texts, text of a Markov chain.

    documents -> of each label (language, source) random ones of a few MB, in a random order -> a table: the pool
    documents batch, pool, seed -> altered copies, and what was done to each

Which documents are in a pool depends on their ids and the seed alone, not on the order of files. A pool is small, so
that every process can hold it: in a large corpus a donor's text comes in again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.corpus.altering.distortions import Told
from assay.corpus.altering.edits import draw, put_from, put_together, seeds, share, tokens, told_by
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled, mixed

Label = Literal["language", "source"]
POOL = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("doc_id", "label", "text")])
POOL_BYTES = 64 << 20
"""Of text in a pool, over all of its labels."""
CHAIN_BYTES = 16 << 20
"""Of text that Markov chains are counted in: less, since the counts take many times its memory."""
LEAST_BYTES = 1 << 18
"""Of text of one label, where there is as much."""
UNKNOWN = ("und", "zxx")
"""Labels of languages that say nothing."""


def gathered(
    read: Callable[[list[str]], Iterator[pa.RecordBatch]],
    label: Label,
    seed: int,
    tell: Callable[[float], None],
    size: int = POOL_BYTES,
) -> pa.Table:
    """The pool: rows of POOL by label, in each in a random order.

    Args:
        read: batches of documents with some columns; asked twice.
        size: bytes of text, over all labels.
        tell: gets the bytes of data that are read.
    """
    names: set[str] = set()
    for batch in read([label]):
        names |= set(pc.unique(batch.column(label)).to_pylist()) - {None}
    most = max(LEAST_BYTES, size // max(1, len(names)))
    found: dict[str, pl.DataFrame] = {}
    held: dict[str, int] = {}
    for batch in read(["doc_id", label, "text", "n_bytes"]):
        frame = pl.DataFrame(pa.table(batch)).rename({label: "label"}).drop_nulls("label")
        keys = seeds(batch.filter(pc.is_valid(batch.column(label))).column("doc_id"), seed)
        frame = frame.with_columns(key=pl.Series(keys, dtype=pl.UInt64))
        for part in frame.partition_by("label"):
            name = str(part["label"][0])
            found[name] = pl.concat([found[name], part]) if name in found else part
            held[name] = held.get(name, 0) + int(part["n_bytes"].sum())
            if held[name] > 2 * most:
                found[name] = _first(found[name], most)
                held[name] = int(found[name]["n_bytes"].sum())
        tell(float(batch.nbytes))
    rows = [_first(found[name], most) for name in sorted(found)]
    table = pl.concat(rows).select(POOL.names).to_arrow() if rows else POOL.empty_table()
    return table.cast(POOL)


def _first(frame: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first documents in the random order, as many as hold so many bytes; one at least."""
    frame = frame.sort("key", "doc_id")
    enough = int(np.searchsorted(np.cumsum(frame["n_bytes"].to_numpy()), most)) + 1
    return frame.head(enough)


@dataclass(frozen=True, eq=False)
class Pool:
    """Texts end to end, of each label a run of them: [first, last) by name."""

    points: ch.U32
    offsets: ch.I64
    doc_ids: list[str]
    n_bytes: ch.I64
    labels: dict[str, tuple[int, int]]


@lru_cache(maxsize=1)
def opened(path: Path) -> Pool:
    """A pool as `gathered` makes it, from a file."""
    return pool_of(pq.read_table(path, schema=POOL))


def pool_of(table: pa.Table) -> Pool:
    """A table of POOL, as arrays."""
    points, offsets = ch.points_of(table.column("text").combine_chunks().cast(pa.large_string()))
    labels: dict[str, tuple[int, int]] = {}
    for i, name in enumerate(table.column("label").to_pylist()):
        labels[name] = (labels.get(name, (i, i))[0], i + 1)
    n_bytes = pc.binary_length(table.column("text").cast(pa.binary())).to_numpy().astype(np.int64)
    return Pool(points, offsets, table.column("doc_id").to_pylist(), n_bytes, labels)


def of_another(batch: pa.RecordBatch, pool: Pool, label: Label, seed: int) -> Told:
    """Each document's text replaced by a passage of a document of another label, of about as many bytes. Where there is
    none, or the document has no language, its text stays."""
    known = {name: run for name, run in pool.labels.items() if name not in UNKNOWN}
    order = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(*run) for run in known.values())])
    runs, at = {}, 0
    for name, (first, last) in known.items():
        runs[name], at = (at, at + last - first), at + last - first

    def kernel(
        part: pa.RecordBatch, points: ch.U32, offsets: ch.I64, numbers: ch.U64
    ) -> tuple[ch.U32, ch.I64, list[str]]:
        own = [runs.get(name, (0, 0)) if name not in UNKNOWN else None for name in part.column(label).to_pylist()]
        known_own = np.array([run is not None for run in own], dtype=bool)
        first, last = np.array([run or (0, 0) for run in own], dtype=np.int64).reshape(-1, 2).T
        others = len(order) - (last - first)
        good = (others > 0) & known_own & (np.diff(offsets) > 0)
        drawn = (draw(numbers, 31) % np.maximum(others, 1).astype(np.uint64)).astype(np.int64)
        donor = np.zeros(len(good), dtype=np.int64)
        donor[good] = order[(drawn + (last - first) * (drawn >= first))[good]]
        wanted = part.column("n_bytes").to_numpy().astype(np.float64)
        lengths = np.diff(pool.offsets)[donor]
        per_char = pool.n_bytes[donor] / np.maximum(lengths, 1)
        taken = np.minimum(lengths, np.ceil(wanted / np.maximum(per_char, 1)).astype(np.int64))
        begin = pool.offsets[donor] + np.floor(share(draw(numbers, 32)) * (lengths - taken + 1)).astype(np.int64)
        begins = np.where(good, len(points) + begin, offsets[:-1])
        lengths = np.where(good, taken, np.diff(offsets))
        made = put_from(points, pool.points, begins, lengths, np.arange(len(offsets)))
        return *made, [f"text of {pool.doc_ids[i]}" if g else "" for i, g in zip(donor, good, strict=True)]

    return told_by(batch, kernel, seed, f"of another {label} {seed}")


def joined(batch: pa.RecordBatch, pool: Pool, seed: int) -> Told:
    """Each document with another one of its source behind it, after a line end, as if they were one."""

    def kernel(
        part: pa.RecordBatch, points: ch.U32, offsets: ch.I64, numbers: ch.U64
    ) -> tuple[ch.U32, ch.I64, list[str]]:
        runs = np.array([pool.labels.get(name, (0, 0)) for name in part.column("source").to_pylist()]).reshape(-1, 2)
        first, count = runs[:, 0], runs[:, 1] - runs[:, 0]
        drawn = (draw(numbers, 33) % np.maximum(count, 1).astype(np.uint64)).astype(np.int64)
        ids = part.column("doc_id").to_pylist()
        met = [pool.doc_ids[i] if n else None for i, n in zip((first + drawn).tolist(), count.tolist(), strict=True)]
        itself = np.array([one == own for one, own in zip(met, ids, strict=True)], dtype=bool)
        donor = first + (drawn + itself) % np.maximum(count, 1)
        good = count > itself
        length = np.where(good, np.diff(pool.offsets)[np.minimum(donor, len(pool.doc_ids) - 1)], 0)
        begin = pool.offsets[np.minimum(donor, len(pool.doc_ids) - 1)]
        ended = np.append(points, np.uint32(0x0A))
        begins = np.stack([offsets[:-1], np.full(len(good), len(points)), len(ended) + begin], axis=1).ravel()
        lengths = np.stack([np.diff(offsets), good.astype(np.int64), length], axis=1).ravel()
        made = put_from(ended, pool.points, begins, lengths, 3 * np.arange(len(offsets)))
        return *made, [f"with {pool.doc_ids[i]}" if g else "" for i, g in zip(donor, good, strict=True)]

    return told_by(batch, kernel, seed, f"joined {seed}")


class Chain(NamedTuple):
    """A Markov chain of order k over words, as the text that it was counted in: what may follow k words are the words
    that followed them there.

    Attributes:
        points: the text; `begins` are of its words (Chinese: characters), with the end behind them.
        order: k.
        group: of every place but the last k, the number of the k words that begin there.
        members: places by group; `starts` are where each group begins among them.
    """

    points: ch.U32
    begins: ch.I64
    order: int
    group: npt.NDArray[np.int32]
    members: npt.NDArray[np.int32]
    starts: ch.I64


def chain(points: ch.U32, offsets: ch.I64, order: int) -> Chain | None:
    """Count a chain in some texts; None where they are too short."""
    begins, _ = tokens(points, offsets, white_apart=False)
    ends = np.append(begins[1:], len(points))
    if len(begins) <= order:
        return None
    hashes = ch.stretches(points, begins, ends)
    states = np.zeros(len(begins) - order, dtype=np.uint64)
    for k in range(order):
        states = ch.mix(states * np.uint64(0x9E3779B97F4A7C55) + hashes[k : k + len(states)])
    _, numbers = np.unique(states, return_inverse=True)
    group: npt.NDArray[np.int32] = numbers.astype(np.int32)
    members: npt.NDArray[np.int32] = np.argsort(group, kind="stable").astype(np.int32)
    starts = np.append(0, np.cumsum(np.bincount(group)))
    return Chain(points, np.append(begins, len(points)), order, group, members, starts)


@lru_cache(maxsize=1)
def counted(path: Path, order: int) -> dict[str, Chain]:
    """The chains of a pool in a file; counted once a process."""
    return chains(opened(path), order)


def chains(pool: Pool, order: int) -> dict[str, Chain]:
    """A chain for each label of a pool."""
    made = {}
    for name, (first, last) in pool.labels.items():
        lengths = np.diff(pool.offsets[first : last + 1])
        points = np.append(pool.points, np.uint32(0x0A))  # a line end behind every document
        begins = np.stack([pool.offsets[first:last], np.full(last - first, len(points) - 1)], axis=1).ravel()
        widths = np.stack([lengths, np.ones(last - first, dtype=np.int64)], axis=1).ravel()
        one = chain(*put_together(points, begins, widths, 2 * np.arange(last - first + 1)), order)
        if one is not None:
            made[name] = one
    return made


def markov_text(batch: pa.RecordBatch, models: dict[str, Chain], order: int, seed: int) -> Told:
    """Each document's text replaced by what a Markov chain of its language says, of as many characters: fluent from
    word to word (Chinese: character to character), without any sense.

    Args:
        models: of each language, `chains` of this order.
    """

    def kernel(
        part: pa.RecordBatch, points: ch.U32, offsets: ch.I64, numbers: ch.U64
    ) -> tuple[ch.U32, ch.I64, list[str]]:
        names = np.array(part.column("language").to_pylist(), dtype=object)
        made = points.copy()
        for name in dict.fromkeys(names.tolist()):
            if (model := models.get(name)) is not None:
                _walk(model, np.flatnonzero(names == name), offsets, numbers, made)
        return made, offsets, [f"order {order}, {name}" if name in models else "" for name in names.tolist()]

    return told_by(batch, kernel, seed, f"markov_text {order} {seed}")


@compiled
def _walk(model: Chain, chosen: Any, offsets: Any, seeds: Any, made: Any) -> None:
    """Fill the texts of chosen documents with walks: from k words to a random place where they stand, and on by the
    word behind them."""
    for d in chosen:
        n, end = offsets[d], offsets[d + 1]
        at = np.int64(-1)
        tick = np.uint64(seeds[d])
        while n < end:
            tick += np.uint64(0x9E3779B97F4A7C15)
            random = mixed(tick)
            if at < 0 or at >= len(model.group):  # the beginning, or the end of the text that was counted
                at = np.int64(random % np.uint64(len(model.group)))
                first, last = model.begins[at], model.begins[at + model.order]
            else:
                low, high = model.starts[model.group[at]], model.starts[model.group[at] + 1]
                place = np.int64(model.members[low + np.int64(random % np.uint64(high - low))])
                first, last = model.begins[place + model.order], model.begins[place + model.order + 1]
                at = place + 1
            for j in range(first, last):
                if n < end:
                    made[n] = model.points[j]
                    n += 1
