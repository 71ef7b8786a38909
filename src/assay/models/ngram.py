"""The n-gram model that every neural one has to beat: interpolated modified Kneser-Ney (Chen and Goodman 1999).

    p_k(w | h) = max(c(h w) - D(c(h w)), 0) / c(h) + gamma(h) p_{k-1}(w | h'),      h' is h without its first token

At the highest order c counts; below it counts how many different tokens stand before h w, since a word that follows
one context only (Francisco) is rarely new in another. D is one of three discounts, for counts of 1, 2, and more;
gamma(h) gives what they take to the shorter context; p_0 is uniform. N-grams do not cross documents: the special token
that begins a document is part of the history, and n-grams that begin with it are counted as they are.

Nothing crosses a cut, where text from elsewhere begins, and nothing is known of what stood before it. The special token
has no probability: where a document ends is given.

Counting is sorting: every distinct n-gram has a number, and one of k tokens is the pair of its prefix's number and its
last token. So memory grows with the distinct n-grams, and nothing loops over tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from assay.errors import InputError

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


@dataclass
class _Counted:
    """The n-grams of one length while they are counted.

    Attributes:
        keys, counts: how often each occurs.
        opens: it begins with the special token; nothing stands before it, so it counts as it is.
        continuations: after how many different tokens each stands; None at the highest order.
    """

    keys: np.ndarray
    counts: np.ndarray
    opens: np.ndarray
    continuations: np.ndarray | None = None

    def used(self) -> np.ndarray:
        if self.continuations is None:
            return self.counts
        return np.maximum(np.where(self.opens, self.counts, self.continuations), 1)


def _first(begins: np.ndarray, cuts: np.ndarray | None) -> np.ndarray:
    """(n,) whether nothing is known of what stands before a token."""
    first = begins.copy()
    first[:1] = True
    if cuts is not None:
        first[cuts] = True
    return first


def _shifted(number: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(n,) the number of the n-gram that ends one token earlier; NONE where none does."""
    prefix = np.concatenate([[NONE], number[:-1]])
    prefix[first] = NONE
    return prefix


