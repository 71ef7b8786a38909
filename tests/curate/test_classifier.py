"""A quality classifier: the exact minimum, what its test share says, and traps that it tells of."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse, special
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from assay.corpus import documents
from assay.corpus.signals import language
from assay.curate import classifier, features
from assay.errors import InputError

GOOD = ["river", "mountain", "lantern", "quiet", "harvest", "winter", "letter", "window", "garden", "bridge"]
BAD = ["buy", "cheap", "click", "offer", "deal", "free", "casino", "bonus", "winner", "prize"]
BOTH = ["the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "with", "as", "on", "was", "at", "by"]


def text_of(seed: int, own: list[str], words: int = 60, share: float = 0.15) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(own if draw.random() < share else BOTH) for _ in range(words)) + f" n{seed}"


def han(seed: int, own: str, chars: int = 120) -> str:
    draw = random.Random(seed)
    return "".join(
        draw.choice(own if draw.random() < 0.2 else "的一是在不了有和人这中大为上个国") for _ in range(chars)
    )


def written(folder: Path, name: str, texts: list[str], order: list[int] | None = None) -> Path:
    n, order = len(texts), order or list(range(len(texts)))
    batch = documents.batch([texts[i] for i in order], [name] * n, [f"{name}.jsonl"] * n, order, [None] * n)
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_batches([language.annotate(batch)]), path)
    return path


def made(good: Path, bad: Path) -> tuple[classifier.Classifier, features.Rows, pl.DataFrame]:
    table = classifier.sample([good], [bad]).table
    rows = classifier.rows_of(table, [good, bad], 18, 1, lambda done: None)
    return classifier.fit(rows, table, 18), rows, table


def drawn(documents: int, columns: int, held: int) -> tuple[features.Rows, pl.DataFrame]:
    """Rows of values drawn by chance, the columns of which are one kind's rather than the other's."""
    draw = np.random.default_rng(0)
    matrix = sparse.random_array((documents, columns), density=held / columns, rng=draw, format="csr")
    good = matrix @ draw.normal(size=columns) + draw.normal(size=documents) > 0.4
    share = np.array(["train", "train", "calibration", "test"])[np.arange(documents) % 4]
    table = pl.DataFrame({"good": good, "share": share, "language": ["en"] * documents})
    buckets, values = matrix.indices.astype(np.int32), matrix.data.astype(np.float32)
    return features.Rows(matrix.indptr.astype(np.int64), buckets, values, np.diff(matrix.indptr)), table


def test_weights_are_those_of_an_exact_fit() -> None:
    """Of another solver, which goes on until nothing changes."""
    rows, table = drawn(800, 64, 12)
    model = classifier.fit(rows, table, 6)
    train = table["share"].to_numpy() == "train"
    matrix, good = rows.of(train).matrix(64), table["good"].to_numpy()[train]
    exact = LogisticRegression(C=model.strength, class_weight="balanced", solver="newton-cholesky", tol=1e-12)
    exact.fit(matrix.toarray().astype(float), good)
    mine = special.expit(matrix @ model.weights + model.bias)
    assert np.abs(mine - exact.predict_proba(matrix.toarray())[:, 1]).max() < 1e-3


def test_weights_are_the_same_with_any_number_of_threads() -> None:
    rows, table = drawn(600, 1 << 15, 300)
    made = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            made.append(classifier.fit(rows, table, 15))
    assert np.array_equal(made[0].weights, made[1].weights)
    assert (made[0].bias, made[0].calibration) == (made[1].bias, made[1].calibration)


def test_platt_gives_back_the_scale_that_was_lost() -> None:
    draw = np.random.default_rng(1)
    true = draw.normal(size=20_000) * 2
    good = draw.random(20_000) < special.expit(true)
    slope, shift = classifier.platt(5 * true - 3, good)
    assert slope == pytest.approx(0.2, rel=0.05)
    assert shift == pytest.approx(0.6, abs=0.1)


def test_good_and_bad_are_told_apart_and_chances_are_chances(tmp_path: Path) -> None:
    good = written(tmp_path, "good", [text_of(i, GOOD, share=0.06) for i in range(800)])
    bad = written(tmp_path, "bad", [text_of(10_000 + i, BAD, share=0.06) for i in range(400)])
    model, rows, table = made(good, bad)
    found = classifier.judged(model, rows, table)
    assert 0.9 < found["auc"]["interval"][0] <= found["auc"]["value"]
    assert found["test"] == {"good": 160, "bad": 80}
    assert not found["lengths_differ"]
    assert not found["languages_differ"]
    told = classifier.telling(model, rows, table, [good, bad])
    assert set(GOOD) & {one["text"] for one in told["good"]}
    assert set(BAD) & {one["text"] for one in told["bad"]}
    first = told["bad"][0]
    assert first["weight"] < 0
    assert first["in_bad"] > first["in_good"]

    fresh = [text_of(50_000 + i, GOOD if i % 2 else BAD, share=0.06) for i in range(2000)]
    chance = model.probabilities(pa.array(fresh))
    is_good = np.arange(2000) % 2 == 1
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1)):
        own = (chance >= low) & (chance <= high)
        if own.sum() > 100:
            assert chance[own].mean() == pytest.approx(is_good[own].mean(), abs=0.12)


def test_chinese(tmp_path: Path) -> None:
    good = written(tmp_path, "good", [han(i, "山水风月诗书") for i in range(150)])
    bad = written(tmp_path, "bad", [han(i + 999, "优惠促销抽奖") for i in range(150)])
    model, rows, table = made(good, bad)
    assert classifier.judged(model, rows, table)["auc"]["value"] > 0.95
    assert model.probabilities(pa.array(["山水风月" * 9, "优惠促销" * 9])) == pytest.approx([1, 0], abs=0.1)
    told = classifier.telling(model, rows, table, [good, bad])
    assert set("优惠促销抽奖") & {one["text"] for one in told["bad"]}


def test_nothing_depends_on_the_order_of_documents(tmp_path: Path) -> None:
    texts = [[text_of(i, GOOD) for i in range(120)], [text_of(500 + i, BAD) for i in range(120)]]
    weights = []
    for seed in (None, 3):
        order = list(range(120))
        if seed is not None:
            random.Random(seed).shuffle(order)
        folder = tmp_path / str(seed)
        folder.mkdir()
        model, *_ = made(*(written(folder, name, own, order) for name, own in zip(("a", "b"), texts, strict=True)))
        weights.append(model)
    assert np.array_equal(weights[0].weights, weights[1].weights)
    assert weights[0].calibration == weights[1].calibration


def test_a_difference_of_length_is_told_and_what_is_left_without_it(tmp_path: Path) -> None:
    """The same words in both: nothing but the length tells them apart, and that only where it differs."""
    good = written(tmp_path, "good", [text_of(i, GOOD, 150 + i % 90) for i in range(300)])
    bad = written(tmp_path, "bad", [text_of(9_000 + i, GOOD, 20 + i % 160) for i in range(300)])
    found = classifier.judged(*made(good, bad))
    assert found["lengths_differ"]
    assert found["length_auc"] > 0.85
    low, high = found["alike"]["interval"]
    assert low < 0.6  # as good as nothing
    assert high < found["auc"]["value"] or found["auc"]["value"] < 0.6


def test_a_difference_of_language_is_told(tmp_path: Path) -> None:
    good = written(tmp_path, "good", [text_of(i, GOOD) for i in range(150)])
    bad = written(tmp_path, "bad", [han(i, "山水风月诗书") for i in range(150)])
    found = classifier.judged(*made(good, bad))
    assert found["languages_differ"]
    assert found["languages_apart"] > 0.9
    assert found["alike"]["value"] is None  # no pair of one language


def test_texts_of_both_kinds_and_copies_are_left_out(tmp_path: Path) -> None:
    own = [text_of(i, GOOD) for i in range(130)]
    good = written(tmp_path, "good", own + own[:20])
    bad = written(tmp_path, "bad", [text_of(500 + i, BAD) for i in range(130)] + own[:10])
    found = classifier.sample([good], [bad])
    assert (found.equal, found.both, len(found.table)) == (20, 10, 250)
    shares = found.table.group_by("good", "share").len()
    for kind in (True, False):
        counts = dict(shares.filter(good=kind).select("share", "len").iter_rows())
        assert counts["test"] == pytest.approx(0.2 * sum(counts.values()), abs=1)
        assert counts["calibration"] == pytest.approx(0.1 * sum(counts.values()), abs=1)


def test_pieces_of_one_text_stay_on_one_side(tmp_path: Path) -> None:
    texts = [text_of(i, GOOD) for i in range(400)]
    batch = documents.batch(
        texts, ["s"] * 400, [f"{i // 8}.txt" for i in range(400)], [i % 8 for i in range(400)], [None] * 400
    )
    pq.write_table(pa.Table.from_batches([language.annotate(batch)]), tmp_path / "good.parquet")
    bad = written(tmp_path, "bad", [text_of(500 + i, BAD) for i in range(130)])
    table = classifier.sample([tmp_path / "good.parquet"], [bad]).table
    places = dict(zip(batch.column("doc_id").to_pylist(), (i // 8 for i in range(400)), strict=True))
    own = table.filter("good").with_columns(text=pl.col("doc_id").replace_strict(places))
    assert own.group_by("text").agg(pl.col("share").n_unique())["share"].max() == 1
    assert own["share"].n_unique() == 3


def test_too_few_are_refused(tmp_path: Path) -> None:
    good = written(tmp_path, "good", [text_of(i, GOOD) for i in range(150)])
    bad = written(tmp_path, "bad", ["the same"] * 300)
    with pytest.raises(InputError, match="--bad: 1 different documents are too few"):
        classifier.sample([good], [bad])


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    model = classifier.Classifier(
        np.random.default_rng(0).normal(size=1 << 16).astype(np.float32), -0.5, (2.0, 0.25), ("en", "zh"), 10.0
    )
    model.save(tmp_path, "# card")
    again = classifier.Classifier.load(tmp_path)
    text = pa.array(["some words", "天地", "", "!"])
    scores = again.probabilities(text)
    assert np.array_equal(scores, model.probabilities(text), equal_nan=True)
    assert np.isnan(scores).tolist() == [False, False, True, False]
    assert again.languages == ("en", "zh")
    (tmp_path / classifier.CONFIG).write_text('{"model_type": "assay-classifier", "format": 2}')
    with pytest.raises(InputError, match="is no quality classifier"):
        classifier.Classifier.load(tmp_path)
