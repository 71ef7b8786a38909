"""What a record (a row, an object with fields) says of its text: the text, or both sides of a pair; the source, the
declared split, and, of a table of ours, the document's own id. What it lacks is told with the fields that it has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from assay.corpus.documents import Own, own_columns
from assay.corpus.reading import decode, lines, parallel
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
_ID = re.compile("[0-9a-f]{32}")


class Record(NamedTuple):
    """What a file says of one text."""

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


def record(where: str, value: Any, fields: Fields, problem: Problem) -> Record | None:
    if not isinstance(value, Mapping):
        problem(where, "the row is not an object with fields", 'write {"text": "..."} on each line')
        return None
    text = _text(where, value, fields.text, problem) if fields.pair is None else _pair(where, value, fields, problem)
    if text is None:
        return None
    source = None
    if fields.source is not None:
        source = _source(where, value, fields.source, problem)
        if source is None:
            return None
    split = value.get(fields.split) if fields.split else None
    return Record(text, source, SPLIT_WORDS.get(split.strip().lower()) if isinstance(split, str) else None)


def columns(raw: decode.Raw, names: list[str], fields: Fields) -> list[str]:
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
    wanted = dict.fromkeys((name, *several, fields.source, fields.split, *own_columns(names)))
    return [n for n in wanted if n is not None and n in names]


def own(record: Mapping[str, Any]) -> Own | None:
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
        problem(where, f"field {name!r} is {_kind_of(value)}, not a string", lines.MEND)
        return None
    if _is_half(value):
        problem(where, f"field {name!r} holds half of a surrogate pair", lines.MEND)
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
        problem(where, f"field {field!r} is {kind} and names no source", lines.MEND)
        return None
    if _is_half(str(value)):
        problem(where, f"field {field!r} holds half of a surrogate pair", lines.MEND)
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


def _raise(where: str, what: str, remedy: str) -> None:
    raise InputError(what, where=where, remedy=remedy)
