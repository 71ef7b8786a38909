"""How different the words of two sources are, beside how different those of two halves of one source are.

    words of a sample -> counts by (group, bucket, hashed word) -> Jensen-Shannon divergence of halves, in bits

The documents of a group are dealt to 8 buckets in the order of their ids. Seven balanced ways to halve the buckets (the
rows of a Hadamard matrix) and both halves of each make 14 half samples: of every two groups the same half samples are
compared, and within a group each half with the other. So both numbers rest on as many words, and their bias, which few
words make large, is alike. The spread over half samples is the standard error (delete-half jackknife; McCarthy 1969 for
balanced halves), with 7 degrees of freedom.

0: the same words, equally often; 1: no word in common (Lin 1991). Words are unigrams, hashed into 65,536 bins: what
shares a bin by chance makes a divergence smaller, never larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

F64 = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int32]

BINS = 1 << 16
BUCKETS = 8
LEAST = 2 * BUCKETS
"""Documents of a group, for its halves to be told."""
LEVEL = 0.95
_HADAMARD = np.array([[(i & j).bit_count() % 2 == 0 for j in range(BUCKETS)] for i in range(1, BUCKETS)])
HALVES = np.concatenate([_HADAMARD, ~_HADAMARD])
"""Which buckets are in each half sample; the second seven are the others of the first."""


def counted(words: Sequence[Sequence[str]], groups: Sequence[int], n_groups: int) -> tuple[Counts, list[int]]:
    """Counts of (group, bucket, bin), and the documents of each group. Documents are in the order of their ids."""
    counts = np.zeros((n_groups, BUCKETS, BINS), dtype=np.int32)
    documents = [0] * n_groups
    known: dict[str, int] = {}
    for own, g in zip(words, groups, strict=True):
        bins = [known[word] if word in known else known.setdefault(word, bin_of(word)) for word in own]
        counts[g, documents[g] % BUCKETS] += np.bincount(np.array(bins, dtype=np.int64), minlength=BINS)
        documents[g] += 1
    return counts, documents


def bin_of(word: str) -> int:
    """Where a word is counted."""
    return xxhash.xxh3_64_intdigest(word.encode()) % BINS


def divergence(left: F64, right: F64) -> float:
    """The Jensen-Shannon divergence, in bits, of two rows of counts; NaN where one is empty."""
    return _between(_Shares.of(left), _Shares.of(right))


class _Shares(NamedTuple):
    """Counts as shares, and the entropy of these; None where there are no counts."""

    shares: F64 | None
    entropy: float

    @classmethod
    def of(cls, counts: F64) -> _Shares:
        whole = counts.sum()
        return cls(counts / whole, _entropy(counts / whole)) if whole else cls(None, float("nan"))


def _between(left: _Shares, right: _Shares) -> float:
    if left.shares is None or right.shares is None:
        return float("nan")
    middle = _entropy((left.shares + right.shares) / 2)
    return min(max(middle - (left.entropy + right.entropy) / 2, 0.0), 1.0)


def _entropy(shares: F64) -> float:
    own = shares[shares > 0]
    return float(-(own * np.log2(own)).sum())


def divergences(counts: Counts, documents: Sequence[int]) -> dict[str, Any]:
    """Of every two groups and of the halves of each.

    Returns:
        `documents` and `words` of each group; `pairs`: [a][b] is None where one has too few documents, else `value`,
        `interval`, and `halves`: the larger of what halves of a, and of b, differ by; [a][a] has those of a alone.
        `told`: `apart` where the interval is above `halves`, else `alike`.
    """
    n = len(counts)
    enough = [g for g in range(n) if documents[g] >= LEAST]
    values: dict[tuple[int, int], list[float]] = {}
    for first, second in zip(HALVES[:7], HALVES[7:], strict=True):
        halves = [
            {g: _Shares.of(counts[g, own].sum(axis=0).astype(np.float64)) for g in enough} for own in (first, second)
        ]
        for a in enough:
            values.setdefault((a, a), []).append(_between(halves[0][a], halves[1][a]))
            for b in (b for b in enough if b < a):
                values.setdefault((a, b), []).extend(_between(half[a], half[b]) for half in halves)
    found = {pair: _estimate(held) for pair, held in values.items()}
    pairs: list[list[dict[str, Any] | None]] = [[None] * n for _ in range(n)]
    for (a, b), told in found.items():
        left, right = found[a, a], found[b, b]
        if told is None or left is None or right is None:
            continue
        if a == b:
            pairs[a][a] = told
            continue
        apart = told["interval"][0] > max(left["interval"][1], right["interval"][1])
        floor = max(left["value"], right["value"])
        pairs[a][b] = pairs[b][a] = {**told, "halves": floor, "told": "apart" if apart else "alike"}
    return {
        "documents": list(documents),
        "words": counts.sum(axis=(1, 2)).tolist(),
        "least": LEAST,
        "level": LEVEL,
        "pairs": pairs,
    }


def _estimate(values: Sequence[float]) -> dict[str, Any] | None:
    """The mean over half samples and its interval; None where one of them is empty."""
    from scipy.stats import t

    held = np.array(values)
    if not np.isfinite(held).all():
        return None
    reach = float(t.ppf((1 + LEVEL) / 2, BUCKETS - 1)) * float(np.sqrt(np.mean((held - held.mean()) ** 2)))
    mean = float(held.mean())
    return {"value": mean, "interval": [max(0.0, mean - reach), min(1.0, mean + reach)]}
