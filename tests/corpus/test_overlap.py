"""Evaluation items in documents: against a plain search over sets, with planted copies, edits and near misses."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import HAN, WORDS, batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus import documents
from assay.corpus.cleaning import decontaminate as d
from assay.corpus.cleaning import overlap
from assay.corpus.reading.source import ReadOptions
from assay.errors import InputError

USUAL = d.Shape()
SHAPE = d.Shape(words=4, characters=6, least=2)


def plain_units(text: str) -> list[str]:
    return re.findall(r"[一-鿿]|[a-z0-9]+", text.lower())


def plain_share(item: str, document: str, shape: d.Shape) -> float | None:
    """The share of the item's n-grams that the document holds; None: it is not looked for."""
    mine, its = plain_units(item), plain_units(document)
    full = shape.characters if 2 * sum(unit > "z" for unit in mine) > len(mine) else shape.words
    width = min(full, len(mine))
    if len(mine) < shape.least:
        return None
    grams = {tuple(mine[i : i + width]) for i in range(len(mine) - width + 1)}
    there = {tuple(its[i : i + width]) for i in range(len(its) - width + 1)}
    return len(grams & there) / len(grams)


def found(items: Sequence[str], texts: Sequence[str], shape: d.Shape) -> list[dict[str, Any]]:
    against = overlap.index(pa.array(items, pa.string()), *shape)
    made = overlap.units(pa.array(texts, pa.string()))
    spans = overlap.spans(made, against, overlap.hits(made, against))
    names = ("document", "item", "begin", "end", "item_begin", "item_end", "n_grams", "share")
    columns = [getattr(spans, name).tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


TEXT = st.lists(st.sampled_from(["a", "b", "C", "a, b", "天", "地", "天地", "-", " ", "x1"]), max_size=30).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4))
def test_as_a_plain_search_finds(items: list[str], texts: list[str]) -> None:
    told = {(row["document"], row["item"]): row["share"] for row in found(items, texts, SHAPE)}
    for i, text in enumerate(texts):
        for j, item in enumerate(items):
            assert told.get((i, j), 0.0) == pytest.approx(plain_share(item, text, SHAPE) or 0.0)
    for row in found(items, texts, SHAPE):
        here = texts[row["document"]][row["begin"] : row["end"]]
        there = items[row["item"]][row["item_begin"] : row["item_end"]]
        assert plain_units(here) == plain_units(there)


def write(folder: Path, items: list[str], texts: list[str]) -> tuple[Path, Path]:
    names = [f"e.jsonl:{i}" for i in range(len(items))]
    pq.write_table(pa.table([names, items], schema=d.ITEMS), folder / "items.parquet")
    with documents.PartsWriter(folder, "documents", documents.DOCUMENTS) as writer:
        writer.write(batch_of(texts))
    return folder / "items.parquet", folder / "documents-00000.parquet"


def judged(
    folder: Path, items: list[str], texts: list[str], shape: d.Shape = USUAL, threshold: float = 0.0
) -> dict[str, Any]:
    listed, part = write(folder, items, texts)
    d.search_part(part, folder / "hits.parquet", 1, items=listed, shape=shape)
    return d.judge([part], [folder / "hits.parquet"], listed, shape, threshold, folder)


