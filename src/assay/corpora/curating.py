"""What models say of a corpus: `assay corpus classifier`, `select --score` and `dedup --level semantic`.

    classifier   good and bad SOURCE... -> OUT/model/ (config.json, model.safetensors, README.md), OUT/classifier.json
    scores       documents of a corpus and a model -> columns that rules ask
    semantic     documents and an encoder -> vectors -> pairs alike -> one document for each group

Scores and vectors are computed once for a corpus and a model, and stored with the corpus: with its scan, where that can
be written to, else in the folder of the work. Another threshold is a question asked of them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay import __version__
from assay.corpora import told_curating
from assay.corpora.scanned import Request, by_groups, by_parts, opened
from assay.corpora.verbs import More, check_preference, decided, run_dedup, run_select
from assay.corpus import scan as room
from assay.corpus.cleaning import rules
from assay.corpus.cleaning.representatives import Keep, Level, preferred, represent
from assay.corpus.cleaning.rules import chosen
from assay.corpus.scan import Scored
from assay.corpus.signals import listed
from assay.curate import classifier, embed, perplexity, scores, semantic
from assay.curate.scores import Score
from assay.errors import InputError
from assay.machine import cores
from assay.present.progress import Progress
from assay.present.words import Both, both, known
from assay.store import Artifact, Stage, Store, fingerprint
from assay.train.world import device_of
from assay.workspace import Workspace

CLASSIFIER = Stage("classifier", 2)
SCORES = Stage("scores", 1)
EMBEDDINGS = Stage("embeddings", 1)
PAIRS = Stage("pairs", 2)
GROUPS = Stage("groups", 1)
SEMANTIC = Stage("semantic", 1)


# A classifier


def run_classifier(request: Request, good: list[str], bad: list[str], bits: int) -> dict[str, Any]:
    """Make a quality classifier of good and bad samples, in OUT/model.

    Args:
        request: its sources are not used.
        good, bad: URIs, or the folder of a scan each.
        bits: of a bucket's number.

    Returns:
        the answer of `--json`: what its test share says, and the n-grams that tell most.

    Raises:
        InputError: bad input, too few documents, or the folder holds something else.
    """
    space = Workspace(request.out, "classifier")
    how = {"good": good, "bad": bad, "bits": bits}
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **how}, request.command, progress):
        kinds = [_texts(request, uris, space, progress) for uris in (good, bad)]
        inputs = {name: kind.fingerprint for name, kind in zip(("good", "bad"), kinds, strict=True)}
        made = space.store.build(CLASSIFIER, inputs, {"bits": bits}, lambda f: _fitted(kinds, bits, f, progress))
        space.settle(**inputs)
        _link(made, request.out / scores.MODEL)
    return {
        **made.summary,
        "notices": _unalike(made.summary),
        "model": str(request.out / scores.MODEL),
        "out": str(request.out),
        "assay_version": __version__,
        "fingerprint": made.fingerprint,
    }


def _texts(request: Request, uris: list[str], space: Workspace, progress: Progress) -> Artifact:
    own = Request(uris, request.out, request.options)
    found = opened(own)
    return (
        found.documents if found else room.read(uris, request.options, space.store, progress.to, without=request.out)[1]
    )


def _fitted(kinds: Sequence[Artifact], bits: int, folder: Path, progress: Progress) -> dict[str, Any]:
    good, bad = kinds
    parts = [*good.files(".parquet"), *bad.files(".parquet")]
    chosen = classifier.sample(good.files(".parquet"), bad.files(".parquet"))
    table = chosen.table
    total = float(good.summary["bytes"] + bad.summary["bytes"])

    def tell(done: float) -> None:
        progress.to("features", min(done, total), total)

    rows = classifier.rows_of(table, parts, bits, cores(), tell)
    steps = float(len(classifier.STRENGTHS))
    model = classifier.fit(rows, table, bits, lambda done: progress.to("classifier", done, steps))
    found = {
        "documents": {"good": int(table["good"].sum()), "bad": int((~table["good"]).sum())},
        "equal": chosen.equal,
        "in_both": chosen.both,
        "strength": model.strength,
        **classifier.judged(model, rows, table),
        "telling": classifier.telling(model, rows, table, parts),
    }
    model.save(folder, told_curating.card(found))
    return found


def _unalike(found: Mapping[str, Any]) -> list[Both]:
    notices: list[Both] = []
    if found["in_both"]:
        notices.append(both("curate.notice.in_both", n=found["in_both"]))
    alike = told_curating.interval(found["alike"])
    if found["lengths_differ"]:
        median = found["median_ngrams"]
        good, bad = (f"{median[kind]:,.0f}" for kind in ("good", "bad"))
        area = f"{found['length_auc']:.2f}"
        notices.append(both("curate.notice.lengths", good=good, bad=bad, area=area, alike=alike))
    if found["languages_differ"]:
        notices.append(both("curate.notice.languages", share=f"{found['languages_apart']:.0%}", alike=alike))
    return notices


def _link(made: Artifact, folder: Path) -> None:
    """The model's files in a folder of their own: links, or copies."""
    folder.mkdir(exist_ok=True)
    for path in made.files():
        place = folder / path.name
        place.unlink(missing_ok=True)
        try:
            os.link(path, place)
        except OSError:
            place.write_bytes(path.read_bytes())


