"""Real text that every Python carries: its reference topics, its docstrings, and the code of its library.

    standard library folder -> modules parsed (never imported) -> docstrings as prose | code without its
    docstrings

The code is given without docstrings, so that the prose source and the code sources share no text.
"""

from __future__ import annotations

import ast
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_TABLES = ("encodings", "pydoc_data", "site-packages", "dist-packages", "__pycache__")
_TESTS = ("test", "tests", "idle_test")
_TOOLS = (
    "idlelib",
    "lib2to3",
    "distutils",
    "tkinter",
    "turtledemo",
    "unittest",
    "ensurepip",
    "venv",
    "msilib",
)
_LARGEST = 400_000  # bytes of one module; larger ones are tables

Text = tuple[str, str]  # name, text


class Module(NamedTuple):
    name: str
    prose: str
    code: str


@lru_cache
def modules(area: str) -> tuple[Module, ...]:
    """Every readable module of one area of the standard library, sorted by name."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if any(part in _TABLES for part in parts) or path.stat().st_size > _LARGEST:
            continue
        read = _read(path, apart=area != "tests") if _area(parts) == area else None
        if read:
            found.append(Module("/".join(parts), *read))
    return tuple(found)


def _area(parts: tuple[str, ...]) -> str:
    if any(part in _TESTS for part in parts):
        return "tests"
    return "tools" if parts[0] in _TOOLS else "library"


def _read(path: Path, *, apart: bool) -> tuple[str, str] | None:
    """The docstrings of a module and its code without them (not `apart`: all of it, as code); None where it
    is broken, as some tests are meant to be."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
        if not apart:  # parsing the tests takes longer than all else together, and no prose comes from them
            return "", text
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines = text.split("\n")
    prose = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        doc = ast.get_docstring(node)
        if doc is None:
            continue
        title = "" if isinstance(node, ast.Module) else f"{node.name}\n"
        prose.append(title + doc.strip())
        place = node.body[0]
        first, last = place.lineno - 1, (place.end_lineno or place.lineno) - 1
        if "\f" not in text:  # a form feed would shift the parser's line numbers
            lines[first : last + 1] = ['"""..."""' if not title else "", *[""] * (last - first)]
    code = "\n".join(line for line, before in zip(lines, ["x", *lines], strict=False) if line or before)
    return "\n\n".join(prose), code


def prose() -> Iterator[Text]:
    """Reference topics, then the docstrings of each library module."""
    topics = Path(sysconfig.get_path("stdlib")) / "pydoc_data" / "topics.py"
    if topics.is_file():
        tree = ast.parse(topics.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                found = ast.literal_eval(node.value)
                yield from ((f"topic {name}", text) for name, text in sorted(found.items()))
    for area in ("library", "tools"):
        yield from ((m.name, m.prose) for m in modules(area) if len(m.prose) >= 200)


def code(area: str) -> Iterator[Text]:
    """The code of the modules of one area: library, tools or tests."""
    return ((m.name, m.code) for m in modules(area) if len(m.code) >= 400)
