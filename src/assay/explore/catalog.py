"""What lies in some folders: studies, corpora, trainings, models. The page names them by ids and never by paths.

    roots --looked through, to a bounded depth--> folders that works leave --> entries, each with an id

A folder is told by the file that says whose it is (`workspace.IDENTITIES`), or by a model's files. What cannot be read
is listed with a word, so that one damaged work hides no other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from assay.errors import InputError
from assay.store import fingerprint
from assay.workspace import IDENTITIES

DEPTH = 5  # folders below a root
MOST_FOLDERS = 20_000  # that are looked at
MOST_ENTRIES = 2_000
Kind = Literal["study", "labels", "corpus", "training", "finetuning", "model"]
KINDS: tuple[Kind, ...] = ("study", "labels", "corpus", "training", "finetuning", "model")
_CORPORA = (
    "corpus", "selection", "deduplication", "privacy", "decontamination", "cleaning", "damage", "augmentation",
)  # fmt: skip
_INNER = {"artifacts", "work", "checkpoints", "best", "ledger"}  # of a work: no works of their own
_OTHERS = {"node_modules", "__pycache__"}
_FILES: dict[str, Kind] = {
    IDENTITIES["study"]: "study", IDENTITIES["labels"]: "labels", IDENTITIES["training"]: "training",
    IDENTITIES["finetuning"]: "finetuning", **{IDENTITIES[name]: "corpus" for name in _CORPORA},  # type: ignore[index]
}  # fmt: skip
_LAST = {"study": "results.json", "labels": "results.json", "training": "result.json", "finetuning": "result.json"}
_MODEL = ("config.json", "ngram.safetensors")


@dataclass(frozen=True)
class Entry:
    """A folder that something lies in.

    Attributes:
        id: stands for its path.
        name: of the folder, as seen from the root.
        changed: when it ended, or began where it has not; seconds since 1970.
        does: of a model, its task, or "" where it is a language model or an encoder.
        damaged: why it cannot be read; None: it can.
    """

    id: str
    kind: Kind
    name: str
    path: Path
    identity: str
    changed: float
    does: str = ""
    finished: bool = True
    damaged: str | None = None

    def told(self) -> dict[str, Any]:
        """As the page has it: without its path."""
        return {
            "id": self.id, "kind": self.kind, "name": self.name, "changed": self.changed, "does": self.does,
            "finished": self.finished, "damaged": self.damaged, "work": self.identity.removesuffix(".json"),
        }  # fmt: skip

    def json(self, name: str) -> Any:
        """The content of one of its files.

        Raises:
            InputError: it is not there, or is damaged.
        """
        return read_json(self.path / name)


class Catalog:
    """The entries of some folders, looked up again when asked to."""

    def __init__(self, roots: Sequence[Path]) -> None:
        for root in roots:
            if not root.is_dir():
                raise InputError("is not a folder", where=root, remedy="name folders that works were written to")
        self.roots = list(dict.fromkeys(root.resolve() for root in roots))
        self.titles = told_apart(self.roots)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """By id, in the order of their names; a work before the models in it."""
        found: dict[str, Entry] = {}
        for root, title in zip(self.roots, self.titles, strict=True):
            for entry in _entries(_Root(root, title if len(self.roots) > 1 else None)):
                found.setdefault(entry.id, entry)
                if len(found) >= MOST_ENTRIES:
                    return found
        return found

    def refresh(self) -> None:
        """Look again."""
        self.__dict__.pop("entries", None)

    def of(self, kind: Kind) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.kind == kind]

    def get(self, ident: str, *kinds: Kind) -> Entry:
        """The entry of an id, if it is of one of some kinds.

        Raises:
            InputError: there is none.
        """
        entry = self.entries.get(ident)
        if entry is None or (kinds and entry.kind not in kinds):
            what = f"there is no {' or '.join(kinds) or 'entry'} with this id"
            raise InputError(what, where=ident[:40], remedy="look at the overview again")
        return entry


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it is not there, or is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("is not there", where=path, remedy="let the work run to its end") from error
    except (OSError, ValueError) as error:
        raise InputError("is damaged", where=path, remedy="run its work again") from error


def told_apart(folders: Sequence[Path]) -> list[str]:
    """The ends of paths, as long as it takes to tell each from the others."""
    found = []
    for folder in folders:
        parts, n = folder.parts, 1
        while n < len(parts) and sum(parts[-n:] == other.parts[-n:] for other in folders) > 1:
            n += 1
        found.append("/".join(parts[-n:]))
    return found


@dataclass(frozen=True)
class _Root:
    """A folder that is looked through.

    Attributes:
        title: which the names of what lies in it begin with; None: it is the only one.
    """

    path: Path
    title: str | None

    def name(self, path: Path) -> str:
        inner = path.relative_to(self.path)
        if inner == Path():
            return self.title or self.path.name
        return f"{self.title}/{inner.as_posix()}" if self.title else inner.as_posix()


def _entries(root: _Root) -> Iterator[Entry]:
    """Links are followed, to no folder twice."""
    looked: set[Path] = set()
    for place, folders, files in os.walk(root.path, followlinks=True):
        here = Path(place)
        if (own := here.resolve()) in looked:
            folders.clear()
            continue
        looked.add(own)
        depth = len(here.relative_to(root.path).parts)
        there = set(files)
        steps = {"runs", "data"} if IDENTITIES["labels"] in there else set()
        skipped = _OTHERS | (_INNER | steps if there & _FILES.keys() else set())
        folders[:] = sorted(name for name in folders if depth < DEPTH and name not in skipped and name[0] != ".")
        yield from (_entry(root, here, there, name) for name in sorted(there & _FILES.keys()))
        if there & set(_MODEL) and (one := _model(root, here, there)) is not None:
            yield one
        if len(looked) >= MOST_FOLDERS:
            return


def _id(path: Path, kind: str) -> str:
    return fingerprint([str(path.resolve()), kind])[:12]


def _entry(root: _Root, path: Path, there: set[str], own: str) -> Entry:
    kind, damaged = _FILES[own], None
    try:
        stated = read_json(path / own)
        if not isinstance(stated, dict):
            damaged = own
    except InputError:
        damaged = own
    end = path / _LAST[kind] if kind in _LAST else path / own
    finished = kind not in _LAST or _LAST[kind] in there
    changed = _changed(end if finished else path / own)
    return Entry(_id(path, kind), kind, root.name(path), path, own, changed, finished=finished, damaged=damaged)


def _model(root: _Root, path: Path, there: set[str]) -> Entry | None:
    """A model directory; None where its files are another library's."""
    weights = "ngram.safetensors" in there or any(name.endswith(".safetensors") for name in there)
    if not weights and not any(name.endswith((".bin", ".pt")) for name in there):
        return None
    does, damaged = "", None if weights else "weights"
    if "task.json" in there:
        try:
            does = str(read_json(path / "task.json")["task"])
        except (InputError, LookupError, TypeError):
            damaged = "task.json"
    name = root.name(path.parent if path.name == "model" and path != root.path else path)
    return Entry(_id(path, "model"), "model", name, path, "model", _changed(path), does, damaged=damaged)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
