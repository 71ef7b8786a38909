"""What verbs of `assay corpus` work on: the folder of a scan, or sources that are read now; and what all do with it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from assay.corpus import documents
from assay.corpus import scan as room
from assay.corpus.parts import Part, Task, done_by_parts
from assay.corpus.reading.source import ReadOptions, Sources
from assay.corpus.scan import Scored
from assay.errors import InputError
from assay.present.progress import Progress
from assay.store import Artifact, Store, disk_errors
from assay.workspace import IDENTITIES

_SKIPPED = 200  # files whose names are kept
_PARTS = (room.DOCUMENTS, room.SIGNALS, room.DUPLICATES)


@dataclass(frozen=True)
class Request:
    """What all verbs are given.

    Attributes:
        sources: URIs, or the folder of a scan.
        out: the folder to work in.
        command: as typed.
        language: of progress.
        quiet: no progress.
        ray: the address of a Ray cluster that scores documents, for the same rows.
    """

    sources: list[str]
    out: Path
    options: ReadOptions = field(default_factory=ReadOptions)
    command: str = "assay corpus"
    language: str = "en"
    quiet: bool = False
    ray: str | None = None

    def identity(self) -> dict[str, Any]:
        """What makes a work on these sources this one."""
        return {"sources": self.sources, "options": asdict(self.options)}


def scored(request: Request, store: Store, progress: Progress) -> Scored:
    """The corpus that sources name, read now."""
    return room.scored(request.sources, request.options, store, progress.to, without=request.out, ray=request.ray)


def opened(request: Request) -> Scored | None:
    """The corpus of a scan's folder; None where the sources are none.

    Raises:
        InputError: the scan is not done, or damaged, or is named beside other sources.
    """
    folders = [Path(uri) for uri in request.sources if (Path(uri) / IDENTITIES["corpus"]).is_file()]
    if not folders:
        return None
    folder = folders[0]
    if len(request.sources) > 1:
        remedy = "name the folder alone, or the sources that it was made from"
        raise InputError("is the folder of a scan, and other sources are named too", where=folder, remedy=remedy)
    again = f"run assay corpus scan with --out {folder} again"
    try:
        identity = json.loads((folder / IDENTITIES["corpus"]).read_text(encoding="utf-8"))
        addresses: Mapping[str, str] = identity.get("decided", {}).get("artifacts", {})
    except (ValueError, AttributeError) as error:
        raise InputError("is damaged", where=folder / IDENTITIES["corpus"], remedy=again) from error
    store = Store(folder / "artifacts")
    parts = [store.at(stage, addresses[stage.name]) if stage.name in addresses else None for stage in _PARTS]
    if parts[0] is None or None in parts:
        raise InputError("the scan is not done, or was made by another version", where=folder, remedy=again)
    return Scored(parts[0], store, lambda stage, done, total: None)


def told_of(sources: Sources) -> dict[str, Any]:
    """What was said of the sources when they were opened: files and folders that are not read, and notices."""
    listed = [[name, dict(why)] for name, why in sources.skipped[:_SKIPPED]]
    return {"skipped": len(sources.skipped), "files": listed, "notices": [dict(notice) for notice in sources.notices]}


def reading_of(folder: Path) -> tuple[list[str], dict[str, Any] | None]:
    """The sources of a scan, and what `told_of` them; None where an older version has not kept it."""
    identity = json.loads((folder / IDENTITIES["corpus"]).read_text(encoding="utf-8"))
    return list(identity.get("sources", [])), identity.get("decided", {}).get("reading")


def by_parts(
    texts: Artifact, name: str, task: Task, folder: Path, stage: str, progress: Progress
) -> list[dict[str, Any]]:
    """A task done for every part of the documents; its files are named as theirs."""
    sizes: list[int] = texts.summary["part_bytes"]
    wanted = [
        Part(part, part.name.replace(room.DOCUMENTS.name, name), size)
        for part, size in zip(texts.files(".parquet"), sizes, strict=True)
    ]
    total = float(sum(sizes))
    return done_by_parts(folder, wanted, task, lambda done: progress.to(stage, done, total))


def by_groups(
    texts: Artifact,
    name: str,
    suffix: str,
    task: Callable[..., dict[str, Any]],
    folder: Path,
    stage: str,
    progress: Progress,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """A task done for every row group of the documents, here, since a model uses all cores by itself.

    Args:
        task: of a part, a target whose name ends with the numbers of the group and of the slice, and threads; `tell`
            gets the bytes of text that are done of it.
        most: documents of a slice: a group is cut into slices where the work on one takes long; None: it is one.
    """
    wanted = []
    for part in texts.files(".parquet"):
        stem = part.name.replace(f"{room.DOCUMENTS.name}-", name).removesuffix(".parquet")
        for i, (rows, size) in enumerate(documents.groups(part)):
            n = max(1, -(-rows // most)) if most else 1
            wanted += [Part(part, f"{stem}-{i:04d}-{j:04d}{suffix}", size / n) for j in range(n)]
    total, before = sum(part.size for part in wanted), 0.0

    def tell(done: float) -> None:
        nonlocal before
        before = done
        progress.to(stage, done, total)

    inside = partial(task, tell=lambda done: progress.to(stage, min(before + done, total), total))
    return done_by_parts(folder, wanted, inside, tell, processes=1)


def in_sight(out: Path, folders: Sequence[Artifact], loose: Sequence[Artifact] = ()) -> None:
    """The tables of artifacts in a folder named as their stage, or loose: links, or copies where the disk has none."""
    places = {out / part.manifest["stage"] / path.name: path for part in folders for path in part.files(".parquet")}
    places |= {out / path.name: path for part in loose for path in part.files(".parquet")}
    with disk_errors(out):
        for part in folders:
            (out / part.manifest["stage"]).mkdir(exist_ok=True)
        for place, path in places.items():
            place.unlink(missing_ok=True)
            try:
                os.link(path, place)
            except OSError:
                shutil.copyfile(path, place)
