"""`assay corpus scan`, `select` and `dedup`: sources -> a scored corpus in a folder -> what is kept of it.

    scan      SOURCE... -> OUT/artifacts/ (documents, signals, duplicates), OUT/corpus.json
    select    such a folder, or SOURCE... -> OUT/kept/*.parquet, OUT/decisions.parquet, OUT/selection.json
    dedup     the same, with one document of each cluster

A scan is the work that takes time: it is done once, and rules are asked of what it found. All can be stopped and
given again to go on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay import __version__
from assay.corpus import documents
from assay.corpus import scan as room
from assay.corpus.cleaning import rules, select
from assay.corpus.cleaning.representatives import Keep, Level, represent
from assay.corpus.cleaning.rules import Expression, Rule
from assay.corpus.parts import Part, Task, done_by_parts
from assay.corpus.reading.source import ReadOptions, Sources
from assay.corpus.signals import listed
from assay.errors import InputError
from assay.present.progress import Progress
from assay.store import Artifact, Stage, Store, disk_errors, fingerprint
from assay.workspace import IDENTITIES, Kind, Workspace

DECISIONS = Stage("decisions", 1)
CLUSTERED_STAGE = Stage("clustered", 1)
KEPT = Stage("kept", 1)
LISTED = Stage("listed", 1)
Opened = Sequence[Artifact]
"""The documents, signals and duplicates of a scan."""
_PARTS = (room.DOCUMENTS, room.SIGNALS, room.DUPLICATES)


@dataclass(frozen=True)
class Request:
    """What all verbs are given.

    Attributes:
        sources: URIs; for `select` and `dedup` also the folder of a scan.
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


def scan(request: Request) -> dict[str, Any]:
    """Read, score and de-duplicate a corpus in a folder.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    space = Workspace(request.out, "corpus")
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work(request.identity(), request.command, progress):
        sources, *parts = _scored(request, space.store, progress)
        made_from = fingerprint([part.fingerprint for part in parts])
        space.settle(corpus=made_from)
        space.remember(artifacts={part.manifest["stage"]: part.fingerprint for part in parts})
    texts, _, twins = parts
    summary = texts.summary
    return {
        **{name: summary[name] for name in ("documents", "bytes", "empty", "bad_rows", "bad_files")},
        "skipped": len(sources.skipped),
        **{name: twins.summary[name] for name in ("exact_duplicates", "near_duplicates", "clusters")},
        "sources": _by_source(*(part.files(".parquet") for part in parts)),
        "notices": [dict(notice) for notice in [*sources.notices, *room.broken(summary)]],
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": made_from,
    }


def _by_source(texts: list[Path], signals: list[Path], twins: list[Path]) -> dict[str, dict[str, Any]]:
    """What was found in each source: amounts, copies, lengths, repeated lines, and the languages of most documents."""
    columns = ["doc_id", "source", "n_bytes", "language"]
    rows = pl.read_parquet(texts, columns=columns, glob=False)
    marks = pl.read_parquet(twins, columns=["doc_id", "is_exact_duplicate", "is_near_duplicate"], glob=False)
    rows = rows.with_columns(pl.read_parquet(signals, columns=["n_chars", "duplicate_line_chars"], glob=False))
    rows = rows.join(marks, on="doc_id")
    found = rows.group_by("source").agg(
        documents=pl.len(),
        bytes=pl.col("n_bytes").sum(),
        exact_duplicates=pl.col("is_exact_duplicate").mean(),
        near_duplicates=pl.col("is_near_duplicate").mean(),
        median_chars=pl.col("n_chars").median(),
        repetition=pl.col("duplicate_line_chars").mean(),
    )
    counts = rows.group_by("source", pl.col("language").fill_null("und")).len()
    languages: dict[str, dict[str, int]] = {}
    for source, language, count in counts.sort(
        "source", "len", "language", descending=[False, True, False]
    ).iter_rows():
        languages.setdefault(source, {})[language] = count
    return {
        row.pop("source"): {**row, "languages": languages[source]}
        for source, row in [(row["source"], row) for row in found.sort("source").to_dicts()]
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
    how: dict[str, Any] = {"rules": [{"name": rule.name, "keeps": rule.bounds()} for rule in asked]}
    if lists:
        how["lists"] = [fingerprint(asdict(one)) for one in lists]

    def decide(corpus: Opened, folder: Path) -> dict[str, Any]:
        texts, signals, twins, *counted = (part.files(".parquet") for part in corpus)
        return select.decide(texts, signals, twins, asked, folder, counted)

    return _decided(request, "selection", how, DECISIONS, decide, lists)


def _decided(
    request: Request,
    kind: Kind,
    how: Mapping[str, Any],
    stage: Stage,
    decide: Callable[[Opened, Path], dict[str, Any]],
    lists: Sequence[listed.WordList] = (),
) -> dict[str, Any]:
    """Decide on every document of a corpus, and write those that are kept. `decide` gets the counts of `lists` behind
    the artifacts of the scan."""
    space = Workspace(request.out, kind)
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **how}, request.command, progress):
        corpus = opened(request)
        if corpus is None:
            sources, *corpus = _scored(request, space.store, progress)
            progress.notice(sources.notices)
        texts = corpus[0]
        inputs = {part.manifest["stage"]: part.fingerprint for part in corpus}
        counted = [_counted(texts, words, space.store, progress) for words in lists]
        inputs |= {words.name: made.fingerprint for words, made in zip(lists, counted, strict=True)}
        decided = space.store.build(stage, inputs, dict(how), lambda folder: decide([*corpus, *counted], folder))
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


def run_dedup(request: Request, level: Level, keep: Keep, by: str | None) -> dict[str, Any]:
    """Keep one document of each cluster of duplicates, with the number of those that it stands for.

    Returns:
        the answer of `--json`: what `represent` counts, and more.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    if (keep == "best") != (by is not None):
        remedy = "give --keep best with --by, such as --by alpha_words" if by is None else "give --keep best with it"
        raise InputError("--keep best and --by belong together", where="assay corpus dedup", remedy=remedy)
    if by is not None:
        rules.parsed(by, ())
    how = {"level": level, "keep": keep, "by": by}

    def decide(corpus: Opened, folder: Path) -> dict[str, Any]:
        texts, signals, twins = (part.files(".parquet") for part in corpus)
        return represent(texts, signals, twins, level, keep, by, folder)

    return _decided(request, "deduplication", how, CLUSTERED_STAGE, decide)


def _scored(request: Request, store: Store, progress: Progress) -> tuple[Sources, Artifact, Artifact, Artifact]:
    return room.scored(request.sources, request.options, store, progress.to, without=request.out, ray=request.ray)


def opened(request: Request) -> Opened | None:
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
    return [texts, signals, twins]


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


def _write(texts: list[Path], decided: Artifact, folder: Path, progress: Progress) -> dict[str, Any]:
    table = decided.file("decisions.parquet")
    more = [pq.read_schema(table).field(name) for name in select.DECIDED if name in pq.read_schema(table).names]
    with documents.PartsWriter(folder, "kept", pa.schema([*documents.DOCUMENTS, *more])) as writer:
        for batch in select.kept(texts, table):
            writer.write(batch)
            progress.advance(batch.nbytes)
    return {"documents": writer.rows}
