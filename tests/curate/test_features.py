"""What a classifier sees of a document, against n-grams counted in plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from assay.curate import features

TEXTS = [
    "the cat sat on the mat and the cat slept", "天地玄黄宇宙天地", "我用Python写天地", "", " \n ", "ПРИВЕТ мир",
    "Привет МИР", "a",
]  # fmt: skip


def plain(units: list[tuple[str, bool]]) -> Counter[tuple[str, ...]]:
    """N-grams of units, of which the flag says that they are single characters."""
    found: Counter[tuple[str, ...]] = Counter()
    for n in (1, 2, 3):
        for i in range(len(units) - n + 1):
            own = units[i : i + n]
            if n < 3 or all(single for _, single in own):
                found[tuple(text for text, _ in own)] += 1
    return found


def units_of(text: str) -> list[tuple[str, bool]]:
    """Of text without marks."""
    made: list[tuple[str, bool]] = []
    for word in text.lower().split():
        held = ""
        for char in word:
            if "\u3400" <= char <= "\u9fff":
                made += [(held, False)] if held else []
                made.append((char, True))
                held = ""
            else:
                held += char
        made += [(held, False)] if held else []
    return made


def test_n_grams_are_those_of_words_and_of_single_characters() -> None:
    rows = features.rows_of(pa.array(TEXTS))
    for i, text in enumerate(TEXTS):
        wanted, total = plain(units_of(text)), rows.n_grams[i]
        assert total == wanted.total()
        values = rows.values[rows.starts[i] : rows.starts[i + 1]]
        # 2^20 buckets, some dozen n-grams: none share a bucket here.
        assert sorted(np.round(values**2 * total).astype(int)) == sorted(wanted.values())
        assert total == 0 or (values.astype(float) ** 2).sum() == pytest.approx(1, abs=1e-6)


def test_the_same_words_are_the_same_columns_in_any_case_and_batch() -> None:
    rows = features.rows_of(pa.array(TEXTS))
    alone = [features.rows_of(pa.array([text])) for text in TEXTS]
    joined = features.joined(alone)
    for name in ("starts", "buckets", "values", "n_grams"):
        assert np.array_equal(getattr(rows, name), getattr(joined, name)), name
    assert np.array_equal(alone[5].buckets, alone[6].buckets)
    weights = np.random.default_rng(0).normal(size=1 << features.BITS)
    assert rows.dot(weights) == pytest.approx(rows.matrix(1 << features.BITS) @ weights)
    assert np.array_equal(rows.dot(weights), np.concatenate([one.dot(weights) for one in alone]))
    assert rows.of(np.array([2, 0])).dot(weights) == pytest.approx(rows.dot(weights)[[2, 0]])
    assert len(features.joined([])) == 0


def test_buckets_are_spread_evenly() -> None:
    words = pa.array([" ".join(f"w{i}" for i in range(20_000))])
    found = np.bincount(features.rows_of(words, 8).buckets, minlength=256)
    assert (found == 1).all()  # a row holds each bucket once
    counts = np.array([bucket for bucket, _ in features.places_of(words, np.ones(256, dtype=bool), 8)])
    assert np.bincount(counts, minlength=256).std() < 3 * (40_000 / 256) ** 0.5


def test_n_grams_can_be_named() -> None:
    wanted = np.ones(1 << features.BITS, dtype=bool)
    named = Counter(text for _, text in features.places_of(pa.array(["The cat.", "玄黄，The"]), wanted))
    assert named == Counter(
        ["the", "cat", "the cat", ".", "cat.", "玄", "黄", "玄黄", "，", "黄，", "玄黄，", "the", "，the"]
    )
