"""From a file's bytes to blocks of UTF-8: decompression and encodings, streamed, with exact places for what
is wrong.

path -> raw bytes (their position is the progress) -> gzip or zstd -> byte-order mark or declared encoding
     -> blocks of bytes that are UTF-8 or say where they are not
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
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
_BEYOND_ASCII = bytes(range(128, 256))
_COMPRESSION = {".gz": "gzip", ".zst": "zstd"}


Problem = Callable[[str, str, str], None]
"""where, what, remedy: raises, or counts and goes on"""


class Changed(InputError):
    """A file is not the one that was listed any more; never skipped, since the fingerprint would lie."""


def shown(path: str | PurePath) -> str:
    """A path as people read it: names that are not UTF-8 with backslashes, so that every stream can hold them."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Text with lone surrogates written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refused(path: str | Path, error: OSError) -> InputError:
    """The error for a file or folder that the operating system does not let be read."""
    what = f"cannot be read ({error.strerror or error})"
    return InputError(what, where=shown(path), remedy="mend its permissions or path, or pass --on-error skip")


def compression_of(path: PurePath) -> str | None:
    """ "gzip", "zstd" or None, by the name's end."""
    return _COMPRESSION.get(path.suffix.lower())


class Raw:
    """A file opened for reading, decompressed if its name says so.

    Attributes:
        path: what is opened.
        where: the path as errors show it.
        file: the open file, not decompressed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, shown(path)
        self._reached: int | None = None
        try:
            self.file: IO[bytes] = path.open("rb")
        except FileNotFoundError as error:
            raise vanished(path) from error
        except OSError as error:
            raise refused(path, error) from error
        kind = compression_of(path)
        self._stream: pa.NativeFile | None = None
        if kind:
            self._stream = pa.CompressedInputStream(pa.PythonFile(self.file, mode="r"), kind)

    @property
    def position(self) -> int:
        """Bytes on disk that are done: those read, or what `reach` said last."""
        return self.file.tell() if self._reached is None else self._reached

    def reach(self, share: float) -> None:
        """Say how much of the file is done, in [0, 1], where it is not read from its beginning to its end."""
        self._reached = round(share * os.fstat(self.file.fileno()).st_size)

    def read(self, size: int = BLOCK) -> bytes:
        """Up to `size` decompressed bytes; b"" at the end.

        Raises:
            InputError: the compressed data is cut off or damaged, or the disk does not give it.
        """
        try:
            return self.file.read(size) if self._stream is None else bytes(self._stream.read(size))
        except OSError as error:
            if self._stream is None:
                raise refused(self.path, error) from error
            raise damaged(self, error) from error

    def packed(self, size: int = BLOCK) -> bytes:
        """Up to `size` bytes as they stand on disk; b"" at the end.

        Raises:
            InputError: the disk does not give them.
        """
        try:
            return self.file.read(size)
        except OSError as error:
            raise refused(self.path, error) from error

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self.file.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def damaged(raw: Raw, why: object) -> InputError:
    """The error for compressed data that is cut off or damaged."""
    return InputError(
        f"the compressed data is cut off or damaged ({' '.join(str(why).split())[:80]})",
        where=raw.where,
        remedy="copy or download the file again, or pass --on-error skip to go on without its rest",
    )


def vanished(path: Path) -> Changed:
    """The error for a file that was listed and is gone."""
    return Changed(
        "the file was listed and has vanished since",
        where=shown(path),
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
    if encoding and declared is encoding and name != "utf-8" and _is_utf8(first, name):
        raise InputError(
            f"is UTF-8, not {encoding}",
            where=f"{raw.where}:1",
            remedy="leave --encoding out, or read files of other encodings apart",
        )
    decoder = codecs.getincrementaldecoder(name)()
    offset = lines = 0
    block = first
    while True:
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(block, not block)
            made = text.encode("utf-8")
        except UnicodeDecodeError as error:
            before = (pending + block)[: error.start]
            place = offset - len(pending) + error.start
            line = lines + before.count(b"\n") + 1
            raise undecodable(raw.path, name, place, line, pending + block, declared=encoding) from error
        except UnicodeError as error:  # no byte order is known, or the encoding makes half surrogate pairs
            raise _unordered(raw, name, lines + 1, error) from error
        if text:
            lines += text.count("\n")
            yield made
        if not block:
            return
        offset += len(block)
        block = raw.read()


def marked(data: bytes) -> str | None:
    """The encoding that a byte-order mark says."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def is_certainly_utf8(data: bytes) -> bool:
    """Whether bytes are well-formed UTF-8 and hold enough of more than ASCII that this cannot be chance."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return len(text) - len(data.translate(None, _BEYOND_ASCII)) >= _CERTAIN


def _unordered(raw: Raw, name: str, line: int, error: UnicodeError) -> InputError:
    wide = name in ("utf-16", "utf-32")
    what = "no byte-order mark says in which order the bytes stand" if wide else f"not {name} ({error})"
    remedy = f"pass --encoding {name}-le or {name}-be" if wide else "name the encoding that it has with --encoding"
    return InputError(what, where=f"{raw.where}:{line}", remedy=remedy)


_CERTAIN = 4  # characters of several bytes that are well-formed UTF-8: no other encoding makes so many by chance


def _is_utf8(block: bytes, declared: str) -> bool:
    """Whether a file's first block is UTF-8 although another encoding was declared. ASCII alone says so of UTF-16 and
    UTF-32, whose Latin letters hold NULs."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(block, False)
    except UnicodeDecodeError:
        return False
    wide = declared.startswith(("utf-16", "utf-32"))
    return (wide and len(block) >= 2 * _CERTAIN and "\0" not in text) or sum(c > "\x7f" for c in text) >= _CERTAIN


def undecodable(path: Path, name: str, offset: int, line: int, sample: bytes, *, declared: str | None) -> InputError:
    """The error for bytes that are not in the expected encoding, with the encoding that would read them."""
    fits = [guess for guess in _GUESSES if guess != name and _decodes(sample, guess)]
    if name != "utf-8" and _decodes(sample, "utf-8"):
        remedy = "the file is UTF-8: leave --encoding out"
    elif fits:
        remedy = f"pass --encoding {fits[0]} if that is what it is"
    elif declared:
        remedy = f"the file is not {declared}: leave --encoding out, or name the one it has"
    else:
        remedy = "convert the file to UTF-8, name its encoding with --encoding, or pass --on-error skip"
    return InputError(f"byte {offset} is not {name}", where=f"{shown(path)}:{line}", remedy=remedy)


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


def looks_binary(head: bytes) -> bool:
    """Whether the beginning of a text file holds NUL bytes and no mark of UTF-16 or UTF-32."""
    return b"\0" in head and not any(head.startswith(mark) for mark, name in _MARKS if name != "utf-8")
