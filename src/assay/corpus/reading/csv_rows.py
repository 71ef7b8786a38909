"""CSV: bytes -> rows by the names of their columns, each with what to add to the file's name to say where it is."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any, cast

from assay.corpus.reading import decode, lines
from assay.corpus.reading.decode import Problem
from assay.errors import InputError

_NOT_CLOSED = "a quote is not closed before the file, or the longest field that is read, ends"
_FIELD = {
    mark: re.compile(rb'(?:"(?:[^"]++|"")*+"|[^"%b]*+)(?=%b|\r?\Z)' % (mark.encode(), mark.encode())) for mark in ",;\t"
}
_OPEN = re.compile(rb'"(?:[^"]++|"")*+\Z')


def records(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    """Rows of a table. One that is broken is lost; where it goes over several lines, only up to the next of them that
    can begin a row: a quote that is not closed takes no rows with it but its own."""
    csv.field_size_limit(lines.LARGEST // 4)  # characters, for each of which the reader holds four bytes
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
        where, what, remedy, endless = f":{source.number + 1}", "", lines.MEND, False
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
            decode.told(problem, source.bad)
        elif values:
            yield where, dict(zip(names, values, strict=True))


class _TableLines:
    """The lines of a table, for Python's reader of CSV, which asks for those of a row; they can be given back.

    Bytes that are not in the encoding become lone surrogates: they damage no mark that rows are told apart by.

    Attributes:
        number: of the last line.
        bad: what is wrong with the encoding of the row's lines.
    """

    def __init__(self, raw: decode.Raw, text: decode.Text) -> None:
        self._raw, self._text, self._lines = raw, text, lines.split(text.blocks())
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
            raise InputError(lines.too_long(line), where=where, remedy="write one record on each line")
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
