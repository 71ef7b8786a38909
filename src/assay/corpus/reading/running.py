"""Files of which each is one text: plain text, pages, books; and texts in pieces."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator

from assay.corpus.reading import books, decode, html
from assay.corpus.reading.decode import Problem
from assay.errors import InputError

PAGES = (".html", ".htm", ".warc")
"""Kinds that are pages of the web, or hold them."""
RUNNING = (".txt", ".md", ".html", ".htm", ".epub", ".pdf")
"""Kinds of which a whole file is one text."""
PACKED = (".epub", ".pdf")
"""Kinds that are archives themselves, and read from their end: not looked for in another archive."""
_BLANK = re.compile(r"\n[ \t\r\f\u3000]*\n")


def text(
    raw: decode.Raw, kind: str, encoding: str | None, extractor: html.Extractor, problem: Problem
) -> Iterator[str]:
    """A file's one text, in parts."""
    if kind in PAGES:
        return iter([_page(raw, encoding, extractor)])
    if kind in PACKED:
        return books.epub(raw, problem) if kind == ".epub" else books.pdf(raw, problem)
    return _whole_lines(raw, decode.Text(raw, encoding), problem)


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
            decode.told(problem, text.undecodable(offset + error.start, number, line))
        number, offset = number + 1, offset + len(line)


def _incomplete(data: bytes) -> int:
    """How many bytes at the end begin a character and do not end it."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0


def _page(raw: decode.Raw, encoding: str | None, extractor: html.Extractor) -> str:
    """The main text of a page.

    Raises:
        InputError: it is too large or too deeply nested, or in no encoding that can be told.
    """
    parts: list[bytes] = []
    while sum(map(len, parts)) <= html.LARGEST_PAGE and (part := raw.read()):
        parts.append(part)
    try:
        return html.main_text(b"".join(parts), encoding, extractor)
    except html.Unreadable as error:
        remedy = "leave the page out, or pass --on-error skip to go on without it"
        raise InputError(str(error), where=raw.where, remedy=remedy) from error


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
