"""Tables between tabs: rows by the names of their header.

Two kinds of files bear the name .tsv. In one a quote is a character like others (GLUE's), in the other fields are
quoted as in CSV where they hold a tab or a quote. Where every line has as many tabs as the header, the first kind is
read, and of the second only what cannot be meant literally is unquoted: a field in quotes with doubled ones inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from assay.corpus.reading import csv_rows, decode, lines
from assay.corpus.reading.decode import Problem

_QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')


def records(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    """Rows of a table, each with what to add to the file's name to say where it is."""
    with decode.Raw(raw.path) as again:
        widths = {
            line if isinstance(line, int) else line.count(b"\t")
            for line in lines.split(decode.Text(again, encoding).blocks())
            if isinstance(line, int) or line.strip(b"\r ")
        }
    if len(widths) != 1:
        yield from csv_rows.records(raw, encoding, problem)
        return
    text, offset, names = decode.Text(raw, encoding), 0, list[str]()
    for number, data in enumerate(lines.split(text.blocks()), 1):
        assert isinstance(data, bytes)
        start, offset = offset, offset + len(data) + 1
        if not data.strip(b"\r "):
            continue
        try:
            fields = [_field(one) for one in data.decode().removesuffix("\r").split("\t")]
        except UnicodeDecodeError as error:
            decode.told(problem, text.undecodable(start + error.start, number, data))
            continue
        if names:
            yield f":{number}", dict(zip(names, fields, strict=True))
        names = names or fields


def _field(text: str) -> str:
    return text[1:-1].replace('""', '"') if _QUOTED.fullmatch(text) else text
