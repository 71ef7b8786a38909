"""`builtin:starter` and `builtin:python`: corpora that nobody has to bring.

    recipe of each source -> pinned archive fetched (or the interpreter's own files) -> one folder a source of
    .jsonl.zst files, kept in the cache as a verified artifact -> read like any folder

Where no index answers, `builtin:starter` becomes `builtin:python`, and a notice says so.
"""

from __future__ import annotations

import io
import json
import logging
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import xxhash
import zstandard

from assay.corpus.reading import fetch, starter
from assay.errors import InputError
from assay.machine import cache_folder
from assay.present.words import Both, both
from assay.store import Artifact, Stage, Store

log = logging.getLogger("assay.corpus")

STAGE = Stage("builtin", 1)
_LARGEST_SOURCE = 7_000_000  # bytes; larger sources keep the documents with the smallest hashes
_NAMES = {"builtin:starter": starter.STARTER, "builtin:python": starter.PYTHON}


@dataclass(frozen=True)
class Builtin:
    """A built-in corpus on disk: `folder` has one subfolder a source, `artifact` is its fingerprint in the cache."""

    folder: Path
    artifact: str
    notices: list[Both]

    def choice(self) -> Choice:
        return {"artifact": self.artifact, "notices": self.notices}


class Choice(TypedDict):
    """What a built-in corpus turned out to be (a part of it, or another one, where the network fails)."""

    artifact: str
    notices: list[Both]


def materialise(
    uri: str, progress: Callable[[str, float, float], None] | None = None, *, before: Choice | None = None
) -> Builtin:
    """The folder of a built-in corpus, made once and then found in the cache.

    Args:
        uri: builtin:starter or builtin:python.
        progress: gets ("fetch", bytes done, bytes in all).
        before: what it was when the work that goes on now began: where the cache still has it, it is this again,
            whatever the network gives by now.

    Raises:
        InputError: there is no such built-in corpus.
        WorkError: the disk that the cache is on is full.
    """
    if uri not in _NAMES:
        known = " and ".join(_NAMES)
        raise InputError("no such built-in corpus", where=uri, remedy=f"there are {known}")
    recipes = _NAMES[uri]
    store = Store(cache_folder())
    if before and (again := store.at(STAGE, before["artifact"])):
        return Builtin(again.path / "corpus", again.fingerprint, before["notices"])
    found = store.find(STAGE, *_address(uri, recipes))
    if found:
        return Builtin(found.path / "corpus", found.fingerprint, [])
    archives, reasons = _archives(recipes, progress)
    usable = [r for r in recipes if r.pin is None or r.pin in archives]
    if reasons and not archives:
        made = materialise("builtin:python")
        return Builtin(made.folder, made.artifact, [_fallback(reasons)])
    built = _build(store, uri, usable, archives)
    notices = [_left_out(recipes, usable, reasons)] if reasons else []
    return Builtin(built.path / "corpus", built.fingerprint, notices)


def _address(uri: str, recipes: Iterable[starter.Recipe]) -> tuple[dict[str, str], dict[str, object]]:
    inputs = {r.source: r.pin.sha256 if r.pin else f"python {platform.python_version()}" for r in recipes}
    return inputs, {"corpus": uri, "largest_source": _LARGEST_SOURCE}


def _archives(
    recipes: Iterable[starter.Recipe], progress: Callable[[str, float, float], None] | None
) -> tuple[dict[fetch.Pin, Path], list[str]]:
    """The archives that could be had, and why the others could not."""
    pins = list(dict.fromkeys(r.pin for r in recipes if r.pin))
    index, total, done = fetch.configured(), float(sum(pin.size for pin in pins)), 0
    archives: dict[fetch.Pin, Path] = {}
    reasons: list[str] = []

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress("fetch", min(done, total), total)

    for pin in pins:
        before = done
        try:
            archives[pin] = fetch.fetch(pin, index, tell)
        except fetch.Unfetched as error:
            log.info("%s", error.line())
            reasons.append(error.what)
        tell(pin.size - (done - before))
    return archives, reasons


def _build(store: Store, uri: str, recipes: Iterable[starter.Recipe], archives: dict[fetch.Pin, Path]) -> Artifact:
    recipes = tuple(recipes)

    def make(folder: Path) -> dict[str, int]:
        counts = {}
        for recipe in recipes:
            path = archives[recipe.pin] if recipe.pin else Path()
            kept = bounded([d for d in recipe.documents(path) if d[1].strip()], _LARGEST_SOURCE)
            if kept:
                _write(folder / "corpus" / recipe.source, kept)
                counts[recipe.source] = len(kept)
        return counts

    return store.build(STAGE, *_address(uri, recipes), make)


def bounded(documents: list[starter.Document], limit: int) -> list[starter.Document]:
    """All documents, or, where they exceed `limit` bytes, those with the smallest hashes that fit, in
    order."""
    sizes = [len(text.encode()) for _, text in documents]
    total = sum(sizes)
    if total <= limit:
        return documents
    ranked = sorted(range(len(documents)), key=lambda i: xxhash.xxh3_64_intdigest(documents[i][1].encode()))
    keep = set(range(len(documents)))
    for i in reversed(ranked):
        if total <= limit:
            break
        keep.remove(i)
        total -= sizes[i]
    return [document for i, document in enumerate(documents) if i in keep]


def _write(folder: Path, documents: list[starter.Document]) -> None:
    folder.mkdir(parents=True)
    files: dict[str, io.BytesIO] = {}
    for name, text in documents:
        line = json.dumps({"text": text}, ensure_ascii=False) + "\n"
        files.setdefault(name, io.BytesIO()).write(line.encode())
    packer = zstandard.ZstdCompressor(level=3)
    for name, content in files.items():
        (folder / f"{name}.jsonl.zst").write_bytes(packer.compress(content.getvalue()))


def licences() -> list[dict[str, str]]:
    """Source, distribution and licence of everything built in."""
    rows = {r.source: r for recipes in _NAMES.values() for r in recipes}
    return [
        {"source": r.source, "from": r.pin.file if r.pin else "the running Python", "licence": r.licence}
        for r in rows.values()
    ]


def _fallback(reasons: list[str]) -> Both:
    return both("notice.fallback", why=reasons[0])


def _left_out(recipes: Iterable[starter.Recipe], usable: list[starter.Recipe], reasons: list[str]) -> Both:
    names = ", ".join(r.source for r in recipes if r not in usable)
    return both("notice.left_out", value=names, why="; ".join(reasons))
