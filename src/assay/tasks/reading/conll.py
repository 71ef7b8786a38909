"""Columns: a token a line, its tags beside it, a blank line after each sentence -> {"tokens", "tags", "columns"}.

    CoNLL-2000   token pos chunk               CoNLL-2003   token [lemma] pos chunk ner
    BMES files   character tag                 CoNLL-U      ten columns, ranges (1-2) and empty nodes (8.1) left out

Columns stand between tabs, else between spaces. Lines of -DOCSTART- and comments (lines that begin with # before a
sentence, and have not as many columns as tokens have) are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assay.corpus.reading import decode, lines
from assay.corpus.reading.decode import Problem
from assay.errors import InputError
from assay.tasks.reading.rows import Row, listed

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_NAMES = {
    1: ("token",),
    2: ("token", "tag"),
    3: ("token", "pos", "chunk"),
    4: ("token", "pos", "chunk", "ner"),
    5: ("token", "lemma", "pos", "chunk", "ner"),
    10: CONLLU,
}
_DOCUMENT = "-DOCSTART-"
_LOOK = 2000  # lines that tell what a file is
_ID = re.compile(r"\d+([-.]\d+)?")
_MEND = 'write the same columns in every line, and a blank line after each sentence, or read with on_error="skip"'


class _Line(NamedTuple):
    number: int
    columns: list[str]
    raw: str


def rows(raw: decode.Raw, encoding: str | None, column: str | int | None, problem: Problem) -> Iterator[Row]:
    """The sentences of a file.

    Args:
        column: whose values are the tags, by its name or its place from 0 on; None: the last one, in CoNLL-U `upos`.

    Raises:
        InputError: there is no such column.
    """
    read = _read(raw, encoding, problem)
    width, universal = _shape([line for line in read if line is not None and line.columns])
    names = CONLLU if universal else _NAMES.get(width, tuple(str(i) for i in range(width)))
    tags = _place(names, column, width, raw.where, universal=universal)
    sentence: list[_Line] = []
    for line in [*read, None]:
        if line is not None:
            # Before a sentence, what begins with # and has other columns than tokens is a comment.
            comment = not sentence and line.raw.startswith("#") and (universal or len(line.columns) != width)
            if not comment and line.columns[:1] != [_DOCUMENT]:
                sentence.append(line)
            continue
        if sentence:
            row = _sentence(sentence, names, tags, raw.where, problem, universal=universal)
            if row is not None:
                yield row
        sentence = []


def looks_like(head: Sequence[str]) -> bool:
    """Whether the first lines of a file are columns: some sentences end, and nearly all lines have as many columns."""
    split = [None if not line.strip() else _Line(0, _columns(line), line) for line in head]
    found = [line for line in split if line is not None and not line.raw.startswith("#")]
    if len(found) < 2 or None not in split:
        return False
    widths = Counter(len(line.columns) for line in found)
    width, count = widths.most_common(1)[0]
    return width >= 2 and count >= 0.9 * len(found) and all(len(line.columns[0]) < 200 for line in found)


def _columns(line: str) -> list[str]:
    """Of spaces only U+0020 parts columns: an ideographic space is a character of its text."""
    return line.rstrip(" ").split("\t") if "\t" in line else re.split(" +", line.strip(" "))


def _read(raw: decode.Raw, encoding: str | None, problem: Problem) -> list[_Line | None]:
    """The lines of a file; None for blank ones."""
    found: list[_Line | None] = []
    text, offset = decode.Text(raw, encoding), 0
    for number, data in enumerate(lines.split(text.blocks()), 1):
        start, offset = offset, offset + (data if isinstance(data, int) else len(data)) + 1
        if isinstance(data, int):
            problem(f"{raw.where}:{number}", lines.too_long(data), _MEND)
            continue
        try:
            line = data.decode().removesuffix("\r")
        except UnicodeDecodeError as error:
            # The sentence lacks a token then, and has a line that no sentence can have.
            decode.told(problem, text.undecodable(start + error.start, number, data))
            found.append(_Line(number, [], ""))
            continue
        found.append(_Line(number, _columns(line), line) if line.strip(" \t") else None)
    return found


def _shape(found: Sequence[_Line]) -> tuple[int, bool]:
    """How many columns most lines have, and whether they are CoNLL-U's."""
    widths = Counter(len(line.columns) for line in found[:_LOOK])
    width = widths.most_common(1)[0][0] if widths else 0
    if width == 10:
        ten = [line for line in found[:_LOOK] if len(line.columns) == 10]
        return width, all(_ID.fullmatch(line.columns[0]) for line in ten)
    return width, False


def _place(names: Sequence[str], column: str | int | None, width: int, where: str, *, universal: bool) -> int:
    if column is None:
        return CONLLU.index("upos") if universal else width - 1
    if isinstance(column, str) and column in names:
        return names.index(column)
    place = int(column) if isinstance(column, int) or column.isdigit() else None
    if place is None or not 0 <= place < width:
        remedy = f"name one of {listed(names)}, or its place from 0 to {width - 1}"
        raise InputError(f"no column {column!r} of {width}", where=where, remedy=remedy)
    return place


def _sentence(
    found: list[_Line], names: Sequence[str], tags: int, where: str, problem: Problem, *, universal: bool
) -> Row | None:
    width = len(names)
    odd = next((line for line in found if len(line.columns) != width or not line.columns), None)
    if odd is not None:
        if odd.columns:  # else it is told already that its bytes are no text
            what = f"a line of {len(odd.columns)} columns where the others have {width}: {odd.raw[:40]!r}"
            problem(f"{where}:{odd.number}", what, _MEND)
        return None
    if universal:
        found = [line for line in found if line.columns[0].isdigit()]
        if not found:
            return None
    columns = {name: [line.columns[place] for line in found] for place, name in enumerate(names)}
    tokens = columns["form" if universal else names[0]]
    if empty := next((line for line, token in zip(found, tokens, strict=True) if not token), None):
        problem(f"{where}:{empty.number}", "a token is empty", _MEND)
        return None
    return Row({"tokens": tokens, "tags": columns[names[tags]], "columns": columns}, f"{where}:{found[0].number}")
