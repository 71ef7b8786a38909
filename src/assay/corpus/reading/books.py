"""Books and papers: the running text of an EPUB or a PDF, chapter by chapter or page by page.

    .epub  zip -> META-INF/container.xml -> package -> chapters in the order of its spine -> their text
    .pdf   pages -> their text, as pypdf (extra `pdf`) reads it

What unpacks to more than a book has any reason to hold is refused while it is unpacked, whatever sizes it declares.
"""

from __future__ import annotations

import logging
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from assay.corpus.reading import decode, html
from assay.errors import InputError, needs

_LARGEST_FILE = 256 << 20  # bytes on disk
_LARGEST_DIRECTORY = 16 << 20  # bytes of an archive's list of members: read as a whole
_LARGEST_MEMBER = html.LARGEST_PAGE  # bytes unpacked
_LARGEST_BOOK = 256 << 20  # bytes of all chapters, unpacked
_LARGEST_RATIO = 200  # unpacked over packed, of members larger than a megabyte: text has 3 to 20
_LARGEST_PACKAGE = 4 << 20  # bytes of what says where the chapters are
_MOST_CHAPTERS = 10_000
_MOST_PAGES = 50_000
_MEND = "pass --on-error skip to go on without it"
_AGAIN = "copy or download it again, or pass --on-error skip to go on without it"
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, KeyError, ValueError)


class _Chapter(NamedTuple):
    name: str
    kind: str


def needs_pdf() -> None:
    """Whether PDFs can be read.

    Raises:
        InputError: pypdf is not installed; the remedy says how to install it.
    """
    needs("pypdf", "pdf", "PDF files")


def epub(raw: decode.Raw, problem: decode.Problem) -> Iterator[str]:
    """The chapters of a book, each with a blank line behind it.

    Raises:
        InputError: it is no EPUB, it is protected, or it unpacks to too much.
    """
    _small_enough(raw)
    try:
        archive = zipfile.ZipFile(raw.file)
    except (*_DAMAGE, OSError) as error:
        raise _no_epub(raw, " ".join(str(error).split())[:80]) from error
    total = 0
    with archive:
        chapters, protected = _spine(raw, archive)
        for number, chapter in enumerate(chapters, 1):
            where = f"{raw.where}: {decode.printable(chapter.name)}"
            if chapter.name in protected:
                raise InputError("the book is protected (encrypted chapters)", where=where, remedy=_MEND)
            try:
                data = _member(archive, chapter.name, _LARGEST_MEMBER)
                text = html.visible_text(data, None, xhtml="xhtml" in chapter.kind)
            except (*_DAMAGE, OSError) as error:
                problem(where, f"a chapter that cannot be read ({' '.join(str(error).split())[:80]})", _AGAIN)
                continue
            total += len(data)
            if total > _LARGEST_BOOK:
                what = f"a book whose chapters unpack to more than {_LARGEST_BOOK:,} bytes"
                raise InputError(what, where=where, remedy=_MEND)
            raw.reach(number / len(chapters))
            if text:
                yield text + "\n\n"


def _small_enough(raw: decode.Raw) -> None:
    """Refuse an archive whose list of members, which is read as a whole, is larger than any book's.

    Raises:
        InputError: it is.
    """
    size = raw.file.seek(0, 2)
    tail = min(size, 20 + 22 + 0xFFFF)
    raw.file.seek(size - tail)
    last = raw.file.read(tail)
    raw.file.seek(0)
    raw.reach(0)
    end = len(last) - 22 if last[-22:].startswith(b"PK\5\6") else last.rfind(b"PK\5\6")
    listed = int.from_bytes(last[end + 12 : end + 16], "little") if end >= 0 else 0
    if end >= 20 and last[end - 20 : end].startswith(b"PK\6\7"):  # the form for archives of more than 4 GB
        listed = 1 << 32
    if size > _LARGEST_FILE or listed > _LARGEST_DIRECTORY:
        what = f"a file of {size:,} bytes" if size > _LARGEST_FILE else f"an archive whose list has {listed:,} bytes"
        raise InputError(f"{what}: more than any book has", where=raw.where, remedy=_MEND)


