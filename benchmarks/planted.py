"""Planted truth: does a study find what was put into its corpus, and nothing where there is nothing?

    shuffled   three equal sources, the training words of one shuffled; all held-out text is clean. The study should
               support the claim that more of the shuffled source harms (mean over the three clean held-out texts).
    halves     two random halves of one source: nothing about mixtures is there to be found.
    starter    the starter corpus: at least one supported claim on each axis.

One-minute studies, ten seeds each:  python benchmarks/planted.py [--seeds 10] [--only shuffled]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering import defects
from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.store import Store
from common import binomial, store_result, study

SOURCES = ("plays", "bible", "manual")  # of the starter corpus
SOURCE_BYTES = 2_000_000
TOKENS = {"shuffled": "2.5M", "halves": "2.5M", "starter": "3M"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", choices=list(TOKENS))
    parser.add_argument("--work", type=Path, default=None, help="folder to keep the studies in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        starter = scan(["builtin:starter"], ReadOptions(), SplitOptions(), Store(work / "scan"))
        for kind in [options.only] if options.only else list(TOKENS):
            seeds = range(options.first, options.first + options.seeds)
            rows = [KINDS[kind](starter, work, seed) for seed in seeds]
            found = sum(row["found"] for row in rows)
            result = {"kind": kind, "seeds": len(rows), "found": found, "interval": binomial(found, len(rows))}
            store_result("planted", {**result, "wanted": WANTED[kind], "tokens": TOKENS[kind], "runs": rows})


def shuffled(starter: Corpus, work: Path, seed: int) -> dict[str, Any]:
    """One study with a source whose training words are shuffled; which source it is goes round with the seed."""
    folder, victim = work / f"shuffled-{seed}", SOURCES[seed % len(SOURCES)]
    for source in SOURCES:
        for split in ("train", "eval", "test"):
            texts = _texts(starter, source, split, seed, shuffle=split == "train" and source == victim)
            _write(folder / "corpus" / f"{source}.{split}.jsonl", source, texts)
    results = study(str(folder / "corpus"), folder / "out", TOKENS["shuffled"], "--set", f"seed={seed}")
    claims = {claim["id"]: claim for claim in results["claims"]}
    effects = {source: _short(claims.get(f"distribution:up:{source}")) for source in SOURCES}
    mine = effects[victim]
    found = bool(mine and mine["verdict"] == "supported" and mine["estimate"] > 0)
    return {"seed": seed, "found": found, "victim": victim, "up": effects, **_checked(results)}


def halves(starter: Corpus, work: Path, seed: int) -> dict[str, Any]:
    """One study of two random halves of one source."""
    folder, source = work / f"halves-{seed}", SOURCES[seed % len(SOURCES)]
    texts = [text for split in ("train", "eval", "test") for text in _texts(starter, source, split, seed)]
    side = np.random.default_rng(seed).integers(0, 2, len(texts))
    for half in (0, 1):
        own = [text for text, where in zip(texts, side, strict=True) if where == half]
        _write(folder / "corpus" / f"half-{half}.jsonl", f"half-{half}", own)
    results = study(str(folder / "corpus"), folder / "out", TOKENS["halves"], "--set", f"seed={seed}")
    found = [c["id"] for c in results["claims"] if c["kind"] == "distribution" and c["verdict"] == "supported"]
    return {"seed": seed, "found": bool(found), "source": source, "claims": found, **_checked(results)}


def starter_axes(starter: Corpus, work: Path, seed: int) -> dict[str, Any]:
    """One study of the starter corpus."""
    out = work / f"starter-{seed}"
    results = study("builtin:starter", out, TOKENS["starter"], "--set", f"seed={seed}", corpus_from=_scanned(work))
    axes = {
        axis: sum(c["kind"] == axis and c["verdict"] == "supported" for c in results["claims"])
        for axis in ("size", "quality", "distribution")
    }
    return {"seed": seed, "found": all(axes.values()), "supported": axes, **_checked(results)}


KINDS = {"shuffled": shuffled, "halves": halves, "starter": starter_axes}
WANTED = {"shuffled": "at least 9 of 10", "halves": "at most 1 of 10", "starter": "at least 8 of 10"}


def _scanned(work: Path) -> Path:
    """The scanned starter corpus, in the place where a study keeps its artifacts."""
    link = work / "scanned" / "artifacts"
    if not link.exists():
        link.parent.mkdir()
        link.symlink_to(work / "scan", target_is_directory=True)
    return link.parent


def _texts(starter: Corpus, source: str, split: str, seed: int, shuffle: bool = False) -> list[str]:
    """Random documents of one source and split, SOURCE_BYTES of training text at most."""
    batches = list(_batches(starter, source, split, seed * 31 + 1 if shuffle else None))
    texts = [text for batch in batches for text in batch.column("text").to_pylist()]
    order = np.random.default_rng([seed, len(texts)]).permutation(len(texts))
    sizes = np.cumsum([len(texts[i].encode()) for i in order])
    return [texts[i] for i in order[: int(np.searchsorted(sizes, SOURCE_BYTES)) + 1]]


def _batches(starter: Corpus, source: str, split: str, shuffle: int | None) -> Iterator[pa.RecordBatch]:
    for batch in starter.read(split, documents.DOCUMENTS.names, sources=[source]):
        yield batch if shuffle is None else defects.shuffle_words(batch, shuffle)


def _write(path: Path, source: str, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"source": source, "text": text}, ensure_ascii=False) + "\n")


def _short(claim: dict[str, Any] | None) -> dict[str, Any] | None:
    return claim and {key: claim[key] for key in ("verdict", "estimate", "interval", "p_value")}


def _checked(results: dict[str, Any]) -> dict[str, Any]:
    """What every study says besides: its predictions and its cost."""
    predictions = {
        c["id"]: {**c["prediction"], "measured": c["outcome"]["value"], "verdict": c["outcome"]["verdict"]}
        for c in results["claims"]
        if c["prediction"]
    }
    cost = results["cost"]
    return {"predictions": predictions, "seconds": cost["seconds"], "parameters": results["parameters_total"]}


if __name__ == "__main__":
    main()
