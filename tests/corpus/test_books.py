"""EPUB and PDF: the text in order, damage with its place, bombs refused while they unpack."""

from __future__ import annotations

import io
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from assay.corpus.reading import books
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
FIRST = "It was a bright cold day in the valley, and the clocks had not been wound."
SECOND = "第二章。次日清晨，雾气散去，山谷里传来钟声。"


def chapter(title: str, text: str) -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>
<script src="a.js"/></head><body><h1>{title}</h1><p>{text}</p></body></html>"""


def package(names: list[str], *, prefix: str = "") -> str:
    items = "".join(
        f'<{prefix}item id="c{i}" href="{n}" media-type="application/xhtml+xml"/>' for i, n in enumerate(names)
    )
    spine = "".join(f'<{prefix}itemref idref="c{i}"/>' for i, _ in enumerate(names))
    space = f'xmlns{":" if prefix else ""}{prefix.rstrip(":")}="http://www.idpf.org/2007/opf"'
    inside = f"<{prefix}manifest>{items}</{prefix}manifest><{prefix}spine>{spine}</{prefix}spine>"
    return f"<{prefix}package {space}>{inside}</{prefix}package>"


def epub(path: Path, members: dict[str, str | bytes], *, opf: str | None = None) -> Path:
    names = [name.removeprefix("OEBPS/").replace(" ", "%20") for name in members if name.endswith("xhtml")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/book.opf", package(names) if opf is None else opf)
        for name, data in members.items():
            archive.writestr(name, data)
    return path


TWO: dict[str, str | bytes] = {
    "OEBPS/z first.xhtml": chapter("One", FIRST),
    "OEBPS/a/second.xhtml": chapter("Two", SECOND),
    "OEBPS/cover.png": b"\x89PNG",
}


def read(path: Path, **options: Any) -> tuple[list[str], ReadReport]:
    report = ReadReport()
    sources = open_sources([str(path)], ReadOptions(**options))
    return [text for batch in sources.batches(report) for text in batch.column("text").to_pylist()], report


def test_chapters_are_read_in_the_order_of_the_spine(tmp_path: Path) -> None:
    epub(tmp_path / "book.epub", TWO)
    assert read(tmp_path)[0] == [f"One\n\n{FIRST}\n\nTwo\n\n{SECOND}\n\n"]


def test_prefixes_and_contents_pages(tmp_path: Path) -> None:
    opf = package(["z%20first.xhtml", "a/second.xhtml"], prefix="opf:").replace('id="c0"', 'id="c0" properties="nav"')
    epub(tmp_path / "book.epub", TWO, opf=opf)
    assert read(tmp_path)[0] == [f"Two\n\n{SECOND}\n\n"]


def test_a_book_is_cut_like_running_text(tmp_path: Path) -> None:
    epub(tmp_path / "book.epub", {f"OEBPS/{i}.xhtml": chapter(f"Chapter {i}", FIRST * 20) for i in range(8)})
    texts, _ = read(tmp_path, piece_chars=4000)
    assert len(texts) > 2 and all(len(text) <= 4000 and text.endswith("\n\n") for text in texts)
    assert read(tmp_path, piece_chars=100_000)[0] == ["".join(texts)]


def locked() -> dict[str, str | bytes]:
    space = 'xmlns="http://www.w3.org/2001/04/xmlenc#"'
    uri = '<CipherReference URI="OEBPS/a/second.xhtml"/>'
    return {**TWO, "META-INF/encryption.xml": f"<encryption><EncryptedData {space}>{uri}</EncryptedData></encryption>"}


def broken(path: Path, kind: str) -> Path:
    if kind == "no zip":
        path.write_bytes(b"this is no archive" * 20)
    elif kind == "empty spine":
        epub(path, TWO, opf=package([]))
    elif kind == "entities":
        epub(path, TWO, opf='<!DOCTYPE p [<!ENTITY a "aaa">]><package>&a;</package>')
    elif kind == "locked":
        epub(path, locked())
    elif kind == "cut off":
        path.write_bytes(epub(path, TWO).read_bytes()[:-60])
    elif kind == "list":
        data = bytearray(epub(path, TWO).read_bytes())
        data[-10:-6] = (1 << 30).to_bytes(4, "little")
        path.write_bytes(data)
    return path


BROKEN = {
    "no zip": "not a whole EPUB",
    "empty spine": "names no chapter",
    "entities": "declares entities",
    "locked": "protected",
    "cut off": "not a whole EPUB",
    "list": "whose list has",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_book_is_one_line(tmp_path: Path, kind: str) -> None:
    path = broken(tmp_path / "a.epub", kind)
    (tmp_path / "b.txt").write_text("a good file")
    with pytest.raises(InputError, match=BROKEN[kind]) as caught:
        read(tmp_path)
    assert str(caught.value.where).startswith(str(path)) and caught.value.remedy and "\n" not in caught.value.line()
    texts, report = read(tmp_path, on_error="skip")
    assert texts[-1] == "a good file" and report.bad_files == 1


def test_only_the_bad_chapter_is_left_out(tmp_path: Path) -> None:
    opf = package(["z%20first.xhtml", "gone.xhtml", "a/second.xhtml"])
    epub(tmp_path / "book.epub", TWO, opf=opf)
    with pytest.raises(InputError, match="a chapter that cannot be read") as caught:
        read(tmp_path)
    assert str(caught.value.where) == f"{tmp_path / 'book.epub'}: OEBPS/gone.xhtml"
    texts, report = read(tmp_path, on_error="skip")
    assert (len(texts), report.bad_rows, report.bad_files) == (1, 1, 0)
    assert FIRST in texts[0] and SECOND in texts[0]


@pytest.mark.parametrize(("size", "what"), [(12 << 20, "200 times"), (200 << 20, "200 times|16,777,216")])
def test_a_bomb_is_refused_while_it_unpacks(tmp_path: Path, size: int, what: str) -> None:
    epub(tmp_path / "bomb.epub", {**TWO, "OEBPS/bomb.xhtml": b"<p>" + b" " * size})
    tracemalloc.start()
    with pytest.raises(InputError, match=what):
        read(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 48 << 20
    tracemalloc.stop()


def test_a_book_of_too_much_in_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "_LARGEST_BOOK", 100)
    epub(tmp_path / "book.epub", TWO)
    with pytest.raises(InputError, match="chapters unpack to more than 100"):
        read(tmp_path)


def test_archives_inside_archives_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a good file")
    for name in ("a.epub.gz", "b.pdf.zst"):
        (tmp_path / name).write_bytes(b"anything")
    skipped = dict(open_sources([str(tmp_path)], ReadOptions()).skipped)
    assert set(skipped) == {"a.epub.gz", "b.pdf.zst"}
    assert all("inside an archive" in why["en"] and why["zh"] for why in skipped.values())


# ---- PDF


def pdf(pages: list[str]) -> bytes:
    """A PDF of pages of one line each, in Helvetica."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects.append(f"<</Length {len(stream)}>>\nstream\n{stream}\nendstream")
        resources = "<</Font<</F1 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/Resources{resources}/Contents {len(objects)} 0 R>>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<</Type/Pages/Kids[{' '.join(kids)}]/Count {len(kids)}/MediaBox[0 0 612 792]>>"
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, 2)
    places = []
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{content}\nendobj\n".encode())
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write("".join(f"{place:010} 00000 n \n" for place in places).encode())
    out.write(f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def test_the_pages_of_a_pdf_are_one_text(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    (tmp_path / "a.pdf").write_bytes(pdf([FIRST, "And the second page."]))
    assert read(tmp_path)[0] == [f"{FIRST}\nAnd the second page.\n"]


def test_a_pdf_without_text_is_empty(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    (tmp_path / "scan.pdf").write_bytes(pdf([""]))
    assert read(tmp_path)[0] == []


@pytest.mark.parametrize("damage", ["garbage", "cut off", "password"])
def test_a_pdf_that_cannot_be_read_is_one_line(tmp_path: Path, damage: str) -> None:
    pypdf = pytest.importorskip("pypdf")
    path = tmp_path / "a.pdf"
    if damage == "password":
        writer = pypdf.PdfWriter(io.BytesIO(pdf([FIRST])))
        writer.encrypt("secret", algorithm="RC4-128")
        writer.write(path)
    else:
        path.write_bytes(b"%PDF-1.4 garbage" * 9 if damage == "garbage" else pdf([FIRST])[:200])
    (tmp_path / "b.txt").write_text("a good file")
    with pytest.raises(InputError, match=r"not a whole PDF|password") as caught:
        read(tmp_path)
    assert str(caught.value.where).startswith(str(path)) and caught.value.remedy and "\n" not in caught.value.line()
    texts, report = read(tmp_path, on_error="skip")
    assert (texts, report.bad_files) == (["a good file"], 1)


def test_without_pypdf_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (tmp_path / "a.pdf").write_bytes(pdf([FIRST]))
    for on_error in ("stop", "skip"):
        with pytest.raises(InputError, match=r"assay\[pdf\]"):
            read(tmp_path, on_error=on_error)
