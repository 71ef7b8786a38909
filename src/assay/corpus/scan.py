"""The one entry of the room: URIs -> a corpus that is read, scored, de-duplicated, split and profiled.

    sources -> documents (names, language, script) -> signals                    -> profile
                                                   -> duplicates -> splits       ->

Each arrow is a stage of the store: done work is found again by its fingerprint, a run that was cut off goes
on with the first stage that is missing. Every stage streams; a corpus may be larger than memory.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.corpus import documents, profile, split
from assay.corpus.duplicates import candidates, dedup, shingles
from assay.corpus.parts import Part, behind, done_by_parts, in_order
from assay.corpus.reading.builtin import Choice
from assay.corpus.reading.listing import too_little_told
from assay.corpus.reading.source import ReadOptions, ReadReport, Sources, met, open_sources
from assay.corpus.signals import language, scoring
from assay.corpus.split import SplitOptions
from assay.corpus.text import characters as ch
from assay.errors import InputError
from assay.machine import cores
from assay.present.words import Both, both
from assay.store import Artifact, Stage, Store, fingerprint, whole_file

Progress = Callable[[str, float, float], None]
"""stage, done, total: bytes fetched, then bytes on disk while reading, then bytes of text."""

DOCUMENTS = Stage("documents", 6)
SIGNALS = Stage("signals", 7)
DUPLICATES = Stage("duplicates", 4)
SPLITS = Stage("splits", 2)
PROFILE = Stage("profile", 2)
_SLICE = 1 << 21  # bytes of text that are scored at a time


@dataclass(frozen=True)
class Corpus:
    """A scanned corpus: five artifacts and what a reader must know about them."""

    documents: Artifact
    signals: Artifact
    duplicates: Artifact
    splits: Artifact
    profile_artifact: Artifact
    skipped: list[tuple[str, Both]]
    """Files and folders that are not read, with the reason."""
    bad_rows: int
    """Rows that were skipped because they are broken."""
    bad_files: int
    """Files that were skipped, or given up half-way, because they are broken."""
    empty_documents: int
    notices: list[Both]
    """Things to be told first."""
    builtins: Mapping[str, Choice]
    """What each built-in corpus turned out to be: for `scan`, when this work goes on."""
    profile: list[dict[str, Any]] = field(repr=False)
    """One dict a source, with the fields of `SourceProfile`."""

    @property
    def fingerprint(self) -> str:
        """32 hex digits: equal for equal documents, signals, duplicates and splits."""
        parts = (self.documents, self.signals, self.duplicates, self.splits)
        return fingerprint([part.fingerprint for part in parts])

    @property
    def sources(self) -> list[str]:
        return [source["source"] for source in self.profile]

    @property
    def paired(self) -> bool:
        """Whether documents are pairs of a source and a target (`documents.sides`)."""
        return bool(self.documents.manifest["config"].get("pair"))

    @property
    def whole_texts(self) -> list[str]:
        """Sources in which not documents are drawn, but the texts that they are pieces of: see `split.whole_texts`."""
        return list(self.splits.summary["whole_texts"])

    @cached_property
    def _sizes(self) -> dict[tuple[str, str], int]:
        found: dict[str, dict[str, int]] = self.splits.summary["bytes"]
        return {(source, name): size for source, by in found.items() for name, size in by.items()}

    def bytes(self, source: str, split: str) -> int:
        """UTF-8 bytes of one source's documents in one split ("train", "eval", "test", "dropped")."""
        return self._sizes.get((source, split), 0)

    def train_bytes(self, source: str) -> int:
        """UTF-8 bytes of one source's training documents."""
        return self.bytes(source, "train")

    def read(
        self,
        split: str = "train",
        columns: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        below: Mapping[str, float] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Documents of one split in a fixed order, with `split` set to the one assigned. Streams.

        Args:
            split: train, eval, test or dropped.
            columns: of the documents contract; None: all.
            sources: only these.
            below: for some sources, the share wanted of them: a document is kept when a stable number in [0,
            1),
                drawn from its id, is below it. Larger shares contain smaller ones.
        """
        wanted = list(columns or documents.DOCUMENTS.names)
        read = [name for name in dict.fromkeys((*wanted, "doc_id", "source")) if name != "split"]
        chosen = self._keys(split)
        names = pa.array(sorted(sources), pa.string()) if sources is not None else None
        for batch in documents.read(self.documents.files(".parquet"), read):
            keys = documents.keys(batch.column("doc_id"))
            at = np.searchsorted(chosen, keys)
            keep = at < len(chosen)
            keep[keep] = chosen[at[keep]] == keys[keep]
            if names is not None:
                keep &= pc.is_in(batch.column("source"), names).to_numpy(zero_copy_only=False)
            if below:
                shares = [below.get(name, 1.0) for name in batch.column("source").to_pylist()]
                keep &= documents.uniform(batch.column("doc_id")) < np.array(shares)
            if keep.any():
                yield _with_split(batch.filter(pa.array(keep)), wanted, split)

    def _keys(self, name: str) -> Any:
        """The first 64 bits of the ids in one split, sorted: 8 bytes a document in memory."""
        table = pq.read_table(self.splits.files(".parquet"), columns=["doc_id"], filters=[("split", "==", name)])
        return np.sort(documents.keys(table.column("doc_id")))


def _with_split(batch: pa.RecordBatch, names: list[str], split: str) -> pa.RecordBatch:
    label = pa.array([split] * batch.num_rows, pa.string())
    return pa.record_batch({name: label if name == "split" else batch.column(name) for name in names})


def scan(
    uris: list[str],
    options: ReadOptions,
    split_options: SplitOptions,
    store: Store,
    progress: Progress | None = None,
    *,
    without: Path | None = None,
    builtins: Mapping[str, Choice] | None = None,
    ray: str | None = None,
) -> Corpus:
    """Read, score, de-duplicate, split and profile what `uris` name; what is done already is found in `store`.

    Args:
        uris: files, folders and built-in corpora.
        options: how files become documents.
        split_options: how much is held out.
        store: where artifacts are.
        progress: is told of every stage.
        without: a folder below the sources that is not theirs: the one that the study's results go to.
        builtins: what built-in corpora were when this work began, if it did so before.
        ray: the address of a cluster that scores them (`parts.done_by_parts`).

    Raises:
        InputError: bad input, in one line with place and remedy.
        WorkError: the disk is full.
    """
    found = scored(uris, options, store, progress, without=without, builtins=builtins, ray=ray)
    sources, texts, marks, twins = found.sources, found.documents, found.signals, found.duplicates
    assert sources is not None
    with too_little_told(uris, sources.skipped):
        splits = store.build(
            SPLITS,
            {"documents": texts.fingerprint, "duplicates": twins.fingerprint},
            asdict(split_options),
            lambda folder: _splits(
                texts.files(".parquet"), twins.files(".parquet"), split_options, folder, options.pair is not None
            ),
        )
    four = (texts, marks, twins, splits)
    profiled = store.build(
        PROFILE,
        {part.manifest["stage"]: part.fingerprint for part in four},
        {},
        lambda folder: _profile([part.files(".parquet") for part in four], folder),
    )
    summary = texts.summary
    return Corpus(
        *four,
        profiled,
        skipped=list(sources.skipped),
        bad_rows=summary["bad_rows"],
        bad_files=summary["bad_files"],
        empty_documents=summary["empty"],
        notices=[*noticed(sources, texts), *_notices(summary, splits.summary, paired=options.pair is not None)],
        builtins=sources.builtins,
        profile=json.loads(profiled.file("profile.json").read_text(encoding="utf-8")),
    )


@dataclass
class Scored:
    """The documents of a corpus, and what is found out of each when it is first asked for; nothing is held out.

    Attributes:
        store: where all of it is.
        tell: gets the progress of every stage.
        sources: None where a corpus is opened that was read before.
        ray: the address of a cluster that scores them (`parts.done_by_parts`).
    """

    documents: Artifact
    store: Store
    tell: Progress
    sources: Sources | None = None
    ray: str | None = None

    @property
    def notices(self) -> Sequence[Both]:
        """What was noticed of the sources and their reading, where they were read now."""
        return [] if self.sources is None else noticed(self.sources, self.documents)

    @cached_property
    def signals(self) -> Artifact:
        """A row a document (`signals.scoring`), in their order."""
        files = self.documents.files(".parquet"), self.documents.summary["part_bytes"]
        after = {"documents": self.documents.fingerprint}
        make = partial(_signals, *files, tell=self.tell, ray=self.ray)
        return self.store.build(SIGNALS, after, {}, make, resumed=True)

    @cached_property
    def duplicates(self) -> Artifact:
        """A row a document (`duplicates.dedup`), by id."""
        files, size = self.documents.files(".parquet"), float(self.documents.summary["bytes"])
        after = {"documents": self.documents.fingerprint}
        make = partial(_duplicates, files, total=size, tell=self.tell)
        return self.store.build(DUPLICATES, after, _dedup_config(), make)


def scored(
    uris: list[str],
    options: ReadOptions,
    store: Store,
    progress: Progress | None = None,
    *,
    without: Path | None = None,
    builtins: Mapping[str, Choice] | None = None,
    ray: str | None = None,
) -> Scored:
    """The documents that `uris` name, read, to be scored.

    Raises: as `scan`.
    """
    sources, texts = read(uris, options, store, progress, without=without, builtins=builtins)
    return Scored(texts, store, progress or (lambda stage, done, total: None), sources, ray)


def read(
    uris: list[str],
    options: ReadOptions,
    store: Store,
    progress: Progress | None = None,
    *,
    without: Path | None = None,
    builtins: Mapping[str, Choice] | None = None,
) -> tuple[Sources, Artifact]:
    """Only the first stage of `scan`: for work that needs texts with their names and languages, and holds out nothing.

    Raises: as `scan`.
    """
    tell = progress or (lambda stage, done, total: None)
    sources = open_sources(uris, options, progress, without=without, builtins=builtins)
    inputs = {"sources": sources.fingerprint()}
    return sources, store.build(DOCUMENTS, inputs, asdict(options), lambda folder: _documents(sources, folder, tell))


def noticed(sources: Sources, texts: Artifact) -> list[Both]:
    """What is to be told of sources, and of how their documents were read."""
    return [*sources.notices, *met(texts.summary)]


def _documents(sources: Sources, folder: Path, tell: Progress) -> dict[str, Any]:
    report, total = ReadReport(), float(sources.n_bytes)
    batches = sources.batches(report, lambda done: tell("documents", done, total))
    annotated = in_order(language.annotate, batches, cores())
    with documents.PartsWriter(folder, "documents", documents.DOCUMENTS) as writer, contextlib.closing(annotated):
        behind(writer.write, annotated)
    if not report.documents:
        if report.places:
            what = f"no documents are left, all were skipped as broken; the first: {report.places[0]}"
            raise InputError(what, remedy="mend the sources, or name others")
        what = f"the sources hold no documents ({report.empty} are empty)"
        raise InputError(what, where=sources.where(sources.files[0]), remedy="name files with text in them")
    return {**asdict(report), "part_bytes": writer.part_sizes}


def _signals(parts: list[Path], sizes: list[int], folder: Path, *, tell: Progress, ray: str | None) -> dict[str, Any]:
    total = float(sum(sizes))
    wanted = [
        Part(part, part.name.replace(DOCUMENTS.name, SIGNALS.name), size)
        for part, size in zip(parts, sizes, strict=True)
    ]
    counts = done_by_parts(folder, wanted, _score, lambda done: tell("signals", done, total), ray=ray)
    return {"documents": sum(count["documents"] for count in counts)}


def _score(part: Path, target: Path, threads: int) -> dict[str, Any]:
    """The signals of one part of the documents, by slices: even work for threads, in arrays that the cache holds."""
    rows = 0
    batches = documents.read([part], ["doc_id", "text"])
    pieces = (piece for batch in batches for piece in ch.slices(batch, _SLICE))
    with whole_file(target) as path, documents.opened(path, scoring.SIGNALS) as writer:
        for made in documents.grouped(in_order(scoring.signals, pieces, threads)):
            writer.write_table(made, row_group_size=made.num_rows)
            rows += made.num_rows
    return {"documents": rows}


def _dedup_config() -> dict[str, Any]:
    windows = [shingles.WINDOW, shingles.WINDOW_UNSPACED]
    return {
        "bands": shingles.BANDS,
        "rows": shingles.ROWS,
        "threshold": dedup.THRESHOLD,
        "windows": windows,
        "neighbours": candidates.NEIGHBOURS,
        "least": candidates.LEAST,
    }


def _duplicates(parts: list[Path], folder: Path, *, total: float, tell: Progress) -> dict[str, Any]:
    tell("duplicates", 0.0, total)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        table, counts = dedup.duplicates(parts, Path(scratch), lambda done: tell("duplicates", min(done, total), total))
    pq.write_table(table, folder / "duplicates.parquet", compression="zstd")
    exact = pc.sum(table.column("is_exact_duplicate")).as_py()
    near = pc.sum(table.column("is_near_duplicate")).as_py()
    several = pc.count_distinct(table.column("cluster").filter(table.column("is_near_duplicate"))).as_py()
    return {**counts, "exact_duplicates": exact, "near_duplicates": near, "clusters": several}


def _splits(parts: list[Path], twins: list[Path], options: SplitOptions, folder: Path, paired: bool) -> dict[str, Any]:
    names = ["doc_id", "source", "origin", "ordinal", "n_bytes", "split"]
    rows = pl.read_parquet(parts, columns=names, glob=False)
    rows = rows.join(pl.read_parquet(twins, columns=["doc_id", "cluster"], glob=False), on="doc_id")
    if paired:
        rows = rows.join(_joined_by_source(parts, rows.select("doc_id", "cluster")), on="cluster")
        rows = rows.drop("cluster").rename({"joined": "cluster"})
    made = split.assign(rows, options)
    pq.write_table(made.to_arrow().cast(split.SPLITS), folder / "splits.parquet", compression="zstd")
    sizes = rows.drop("split").join(made.select("doc_id", "split"), on="doc_id")
    sizes = sizes.group_by("source", "split").agg(pl.col("n_bytes").sum(), pl.len()).sort("source", "split")
    by_source: dict[str, dict[str, int]] = {}
    counts: dict[str, int] = {}
    for source, name, size, count in sizes.iter_rows():
        by_source.setdefault(source, {})[name] = size
        counts[name] = counts.get(name, 0) + count
    lacking, whole = split.lacking(made, rows), split.whole_texts(rows)
    return {"bytes": by_source, "documents": counts, "lacking": lacking, "whole_texts": whole}


def _joined_by_source(parts: list[Path], clusters: pl.DataFrame) -> pl.DataFrame:
    """`cluster` and `joined`, the cluster that it is one with since pairs of both have the same source text."""
    hashes = {
        doc_id: documents.content_hash(documents.sides(text)[0].strip().encode())
        for batch in documents.read(parts, ["doc_id", "text"])
        for doc_id, text in zip(batch.column("doc_id").to_pylist(), batch.column("text").to_pylist(), strict=True)
    }
    texts = clusters.with_columns(text=pl.col("doc_id").replace_strict(hashes, return_dtype=pl.String))
    names = clusters["cluster"].unique().sort()
    joined = split.connected(names, texts.select("cluster", "text").unique().sort("cluster", "text"))
    return pl.DataFrame({"cluster": names, "joined": joined})


def _profile(artifacts: list[list[Path]], folder: Path) -> None:
    texts, marks, twins, splits = artifacts
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        value = profile.profile(texts, marks, twins, splits, Path(scratch))
    text = json.dumps(value, ensure_ascii=False, indent=1)
    (folder / "profile.json").write_text(text, encoding="utf-8")


def _notices(read: dict[str, Any], splits: dict[str, Any], *, paired: bool) -> list[Both]:
    notices: list[Both] = []
    if paired and read["empty"]:
        notices.append(both("notice.one_sided", n=read["empty"]))
    if dropped := splits["documents"].get("dropped", 0):
        notices.append(both("notice.dropped", n=dropped))
    if splits["lacking"]:
        notices.append(both("notice.lacking", value=", ".join(splits["lacking"])))
    return notices
