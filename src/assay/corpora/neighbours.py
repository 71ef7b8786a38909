"""Word vectors -> the words most similar to each: what augmentation replaces words by.

The corpus room knows no models, so this table is made here and handed in.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from assay.corpus.altering import vocabulary
from assay.corpus.altering.augment import NEIGHBOURS
from assay.errors import InputError
from assay.models.vectors import WordVectors, load
from assay.store import file_digest, fingerprint

MOST_WORDS = 20_000
"""The most frequent words: those behind them have vectors that say little."""
EACH = 5
"""Neighbours of a word, at most."""
_AT_ONCE = 512


def digest(path: Path) -> str:
    """What makes these vectors these.

    Raises:
        InputError: there are none.
    """
    if not path.exists():
        raise InputError("does not exist", where=path, remedy="name a folder or file of word vectors with --vectors")
    files = sorted(path.glob("*.safetensors")) + sorted(path.glob("words.txt")) if path.is_dir() else [path]
    return fingerprint([file_digest(file) for file in files])


def found(vectors: Path) -> Path:
    """The vectors themselves: a folder as `assay train` leaves it holds them in `model`."""
    return vectors / "model" if (vectors / "model").is_dir() else vectors


def neighbours(path: Path, bound: float) -> pa.Table:
    """NEIGHBOURS of words by cosine, from `bound` on. Stop words have none, and are nobody's; neither are words of
    another kind of script.

    Raises:
        InputError: the path holds no word vectors, or no two words are that similar.
    """
    vectors = load(path)
    table = pa.table(_rows(vectors, bound), schema=NEIGHBOURS)
    if not len(table):
        what = f"no two words have a cosine of {bound} or more"
        raise InputError(what, where=path, remedy="give a smaller --bound, or vectors learned from more text")
    return table


def _rows(vectors: WordVectors, bound: float) -> list[list[object]]:
    stop = vocabulary.stop_words(("en", "zh"))
    words = [word.lower() for word in vectors.words[:MOST_WORDS]]
    useful = np.array([i for i, word in enumerate(words) if word and vocabulary.hash_of(word) not in stop], dtype=int)
    chosen = np.asarray(vectors.vectors[useful], dtype=np.float32)
    unit = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    ascii_word = np.array([words[i].isascii() for i in useful], dtype=bool)
    columns: list[list[object]] = [[], [], []]
    for start in range(0, len(useful), _AT_ONCE):
        cosines = unit[start : start + _AT_ONCE] @ unit.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -1
        cosines[ascii_word[start : start + _AT_ONCE, None] != ascii_word] = -1
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :EACH]
        for row, others in enumerate(nearest.tolist()):
            for other in others:
                if cosines[row, other] >= bound:
                    columns[0].append(words[useful[start + row]])
                    columns[1].append(words[useful[other]])
                    columns[2].append(float(cosines[row, other]))
    return columns
