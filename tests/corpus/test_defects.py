"""Defects: deterministic, independent of batching, the dose asked for, the same in Chinese."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from corpus_texts import batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.altering import defects
from assay.corpus.documents import DOCUMENTS
from assay.corpus.duplicates import shingles

TEXT = st.text(alphabet="ab é\n\t,。中文字カ𠀀😀", max_size=80)
DEFECTS: dict[str, Callable[[pa.RecordBatch, int], pa.RecordBatch]] = {
    "noise": lambda batch, seed: defects.character_noise(batch, 0.2, seed),
    "copies": lambda batch, seed: defects.near_duplicates(batch, 1, 0.1, seed),
    "shuffle": defects.shuffle_words,
}


@pytest.mark.parametrize("name", DEFECTS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=8), seed=st.integers(0, 9))
def test_the_same_however_batched(name: str, texts: list[str], seed: int) -> None:
    batch = batch_of(texts)
    whole = DEFECTS[name](batch, seed)
    single = [DEFECTS[name](batch.slice(i, 1), seed) for i in range(len(texts))]
    assert whole.to_pylist() == [row for part in single for row in part.to_pylist()]
    assert whole.schema == DOCUMENTS
    assert whole.column("parent_id").to_pylist() == batch.column("doc_id").to_pylist()
    assert not set(whole.column("doc_id").to_pylist()) & set(batch.column("doc_id").to_pylist())
    sizes = [len(text.encode()) for text in whole.column("text").to_pylist()]
    assert whole.column("n_bytes").to_pylist() == sizes


@pytest.mark.parametrize("name", DEFECTS)
def test_another_seed_another_result(name: str) -> None:
    batch = batch_of([english(1), chinese(1)])
    first, second = (DEFECTS[name](batch, seed).column("text").to_pylist() for seed in (1, 2))
    assert all(a != b for a, b in zip(first, second, strict=True))


def distance(a: str, b: str) -> int:
    """Levenshtein, by the textbook."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@pytest.mark.parametrize("write", [english, chinese])
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1])
def test_the_dose_is_the_one_asked_for(write: Callable[[int, int], str], rate: float) -> None:
    texts = [write(i, 100) for i in range(8)]
    noisy = defects.character_noise(batch_of(texts), rate, 7).column("text").to_pylist()
    changed = sum(distance(a, b) for a, b in zip(texts, noisy, strict=True))
    # A swap counts as two of Levenshtein's edits; some draws change nothing.
    total = sum(map(len, texts))
    assert 0.7 * rate * total <= changed <= 1.6 * rate * total + 0.01 * total * (rate > 0)


@pytest.mark.parametrize("write", [english, chinese])
def test_noise_uses_the_documents_own_characters(write: Callable[[int], str]) -> None:
    text = write(3)
    noisy = defects.character_noise(batch_of([text]), 0.5, 1).column("text")[0].as_py()
    assert set(noisy) <= set(text)
    assert noisy != text


def test_full_noise_and_tiny_documents_do_not_break() -> None:
    batch = batch_of(["", "a", "中", "ab", "\n"])
    assert len(defects.character_noise(batch, 1.0, 1)) == 5
    assert len(defects.near_duplicates(batch, 2, 1.0, 1)) == 10
    assert len(defects.character_noise(batch.slice(0, 0), 0.5, 1)) == 0


@pytest.mark.parametrize("write", [english, chinese])
def test_copies_are_near_duplicates_and_not_exact(write: Callable[[int, int], str]) -> None:
    texts = [write(i, 600) for i in range(6)]
    made = defects.near_duplicates(batch_of(texts), 3, 0.01, 5)
    assert len(made) == 18
    assert len(set(made.column("content_hash").to_pylist())) == 18
    hashes, offsets = shingles.shingles(pa.array([*texts, *made.column("text").to_pylist()]))
    sets = [set(hashes[offsets[i] : offsets[i + 1]].tolist()) for i in range(24)]
    for i in range(18):
        a, b = sets[i % 6], sets[6 + i]
        assert len(a & b) / len(a | b) > 0.6


def test_a_long_document_loses_one_line_in_a_copy() -> None:
    lines = [f"line {i} of the poem" for i in range(40)]
    copy = defects.near_duplicates(batch_of(["\n".join(lines)]), 1, 0.0, 1).column("text")[0].as_py().split("\n")
    assert len(copy) in (39, 40)
    assert set(copy) < {*lines, ""}


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_shuffling_keeps_words_lines_and_white_space(texts: list[str]) -> None:
    shuffled = defects.shuffle_words(batch_of(texts), 3).column("text").to_pylist()
    for before, after in zip(texts, shuffled, strict=True):
        assert [sorted(line) for line in before.split("\n")] == [sorted(line) for line in after.split("\n")]
        if "中" not in before and "カ" not in before:
            for left, right in zip(before.split("\n"), after.split("\n"), strict=True):
                if not any(c in "中文字カ𠀀，。😀" for c in left):
                    assert sorted(left.split()) == sorted(right.split())


def test_chinese_is_shuffled_by_characters() -> None:
    text = chinese(2)
    shuffled = defects.shuffle_words(batch_of([text]), 3).column("text")[0].as_py()
    assert sorted(shuffled) == sorted(text)
    assert sum(a == b for a, b in zip(text, shuffled, strict=True)) < len(text) / 4
