"""`assay corpus privacy` and `decontaminate`: a corpus without personal data, without evaluation items.

    privacy        a scan's folder, or SOURCE... -> OUT/findings/*.parquet, OUT/kept/*.parquet
    decontaminate  the same, and evaluation files -> OUT/hits/*.parquet, OUT/found.parquet, OUT/decisions.parquet,
                   OUT/kept/*.parquet

Documents are read as for a scan, but for their texts alone. Every step is a stage of the store: a rerun goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assay import __version__
from assay.corpora.scanned import Request, by_parts, in_sight, opened
from assay.corpus import documents
from assay.corpus import scan as room
from assay.corpus.cleaning import decontaminate, personal, privacy, select
from assay.corpus.cleaning.decontaminate import Shape
from assay.errors import InputError
from assay.present.progress import Progress
from assay.present.words import Both, both
from assay.store import Artifact, Stage, Store, fingerprint
from assay.workspace import Workspace

FINDINGS = Stage("findings", 1)
ITEMS = Stage("items", 1)
HITS = Stage("hits", 1)
OVERLAP = Stage("overlap", 1)
CLEANED = Stage("kept", 2)


@dataclass(frozen=True)
class Against:
    """What to look for in a corpus.

    Attributes:
        files: URIs of evaluation files.
        fields: of their rows, joined; none: the usual one.
        shape: of the n-grams.
        threshold: share of an item's n-grams from which on a document that holds them is dropped.
    """

    files: list[str]
    fields: tuple[str, ...] = ()
    shape: Shape = field(default_factory=Shape)
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if not self.files:
            what, remedy = "no evaluation file is given", "name one with --against"
            raise InputError(what, where="assay corpus decontaminate", remedy=remedy)


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

        found = findings(texts, kinds, space.store, progress, shown=shown)
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


def findings(texts: Artifact, kinds: Sequence[str], store: Store, progress: Progress, *, shown: bool) -> Artifact:
    """The personal data in documents; its summary is `privacy.summary`."""

    def look(folder: Path) -> dict[str, Any]:
        task = partial(privacy.search_part, kinds=tuple(kinds), shown=shown)
        counts = by_parts(texts, FINDINGS.name, task, folder, "privacy", progress)
        return privacy.summary(counts, kinds)

    config = {"kinds": list(kinds), "shown": shown}
    return store.build(FINDINGS, {"documents": texts.fingerprint}, config, look, resumed=True)


def run_decontaminate(request: Request, against: Against, *, report_only: bool) -> dict[str, Any]:
    """Find evaluation items in a corpus; drop the documents that hold some, or only report.

    Returns:
        the answer of `--json`: what `decontaminate.judge` counts, and more.

    Raises:
        InputError: bad input, an empty evaluation set, or the folder holds something else.
    """
    space = Workspace(request.out, "decontamination")
    wanted = {**asdict(against), "shape": against.shape._asdict(), "fields": list(against.fields)}
    asked = {"against": wanted, "report_only": report_only}
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **asked}, request.command, progress):
        table, read, noticed = decontaminate.read_items(against.files, against.fields, request.options)
        progress.notice(noticed)
        decontaminate.indexed(table, against.shape)  # bad items are told before the corpus is read
        texts = texts_of(request, space, progress)
        held = {"items": fingerprint(table.to_pydict())}
        items = space.store.build(
            ITEMS, held, {}, lambda folder: pq.write_table(table, folder / "items.parquet", compression="zstd")
        ).file("items.parquet")
        shape = against.shape

        def look(folder: Path) -> dict[str, Any]:
            task = partial(decontaminate.search_part, items=items, shape=shape)
            counts = by_parts(texts, HITS.name, task, folder, "decontaminate", progress)
            return {"bytes": sum(size for count in counts for _, size in count["sources"].values())}

        inputs = {"documents": texts.fingerprint, **held}
        hits = space.store.build(HITS, inputs, shape._asdict(), look, resumed=True)
        files = texts.files(".parquet"), hits.files(".parquet")
        judged = space.store.build(
            OVERLAP,
            {**inputs, "hits": hits.fingerprint},
            {"threshold": against.threshold},
            lambda folder: decontaminate.judge(*files, items, shape, against.threshold, folder),
        )
        parts = [hits]
        if not report_only:
            progress.stage("select", float(texts.summary["bytes"]))
            rest = select.kept(files[0], judged.file("decisions.parquet"))
            inputs = {"documents": texts.fingerprint, "decisions": judged.fingerprint}
            parts.append(space.store.build(CLEANED, inputs, {}, lambda folder: written(rest, folder, progress)))
        space.settle(documents=texts.fingerprint, **held)
        in_sight(request.out, parts, [judged])
    told = judged.summary
    return {
        **told,
        "bytes": hits.summary["bytes"],
        **read,
        "against": wanted,
        **(parts[-1].summary if not report_only else {}),
        "notices": _notices(told),
        **ending(request, parts),
    }


def _notices(told: Mapping[str, Any]) -> list[Both]:
    notices: list[Both] = []
    if not told["affected"]:
        notices.append(both("corpus.notice.nothing_matched", n=told["looked_for"], n_grams=told["n_grams"]))
    if told["too_short"]:
        notices.append(both("corpus.notice.too_short", n=told["too_short"]))
    if told["templates"]:
        notices.append(both("corpus.notice.templates", n=told["templates"]))
    return notices


def texts_of(request: Request, space: Workspace, progress: Progress) -> Artifact:
    """The documents of a scan, or of sources, read now."""
    found = opened(request)
    if found is not None:
        return found.documents
    sources, texts = room.read(request.sources, request.options, space.store, progress.to, without=request.out)
    progress.notice(room.noticed(sources, texts))
    return texts


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
        **{f"{name}_folder": str(request.out / name) for name in (part.manifest["stage"] for part in parts)},
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": parts[-1].fingerprint,
    }
