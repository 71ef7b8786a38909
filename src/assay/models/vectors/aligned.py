"""Word vectors of two languages in one space: a rotation that brings words to their translations.

    vectors of one, of another, pairs of words -> the rotation of the other (orthogonal Procrustes; Xing et al. 2015,
    Smith et al. 2017), found again from the words that are then each other's nearest (`rounds`; Artetxe et al. 2017)

A rotation leaves all cosines within a language as they were. Translations are found by CSLS (Conneau et al. 2018),
which takes from a cosine how near both words are to everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from assay.errors import InputError
from assay.models.vectors.values import AT_ONCE, Subwords, WordVectors

Pair = tuple[str, str]
NEIGHBOURS = 10  # whose mean cosine says how near a word is to everything
MOST_FREQUENT = 20_000  # words of each language among which mutual nearest ones are looked for


def aligned(one: WordVectors, other: WordVectors, pairs: Sequence[Pair], rounds: int = 0) -> WordVectors:
    """The other vectors, rotated into the space of the first.

    Args:
        pairs: words of the first and their translations in the other; those that both have are used.
        rounds: how often the rotation is found anew from what are then mutual nearest words.

    Raises:
        InputError: other widths, or fewer pairs than would tell a rotation.
    """
    if one.width != other.width:
        raise InputError(f"vectors of {one.width} and of {other.width} numbers", remedy="learn both of one width")
    known = [(one.places[a], other.places[b]) for a, b in pairs if a in one.places and b in other.places]
    least = min(one.width, 50)
    if len(set(known)) < least:
        raise InputError(
            f"{len(set(known))} of {len(pairs)} pairs are words of both", where="--pairs",
            remedy=f"give a dictionary with {least} or more of their words",
        )  # fmt: skip
    unit_one, unit_other = _unit(one.vectors), _unit(other.vectors)
    turn = _rotation(unit_one, unit_other, np.array(known))
    for _ in range(rounds):
        found = _mutual(unit_one[:MOST_FREQUENT], unit_other[:MOST_FREQUENT] @ turn)
        turn = _rotation(unit_one, unit_other, np.concatenate([np.array(known), found]))
    subwords = other.subwords
    if subwords is not None:  # a word is the mean of its pieces: what turns them turns it
        subwords = Subwords(_turned(subwords.table, turn), subwords.shortest, subwords.longest)
    return replace(other, vectors=_turned(other.vectors, turn), subwords=subwords)


def joined(one: WordVectors, other: WordVectors) -> WordVectors:
    """The words of both, by turns as frequent; a word of both has the mean of its vectors. For the input layer of a
    model of both languages."""
    order: dict[str, list[np.ndarray]] = {}
    for i in range(max(len(one.words), len(other.words))):
        for vectors in (one, other):
            if i < len(vectors.words):
                order.setdefault(vectors.words[i], []).append(vectors.vectors[i])
    table = np.stack([np.mean(found, axis=0) for found in order.values()]).astype(np.float32)
    return WordVectors(list(order), table)


def translations(one: WordVectors, other: WordVectors, words: Sequence[str], n: int = 1) -> list[list[str]]:
    """The `n` likeliest translations of words of the first into the other's language, the best first; none where a
    word is not known."""
    known = [word for word in words if word in one.places]
    table, targets = _unit(one.vectors), _unit(other.vectors)
    near_other = _nearness(targets, table[:MOST_FREQUENT])
    found: dict[str, list[str]] = {}
    for start in range(0, len(known), AT_ONCE):
        some = known[start : start + AT_ONCE]
        cosines = table[[one.places[word] for word in some]] @ targets.T
        scores = 2 * cosines - near_other  # a word's own nearness is the same for all its translations
        best = np.argsort(-scores, axis=1)[:, :n]
        found |= {word: [other.words[i] for i in row] for word, row in zip(some, best, strict=True)}
    return [found.get(word, []) for word in words]


def _unit(table: np.ndarray) -> np.ndarray:
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)


def _turned(table: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return np.asarray(table @ turn, dtype=np.float32)


def _rotation(one: np.ndarray, other: np.ndarray, pairs_P2: np.ndarray) -> np.ndarray:
    """(width, width) the orthogonal matrix that brings the others of the pairs nearest to the ones."""
    u, _, vt = np.linalg.svd(other[pairs_P2[:, 1]].astype(np.float64).T @ one[pairs_P2[:, 0]].astype(np.float64))
    return np.asarray(u @ vt)


def _nearness(table: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(rows,) mean cosine of each with its nearest others."""
    k = min(NEIGHBOURS, len(others))
    found = [
        np.partition(table[start : start + AT_ONCE] @ others.T, -k, axis=1)[:, -k:].mean(1)
        for start in range(0, len(table), AT_ONCE)
    ]
    return np.concatenate(found)


def _mutual(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(P, 2) rows that are each other's nearest by CSLS."""
    near_one, near_other = _nearness(one, other), _nearness(other, one)

    def best(a: np.ndarray, b: np.ndarray, near_b: np.ndarray) -> np.ndarray:
        rows = range(0, len(a), AT_ONCE)
        return np.concatenate([(2 * a[i : i + AT_ONCE] @ b.T - near_b).argmax(1) for i in rows])

    there, back = best(one, other, near_other), best(other, one, near_one)
    mutual = np.flatnonzero(back[there] == np.arange(len(one)))
    return np.stack([mutual, there[mutual]], axis=1)
