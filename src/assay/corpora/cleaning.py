"""`assay corpus privacy`: a corpus without the personal data that it holds.

    privacy        a scan's folder, or SOURCE... -> OUT/findings/*.parquet, OUT/kept/*.parquet

Documents are read as for a scan, but for their texts alone. Both steps are stages of the store: a rerun goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from assay import __version__
from assay.corpora.verbs import Request, in_sight, opened
from assay.corpus import documents, personal, privacy
from assay.corpus import scan as room
from assay.corpus.parts import Part, Task, done_by_parts
from assay.errors import InputError
from assay.present.progress import Progress
from assay.present.words import both
from assay.store import Artifact, Stage
from assay.workspace import Workspace

FINDINGS = Stage("findings", 1)
CLEANED = Stage("kept", 1)


def kinds_of(names: Sequence[str]) -> tuple[str, ...]:
    """The kinds of personal data that are named, each name perhaps several with commas; all where none is.

    Raises:
        InputError: there is no such kind.
    """
    wanted = [name.strip() for several in names for name in several.split(",") if name.strip()]
    for name in wanted:
        if name not in personal.KINDS:
            near = difflib.get_close_matches(name, personal.KINDS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"kinds are {', '.join(personal.KINDS)}"
            raise InputError("there is no such kind of personal data", where=f"--kinds {name}", remedy=remedy)
    return tuple(kind for kind in personal.KINDS if kind in wanted or not wanted)


def run_privacy(request: Request, action: privacy.Action, kinds: Sequence[str], *, shown: bool) -> dict[str, Any]:
    """Find personal data, and mask it, drop the documents that hold some, or only report.

    Args:
        kinds: some of `personal.KINDS`.
        shown: write what is found beside its place.

    Returns:
        the answer of `--json`: `privacy.summary` and more.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    space = Workspace(request.out, "privacy")
    asked = {"action": action, "kinds": list(kinds), "shown": shown}
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **asked}, request.command, progress):
        texts = texts_of(request, space, progress)

        def look(folder: Path) -> dict[str, Any]:
            task = partial(privacy.search_part, kinds=tuple(kinds), shown=shown)
            counts = by_parts(texts, FINDINGS.name, task, folder, "privacy", progress)
            return privacy.summary(counts, kinds)

        config = {"kinds": list(kinds), "shown": shown}
        found = space.store.build(FINDINGS, {"documents": texts.fingerprint}, config, look, resumed=True)
        parts = [found]
        if action != "report":
            inputs = {"documents": texts.fingerprint, "findings": found.fingerprint}
            config = {"action": action, "placeholders": personal.PLACEHOLDERS if action == "mask" else None}
            progress.stage("select", float(texts.summary["bytes"]))
            files = texts.files(".parquet"), found.files(".parquet")
            parts.append(
                space.store.build(
                    CLEANED, inputs, config, lambda folder: written(privacy.acted(*files, action), folder, progress)
                )
            )
        space.settle(documents=texts.fingerprint)
        in_sight(request.out, parts)
    told = found.summary
    notices = [] if told["findings"] else [both("corpus.notice.nothing_private", n=told["documents"])]
    return {
        **told,
        "action": action,
        **(parts[-1].summary if action != "report" else {}),
        "notices": notices,
        **ending(request, parts),
    }


def texts_of(request: Request, space: Workspace, progress: Progress) -> Artifact:
    """The documents of a scan, or of sources, read now."""
    found = opened(request)
    if found is not None:
        return found[0]
    return room.read(request.sources, request.options, space.store, progress.to, without=request.out)[1]


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
    tell: Callable[[float], None] = lambda done: progress.to(stage, done, total)  # noqa: E731
    return done_by_parts(folder, wanted, task, tell)


def written(batches: Any, folder: Path, progress: Progress) -> dict[str, Any]:
    """Batches of documents as parts in a folder."""
    size = 0
    with documents.PartsWriter(folder, CLEANED.name, documents.DOCUMENTS) as writer:
        for batch in batches:
            writer.write(batch)
            size += sum(batch.column("n_bytes").to_pylist())
            progress.advance(batch.nbytes)
    return {"kept": writer.rows, "kept_bytes": size}


def ending(request: Request, parts: Sequence[Artifact]) -> Mapping[str, Any]:
    """What stands at the end of every answer."""
    return {
        **{f"{part.manifest['stage']}_folder": str(request.out / part.manifest["stage"]) for part in parts},
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": parts[-1].fingerprint,
    }