# Scores


def extras(found: Sequence[Score], device: str = "auto") -> list[More]:
    """What `select` is to compute of every document for these scores."""
    device = device_of(device, "--device")

    def made(score: Score) -> More:
        def columns(artifact: Artifact, texts: Artifact) -> pl.DataFrame:
            language = pl.read_parquet(texts.files(".parquet"), columns=["language"], glob=False)["language"]
            return scores.columns(score, pl.read_parquet(artifact.files(".parquet"), glob=False), language)

        def make(corpus: Scored, store: Store, progress: Progress) -> Artifact:
            return _scored(corpus.documents, score, device, store, progress)

        return More(score.name, score.fingerprint, make, columns)

    return [made(score) for score in found]


def _scored(texts: Artifact, score: Score, device: str, store: Store, progress: Progress) -> Artifact:
    inputs = {"documents": texts.fingerprint, "model": score.fingerprint}

    def by_classifier(folder: Path) -> dict[str, Any]:
        task = partial(classifier.score_part, folder=score.folder)
        return {"parts": len(by_parts(texts, SCORES.name, task, folder, "scores", progress))}

    def by_predictor(folder: Path) -> dict[str, Any]:
        task = partial(perplexity.score_group, folder=score.folder, fingerprint=score.fingerprint, device=device)
        return {"groups": len(by_groups(texts, f"{SCORES.name}-", ".parquet", task, folder, "scores", progress))}

    make = by_classifier if score.kind == "classifier" else by_predictor
    with _home(texts, store) as home:
        return home.build(SCORES, inputs, {"kind": score.kind}, make, resumed=True)


