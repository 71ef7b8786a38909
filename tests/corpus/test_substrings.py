"""Exact substrings that stand earlier: the characters that a sorted list of all windows marks, no more and no fewer."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from corpus_texts import chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st
from test_spans import in_order

from assay.corpus.duplicates import ordered, substrings
from assay.corpus.duplicates.spans import WEIGHT


def brute(texts: list[str], length: int) -> list[set[int]]:
    """The definition: of every character, the shortest stretch of `length` from it on; marked where an equal one stands
    wholly before it. Windows that are equal lie side by side in a sorted list, as in a suffix array."""
    windows = []
    base = 0
    for d, text in enumerate(texts):
        for begin in range(len(text)):
            weight, end = 0, begin
            while end < len(text) and weight < length:
                weight += WEIGHT if "\u4e00" <= text[end] <= "\u9fff" else 1
                end += 1
            if weight >= length:
                windows.append((text[begin:end], base + begin, d, begin, end))
        base += len(text)
    marked: list[set[int]] = [set() for _ in texts]
    said, first = "", 0
    for text, place, d, begin, end in sorted(windows):
        if text != said:
            said, first = text, place
        if first + len(text) <= place:
            marked[d].update(range(begin, end))
    return marked


def found(texts: list[str], length: int, slots: int = 1 << 20, chunk: int | None = None) -> list[set[int]]:
    """What is marked; every row says the same as its first place, and none covers another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = in_order(texts, folder)
        if chunk:
            corpus = Chunked(**vars(corpus))
        substrings.repeated(corpus, length, folder, slots=slots)
        marked: list[set[int]] = [set() for _ in texts]
        for begin, end, first in np.load(folder / "rows.npy").tolist():
            assert first < begin
            assert corpus.text[begin:end].tobytes() == corpus.text[first : first + end - begin].tobytes()
            d, e = corpus.document_of(np.array([begin, first]))
            assert first + end - begin <= corpus.offsets[e + 1]
            at, to, zero = corpus.characters(np.array([begin, end, corpus.offsets[d]])).tolist()
            assert not marked[d] & set(range(at - zero, to - zero))
            marked[d].update(range(at - zero, to - zero))
    return marked


class Chunked(ordered.Ordered):
    """A corpus in chunks of few documents."""

    def chunks(self, size: int = 64) -> list[tuple[int, int]]:
        return super().chunks(64)


@settings(max_examples=60)
@given(st.data())
def test_the_same_characters_as_a_sorted_list_of_windows(data: st.DataObject) -> None:
    alphabet = data.draw(st.sampled_from(["ab", "ab\n ", "天地", "a天", "aé😀-"]))
    seeds = data.draw(st.lists(st.text(alphabet, min_size=1, max_size=40), min_size=1, max_size=4))
    texts = data.draw(st.lists(st.lists(st.sampled_from(seeds), min_size=1, max_size=4).map("".join), max_size=6))
    length = data.draw(st.integers(3, 40))
    slots = data.draw(st.sampled_from([16, 64, 1 << 20]))
    texts = [*texts, *seeds]
    assert found(texts, length, slots, data.draw(st.sampled_from([None, 64]))) == brute(texts, length)


@pytest.mark.parametrize("write", [english, chinese])
def test_planted_passages_are_found_at_the_default_length(write: object) -> None:
    draw = random.Random(0)
    texts = [write(i, 300) for i in range(12)]  # type: ignore[operator]
    for i in range(6, 12):
        other, begin = texts[i - 6], draw.randrange(10, 40)
        size = substrings.LENGTH if write is english else -(-substrings.LENGTH // WEIGHT)
        passage = other[begin : begin + (size + 20 if i % 2 else size - 20)]
        texts[i] = texts[i][:37] + passage + texts[i][37:]
    marked = found(texts, substrings.LENGTH)
    assert marked == brute(texts, substrings.LENGTH)
    assert [bool(one) for one in marked] == [False] * 6 + [False, True] * 3


def test_the_first_of_a_long_row_of_dashes_stays() -> None:
    assert found(["-" * 1000], 200) == [set(range(200, 1000))]
    assert found(["ab" * 500], 200) == [set(range(200, 1000))]
    assert found(["好" * 200], 200) == [set(range(67, 200))]


def test_a_passage_in_every_document_stays_once(tmp_path: Path) -> None:
    common = english(1, 60)
    texts = [f"{english(i + 2, 30)} {common} {english(i + 900, 30)}" for i in range(150)]
    marked = found(texts, 100, slots=1 << 10)
    assert not marked[0]
    assert all(len(one) >= len(common) for one in marked[1:])
    assert marked == brute(texts, 100)


def test_stretches_do_not_reach_over_documents() -> None:
    a, b = english(1, 20), english(2, 20)
    assert not any(found([a, b, a[-60:] + b[:60]], 100))
    assert not any(found([a + b, a[-60:], b[:60]], 100))
