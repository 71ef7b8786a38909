"""Pairs of texts: from rows and from two files of lines, each a document; what goes wrong; what is held out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assay.corpus.documents import BETWEEN, sides
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.corpus.scan import scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.store import Store

PAIRS = [("Good morning.", "早上好。"), ("Two\twords", "两个词"), ("“Yes”, he said", "“是的”，他说"), ("The end", "完")]
EN_ZH = ReadOptions(pair=("en", "zh"))


def documents(*uris: Path, options: ReadOptions = EN_ZH, report: ReadReport | None = None) -> list[dict[str, Any]]:
    found = open_sources([str(uri) for uri in uris], options)
    return [row for batch in found.batches(report or ReadReport()) for row in batch.to_pylist()]


def texts(*uris: Path, options: ReadOptions = EN_ZH) -> list[tuple[str, str]]:
    return [sides(row["text"]) for row in documents(*uris, options=options)]


def moses(folder: Path, name: str = "news", pairs: list[tuple[str, str]] = PAIRS) -> Path:
    folder.mkdir(exist_ok=True)
    for side, lines in zip(("en", "zh"), zip(*pairs, strict=True), strict=True):
        (folder / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def refused(*uris: Path, options: ReadOptions = EN_ZH) -> str:
    with pytest.raises(InputError) as caught:
        documents(*uris, options=options)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value.line()


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tabs", "parquet", "nested.jsonl", "nested.parquet"])
def test_two_fields_of_a_row_are_a_pair(kind: str, tmp_path: Path) -> None:
    rows = [{"zh": zh, "en": en, "id": i} for i, (en, zh) in enumerate(PAIRS)]
    if kind.startswith("nested"):  # as data sets of hubs have it
        rows = [{"id": row["id"], "translation": {"en": row["en"], "zh": row["zh"]}} for row in rows]
    path = tmp_path / f"p.{'csv' if kind == 'tabs' else kind}"
    if kind.endswith("jsonl"):
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif kind.endswith("parquet"):
        pl.DataFrame(rows).write_parquet(path)
    else:
        pl.DataFrame(rows).write_csv(path, separator="\t" if kind == "tabs" else ",")
    assert texts(path) == PAIRS
    assert texts(path, options=ReadOptions(pair=("zh", "en"))) == [(zh, en) for en, zh in PAIRS]


def test_lines_of_two_files_are_pairs_however_they_are_named(tmp_path: Path) -> None:
    folder = moses(tmp_path / "own")
    moses(folder, "news.valid", [("held out", "留出")])
    (folder / "news.valid.en").write_bytes(gzip.compress((folder / "news.valid.en").read_bytes()))
    (folder / "news.valid.en").rename(folder / "news.valid.en.gz")
    (folder / "news.de").write_text("Guten Morgen\n")
    made = documents(folder)
    assert [sides(row["text"]) for row in made] == [*PAIRS, ("held out", "留出")]
    assert {(row["source"], row["split"]) for row in made} == {("news", None), ("news", "eval")}
    assert [row["ordinal"] for row in made] == [0, 1, 2, 3, 0]
    assert texts(folder / "news.en") == texts(folder / "news.zh") == texts(folder / "news.en", folder / "news.zh")
    skipped = dict(open_sources([str(folder)], EN_ZH).skipped)
    assert skipped["news.zh"]["en"] == "the other side of news.en"
    assert set(skipped) == {"news.zh", "news.valid.zh", "news.de"}


def test_a_line_is_what_stands_between_newlines(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes("one\u2028still one\r\ntwo\x0bstill two\nlast".encode())
    (tmp_path / "a.zh").write_bytes("一\n二\n三\n".encode())
    assert texts(tmp_path) == [("one\u2028still one", "一"), ("two\x0bstill two", "二"), ("last", "三")]


def test_both_files_are_part_of_the_address(tmp_path: Path) -> None:
    folder = moses(tmp_path / "own")
    before = open_sources([str(folder)], EN_ZH).fingerprint()
    (folder / "news.zh").write_text("".join(f"{zh}\n" for _, zh in reversed(PAIRS)), encoding="utf-8")
    assert open_sources([str(folder)], EN_ZH).fingerprint() != before
    listed = open_sources([str(folder)], EN_ZH)
    (folder / "news.zh").write_text("changed\n" * 4)
    with pytest.raises(InputError, match=r"news\.zh.*changed while"):
        list(listed.batches(ReadReport()))


def test_an_empty_side_is_counted_and_a_long_pair_stays_whole(tmp_path: Path) -> None:
    long = "word " * 9000
    folder = moses(tmp_path / "own", pairs=[("", "空"), ("blank", " "), (long.strip(), "长"), *PAIRS])
    (folder / "more.jsonl").write_text('{"en": null, "zh": "x"}\n{"en": "y", "zh": "z"}\n')
    report = ReadReport()
    made = [sides(row["text"]) for row in documents(folder, report=report)]
    assert made == [("y", "z"), (long.strip(), "长"), *PAIRS]
    assert (report.empty, report.documents) == (3, 6)


def test_what_is_no_pair_is_told(tmp_path: Path) -> None:
    folder = moses(tmp_path / "own")
    with (folder / "news.zh").open("a") as file:
        file.write("多余\n第二\n")
    assert "news.en: 4 lines, and news.zh beside it has 6 -> " in refused(folder)
    skipping = ReadOptions(pair=("en", "zh"), on_error="skip")
    moses(folder, "talk")
    assert texts(folder, options=skipping) == PAIRS  # the files that fit one another
    (folder / "news.zh").unlink()
    assert "news.en: has no file of the other side's lines" in refused(folder)
    (folder / "news.zh").write_bytes(b"one\ntwo\xff\nthree\nfour\n")
    assert "news.zh:2: byte 7 is not utf-8" in refused(folder)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"english": "a", "zh": "b"}\n')
    assert f"{rows}:1: no field 'en' for a side of the pair; fields: english, zh -> " in refused(rows)
    assert "data.pair" in refused(rows)
    rows.write_text('{"en": "a", "zh": 3}\n')
    assert "field 'zh' is int, not a string" in refused(rows)
    rows.write_text(json.dumps({"en": f"a{BETWEEN}b", "zh": "c"}) + "\n")
    assert "U+001E" in refused(rows)
    table = tmp_path / "rows.parquet"
    pl.DataFrame({"en": ["a"], "fr": ["b"]}).write_parquet(table)
    assert "no field 'zh'" in refused(table)
    page = tmp_path / "page.txt"
    page.write_text("running text")
    assert "no pairs" in refused(page)
    with pytest.raises(InputError, match="one name"):
        ReadOptions(pair=("en", "en"))


def test_what_is_held_out_has_no_near_copy_and_no_source_in_training(tmp_path: Path) -> None:
    """Each English text has a second translation, and near copies of its first pair."""
    names = [chr(97 + i // 26) + chr(97 + i % 26) for i in range(120)]
    body = "walked slowly along the river and counted the boats that were tied to the old bridge"
    rows = []
    for i, name in enumerate(names):
        source = f"On day {i * 7919} {name * 6} {body[i % 20 :]} {name[::-1] * 5}"
        target = "".join(chr(0x4E00 + (i * 131 + j * (i + 7)) % 6000) for j in range(40))
        other = "".join(chr(0x5000 + (i * 977 + j * (i + 3)) % 6000) for j in range(60))
        rows += [(source, target), (source, other), (f"{source}.", f"{target}！")]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps({"en": en, "zh": zh}, ensure_ascii=False) + "\n" for en, zh in rows))
    corpus = scan([str(path)], EN_ZH, SplitOptions(), Store(tmp_path / "store"))
    assert corpus.paired
    split_of = {sides(text): split for split in ("train", "eval", "test")
                for batch in corpus.read(split, ["text"]) for text in batch.column("text").to_pylist()}  # fmt: skip
    held = [en for (en, _), split in split_of.items() if split != "train"]
    assert len(held) == len(set(held)) > 20
    train = {en.rstrip(".") for (en, _), split in split_of.items() if split == "train"}
    assert train.isdisjoint(en.rstrip(".") for en in held)
    assert len(train) + len(held) == len(names)
