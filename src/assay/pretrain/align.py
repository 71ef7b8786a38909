"""`assay align`: word vectors of two languages and a dictionary -> the second in the space of the first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assay import __version__
from assay.errors import InputError
from assay.metrics.ratio import Ratio
from assay.models import vectors
from assay.models.vectors.aligned import Pair, aligned, joined, translations
from assay.store import fingerprint, staged

EVERY = 5  # of so many pairs one is held back, to judge


def align(one: Path, other: Path, pairs: Path, out: Path, *, rounds: int, both: bool) -> dict[str, Any]:
    """Write the vectors of the other language in the space of the first, or with `both` the words of both.

    Of five pairs one is held back: how many of those are the nearest word's translation is the score.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: no vectors, no dictionary, too few pairs that both know, or `out` is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is not empty", where=out, remedy="name a new folder")
    first, second = vectors.load(one), vectors.load(other)
    read = _read(pairs)
    held = [pair for i, pair in enumerate(read) if i % EVERY == 0]
    turned = aligned(first, second, [pair for i, pair in enumerate(read) if i % EVERY], rounds)
    score = _judged(first, turned, held)
    final = aligned(first, second, read, rounds)
    if out.exists():
        out.rmdir()
    with staged(out) as folder:
        vectors.save(joined(first, final) if both else final, folder)
    body = {"pairs": len(read), "held_out": score, "rounds": rounds, "words": len(final.words), "out": str(out)}
    return body | {"assay_version": __version__, "fingerprint": fingerprint(body)}


def _judged(one: vectors.WordVectors, other: vectors.WordVectors, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The share of words whose nearest word of the other language is a translation that the dictionary has."""
    wanted: dict[str, set[str]] = {}
    for a, b in pairs:
        if a in one.places and b in other.places:
            wanted.setdefault(a, set()).add(b)
    if not wanted:
        return {"n": 0, "value": None, "interval": None}
    found = translations(one, other, list(wanted))
    hits = np.array([float(best[0] in wanted[word]) for word, best in zip(wanted, found, strict=True)])
    ratio = Ratio.of(hits, np.ones(len(hits)))
    return {"n": len(hits), "value": ratio.value, "interval": ratio.interval(0.95)}


def _read(path: Path) -> list[Pair]:
    """Two columns between tabs (or commas): a word, and its translation."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, remedy="name a dictionary") from error
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text", where=path, remedy="name a dictionary") from error
    found = []
    for number, row in enumerate(csv.reader(text.splitlines(), delimiter="\t" if "\t" in text else ","), 1):
        cells = [cell.strip() for cell in row]
        if len(cells) != 2 or not all(cells):
            raise InputError("is no pair of words", where=f"{path}:{number}", remedy="write: word, tab, translation")
        found.append((cells[0], cells[1]))
    return list(dict.fromkeys(found))
