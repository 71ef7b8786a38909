"""From a file's bytes to blocks of UTF-8: decompression and encodings, streamed, with exact places for what
is wrong.

path -> raw bytes (their position is the progress) -> gzip or zstd
     -> byte-order mark, declared encoding, UTF-8, or the encoding that is detected
     -> blocks of UTF-8, in which what the encoding does not allow is no UTF-8: whoever splits them says which row it is
"""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import IO, Any

import zstandard

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
_STEP = 64 << 10  # bytes of a packed file at a time
_ASCII, _BEYOND_ASCII = bytes(range(128)), bytes(range(128, 256))
ESCAPED = re.compile("[\udc80-\udcff]+")
"""Bytes that are no UTF-8, as Python's `surrogateescape` has them."""
_BAD = "\udcff"  # stands for bytes that an encoding does not allow
_MARKED = "assay.undecodable"
_SAMPLE = 64 << 10  # bytes of text that tell its encoding
_FOREIGN = 8  # bytes that are no UTF-8: text in another encoding has no fewer
_SINGLE = 16  # characters of an encoding with a byte each: in fewer, languages are not told apart
_MIXED = 0.05  # of the lines beyond ASCII are UTF-8: then it is UTF-8, and the others are damage
_LETTERS = 0.9  # of the characters beyond ASCII are letters and marks, if the encoding is the right one
# What readers of these encodings take them for, since each holds the other.
_WIDER = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift-jis": "cp932", "euc-kr": "cp949", "big5": "big5hkscs",
    "iso8859-1": "cp1252", "iso-8859-1": "cp1252",
}  # fmt: skip
_COMPRESSION = {".gz": "gzip", ".zst": "zstd"}


