"""The n-gram model that every neural one has to beat: interpolated modified Kneser-Ney (Chen and Goodman 1999).

    p_k(w | h) = max(c(h w) - D(c(h w)), 0) / c(h) + gamma(h) p_{k-1}(w | h'),      h' is h without its first token

At the highest order c counts; below it counts how many different tokens stand before h w, since a word that follows
one context only (Francisco) is rarely new in another. D is one of three discounts, for counts of 1, 2, and more;
gamma(h) gives what they take to the shorter context; p_0 is uniform. N-grams do not cross documents: the special token
that begins a document is part of the history, and n-grams that begin with it are counted as they are.

Counting is sorting: every distinct n-gram has a number, and one of k tokens is the pair of its prefix's number and its
last token. So memory grows with the distinct n-grams, and nothing loops over tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NONE = -1  # the number of an n-gram that was never seen, or would cross a document's beginning


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length.

    Attributes:
        keys: (n,) sorted: prefix number * vocabulary + last token.
        counts: (n,) how often, or below the highest order after how many different tokens.
        parents: how many prefixes there are.
        vocabulary: V.
    """

    keys: np.ndarray
    counts: np.ndarray
    parents: int
    vocabulary: int

    def find(self, prefix: np.ndarray, token: np.ndarray) -> np.ndarray:
        """The number of each n-gram, NONE where it (or its prefix) is not known."""
        keys = prefix * self.vocabulary + token
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((prefix != NONE) & (self.keys[at] == keys), at, NONE)

    @cached_property
    def discounts(self) -> np.ndarray:
        """(4,) by count 0, 1, 2, 3 and more; Chen and Goodman's estimates where the counts allow them."""
        n1, n2, n3, n4 = (float((self.counts == c).sum()) for c in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2) if n1 else 0.5
        found = [0.0]
        for c, (here, above) in enumerate(((n1, n2), (n2, n3), (n3, n4)), start=1):
            discount = c - (c + 1) * y * above / here if here else c * y
            found.append(min(max(discount, 0.05), c - 0.05))
        return np.array(found)

    @cached_property
    def taken(self) -> np.ndarray:
        """(n,) the discount of each n-gram."""
        return self.discounts[np.minimum(self.counts, 3)]

    @cached_property
    def totals(self) -> np.ndarray:
        """(parents,) c(h)."""
        return np.bincount(self.keys // self.vocabulary, self.counts, self.parents)

    @cached_property
    def left(self) -> np.ndarray:
        """(parents,) gamma(h): the share of the probability that goes to the shorter context."""
        taken = np.bincount(self.keys // self.vocabulary, self.taken, self.parents)
        return np.divide(taken, self.totals, out=np.ones_like(taken), where=self.totals > 0)


class KneserNey:
    """An n-gram model of token ids.

    Args:
        vocabulary: V; ids are 0 to V - 1.
        order: the longest n-gram.
        begin: the special token that begins every document.
    """

    def __init__(self, vocabulary: int, order: int = 5, begin: int = 0) -> None:
        if order < 1:
            raise ValueError(f"an order of {order}")
        self.vocabulary, self.order, self.begin = vocabulary, order, begin
        self._orders: list[_Order] = []

    def fit(self, tokens: np.ndarray) -> KneserNey:
        """Count.

        Args:
            tokens: (n,) ids of all documents on end, each begun by `begin`.

        Raises:
            ValueError: there are none, or some are outside of the vocabulary.
        """
        tokens = np.asarray(tokens, dtype=np.int64)
        if not len(tokens) or tokens.min() < 0 or tokens.max() >= self.vocabulary:
            raise ValueError(f"tokens have to be 0 to {self.vocabulary - 1}, and at least one")
        begins = tokens == self.begin
        # Of each position: the number of the k-gram that ends there; of distinct ones the keys, counts, an occurrence.
        ends = [np.zeros(len(tokens), dtype=np.int64)]  # the empty n-gram ends everywhere
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        for _ in range(self.order):
            before = np.concatenate([[0 if not found else NONE], ends[-1][:-1]])
            before = np.where(begins & (len(found) > 0), NONE, before)  # nothing stands before a document
            places = np.flatnonzero(before != NONE)
            keys, first, inverse, counts = np.unique(
                before[places] * self.vocabulary + tokens[places],
                return_index=True, return_inverse=True, return_counts=True,
            )  # fmt: skip
            end = np.full(len(tokens), NONE)
            end[places] = inverse
            ends.append(end)
            found.append((keys, counts, places[first], end))
        self._orders = []
        for k, (keys, counts, place, _) in enumerate(found):
            if not len(keys):  # no document is that long
                break
            if k + 1 < len(found):
                longer_places, own = found[k + 1][2], found[k][3]
                continuations = np.bincount(own[longer_places], minlength=len(keys))
                # What begins a document has nothing before it: it counts as it is.
                used = np.where(begins[place - k], counts, continuations)
            else:
                used = counts
            parents = len(found[k - 1][0]) if k else 1
            self._orders.append(_Order(keys, np.maximum(used, 1), parents, self.vocabulary))
        return self

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(n,) natural log of each token's probability after those before it in its document; 0 for `begin`, which is
        given and not predicted."""
        tokens = np.asarray(tokens, dtype=np.int64)
        begins = tokens == self.begin
        probability = np.full(len(tokens), 1.0 / self.vocabulary)
        end = np.zeros(len(tokens), dtype=np.int64)
        for k, order in enumerate(self._orders):
            prefix = np.concatenate([[0 if k == 0 else NONE], end[:-1]])
            prefix = np.where(begins & (k > 0), NONE, prefix)
            number = order.find(prefix, tokens)
            known = prefix != NONE
            known[known] = order.totals[prefix[known]] > 0
            shown, at = number[known], prefix[known]
            own = np.where(shown != NONE, order.counts[shown] - order.taken[shown], 0.0)
            probability[known] = own / order.totals[at] + order.left[at] * probability[known]
            end = number
        return np.where(begins, 0.0, np.log(probability))

    def perplexity(self, tokens: np.ndarray) -> float:
        """exp of the mean negative log probability of the tokens that are predicted."""
        counted = int((np.asarray(tokens) != self.begin).sum())
        return float(np.exp(-self.log_probabilities(tokens).sum() / max(1, counted)))

    def n_parameters(self) -> int:
        """Distinct n-grams of all lengths."""
        return sum(len(order.keys) for order in self._orders)
