"""Decontamination: which documents hold which evaluation items, and the corpus without them.

    evaluation files -> items (id, text) -> index of their n-grams, tried on the items themselves
    parts of documents -> hits of the index -> evidence: item, document, the stretch that they share in each
    evidence -> of each item, the share of its n-grams that the corpus holds; documents to drop

The n-gram is 13 words (Brown et al. 2020), or 20 characters where words are not spaced. Of jieba's words 13 have 22 to
24 characters in Chinese prose; 20 errs towards finding. Thirteen characters are some seven words, and found a third of
a corpus of Chinese laws in an examination that only names the same authorities (LAB_NOTES).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.cleaning import overlap
from assay.corpus.reading.source import ReadOptions, ReadReport, met, open_sources
from assay.corpus.text import characters as ch
from assay.errors import InputError, WorkError
from assay.present.words import Both
from assay.store import whole_file

WORDS, CHARACTERS = 13, 20
LEAST = 5
"""Units of the shortest items that are looked for: "What is it?" stands everywhere."""

_WHOLE = 1 << 30  # characters: an item is never cut


class Shape(NamedTuple):
    """Words, or characters, of an n-gram; items of fewer than `least` are not looked for."""

    words: int = WORDS
    characters: int = CHARACTERS
    least: int = LEAST


ITEMS = pa.schema([pa.field("item_id", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])
HITS = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("begin", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("item_begin", pa.int32(), nullable=False),
        pa.field("item_end", pa.int32(), nullable=False),
        pa.field("n_grams", pa.int32(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("place", pa.int32(), nullable=False),
    ]
)
"""A stretch of text that a document and an item share, in characters of both; `n_grams` stand in it. `share` is how
many of the item's n-grams the document holds in all. `item` is the row of the item; `place` the word, or character, of
the item that the stretch begins with."""


def read_items(
    uris: list[str], fields: Sequence[str], options: ReadOptions, option: str = "--against"
) -> tuple[pa.Table, dict[str, Any], Sequence[Both]]:
    """The ITEMS of evaluation files, one for each row, counts of what is in them, and what was noticed.

    Args:
        fields: that hold the text, joined by lines; none: the first usual name that is there.
        options: encoding, and what a bad row does.
        option: what names the files on the command line.

    Raises:
        InputError: bad input, or there are no items.
    """
    options = ReadOptions(
        text_field="+".join(fields) or None, encoding=options.encoding, on_error=options.on_error, piece_chars=_WHOLE
    )
    report = ReadReport()
    ids: list[str] = []
    texts: list[str] = []
    try:
        sources = open_sources(uris, options)
        for batch in sources.batches(report):
            names = zip(batch.column("origin").to_pylist(), batch.column("ordinal").to_pylist(), strict=True)
            ids += [f"{origin}:{ordinal}" for origin, ordinal in names]
            texts += batch.column("text").to_pylist()
    except InputError as error:
        remedy = error.remedy.replace("--text-field", "--item-field")
        raise InputError(error.what, where=error.where, remedy=remedy) from error
    if not texts:
        what = f"the evaluation set is empty (rows without text: {report.empty}, broken: {report.bad_rows})"
        raise InputError(what, where=", ".join(uris), remedy=f"name files with items in them with {option}")
    counts = {"empty": report.empty, "bad_rows": report.bad_rows}
    return pa.table([ids, texts], schema=ITEMS), counts, [*sources.notices, *met(asdict(report))]


def indexed(items: pa.Table, shape: Shape) -> overlap.Index:
    """The index of ITEMS, after it has found them in themselves.

    Raises:
        InputError: there is nothing to look for.
        WorkError: it does not find them.
    """
    made = overlap.index(items.column("text").combine_chunks(), *shape)
    if not len(made.hashes):
        what = f"no item can be looked for: none has {shape.least} words (or characters) that are not every item's"
        raise InputError(what, where="--against", remedy="name the fields that hold the text with --item-field")
    found = overlap.hits(made.items, made)
    own = found.document == found.item
    if np.unique(np.stack([found.item[own], found.place[own]]), axis=1).shape[1] != len(made.place):
        raise WorkError(
            "the index does not find the items in themselves", remedy="this is a defect of assay: report it"
        )
    return made


@lru_cache(maxsize=1)
def index_of(items: Path, shape: Shape) -> overlap.Index:
    """The index of a file of ITEMS; made once a process."""
    return indexed(pq.read_table(items), shape)


def search_part(part: Path, target: Path, threads: int, *, items: Path, shape: Shape) -> dict[str, Any]:
    """Write the evidence of one part of the documents; returns the documents and bytes of each source."""
    del threads
    against = index_of(items, shape)
    names = pq.read_table(items, columns=["item_id"]).column("item_id").combine_chunks()
    sources: dict[str, list[int]] = {}
    with whole_file(target) as path, documents.opened(path, HITS) as writer:
        for batch in documents.read([part], ["doc_id", "source", "text", "n_bytes"]):
            for source, size in zip(
                batch.column("source").to_pylist(), batch.column("n_bytes").to_pylist(), strict=True
            ):
                told = sources.setdefault(source, [0, 0])
                sources[source] = [told[0] + 1, told[1] + size]
            for piece in ch.slices(batch):
                made = overlap.units(piece.column("text"))
                found = overlap.hits(made, against)
                if len(found.unit):
                    writer.write_batch(_evidence(piece, names, overlap.spans(made, against, found)))
    return {"sources": sources}


def _evidence(batch: pa.RecordBatch, names: pa.Array, found: overlap.Spans) -> pa.RecordBatch:
    columns = [
        names.take(pa.array(found.item)),
        batch.column("doc_id").take(pa.array(found.document)),
        *(
            pa.array(values, pa.int32())
            for values in (found.begin, found.end, found.item_begin, found.item_end, found.n_grams)
        ),
        pa.array(found.share),
        pa.array(found.item, pa.int32()),
        pa.array(found.place, pa.int32()),
    ]
    return pa.record_batch(columns, schema=HITS)


def judge(
    texts: Sequence[Path], hits: Sequence[Path], items: Path, shape: Shape, threshold: float, out: Path
) -> dict[str, Any]:
    """Write `found.parquet` (of each item, how much of it the corpus holds) and `decisions.parquet`.

    Args:
        threshold: documents that hold at least this share of an item's n-grams, and one, are not kept.
    """
    against = index_of(items, shape)
    names = pq.read_table(items, columns=["item_id"]).column("item_id")
    evidence = pl.read_parquet(list(hits), glob=False) if hits else pl.DataFrame(schema=pl.Schema(HITS))
    grams, covered = np.zeros(len(against.total), dtype=np.int64), evidence.sort("item", "place")
    for item, begin, count in _merged(zip(*(covered[c].to_list() for c in ("item", "place", "n_grams")), strict=True)):
        del begin
        grams[item] += count
    holders = np.zeros(len(grams), dtype=np.int64)
    by_item = evidence.group_by("item").agg(pl.col("doc_id").n_unique())
    holders[by_item["item"].to_numpy()] = by_item["doc_id"].to_numpy()
    share = np.divide(grams, against.total, out=np.zeros(len(grams)), where=against.total > 0)
    columns = {"units": against.items.counts, "n_grams": against.total, "found": grams, "share": share}
    pl.DataFrame({"item_id": names.to_pylist(), **columns, "documents": holders}).write_parquet(out / "found.parquet")
    worst = evidence.group_by("doc_id").agg(share=pl.col("share").max(), items=pl.col("item").n_unique())
    rows = pl.read_parquet(list(texts), columns=["doc_id", "source"], glob=False)
    rows = rows.join(worst, on="doc_id", how="left", maintain_order="left")
    held = pl.col("share").is_not_null()
    rows = rows.with_columns(
        keep=~(held & (pl.col("share") >= threshold)).fill_null(False),
        share=pl.col("share").fill_null(0.0),
        items=pl.col("items").fill_null(0),
    )
    rows.select("doc_id", "keep", "share", "items").write_parquet(out / "decisions.parquet")
    by = rows.group_by("source").agg(
        documents=pl.len(), affected=(pl.col("items") > 0).sum(), contaminated=(~pl.col("keep")).sum()
    )
    return {
        "items": len(grams),
        "looked_for": int((against.total > 0).sum()),
        "short": int(((against.width > 0) & (against.width < against.full)).sum()),
        "too_short": int((against.width == 0).sum()),
        "templates": against.templates,
        "n_grams": len(against.hashes),
        "found_items": int((grams > 0).sum()),
        "found_n_grams": int(grams.sum()),
        "item_n_grams": int(against.total.sum()),
        "documents": len(rows),
        "affected": int((rows["items"] > 0).sum()),
        "contaminated": int((~rows["keep"]).sum()),
        "sources": {row.pop("source"): row for row in by.sort("source").to_dicts()},
    }


def _merged(runs: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Runs (item, place, n-grams), sorted, without what they have in common."""
    now, end = -1, 0
    for item, begin, count in runs:
        if item != now:
            now, end = item, 0
        fresh = max(begin, end)
        if begin + count > fresh:
            yield item, fresh, begin + count - fresh
            end = begin + count
