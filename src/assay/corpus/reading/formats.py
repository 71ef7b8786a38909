"""One reader a format: a file -> rows of (ordinal, text, source, declared split), streamed.

    .jsonl       lines split on b"\\n" only (other line separators may stand inside strings), one object each
    .json        arrays of objects, or objects, one after another
    .csv         a header line, then rows; comma, semicolon or tab
    .parquet     one row group at a time
    .txt .md     the text itself
    .html .htm   the main text of the page (html.py)
    .warc        the same of every page that a web archive holds (warc.py)
    .epub .pdf   running text (books.py)

A text that is longer than a piece, in whatever format, becomes several documents: it is cut at blank lines, else
line ends, else anywhere; a pair of texts stays whole. A row that cannot be used goes to `problem(where, what, remedy)`,
which raises (stop) or counts (skip). What is wrong with a file as a whole is raised as an `InputError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from assay.corpus.documents import Own
from assay.corpus.reading import books, csv_rows, decode, html, json_rows, lines, parquet, records, running, warc
from assay.corpus.reading.decode import Problem

_VALUES = {".jsonl": json_rows.of_lines, ".json": json_rows.values, ".csv": csv_rows.records}


class Row(NamedTuple):
    """A record, or a piece of one; `ordinal` counts the rows of a file."""

    ordinal: int
    text: str
    source: str | None
    split: str | None
    own: Own | None = None


class Reading(NamedTuple):
    """How the texts of a file are read; see `ReadOptions`."""

    fields: records.Fields
    encoding: str | None = None
    extractor: html.Extractor = "resiliparse"
    piece_chars: int = 20_000


def needs(kinds: set[str], extractor: html.Extractor) -> None:
    """Whether what these kinds need is installed: told before anything is read, since no file is to blame.

    Raises:
        InputError: it is not; the remedy says what to install.
    """
    if kinds & set(running.PAGES):
        html.needs(extractor)
    if ".pdf" in kinds:
        books.needs_pdf()


def readers(kinds: set[str], extractor: html.Extractor) -> dict[str, str | int]:
    """The versions of what decides which text such files give, where it is not the file alone."""
    made: dict[str, str | int] = {}
    if kinds & {*running.PAGES, ".epub"}:
        made |= html.versions(extractor)
    if ".pdf" in kinds:
        made["pypdf"] = metadata.version("pypdf")
    return made


def rows(raw: decode.Raw, kind: str, how: Reading, problem: Problem) -> Iterator[Row]:
    """The rows of one file. `kind` is the format's suffix."""
    if kind in running.RUNNING:
        whole = running.text(raw, kind, how.encoding, how.extractor, problem)
        for ordinal, piece in enumerate(running.pieces(whole, how.piece_chars)):
            yield Row(ordinal, piece, None, None)
        return
    ordinal = 0
    piece_chars = how.piece_chars
    for text, source, split, own in _records(raw, kind, how, problem):
        if how.fields.pair is not None or len(text) <= piece_chars:
            yield Row(ordinal, text, source, split, own)
            ordinal += 1
            continue
        for piece in running.pieces(iter([text]), piece_chars):
            yield Row(ordinal, piece, source, split)
            ordinal += 1


def _records(raw: decode.Raw, kind: str, how: Reading, problem: Problem) -> Iterator[records.Record]:
    fields, encoding = how.fields, how.encoding
    if kind == ".warc":
        for text in warc.texts(raw, problem, encoding, how.extractor):
            yield records.Record(text, None, None)
        return
    if kind == ".parquet":
        values = parquet.records(raw, lambda names: records.columns(raw, names, fields), lines.LARGEST, problem)
    else:
        values = _VALUES[kind](raw, encoding, problem)
    for where, value in values:
        record = records.record(raw.where + where, value, fields, problem)
        if record:
            yield record._replace(own=records.own(value)) if kind == ".parquet" else record
