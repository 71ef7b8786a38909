"""`assay corpus scan` and `select`: sources -> a scored corpus in a folder -> what rules keep of it.

    scan      SOURCE... -> OUT/artifacts/ (documents, signals, duplicates, splits, profile), OUT/corpus.json
    select    such a folder, or SOURCE... -> OUT/kept/*.parquet, OUT/decisions.parquet, OUT/selection.json

A scan is the work that takes time: it is done once, and rules are asked of what it found. Both can be stopped and given
again to go on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from assay import __version__
from assay.corpus import documents, listed, select
from assay.corpus import scan as room
from assay.corpus.parts import Part, Task, done_by_parts
from assay.corpus.rules import Expression, Rule
from assay.corpus.source import ReadOptions
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.present.progress import Progress
from assay.store import Artifact, Stage, Store, disk_errors, fingerprint
from assay.workspace import IDENTITIES, Workspace

DECISIONS = Stage("decisions", 1)
KEPT = Stage("kept", 1)
LISTED = Stage("listed", 1)
_PARTS = (room.DOCUMENTS, room.SIGNALS, room.DUPLICATES)


@dataclass(frozen=True)
class Request:
    """What both verbs are given.

    Attributes:
        sources: URIs; for `select` also the folder of a scan.
        out: the folder to work in.
        command: as typed.
        language: of progress.
        quiet: no progress.
    """

    sources: list[str]
    out: Path
    options: ReadOptions = field(default_factory=ReadOptions)
    command: str = "assay corpus"
    language: str = "en"
    quiet: bool = False

    def identity(self) -> dict[str, Any]:
        """What makes a work on these sources this one."""
        return {"sources": self.sources, "options": asdict(self.options)}


def scan(request: Request) -> dict[str, Any]:
    """Read, score, de-duplicate, split and profile a corpus in a folder.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    space = Workspace(request.out, "corpus")
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work(request.identity(), request.command, progress):
        found = _scanned(request, space.store, progress)
        artifacts = (found.documents, found.signals, found.duplicates, found.splits, found.profile_artifact)
        space.settle(corpus=found.fingerprint)
        space.remember(artifacts={part.manifest["stage"]: part.fingerprint for part in artifacts})
    summary, twins = found.documents.summary, found.duplicates.summary
    return {
        "documents": summary["documents"],
        "bytes": summary["bytes"],
        "skipped": len(found.skipped),
        "bad_rows": found.bad_rows,
        "bad_files": found.bad_files,
        "empty": found.empty_documents,
        "exact_duplicates": twins["exact_duplicates"],
        "near_duplicates": twins["near_duplicates"],
        "clusters": twins["clusters"],
        "sources": {source.pop("source"): source for source in map(dict, found.profile)},
        "notices": [dict(notice) for notice in found.notices],
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": found.fingerprint,
    }


def run_select(
    request: Request, asked: list[Rule | Expression], lists: Sequence[listed.WordList] = ()
) -> dict[str, Any]:
    """Ask rules of a corpus, and write what they keep. `lists` are counted in every document first.

    Returns:
        the answer of `--json`: `select.summary` and more.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    space = Workspace(request.out, "selection")
    rules = [{"name": rule.name, "keeps": rule.bounds()} for rule in asked]
    identity = {**request.identity(), "rules": rules}
    if lists:
        identity["lists"] = [fingerprint(asdict(one)) for one in lists]
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work(identity, request.command, progress):
        corpus = opened(request)
        if corpus is None:
            found = _scanned(request, space.store, progress)
            corpus = (found.documents, found.signals, found.duplicates)
        texts = corpus[0]
        inputs = {part.manifest["stage"]: part.fingerprint for part in corpus}
        counted = [_counted(texts, words, space.store, progress) for words in lists]
        inputs |= {words.name: made.fingerprint for words, made in zip(lists, counted, strict=True)}
        config = [asdict(rule) for rule in asked]
        decided = space.store.build(DECISIONS, inputs, config, lambda folder: _decide(corpus, asked, folder, counted))
        progress.stage("select", float(texts.summary["bytes"]))
        kept = space.store.build(
            KEPT,
            {"documents": texts.fingerprint, "decisions": decided.fingerprint},
            {},
            lambda folder: _write(texts.files(".parquet"), decided, folder, progress),
        )
        space.settle(decisions=decided.fingerprint)
        in_sight(request.out, [kept], [decided])
    return {
        **decided.summary,
        "kept_folder": str(request.out / KEPT.name),
        "decisions": str(request.out / "decisions.parquet"),
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": decided.fingerprint,
    }


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


def _scanned(request: Request, store: Store, progress: Progress) -> room.Corpus:
    return room.scan(request.sources, request.options, SplitOptions(), store, progress.to, without=request.out)


def opened(request: Request) -> tuple[Artifact, Artifact, Artifact] | None:
    """The documents, signals and duplicates of a scan's folder; None where the sources are none.

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
    texts, signals, twins = parts
    if texts is None or signals is None or twins is None:
        raise InputError("the scan is not done, or was made by another version", where=folder, remedy=again)
    return texts, signals, twins


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


def _counted(texts: Artifact, words: listed.WordList, store: Store, progress: Progress) -> Artifact:
    """The counts of a list's words."""
    task = partial(listed.count_part, words=words.words, name=words.name)

    def count(folder: Path) -> dict[str, Any]:
        return {"parts": len(by_parts(texts, LISTED.name, task, folder, "listed", progress))}

    return store.build(LISTED, {"documents": texts.fingerprint}, asdict(words), count, resumed=True)


def _decide(
    corpus: tuple[Artifact, Artifact, Artifact],
    asked: list[Rule | Expression],
    folder: Path,
    counted: Sequence[Artifact],
) -> dict[str, Any]:
    texts, signals, twins = (part.files(".parquet") for part in corpus)
    return select.decide(texts, signals, twins, asked, folder, [part.files(".parquet") for part in counted])


def _write(texts: list[Path], decided: Artifact, folder: Path, progress: Progress) -> dict[str, Any]:
    with documents.PartsWriter(folder, "kept", documents.DOCUMENTS) as writer:
        for batch in select.kept(texts, decided.file("decisions.parquet")):
            writer.write(batch)
            progress.advance(batch.nbytes)
    return {"documents": writer.rows}
