"""docs/export.md: both languages have the same commands and the same code, and the formats of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assay.export.request import TYPES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["export.md", "export.zh-CN.md"]


def _blocks(name: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("kind", ["sh", "python"])
def test_both_pages_have_the_same_code(kind: str) -> None:
    one, other = ([re.sub(r" *#.*", "", block) for block in _blocks(name, kind)] for name in PAGES)
    assert one == other
    assert one


@pytest.mark.parametrize("name", PAGES)
def test_every_format_and_type_is_told(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE))
    assert {target: tuple(re.findall(r"`(\w+)`", types)) for target, types in rows.items()} == TYPES
