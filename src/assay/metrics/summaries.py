"""Summaries -> ROUGE (Lin 2004): of n-grams, of the longest common subsequence, and of its union over sentences.

Texts are cut as `pieces.py` says: words of English, characters of Chinese. On ASCII all values are those of
rouge-score, without stemming. Sentences of ROUGE-Lsum are lines. Values are shares, means over items; of several
references the one of the best F counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from assay.errors import InputError
from assay.metrics.pieces import n_grams, pieces
from assay.metrics.scores import Additive, means, same_length

Parts = tuple[float, float, float]
"""F, precision, recall."""


def summaries(references: Sequence[str] | Sequence[Sequence[str]], predictions: Sequence[str]) -> Additive:
    """`rouge1`, `rouge2`, `rougeL`, `rougeLsum` (F), and each with `_precision` and `_recall`.

    Args:
        references: (n,) texts, or a list of texts for each.
        predictions: (n,) texts.

    Raises:
        InputError: columns of different lengths, empty ones, or an item without reference.
    """
    same_length("references and predictions", references, predictions)
    rows = []
    for i, (texts, given) in enumerate(zip(references, predictions, strict=True)):
        found = _read(given)
        golds = [_read(text) for text in ([texts] if isinstance(texts, str) else texts)]
        if not golds:
            raise InputError("has no reference", where=f"item {i + 1}", remedy="give one or leave the item out")
        # The first of equal ones, as rouge-score has it.
        rows.append(
            [max((rouge(gold, found) for gold in golds), key=lambda parts: parts[0]) for rouge in ROUGES.values()]
        )
    table = np.array(rows).transpose(1, 2, 0)
    columns = {
        name + part: table[k, j]
        for k, name in enumerate(ROUGES)
        for j, part in enumerate(("", "_precision", "_recall"))
    }
    return means(columns, signature="units:words+han|stemmer:no")


Lines = list[list[str]]
"""The pieces of each line of a text."""


def _read(text: str) -> Lines:
    return [pieces(line) for line in text.split("\n") if line]


def _parts(hits: int, found: int, there: int) -> Parts:
    precision, recall = hits / max(found, 1), hits / max(there, 1)
    return 2 * precision * recall / (precision + recall) if hits else 0.0, precision, recall


def _whole(text: Lines) -> list[str]:
    return [piece for line in text for piece in line]


def _by_n_grams(n: int) -> Callable[[Lines, Lines], Parts]:
    def rouge(gold: Lines, found: Lines) -> Parts:
        a, b = (Counter(n_grams(_whole(text), n)) for text in (gold, found))
        return _parts((a & b).total(), b.total(), a.total())

    return rouge


def _by_subsequence(gold: Lines, found: Lines) -> Parts:
    a, b = _whole(gold), _whole(found)
    return _parts(_table(a, b)[-1].bit_count(), len(b), len(a))


def _by_union(gold: Lines, found: Lines) -> Parts:
    """Pieces of a line of the reference that its common subsequence with any line holds; each counts as often as the
    other text has it (as in ROUGE 1.5.5)."""
    there = len(_whole(gold))
    left = Counter(_whole(found))
    given, hits = left.total(), 0
    for line in gold:
        for i in sorted({i for other in found for i in _subsequence(line, other)}):
            if left[line[i]] > 0:
                hits += 1
                left[line[i]] -= 1
    return _parts(hits, given, there)


def _table(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Row i: bit j says that the longest common subsequence of one[:i] and other[:j + 1] is longer than with other[:j].

    A row is one integer, and follows from the last by a few operations on it (Hyyrö 2004).
    """
    places: dict[str, int] = {}
    for j, piece in enumerate(other):
        places[piece] = places.get(piece, 0) | 1 << j
    full = (1 << len(other)) - 1
    row, rows = full, [0]
    for piece in one:
        matched = row & places.get(piece, 0)
        row = ((row + matched) | (row - matched)) & full
        rows.append(~row & full)
    return rows


def _subsequence(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Places in `one` of a longest common subsequence; among several the one that rouge-score takes."""
    rows = _table(one, other)
    i, j = len(one), len(other)
    found = []
    while i and j:
        if one[i - 1] == other[j - 1]:
            found.append(i - 1)
            i, j = i - 1, j - 1
        elif (rows[i] & ((1 << j - 1) - 1)).bit_count() > (rows[i - 1] & ((1 << j) - 1)).bit_count():
            j -= 1
        else:
            i -= 1
    return found


ROUGES: dict[str, Callable[[Lines, Lines], Parts]] = {
    "rouge1": _by_n_grams(1),
    "rouge2": _by_n_grams(2),
    "rougeL": _by_subsequence,
    "rougeLsum": _by_union,
}
