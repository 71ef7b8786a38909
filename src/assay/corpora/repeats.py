"""`assay corpus dedup --level paragraph|sentence|substring`: a corpus without what stands in it earlier.

    a scan's folder, or SOURCE... -> documents -> ordered: their text in one order, on disk
        -> repeats: where what repeats stands, and where it stands first
        -> OUT/removed/*.parquet (evidence), OUT/decisions.parquet, OUT/kept/*.parquet

Documents are read as for a scan, but for their texts alone. Every step is a stage of the store: a rerun goes on, and
another bound for short documents asks for the last two steps alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from assay.corpora.cleaning import CLEANED, ending, texts_of, written
from assay.corpora.scanned import Request, in_sight
from assay.corpus import documents
from assay.corpus.cleaning import stretches
from assay.corpus.duplicates import spans, substrings
from assay.corpus.duplicates.arrays import mapped
from assay.corpus.duplicates.ordered import Ordered, open_ordered, write_ordered
from assay.errors import InputError
from assay.present.progress import Progress
from assay.present.words import both
from assay.store import Artifact, Stage
from assay.workspace import Workspace

ORDERED = Stage("ordered", 1)
REPEATS = Stage("repeats", 1)
REMOVED = Stage("removed", 1)
JUDGED = Stage("judged", 1)
Level = Literal["paragraph", "sentence", "substring"]
LEVELS: tuple[str, ...] = get_args(Level)
WHOLE = ("exact", "near", "semantic")
_OF: dict[str, tuple[str, ...]] = {
    "keep": WHOLE, "by": WHOLE, "score": ("exact", "near"), "model": ("semantic",), "threshold": ("semantic",),
    "windows": ("semantic",), "device": WHOLE, "sentences": ("sentence",),
    "shortest": ("paragraph", "sentence"), "length": ("substring",), "min_words": LEVELS, "min_characters": LEVELS,
}  # fmt: skip
"""The levels that an option belongs to."""


@dataclass(frozen=True)
class Asked:
    """What to look for.

    Attributes:
        level: what is compared.
        sentences: of a span.
        shortest: letters and digits of the shortest paragraph or span that is removed.
        length: characters of the shortest substring that is removed. In both, characters of scripts without spaces
            count `spans.WEIGHT` times.
        min_words, min_characters: a document that lost something and has fewer left is dropped (`stretches.judge`).
    """

    level: Level
    sentences: int = 3
    shortest: int = spans.SHORTEST
    length: int = substrings.LENGTH
    min_words: int = stretches.WORDS
    min_characters: int = stretches.CHARACTERS

    def search(self) -> dict[str, Any]:
        """What the search depends on."""
        names = [name for name, levels in _OF.items() if self.level in levels and not name.startswith("min_")]
        return {"level": self.level, **{name: getattr(self, name) for name in names}}


def see_that_options_fit(level: str, options: Mapping[str, Any]) -> None:
    """Options that are given (not None) belong to the level.

    Raises:
        InputError: one does not.
    """
    for name, value in options.items():
        if value is not None and level not in _OF[name]:
            option = f"--{name.replace('_', '-')}"
            remedy = f"leave it out, or give --level {' or '.join(_OF[name])}"
            raise InputError(f"says nothing of --level {level}", where=f"assay corpus dedup {option}", remedy=remedy)
    if options.get("device") is not None and level != "semantic" and not options.get("score"):
        remedy = "leave it out, or give --score NAME=DIR"
        raise InputError("is of --score, which is not given", where="assay corpus dedup --device", remedy=remedy)


def run(request: Request, asked: Asked) -> dict[str, Any]:
    """Remove from documents what stands earlier in the corpus.

    Returns:
        the answer of `--json`: what `stretches.judge` counts, and more.

    Raises:
        InputError: bad input, or the folder holds something else.
    """
    space = Workspace(request.out, "deduplication")
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **asdict(asked)}, request.command, progress):
        texts = texts_of(request, space, progress)
        total = float(texts.summary["bytes"])
        inputs = {"documents": texts.fingerprint}

        def order(folder: Path) -> Mapping[str, Any]:
            progress.stage("ordered", total)
            return write_ordered(texts.files(".parquet"), folder, lambda done: progress.to("ordered", done, total))

        ordered = space.store.build(ORDERED, inputs, {}, order)
        corpus = open_ordered(ordered.path)
        inputs["ordered"] = ordered.fingerprint
        found = space.store.build(REPEATS, inputs, asked.search(), lambda to: _search(corpus, asked, to, progress))
        rows = mapped(found.file("rows.npy"))
        inputs["repeats"] = found.fingerprint
        removed = space.store.build(REMOVED, inputs, {}, lambda folder: _evidence(corpus, rows, folder, progress))
        bounds = asked.min_words, asked.min_characters
        judged = space.store.build(
            JUDGED, inputs, list(bounds), lambda folder: stretches.judge(corpus, rows, *bounds, folder)
        )
        kept = _kept(space, texts, corpus, rows, {**inputs, "judged": judged.fingerprint}, judged, asked, progress)
        space.settle(documents=texts.fingerprint)
        in_sight(request.out, [removed, kept], [judged])
    told = judged.summary
    notices = [] if told["stretches"] else [both("corpus.notice.nothing_repeated", n=told["documents"])]
    return {
        **told,
        **asked.search(),
        "min_words": asked.min_words,
        "min_characters": asked.min_characters,
        "most": removed.summary["most"],
        "notices": notices,
        **ending(request, [removed, kept]),
    }


def _search(corpus: Ordered, asked: Asked, folder: Path, progress: Progress) -> dict[str, Any]:
    def tell(share: float) -> None:
        progress.to("repeats", share, 1.0)

    tell(0.0)
    if asked.level == "substring":
        compared = substrings.repeated(corpus, asked.length, folder, tell)
    else:
        n = asked.sentences if asked.level == "sentence" else 1
        compared = spans.repeated(corpus, asked.level, n, asked.shortest, folder, tell)
    return {"compared": compared}


def _evidence(corpus: Ordered, rows: Any, folder: Path, progress: Progress) -> dict[str, Any]:
    progress.stage("removed", float(len(rows)))
    with documents.PartsWriter(folder, REMOVED.name, stretches.EVIDENCE) as writer:
        for batch in stretches.evidence(corpus, rows):
            writer.write(batch)
            progress.advance(batch.num_rows)
    return {"stretches": writer.rows, "most": stretches.most_repeated(corpus, rows, folder / "spilled")}


def _kept(
    space: Workspace, texts: Artifact, corpus: Ordered, rows: Any, inputs: Mapping[str, str], judged: Artifact,
    asked: Asked, progress: Progress,
) -> Artifact:  # fmt: skip
    progress.stage("select", float(texts.summary["bytes"]))
    keep = np.load(judged.file("keep.npy"))
    left = stretches.kept(texts.files(".parquet"), corpus, rows, keep, f"dedup-{asked.level}")
    return space.store.build(CLEANED, inputs, {}, lambda folder: written(left, folder, progress))
