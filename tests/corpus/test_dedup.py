"""Duplicates: hashed sets equal brute force, clusters are found in both languages and in any order."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from corpus_texts import HAN, batch_of, chinese, english

from assay.corpus import dedup, documents


def shingle_set(text: str) -> set[str]:
    """The definition: folded letters and digits, windows of 24 (5 for Chinese)."""
    folded = "".join(c.lower() for c in text if c.isalnum())
    unspaced = sum("\u4e00" <= c <= "\u9fff" for c in folded)
    width = 5 if unspaced > len(folded) / 3 else 24
    return {folded[i : i + width] for i in range(len(folded) - width + 1)} or {folded or text}


def brute(left: str, right: str) -> float:
    a, b = shingle_set(left), shingle_set(right)
    return len(a & b) / len(a | b)


def edited(text: str, rate: float, seed: int) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(HAN + "abc") if draw.random() < rate else c for c in text)


def texts() -> list[str]:
    made = []
    for i in range(12):
        base = english(i) if i % 2 else chinese(i)
        made += [base, edited(base, 0.004, i), edited(base, 0.03, i)]
    return [*made, "", "x", "X!", "。。", "，，"]


def found(rows: list[str], tmp_path: Path, order: list[int] | None = None) -> dict[str, dict[str, object]]:
    batch = batch_of(rows)
    if order:
        batch = batch.take(pa.array(order))
    with documents.PartsWriter(tmp_path, "documents", documents.DOCUMENTS) as writer:
        writer.write(batch)
    table, _ = dedup.duplicates(sorted(tmp_path.glob("documents-*")), tmp_path)
    return {row["doc_id"]: row for row in table.to_pylist()}


def test_hashed_shingles_have_the_jaccard_of_the_definition() -> None:
    rows = texts()
    hashes, offsets = dedup.shingles(pa.array(rows))
    sets = [np.unique(hashes[offsets[i] : offsets[i + 1]]) for i in range(len(rows))]
    for i in range(len(rows)):
        for j in range(i, min(i + 4, len(rows))):
            assert dedup.jaccard(sets[i], sets[j]) == pytest.approx(brute(rows[i], rows[j])), (i, j)


@pytest.mark.parametrize("write", [english, chinese])
def test_signatures_estimate_the_jaccard(write: object) -> None:
    rows = [write(1, 2000), edited(write(1, 2000), 0.01, 1)]  # type: ignore[operator]
    signature = dedup.signatures(*dedup.shingles(pa.array(rows)))
    assert (signature[0] == signature[1]).mean() == pytest.approx(brute(*rows), abs=0.12)


def test_short_documents_have_full_signatures() -> None:
    signature = dedup.signatures(*dedup.shingles(pa.array(["天地玄黄宇宙", "天地玄黄宇宙!", "a", ""])))
    assert signature.shape == (4, dedup.VALUES)
    assert (signature[0] == signature[1]).all()
    assert (signature[2] != signature[3]).all()


def test_clusters_are_those_of_brute_force(tmp_path: Path) -> None:
    rows = [text for text in texts() if text]
    by_id = found(rows, tmp_path)
    ids = batch_of(rows).column("doc_id").to_pylist()
    for i, left in enumerate(rows):
        for j, right in enumerate(rows[:i]):
            together = by_id[ids[i]]["cluster"] == by_id[ids[j]]["cluster"]
            similarity = brute(left, right)
            if similarity >= 0.85:  # 20 x 6 misses one in 3,000 here
                assert together, (left, right)
            if similarity < 0.3:
                assert not together, (left, right)


def test_exact_copies_and_representatives(tmp_path: Path) -> None:
    rows = [english(1), chinese(1), english(1), chinese(1), english(2)]
    by_id = found(rows, tmp_path)
    assert sum(row["is_exact_duplicate"] for row in by_id.values()) == 2
    for row in by_id.values():
        assert row["cluster"] <= row["doc_id"]
        assert row["is_near_duplicate"] == (row["cluster"] != row["doc_id"])
        assert by_id[row["cluster"]]["cluster"] == row["cluster"]


def test_the_order_of_documents_does_not_matter(tmp_path: Path) -> None:
    rows = texts()[:-5]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    order = list(range(len(rows)))
    random.Random(3).shuffle(order)
    assert found(rows, tmp_path / "a") == found(rows, tmp_path / "b", order)
