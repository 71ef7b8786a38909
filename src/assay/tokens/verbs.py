"""What `assay tokenizer train`, `encode` and `compare` do: sources -> corpus room -> this room -> a folder, an answer.

    train     a balanced sample of training text -> OUT/tokenizer.json, tokenizer_config.json
    encode    every document -> OUT/SPLIT/*.bin, spans.parquet, and the tokenizer.json that made them
    compare   a sample of documents, every source alike -> tables

OUT is one artifact: it appears whole or not at all, and an equal command finds it. What is read on the way is kept
beside it until it is there, so that a command that was stopped goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from assay import __version__
from assay.corpus import documents
from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import noticed, read, scan
from assay.corpus.split import SplitOptions, whole_texts
from assay.errors import InputError
from assay.present.progress import Progress
from assay.store import MANIFEST, Artifact, Stage, Store, damage_of, disk_errors, fingerprint, staged, write_manifest
from assay.tokens import compare
from assay.tokens.learn import Learning, configuration
from assay.tokens.pack import encode_stream
from assay.tokens.prepare import TOKENIZER, learned
from assay.tokens.sample import even_sample
from assay.tokens.tokenizer import TOKENIZER_JSON, Encoder

ENCODED = Stage("encoded", 1)
SPLITS = ("train", "eval", "test")
LEAST_SHARE = 0.01  # of a source's bytes: languages with less are told together
OTHER = "other"


@dataclass(frozen=True)
class Request:
    """What all three verbs are given.

    Attributes:
        sources: URIs.
        language: of progress and of tables.
        quiet: no progress.
    """

    sources: list[str]
    options: ReadOptions = field(default_factory=ReadOptions)
    language: str = "en"
    quiet: bool = False


# Train


def train(request: Request, how: Learning, sample_bytes: int, out: Path) -> dict[str, Any]:
    """Learn a tokenizer from training text, or find it where the same command made it before.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input, or `out` holds something else.
    """
    with _working(out) as store, Progress(request.language, quiet=request.quiet) as progress:
        corpus = scan(request.sources, request.options, SplitOptions(), store, progress.to, without=out)
        config = {**asdict(how), "sample_bytes": sample_bytes}

        def make(folder: Path) -> dict[str, Any]:
            progress.stage("tokenizer")
            content, told = learned(corpus, how, sample_bytes)
            (folder / TOKENIZER_JSON).write_text(content, encoding="utf-8")
            settings = json.dumps(configuration(how), indent=1, ensure_ascii=False)
            (folder / "tokenizer_config.json").write_text(settings + "\n", encoding="utf-8")
            return told

        made = _placed(out, TOKENIZER, {"corpus": corpus.fingerprint}, config, make)
    return {"out": str(out), **made.summary, "assay_version": __version__, "fingerprint": made.fingerprint}


# Encode


def encode(request: Request, tokenizer: Path, out: Path) -> dict[str, Any]:
    """Encode every document; those that the corpus declares for eval or test go to streams of their own.

    Nothing is held out beyond that, and nothing is left out: duplicates are kept.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input, or `out` holds something else, or the tokenizer has no special token with id 0.
    """
    encoder, content = Encoder.load(tokenizer), _content(tokenizer)
    if not encoder.marks_documents:
        raise InputError(
            "id 0 is no special token, and one has to stand before every document", where=tokenizer,
            remedy="train a tokenizer with assay tokenizer train, or take one whose id 0 is special",
        )  # fmt: skip
    with _working(out) as store, Progress(request.language, quiet=request.quiet) as progress:
        sources, texts = read(request.sources, request.options, store, progress.to, without=out)
        progress.notice(noticed(sources, texts))

        def make(folder: Path) -> dict[str, Any]:
            progress.stage("tokens", texts.summary["bytes"])
            told = _streams(texts.files(".parquet"), encoder, folder, progress.advance)
            (folder / TOKENIZER_JSON).write_text(content, encoding="utf-8")
            return {"vocabulary": encoder.vocabulary, "lossless": encoder.lossless, **told}

        inputs = {"documents": texts.fingerprint, "tokenizer": fingerprint(json.loads(content))}
        made = _placed(out, ENCODED, inputs, {}, make)
    return {"out": str(out), **made.summary, "assay_version": __version__, "fingerprint": made.fingerprint}


def _streams(parts: list[Path], encoder: Encoder, folder: Path, advance: Callable[[float], None]) -> dict[str, Any]:
    """A folder for each split that there is, each an artifact that `tokens.stream.TokenStream` opens."""
    names = pl.read_parquet(parts, columns=["source", "origin", "ordinal", "split", "n_bytes"], glob=False)
    names = names.with_columns(split=pl.col("split").fill_null("train"))
    whole, sources, splits = whole_texts(names), sorted(names["source"].unique()), {}
    for split in (name for name in SPLITS if name in names["split"]):
        (folder / split).mkdir()
        splits[split] = encode_stream(
            _of_split(parts, split, advance), encoder, folder / split, split, sources, whole=whole
        )
        write_manifest(folder / split, {"stage": "stream", "summary": splits[split], "assay_version": __version__})
    totals: dict[str, dict[str, float | None]] = {}
    for source, n_bytes in names.group_by("source").agg(pl.col("n_bytes").sum()).sort("source").iter_rows():
        found = [made["sources"][source] for made in splits.values()]
        tokens = sum(total["tokens"] - total["documents"] for total in found)
        totals[source] = {
            "documents": sum(total["documents"] for total in found), "bytes": n_bytes, "tokens": tokens,
            "bytes_per_token": n_bytes / tokens if tokens else None,
        }  # fmt: skip
    return {"splits": {split: made["sources"] for split, made in splits.items()}, "sources": totals}


def _of_split(parts: list[Path], split: str, advance: Callable[[float], None]) -> Iterator[pa.RecordBatch]:
    for batch in documents.read(parts, ["doc_id", "source", "origin", "ordinal", "text", "n_bytes", "split"]):
        own = batch.filter(pc.equal(pc.fill_null(batch.column("split"), "train"), split))
        if own.num_rows:
            yield own
            advance(pc.sum(own.column("n_bytes")).as_py())


def _content(tokenizer: Path) -> str:
    return (tokenizer / TOKENIZER_JSON if tokenizer.is_dir() else tokenizer).read_text(encoding="utf-8")


# Compare


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds."""

    rows: list[compare.Row]
    against: list[compare.Against]
    parity: list[compare.Parity]
    fingerprint: str