def _mark_bad(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _BAD, error.end


codecs.register_error(_MARKED, _mark_bad)

Problem = Callable[[str, str, str], None]
"""where, what, remedy: raises, or counts and goes on"""


def told(problem: Problem, error: InputError) -> None:
    """Tell of an error as of the row that it damages."""
    problem(str(error.where or ""), error.what, error.remedy)


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
        detected: the encoding, where nothing but its bytes told it.
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
        self._chunks = self.chunks(BLOCK) if compression_of(path) else None
        self._held = b""
        self._fault: InputError | None = None
        self.detected: str | None = None

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
            InputError: the compressed data is cut off or damaged here, or the disk does not give it.
        """
        if self._chunks is None:
            return self.packed(size)
        parts, length = [self._held], len(self._held)
        while length < size and self._fault is None:
            try:
                part = next(self._chunks, b"")
            except InputError as error:  # told when all that stands before is read
                self._fault = error
                break
            if not part:
                break
            parts.append(part)
            length += len(part)
        data = b"".join(parts)
        self._held = data[size:]
        if not data and self._fault is not None:
            raise self._fault
        return data[:size]

    def chunks(self, size: int) -> Iterator[bytes]:
        """The decompressed bytes in parts of about `size`: all of those before a cut or damage, too.

        Raises:
            InputError: the compressed data is cut off or damaged there, or the disk does not give it.
        """
        kind = compression_of(self.path)
        if kind is None:
            while chunk := self.packed(size):
                yield chunk
            return
        unpacker, begun = _unpacker(kind), False
        # zstd hands out all that its input holds: 512 bytes hold 16 MB at most.
        while data := self.packed(_STEP if kind == "gzip" else 512):
            while data:
                begun = True
                try:
                    made = unpacker.decompress(data, *([size] if kind == "gzip" else []))
                except (zlib.error, zstandard.ZstdError) as error:
                    raise damaged(self, error) from error
                if made:
                    yield made
                data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                if unpacker.eof:  # some files are packed record by record
                    unpacker, begun, data = _unpacker(kind), False, data.lstrip(b"\0")
        if begun:
            if kind == "gzip" and (made := unpacker.flush()):
                yield made
            if not unpacker.eof:
                raise damaged(self, "it ends too early")

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
        self.file.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unpacker(kind: str) -> Any:
    return zlib.decompressobj(31) if kind == "gzip" else zstandard.ZstdDecompressor().decompressobj()


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


class Text:
    """A file's text as UTF-8, whatever it is written in.

    Bytes that the encoding does not allow are no UTF-8 here either, so that whoever splits the text into rows finds
    them in the row that they damage, and the other rows are whole.

    Attributes:
        name: the encoding; known when the first block with more than ASCII in it is read.
    """

    def __init__(self, raw: Raw, encoding: str | None) -> None:
        self._raw, self._declared, self.name = raw, encoding, "utf-8"
        self._first: tuple[int, bytes] | None = None  # in another encoding: the first bytes that it does not allow

    def blocks(self) -> Iterator[bytes]:
        """Blocks of UTF-8 bytes, without a byte-order mark, cut anywhere.

        Raises:
            InputError: the file is UTF-8 although another encoding was declared, or nobody knows its byte order.
        """
        raw, declared = self._raw, self._declared
        block = raw.read()
        for mark, name in _MARKS:
            if block.startswith(mark):
                declared, block = name, block[len(mark) :] if name == "utf-8" else block
                break
        self.name = codecs.lookup(declared or "utf-8").name
        if self._declared and declared is self._declared and self.name != "utf-8" and _is_utf8(block, self.name):
            remedy = "leave --encoding out, or read files of other encodings apart"
            raise InputError(f"is UTF-8, not {declared}", where=f"{raw.where}:1", remedy=remedy)
        offset = 0
        if declared is None:
            while block and block.isascii():  # which is the same in all encodings that are looked for
                yield block
                offset += len(block)
                block = raw.read()
            if len(block.translate(None, _ASCII)) < _SAMPLE:
                block += raw.read()
            if found := detected(block):
                self.name = raw.detected = found
        if self.name != "utf-8":
            yield from self._converted(block, offset)
            return
        while block:
            yield block
            block = raw.read()

    def _converted(self, block: bytes, offset: int) -> Iterator[bytes]:
        decoder, lines = codecs.getincrementaldecoder(self.name)(_MARKED), 0
        while True:
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(block, not block)
            except UnicodeError as error:  # no byte order is known
                raise _unordered(self._raw, self.name, lines + 1, error) from error
            if _BAD in text and self._first is None:
                self._first = offset - len(pending) + _first_bad(pending + block, self.name), pending + block
            if text:
                lines += text.count("\n")
                yield text.encode("utf-8", "surrogatepass")
            if not block:
                return
            offset += len(block)
            block = self._raw.read()

    def undecodable(self, offset: int, line: int, sample: bytes) -> InputError:
        """The error for bytes that are not in the encoding, with the encoding that would read them.

        Args:
            offset: where they stand in the UTF-8 text.
            line: the number of theirs.
            sample: some text around them.
        """
        what = f"byte {offset} is not {self.name}"
        if self.name != "utf-8":  # where they stood in the file is known of the first ones
            (first, sample), self._first = self._first or (-1, b""), (-1, b"")
            what = f"byte {first} is not {self.name}" if first >= 0 else f"bytes are not {self.name}"
        where = f"{self._raw.where}:{line}"
        return InputError(what, where=where, remedy=_remedy(self.name, sample, self._declared))


def detected(data: bytes) -> str | None:
    """The encoding of text that is not UTF-8, where its bytes leave little doubt.

    None: UTF-8, though some bytes or rows of it may be damaged; or nothing that can be told. One damaged byte makes up
    to four that are no UTF-8; text in another encoding makes more of them than characters that are, and hardly a line.
    """
    text = data.decode("utf-8", "surrogateescape")
    bad = sum(map(len, ESCAPED.findall(text)))
    if bad < _FOREIGN or len(text) - bad - len(data.translate(None, _BEYOND_ASCII)) > bad:
        return None
    foreign_lines = [line for line in data.split(b"\n") if not line.isascii()]
    if sum(map(is_certainly_utf8, foreign_lines)) > _MIXED * len(foreign_lines):
        return None
    from resiliparse.parse.encoding import detect_encoding

    sample = b"\n".join(foreign_lines)[:_SAMPLE]
    found = (detect_encoding(sample, html5_compatible=False) or "ascii").lower()
    try:
        name = codecs.lookup(_WIDER.get(found.replace("_", "-"), found)).name
        told = sample.decode(name, "replace")
    except LookupError:
        return None
    foreign = [c for c in told if c > "\x7f"]
    letters = sum(c.isalpha() or unicodedata.category(c)[0] == "P" for c in foreign)
    if letters < _LETTERS * len(foreign):
        return None
    single = len(foreign) == len(sample.translate(None, _ASCII))
    return None if (single and len(foreign) < _SINGLE) or name in ("ascii", "utf-8") else name


def _first_bad(data: bytes, name: str) -> int:
    """Where bytes that the encoding does not allow begin."""
    try:
        codecs.getincrementaldecoder(name)().decode(data, True)
    except UnicodeDecodeError as error:
        return error.start
    return 0


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


def _remedy(name: str, sample: bytes, declared: str | None) -> str:
    """What is to be done about text that is not in the expected encoding."""
    fits = [guess for guess in _GUESSES if guess != name and _decodes(sample, guess)] if sample else []
    if name != "utf-8" and sample and _decodes(sample, "utf-8"):
        return "the file is UTF-8: leave --encoding out"
    if fits:
        return f"pass --encoding {fits[0]} if that is what it is"
    if declared:
        return f"the file is not {declared}: leave --encoding out, or name the one it has"
    return "convert the file to UTF-8, name its encoding with --encoding, or pass --on-error skip"


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
