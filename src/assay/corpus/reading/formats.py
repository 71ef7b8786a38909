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

import codecs
import csv
import difflib
import io
import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, NamedTuple, cast

from assay.corpus.documents import Own, own_columns
from assay.corpus.reading import books, decode, html, parallel, parquet, warc
from assay.corpus.reading.decode import Problem, printable
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
TRANSLATION = "translation"
_EVAL = ("valid", "validation", "val", "dev", "eval")
SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", **dict.fromkeys(_EVAL, "eval")}
_LARGEST_JSON = 256 << 20  # bytes; a line, JSON value or row longer than this is damage, and is never held in memory
_MEND = "mend the row or pass --on-error skip"


class Record(NamedTuple):
    """What a file says of one text."""

    text: str
    source: str | None
    split: str | None
    own: Own | None = None


class Row(NamedTuple):
    """A record, or a piece of one; `ordinal` counts the rows of a file."""

    ordinal: int
    text: str
    source: str | None
    split: str | None
    own: Own | None = None


class Fields(NamedTuple):
    """Which fields of a record hold what; `text` None means the first of TEXT_FIELDS that is there. `pair`: those of
    what is read and of what is to be written, in place of a text."""

    text: str | None
    source: str | None
    split: str | None
    pair: tuple[str, str] | None = None


RUNNING = (".txt", ".md", ".html", ".htm", ".epub", ".pdf")
"""Kinds of which a whole file is one text."""
PACKED = (".epub", ".pdf")
"""Kinds that are archives themselves, and read from their end: not looked for in another archive."""


class Reading(NamedTuple):
    """How the texts of a file are read; see `ReadOptions`."""

    fields: Fields
    encoding: str | None = None
    extractor: html.Extractor = "resiliparse"
    piece_chars: int = 20_000


def needs(kinds: set[str], extractor: html.Extractor) -> None:
    """Whether what these kinds need is installed: told before anything is read, since no file is to blame.

    Raises:
        InputError: it is not; the remedy says what to install.
    """
    if kinds & set(_PAGES):
        html.needs(extractor)
    if ".pdf" in kinds:
        books.needs_pdf()


def readers(kinds: set[str], extractor: html.Extractor) -> dict[str, str | int]:
    """The versions of what decides which text such files give, where it is not the file alone."""
    made: dict[str, str | int] = {}
    if kinds & {*_PAGES, ".epub"}:
        made |= html.versions(extractor)
    if ".pdf" in kinds:
        made["pypdf"] = metadata.version("pypdf")
    return made


_PAGES = (".html", ".htm", ".warc")


def rows(raw: decode.Raw, kind: str, how: Reading, problem: Problem) -> Iterator[Row]:
    """The rows of one file. `kind` is the format's suffix."""
    if kind in RUNNING:
        for ordinal, piece in enumerate(pieces(_running(raw, kind, how, problem), how.piece_chars)):
            yield Row(ordinal, piece, None, None)
        return
    ordinal = 0
    piece_chars = how.piece_chars
    for text, source, split, own in _records(raw, kind, how, problem):
        if how.fields.pair is not None or len(text) <= piece_chars:
            yield Row(ordinal, text, source, split, own)
            ordinal += 1
            continue
        for piece in pieces(iter([text]), piece_chars):
            yield Row(ordinal, piece, source, split)
            ordinal += 1


def _running(raw: decode.Raw, kind: str, how: Reading, problem: Problem) -> Iterator[str]:
    """A file's one text, in parts."""
    if kind in _PAGES:
        return iter([_page(raw, how)])
    if kind in PACKED:
        return books.epub(raw, problem) if kind == ".epub" else books.pdf(raw, problem)
    return _whole_lines(raw, decode.Text(raw, how.encoding), problem)


def _whole_lines(raw: decode.Raw, text: decode.Text, problem: Problem) -> Iterator[str]:
    """A text without the lines that are damaged; of a line that is longer than a block, without the blocks that are."""
    number, offset, held = 1, 0, b""
    for block in itertools.chain(text.blocks(), [b""]):
        data = held + block
        end = data.rfind(b"\n") + 1 or (len(data) - _incomplete(data) if len(data) > decode.BLOCK else 0)
        ready, held = (data[:end], data[end:]) if block else (data, b"")
        try:
            yield ready.decode()
        except UnicodeDecodeError:
            yield from _good_lines(text, ready, number, offset, problem)
        number, offset = number + ready.count(b"\n"), offset + len(ready)


