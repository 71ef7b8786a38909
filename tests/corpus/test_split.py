"""Splits: no cluster straddles, declarations are honoured, enough is held out and never too much."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_hexdigest

from assay.corpus.split import SplitOptions, assign, lacking, whole_texts
from assay.errors import InputError

SPLITS = ("train", "eval", "test", "dropped")


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    made = [
        {"doc_id": xxh3_128_hexdigest(str(i).encode()), "source": "s", "origin": f"{i}.jsonl", "ordinal": 0,
         "n_bytes": 4000, "split": None, "group": f"own {i}", **row}
        for i, row in enumerate(rows)
    ]  # fmt: skip
    data = pl.DataFrame(made, schema_overrides={"split": pl.String})
    return data.with_columns(cluster=pl.col("doc_id").min().over("group"))


ROW = st.fixed_dictionaries(
    {
        "source": st.sampled_from("abc"),
        "n_bytes": st.integers(1, 9000),
        "group": st.integers(0, 60).map(str),
        "split": st.sampled_from([None, None, None, "train", "eval", "test"]),
        "origin": st.sampled_from(["x.txt", "y.txt", "z.jsonl"]),
    }
)


@settings(max_examples=80, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=150))
def test_what_must_always_hold(rows: list[dict[str, object]]) -> None:
    data = frame(rows)
    try:
        made = assign(data, SplitOptions())
    except InputError:
        return
    assert made["doc_id"].to_list() == sorted(data["doc_id"].to_list())
    full = made.join(data.drop("cluster"), on="doc_id", suffix="_declared")
    kinds = full.group_by("cluster").agg(pl.col("split"))
    for splits in kinds["split"].to_list():
        kept = [name for name in splits if name != "dropped"]
        assert set(kept) == {"train"} or len(kept) == 1  # never both sides; held-out clusters keep one
    declared = full.filter(pl.col("split_declared").is_in(["eval", "test"]))
    assert "train" not in declared["split"].to_list()
    for (source,), part in full.group_by("source"):
        held = part.filter(pl.col("split").is_in(["eval", "test"]))
        if "eval" in data.filter(pl.col("source") == source)["split"].to_list():
            assert held["split_declared"].is_in(["eval", "test"]).all()
        elif not part["split_declared"].is_in(["eval", "test"]).any():
            assert held["n_bytes"].sum() <= 0.25 * part["n_bytes"].sum()


@settings(max_examples=15, deadline=None)
@given(st.lists(ROW, min_size=30, max_size=80), st.randoms())
def test_order_does_not_matter(rows: list[dict[str, object]], shuffle: object) -> None:
    data = frame(rows)
    try:
        made = assign(data, SplitOptions())
    except InputError:
        return
    assert assign(data.sample(fraction=1, shuffle=True, seed=1), SplitOptions()).equals(made)


def counts(made: pl.DataFrame) -> dict[str, int]:
    return dict(made.group_by("split").len().iter_rows())


def test_enough_is_held_out_of_a_small_source_and_a_share_of_a_large_one() -> None:
    small = counts(assign(frame([{}] * 200), SplitOptions()))
    assert small["eval"] == small["test"] == 20
    large = counts(assign(frame([{}] * 4000), SplitOptions()))
    assert large["eval"] == large["test"] == 200
    tiny = counts(assign(frame([{}] * 40), SplitOptions()))
    assert tiny["eval"] == tiny["test"] == 5  # an eighth each: not more than it can afford


def test_declared_eval_is_halved_and_train_left_alone() -> None:
    made = assign(frame([{"split": "eval"}] * 30 + [{}] * 300), SplitOptions())
    assert counts(made) == {"train": 300, "eval": 15, "test": 15}


def test_declared_eval_and_test_stay_as_they_are() -> None:
    made = assign(frame([{"split": "eval"}] * 30 + [{"split": "test"}] * 9 + [{}] * 50), SplitOptions())
    assert counts(made) == {"train": 50, "eval": 30, "test": 9}


def test_declared_test_alone_takes_eval_from_training() -> None:
    data = frame([{"split": "test"}] * 9 + [{}] * 400)
    assert counts(assign(data, SplitOptions())) == {"train": 380, "eval": 20, "test": 9}


def test_training_copies_of_declared_text_are_dropped() -> None:
    rows = [{"split": "eval", "group": str(i)} for i in range(10)] + [{"group": str(i)} for i in range(4)]
    made = assign(frame([*rows, *[{}] * 40]), SplitOptions())
    assert counts(made)["dropped"] == 4


def test_pieces_of_one_file_stay_together_where_files_are_many() -> None:
    rows = [{"origin": f"{i // 5}.txt", "ordinal": i % 5} for i in range(500)]
    data = frame(rows)
    full = assign(data, SplitOptions()).join(data.drop("cluster", "split"), on="doc_id")
    assert full.group_by("origin").agg(pl.col("split").n_unique())["split"].max() == 1
    assert counts(full)["eval"] >= 20
    few = frame([{"origin": f"{i % 3}.txt", "ordinal": i // 3} for i in range(300)])
    assert counts(assign(few, SplitOptions()))["eval"] == 20


def test_pieces_of_one_row_stay_together_where_texts_are_many() -> None:
    rows = [{"origin": "all.jsonl", "ordinal": i // 5} for i in range(1000)]
    data = frame(rows)
    assert whole_texts(data) == ["s"]
    full = assign(data, SplitOptions()).join(data.drop("cluster", "split"), on="doc_id")
    assert full.group_by("ordinal").agg(pl.col("split").n_unique())["split"].max() == 1
    held = full.group_by("split").agg(pl.col("ordinal").n_unique())
    texts = dict(held.iter_rows())
    assert texts["eval"] == texts["test"] == 20  # texts are counted, not the pieces that they are cut into
    assert whole_texts(frame([{"origin": "all.jsonl", "ordinal": i} for i in range(1000)])) == []  # nothing is cut
    assert whole_texts(frame(rows[:150])) == []  # thirty texts


def test_too_few_documents_say_so() -> None:
    with pytest.raises(InputError, match="too few") as caught:
        assign(frame([{}] * 3), SplitOptions())
    assert caught.value.remedy
    data = frame([{"source": "big"}] * 100 + [{"source": "small"}] * 2)
    assert lacking(assign(data, SplitOptions()), data) == ["small"]
