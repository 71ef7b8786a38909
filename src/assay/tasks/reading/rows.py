"""What all readers give: rows with their places, and what was met on the way: skipped, mended, and why."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import xxhash

from assay.corpus.reading.decode import printable
from assay.errors import InputError

OnError = Literal["stop", "skip"]
MEND = 'mend the row, or read with on_error="skip"'
_PLACES = 20  # told of each kind


class Row(NamedTuple):
    """One example. `where` is its place: "file.jsonl:12", "file.json: value 3", "file.parquet: row 7", from 1 on."""

    fields: dict[str, Any]
    where: str


@dataclass(frozen=True)
class Rows:
    """The rows of a data set, in the order of the files.

    Attributes:
        rows: what was read.
        format: of source.FORMATS, what it was read as.
        skipped: rows that were left out, by reason.
        mended: values that were put right, by what was done (an answer found at another place, ...).
        places: the first of both, a line each.
        fingerprint: 32 hex digits (xxh3, 128 bits) of the format and all fields in order: of what the rows say, not of
            how files are packed or laid out.
    """

    rows: list[Row]
    format: str
    skipped: dict[str, int] = field(default_factory=dict)
    mended: dict[str, int] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    def column(self, name: str) -> list[Any]:
        """The values of one field.

        Raises:
            InputError: a row has no such field; it says which it has.
        """
        return [wanted(row.fields, name, row.where) for row in self.rows]

    def of(self, rows: Iterable[Row]) -> Rows:
        """Other rows of the same data set: what was met stays with the whole, the fingerprint is theirs."""
        return made(list(rows), self.format)


def made(rows: list[Row], format: str, met: Met | None = None) -> Rows:
    """Rows with their fingerprint.

    Raises:
        InputError: a string holds half of a surrogate pair, which no tokenizer and no file can hold.
    """
    digest = xxhash.xxh3_128(format.encode())
    good = []
    for row in rows:
        try:
            digest.update(canonical(row.fields))
        except UnicodeEncodeError:
            error = InputError("a string holds half of a surrogate pair", where=row.where, remedy=MEND)
            if met is None:
                raise error from None
            met.bad(error)
            continue
        good.append(row)
    met = met or Met("stop")
    return Rows(good, format, dict(met.skipped), dict(met.mended), tuple(met.places), digest.hexdigest())


def canonical(value: Any) -> bytes:
    """A value as JSON with sorted keys: equal values give equal bytes; what JSON lacks (times, bytes) is spelled.

    Raises:
        UnicodeEncodeError: a string that is no text.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)
    return text.encode() + b"\n"


class Met:
    """What is wrong with rows: raised, or counted by reason. The reason is what an error says up to its colon, with
    numbers as N, so that a thousand rows with one fault are one line."""

    def __init__(self, on_error: OnError) -> None:
        if on_error not in ("stop", "skip"):
            raise InputError(f"on_error is {on_error!r}", remedy="use stop or skip")
        self.stop = on_error == "stop"
        self.skipped, self.mended = Counter[str](), Counter[str]()
        self.places: list[str] = []

    def problem(self, where: str, what: str, remedy: str) -> None:
        """As readers of the corpus room tell of a row.

        Raises:
            InputError: bad rows end the reading.
        """
        self.bad(InputError(what, where=where, remedy=remedy))

    def bad(self, error: InputError) -> None:
        """See `problem`."""
        if self.stop:
            raise error
        self.left(error.what, str(error.where or ""))

    def left(self, what: str, where: str) -> None:
        """Count a row that is left out whatever happens to bad ones, such as a pair of which one side is empty."""
        self._told(self.skipped, what, where)

    def mend(self, what: str, where: str) -> None:
        """Count a value that was put right."""
        self._told(self.mended, what, where)

    def _told(self, counts: Counter[str], what: str, where: str) -> None:
        reason = _reason(what)
        counts[reason] += 1
        if counts[reason] <= _PLACES:
            self.places.append(" ".join(printable(f"{where}: {what}").split()))


def _reason(what: str) -> str:
    return re.sub(r"\d[\d,]*", "N", what.partition(":")[0]).strip()


def wanted(fields: Mapping[str, Any], name: str, where: str) -> Any:
    """A field of a row.

    Raises:
        InputError: it is not there, with the fields that are.
    """
    if name not in fields:
        remedy = "name the field that holds it (renamed), or mend the row"
        raise InputError(f"no field {name!r}: there are {listed(fields)}", where=where, remedy=remedy)
    return fields[name]


def text(fields: Mapping[str, Any], name: str, where: str) -> str:
    """A field that holds text.

    Raises:
        InputError: it is not there, or no text.
    """
    value = wanted(fields, name, where)
    if not isinstance(value, str):
        what = f"field {name!r} is no text: it is {kind(value)}"
        raise InputError(what, where=where, remedy=MEND)
    return value


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """A row as an object with fields.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, Mapping):
        what = f"the row is not an object with fields: it is {kind(value)}"
        raise InputError(what, where=where, remedy='write {"field": "value", ...} on each line')
    return value


def kind(value: Any) -> str:
    """What a value is, in JSON's words."""
    if value is None:
        return "null"
    for types, name in ((bool, "true or false"), (str, "a text"), (int | float, "a number"), (Mapping, "an object")):
        if isinstance(value, types):
            return name
    return "a list" if isinstance(value, Sequence) else type(value).__name__


def listed(names: Iterable[Any]) -> str:
    """Names for an error, the first dozen of them."""
    shown = [printable(str(name)) for name in names]
    return ", ".join([*shown[:12], "..."] if len(shown) > 12 else shown) or "none"


def renamed(rows: Rows, names: Mapping[str, str]) -> Rows:
    """Rows with other names of fields: {"text": "sentence"} makes a field `text` of what is `sentence`.

    Raises:
        InputError: a row has no field `sentence`; or has a `text` besides that keeps its name.
    """
    olds = {old: new for new, old in names.items()}
    if len(olds) < len(names):
        twice = next(old for old, count in Counter(names.values()).items() if count > 1)
        raise InputError(f"field {twice!r} is to have two names", remedy="name each field once")
    found = []
    for row in rows:
        for new, old in names.items():
            wanted(row.fields, old, row.where)
            if new in row.fields and new not in olds:
                what = f"field {old!r} cannot be named {new!r}: there is such a field"
                raise InputError(what, where=row.where, remedy=f"rename {new!r} as well")
        found.append(Row({olds.get(name, name): value for name, value in row.fields.items()}, row.where))
    again = made(found, rows.format)
    return replace(rows, rows=found, fingerprint=again.fingerprint)
