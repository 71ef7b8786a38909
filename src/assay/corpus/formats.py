"""One reader a format: a file -> rows of (ordinal, text, source, declared split), streamed.

    .jsonl          lines split on b"\\n" only (other line separators may stand inside strings), one object
    each .json           an array of objects, one object, or objects one after another
    .csv            a header line, then rows; comma, semicolon or tab
    .parquet        one row group at a time
    .txt .md        the text itself; longer ones in pieces cut at blank lines, else line ends, else anywhere

A row that cannot be used goes to `problem(where, what, remedy)`, which raises (stop) or counts (skip). What
is wrong with a file as a whole is raised as an `InputError`.
"""

from __future__ import annotations

import csv
import difflib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import decode
from assay.errors import InputError

TEXT_FIELDS = (
    "text",
    "content",
    "body",
    "document",
    "raw_content",
    "article",
    "passage",
    "文本",
    "内容",
    "正文",
)
_EVAL = ("valid", "validation", "val", "dev", "eval")
SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", **dict.fromkeys(_EVAL, "eval")}
_LARGEST_JSON = 256 << 20  # one JSON value longer than this is a damaged file


class Row(NamedTuple):
    ordinal: int
    text: str
    source: str | None
    split: str | None


class Fields(NamedTuple):
    """Which fields of a record hold what; `text` None means the first of TEXT_FIELDS that is there."""

    text: str | None
    source: str | None
    split: str | None


Problem = Callable[[str, str, str], None]
"""where, what, remedy"""


def rows(
    raw: decode.Raw, kind: str, fields: Fields, problem: Problem, *, encoding: str | None, piece_chars: int
) -> Iterator[Row]:
    """The rows of one file. `kind` is the format's suffix."""
    if kind in (".txt", ".md"):
        texts = (block.decode() for block in decode.blocks(raw, encoding))
        for ordinal, piece in enumerate(pieces(texts, piece_chars)):
            yield Row(ordinal, piece, None, None)
        return
    if kind == ".parquet":
        yield from _parquet(raw, fields, problem)
        return
    reader = {".jsonl": _json_lines, ".json": _json_values, ".csv": _csv_records}[kind]
    path = str(raw.path)
    for ordinal, (where, record) in enumerate(reader(raw, encoding, problem)):
        row = _row(path + where, ordinal, record, fields, problem)
        if row:
            yield row


def _row(where: str, ordinal: int, record: Any, fields: Fields, problem: Problem) -> Row | None:
    if not isinstance(record, Mapping):
        problem(where, "the row is not an object with fields", 'write {"text": "..."} on each line')
        return None
    name = text_field(record, fields.text)
    if name is None:
        _no_text(where, list(record), fields.text, problem)
        return None
    text = record[name]
    if not isinstance(text, str):
        kind = "null" if text is None else type(text).__name__
        problem(where, f"field {name!r} is {kind}, not a string", "mend the row or pass --on-error skip")
        return None
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            problem(where, f"field {name!r} holds half of a surrogate pair", "mend it or pass --on-error skip")
            return None
    source: str | None = None
    if fields.source is not None:
        value = record.get(fields.source)
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            missing = f"no usable field {fields.source!r} to name the source by; fields: {_shown(list(record))}"
            problem(where, missing, _nearest(fields.source, list(record), "--source-field"))
            return None
        source = str(value)
    split = record.get(fields.split) if fields.split else None
    return Row(ordinal, text, source, SPLIT_WORDS.get(split.strip().lower()) if isinstance(split, str) else None)


def text_field(names: Any, wanted: str | None) -> str | None:
    """The field that holds the text: the one wanted, else the first usual name, else an only field."""
    if wanted is not None:
        return wanted if wanted in names else None
    return next((name for name in TEXT_FIELDS if name in names), None)


def _no_text(where: str, names: list[str], wanted: str | None, problem: Problem) -> None:
    what = f"no text field {wanted!r}" if wanted else "no field that is known to hold text"
    remedy = _nearest(wanted, names, "--text-field") if wanted else "name the field with --text-field"
    problem(where, f"{what}; fields: {_shown(names)}", remedy)


def _shown(names: list[str]) -> str:
    return ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "") if names else "none"


def _nearest(wanted: str, names: list[str], option: str) -> str:
    near = difflib.get_close_matches(wanted, [str(name) for name in names], 1)
    return f"did you mean {option} {near[0]}?" if near else f"name a field that is there with {option}"


def lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their b"\\n", split on nothing else."""
    rest: list[bytes] = []
    for block in blocks:
        parts = block.split(b"\n")
        if len(parts) == 1:
            rest.append(block)
            continue
        yield b"".join([*rest, parts[0]])
        yield from parts[1:-1]
        rest = [parts[-1]]
    last = b"".join(rest)
    if last:
        yield last


def _json_lines(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    offset = 0
    for number, line in enumerate(lines(decode.blocks(raw, encoding, strict=False)), 1):
        start, offset = offset, offset + len(line) + 1
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            bad = decode.undecodable(raw.path, "utf-8", start + error.start, number, line, declared=encoding)
            problem(bad.where or "", bad.what, bad.remedy)
            continue
        except json.JSONDecodeError as error:
            where = f"{raw.path}:{number}:{error.colno}"
            problem(where, f"broken JSON: {error.msg}", "mend the line or pass --on-error skip")
            continue
        yield f":{number}", record


def _json_values(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    """Values of a JSON file one by one: of its outer array, or those that stand side by side."""
    del problem  # after a broken value nothing is certain: the file ends there
    decoder, blocks = json.JSONDecoder(), decode.blocks(raw, encoding)
    text, position, line, ended, wanted = "", 0, 1, False, 1
    array, number = None, 0
    while True:
        while not ended and len(text) - position < wanted:
            block = next(blocks, None)
            ended = block is None
            text, position = text[position:] + (block or b"").decode(), 0
        skipped = re.compile(r"[\s,]*" if array else r"\s*").match(text, position)
        assert skipped is not None
        line += text.count("\n", position, skipped.end())
        position = skipped.end()
        if position == len(text) and not ended:
            wanted = 1
            continue
        if position == len(text) or (array and text[position] == "]"):
            if array and position == len(text):
                raise _broken_json(raw.path, line, "the array does not end")
            return
        if array is None:
            array = text[position] == "["
            position += array
            continue
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            if ended or len(text) - position > _LARGEST_JSON:
                raise _broken_json(raw.path, line + text.count("\n", position, error.pos), error.msg) from error
            wanted = 2 * (len(text) - position) + 1
            continue
        line += text.count("\n", position, end)
        position, wanted, number = end, 1, number + 1
        yield f": value {number}", value


def _broken_json(path: Path, line: int, why: str) -> InputError:
    return InputError(f"broken JSON: {why}", where=f"{path}:{line}", remedy="mend the file or copy it again")


def _csv_records(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, 1 << 30))
    source = (line.decode() + "\n" for line in lines(decode.blocks(raw, encoding)))
    head = next(source, None)
    if head is None:
        return
    delimiter = max(",;\t", key=head.count)
    names = next(csv.reader([head], delimiter=delimiter))
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        where = f":{reader.line_num + 2}"
        try:
            values = next(reader, None)
        except csv.Error as error:
            problem(f"{raw.path}{where}", f"broken CSV: {error}", "mend the row or pass --on-error skip")
            continue
        if values is None:
            return
        if not values:
            continue
        if len(values) != len(names):
            what = f"{len(values)} columns where the header has {len(names)}"
            problem(f"{raw.path}{where}", what, "quote the text column, or pass --on-error skip")
            continue
        yield where, dict(zip(names, values, strict=True))


def _parquet(raw: decode.Raw, fields: Fields, problem: Problem) -> Iterator[Row]:
    spool = None
    try:
        if decode.compression_of(raw.path):  # Parquet is read from its end: unpack it to disk first
            spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
            shutil.copyfileobj(raw, spool)
            spool.seek(0)
        with pq.ParquetFile(spool or raw.path) as file:
            names = file.schema_arrow.names
            name = text_field(names, fields.text)
            if name is None:
                _no_text(str(raw.path), names, fields.text, _raise)
            wanted = [n for n in dict.fromkeys((name, fields.source, fields.split)) if n in names]
            row = 0
            for batch in file.iter_batches(batch_size=1024, columns=wanted):
                for record in batch.to_pylist():
                    row += 1
                    made = _row(f"{raw.path}: row {row}", row - 1, record, fields, problem)
                    if made:
                        yield made
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise decode.vanished(raw.path) from error
        why = " ".join(str(error).split())[:100]
        raise InputError(
            f"not a whole Parquet file ({why})",
            where=raw.path,
            remedy="copy or download it again, or pass --on-error skip to go on without it",
        ) from error
    finally:
        if spool:
            spool.close()


def _raise(where: str, what: str, remedy: str) -> None:
    raise InputError(what, where=where, remedy=remedy)


_BLANK = re.compile(r"\n[ \t\r\f\u3000]*\n")


def pieces(texts: Iterator[str], piece_chars: int) -> Iterator[str]:
    """A long text in pieces of at most `piece_chars` characters that concatenate to it exactly.

    A cut falls after the last blank line in the second half of a piece, else after its last line end, else
    hard.
    """
    rest = ""
    for text in texts:
        rest += text
        start = 0
        while len(rest) - start > piece_chars:
            end = _cut(rest, start, start + piece_chars)
            yield rest[start:end]
            start = end
        rest = rest[start:]
    if rest:
        yield rest


def _cut(text: str, start: int, limit: int) -> int:
    least = (start + limit) // 2
    blank = None
    for blank in _BLANK.finditer(text, least, limit):  # noqa: B007 - the last one is wanted
        pass
    if blank is not None:
        return blank.end()
    line = text.rfind("\n", least, limit)
    return line + 1 if line >= 0 else limit
