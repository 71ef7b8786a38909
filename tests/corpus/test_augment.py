"""Augmented copies and resampled mixtures: rates, words, cases, shares by a closed form."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import WORDS, batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.altering import augment, resample
from assay.corpus.altering.augment import NEIGHBOURS, Augmentation, augmented
from assay.corpus.altering.resample import resampled, tempered, weighted
from assay.corpus.documents import DOCUMENTS
from assay.errors import InputError

TEXT = st.text(alphabet="ab é\n,.。中文天气们😀", max_size=60)


def neighbours(tmp_path: Path, *rows: tuple[str, str, float]) -> Path:
    columns = [list(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, schema=NEIGHBOURS), tmp_path / "neighbours.parquet")
    return tmp_path / "neighbours.parquet"


@settings(max_examples=20)
@given(st.lists(TEXT, min_size=1, max_size=6), st.integers(0, 5))
def test_the_same_however_batched_and_nothing_else_changes(texts: list[str], seed: int) -> None:
    batch = batch_of(texts)
    how = Augmentation(drop=0.2, swap=0.2, copies=2, seed=seed)
    whole, counts = augmented(batch, how)
    single = [augmented(batch.slice(i, 1), how)[0] for i in range(len(texts))]
    rows = whole.to_pylist()
    assert whole.schema == DOCUMENTS
    assert rows == [row for part in single for row in part.to_pylist()]
    assert [row for row in rows if row["parent_id"] is None] == batch.to_pylist()
    before = {row["doc_id"]: row for row in batch.to_pylist()}
    for row in rows:
        if row["parent_id"] is not None:
            parent = before[row["parent_id"]]
            assert row["text"] != parent["text"]
            assert (row["source"], row["origin"], row["ordinal"]) == ("s", "a.jsonl", parent["ordinal"])
            assert row["text"].count("\n") == parent["text"].count("\n")
            assert not Counter(row["text"]) - Counter(parent["text"])  # dropped and swapped, nothing new
    assert counts["s"]["copies"] + counts["s"]["alike"] == 2 * len(texts)
    assert len(rows) == len(texts) + counts["s"]["copies"]


def test_seeds_and_copies_differ() -> None:
    batch = batch_of([english(1), chinese(1)])
    made = [
        row["text"]
        for seed in (1, 2)
        for row in augmented(batch, Augmentation(drop=0.2, copies=3, seed=seed))[0].to_pylist()
        if row["parent_id"]
    ]
    assert len(set(made)) == len(made) == 12


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_words_are_dropped_at_the_rate_asked_for(rate: float) -> None:
    """Within four standard deviations; marks stay where they are."""
    texts = [english(i, 200) for i in range(20)]
    made, _ = augmented(batch_of(texts), Augmentation(drop=rate))
    out = [row["text"] for row in made.to_pylist() if row["parent_id"]]
    n = sum(len(text.split()) for text in texts)
    left = sum(sum(word.strip(".") in WORDS for word in text.replace(".", " ").split()) for text in out)
    assert abs(left - n * (1 - rate)) < 4 * math.sqrt(n * rate * (1 - rate))
    assert [text.count(".") for text in out] == [text.count(".") for text in texts]
    assert not any("  " in text for text in out)


def test_an_only_word_stays() -> None:
    made, counts = augmented(batch_of(["one", "中国", "one two three"]), Augmentation(drop=1.0))
    assert counts["s"] == {"documents": 3, "bytes": 22, "copies": 1, "alike": 2}
    assert made.column("text").to_pylist() == ["one", "中国", "one two three", "one"]


def test_swaps_are_of_neighbours_in_a_line() -> None:
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
    text = " ".join(words[:150]) + "\n" + " ".join(words[150:])
    made, _ = augmented(batch_of([text]), Augmentation(swap=0.3))
    out = made.column("text").to_pylist()[1]
    moved = [words.index(word) - i for i, word in enumerate(out.split())]
    assert set(moved) == {-1, 0, 1}
    assert [len(line) for line in out.split("\n")] == [len(line) for line in text.split("\n")]
    assert sorted(out.split("\n")[0].split()) == words[:150]
    # both of a pair must not be hit: 0.3 * 0.7 of the places, each moves two
    pairs = moved.count(1)
    assert abs(pairs - 300 * 0.21) < 4 * math.sqrt(300 * 0.21)


def test_similar_words_come_in_the_case_of_those_that_they_replace(tmp_path: Path) -> None:
    table = neighbours(tmp_path, ("cat", "dog", 0.9), ("天气", "气候", 0.8), ("good", "fine", 0.7))
    how = Augmentation(synonyms=1.0, neighbours=table)
    made, counts = augmented(batch_of(["Cat, cat; CAT! A good catalogue.", "这里的天气很好", "none of them"]), how)
    assert [row["text"] for row in made.to_pylist() if row["parent_id"]] == [
        "Dog, dog; DOG! A fine catalogue.", "这里的气候很好",
    ]  # fmt: skip
    assert counts["s"]["alike"] == 1


def test_neighbours_are_chosen_evenly(tmp_path: Path) -> None:
    table = neighbours(tmp_path, *(("cat", word, 0.9) for word in ("dog", "horse", "mouse")))
    made, _ = augmented(batch_of(["cat " * 3000]), Augmentation(synonyms=0.5, neighbours=table))
    found = Counter(made.column("text").to_pylist()[1].split())
    assert abs(found["cat"] - 1500) < 4 * math.sqrt(750)
    for word in ("dog", "horse", "mouse"):
        assert abs(found[word] - 500) < 4 * math.sqrt(3000 / 6 * 5 / 6)


def test_without_work_documents_pass() -> None:
    batch = batch_of(["a", "b"])
    made, counts = augmented(batch, Augmentation())
    assert made.equals(batch)
    assert counts["s"]["copies"] == 0
    assert len(augmented(batch.slice(0, 0), Augmentation(drop=0.5))[0]) == 0


@pytest.mark.parametrize("values", [{"drop": 1.1}, {"swap": -1.0}, {"synonyms": math.nan}, {"copies": 0}])
def test_bad_options_are_told(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(values))} is"):
        Augmentation(**values)  # type: ignore[arg-type]


# Resampling


@settings(max_examples=100)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6), st.floats(0.2, 20))
def test_temperature_shares_are_those_of_the_formula(amounts: list[int], temperature: float) -> None:
    named = {str(i): float(n) for i, n in enumerate(amounts)}
    times = tempered(named, temperature)
    want = [(n / sum(amounts)) ** (1 / temperature) for n in amounts]
    got = [times[name] * n / sum(amounts) for name, n in named.items()]
    assert got == pytest.approx([p / sum(want) for p in want], rel=1e-6, abs=1e-12)


def test_a_temperature_of_one_leaves_everything_and_a_large_one_is_uniform() -> None:
    assert tempered({"a": 10, "b": 990}, 1.0) == pytest.approx({"a": 1.0, "b": 1.0})
    assert tempered({"a": 10, "b": 990}, 1e9) == pytest.approx({"a": 50.0, "b": 500 / 990})
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="--temperature"):
            tempered({"a": 1}, bad)


def of_sources(n: int) -> pa.RecordBatch:
    parts = [batch_of([f"{i} of {name}" for i in range(n)], name) for name in ("one", "two")]
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


@pytest.mark.parametrize("times", [0.0, 0.3, 1.0, 2.5])
def test_documents_come_as_often_as_wanted(times: float) -> None:
    """Whole copies of each, and one more of a share within four standard deviations of it."""
    batch = of_sources(1000)
    made, counts = resampled(batch, {"one": times}, "source", {}, 3)
    copies = Counter(row["parent_id"] or row["doc_id"] for row in made.to_pylist() if row["source"] == "one")
    whole, rest = int(times), times - int(times)
    assert set(copies.values()) <= {whole, whole + 1}
    assert abs(sum(copies.values()) - 1000 * times) <= 4 * math.sqrt(1000 * rest * (1 - rest))
    assert counts["one"]["left_out"] == 1000 - len(copies)
    assert counts["one"]["repeated"] == sum(copies.values()) - len(copies)
    other = [row for row in made.to_pylist() if row["source"] == "two"]
    assert other == [row for row in batch.to_pylist() if row["source"] == "two"]
    assert len(set(made.column("doc_id").to_pylist())) == len(made)


def test_resampling_does_not_depend_on_order_and_seeds_differ() -> None:
    batch = of_sources(200)

    def ids(rows: pa.RecordBatch, seed: int) -> list[str]:
        made: list[str] = resampled(rows, {}, "source", {"one": 0.5, "two": 1.5}, seed)[0].column("doc_id").to_pylist()
        return sorted(made)

    assert ids(batch, 1) == ids(batch.take(pa.array(range(399, -1, -1))), 1)
    single = [resampled(batch.slice(i, 1), {}, "source", {"one": 0.5, "two": 1.5}, 1)[0] for i in range(400)]
    assert ids(batch, 1) == sorted(row["doc_id"] for part in single for row in part.to_pylist())
    assert ids(batch, 1) != ids(batch, 2)


def test_amounts_are_bytes_and_documents_without_a_language_are_und(tmp_path: Path) -> None:
    batch = batch_of(["abc", "中文"])
    values = {"language": pa.array(["en", None], pa.string())}
    batch = pa.record_batch([values.get(name, batch.column(name)) for name in DOCUMENTS.names], schema=DOCUMENTS)
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "a")
    assert resample.amounts([tmp_path / "a"], "language") == {"en": 3, "und": 6}
    made, _ = resampled(batch, {"und": 2.0}, "language", {}, 0)
    assert made.column("text").to_pylist() == ["abc", "中文", "中文"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("wbe=2", "did you mean web"), ("web=x", "is no weight"), ("web=-1", "is no weight"), ("2", "is no weight"),
     ("web=1e9", "from 0 to 1000"), ("zzz=1", "sources are")],
)  # fmt: skip
def test_bad_weights_are_told(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        weighted(text, ["web", "books"])


def test_weights_are_read() -> None:
    assert weighted("web=0.5, a=b=2", ["web", "a=b", "c"]) == {"web": 0.5, "a=b": 2.0, "c": 1.0}
    assert weighted("", ["c"]) == {"c": 1.0}
    assert augment.NEIGHBOURS.names == ["word", "neighbour", "cosine"]
