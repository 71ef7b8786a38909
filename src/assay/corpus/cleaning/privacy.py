"""Personal data of a corpus: where it stands, and documents with it masked, or without those that hold it.

    parts of documents -> texts of a batch as one -> personal.find -> findings (doc_id, kind, begin, end), part by part
    documents + findings -> documents with placeholders in the places found, or those in which nothing was found

What was found is never written down itself, unless asked for: evidence is a place in a document that one has anyway.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.cleaning import personal
from assay.corpus.cleaning.personal import PLACEHOLDERS
from assay.store import whole_file

Action = Literal["mask", "drop", "report"]
VARIANT = "privacy"
"""Names masked copies, see `documents.document_id`."""


def schema(shown: bool) -> pa.Schema:
    """Of the findings: `begin` and `end` are in characters of the document's text; `text` only where it is `shown`."""
    fields = [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("begin", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
    ]
    return pa.schema([*fields, pa.field("text", pa.string(), nullable=False)] if shown else fields)


def search(texts: Sequence[str], kinds: Sequence[str]) -> Iterator[tuple[int, str, int, int]]:
    """(document, kind, begin, end) of all that is found, in order."""
    begins = [0]
    for text in texts:
        begins.append(begins[-1] + len(text) + 1)
    for kind, begin, end in personal.find("\0".join(texts), kinds):
        at = bisect_right(begins, begin) - 1
        yield at, kind, begin - begins[at], end - begins[at]


def search_part(part: Path, target: Path, threads: int, *, kinds: Sequence[str], shown: bool) -> dict[str, Any]:
    """Write the findings of one part of the documents.

    Returns:
        `sources`: of each source, `documents`, `bytes`, `affected` and of each kind [findings, documents].
    """
    del threads  # patterns hold the interpreter's lock
    made: dict[str, dict[str, Any]] = {}
    columns = ["doc_id", "source", "text", "n_bytes"]
    with whole_file(target) as path, documents.opened(path, schema(shown)) as writer:
        for batch in documents.read([part], columns):
            ids, sources, texts, sizes = (batch.column(name).to_pylist() for name in columns)
            for source, size in zip(sources, sizes, strict=True):
                told = made.setdefault(source, {"documents": 0, "bytes": 0, "affected": 0, "kinds": {}})
                told["documents"] += 1
                told["bytes"] += size
            found = list(search(texts, kinds))
            for at in {at for at, *_ in found}:
                made[sources[at]]["affected"] += 1
            for (at, kind), count in Counter((at, kind) for at, kind, *_ in found).items():
                both = made[sources[at]]["kinds"].setdefault(kind, [0, 0])
                both[0] += count
                both[1] += 1
            rows = [
                [ids[at] for at, *_ in found],
                [kind for _, kind, *_ in found],
                [begin for *_, begin, _ in found],
                [end for *_, end in found],
                *([[texts[at][begin:end] for at, _, begin, end in found]] if shown else []),
            ]
            arrays = [pa.array(values, field.type) for values, field in zip(rows, schema(shown), strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema(shown)))
    return {"sources": made}


def summary(counts: Iterable[dict[str, Any]], kinds: Sequence[str]) -> dict[str, Any]:
    """What `search_part` counted, added up: of all, by kind, and by source."""
    sources: dict[str, dict[str, Any]] = {}
    for count in counts:
        for source, part in count["sources"].items():
            fresh = {"documents": 0, "bytes": 0, "affected": 0, "kinds": {kind: [0, 0] for kind in kinds}}
            told = sources.setdefault(source, fresh)
            for name in ("documents", "bytes", "affected"):
                told[name] += part[name]
            for kind, (findings, holding) in part["kinds"].items():
                told["kinds"][kind] = [told["kinds"][kind][0] + findings, told["kinds"][kind][1] + holding]
    for told in sources.values():
        told["kinds"] = {kind: {"findings": f, "documents": d} for kind, (f, d) in told["kinds"].items()}
        told["findings"] = sum(kind["findings"] for kind in told["kinds"].values())
    names = ("findings", "documents")
    return {
        **{name: sum(s[name] for s in sources.values()) for name in ("documents", "bytes", "affected", "findings")},
        "kinds": {k: {name: sum(s["kinds"][k][name] for s in sources.values()) for name in names} for k in kinds},
        "sources": dict(sorted(sources.items())),
    }


def masked(text: str, places: Iterable[tuple[int, int, str]]) -> str:
    """A text with placeholders in some places: (begin, end, kind), in order."""
    pieces, done = [], 0
    for begin, end, kind in places:
        pieces += [text[done:begin], PLACEHOLDERS[kind]]
        done = end
    return "".join([*pieces, text[done:]])


def acted(texts: Sequence[Path], findings: Sequence[Path], action: Action) -> Iterator[pa.RecordBatch]:
    """The documents after `action` (mask or drop), in their order; what is masked is an altered copy."""
    for part, found in zip(texts, findings, strict=True):
        table = pq.read_table(found, columns=["doc_id", "begin", "end", "kind"])
        places: dict[str, list[tuple[int, int, str]]] = {}
        for doc_id, *place in zip(*(column.to_pylist() for column in table.columns), strict=True):
            places.setdefault(doc_id, []).append((place[0], place[1], place[2]))
        for batch in documents.read([part]):
            touched = np.array([doc_id in places for doc_id in batch.column("doc_id").to_pylist()], dtype=bool)
            if not touched.any():
                yield batch
                continue
            rest = batch.filter(pa.array(~touched))
            yield rest if action == "drop" else _with_masks(batch.filter(pa.array(touched)), rest, touched, places)


def _with_masks(
    parents: pa.RecordBatch, rest: pa.RecordBatch, touched: Any, places: dict[str, list[tuple[int, int, str]]]
) -> pa.RecordBatch:
    ids, texts = parents.column("doc_id").to_pylist(), parents.column("text").to_pylist()
    made = [masked(text, places[doc_id]) for doc_id, text in zip(ids, texts, strict=True)]
    copies = documents.altered(parents, pa.array(made, pa.string()), VARIANT)
    return documents.woven(copies, rest, touched)