def run_compare(request: Request, tokenizers: list[Path], sample_bytes: int) -> Comparison:
    """Measure tokenizers on the same documents.

    Args:
        sample_bytes: text of each source, at most.

    Raises:
        InputError: bad input.
    """
    encoders = {name: Encoder.load(path) for name, path in zip(_names(tokenizers), tokenizers, strict=True)}
    with tempfile.TemporaryDirectory(prefix="assay-") as folder, Progress(request.language, quiet=request.quiet) as bar:
        sources, texts = read(request.sources, request.options, Store(Path(folder)), bar.to)
        bar.notice(noticed(sources, texts))
        sample = _sample(texts, sample_bytes)
        bar.stage("compare", float(sample.n_bytes.sum()) * len(encoders))
        measured = {name: compare.measure(encoder, sample, bar.advance) for name, encoder in encoders.items()}
        made_from = {"documents": texts.fingerprint, "sample_bytes": sample_bytes}
    contents = [fingerprint(json.loads(_content(path))) for path in tokenizers]
    return _tables(measured, sample, fingerprint({**made_from, "tokenizers": contents}))


def _sample(texts: Artifact, sample_bytes: int) -> compare.Documents:
    """Languages that make up little of a source are one, `other`."""
    names = pl.read_parquet(texts.files(".parquet"), columns=["source", "origin", "ordinal"], glob=False)
    rows = even_sample(texts.files(".parquet"), sample_bytes)
    size = pl.col("text").str.len_bytes().sum()
    rows = rows.with_columns(share=size.over("source", "language") / size.over("source"))
    language = pl.when(pl.col("share") < LEAST_SHARE).then(pl.lit(OTHER)).otherwise(pl.col("language"))
    # Where texts are cut up, a text is what is drawn; elsewhere each document is.
    piece = pl.when(pl.col("source").is_in(whole_texts(names))).then(pl.lit(0)).otherwise(pl.int_range(pl.len()))
    rows = rows.with_columns(language=language, piece=piece)
    units = rows.select(pl.struct("source", "origin", "row", "piece").rank("dense")).to_series()
    return compare.Documents(
        rows["text"].to_list(), rows["source"].to_numpy(), rows["language"].to_numpy(), units.to_numpy()
    )


