"""`assay corpus scan`, `select` and `dedup`: sources -> a scored corpus in a folder -> what is kept of it.

    scan      SOURCE... -> OUT/artifacts/ (documents, signals, duplicates), OUT/corpus.json
    select    such a folder, or SOURCE... -> OUT/kept/*.parquet, OUT/decisions.parquet, OUT/selection.json
    dedup     the same, with one document of each cluster

A scan is the work that takes time: it is done once, and rules are asked of what it found. All can be stopped and
given again to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from assay import __version__
from assay.corpora.scanned import Request, by_parts, in_sight, opened, scored, told_of
from assay.corpus import documents
from assay.corpus import scan as room
from assay.corpus.cleaning import rules, select
from assay.corpus.cleaning.representatives import Keep, Level, represent
from assay.corpus.cleaning.rules import Expression, Rule
from assay.corpus.parts import behind
from assay.corpus.scan import Scored
from assay.corpus.signals import listed
from assay.errors import InputError
from assay.present.progress import Progress
from assay.present.words import Both, both
from assay.store import Artifact, Stage, Store, fingerprint
from assay.workspace import Kind, Workspace

CLUSTERED_STAGE = Stage("clustered", 2)
KEPT = Stage("kept", 2)
LISTED = Stage("listed", 2)


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
        corpus = scored(request, space.store, progress)
        assert corpus.sources is not None
        sources, texts, twins = corpus.sources, corpus.documents, corpus.duplicates
        parts = (texts, corpus.signals, twins)
        made_from = fingerprint([part.fingerprint for part in parts])
        space.settle(corpus=made_from)
        space.remember(artifacts={part.manifest["stage"]: part.fingerprint for part in parts}, reading=told_of(sources))
    summary = texts.summary
    return {
        **{name: summary[name] for name in ("documents", "bytes", "empty", "bad_rows", "bad_files")},
        "skipped": len(sources.skipped),
        **{name: twins.summary[name] for name in ("exact_duplicates", "near_duplicates", "clusters")},
        "sources": _by_source(*(part.files(".parquet") for part in parts)),
        "notices": [dict(notice) for notice in room.noticed(sources, texts)],
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


@dataclass(frozen=True)
class More:
    """Something else that is found out of every document before it is decided on (`curating`).

    Attributes:
        name: no other's.
        fingerprint: of the model that does it, and how.
        make: the artifact, found or made; in the store of this work, or the corpus's own.
        columns: those that rules ask, of the artifact and the documents.
    """

    name: str
    fingerprint: str
    make: Callable[[Scored, Store, Progress], Artifact]
    columns: Callable[[Artifact, Artifact], pl.DataFrame] | None = None


def run_select(
    request: Request,
    asked: list[Rule | Expression],
    lists: Sequence[listed.WordList] = (),
    scores: Sequence[More] = (),
) -> dict[str, Any]:
    """Ask rules of a corpus, and write what they keep. `lists` are counted and `scores` computed in every document
    first.

    Returns:
        the answer of `--json`: `select.summary` and more; of each list (`words`) what `listed.together` counts.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    how: dict[str, Any] = {"rules": [{"name": rule.name, "keeps": rule.bounds()} for rule in asked]}
    if lists:
        how["lists"] = [fingerprint(asdict(one)) for one in lists]
    if scores:
        how["scores"] = {one.name: one.fingerprint for one in scores}

    def needs(corpus: Scored) -> list[Artifact]:
        return [corpus.signals, *([corpus.duplicates] if select.asks_of_twins(asked) else [])]

    def decide(corpus: Scored, folder: Path, counted: Sequence[Artifact], found: Sequence[Artifact]) -> dict[str, Any]:
        texts, signals = corpus.documents.files(".parquet"), corpus.signals.files(".parquet")
        twins = corpus.duplicates.files(".parquet") if select.asks_of_twins(asked) else None
        columns = columns_of(scores, found, corpus)
        lists_of = [part.files(".parquet") for part in counted]
        told = select.decide(texts, signals, twins, asked, folder, lists_of, columns)
        if lists:
            told["words"] = {one.name: part.summary for one, part in zip(lists, counted, strict=True)}
        return {**told, "scores": select.write_scores(texts, columns, folder)} if columns else told

    made = decided(request, "selection", how, select.DECIDED_BY_RULES, needs, decide, lists, scores)
    return {**made, "notices": _unheard(lists, made)}


def _unheard(lists: Sequence[listed.WordList], made: Mapping[str, Any]) -> list[Both]:
    """Of which lists no word was found: a document in another language or spelling holds none, either."""
    return [
        both("corpus.notice.no_words", n=len(one.words), name=one.name.partition("_")[2])
        for one in lists
        if not made["words"][one.name]["places"]
    ]