def _good_lines(text: decode.Text, data: bytes, number: int, offset: int, problem: Problem) -> Iterator[str]:
    for line in io.BytesIO(data):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            told(problem, text.undecodable(offset + error.start, number, line))
        number, offset = number + 1, offset + len(line)


def told(problem: Problem, error: InputError) -> None:
    """Tell of an error as of the row that it damages."""
    problem(str(error.where or ""), error.what, error.remedy)


def _incomplete(data: bytes) -> int:
    """How many bytes at the end begin a character and do not end it."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0


def _page(raw: decode.Raw, how: Reading) -> str:
    """The main text of a page.

    Raises:
        InputError: it is too large or too deeply nested, or in no encoding that can be told.
    """
    parts: list[bytes] = []
    while sum(map(len, parts)) <= html.LARGEST_PAGE and (part := raw.read()):
        parts.append(part)
    try:
        return html.main_text(b"".join(parts), how.encoding, how.extractor)
    except html.Unreadable as error:
        remedy = "leave the page out, or pass --on-error skip to go on without it"
        raise InputError(str(error), where=raw.where, remedy=remedy) from error


def _records(raw: decode.Raw, kind: str, how: Reading, problem: Problem) -> Iterator[Record]:
    fields, encoding = how.fields, how.encoding
    if kind == ".warc":
        for text in warc.texts(raw, problem, encoding, how.extractor):
            yield Record(text, None, None)
        return
    if kind == ".parquet":
        values = parquet.records(raw, lambda names: _columns(raw, names, fields), _LARGEST_JSON, problem)
    else:
        values = {".jsonl": _json_lines, ".json": _json_values, ".csv": _csv_records}[kind](raw, encoding, problem)
    for where, value in values:
        record = _record(raw.where + where, value, fields, problem)
        if record:
            yield record._replace(own=_own(value)) if kind == ".parquet" else record


def _record(where: str, record: Any, fields: Fields, problem: Problem) -> Record | None:
    if not isinstance(record, Mapping):
        problem(where, "the row is not an object with fields", 'write {"text": "..."} on each line')
        return None
    text = _text(where, record, fields.text, problem) if fields.pair is None else _pair(where, record, fields, problem)
    if text is None:
        return None
    source = None
    if fields.source is not None:
        source = _source(where, record, fields.source, problem)
        if source is None:
            return None
    split = record.get(fields.split) if fields.split else None
    return Record(text, source, SPLIT_WORDS.get(split.strip().lower()) if isinstance(split, str) else None)


_ID = re.compile("[0-9a-f]{32}")


def _own(record: Mapping[str, Any]) -> Own | None:
    """What a row of a table of ours says of itself."""
    doc_id, text_hash = record.get("doc_id"), record.get("content_hash")
    if not (isinstance(doc_id, str) and _ID.fullmatch(doc_id) and isinstance(text_hash, str)):
        return None
    parent, copies = record.get("parent_id"), record.get("copies")
    parent = parent if isinstance(parent, str) and _ID.fullmatch(parent) else None
    return Own(doc_id, text_hash, parent, copies if isinstance(copies, int) and copies > 0 else None)


def _text(where: str, record: Mapping[str, Any], wanted: str | None, problem: Problem) -> str | None:
    """The one text of a record."""
    name = text_field(record, wanted)
    if name is None and not joined_fields(record, wanted):
        _no_text(where, list(record), wanted, problem)
        return None
    text = record[name] if name is not None else _joined([record[one] for one in joined_fields(record, wanted)])
    return _string(where, name or wanted, text, problem)


def _pair(where: str, record: Mapping[str, Any], fields: Fields, problem: Problem) -> str | None:
    """Both sides of a record as one text, "" where one is empty; they may stand in a field `translation`, as data sets
    of hubs have them."""
    assert fields.pair is not None
    inner = record.get(TRANSLATION)
    held = inner if isinstance(inner, Mapping) and not set(fields.pair) <= set(record) else record
    if missing := [name for name in fields.pair if name not in held]:
        _no_side(where, list(held), missing[0], problem)
        return None
    found = [_string(where, name, "" if held[name] is None else held[name], problem) for name in fields.pair]
    source, target = found
    return None if source is None or target is None else parallel.text_of(source, target, where, problem)


def _string(where: str, name: str | None, value: Any, problem: Problem) -> str | None:
    """A field's value, where it is text."""
    if not isinstance(value, str):
        problem(where, f"field {name!r} is {_kind_of(value)}, not a string", _MEND)
        return None
    if _is_half(value):
        problem(where, f"field {name!r} holds half of a surrogate pair", _MEND)
        return None
    return value


