"""Kneser-Ney against counts in dictionaries, written down from the formula."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.models.ngram import KneserNey, _sorted

V = 6


def documents(text: list[list[int]]) -> np.ndarray:
    return np.array([token for words in text for token in (0, *words)])


class ByHand:
    """The formula, over tuples."""

    def __init__(self, text: list[list[int]], order: int) -> None:
        raw: dict[int, Counter[tuple[int, ...]]] = {k: Counter() for k in range(1, order + 1)}
        for row in map(tuple, text):
            for k in range(1, order + 1):
                raw[k].update(row[i : i + k] for i in range(len(row) - k + 1))
        self.order, self.counts = order, {order: dict(raw[order])}
        for k in range(1, order):
            before = defaultdict(set)
            for gram in raw[k + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[k] = {g: c if g[0] == 0 else max(1, len(before[g])) for g, c in raw[k].items()}
        self.counts[1].pop((0,), None)  # never predicted
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
            return 1 / (V - 1)
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
# Pieces of text: whole documents, begun by the special token, and ones that begin anywhere.
pieces = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(1, V - 1), min_size=1, max_size=12)).map(
        lambda piece: [0, *piece[1]] if piece[0] else piece[1]
    ),
    min_size=1,
    max_size=8,
)


def flat(text: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """All pieces on end, and where each begins."""
    return np.array([t for piece in text for t in piece]), np.cumsum([0, *map(len, text[:-1])])


@given(pieces, pieces, st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_probabilities_are_those_of_the_formula(train: list[list[int]], held_out: list[list[int]], order: int) -> None:
    model, hand = KneserNey(V, order).fit(*flat(train)), ByHand(train, order)
    found = model.log_probabilities(*flat(held_out))
    expected = []
    for row in map(tuple, held_out):
        expected += [0.0, *(np.log(hand.p(row[i], row[max(0, i - order + 1) : i])) for i in range(1, len(row)))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(texts, st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_a_document_is_a_piece_without_being_called_one(train: list[list[int]], order: int) -> None:
    whole = [[0, *words] for words in train]
    plain, cut = KneserNey(V, order).fit(documents(train)), KneserNey(V, order).fit(*flat(whole))
    np.testing.assert_array_equal(plain.log_probabilities(documents(train)), cut.log_probabilities(*flat(whole)))


@given(pieces, st.lists(st.integers(1, V - 1), max_size=6), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_the_probabilities_of_all_tokens_sum_to_one(train: list[list[int]], history: list[int], order: int) -> None:
    model = KneserNey(V, order, begin=0).fit(*flat(train))
    total = sum(np.exp(model.log_probabilities(np.array([0, *history, w]))[-1]) for w in range(1, V))
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


def test_keys_are_sorted_alike_whether_or_not_key_and_place_fit_into_one_number() -> None:
    keys = np.random.default_rng(0).integers(0, 50, 300)
    small, large = _sorted(keys), _sorted(keys + 2**60)
    for order, found, expected in ((*small, keys), (*large, keys + 2**60)):
        np.testing.assert_array_equal(found, np.sort(expected))
        np.testing.assert_array_equal(expected[order], found)


def test_what_cannot_be_counted_is_refused() -> None:
    for tokens in ([], [0, V], [-1, 2]):
        with pytest.raises(ValueError, match="tokens have to be"):
            KneserNey(V, 2).fit(np.array(tokens))
    with pytest.raises(ValueError, match="order"):
        KneserNey(V, 0)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_probabilities_of_every_next_token_are_those_of_the_tokens_that_come(order: int) -> None:
    draws = np.random.default_rng(0)
    model = KneserNey(V, order).fit(draws.integers(0, V, 400), cuts=np.array([50, 51, 300]))
    rows = [[0], [3], [0, 1, 2, 3, 4, 5, 1, 2], [5, 4, 0, 1], [1, 0], [4, 4, 4, 4]]
    found = model.next_probabilities(rows)
    assert np.allclose(found.sum(axis=1), 1.0, atol=1e-12) and not found[:, 0].any()
    for row, own in zip(rows, found, strict=True):
        for token in range(1, V):
            expected = model.log_probabilities(np.array([*row, token]), cuts=np.array([0]))[-1]
            assert np.log(own[token]) == pytest.approx(expected, abs=1e-12)
