"""Texts with marked spans -> {"text", "spans": [[start, end, type], ...]}; spans <-> a tag a character.

    CLUENER   {"text", "label": {type: {mention: [[start, end], ...]}}}            ends are inclusive there
    others    {"text", "entities": [{"start", "end", "label"}, ...]}, or [[start, end, label], ...]; the list may bear
              one of the names in LISTS

Ends are exclusive here, places count code points. Where a mention is written beside its span, it decides whether ends
are inclusive (CMeEE's are), and is looked for near by if it is not there: mended, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from assay.errors import InputError
from assay.tasks.reading.rows import MEND, Met, kind, mapping, text
from assay.tasks.reading.squad import nearest

Span = tuple[int, int, str]
Scheme = Literal["BIO", "BIOES", "BMES"]
LISTS = ("entities", "spans", "label", "labels")
_STARTS = ("start", "start_offset", "start_idx", "start_pos", "begin")
_ENDS = ("end", "end_offset", "end_idx", "end_pos")
_TYPES = ("label", "type", "entity_type", "entity_group", "labels")
_MENTIONS = ("text", "mention", "entity", "word", "value")


def looks_like(value: Mapping[str, Any]) -> bool:
    """Whether a row is a text with spans."""
    if not isinstance(value.get("text"), str):
        return False
    for name in LISTS:
        held = value.get(name)
        if isinstance(held, Mapping) and held:
            return all(isinstance(one, Mapping) and _places(one) for one in held.values())
        if isinstance(held, list) and held:
            one = held[0]
            if isinstance(one, Mapping):
                return any(key in one for key in _STARTS) and any(key in one for key in _ENDS)
            return isinstance(one, list | tuple) and len(one) == 3 and all(isinstance(i, int) for i in one[:2])
    return isinstance(value.get("entities"), list)  # none in this text


def _places(mentions: Mapping[str, Any]) -> bool:
    return all(
        isinstance(places, list) and all(isinstance(p, list | tuple) and len(p) == 2 for p in places)
        for places in mentions.values()
    )


def row(value: Any, where: str, met: Met) -> dict[str, Any]:
    """A row with its spans, sorted; other fields stay.

    Raises:
        InputError: no text or no spans in it, or a span that is none of its text.
    """
    fields = mapping(value, where)
    body = text(fields, "text", where)
    name = next((name for name in LISTS if isinstance(fields.get(name), list | Mapping)), None)
    if name is None:
        what = f"no field with spans: there are {', '.join(map(str, fields))}"
        raise InputError(what, where=where, remedy=f"name it one of {', '.join(LISTS)}")
    held = fields[name]
    told = _of_types(held, where) if isinstance(held, Mapping) else [_one(one, where) for one in held]
    found = sorted({_settled(body, *one, where, met) for one in told})
    others = {key: kept for key, kept in fields.items() if key not in ("text", name)}
    return {"text": body, "spans": [list(span) for span in found], **others}


_Told = tuple[int, int, str, str | None, bool]  # start, end, type, mention, whether the end is known to be inclusive


def _of_types(held: Mapping[str, Any], where: str) -> list[_Told]:
    found: list[_Told] = []
    for label, mentions in held.items():
        if not isinstance(mentions, Mapping) or not _places(mentions):
            what = f"the spans of {label!r} are no {{mention: [[start, end], ...]}}: they are {kind(mentions)}"
            raise InputError(what, where=where, remedy=MEND)
        for mention, places in mentions.items():
            found += [(_whole(s, where), _whole(e, where), str(label), mention, True) for s, e in places]
    return found


def _one(value: Any, where: str) -> _Told:
    if isinstance(value, list | tuple) and len(value) == 3:
        return _whole(value[0], where), _whole(value[1], where), _type(value[2], where), None, False
    if not isinstance(value, Mapping):
        what = f"a span is neither an object nor [start, end, type]: it is {kind(value)}"
        raise InputError(what, where=where, remedy=MEND)
    keys = [next((key for key in names if key in value), None) for names in (_STARTS, _ENDS, _TYPES, _MENTIONS)]
    start, end, label, mention = keys
    if start is None or end is None or label is None:
        what = f"a span lacks a start, an end or a type: there are {', '.join(map(str, value))}"
        raise InputError(what, where=where, remedy="name them start, end and label")
    said = value[mention] if mention is not None and isinstance(value[mention], str) else None
    return _whole(value[start], where), _whole(value[end], where), _type(value[label], where), said, False


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"a span's place is no whole number: it is {kind(value)}", where=where, remedy=MEND)
    return value


def _type(value: Any, where: str) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise InputError(f"a span's type is no text: it is {kind(value)}", where=where, remedy=MEND)
    return value


def _settled(
    body: str, start: int, end: int, label: str, mention: str | None, inclusive: bool, where: str, met: Met
) -> Span:
    """A span with its exclusive end."""
    if mention is not None:
        for last in (end + 1, end) if inclusive else (end, end + 1):
            if mention and start >= 0 and body[start:last] == mention:
                return start, last, label
        found = nearest(body, mention, max(0, start)) if mention else None
        if found is None:
            what = f"a span is not at its place: {body[max(0, start) : end + inclusive][:40]!r}, not {mention[:40]!r}"
            raise InputError(what, where=where, remedy=MEND)
        met.mend(f"a span is not at its place: at {start}, found at {found}", where)
        return found, found + len(mention), label
    if not 0 <= start < end <= len(body):
        what = f"a span is not in its text: [{start}, {end}) of {len(body)} characters"
        raise InputError(what, where=where, remedy="places count characters from 0, and an end is one past the last")
    return start, end, label


def character_tags(length: int, spans: Sequence[Sequence[Any]], scheme: Scheme = "BIO", where: str = "") -> list[str]:
    """A tag for each of `length` characters.

    Raises:
        InputError: spans overlap: a character has one tag.
    """
    inner, last, alone = {"BIO": ("I", "I", "B"), "BIOES": ("I", "E", "S"), "BMES": ("M", "E", "S")}[scheme]
    tags = ["O"] * length
    taken = 0
    for start, end, label in sorted(map(tuple, spans)):
        if start < taken:
            what = f"spans overlap: [{start}, {end}) {label} begins before {taken}"
            raise InputError(
                what, where=where or None, remedy="keep the outer or the inner ones: a character has one tag"
            )
        tags[start] = f"{'B' if end - start > 1 else alone}-{label}"
        for place in range(start + 1, end):
            tags[place] = f"{last if place == end - 1 else inner}-{label}"
        taken = end
    return tags