def _tables(measured: Mapping[str, compare.Measured], sample: compare.Documents, made: str) -> Comparison:
    groups = sorted({*zip(sample.sources.tolist(), sample.languages.tolist(), strict=True)})
    first, *others = measured
    rows = [compare.row(name, m, sample, *group) for group in groups for name, m in measured.items()]
    differences = [
        compare.against((name, first), measured[name], measured[first], sample, *group)
        for group in groups
        for name in others
    ]
    sizes = {name: int(sample.n_bytes[sample.languages == name].sum()) for name in np.unique(sample.languages).tolist()}
    known = [name for name in sorted(sizes, key=lambda n: (n != "en", -sizes[n])) if name not in (OTHER, "und")]
    parity = [
        compare.parity(name, m, sample, language, known[0]) for language in known[1:] for name, m in measured.items()
    ]
    return Comparison(rows, [d for d in differences if d], [p for p in parity if p], made)


def _names(paths: list[Path]) -> list[str]:
    """A short name for each: of its folder, with more of the path where two are equal."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("a tokenizer is named twice", where="assay tokenizer compare", remedy="name each once")
    stems = [path.resolve().parent if path.name == TOKENIZER_JSON else path.resolve() for path in paths]
    for depth in range(1, max(len(stem.parts) for stem in stems) + 1):
        names = ["/".join(stem.parts[-depth:]) for stem in stems]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def answer(found: Comparison) -> dict[str, Any]:
    """The answer of `--json`."""
    return {
        "level": compare.LEVEL,
        "rows": [_told(row) for row in found.rows],
        "against_first": [_told(row) for row in found.against],
        "parity": [_told(row) for row in found.parity],
        "assay_version": __version__,
        "fingerprint": found.fingerprint,
    }


def _told(row: Any) -> dict[str, Any]:
    """A row's fields; a ratio as value, interval and smallest difference that could have been seen."""
    return {
        name: {"value": value.value, "interval": None if value.low is None else [value.low, value.high],
               "minimum_detectable": value.detectable}
        if isinstance(value, compare.Ratio) else value
        for name, value in vars(row).items()
    }  # fmt: skip


# The folder


@contextlib.contextmanager
def _working(out: Path) -> Iterator[Store]:
    """A store beside `out` for what is read on the way: removed when the work is done or its input was bad, kept when
    it was stopped.

    Raises:
        InputError: somebody else makes the same folder, or it cannot be written.
    """
    work = out.absolute().with_name(f".{out.absolute().name}-work")
    made = [folder for folder in (work, *work.parents) if not folder.exists()]
    with disk_errors(out):
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise InputError("is not a folder", where=out, remedy="choose another --out")
        work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another run is working here", where=out, remedy="wait for it, or choose another --out"
            ) from None
        store = Store(work / "artifacts")
        store.clear_staging()
        try:
            yield store
        except InputError:
            shutil.rmtree(work, ignore_errors=True)
            with contextlib.suppress(OSError):  # folders that were made for nothing, as far as they are empty
                for folder in made[1:]:
                    folder.rmdir()
            raise
        shutil.rmtree(work, ignore_errors=True)


def _placed(
    out: Path, stage: Stage, inputs: Mapping[str, str], config: Any, make: Callable[[Path], dict[str, Any]]
) -> Artifact:
    """`out` as the artifact of these inputs: found there, or made.

    Raises:
        InputError: it holds something else.
    """
    address = fingerprint({**asdict(stage), "inputs": dict(inputs), "config": config})
    if out.exists() and any(out.iterdir()):
        found = _found(out)
        if found is None or found.fingerprint != address:
            raise InputError("holds something else already", where=out, remedy="choose an empty or new folder as --out")
        return found
    with staged(out.absolute()) as staging:
        summary = make(staging)
        write_manifest(
            staging,
            {"stage": stage.name, "stage_version": stage.version, "fingerprint": address, "inputs": dict(inputs),
             "config": config, "summary": summary, "assay_version": __version__},
        )  # fmt: skip
    made = _found(out)
    assert made is not None
    return made


def _found(out: Path) -> Artifact | None:
    if damage_of(out) is not None:
        return None
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    return Artifact(out, manifest) if "fingerprint" in manifest and "summary" in manifest else None
