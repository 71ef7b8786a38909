"""Files -> rows of a supervised data set, in any of the usual formats.

    URI -> files -> what a file is packed as (lines of JSON, a table, columns, Parquet, lines side by side)
        -> what its rows say (FORMATS, told by the first of them) -> rows of one shape, what is wrong with the others

Files are opened, unpacked and decoded by the corpus room: plain, .gz or .zst, in whatever encoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from assay.corpus import documents
from assay.corpus.reading import csv_rows, decode, json_rows, lines, listing, parallel, parquet
from assay.corpus.reading.remote import opening
from assay.errors import InputError
from assay.tasks.reading import chat, conll, preferences, spans, squad, tabs
from assay.tasks.reading.rows import Met, OnError, Row, Rows, made, mapping

FORMATS = ("table", "conll", "squad", "parallel", "chat", "preference", "kto", "spans")
_COLUMNS = (".conll", ".conllu", ".bmes", ".bmeso", ".bio", ".bioes", ".iob", ".iob2", ".conll03")
_KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".parquet", ".txt", *_COLUMNS)
_NO_DATA = ("readme", "license", "licence", "copying", "notice", "changelog", "dataset_infos")
_HEAD = 200  # lines that tell a format
_EMPTY = "the file is empty: it has no rows"
Value = tuple[str, Any]  # where it stands, and what it is


class File(NamedTuple):
    """A file to read. `within` is its path below what was named; `other` has the target's lines, of two files of lines;
    `base` is what its path begins with in the cache and what is shown instead."""

    path: Path
    within: PurePath
    other: Path | None = None
    base: tuple[str, str] | None = None

    @property
    def kind(self) -> str:
        """The suffix that says what it is packed as, without that of its compression."""
        return _plain(self.path).suffix.lower()


def rows(
    uris: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,
    on_error: OnError = "stop",
    column: str | int | None = None,
    encoding: str | None = None,
) -> Rows:
    """The rows of files, of folders' files by name, of `x.en,x.de` (lines side by side), or of hf:// and its like.

    Args:
        format: of FORMATS; None: what the first row looks like.
        on_error: whether what is wrong ends the reading or is left out and counted.
        column: of columns (CoNLL), whose values are the tags; see `conll.rows`.
        encoding: of all files; None: of each what a mark says, UTF-8, or what its bytes look like.

    Returns:
        rows of these fields: `table`: its own; `conll`: tokens, tags, columns; `squad`: id, context, question, answers,
        is_impossible, title; `parallel`: source, target; `chat`: messages; `preference`: messages, chosen, rejected;
        `kto`: messages, completion, good; `spans`: text, spans, and its other ones.

    Raises:
        InputError: there is nothing of the name, nothing to read in it, or, where that ends the reading, a bad row.
    """
    return read(files(uris), format=format, on_error=on_error, column=column, encoding=encoding)


def read(
    found: Sequence[File],
    *,
    format: str | None = None,
    on_error: OnError = "stop",
    column: str | int | None = None,
    encoding: str | None = None,
) -> Rows:
    """The rows of files that were found; see `rows`."""
    if format is not None and format not in FORMATS:
        raise InputError(f"no format is called {format!r}", remedy=f"use one of {', '.join(FORMATS)}")
    met, kept, told = Met(on_error), list[Row](), format
    for file in found:
        before = len(kept), met.skipped.total()
        try:
            for row, said in _of_file(file, told, column, encoding, met):
                told = said  # known from the first row on
                kept.append(Row(row.fields, _named(row.where, file)))
            if (len(kept), met.skipped.total()) == before:
                remedy = "give a file with rows, or leave it out"
                met.bad(InputError(_EMPTY, where=decode.shown(file.path), remedy=remedy))
        except decode.Changed:
            raise
        except (InputError, OSError) as error:
            raised = error if isinstance(error, InputError) else decode.refused(file.path, error)
            if met.stop:
                raise _renamed(raised, file) from error
            met.bad(raised)
    made_of = made(kept, told or "table", met)
    if not made_of.rows:
        first = met.places[0] if met.places else _EMPTY
        where = ", ".join(decode.shown(file.path) for file in found[:3])
        raise InputError(f"no row can be used: {first}", where=where, remedy="mend the file, or name its format")
    return made_of


def files(uris: str | Path | Sequence[str | Path]) -> list[File]:
    """The files that URIs name, folders by the names in them.

    Raises:
        InputError: there is nothing of a name, or no file in a folder that can hold rows.
    """
    named = [uris] if isinstance(uris, str | Path) else list(uris)
    return [file for uri in named for file in _files(str(uri))]


def _files(uri: str) -> Iterator[File]:
    if opening.is_remote(uri):
        far = opening.materialise(uri)
        yield from _below(far.path, far.shown)
        return
    path = Path(uri.removeprefix("file://")).expanduser()
    sides = uri.split(",")
    if len(sides) == 2 and not path.exists():
        one, other = (Path(side.strip()).expanduser() for side in sides)
        other = other if other.exists() or other.is_absolute() else one.parent / other
        for side in (one, other):
            if not side.is_file():
                raise InputError("there is no such file of lines", where=decode.shown(side), remedy="check the path")
        yield File(one, PurePath(one.name), other)
        return
    if not path.exists():
        listing.listing([uri])  # says so, with what is there of a name like it
    yield from _below(path, None)


def _below(root: Path, base: tuple[str, str] | None) -> Iterator[File]:
    if root.is_file():
        yield File(root, PurePath(root.name), None, base)
        return
    found = []
    for path in sorted(root.rglob("*")):
        within = path.relative_to(root)
        hidden = any(part.startswith(".") for part in within.parts)
        words = path.name.lower().replace("-", ".").split(".")
        if not hidden and path.is_file() and words[0] not in _NO_DATA and _plain(path).suffix.lower() in _KINDS:
            found.append(File(path, within, None, base))
    if not found:
        remedy = f"give files of the kinds {' '.join(_KINDS)}, plain, .gz or .zst"
        raise InputError("the folder has no file that can hold rows", where=decode.shown(root), remedy=remedy)
    yield from found


def _plain(path: PurePath) -> PurePath:
    return path.with_suffix("") if decode.compression_of(path) else path


def _named(text: str, file: File) -> str:
    return text.replace(*file.base) if file.base else text


def _renamed(error: InputError, file: File) -> InputError:
    """An error about a file of the cache, told of the one that it was fetched from."""
    where = _named(error.where, file) if error.where else decode.shown(file.path)
    return InputError(_named(error.what, file), where=where, remedy=error.remedy)


def _of_file(
    file: File, format: str | None, column: str | int | None, encoding: str | None, met: Met
) -> Iterator[tuple[Row, str]]:
    """The rows of a file and their format."""
    with decode.Raw(file.path) as raw:
        if file.other is not None or format == "parallel":
            yield from ((row, "parallel") for row in _pairs(file, raw, encoding, met))
            return
        head = [] if file.kind == ".parquet" else _head(file.path, encoding)
        if format == "conll" or (format is None and _is_columns(file, head)):
            yield from ((row, "conll") for row in conll.rows(raw, encoding, column, met.problem))
            return
        for where, value in _unwrapped(_values(file, raw, head, encoding, met)):
            format = format or of_value(value)
            for row in _converted(value, raw.where + where, format, met):
                yield row, format


def of_value(value: Any) -> str:
    """The format of which a row is."""
    if not isinstance(value, Mapping):
        return "table"  # in which it is told what is wrong with it
    looks = (
        ("squad", squad.looks_like),
        ("preference", preferences.looks_like),
        ("kto", preferences.looks_like_kto),
        ("chat", chat.looks_like),
        ("spans", spans.looks_like),
    )
    return next((name for name, like in looks if like(value)), "table")


def _converted(value: Any, where: str, format: str, met: Met) -> Iterator[Row]:
    """The rows of a value. The split that it declares stays beside whatever shape a format has."""
    more = {"split": value["split"]} if isinstance(value, Mapping) and "split" in value else {}
    for row in _shaped(value, where, format, met):
        yield Row({**more, **row.fields}, row.where)


def _shaped(value: Any, where: str, format: str, met: Met) -> Iterator[Row]:
    try:
        if format == "squad":
            yield from squad.rows(value, where, met)
        elif format == "chat":
            yield from (Row(fields, where) for fields in chat.rows(value, where))
        elif format == "preference":
            yield Row(preferences.preference(value, where), where)
        elif format == "kto":
            yield Row(preferences.kto(value, where), where)
        elif format == "spans":
            yield Row(spans.row(value, where, met), where)
        else:
            yield Row({str(name): held for name, held in mapping(value, where).items()}, where)
    except InputError as error:
        met.bad(error)


def _pairs(file: File, raw: decode.Raw, encoding: str | None, met: Met) -> Iterator[Row]:
    """Lines side by side. A pair of which one side is empty says nothing and is left out, and counted."""
    if file.other is None:
        raise InputError("is one file", where=raw.where, remedy="name both files of lines: train.en,train.de")
    for number, pair in parallel.rows(raw, file.other, encoding, met.problem):
        where = f"{raw.where}:{number + 1}"
        if not pair:
            met.left("a side of the pair is empty", where)
            continue
        source, target = documents.sides(pair)
        yield Row({"source": source, "target": target}, where)


def _head(path: Path, encoding: str | None) -> list[str]:
    """The first lines of a file, as far as its first block goes."""
    with decode.Raw(path) as raw:
        block = next(decode.Text(raw, encoding).blocks(), b"")
    text = block.decode("utf-8", "replace")
    found = text.split("\n")[: _HEAD + 1]
    whole = found[:-1] if len(found) > 1 and (len(found) > _HEAD or len(block) >= decode.BLOCK) else found
    return [line.removesuffix("\r") for line in whole]


def _is_columns(file: File, head: Sequence[str]) -> bool:
    if file.kind in _COLUMNS:
        return True
    if file.kind in (".jsonl", ".ndjson", ".json", ".csv", ".parquet") or _begins(head) in ("{", "["):
        return False
    if file.kind in (".tsv", ".tab"):  # a table has no blank lines within
        body = "\n".join(head).rstrip().split("\n")
        return any(not line.strip() for line in body) and conll.looks_like(head)
    return conll.looks_like(head)


def _begins(head: Sequence[str]) -> str:
    return next((line.lstrip()[0] for line in head if line.strip()), "")


def _values(file: File, raw: decode.Raw, head: Sequence[str], encoding: str | None, met: Met) -> Iterator[Value]:
    """The values of a file, each with what to add to the file's name to say where it is.

    Raises:
        InputError: nobody knows what the file is, or it is broken.
    """
    kind = file.kind
    if kind == ".parquet":
        return parquet.records(raw, lambda names: names, lines.LARGEST, met.problem)
    if kind == ".csv":
        return csv_rows.records(raw, encoding, met.problem)
    if kind in (".tsv", ".tab"):
        return tabs.records(raw, encoding, met.problem)
    if not any(line.strip() for line in head):
        return iter([])
    if kind in (".jsonl", ".ndjson", ".json") or _begins(head) in ("{", "["):
        return (json_rows.of_lines if _by_lines(kind, head) else json_rows.values)(raw, encoding, met.problem)
    raise InputError(
        f"the format is not known: lines such as {head[0][:40]!r}", where=raw.where,
        remedy="rows are read from JSON, CSV, TSV, Parquet, columns (CoNLL), and two files of lines: x.en,x.de",
    )  # fmt: skip


def _by_lines(kind: str, head: Sequence[str]) -> bool:
    """Whether a file of JSON has a value a line: names do not say, both forms are called .json."""
    begun = [line for line in head if line.strip()]
    if begun[0].lstrip().startswith("["):
        return False
    if kind != ".json":
        return True
    try:
        json.loads(begun[0])
    except ValueError:
        return False
    return len(begun) > 1


def _unwrapped(values: Iterator[Value]) -> Iterator[Value]:
    """Values one by one; of a single object that holds all rows as its `data`, those."""
    first = next(values, None)
    if first is None:
        return
    where, value = first
    held = value.get("data") if isinstance(value, Mapping) else None
    rows_of = isinstance(held, list) and bool(held) and all(isinstance(one, Mapping) for one in held)
    if rows_of and held is not None and not squad.looks_like(value):
        for number, one in enumerate(held, 1):
            yield f"{where}, row {number}", one
    else:
        yield where, value
    yield from values
