"""Text of which the language is known: what the confidence of labels is fitted on and tested with.

data sets -> groups of text of about a thousand characters (a document, or short rows one after another)
          -> windows of 20 to 600 characters, each with its language, source and group
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import xxhash
import zstandard

LENGTHS = (20, 50, 100, 200, 400, 600)
"""Characters of windows."""
MOST = 1000  # groups of a source
_GROUP = 1200  # characters

# file -> fields of one language each; a field of lists holds tokens or turns.
ENGLISH = {
    **{f"mix-en/{name}.train": "text" for name in (
        "contracts", "dialogue", "fiction", "legal_speech", "news", "reviews", "science", "techdoc", "usenet",
    )},
    "cls-en/agnews.train": "text", "cls-en/sst5.train": "text", "mt/multi30k_en_de.train": "source",
    "mt/tatoeba_en_zh.train": "source", "instruct/alpaca_en.train": "output", "ner-en/conll2003.train": "tokens",
    "ner-en/wnut17.train": "tokens", "qa-en/covidqa.train": "context",
}  # fmt: skip
CHINESE = {
    **{f"mix-zh/{name}.train": "text" for name in (
        "classical", "law", "medical", "newsletter", "poetry", "tech_news",
    )},
    "mt/tatoeba_en_zh.train": "target", "mt/classical_modern_zh.valid": "target", "dialog-zh/sms_zh": "text",
    "dialog-zh/crosswoz.val": "turns", "qa-zh/cmrc2018.dev": "context", "qa-zh/drcd.dev": "context",
    "cls-zh/hotel.train": "text", "cls-zh/shopping.train": "text", "cls-zh/waimai.train": "text",
    "cls-zh/tnews.unlabelled": "text", "cls-zh/thucnews_title.train": "text", "instruct/alpaca_zh.train": "output",
    "ner-zh/msra.train": "tokens", "ner-zh/cluener.train": "tokens", "summ/csl_title.train": "source",
}  # fmt: skip
CLASSICAL = {"mt/classical_modern_zh.valid": "source"}  # its label is zh, too
GERMAN = {"mt/multi30k_en_de.train": "target"}
SOURCES = {"en": ENGLISH, "zh": CHINESE, "lzh": CLASSICAL, "de": GERMAN}


class Window(NamedTuple):
    """One piece of text of a known language."""

    language: str
    source: str
    group: int
    length: int
    text: str


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a .jsonl.zst file."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    for line in data.decode("utf-8").split("\n"):
        if line:
            yield json.loads(line)


def texts(data: Path, name: str, field: str) -> Iterator[str]:
    """The different texts of one field of one file."""
    seen = set()
    for row in rows(data / f"{name}.jsonl.zst"):
        value = row.get(field)
        if isinstance(value, list):
            glue = "" if name.startswith("ner-zh") else "\n" if field == "turns" else " "
            value = glue.join(item["text"] if isinstance(item, dict) else item for item in value)
        if value and value not in seen:
            seen.add(value)
            yield value


def groups(found: Iterator[str], most: int = MOST) -> Iterator[str]:
    """Long texts as they are, short ones joined by newlines."""
    held: list[str] = []
    size = count = 0
    for text in found:
        held.append(text)
        size += len(text)
        if size >= _GROUP:
            yield "\n".join(held)
            held, size, count = [], 0, count + 1
            if count == most:
                return
    if held:
        yield "\n".join(held)


def holds(language: str, text: str) -> bool:
    """Whether a window is what its source says: pages of links in a Chinese source are not Chinese."""
    letters = sum(c.isalpha() for c in text)
    han = len(re.findall(r"[\u3400-\u9fff]", text))
    if language in ("zh", "lzh"):
        return han >= 4 and han > letters / 2
    return letters >= 10 and letters > len(text) / 2 and han == 0


def windows(language: str, source: str, grouped: Iterator[str], seed: int = 0) -> Iterator[Window]:
    """One window of every length from every group, where it is long enough."""
    code = "zh" if language == "lzh" else language
    for number, text in enumerate(grouped):
        draw = random.Random(f"{seed}/{source}/{number}")
        for length in LENGTHS:
            if len(text) >= length:
                begin = draw.randrange(len(text) - length + 1)
                piece = text[begin : begin + length]
                if holds(language, piece):
                    yield Window(code, source, number, length, piece)


def labelled(data: Path) -> list[Window]:
    """The windows of all sources."""
    return [
        window
        for language, files in SOURCES.items()
        for name, field in files.items()
        for window in windows(language, f"{name}/{field}", groups(texts(data, name, field)))
    ]


def translations(folder: Path) -> list[Window]:
    """Windows of Django's translated messages (`django/conf/locale` and the like, unpacked), by language."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("LC_MESSAGES/django.po")):
        code = path.parts[-3].split("_")[0]
        for block in re.findall(r'^msgstr(?:\[\d\])? ((?:".*"\n)+)', path.read_text(encoding="utf-8"), re.M):
            text = "".join(json.loads(line) for line in block.splitlines() if line.startswith('"'))
            if "Project-Id-Version" not in text and "%" not in text and "{" not in text and len(text) > 8:
                found.setdefault(code, []).append(text)
    made = []
    for code, messages in found.items():
        different = list(dict.fromkeys(messages))
        random.Random(code).shuffle(different)
        for window in windows(code, f"django/{code}", groups(iter(different))):
            made.append(window)
    return made


def second_half(window: Window) -> bool:
    """Whether a window is for testing: half of the groups, by a hash."""
    return bool(xxhash.xxh3_64_intdigest(f"{window.source}/{window.group}".encode()) & 1)
