"""Near-duplicates to test with: similarity in plain Python, and copies edited until they have less of it."""

from __future__ import annotations

import random
import unicodedata
from itertools import combinations

WIDE = {0xFEE0 + ord(c): c for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}


def folded(text: str) -> str:
    """Letters, digits and the marks on them, in lower case, full-width forms as their plain ones."""
    solid = (c for c in text.translate(WIDE) if unicodedata.category(c)[0] in "LNM")
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in solid)


def shingle_set(text: str) -> set[str]:
    """The definition: folded letters and digits, windows of 24 (5 for Chinese)."""
    solid = folded(text)
    unspaced = sum("\u3040" <= c <= "\u9fff" for c in solid)
    width = 5 if unspaced > len(solid) / 3 else 24
    return {solid[i : i + width] for i in range(len(solid) - width + 1)} or {solid or text}


def brute(left: str, right: str) -> float:
    """The Jaccard similarity of two texts, exactly."""
    a, b = shingle_set(left), shingle_set(right)
    return len(a & b) / len(a | b)


def near_copy(text: str, other: str, similarity: float, draw: random.Random, at_once: int = 1) -> str:
    """A copy edited until its similarity is at most that: words (characters, where they are not spaced) replaced, left
    out, put in or moved, all over it, or a passage replaced by one of `other`, or both. `at_once`: how many edits are
    made before the similarity is looked at again."""
    spaced = text.count(" ") > len(text) / 20  # a space or two stand in Chinese, too
    glue = " " if spaced else ""
    units, fresh = (text.split(" "), other.split(" ")) if spaced else (list(text), list(other))
    if draw.random() < 2 / 3:
        whole = (1 - similarity) / (1 + similarity)  # this share replaced, what is left has that similarity
        size = int(len(units) * whole * draw.choice([0.5, 0.9]))
        at, source = draw.randrange(len(units) - size + 1), draw.randrange(max(1, len(fresh) - size + 1))
        units[at : at + size] = fresh[source : source + size]
    while brute(text, glue.join(units)) > similarity:
        for _ in range(at_once):
            at = draw.randrange(len(units))
            kind = draw.randrange(4)
            if kind == 0:
                units[at] = draw.choice(fresh)
            elif kind == 1:
                del units[at]
            elif kind == 2:
                units.insert(at, draw.choice(fresh))
            else:
                units.insert(draw.randrange(len(units)), units.pop(at))
    return glue.join(units)


def held_together(texts: list[str], threshold: float) -> bool:
    """Whether pairs of at least that similarity connect all texts of a cluster."""
    group = list(range(len(texts)))
    sets = [shingle_set(text) for text in texts]
    for a, b in combinations(range(len(texts)), 2):
        if group[a] != group[b] and len(sets[a] & sets[b]) >= threshold * len(sets[a] | sets[b]):
            group = [group[a] if one == group[b] else one for one in group]
    return len(set(group)) == 1