def _no_epub(raw: decode.Raw, why: str) -> InputError:
    return InputError(f"not a whole EPUB file ({why})", where=raw.where, remedy=_AGAIN)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member, unpacked.

    Raises:
        ValueError, and what zipfile raises: it is damaged, locked, or unpacks to too much.
    """
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise ValueError("it is locked by a password")
    parts: list[bytes] = []
    size = 0
    with archive.open(info) as member:
        while part := member.read(1 << 20):
            parts.append(part)
            size += len(part)
            if size > most:
                raise ValueError(f"it unpacks to more than {most:,} bytes")
            if size > 1 << 20 and size > _LARGEST_RATIO * max(1, info.compress_size):
                raise ValueError(f"it unpacks to more than {_LARGEST_RATIO} times its size")
    return b"".join(parts)


def _spine(raw: decode.Raw, archive: zipfile.ZipFile) -> tuple[list[_Chapter], frozenset[str]]:
    """The chapters in order, and the members that are encrypted.

    Raises:
        InputError: nothing says what they are.
    """
    try:
        container = _xml(_member(archive, "META-INF/container.xml", _LARGEST_PACKAGE))
        root = next((e.get("full-path", "") for e in container.iter() if _name(e) == "rootfile"), "")
        package = _xml(_member(archive, root, _LARGEST_PACKAGE))
        protected = frozenset[str]()
        if "META-INF/encryption.xml" in archive.namelist():
            locked = _xml(_member(archive, "META-INF/encryption.xml", _LARGEST_PACKAGE))
            protected = frozenset(unquote(e.get("URI", "")) for e in locked.iter() if _name(e) == "CipherReference")
    except (*_DAMAGE, ElementTree.ParseError, OSError) as error:
        raise _no_epub(raw, " ".join(str(error).split())[:80]) from error
    items = {e.get("id", ""): e for e in package.iter() if _name(e) == "item"}
    folder = posixpath.dirname(root)
    chapters = []
    for reference in (e.get("idref", "") for e in package.iter() if _name(e) == "itemref"):
        item = items.get(reference)
        if item is None or "nav" in item.get("properties", "").split():
            continue
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "").partition("#")[0])))
        kind = item.get("media-type", "")
        if "html" in kind:
            chapters.append(_Chapter(name, kind))
    if not chapters:
        raise _no_epub(raw, "its spine names no chapter")
    if len(chapters) > _MOST_CHAPTERS:
        raise _no_epub(raw, f"more than {_MOST_CHAPTERS:,} chapters")
    return list(dict.fromkeys(chapters)), protected


def _xml(data: bytes) -> ElementTree.Element:
    if b"<!ENTITY" in data:  # entities that hold entities are a bomb, and no package needs any
        raise ValueError("it declares entities")
    return ElementTree.fromstring(data)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def pdf(raw: decode.Raw, problem: decode.Problem) -> Iterator[str]:
    """The pages of a document, each with a line end behind it.

    Raises:
        InputError: it is no PDF, needs a password, or pypdf is not installed.
    """
    needs_pdf()
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it says of odd files is told by what we raise
    try:
        reader = pypdf.PdfReader(raw.file, strict=False)
        locked = reader.is_encrypted and not reader.decrypt("")
        n_pages = 0 if locked else len(reader.pages)
    except Exception as error:  # pypdf raises all kinds of errors at damaged files
        why = " ".join(decode.printable(str(error)).split())[:80] or type(error).__name__
        raise InputError(f"not a whole PDF file ({why})", where=raw.where, remedy=_AGAIN) from error
    if locked:
        remedy = "save a copy without password, or pass --on-error skip to go on without it"
        raise InputError("the file is protected by a password", where=raw.where, remedy=remedy)
    if n_pages > _MOST_PAGES:
        what = f"a document of {n_pages:,} pages; more than {_MOST_PAGES:,} are not read"
        raise InputError(what, where=raw.where, remedy=_MEND)
    total = 0
    for number in range(n_pages):
        raw.reach(number / n_pages)
        try:
            text = reader.pages[number].extract_text()
        except Exception as error:
            why = " ".join(decode.printable(str(error)).split())[:80] or type(error).__name__
            problem(f"{raw.where}: page {number + 1}", f"a page that cannot be read ({why})", _MEND)
            continue
        total += len(text)
        if total > _LARGEST_BOOK:
            what = f"a document with more than {_LARGEST_BOOK:,} characters"
            raise InputError(what, where=f"{raw.where}: page {number + 1}", remedy=_MEND)
        if text.strip():
            yield _clean(text)


_CONTROLS = re.compile(r"[\0-\x08\x0b\x0e-\x1f]")


def _clean(text: str) -> str:
    return _CONTROLS.sub("", decode.printable(text.replace("\r\n", "\n").replace("\r", "\n"))) + "\n"
