"""`assay corpus scan` and `select`, from the command line on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import test_cli
from command import write_texts
from test_cli import Say, one_line

say = test_cli.say  # the fixture


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_texts(tmp_path_factory.mktemp("corpus") / "texts", 30)
    rows = ["道可道，非常道。名可名，非常名。" * 20, "短。", "the same line again\n" * 40, ""]
    content = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in rows)
    (folder / "odd.jsonl").write_text(content, encoding="utf-8")
    return folder


def test_scan_once_then_ask_many_times(say: Say, texts: Path) -> None:
    code, out, _ = say("corpus", "scan", texts, "--out", "scored", "--json")
    scanned = json.loads(out)
    assert (code, scanned["documents"], scanned["empty"]) == (0, 63, 1)
    assert set(scanned["sources"]) == {"letters", "numbers", "odd"}

    moved = texts.with_name("elsewhere")
    texts.rename(moved)  # what was scanned is asked, not the sources
    try:
        code, out, _ = say("corpus", "select", "scored", "--pack", "gopher-repetition", "--out", "kept", "--json")
    finally:
        moved.rename(texts)
    told = json.loads(out)
    assert code == 0
    assert told["kept"] == 62
    assert told["rules"]["gopher-repetition.duplicate_lines"]["alone"] == 1
    kept = pl.read_parquet("kept/kept/*.parquet")
    decisions = pl.read_parquet("kept/decisions.parquet")
    assert len(kept) == 62
    assert set(kept["doc_id"]) == set(decisions.filter("keep")["doc_id"])
    assert not kept["text"].str.contains("again").any()

    where = ["--where", "n_chars > 1000 AND source != 'odd'"]
    code, out, _ = say("corpus", "select", "scored", *where, "--out", "others", "--lang", "zh")
    assert code == 0
    assert "保留" in out
    assert "n_chars > 1000 AND source != 'odd'" in out


def test_select_scans_sources_that_were_not(say: Say, texts: Path) -> None:
    command = ["corpus", "select", texts, "--pack", "zh", "--out", "kept"]
    code, out, _ = say(*command)
    assert code == 0
    assert "zh.chars" in out
    assert "61 documents" in out  # of which no rule is asked
    before = Path("kept/decisions.parquet").read_bytes()
    assert say(*command)[0] == 0
    assert Path("kept/decisions.parquet").read_bytes() == before
    line = one_line(say("corpus", "select", texts, "--pack", "c4", "--out", "kept"))
    assert "another selection" in line


def test_a_kept_folder_is_read_like_any(say: Say, texts: Path) -> None:
    say("corpus", "select", texts, "--where", "source = 'letters'", "--out", "kept")
    code, out, _ = say("corpus", "scan", "kept/kept", "--source-field", "source", "--out", "again", "--json")
    assert code == 0
    assert {name: part["documents"] for name, part in json.loads(out)["sources"].items()} == {"letters": 30}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pack", "gophr-quality"], "did you mean gopher-quality"),
        ([], "no rule is given"),
        (["--where", "n_wrds > 3"], "did you mean n_words"),
    ],
)
def test_bad_rules_are_told_before_anything_is_read(say: Say, texts: Path, arguments: list[str], says: str) -> None:
    line = one_line(say("corpus", "select", texts, *arguments, "--out", "kept"))
    assert says in line
    assert not Path("kept").exists()


def test_a_scan_that_is_not_done_is_refused(say: Say, texts: Path) -> None:
    say("corpus", "scan", texts, "--out", "scored")
    shutil.rmtree("scored/artifacts/signals")
    line = one_line(say("corpus", "select", "scored", "--pack", "c4", "--out", "kept"))
    assert "the scan is not done" in line
    assert "assay corpus scan" in line
    Path("scored/corpus.json").write_text("{")
    assert "is damaged" in one_line(say("corpus", "select", "scored", "--pack", "c4", "--out", "kept"))


def test_a_scan_and_other_sources_are_not_mixed(say: Say, texts: Path) -> None:
    say("corpus", "scan", texts, "--out", "scored")
    assert "other sources" in one_line(say("corpus", "select", "scored", texts, "--pack", "c4", "--out", "kept"))


def test_dedup_keeps_one_of_each_cluster_and_says_how_many_it_stands_for(say: Say, tmp_path: Path) -> None:
    rows = ["the same words in the same order, " * 9, "天地玄黄，宇宙洪荒，日月盈昃，辰宿列张。" * 9]
    content = "".join(json.dumps({"text": text}) + "\n" for text in [*rows, *rows, rows[0] + "and more", "other text"])
    Path("d.jsonl").write_text(content)
    code, out, _ = say("corpus", "scan", "d.jsonl", "--out", "scored", "--json")
    assert (code, json.loads(out)["near_duplicates"]) == (0, 3)
    code, out, _ = say("corpus", "dedup", "scored", "--out", "unique", "--keep", "longest", "--json")
    told = json.loads(out)
    assert (code, told["kept"], told["clusters"]) == (0, 3, 2)
    kept = pl.read_parquet("unique/kept/*.parquet")
    assert dict(zip(kept["text"], kept["copies"], strict=True)) == {
        rows[0] + "and more": 3,
        rows[1]: 2,
        "other text": 1,
    }
    code, out, _ = say("corpus", "dedup", "scored", "--level", "exact", "--out", "exact", "--lang", "zh")
    assert code == 0
    assert "保留 6 篇文档中的 4 篇" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--keep", "best"], "--by alpha_words"),
        (["--by", "n_words"], "give --keep best"),
        (["--keep", "best", "--by", "n_wrds"], "did you mean n_words"),
    ],
)
def test_what_dedup_cannot_do(say: Say, texts: Path, arguments: list[str], says: str) -> None:
    assert says in one_line(say("corpus", "dedup", texts, *arguments, "--out", "kept"))
    assert not Path("kept").exists()
