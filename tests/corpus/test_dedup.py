"""Duplicates: hashed sets equal brute force, clusters are found in both languages and in any order."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import HAN, batch_of, chinese, english
from near_texts import brute, held_together, near_copy

from assay.corpus import documents
from assay.corpus.duplicates import candidates, dedup, shingles


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
    hashes, offsets = shingles.shingles(pa.array(rows))
    sets = [np.unique(hashes[offsets[i] : offsets[i + 1]]) for i in range(len(rows))]
    for i in range(len(rows)):
        for j in range(i, min(i + 4, len(rows))):
            assert dedup.jaccard(sets[i], sets[j]) == pytest.approx(brute(rows[i], rows[j])), (i, j)


@pytest.mark.parametrize("write", [english, chinese])
@pytest.mark.parametrize(("whole", "share"), [(3900, 0.82), (4600, 0.8), (6000, 0.75), (9000, 0.9)])
def test_sets_that_are_cut_keep_their_similarity(write: object, whole: int, share: float) -> None:
    """Whichever of the two has more shingles than are kept: neither, the longer one, both."""
    text = write(7, whole)  # type: ignore[operator]
    while len(text) < whole:
        text += write(8, whole)  # type: ignore[operator]
    rows = [text[:whole], text[: round(whole * share)]]
    hashes, offsets = shingles.shingles(pa.array(rows))
    sets = [np.unique(hashes[offsets[i] : offsets[i + 1]])[: dedup._SET] for i in range(2)]
    assert dedup.jaccard(*sets) == pytest.approx(brute(*rows), abs=0.025), [len(one) for one in sets]
    assert dedup.jaccard(*sets) == dedup.jaccard(*reversed(sets))


@pytest.mark.parametrize("write", [english, chinese])
def test_signatures_estimate_the_jaccard(write: object) -> None:
    rows = [write(1, 2000), edited(write(1, 2000), 0.01, 1)]  # type: ignore[operator]
    signature = shingles.signatures(*shingles.shingles(pa.array(rows)))
    assert (signature[0] == signature[1]).mean() == pytest.approx(brute(*rows), abs=0.12)


def test_short_documents_have_full_signatures() -> None:
    signature = shingles.signatures(*shingles.shingles(pa.array(["天地玄黄宇宙", "天地玄黄宇宙!", "a", ""])))
    assert signature.shape == (4, shingles.VALUES)
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


@pytest.mark.parametrize("write", [english, chinese])
def test_planted_copies_are_found_and_nothing_else(write: object, tmp_path: Path) -> None:
    draw = random.Random(5)
    originals = [write(i) for i in range(60)]  # type: ignore[operator]
    copies = [
        near_copy(text, originals[i - 1], draw.uniform(0.6, 0.95), draw) for i, text in enumerate(originals)
    ]  # fmt: skip
    rows = [*originals, *copies]
    by_id = found(rows, tmp_path)
    cluster = [by_id[doc_id]["cluster"] for doc_id in batch_of(rows).column("doc_id").to_pylist()]
    alike = [brute(text, copy) for text, copy in zip(originals, copies, strict=True)]
    together = [cluster[i] == cluster[i + 60] for i in range(60)]
    for similarity, same in zip(alike, together, strict=True):
        assert same == (similarity >= dedup.THRESHOLD) or 0.7 <= similarity < 0.8, similarity
    assert sum(0.7 <= one < 0.8 for one in alike) >= 10
    assert sum(same for one, same in zip(alike, together, strict=True) if 0.7 <= one < 0.8) >= 10
    for name in set(cluster):
        assert held_together([text for text, own in zip(rows, cluster, strict=True) if own == name], dedup.THRESHOLD)


def with_boilerplate(documents: int, share: float, edit: float) -> list[str]:
    """Pairs of texts of which `share` stands in all of them, and the last `edit` of the rest differs within a pair."""
    words = 160
    common, made = english(99_999, int(words * share)), []
    for i in range(documents // 2):
        own = english(i, words - int(words * share))
        kept = own[: round(len(own) * (1 - edit))]
        other = english(i + 1_000_000, words)[: len(own) - len(kept)]
        made += [f"{common} {own}", f"{common} {kept}{other}"]
    return made


@pytest.mark.parametrize(
    ("share", "edit", "alike", "recall"),
    [(0.5, 0.27, 0.33, 0.995), (0.7, 0.45, 0.53, 0.97), (0.75, 0.55, 0.59, 0.925), (0.78, 0.62, 0.63, 0.87)],
)
def test_recall_of_pairs_that_share_a_band_under_boilerplate(
    share: float, edit: float, alike: float, recall: float, tmp_path: Path
) -> None:
    rows = with_boilerplate(1000, share, edit)
    hashes, offsets = shingles.shingles(pa.array(rows))
    sets = [np.unique(hashes[offsets[i] : offsets[i + 1]]) for i in range(len(rows))]
    banded = shingles.bands(shingles.signatures(hashes, offsets))
    others = [dedup.jaccard(sets[i], sets[i + 2]) for i in range(0, 100, 2)]
    assert np.mean(others) == pytest.approx(alike, abs=0.04)
    of_pair = np.array([dedup.jaccard(sets[i], sets[i + 1]) for i in range(0, len(rows), 2)])
    assert of_pair.mean() == pytest.approx(0.75, abs=0.04)
    meet = (banded[::2] == banded[1::2]).any(axis=1) & (of_pair >= dedup.THRESHOLD)
    by_id = found(rows, tmp_path)
    cluster = np.array([by_id[i]["cluster"] for i in batch_of(rows).column("doc_id").to_pylist()])
    together = (cluster[::2] == cluster[1::2])[meet].mean()
    assert together >= recall


def test_neighbours_are_all_pairs_of_a_bucket_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_ROWS", 7)
    draw = np.random.default_rng(0)
    band = draw.integers(0, 12, 300).astype(np.uint64)
    key = draw.permutation(300).astype(np.uint64)
    pq.write_table(pa.table({"key": key, "band": band}), tmp_path / "bands.parquet")
    with duckdb.connect() as connection:
        for nearest, farthest in ((1, 1), (2, 5), (1, 60)):
            made = candidates.neighbours(connection, tmp_path / "bands.parquet", nearest, farthest)
            pairs = [pair for left, right in made for pair in zip(left.tolist(), right.tolist(), strict=True)]
            expected = []
            for b in range(12):
                inside = sorted(key[band == b].tolist())
                expected += [
                    (inside[i], inside[j])
                    for i in range(len(inside))
                    for j in range(i + nearest, min(i + farthest + 1, len(inside)))
                ]
            assert sorted(pairs) == sorted(expected)


def test_memory_does_not_grow_with_near_duplicates(tmp_path: Path) -> None:
    base = english(1, 600)

    def peak(n: int, folder: Path) -> int:
        folder.mkdir()
        rows = [edited(base, 0.002, i) for i in range(n)]
        with documents.PartsWriter(folder, "documents", documents.DOCUMENTS) as writer:
            for begin in range(0, n, 100):
                writer.write(batch_of(rows[begin : begin + 100]))
        tracemalloc.start()
        dedup.duplicates(sorted(folder.glob("documents-*")), folder)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few = peak(100, tmp_path / "few")  # their shingle sets are 30 KB each
    assert peak(1000, tmp_path / "many") < few + 12_000_000


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