def _source(where: str, record: Mapping[str, Any], field: str, problem: Problem) -> str | None:
    """The label that a record gives itself."""
    if field not in record:
        _no_source(where, list(record), field, problem)
        return None
    value = record[field]
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        kind = "empty" if value == "" else _kind_of(value)
        problem(where, f"field {field!r} is {kind} and names no source", _MEND)
        return None
    if _is_half(str(value)):
        problem(where, f"field {field!r} holds half of a surrogate pair", _MEND)
        return None
    return str(value)


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _is_half(text: str) -> bool:
    """Whether a lone surrogate stands in a text, which UTF-8 cannot hold."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def text_field(names: Any, wanted: str | None) -> str | None:
    """The field that holds the text: the one wanted, or, where none is, the first usual name that is there."""
    if wanted is not None:
        return wanted if wanted in names else None
    return next((name for name in TEXT_FIELDS if name in names), None)


def joined_fields(names: Any, wanted: str | None) -> list[str]:
    """The fields that are wanted together, as `question+choices`; none where one of them is not there."""
    several = wanted.split("+") if wanted and "+" in wanted else []
    return several if all(name in names for name in several) else []


def _joined(value: Any) -> str:
    """All strings and numbers in a value of JSON, a line each."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return "\n".join(filter(None, map(_joined, value)))
    return "" if value is None or isinstance(value, bool) else str(value)


def _no_text(where: str, names: list[str], wanted: str | None, problem: Problem) -> None:
    what = f"no text field {wanted!r}" if wanted else "no field that is known to hold text"
    remedy = _nearest(wanted, names, "--text-field") if wanted else "name the field with --text-field"
    problem(where, f"{what}; fields: {_shown(names)}", remedy)


def _no_side(where: str, names: list[str], wanted: str, problem: Problem) -> None:
    near = difflib.get_close_matches(wanted, [str(name) for name in names], 1)
    asked = f"did you mean {printable(near[0])}? " if near else ""
    remedy = f"{asked}name the fields of both sides, as in --set 'data.pair=[source, target]'"
    problem(where, f"no field {wanted!r} for a side of the pair; fields: {_shown(names)}", remedy)


def _no_source(where: str, names: list[str], wanted: str, problem: Problem) -> None:
    what = f"no field {wanted!r} to name the source by; fields: {_shown(names)}"
    problem(where, what, _nearest(wanted, names, "--source-field"))


def _shown(names: list[str]) -> str:
    first = [printable(str(name)) for name in names[:12]]
    return ", ".join([*first, "..."] if len(names) > 12 else first) or "none"


def _nearest(wanted: str, names: list[str], option: str) -> str:
    near = difflib.get_close_matches(wanted, [str(name) for name in names], 1)
    return f"did you mean {option} {printable(near[0])}?" if near else f"name a field that is there with {option}"


def lines(blocks: Iterator[bytes], longest: int | None = None) -> Iterator[bytes | int]:
    """Lines without their b"\\n", split on nothing else; of a line with more than `longest` bytes only its length.

    A line that is too long is let go of while it is read, so that memory is bounded by `longest`.
    """
    longest = _LARGEST_JSON if longest is None else longest
    rest: list[bytes] = []
    length = 0

    def line(last: bytes) -> bytes | int:
        size = length + len(last)
        return b"".join([*rest, last]) if size <= longest else size

    for block in blocks:
        first, *others = block.split(b"\n")
        if others:
            yield line(first)
            rest, length = [], 0
            whole = others[:-1]
            yield from whole if len(block) <= longest else map(line, whole)
            first = others[-1]
        length += len(first)
        if length > longest:
            rest = []
        elif first:
            rest.append(first)
    if length:
        yield line(b"")


def _too_long(size: int) -> str:
    return f"a line of {size:,} bytes; more than {_LARGEST_JSON:,} are not read"