def test_what_is_planted_is_found_and_what_is_edited_too_much_is_not(tmp_path: Path) -> None:
    """Precision and recall over documents that hold an item whole, cut, edited once, edited every ten words."""
    draw = random.Random(1)
    items = [" ".join(draw.choices(WORDS, k=40)) for _ in range(60)]
    items += ["".join(draw.choices(HAN, k=60)) for _ in range(60)]

    def edited(item: str, step: int) -> str:
        units = item.split() if " " in item else list(item)
        for at in range(step - 1, len(units), step):
            units[at] = "changed" if " " in item else "改"
        return (" " if " " in item else "").join(units)

    texts, held = [], []
    for i, item in enumerate(items):
        chinese_ = " " not in item
        make = (lambda seed: chinese(seed, 200)) if chinese_ else (lambda seed: english(seed, 100))
        shown = [item, item[: len(item) * 2 // 3], edited(item, 25), edited(item, 10), ""]
        for kind, inside in enumerate(shown):
            texts.append(f"{make(5 * i + kind)}\n{inside.upper()}. {make(9000 + 5 * i + kind)}")
            held.append(kind < 3)
    told = judged(tmp_path, items, texts)
    keep = pl.read_parquet(tmp_path / "decisions.parquet")["keep"].to_list()
    right = sum(inside and not kept for inside, kept in zip(held, keep, strict=True))
    assert right / sum(held) == 1.0  # recall
    assert right / (len(keep) - sum(keep)) == 1.0  # precision
    assert told["found_items"] == told["items"] == told["looked_for"] == 120
    shares = pl.read_parquet(tmp_path / "found.parquet")
    assert (shares["share"] == 1.0).all()
    assert (shares["documents"] == 3).all()


def test_evidence_is_the_stretch_in_both(tmp_path: Path) -> None:
    item = "Which of the following rivers flows through the largest number of countries in all of Europe today?"
    text = "Quiz. WHICH of the following rivers: flows through the largest number of countries, in all of Asia? Bye."
    told = judged(tmp_path, [item], [text, "Nothing of that kind."])
    (row,) = pl.read_parquet(tmp_path / "hits.parquet").to_dicts()
    expected = "WHICH of the following rivers: flows through the largest number of countries, in all of"
    assert text[row["begin"] : row["end"]] == expected
    assert item[row["item_begin"] : row["item_end"]] == item.removesuffix(" Europe today?")
    assert (row["item_id"], row["n_grams"], row["share"]) == ("e.jsonl:0", 3, 3 / 5)
    assert (told["found_n_grams"], told["item_n_grams"], told["contaminated"]) == (3, 5, 1)


def test_threshold_and_short_items(tmp_path: Path) -> None:
    long = " ".join(WORDS[:30])
    items, half = [long, "What is the tallest mountain?", "Yes", "中国的首都是哪里"], " ".join(WORDS[:20])
    texts = [f"x {half} y", "so, what is the tallest mountain", "Yes.", "问：中国的首都是哪里？", "中国的首都是南京"]
    told = judged(tmp_path, items, texts, threshold=0.5)
    assert pl.read_parquet(tmp_path / "decisions.parquet")["keep"].to_list() == [True, False, True, False, True]
    assert (told["affected"], told["too_short"], told["short"]) == (3, 1, 2)
    assert pl.read_parquet(tmp_path / "decisions.parquet")["share"][0] == pytest.approx(8 / 18)


def test_what_all_items_share_is_their_template(tmp_path: Path) -> None:
    head = "Read the following question with care and choose the one right answer from these options below: "
    items = [head + " ".join(random.Random(i).choices(WORDS, k=20)) for i in range(60)]
    told = judged(tmp_path, items, [head, items[7]])
    assert told["templates"] > 0
    assert pl.read_parquet(tmp_path / "decisions.parquet")["keep"].to_list() == [True, False]


def test_repetition_does_not_blow_up_the_evidence(tmp_path: Path) -> None:
    judged(tmp_path, ["a " * 400], ["a " * 20_000])
    assert len(pl.read_parquet(tmp_path / "hits.parquet")) == 1


def test_items_of_several_fields(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"question": "Who?", "choices": ["A b", {"t": "c", "n": 3}], "answer": 1}\n\n', encoding="utf-8")
    table, *_ = d.read_items([str(path)], ["question", "choices"], ReadOptions())
    assert table.to_pylist() == [{"item_id": "e.jsonl:0", "text": "Who?\nA b\nc\n3"}]
    with pytest.raises(InputError, match=r"--item-field"):
        d.read_items([str(path)], ["question", "chioces"], ReadOptions())
    table = pa.Table.from_pylist([{"question": "Who?", "choices": ["A b", "c"], "answer": 1}])
    pq.write_table(table, tmp_path / "e.parquet")
    table, *_ = d.read_items([str(tmp_path / "e.parquet")], ["question", "choices"], ReadOptions())
    assert table["text"].to_pylist() == ["Who?\nA b\nc"]


def test_an_index_that_finds_nothing_of_its_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-test of the check: hashes that do not fit the items' are told before a corpus is read."""
    from assay.errors import WorkError

    table = pa.table([["e:0"], ["one two three four five six"]], schema=d.ITEMS)
    monkeypatch.setattr(overlap, "_maybe", lambda hashes, bloom, bits: bits.fill(False))
    with pytest.raises(WorkError, match="does not find the items"):
        d.indexed(table, d.Shape())
