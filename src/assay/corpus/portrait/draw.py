"""A sample of documents for what is too dear to ask of all: of each group the first so many by id, one of a cluster.

An id is a hash of what a document says and where it stands, so that the first by id are drawn at random, and are the
same ones whatever the order of files. Of near-duplicates one is drawn: repeats would count as agreement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from assay.corpus import documents
from assay.corpus.cleaning import personal, privacy
from assay.corpus.text import words as w

MOST = 12_000
MOST_OF_GROUP = 1_500
CHARS = 2_000
"""Of a document's text that is read, from its beginning."""


@dataclass(frozen=True)
class Sample:
    """Drawn documents in the order of their ids.

    Attributes:
        doc_ids: of each.
        groups: the group of each.
        languages: the label of each.
        words: of each, in lower case: those that hold a letter, from its beginning; personal data are left out.
    """

    doc_ids: list[str]
    groups: list[int]
    languages: list[str]
    words: list[list[str]]


def drawn(connection: duckdb.DuckDBPyConnection, n_groups: int) -> pl.DataFrame:
    """doc_id and g of the sample, sorted by id."""
    most = max(1, min(MOST_OF_GROUP, MOST // n_groups))
    query = (
        "SELECT doc_id, g FROM corpus WHERE doc_id = cluster"
        " QUALIFY row_number() OVER (PARTITION BY g ORDER BY doc_id) <= $most ORDER BY doc_id"
    )
    return rows(connection.sql(query, params={"most": most}).fetchall())


def rows(pairs: Sequence[Sequence[object]]) -> pl.DataFrame:
    """(doc_id, g) as a table."""
    return pl.DataFrame(pairs, schema={"doc_id": pl.String, "g": pl.Int32}, orient="row")


def read(texts: Sequence[Path], wanted: pl.DataFrame) -> Sample:
    """The words of the documents `wanted` (doc_id, g)."""
    found: dict[str, tuple[str, list[str]]] = {}
    met: dict[str, str] = {}  # equal words are one string
    ids = wanted["doc_id"].to_list()
    names = pa.array(ids, pa.string())
    for batch in documents.read(texts, ["doc_id", "language", "text"]):
        own = batch.filter(pc.is_in(batch.column("doc_id"), names))
        heads = pc.utf8_slice_codeunits(own.column("text"), 0, CHARS)
        for doc_id, language, text in zip(
            own.column("doc_id").to_pylist(), own.column("language").to_pylist(), heads.to_pylist(), strict=True
        ):
            found[doc_id] = (language or "und", [met.setdefault(word, word) for word in words_of(text)])
    return Sample(ids, wanted["g"].to_list(), [found[i][0] for i in ids], [found[i][1] for i in ids])


def words_of(text: str) -> list[str]:
    """The words of a text that hold a letter, in lower case, without what is personal data."""
    places = [(one.begin, one.end) for one in personal.find(text)]
    for begin, end in reversed(places):
        text = f"{text[:begin]} {text[end:]}"
    cuts = [0, *np.cumsum(w.pieces(text)).tolist()]
    pieces = (text[begin:end] for begin, end in pairwise(cuts))
    return [piece.lower() for piece in pieces if any(map(str.isalpha, piece))]


def masked(texts: Sequence[Path], doc_ids: Sequence[str], chars: int) -> dict[str, dict[str, object]]:
    """The beginnings of some documents, for a person to read: so many characters, with placeholders for personal data
    and without blank lines.

    Returns:
        by id, `text`, `cut` (there is more), `language`.
    """
    made: dict[str, dict[str, object]] = {}
    wanted = pa.array(sorted(set(doc_ids)), pa.string())
    for batch in documents.read(texts, ["doc_id", "language", "text"]):
        own = batch.filter(pc.is_in(batch.column("doc_id"), wanted))
        for row in own.to_pylist():
            head = row["text"][: chars + _MARGIN]
            told = privacy.masked(head, [(one.begin, one.end, one.kind) for one in personal.find(head)])
            told = _BLANK.sub("\n", told).strip()
            made[row["doc_id"]] = {
                "text": told[:chars].rstrip(),
                "cut": len(told) > chars or len(row["text"]) > len(head),
                "language": row["language"] or "und",
            }
    return made


_BLANK = re.compile(r"\n\s*\n")
_MARGIN = 20_000  # characters searched beyond what is shown: the longest that is masked, a private key, ends within
