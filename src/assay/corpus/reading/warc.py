"""Web archives: the pages and plain texts that servers answered with, record by record.

    .warc, .warc.gz, .warc.zst -> records (version line, header fields, as many bytes as they say)
        -> response (HTTP: status 2xx, chunks put together, unpacked), resource or conversion
        -> text/html and application/xhtml+xml: their main text; text/plain: as it is

An archive that is cut off gives every whole record before the cut. This reader is our own because FastWARC (2.0) takes
a record that is cut off for a short one and does not say so; the tests hold both to the same texts of whole archives.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from assay.corpus.reading import decode, html
from assay.errors import InputError

_LARGEST_HEAD = 64 << 10  # bytes of a record's header fields, and of the answer's in it
_LARGEST = 2 * html.LARGEST_PAGE  # bytes of a record that is looked into, HTTP header and packing included
_PAGES = ("text/html", "application/xhtml+xml")
_STEP = 64 << 10
_MEND = "pass --on-error skip to go on without it"
_COPY = "copy or download the file again, or pass --on-error skip to go on without its rest"


class _Unusable(ValueError):
    """An answer whose body cannot be had; the message says why."""


class _Body(NamedTuple):
    """What a server sent, and what it said of it."""

    data: bytes
    kind: str
    charset: str | None


def texts(raw: decode.Raw, problem: decode.Problem, encoding: str | None, extractor: html.Extractor) -> Iterator[str]:
    """The texts of an archive; "" for a page that has none.

    Raises:
        InputError: the file is no WARC file, damaged or cut off, with the number and place of the record.
    """
    stream = _Stream(raw)
    number = 0
    while (start := stream.next_record()) is not None:
        number += 1
        fields = _fields(stream, number, start)
        length, wanted = _length(stream, fields, number, start), _wanted(fields)
        where = f"{raw.where}: record {number:,}"
        if wanted and length > _LARGEST:
            problem(where, f"a record of {length:,} bytes; more than {_LARGEST:,} are not read", _MEND)
        content = stream.take(length, keep=wanted and length <= _LARGEST)
        if content is None:
            raise _cut_off(stream, number, start)
        if not wanted or length > _LARGEST:
            continue
        try:
            body = _http(content) if fields.get("warc-type") == "response" else _plain(fields, content)
            if body is None:
                continue
            if body.kind in _PAGES:
                yield html.main_text(body.data, encoding, extractor, declared=body.charset)
            else:
                yield html.characters(body.data, encoding, body.charset)
        except (_Unusable, html.Unreadable) as error:
            problem(where, f"{error} ({fields.get('warc-target-uri', 'no address')[:200]})", _MEND)


_BREAKS = re.compile(rb"[\r\n]*+")


class _Stream:
    """Unpacked bytes with a place; holds a little more than what was asked for.

    What is done stays in front of `_at` until more is read: a block may hold a million records, and to move the rest of
    it at each would take hours.
    """

    def __init__(self, raw: decode.Raw) -> None:
        self.raw = raw
        self._chunks = raw.chunks(_STEP)
        self._block, self._at = b"", 0
        self.offset = 0  # of what comes next
        self.ended = False

    def _more(self) -> bool:
        chunk = next(self._chunks, b"")
        self._block, self._at = self._block[self._at :] + chunk, 0
        self.ended = not chunk
        return not self.ended

    @property
    def _left(self) -> int:
        return len(self._block) - self._at

    def ahead(self, size: int) -> bytes:
        """The next few bytes, as far as they are here."""
        return self._block[self._at : self._at + size]

    def line(self, longest: int) -> bytes | None:
        """A line with its end; None where the file ends before it, or it is longer."""
        while (end := self._block.find(b"\n", self._at)) < 0:
            if self._left > longest or not self._more():
                return None
        size = end + 1 - self._at
        return self._drop(size) if size <= longest else None

    def _drop(self, size: int) -> bytes:
        made = self.ahead(size)
        self._at += size
        self.offset += size
        return made

    def next_record(self) -> int | None:
        """The place of what comes after the blank lines that end a record; None at the end of the file."""
        while True:
            breaks = _BREAKS.match(self._block, self._at)
            assert breaks is not None
            self._drop(breaks.end() - self._at)
            if self._left:
                return self.offset
            if not self._more():
                return None

    def take(self, size: int, *, keep: bool) -> bytes | None:
        """As many bytes, or b"" where they are not to be kept; None where the file ends before."""
        kept: list[bytes] = []
        while size:
            if not self._left and not self._more():
                return None
            part = self._drop(min(size, self._left))
            size -= len(part)
            if keep:
                kept.append(part)
        return b"".join(kept)


def _cut_off(stream: _Stream, number: int, start: int) -> InputError:
    where = f"{stream.raw.where}: record {number:,}"
    return InputError(f"the archive is cut off within the record at byte {start:,}", where=where, remedy=_COPY)


def _fields(stream: _Stream, number: int, start: int) -> dict[str, str]:
    """The header fields of a record, their names in lower case.

    Raises:
        InputError: no record begins here, or the file ends within the header.
    """
    where = f"{stream.raw.where}: record {number:,}"
    line = stream.line(_LARGEST_HEAD)
    if line is None and stream.ended and stream.ahead(5) == b"WARC/"[: len(stream.ahead(5))]:
        raise _cut_off(stream, number, start)
    if line is None or not line.startswith(b"WARC/"):
        what = f"no WARC record begins at byte {start:,}"
        raise InputError(what, where=where, remedy="give a WARC file, or " + _COPY)
    lines = []
    size = 0
    while (line := stream.line(_LARGEST_HEAD)) is not None and line.strip():
        size += len(line)
        if size > _LARGEST_HEAD:
            what = f"the header of the record at byte {start:,} has more than {_LARGEST_HEAD:,} bytes"
            raise InputError(what, where=where, remedy=_COPY)
        lines.append(line)
    if line is None:
        raise _cut_off(stream, number, start)
    return _named(lines)


def _named(lines: list[bytes]) -> dict[str, str]:
    """Header fields; the first of a name counts, and a line that begins with a space goes on with the one before."""
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        text = line.decode("utf-8", "replace")
        if text[:1] in " \t" and last:
            found[last] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        if colon:
            last = name.strip().lower()
            found.setdefault(last, value.strip())
    return found


def _length(stream: _Stream, fields: dict[str, str], number: int, start: int) -> int:
    value = fields.get("content-length", "")
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        what = f"the record at byte {start:,} does not say how long it is"
        raise InputError(what, where=f"{stream.raw.where}: record {number:,}", remedy=_COPY)
    return int(value)


def _wanted(fields: dict[str, str]) -> bool:
    kind = fields.get("warc-type", "").lower()
    if kind == "response":
        return fields.get("content-type", "application/http").lower().startswith("application/http")
    return kind in ("resource", "conversion") and _kind(fields.get("content-type", "")) in (*_PAGES, "text/plain")


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


_CHARSET = re.compile(r"charset\s*+=\s*+[\"']?\s*+([\w.:-]{1,40})", re.IGNORECASE)


def _charset(content_type: str) -> str | None:
    found = _CHARSET.search(content_type)
    return found.group(1) if found else None


def _plain(fields: dict[str, str], content: bytes) -> _Body | None:
    said = fields.get("content-type", "")
    return _Body(content, _kind(said), _charset(said))


_HEAD_END = re.compile(rb"\r?\n\r?\n")


def _http(content: bytes) -> _Body | None:
    """The page or text of an answer; None where it is neither, or tells of an error or another place.

    Raises:
        _Unusable: it is no HTTP, or its body cannot be unpacked.
    """
    end = _HEAD_END.search(content)
    if (end.start() if end else len(content)) > _LARGEST_HEAD:
        raise _Unusable(f"the header of the answer has more than {_LARGEST_HEAD:,} bytes")
    status, *lines = content[: end.start() if end else len(content)].split(b"\n")
    words = status.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise _Unusable("the answer is not HTTP")
    fields = _named(lines)
    said = fields.get("content-type", "")
    if words[1][:1] != b"2" or _kind(said) not in (*_PAGES, "text/plain"):
        return None
    body = content[end.end() :] if end else b""
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = _dechunked(body)
    for packing in reversed([p.strip().lower() for p in fields.get("content-encoding", "").split(",")]):
        body = _unpacked(body, packing)
    return _Body(body, _kind(said), _charset(said))


_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]{0,256}\r?\n")


def _dechunked(body: bytes) -> bytes:
    """The chunks put together; a body that is not in chunks (some crawlers keep the field) as it is."""
    parts = []
    position = 0
    while match := _CHUNK.match(body, position):
        size = int(match.group(1), 16)
        if not size:
            break
        parts.append(body[match.end() : match.end() + size])
        position = match.end() + size
    return b"".join(parts) if position else body


def _unpacked(body: bytes, packing: str) -> bytes:
    """A body unpacked to at most one byte more than a page may have, however much there is in it.

    Raises:
        _Unusable: it is damaged, or packed in a way that is not known.
    """
    most = html.LARGEST_PAGE + 1
    try:
        if packing in ("", "identity") or (packing in ("gzip", "x-gzip") and not body.startswith(b"\x1f\x8b")):
            return body
        if packing in ("gzip", "x-gzip"):
            return zlib.decompressobj(31).decompress(body, most)
        if packing == "deflate":
            try:
                return zlib.decompressobj().decompress(body, most)
            except zlib.error:
                return zlib.decompressobj(-15).decompress(body, most)
        if packing == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(body) as reader:
                return bytes(reader.read(most))
        if packing == "br":
            import brotli  # with resiliparse

            return bytes(brotli.Decompressor().process(body, output_buffer_limit=most))
    except Exception as error:  # each library has errors of its own
        raise _Unusable(f"the body is not {packing} ({' '.join(str(error).split())[:80]})") from error
    raise _Unusable(f"the body is packed as {packing[:40]!r}, which is not known")