def _sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(order, keys in it). Key and place are sorted as one number where 63 bits hold both: several times as fast."""
    bits = len(keys).bit_length()
    if int(keys.max()).bit_length() + bits > 63:
        order = np.argsort(keys)
        return order, keys[order]
    both = np.sort((keys << bits) | np.arange(len(keys)))
    return both & ((1 << bits) - 1), both >> bits


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

    def fit(self, tokens: np.ndarray, cuts: np.ndarray | None = None) -> KneserNey:
        """Count.

        Args:
            tokens: (n,) ids of all documents on end, each begun by `begin`.
            cuts: places in `tokens` where a piece of text begins that does not go on from the token before it.

        Raises:
            ValueError: there are none, or some are outside of the vocabulary.
        """
        tokens = np.asarray(tokens)
        if not len(tokens) or tokens.min() < 0 or tokens.max() >= self.vocabulary:
            raise ValueError(f"tokens have to be 0 to {self.vocabulary - 1}, and at least one")
        begins = tokens == self.begin
        first = _first(begins, cuts)
        number = np.zeros(len(tokens), dtype=np.int64)  # of the n-gram that ends at a place; the empty one does at all
        counted: list[_Counted] = []
        for k in range(self.order):
            prefix = _shifted(number, first) if k else number
            places = np.flatnonzero(prefix != NONE)
            if not len(places):  # no document is that long
                break
            order, keys = _sorted(prefix[places] * self.vocabulary + tokens[places])
            new = np.concatenate([[True], keys[1:] != keys[:-1]])
            places, starts = places[order], np.flatnonzero(new)
            one = places[starts]  # an occurrence of each
            if counted:
                counted[-1].continuations = np.bincount(number[one], minlength=len(counted[-1].keys))
            counts = np.diff(starts, append=len(places))
            counted.append(_Counted(keys[starts], counts, opens=begins[one - k]))
            number = np.full(len(tokens), NONE)
            number[places] = np.cumsum(new) - 1
        parents = [1, *(len(c.keys) for c in counted)]
        self._orders = [_Order(c.keys, c.used(), n, self.vocabulary) for c, n in zip(counted, parents, strict=False)]
        unigrams = self._orders[0]
        unigrams.counts[unigrams.keys == self.begin] = 0
        return self

    def log_probabilities(self, tokens: np.ndarray, cuts: np.ndarray | None = None) -> np.ndarray:
        """(n,) natural log of each token's probability after those before it in its document; 0 for what is given and
        not predicted: `begin`, and the first token after each of `cuts` (as in `fit`)."""
        tokens = np.asarray(tokens, dtype=np.int64)
        first = _first(tokens == self.begin, cuts)
        probability = np.full(len(tokens), 1.0 / max(1, self.vocabulary - 1))
        number = np.zeros(len(tokens), dtype=np.int64)
        for k, order in enumerate(self._orders):
            prefix = _shifted(number, first) if k else number
            number = order.find(prefix, tokens)
            known = prefix != NONE
            known[known] = order.totals[prefix[known]] > 0
            shown, at = number[known], prefix[known]
            own = np.where(shown != NONE, order.counts[shown] - order.taken[shown], 0.0)
            probability[known] = own / order.totals[at] + order.left[at] * probability[known]
        given = tokens == self.begin
        if cuts is not None:
            given[cuts] = True
        return np.log(probability, out=np.zeros(len(tokens)), where=~given)

    def next_probabilities(self, contexts: Sequence[Sequence[int]]) -> np.ndarray:
        """(B, V) probability of every token after each of B texts: those of `log_probabilities`. `begin` has none.

        Args:
            contexts: token ids; what stands before the last `begin` in them counts for nothing.
        """
        tail = np.full((len(contexts), max(1, self.order - 1)), NONE)  # the last tokens, right-aligned
        for row, context in zip(tail, contexts, strict=True):
            last = np.asarray(context[-len(row) :], dtype=np.int64)
            begins = np.flatnonzero(last == self.begin)
            last = last[begins[-1] :] if len(begins) else last
            row[len(row) - len(last) :] = last
        probability = np.full((len(contexts), self.vocabulary), 1.0 / max(1, self.vocabulary - 1))
        for k, order in enumerate(self._orders):
            number = np.zeros(len(contexts), dtype=np.int64)
            for shorter, token in zip(self._orders, tail[:, tail.shape[1] - k :].T, strict=False):
                number = np.where(token == NONE, NONE, shorter.find(number, token))
            for b in np.flatnonzero(number != NONE):
                if not (total := order.totals[number[b]]):
                    continue
                first, last = np.searchsorted(order.keys, (number[b] + np.arange(2)) * self.vocabulary)
                probability[b] *= order.left[number[b]]
                seen = order.keys[first:last] % self.vocabulary
                probability[b, seen] += (order.counts[first:last] - order.taken[first:last]) / total
        probability[:, self.begin] = 0.0
        return probability

    def perplexity(self, tokens: np.ndarray) -> float:
        """exp of the mean negative log probability of the tokens that are predicted."""
        counted = int((np.asarray(tokens) != self.begin).sum())
        return float(np.exp(-self.log_probabilities(tokens).sum() / max(1, counted)))

    def save(self, path: Path) -> None:
        """Write the counts, as safetensors."""
        tensors: dict[str, np.ndarray] = {}
        for k, order in enumerate(self._orders):
            tensors |= {f"{k}.keys": order.keys, f"{k}.counts": order.counts, f"{k}.parents": np.array(order.parents)}
        stated = {"vocabulary": self.vocabulary, "order": self.order, "begin": self.begin}
        save_file(tensors, path, metadata={name: str(value) for name, value in stated.items()})

    @classmethod
    def load(cls, path: Path) -> KneserNey:
        """What `save` wrote.

        Raises:
            InputError: it is no such file.
        """
        try:
            with safe_open(path, "numpy") as file:
                model = cls(**{name: int(value) for name, value in (file.metadata() or {}).items()})
                for k in range(len(list(file.keys())) // 3):
                    keys, counts, parents = (file.get_tensor(f"{k}.{name}") for name in ("keys", "counts", "parents"))
                    model._orders.append(_Order(keys, counts, int(parents), model.vocabulary))
        except (OSError, SafetensorError, TypeError, ValueError) as error:
            raise InputError(f"is no n-gram model ({error})", where=path, remedy="train it again") from error
        return model

    def n_parameters(self) -> int:
        """Distinct n-grams of all lengths."""
        return sum(len(order.keys) for order in self._orders)
