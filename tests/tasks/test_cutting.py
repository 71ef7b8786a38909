"""Data sets dealt: what names declare; equal texts and groups never straddle; labels are spread evenly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import fields, lines_of, read, written

from assay.errors import InputError
from assay.tasks.reading.cutting import cut, folds, splits
from assay.tasks.reading.rows import Row, Rows, made


def rows_of(texts: list[str], labels: list[str] | None = None, groups: list[int] | None = None) -> Rows:
    held = [{"text": text, "label": (labels or texts)[i]} for i, text in enumerate(texts)]
    for row, group in zip(held, groups or [], strict=False):
        row["group"] = group  # type: ignore[assignment]
    return made([Row(row, f"x:{i}") for i, row in enumerate(held)], "table")


def one(text: str) -> str:
    return lines_of([{"text": text, "label": 1}])


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (("a.train.jsonl", "a.dev.jsonl", "a.test.jsonl"), "a"),
        (("a.train.jsonl.zst", "a.valid.jsonl.gz", "a.test.jsonl"), "a"),
        (("train.jsonl", "validation.jsonl", "test.jsonl"), ""),
        (("train/x.jsonl", "dev/x.jsonl", "test/x.jsonl"), "x"),
        (("cmrc2018_train.json", "cmrc2018_dev.json", "cmrc2018_test.json"), "cmrc2018"),
        (("train-v2.0.json", "dev-v2.0.json", "test-v2.0.json"), "v2.0"),
        (("train-00000-of-00001.jsonl", "dev-00000-of-00001.jsonl", "test-00000-of-00001-0123456789abcdef.jsonl"), ""),
    ],
)
def test_names_declare_splits(names: tuple[str, ...], stem: str, tmp_path: Path) -> None:
    for name, split in zip(names, ("train", "dev", "test"), strict=True):
        written(tmp_path / name, one(split))
    found = splits(tmp_path)
    assert {name: part.column("text") for name, part in found.parts.items()} == {
        "train": ["train"], "dev": ["dev"], "test": ["test"],
    }  # fmt: skip
    assert found.left_out == ()
    if stem and "/" not in names[0]:
        written(tmp_path / "other.train.jsonl", one("other"))
        with pytest.raises(InputError, match="holds several data sets: "):
            splits(tmp_path)
        assert {name: len(part) for name, part in splits(tmp_path / stem).parts.items()} == {
            "train": 1, "dev": 1, "test": 1,
        }  # fmt: skip


def test_columns_of_the_first_conll_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("eng.train.conll", "eng.testa.conll", "eng.testb.conll"):
        written(tmp_path / name, f"{name} O\n\nx O\n\n")
    assert {name: part[0].fields["tokens"][0] for name, part in splits(tmp_path).parts.items()} == {
        "train": "eng.train.conll", "dev": "eng.testa.conll", "test": "eng.testb.conll",
    }  # fmt: skip


def test_a_field_declares_splits_and_others_are_told(tmp_path: Path) -> None:
    rows = [{"text": str(i), "split": name} for i, name in enumerate(("train", "validation", "TEST", "extra", "train"))]
    written(tmp_path / "a.jsonl", lines_of(rows))
    found = splits(tmp_path / "a.jsonl")
    assert {name: part.column("text") for name, part in found.parts.items()} == {
        "train": ["0", "4"], "dev": ["1"], "test": ["2"],
    }  # fmt: skip
    assert found.left_out == ("extra",)
    talks = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "split": "dev"}]
    written(tmp_path / "b.jsonl", lines_of(talks))
    assert list(splits(tmp_path / "b.jsonl").parts) == ["dev"]
    written(tmp_path / "c.jsonl", one("x"))
    with pytest.raises(InputError, match=r"no file's name and no field 'split' declares a split"):
        splits(tmp_path / "c.jsonl")
    written(tmp_path / "d.train.jsonl", one("x"))
    written(tmp_path / "d.unlabelled.jsonl", one("y"))
    assert [Path(path).name for path in splits([*map(str, tmp_path.glob("d.*"))]).left_out] == ["d.unlabelled.jsonl"]


texts = st.lists(
    st.sampled_from(["甲", "乙 丙", "乙  丙 ", "a", "b", "c", "d", "e", "f f", "g"]), min_size=8, max_size=60
)


@given(texts, st.floats(0.05, 0.95), st.integers(0, 5), st.randoms(use_true_random=False))
def test_equal_texts_never_straddle_a_cut(found: list[str], share: float, seed: int, draw: random.Random) -> None:
    rows = rows_of(found, [str(i) for i in range(len(found))])
    said = {" ".join(text.split()) for text in found}
    if len(said) < 2:
        return
    rest, chosen = cut(rows, share, seed)
    sides = [{" ".join(row.fields["text"].split()) for row in side} for side in (rest, chosen)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == said
    assert abs(len(sides[1]) - share * len(said)) <= 1
    shuffled = draw.sample(list(rows), len(rows))
    again = cut(rows.of(shuffled), share, seed)
    assert Counter(row.where for row in again[1]) == Counter(row.where for row in chosen)


@given(texts, st.integers(2, 4), st.integers(0, 5), st.randoms(use_true_random=False))
def test_every_row_is_in_one_fold_with_its_group_and_its_equals(
    found: list[str], k: int, seed: int, draw: random.Random
) -> None:
    groups = [draw.randrange(20) for _ in found]
    rows = rows_of(found, groups=groups)
    try:
        parts = folds(rows, k, seed, group="group", label="label")
    except InputError:
        return  # too few groups
    assert sorted(row.where for _, fold in parts for row in fold) == sorted(row.where for row in rows)
    for rest, fold in parts:
        assert len(rest) + len(fold) == len(rows) and len(fold) > 0
        for key in ("group", "text"):
            sides = [{" ".join(str(row.fields[key]).split()) for row in side} for side in (rest, fold)]
            assert not sides[0] & sides[1]


def test_labels_are_spread_evenly() -> None:
    labels = ["a"] * 50 + ["b"] * 20 + ["c"] * 5
    rows = rows_of([f"text {i}" for i in range(75)], labels)
    for _, fold in folds(rows, 5, label="label"):
        assert Counter(fold.column("label")) == {"a": 10, "b": 4, "c": 1}
    several = made([Row({"text": str(i), "tags": ["x", "y"][: 1 + i % 2]}, "") for i in range(20)], "table")
    assert [
        Counter(x for own in fold.column("tags") for x in own)["y"] for _, fold in folds(several, 5, label="tags")
    ] == [2] * 5
    with pytest.raises(InputError, match="75 different texts or groups make no 80 folds"):
        folds(rows, 80)
    with pytest.raises(InputError, match="no field 'stars': there are text, label"):
        folds(rows, 2, label="stars")
    with pytest.raises(InputError, match="a share of 1"):
        cut(rows, 1)


def test_questions_about_a_text_stay_together(tmp_path: Path) -> None:
    rows = [{"id": f"{i}", "context": f"text {i // 3}", "question": f"{i}?", "answers": []} for i in range(30)]
    rest, chosen = cut(read(tmp_path / "q.jsonl", rows), 0.3)
    assert len(chosen) == 9 and not set(rest.column("context")) & set(chosen.column("context"))
    by = cut(read(tmp_path / "q.jsonl", rows), 0.3, by=["question"])[1]
    assert len(by) == 9 and len(set(by.column("context"))) > 3
    assert fields(chosen)[0]["context"].startswith("text")


def test_real_folders(shared: Callable[[str], Path]) -> None:
    found = splits(shared("cls-en") / "sst2")
    assert {name: len(part) for name, part in found.parts.items()} == {"train": 6920, "dev": 872, "test": 1821}
    with pytest.raises(InputError, match="holds several data sets: cluener, msra, resume"):
        splits(shared("ner-zh"), format="table")
