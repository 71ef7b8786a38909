"""`assay corpus dedup` within documents, from the command line on."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import polars as pl
import pytest

from assay.corpus.cleaning import stretches
from assay.corpus.duplicates import spans
from command import Say, one_line

BOILER = "Subscribe to our newsletter to get the latest stories every week."
NOTE = "版权所有，未经许可不得转载本网站的任何内容。"
BODIES = [
    "It was raining when the ship came in. Nobody had expected it before the spring. The harbour was empty.",
    "Potatoes are boiled with their skins. Then they are left to cool. Salt is added at the very end of it.",
    "黎明时分，船队离开了港口。海面上没有一丝风。水手们都在等待命令。",
]


def rows_of(path: str, rows: list[dict[str, str]]) -> str:
    Path(path).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def web(say: Say) -> list[dict[str, str]]:
    """Rows of two sources, in which boilerplate stands before and after the text; the last repeats the first."""
    rows = [{"text": f"{BOILER}\n{body}\n{NOTE}", "site": "ab"[i % 2]} for i, body in enumerate(BODIES)]
    return [*rows, {"text": rows[0]["text"].upper(), "site": "b"}, {"text": "short", "site": "a"}]


FEW = ["--min-words", "5", "--min-characters", "5", "--source-field", "site"]


def test_paragraphs_are_removed_from_later_documents(say: Say, web: list[dict[str, str]]) -> None:
    rows_of("web.jsonl", web)
    code, out, _ = say("corpus", "dedup", "web.jsonl", "--level", "paragraph", *FEW, "--out", "unique", "--json")
    told = json.loads(out)
    assert (code, told["documents"], told["affected"], told["dropped"], told["kept"]) == (0, 5, 3, 1, 4)
    assert told["sources"]["b"]["copies_of"] == {"a": told["sources"]["b"]["removed_bytes"]}
    kept = {row["text"]: row for row in pl.read_parquet("unique/kept/*.parquet").to_dicts()}
    assert set(kept) == {web[0]["text"], f"{BODIES[1]}\n", f"{BODIES[2]}\n", "short"}
    assert kept[web[0]["text"]]["parent_id"] is None
    removed = pl.read_parquet("unique/removed/*.parquet")
    decisions = pl.read_parquet("unique/decisions.parquet")
    assert set(removed["doc_id"]) == set(decisions.filter(pl.col("removed") > 0)["doc_id"])
    assert set(removed["first_doc_id"]) == {kept[web[0]["text"]]["doc_id"]}
    assert kept[f"{BODIES[1]}\n"]["parent_id"] in set(removed["doc_id"])
    assert decisions.filter(~pl.col("keep"))["removed"].to_list() == [len(web[3]["text"])]
    assert (told["most"][0]["text"], told["most"][0]["times"]) == (f"{BOILER} {BODIES[0]} {NOTE}".strip(), 1)


@pytest.mark.parametrize("options", [["--level", "sentence"], ["--level", "substring", "--length", "60"]])
def test_sentences_and_substrings(say: Say, web: list[dict[str, str]], options: list[str]) -> None:
    last = f"Long before that day. {BODIES[0]} {BODIES[1]} And after."
    rows_of("web.jsonl", [*web[:3], {"text": last, "site": "z"}])
    code, out, _ = say("corpus", "dedup", "web.jsonl", *options, *FEW, "--out", "unique", "--json")
    told = json.loads(out)
    assert code == 0
    text = pl.read_parquet("unique/kept/*.parquet").filter(source="z")["text"].item()
    assert " ".join(text.split()) == "Long before that day. And after."
    assert told["sources"]["z"]["copies_of"] == {
        "a": pytest.approx(len(BODIES[0]), abs=2),
        "b": pytest.approx(len(BODIES[1]), abs=2),
    }


def test_both_languages_and_a_folder_that_a_scan_left(say: Say, web: list[dict[str, str]]) -> None:
    rows_of("web.jsonl", web)
    assert say("corpus", "scan", "web.jsonl", "--source-field", "site", "--out", "scored")[0] == 0
    code, out, _ = say("corpus", "dedup", "scored", "--level", "paragraph", *FEW[:4], "--out", "unique")
    assert code == 0
    assert "Paragraphs that stand earlier in the corpus: 5 stretches removed" in out
    assert BOILER[:40] in out
    options = ["--level", "substring", "--length", "60", *FEW[:4], "--lang", "zh"]
    code, out, _ = say("corpus", "dedup", "scored", *options, "--out", "other")
    assert code == 0
    assert "长度不少于 60 个字符" in out
    assert "保留 5 篇文档中的" in out


def test_the_order_of_files_changes_nothing(say: Say, web: list[dict[str, str]]) -> None:
    for i, row in enumerate(web):
        rows_of(f"{i}.jsonl", [row])
    found = []
    for name, files in (("one", range(5)), ("two", (3, 1, 4, 0, 2))):
        names = [f"{i}.jsonl" for i in files]
        code, _, _ = say("corpus", "dedup", *names, "--level", "paragraph", *FEW, "--out", name)
        assert code == 0
        tables = [pl.read_parquet(f"{name}/{part}") for part in ("removed/*.parquet", "kept/*.parquet")]
        found.append([table.sort(table.columns[0]).to_dicts() for table in tables])
    assert found[0] == found[1]


def test_nothing_repeated_is_said(say: Say) -> None:
    rows_of("a.jsonl", [{"text": text} for text in BODIES])
    code, out, _ = say("corpus", "dedup", "a.jsonl", "--level", "substring", "--out", "unique")
    assert code == 0
    assert out.startswith("Nothing in 3 documents stands earlier in the corpus.")
    assert "Kept: 3 of 3" in out


def test_a_run_that_was_cut_off_goes_on(say: Say, web: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    rows_of("web.jsonl", web)
    command = ["corpus", "dedup", "web.jsonl", "--level", "paragraph", *FEW, "--json"]
    assert say(*command, "--out", "whole")[0] == 0

    def cut_off(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(stretches, "judge", cut_off)
        assert say(*command, "--out", "unique")[0] == 1
    assert not Path("unique/kept").exists()
    with monkeypatch.context() as context:
        context.setattr(spans, "repeated", None)  # what is done is not done again
        assert say(*command, "--out", "unique")[0] == 0
    for name in ("decisions.parquet", "kept/kept-00000.parquet", "removed/removed-00000.parquet"):
        assert (Path("unique") / name).read_bytes() == (Path("whole") / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--level", "paragraph", "--keep", "longest"], "--keep: says nothing of --level paragraph"),
        (["--level", "sentence", "--length", "100"], "give --level substring"),
        (["--sentences", "2"], "give --level sentence"),
        (["--level", "exact", "--min-words", "9"], "paragraph or sentence or substring"),
        (["--level", "substring", "--length", "3"], "--length"),
        (["--level", "line"], "--level"),
    ],
)
def test_wrong_options(say: Say, options: list[str], says: str) -> None:
    rows_of("a.jsonl", [{"text": BODIES[0]}])
    code, out, err = say("corpus", "dedup", "a.jsonl", *options, "--out", "new")
    assert (code, out) == (2, "")
    assert says in err
    assert not Path("new").exists()


def test_empty_input(say: Say) -> None:
    Path("empty.jsonl").write_text("")
    line = one_line(say("corpus", "dedup", "empty.jsonl", "--level", "paragraph", "--out", "new"))
    assert "empty" in line or "no " in line
    assert not Path("new").exists()
