"""Kneser-Ney against counts in dictionaries, written down from the formula."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.models.ngram import KneserNey

V = 6


def documents(text: list[list[int]]) -> np.ndarray:
    return np.array([token for words in text for token in (0, *words)])


class ByHand:
    """The formula, over tuples."""

    def __init__(self, text: list[list[int]], order: int) -> None:
        raw: dict[int, Counter[tuple[int, ...]]] = {k: Counter() for k in range(1, order + 1)}
        for words in text:
            row = (0, *words)
            for k in range(1, order + 1):
                raw[k].update(row[i : i + k] for i in range(len(row) - k + 1))
        self.order, self.counts = order, {order: dict(raw[order])}
        for k in range(1, order):
            before = defaultdict(set)
            for gram in raw[k + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[k] = {g: c if g[0] == 0 else max(1, len(before[g])) for g, c in raw[k].items()}
        self.discounts = {k: self._discounts(list(c.values())) for k, c in self.counts.items()}

    @staticmethod
    def _discounts(counts: list[int]) -> list[float]:
        n = Counter(counts)
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        raw = [c - (c + 1) * y * n[c + 1] / n[c] if n[c] else c * y for c in (1, 2, 3)]
        return [0.0, *(min(max(d, 0.05), c - 0.05) for c, d in enumerate(raw, 1))]

    def p(self, word: int, history: tuple[int, ...], k: int | None = None) -> float:
        k = min(self.order, len(history) + 1) if k is None else k
        if k == 0:
            return 1 / V
        context = history[len(history) - k + 1 :]
        own = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == context}
        lower = self.p(word, history, k - 1)
        if not own:
            return lower
        total = sum(own.values())
        take = [self.discounts[k][min(c, 3)] for c in own.values()]
        c = own.get(word, 0)
        return (c - self.discounts[k][min(c, 3)]) / total + sum(take) / total * lower


texts = st.lists(st.lists(st.integers(1, V - 1), max_size=12), min_size=1, max_size=8)


@given(texts, texts, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_probabilities_are_those_of_the_formula(train: list[list[int]], held_out: list[list[int]], order: int) -> None:
    model, hand = KneserNey(V, order).fit(documents(train)), ByHand(train, order)
    found = model.log_probabilities(documents(held_out))
    expected = []
    for words in held_out:
        row = (0, *words)
        expected += [0.0, *(np.log(hand.p(row[i], row[max(0, i - order + 1) : i])) for i in range(1, len(row)))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(texts, st.lists(st.integers(1, V - 1), max_size=6), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_the_probabilities_of_all_tokens_sum_to_one(train: list[list[int]], history: list[int], order: int) -> None:
    model = KneserNey(V, order, begin=0).fit(documents(train))
    hand = ByHand(train, order)
    row = (0, *history)
    total = sum(np.exp(model.log_probabilities(np.array([*row, w]))[-1]) for w in range(1, V))
    total += hand.p(0, row[max(0, len(row) - order + 1) :])  # `begin` is never predicted: its share by hand
    assert total == pytest.approx(1)


def test_longer_contexts_help_where_there_is_something_to_know() -> None:
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(40, 0.05), size=(40, 40))

    def sample(n: int) -> np.ndarray:
        row = [0, 1, 2]
        for _ in range(n):
            row.append(1 + int(rng.choice(39, p=table[row[-2], row[-1]][:39] / table[row[-2], row[-1]][:39].sum())))
        return np.array(row)

    train, held_out = sample(20_000), sample(3_000)
    perplexities = [KneserNey(40, n).fit(train).perplexity(held_out) for n in (1, 2, 3, 4)]
    assert perplexities[2] < 0.6 * perplexities[1] < 0.6 * perplexities[0]
    assert perplexities[3] < 1.1 * perplexities[2]  # what is not there does little harm


def test_what_cannot_be_counted_is_refused() -> None:
    for tokens in ([], [0, V], [-1, 2]):
        with pytest.raises(ValueError, match="tokens have to be"):
            KneserNey(V, 2).fit(np.array(tokens))
    with pytest.raises(ValueError, match="order"):
        KneserNey(V, 0)