def decided(
    request: Request,
    kind: Kind,
    how: Mapping[str, Any],
    stage: Stage,
    needs: Callable[[Scored], Sequence[Artifact]],
    decide: Callable[[Scored, Path, Sequence[Artifact], Sequence[Artifact]], dict[str, Any]],
    lists: Sequence[listed.WordList] = (),
    more: Sequence[More] = (),
) -> dict[str, Any]:
    """Decide on every document of a corpus, and write those that are kept.

    Args:
        needs: what of the corpus is decided by, beside its documents.
        decide: gets the corpus, the folder to write to, the counts of `lists`, and what `more` found.
    """
    space = Workspace(request.out, kind)
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **how}, request.command, progress):
        corpus = opened(request) or scored(request, space.store, progress)
        progress.notice(corpus.notices)
        texts = corpus.documents
        inputs = {part.manifest["stage"]: part.fingerprint for part in (texts, *needs(corpus))}
        counted = [_counted(texts, words, space.store, progress) for words in lists]
        inputs |= {words.name: made.fingerprint for words, made in zip(lists, counted, strict=True)}
        found = [one.make(corpus, space.store, progress) for one in more]
        inputs |= {one.name: made.fingerprint for one, made in zip(more, found, strict=True)}
        judged = space.store.build(stage, inputs, dict(how), lambda folder: decide(corpus, folder, counted, found))
        progress.stage("select", float(texts.summary["bytes"]))
        kept = space.store.build(
            KEPT,
            {"documents": texts.fingerprint, "decisions": judged.fingerprint},
            {},
            lambda folder: _write(texts.files(".parquet"), judged, folder, progress),
        )
        space.settle(decisions=judged.fingerprint)
        in_sight(request.out, [kept], [judged])
    return {
        **judged.summary,
        "kept_folder": str(request.out / KEPT.name),
        "decisions": str(request.out / "decisions.parquet"),
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": judged.fingerprint,
    }


def run_dedup(
    request: Request, level: Level, keep: Keep, by: str | None, scores: Sequence[More] = (), names: Sequence[str] = ()
) -> dict[str, Any]:
    """Keep one document of each cluster of duplicates, with the number of those that it stands for. `scores` are
    computed of every document first; `names` are their columns.

    Returns:
        the answer of `--json`: what `represent` counts, and more.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    check_preference(keep, by, names)
    how: dict[str, Any] = {"level": level, "keep": keep, "by": by}
    if scores:
        how["scores"] = {one.name: one.fingerprint for one in scores}

    def needs(corpus: Scored) -> list[Artifact]:
        return [corpus.duplicates, *([corpus.signals] if keep != "first" else [])]

    def decide(corpus: Scored, folder: Path, _: Sequence[Artifact], found: Sequence[Artifact]) -> dict[str, Any]:
        texts = corpus.documents.files(".parquet")
        signals = corpus.signals.files(".parquet") if keep != "first" else None
        columns = columns_of(scores, found, corpus)
        told = represent(texts, signals, corpus.duplicates.files(".parquet"), level, keep, by, folder, columns)
        return {**told, "scores": select.write_scores(texts, columns, folder)} if columns else told

    return decided(request, "deduplication", how, CLUSTERED_STAGE, needs, decide, more=scores)


def columns_of(more: Sequence[More], found: Sequence[Artifact], corpus: Scored) -> list[pl.DataFrame]:
    """The columns that rules may ask, in the documents' order."""
    made = zip(more, found, strict=True)
    return [one.columns(artifact, corpus.documents) for one, artifact in made if one.columns]


def check_preference(keep: Keep, by: str | None, scores: Sequence[str] = ()) -> None:
    """See that --keep and --by can be read; `scores` are the columns of --score.

    Raises:
        InputError: they cannot, or do not belong together.
    """
    if (keep == "best") != (by is not None):
        remedy = "give --keep best with --by, such as --by alpha_words" if by is None else "give --keep best with it"
        raise InputError("--keep best and --by belong together", where="assay corpus dedup", remedy=remedy)
    if by is not None:
        rules.parsed(by, scores, "--by")


def _counted(texts: Artifact, words: listed.WordList, store: Store, progress: Progress) -> Artifact:
    """The counts of a list's words, and where some of them stand."""
    task = partial(listed.count_part, words=words.words, name=words.name)

    def count(folder: Path) -> dict[str, Any]:
        return listed.together(by_parts(texts, LISTED.name, task, folder, "listed", progress))

    return store.build(LISTED, {"documents": texts.fingerprint}, asdict(words), count, resumed=True)


def _write(texts: list[Path], decided: Artifact, folder: Path, progress: Progress) -> dict[str, Any]:
    table = decided.file("decisions.parquet")
    with documents.PartsWriter(folder, "kept", documents.DOCUMENTS) as writer:

        def counted() -> Iterator[pa.RecordBatch]:
            for batch in select.kept(texts, table):
                yield batch
                progress.advance(batch.nbytes)

        behind(writer.write, counted())
    return {"documents": writer.rows}
