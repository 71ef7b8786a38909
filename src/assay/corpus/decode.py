"""From a file's bytes to blocks of UTF-8: decompression and encodings, streamed, with exact places for what
is wrong.

path -> raw bytes (their position is the progress) -> gzip or zstd -> byte-order mark or declared encoding
     -> blocks of bytes that are UTF-8 or say where they are not
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from assay.errors import InputError

BLOCK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSES = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "cp1252", "latin-1")
_COMPRESSION = {".gz": "gzip", ".zst": "zstd"}


def compression_of(path: Path) -> str | None:
    """ "gzip", "zstd" or None, by the name's end."""
    return _COMPRESSION.get(path.suffix.lower())


class Raw:
    """A file opened for reading, decompressed if its name says so. `position` counts the bytes on disk read
    so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: IO[bytes] = path.open("rb")
        except FileNotFoundError as error:
            raise vanished(path) from error
        except PermissionError as error:
            raise InputError("cannot be read", where=path, remedy="change its permissions") from error
        kind = compression_of(path)
        self._stream: pa.NativeFile | None = None
        if kind:
            self._stream = pa.CompressedInputStream(pa.PythonFile(self._file, mode="r"), kind)

    @property
    def position(self) -> int:
        return self._file.tell()

    def read(self, size: int = BLOCK) -> bytes:
        """Up to `size` decompressed bytes; b"" at the end.

        Raises:
            InputError: the compressed data is cut off or damaged.
        """
        if self._stream is None:
            return self._file.read(size)
        try:
            return bytes(self._stream.read(size))
        except OSError as error:
            raise InputError(
                f"the compressed data is cut off or damaged ({' '.join(str(error).split())[:80]})",
                where=self.path,
                remedy="copy or download the file again, or pass --on-error skip to go on without its rest",
            ) from error

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._file.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def vanished(path: Path) -> InputError:
    """The error for a file that was listed and is gone."""
    return InputError(
        "the file was listed and has vanished since",
        where=path,
        remedy="put it back, or run again to list the folder anew",
    )


def blocks(raw: Raw, encoding: str | None, *, strict: bool = True) -> Iterator[bytes]:
    """Blocks of UTF-8 bytes, without a byte-order mark.

    A UTF-8 stream is passed on as it is, cut anywhere, and its lines are checked by whoever splits them,
    unless `strict`: then every block ends between characters and is checked here. Other encodings are
    converted.

    Raises:
        InputError: bytes that the encoding does not allow, with their offset and line.
    """
    first = raw.read()
    declared = encoding
    for mark, name in _MARKS:
        if first.startswith(mark):
            declared, first = name, first[len(mark) :] if name == "utf-8" else first
            break
    name = codecs.lookup(declared or "utf-8").name
    if name == "utf-8" and not strict:
        while first:
            yield first
            first = raw.read()
        return
    decoder = codecs.getincrementaldecoder(name)()
    offset = lines = 0
    block = first
    while True:
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(block, not block)
        except UnicodeDecodeError as error:
            before = (pending + block)[: error.start]
            place = offset - len(pending) + error.start
            line = lines + before.count(b"\n") + 1
            raise undecodable(raw.path, name, place, line, pending + block, declared=encoding) from error
        if text:
            lines += text.count("\n")
            yield text.encode("utf-8")
        if not block:
            return
        offset += len(block)
        block = raw.read()


def undecodable(path: Path, name: str, offset: int, line: int, sample: bytes, *, declared: str | None) -> InputError:
    """The error for bytes that are not in the expected encoding, with the encoding that would read them."""
    fits = [guess for guess in _GUESSES if guess != name and _decodes(sample, guess)]
    if fits:
        remedy = f"pass --encoding {fits[0]} if that is what it is"
    elif declared:
        remedy = f"the file is not {declared}: leave --encoding out, or name the one it has"
    else:
        remedy = "convert the file to UTF-8, name its encoding with --encoding, or pass --on-error skip"
    return InputError(f"byte {offset} is not {name}", where=f"{path}:{line}", remedy=remedy)


def _decodes(sample: bytes, encoding: str) -> bool:
    """Whether the sample reads as text in this encoding: it decodes, and holds no control or private
    characters."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample, False)
    except UnicodeDecodeError:
        return False
    odd = sum(
        1
        for c in text[:20_000]
        if (c < " " and c not in "\t\r\n\f") or "\x7f" <= c <= "\x9f" or "\ue000" <= c <= "\uf8ff"
    )
    return odd * 500 <= min(len(text), 20_000)


def looks_binary(path: Path) -> bool:
    """Whether the beginning of a text file holds NUL bytes and no mark of UTF-16 or UTF-32.

    Raises:
        InputError: the file vanished, or its compressed data is damaged.
    """
    with Raw(path) as raw:
        head = raw.read(8192)
    return b"\0" in head and not any(head.startswith(mark) for mark, name in _MARKS if name != "utf-8")