def run_scored(
    request: Request,
    packs: Sequence[str],
    where: Sequence[str],
    lists: Sequence[listed.WordList],
    given: Sequence[str],
    device: str,
) -> dict[str, Any]:
    """Ask rules of a corpus that may ask about scores, too: `verbs.run_select`.

    Args:
        given: the scores, each NAME=DIR.

    Returns:
        the answer of `--json`; with `scores`, what each is like, and `notices`.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    found = scores.read(given)
    names = [name for score in found for name in score.columns]
    asked = chosen(packs, where, [one.name for one in lists], names)
    scores.check_asked(found, asked)
    made = run_select(request, asked, lists, extras(found, device))
    return {**made, "notices": [*made["notices"], *unseen(found, made["languages"])]}


def run_scored_dedup(
    request: Request, level: Level, keep: Keep, by: str | None, given: Sequence[str], device: str
) -> dict[str, Any]:
    """Keep of each cluster the document that a score prefers: `verbs.run_dedup`.

    Args:
        given: the scores, each NAME=DIR.

    Returns:
        the answer of `--json`; with `scores`, what each is like.

    Raises:
        InputError: bad input, no preference asks about a score, or the folder holds something else.
    """
    found = scores.read(given)
    names = [name for score in found for name in score.columns]
    check_preference(keep, by, names)
    asked = rules.parsed(by, names, "--by").meta.root_names() if by is not None else []
    for score in found:
        if not set(score.columns) & set(asked):
            remedy = f"prefer by it: --keep best --by {score.columns[0]}"
            raise InputError("nothing asks about this score", where=f"--score {score.name}", remedy=remedy)
    return run_dedup(request, level, keep, by, extras(found, device), names)


def unseen(found: Sequence[Score], languages: Mapping[str, Mapping[str, Any]]) -> list[Both]:
    """What is to be said of documents in languages that a classifier was not made from."""
    notices: list[Both] = []
    counts = {name: int(part["documents"]) for name, part in languages.items()}
    for score in found:
        other = {name: n for name, n in counts.items() if score.languages and name not in score.languages}
        if sum(other.values()) > sum(counts.values()) / 100:
            most = max(sorted(other), key=lambda name: other[name])
            share = f"{sum(other.values()) / sum(counts.values()):.0%}"
            values = {"name": score.name, "share": share, "most": known(f"language.{most}", most)}
            notices.append(both("curate.notice.unseen", **values))
    return notices


@contextlib.contextmanager
def _home(texts: Artifact, store: Store) -> Iterator[Store]:
    """The store of the documents, locked, if it is another one and can be written to; else the one given.

    Raises:
        InputError: somebody works there.
    """
    root = texts.path.parents[1]
    if root.resolve() == store.root.resolve() or not os.access(root, os.W_OK) or not os.access(root.parent, os.W_OK):
        yield store
        return
    with Workspace(root.parent, "corpus").held():
        yield Store(root)


# Semantic duplicates


@dataclass(frozen=True)
class Meaning:
    """How documents are compared by what they say.

    Attributes:
        model: an encoder's directory.
        threshold: the cosine from which on two are alike.
        windows: of a long document that are read.
        exact: different texts up to which all pairs are compared.
    """

    model: Path
    threshold: float = semantic.THRESHOLD
    windows: int = embed.WINDOWS
    device: str = "auto"
    exact: int = semantic.EXACT


def meant(given: Mapping[str, Any]) -> Meaning:
    """What was asked for by --model and the like, given by name.

    Raises:
        InputError: there is no model.
    """
    if "model" not in given:
        remedy = "name an encoder's directory, such as --model all-MiniLM-L6-v2/"
        raise InputError("--level semantic needs --model", where="assay corpus dedup", remedy=remedy)
    return Meaning(**given)


def run_semantic(request: Request, meaning: Meaning, keep: Keep, by: str | None) -> dict[str, Any]:
    """Keep one document of those that say the same.

    Returns:
        the answer of `--json`: as `run_dedup`, and `semantic`: how many pairs were alike, and how they were found.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    check_preference(keep, by)
    device = device_of(meaning.device, "--device")
    folder = scores.model_folder(meaning.model)
    digest = scores.digest(folder, (*scores.FILES, *embed.FILES))
    embed.opened(folder, digest)  # a model that is none is told before the corpus is read
    how: dict[str, Any] = {
        "level": "semantic", "keep": keep, "by": by, "model": digest, "threshold": meaning.threshold,
        "windows": meaning.windows, "exact": meaning.exact,
    }  # fmt: skip

    def make(corpus: Scored, store: Store, progress: Progress) -> Artifact:
        texts = corpus.documents
        with _home(texts, store) as home:
            task = partial(embed.embed_group, folder=folder, fingerprint=digest, windows=meaning.windows, device=device)

            def embedded(f: Path) -> dict[str, Any]:
                name = EMBEDDINGS.name
                return {"groups": len(by_groups(texts, f"{name}-", ".npy", task, f, "embeddings", progress))}

            inputs = {"documents": texts.fingerprint, "model": digest}
            vectors = home.build(EMBEDDINGS, inputs, {"windows": meaning.windows}, embedded, resumed=True)
        return _grouped(corpus, vectors, meaning, keep, by, store, progress)

    def needs(corpus: Scored) -> list[Artifact]:
        return [corpus.signals] if keep != "first" else []

    def decide(corpus: Scored, target: Path, _: Sequence[Artifact], found: Sequence[Artifact]) -> dict[str, Any]:
        groups = found[0].files(".parquet")
        signals = corpus.signals.files(".parquet") if keep != "first" else None
        told = represent(corpus.documents.files(".parquet"), signals, groups, "near", keep, by, target)
        table = pq.read_table(groups)
        dropped = table.filter(pc.not_equal(table.column("doc_id"), table.column("kept_id")))
        pq.write_table(dropped.drop_columns(["cluster"]), target / "alike.parquet", compression="zstd")
        return {**told, "semantic": found[0].summary}

    more = [More("groups", fingerprint(how), make)]
    return decided(request, "deduplication", how, SEMANTIC, needs, decide, more=more)


def _grouped(
    corpus: Scored, vectors: Artifact, meaning: Meaning, keep: Keep, by: str | None, store: Store, progress: Progress
) -> Artifact:
    """Pairs that are alike, and what follows from them and the preference."""
    texts = corpus.documents.files(".parquet")
    signals = corpus.signals.files(".parquet") if keep != "first" else None
    rows = embed.Vectors(vectors.files(".npy"))
    node, different = semantic.nodes(texts)
    inputs = {"embeddings": vectors.fingerprint}
    how = {"threshold": meaning.threshold, "exact": meaning.exact}
    pairs = store.build(
        PAIRS,
        inputs,
        how,
        lambda folder: semantic.write_pairs(
            rows,
            different,
            meaning.threshold,
            folder / "pairs.parquet",
            lambda done, total: progress.to("pairs", done, total),
            exact=meaning.exact,
        ),
    )

    def group(folder: Path) -> dict[str, Any]:
        order = preferred(texts, signals, keep, by)["row"].to_numpy().astype("int64")
        ids = pq.read_table(texts, columns=["doc_id"]).column("doc_id")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            semantic.group(
                pairs.file("pairs.parquet"), node, order, rows, ids, folder / "groups.parquet", Path(scratch)
            )
        return pairs.summary

    return store.build(GROUPS, {"pairs": pairs.fingerprint}, {"keep": keep, "by": by}, group)