def _json_lines(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    offset, text = 0, decode.Text(raw, encoding)
    for number, line in enumerate(lines(text.blocks()), 1):
        start, offset = offset, offset + (line if isinstance(line, int) else len(line)) + 1
        if isinstance(line, int):
            problem(f"{raw.where}:{number}", _too_long(line), "write one record on each line")
            continue
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            told(problem, text.undecodable(start + error.start, number, line))
            continue
        except (ValueError, RecursionError) as error:
            column = f":{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            problem(f"{raw.where}:{number}{column}", f"broken JSON: {_why(error)}", _MEND)
            continue
        yield f":{number}", record


def _why(error: ValueError | RecursionError) -> str:
    """What Python's JSON reader could not do."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg.removesuffix(" starting at").removesuffix(" at")
    if isinstance(error, RecursionError):
        return "values are nested too deeply to be read"
    return f"a number has more than {sys.get_int_max_str_digits():,} digits"


def _json_values(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    """Values of a JSON file one by one: of its arrays, or those that stand side by side. One that holds bytes which are
    not in the encoding is lost; after one that is broken nothing is certain: the file ends there."""
    decoder, source = json.JSONDecoder(), decode.Text(raw, encoding)
    blocks, bytes_of = source.blocks(), codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text, position, line, ended, wanted, read = "", 0, 1, False, 1, 0
    array, number = False, 0

    def undecodable(at: int) -> InputError:
        rest = text[at:].encode("utf-8", "surrogateescape")
        begin = read - len(bytes_of.getstate()[0]) - len(rest)
        return source.undecodable(begin, line + text.count("\n", position, at), rest[: decode.BLOCK])

    while True:
        while not ended and len(text) - position < wanted:
            block = next(blocks, None)
            ended, read = block is None, read + len(block or b"")
            text, position = text[position:] + bytes_of.decode(block or b"", ended), 0
        skipped = re.compile(r"[\s,]*" if array else r"\s*").match(text, position)
        assert skipped is not None
        line += text.count("\n", position, skipped.end())
        position = skipped.end()
        if position == len(text):
            if not ended:
                wanted = 1
                continue
            if array:
                raise _broken_json(raw, line, "the array does not end")
            return
        if text[position] == ("]" if array else "["):
            array, position = not array, position + 1
            continue
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            if decode.ESCAPED.match(text, error.pos):
                raise undecodable(error.pos) from error
            if ended or len(text) - position > _LARGEST_JSON:
                raise _broken_json(raw, line + text.count("\n", position, error.pos), error.msg) from error
            wanted = 2 * (len(text) - position) + 1
            continue
        except (ValueError, RecursionError) as error:
            raise _broken_json(raw, line, _why(error)) from error
        bad = decode.ESCAPED.search(text, position, end)
        if bad:
            told(problem, undecodable(bad.start()))
        line += text.count("\n", position, end)
        position, wanted, number = end, 1, number + 1
        if not bad:
            yield f": value {number}", value


def _broken_json(raw: decode.Raw, line: int, why: str) -> InputError:
    return InputError(f"broken JSON: {why}", where=f"{raw.where}:{line}", remedy="mend the file or copy it again")


def _csv_records(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    """Rows of a table. One that is broken is lost; where it goes over several lines, only up to the next of them that
    can begin a row: a quote that is not closed takes no rows with it but its own."""
    csv.field_size_limit(_LARGEST_JSON // 4)  # characters, for each of which the reader holds four bytes
    source = _TableLines(raw, decode.Text(raw, encoding))
    head = next(source, None)
    if head is None:
        return
    if source.bad is not None:
        raise source.bad
    delimiter = max(",;\t", key=head.count)
    try:
        names = next(csv.reader([head], delimiter=delimiter))
    except csv.Error as error:
        remedy = r"write the file with \n at the ends of its lines"
        raise InputError(f"broken CSV header: {error}", where=f"{raw.where}:1", remedy=remedy) from error
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.begin()
        where, what, remedy, endless = f":{source.number + 1}", "", _MEND, False
        try:
            values = next(reader, None)
        except csv.Error as error:
            endless = any(sign in str(error) for sign in ("unexpected end", "field limit"))
            values, what = [], f"broken CSV: {_NOT_CLOSED if endless else error}"
        if values is None:
            return
        if values and len(values) != len(names):
            what = f"{len(values)} columns where the header has {len(names)}"
            remedy = "quote the text column, or pass --on-error skip"
        if what:
            lost, counted = source.give_back(len(names), delimiter, endless=endless)
            if source.bad is not None:
                what, remedy = source.bad.what, source.bad.remedy
            what += f"; {lost:,} lines are lost" if lost > 1 else ""
            for _ in range(counted):
                problem(f"{raw.where}{where}", what, remedy)
        elif source.bad is not None:
            told(problem, source.bad)
        elif values:
            yield where, dict(zip(names, values, strict=True))


_NOT_CLOSED = "a quote is not closed before the file, or the longest field that is read, ends"


class _TableLines:
    """The lines of a table, for Python's reader of CSV, which asks for those of a row; they can be given back.

    Bytes that are not in the encoding become lone surrogates: they damage no mark that rows are told apart by.

    Attributes:
        number: of the last line.
        bad: what is wrong with the encoding of the row's lines.
    """

    def __init__(self, raw: decode.Raw, text: decode.Text) -> None:
        self._raw, self._text, self._lines = raw, text, lines(text.blocks())
        self._row: list[bytes] = []
        self._again: list[bytes] = []  # in reverse
        self._read = self._repeated = self._offset = 0
        self.number = self._bad_line = 0
        self.bad = cast(InputError | None, None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """A line with its "\n".

        Raises:
            InputError: it is too long, which ends the file, since it may stand inside quotes.
        """
        line = self._again.pop() if self._again else next(self._lines)
        self.number += 1
        if isinstance(line, int):
            where = f"{self._raw.where}:{self.number}"
            raise InputError(_too_long(line), where=where, remedy="write one record on each line")
        self._row.append(line)
        self._read += len(line) + 1
        start, self._offset = self._offset, self._offset + len(line) + 1
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError as error:
            if self.bad is None:
                self.bad, self._bad_line = self._text.undecodable(start + error.start, self.number, line), self.number
            return line.decode("utf-8", "surrogateescape") + "\n"

    def begin(self) -> None:
        """What comes next is a new row."""
        self._row, self.bad = [], None

    def give_back(self, columns: int, delimiter: str, *, endless: bool) -> tuple[int, int]:
        """Give the lines of a broken row back, from the second one on that can begin a row.

        What is given back is read again: no more of it than four times the file, so that time stays linear.

        Args:
            endless: the row had no end. If it had one, at a quote that cannot stand there, that quote opens a field if
                the line begins a row; else the quote is what is wrong, and all lines are the row's.

        Returns:
            how many lines are lost, and how many rows they count as: one, but each of them where so many would have to
            be read again that they are lost, too.
        """
        row = self._row
        size = sum(map(len, row)) + len(row)
        first = len(row)
        if endless or _begins_row(row[-1], columns, delimiter):
            first = next((i for i in range(1, len(row)) if _begins_row(row[i], columns, delimiter)), first)
        if first == len(row):
            return first, 1
        if self._repeated + size > 4 * self._read + decode.BLOCK:
            return len(row), len(row)
        back = row[first:]
        size = sum(map(len, back)) + len(back)
        self._repeated += size
        self._read, self._offset, self.number = self._read - size, self._offset - size, self.number - len(back)
        self._again += reversed(back)
        if self._bad_line > self.number:
            self.bad = None
        return first, 1


_FIELD = {
    mark: re.compile(rb'(?:"(?:[^"]++|"")*+"|[^"%b]*+)(?=%b|\r?\Z)' % (mark.encode(), mark.encode())) for mark in ",;\t"
}
_OPEN = re.compile(rb'"(?:[^"]++|"")*+\Z')


def _begins_row(line: bytes, columns: int, delimiter: str) -> bool:
    """Whether a line is a row by itself, or begins one whose last field goes on in the next line."""
    at = 0
    for number in range(1, columns + 1):
        field = _FIELD[delimiter].match(line, at)
        if field is None:
            return _OPEN.match(line, at) is not None
        at = field.end()
        if line[at : at + 1] != delimiter.encode():
            return number == columns
        at += 1
    return False


def _columns(raw: decode.Raw, names: list[str], fields: Fields) -> list[str]:
    """The columns of a Parquet file to read."""
    name, several = None, list(fields.pair or ())
    if fields.pair is None:
        name = text_field(names, fields.text)
        several = [] if name else joined_fields(names, fields.text)
        if name is None and not several:
            _no_text(raw.where, names, fields.text, _raise)
    elif TRANSLATION in names and not set(several) <= set(names):
        several = [TRANSLATION]
    elif missing := [side for side in several if side not in names]:
        _no_side(raw.where, names, missing[0], _raise)
    if fields.source is not None and fields.source not in names:
        _no_source(raw.where, names, fields.source, _raise)
    own = own_columns(names)
    wanted = dict.fromkeys((name, *several, fields.source, fields.split, *own))
    return [n for n in wanted if n is not None and n in names]


def _raise(where: str, what: str, remedy: str) -> None:
    raise InputError(what, where=where, remedy=remedy)


_BLANK = re.compile(r"\n[ \t\r\f\u3000]*\n")


def pieces(texts: Iterator[str], piece_chars: int) -> Iterator[str]:
    """A long text in pieces of at most `piece_chars` characters that concatenate to it exactly.

    A cut falls after the last blank line in the second half of a piece, else after its last line end, else
    hard.
    """
    rest = ""
    while True:
        try:
            text = next(texts, None)
        except InputError:  # the file is cut off here: its whole lines are read
            if whole := rest[: rest.rfind("\n") + 1]:
                yield whole
            raise
        if text is None:
            break
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
