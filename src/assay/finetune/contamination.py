"""Whether evaluation items stand in the text that a model was trained on: the overlap search of the corpus room.

    items -> index of their n-grams ->        training documents, streamed -> hits, verified -> share of each item found

What a model was trained on is found by the folder of its run (`training.json`, and the documents in its store), or is
named: the folder of a training or of a scan, or sources. An item is contaminated if one of its n-grams stands there, of
13 words or 20 characters, as in `assay corpus decontaminate`.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpora import scanned
from assay.corpus import documents
from assay.corpus import scan as room
from assay.corpus.cleaning import decontaminate, overlap
from assay.corpus.cleaning.decontaminate import Shape
from assay.corpus.reading.source import ReadOptions
from assay.corpus.text import characters as ch
from assay.errors import InputError
from assay.present.progress import Progress
from assay.present.words import Both, both
from assay.store import Store, fingerprint
from assay.workspace import IDENTITIES

STAGES = (room.DOCUMENTS, room.SIGNALS, room.DUPLICATES, room.SPLITS, room.PROFILE)


@dataclass(frozen=True)
class Found:
    """What was found of evaluation items.

    Attributes:
        share: (items,) of each item's n-grams, how many stand in the training text; NaN: it is too short to be looked
            for.
        name: what was searched.
        documents: how many were.
    """

    share: np.ndarray
    name: str
    documents: int

    @property
    def contaminated(self) -> np.ndarray:
        """(items,) bool."""
        return np.asarray(self.share > 0)

    def as_json(self) -> dict[str, Any]:
        """Counts."""
        items, dirty = len(self.share), int(self.contaminated.sum())
        return {
            "checked": True, "corpus": self.name, "documents": self.documents, "items": items,
            "looked_for": int((~np.isnan(self.share)).sum()), "contaminated": dirty, "rate": dirty / items,
            "n_gram": {"words": decontaminate.WORDS, "characters": decontaminate.CHARACTERS},
        }  # fmt: skip


def searched(
    items: Sequence[str], model: Path, corpus: Sequence[str], progress: Progress, options: ReadOptions | None = None
) -> Found | Both:
    """What of evaluation items stands in the training text of a model; a notice where nobody knows what that is.

    Args:
        items: texts.
        corpus: what was named; nothing: the run's own.

    Raises:
        InputError: what is named cannot be read.
    """
    made = overlap.index(pa.array(items, pa.string()), *Shape())
    if not len(made.hashes):
        return both("choice.too_short", n=len(items))
    with tempfile.TemporaryDirectory() as scratch:
        texts = _named(corpus, Store(Path(scratch)), progress, options or ReadOptions()) if corpus else _own(model)
        if texts is None:
            return both("choice.unchecked")
        name, total, batches = texts
        progress.stage("decontaminate", float(total))
        return _searched(made, name, batches, progress)


Texts = tuple[str, int, Iterator[pa.RecordBatch]]
"""What it is called, how many documents it has, and batches with their `text`."""


def _searched(made: overlap.Index, name: str, batches: Iterator[pa.RecordBatch], progress: Progress) -> Found:
    held: list[np.ndarray] = []
    n = 0
    for batch in batches:
        n += batch.num_rows
        for piece in ch.slices(batch.select(["text"])):
            found = overlap.hits(overlap.units(piece.column("text")), made)
            held.append(np.unique(np.stack([found.item, found.place]), axis=1))
        progress.advance(batch.num_rows)
    pairs = np.unique(np.concatenate([np.empty((2, 0), np.int64), *held], axis=1), axis=1)
    grams = np.bincount(pairs[0], minlength=len(made.total))
    share = np.where(made.total > 0, grams / np.maximum(made.total, 1), np.nan)
    return Found(share, name, n)


def _own(model: Path) -> Texts | None:
    """The training text of the run in whose folder a model lies."""
    for folder in (model, *itertools.islice(model.resolve().parents, 3)):
        if (folder / IDENTITIES["training"]).is_file() and (found := _of_run(folder)) is not None:
            return found
    return None


def _of_run(folder: Path) -> Texts | None:
    """The documents that a training has read as training text; None where its store does not have them."""
    try:
        told = json.loads((folder / IDENTITIES["training"]).read_text(encoding="utf-8"))
        wanted, data = told["settled"]["corpus"], told["recipe"]["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    corpus = _stored(Store(folder / "artifacts"), wanted)
    if corpus is None:
        return None
    only = [*(data.get("only") or ()), *(data.get("weights") or ())] or None
    return str(folder), corpus.splits.summary["documents"]["train"], corpus.read("train", ["text"], sources=only)


def _stored(store: Store, wanted: str) -> room.Corpus | None:
    """The corpus of a fingerprint, as far as reading it takes."""
    for parts in itertools.product(*(store.all(stage) for stage in STAGES)):
        if fingerprint([part.fingerprint for part in parts[:4]]) == wanted:
            texts, signals, twins, splits, profile = parts
            return room.Corpus(texts, signals, twins, splits, profile, [], 0, 0, 0, [], {}, [])
    return None


def _named(corpus: Sequence[str], store: Store, progress: Progress, options: ReadOptions) -> Texts:
    """Folders of trainings or scans, or sources."""
    if len(corpus) == 1 and (Path(corpus[0]) / IDENTITIES["training"]).is_file():
        found = _of_run(Path(corpus[0]))
        if found is None:
            remedy = "name the sources that it was trained on"
            raise InputError("its store has the training text no more", where=corpus[0], remedy=remedy)
        return found
    scan = scanned.opened(scanned.Request(list(corpus), Path(), options))
    if scan is not None:
        made = scan.documents
    else:
        sources, made = room.read(list(corpus), options, store, progress.to)
        progress.notice(room.noticed(sources, made))
    return ", ".join(corpus), made.summary["documents"], documents.read(made.files(".parquet"), ["text"])
