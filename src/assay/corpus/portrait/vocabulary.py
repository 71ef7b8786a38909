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
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

F64 = npt.NDArray[np.float64]

BINS = 1 << 16
BUCKETS = 8
LEAST = 2 * BUCKETS
"""Documents of a group, for its halves to be told."""
LEVEL = 0.95
_HADAMARD = np.array([[(i & j).bit_count() % 2 == 0 for j in range(BUCKETS)] for i in range(1, BUCKETS)])
HALVES = np.concatenate([_HADAMARD, ~_HADAMARD])
"""Which buckets are in each half sample; the second seven are the others of the first."""


def counted(
    words: Sequence[Sequence[str]], groups: Sequence[int], n_groups: int
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Counts of (group, bucket, bin), and the documents of each group. Documents are in the order of their ids."""
    counts = np.zeros((n_groups, BUCKETS, BINS), dtype=np.int64)
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
    a, b = left.sum(), right.sum()
    if a == 0 or b == 0:
        return float("nan")
    return float(max(_entropy(left / a / 2 + right / b / 2) - (_entropy(left / a) + _entropy(right / b)) / 2, 0.0))


def _entropy(shares: F64) -> float:
    own = shares[shares > 0]
    return float(-(own * np.log2(own)).sum())


def divergences(counts: npt.NDArray[np.int64], documents: Sequence[int]) -> dict[str, Any]:
    """Of every two groups and of the halves of each.

    Returns:
        `documents` and `words` of each group; `pairs`: [a][b] is None where one has too few documents, else `value`,
        `interval`, and `halves`: the larger of what halves of a, and of b, differ by; [a][a] has those of a alone.
        `told`: `apart` where the interval is above `halves`, else `alike`.
    """
    n = len(counts)
    enough = [count >= LEAST for count in documents]
    halves = np.einsum("hb,gbw->ghw", HALVES.astype(np.float64), counts.astype(np.float64))
    own = [
        _estimate([divergence(halves[g, h], halves[g, h + 7]) for h in range(7)]) if enough[g] else None
        for g in range(n)
    ]
    pairs: list[list[dict[str, Any] | None]] = [[None] * n for _ in range(n)]
    for a in range(n):
        pairs[a][a] = own[a]
        for b in range(a):
            left, right = own[a], own[b]
            told = _estimate([divergence(halves[a, h], halves[b, h]) for h in range(len(HALVES))])
            if left is None or right is None or told is None:
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
