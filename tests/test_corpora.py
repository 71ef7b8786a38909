"""`assay corpus scan`, `select`, `privacy` and `decontaminate`, from the command line on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from command import Say, one_line, write_texts


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


def test_documents_of_a_kept_folder_keep_their_names(say: Say) -> None:
    rows = ["one and the same text, " * 9, "another text, " * 9, "mail to jane.doe@example.org, " * 5]
    lines_of("a.jsonl", [rows[0], *rows, rows[0]])
    say("corpus", "dedup", "a.jsonl", "--out", "unique")
    say("corpus", "privacy", "unique/kept", "--source-field", "source", "--out", "masked")
    before = {row["doc_id"]: row for row in pl.read_parquet("unique/kept/*.parquet").to_dicts()}
    masked = pl.read_parquet("masked/kept/*.parquet")
    of = {row["parent_id"] or row["doc_id"]: row for row in masked.to_dicts()}
    assert {name: row["copies"] for name, row in of.items()} == {name: row["copies"] for name, row in before.items()}
    assert sorted(row["copies"] for row in before.values()) == [1, 1, 3]
    assert masked["parent_id"].is_not_null().sum() == 1

    say("corpus", "scan", "masked/kept", "--out", "again")
    names = ["doc_id", "parent_id", "content_hash", "copies", "text"]
    again = pl.read_parquet("again/artifacts/documents/*/*.parquet")
    assert again.select(names).equals(masked.select(names))
    assert set(again["source"]) == {"kept-00000"}  # a label is what the person says
    code, out, _ = say("corpus", "dedup", "again", "--keep", "longest", "--out", "twice", "--json")
    assert (code, json.loads(out)["clusters"]) == (0, 0)
    assert sorted(pl.read_parquet("twice/kept/*.parquet")["copies"]) == [1, 1, 3]


def test_names_that_are_taken_or_of_other_text_are_made_anew(say: Say) -> None:
    lines_of("a.jsonl", [f"text {i} of a table " * 4 for i in range(4)])
    say("corpus", "select", "a.jsonl", "--where", "n_chars > 0", "--out", "kept")
    table = pl.read_parquet("kept/kept/*.parquet")
    edited = table.with_columns(pl.when(pl.int_range(4) == 1).then(pl.lit("edited")).otherwise("text").alias("text"))
    edited.write_parquet("edited.parquet")
    table.write_parquet("other.parquet")
    for sources in (["edited.parquet", "other.parquet", "a.jsonl"], ["a.jsonl", "kept/kept"]):
        code, out, error = say("corpus", "scan", *sources, "--out", sources[-1].replace("/", "-") + ".s", "--json")
        assert code == 0, error
        again = pl.read_parquet(json.loads(out)["out"] + "/artifacts/documents/*/*.parquet")
        assert again["doc_id"].n_unique() == len(again)
        named = dict(zip(again["doc_id"], again["text"], strict=True))
        assert {name: named[name] for name in table["doc_id"]} == dict(zip(table["doc_id"], table["text"], strict=True))


def test_copies_are_weights(say: Say) -> None:
    lines_of("a.jsonl", [*["one and the same text, " * 9] * 6, "another text, " * 9])
    say("corpus", "dedup", "a.jsonl", "--out", "unique")
    augment = ["corpus", "augment", "unique/kept", "--source-field", "source"]
    code, out, error = say(*augment, "--weights", "copies", "--out", "counted", "--json")
    told = json.loads(out)
    assert (code, told["kept"], told["repeated"]) == (0, 7, 5), error
    assert "a stand for more than 4 copies" in told["notices"][0]["en"] and "a 中" in told["notices"][0]["zh"]
    made = pl.read_parquet("counted/kept/*.parquet")
    assert sorted(made.group_by("text").len()["len"]) == [1, 6]
    assert made["doc_id"].n_unique() == 7 and made["copies"].is_null().all()  # they were counted
    assert json.loads(say(*augment, "--weights", "copies,a=0.5", "--out", "half", "--json")[1])["kept"] in (3, 4)
    line = one_line(say("corpus", "augment", "a.jsonl", "--weights", "copies", "--out", "no"))
    assert "no document says how many copies" in line and "assay corpus dedup" in line


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


PRIVATE = [
    "Write to joe@example.org or call 415-555-2671.", "Nothing here.", "身份证11010519491231002X，手机13812345678。",
]  # fmt: skip


def lines_of(path: str, texts: list[str], **more: str) -> str:
    content = "".join(json.dumps({"text": text, **more}, ensure_ascii=False) + "\n" for text in texts)
    Path(path).write_text(content, encoding="utf-8")
    return path


def test_privacy_masks_drops_or_reports(say: Say, texts: Path) -> None:
    lines_of("a.jsonl", PRIVATE)
    code, out, _ = say("corpus", "privacy", "a.jsonl", "--out", "masked", "--json")
    told = json.loads(out)
    assert (code, told["findings"], told["affected"], told["kept"], told["notices"]) == (0, 4, 2, 3, [])
    assert told["kinds"]["phone"] == {"findings": 2, "documents": 2}
    assert told["sources"]["a"]["kinds"]["resident_id"] == {"findings": 1, "documents": 1}
    kept = pl.read_parquet("masked/kept/*.parquet")
    assert kept["text"].to_list() == [
        "Write to <EMAIL> or call <PHONE>.", "Nothing here.", "身份证<RESIDENT_ID>，手机<PHONE>。",
    ]  # fmt: skip
    assert kept["parent_id"].is_null().to_list() == [False, True, False]
    assert kept["n_bytes"].to_list() == [len(text.encode()) for text in kept["text"]]
    findings = pl.read_parquet("masked/findings/*.parquet")
    assert findings.columns == ["doc_id", "kind", "begin", "end"]
    assert set(findings["doc_id"]) == set(kept["parent_id"].drop_nulls())

    assert say("corpus", "scan", texts, "a.jsonl", "--out", "scored")[0] == 0
    options = ["--action", "report", "--kinds", "email,resident_id", "--show-text", "--lang", "zh"]
    code, out, _ = say("corpus", "privacy", "scored", "--out", "told", *options)
    assert code == 0
    assert "电子邮箱" in out
    assert pl.read_parquet("told/findings/*.parquet")["text"].to_list() == ["joe@example.org", "11010519491231002X"]
    assert not Path("told/kept").exists()

    code, out, _ = say("corpus", "privacy", "scored", "--out", "dropped", "--action", "drop", "--json")
    kept = pl.read_parquet("dropped/kept/*.parquet")
    assert kept.filter(pl.col("source") == "a")["text"].to_list() == ["Nothing here."]
    assert len(kept) == 64
    one_line(say("corpus", "privacy", "scored", "--out", "dropped", "--action", "mask"))


def test_privacy_that_finds_nothing_says_so(say: Say) -> None:
    lines_of("a.jsonl", ["version 1.2.3.4 at 10.0.0.1", "Nothing here."])
    code, out, _ = say("corpus", "privacy", "a.jsonl", "--out", "masked")
    assert code == 0
    assert out.startswith("Warning: nothing personal was found in 2 documents.")


def test_decontaminate_drops_what_holds_items(say: Say) -> None:
    question = "Which of the following rivers flows through the largest number of countries in all of Europe today?"
    chinese = "下列关于中国古代史的说法中，正确的是哪一项？请从四个选项中选择最合适的答案。"
    lines_of("a.jsonl", [f"Quiz: {question.upper()} Bye.", "Nothing of that kind.", f"问：{chinese}"])
    rows = [{"question": question, "choices": ["Rhine", "Danube"]}, {"question": chinese, "choices": []}]
    Path("e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    against = ["--against", "e.jsonl", "--item-field", "question"]
    code, out, _ = say("corpus", "decontaminate", "a.jsonl", *against, "--out", "clean", "--json")
    told = json.loads(out)
    assert (code, told["looked_for"], told["found_items"], told["contaminated"], told["kept"]) == (0, 2, 2, 2, 1)
    assert pl.read_parquet("clean/kept/*.parquet")["text"].to_list() == ["Nothing of that kind."]
    hits = pl.read_parquet("clean/hits/*.parquet")
    assert sorted(hits["item_id"]) == ["e.jsonl:0", "e.jsonl:1"]
    assert pl.read_parquet("clean/found.parquet")["share"].to_list() == [1.0, 1.0]
    assert pl.read_parquet("clean/decisions.parquet")["keep"].to_list() == [False, True, False]

    options = [*against, "--item-field", "choices", "--action", "report", "--threshold", "0.99", "--lang", "zh"]
    code, out, _ = say("corpus", "decontaminate", "a.jsonl", *options, "--out", "told")
    assert code == 0
    assert "评测题目" in out
    assert not Path("told/kept").exists()
    assert pl.read_parquet("told/decisions.parquet")["keep"].to_list() == [True, True, False]  # no choices there


def test_decontaminate_that_finds_nothing_says_so(say: Say, texts: Path) -> None:
    lines_of("e.jsonl", ["Which of the following is right?", "no"])
    code, out, _ = say("corpus", "decontaminate", texts, "--against", "e.jsonl", "--out", "clean")
    assert code == 0
    assert out.startswith("Warning: no n-gram of 1 item was found (1 were looked for).")
    assert "1 item is too short" in out
    assert "Kept: 63 of 63" in out


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        (["privacy", "a.jsonl", "--kinds", "emial"], "did you mean email?"),
        (["privacy", "a.jsonl", "--kinds", "names"], "kinds are secret, email"),
        (["privacy", "b.jsonl"], "no such file"),
        (["decontaminate", "a.jsonl", "--against", "empty.jsonl"], "the evaluation set is empty"),
        (["decontaminate", "a.jsonl", "--against", "blank.jsonl"], "rows without text: 2"),
        (["decontaminate", "a.jsonl", "--against", "short.jsonl"], "no item can be looked for"),
        (["decontaminate", "a.jsonl", "--against", "none.jsonl"], "no such file"),
        (["decontaminate", "a.jsonl", "--against", "a.jsonl", "--item-field", "question"], "with --item-field"),
    ],
)
def test_bad_input_of_both(say: Say, verb: list[str], says: str) -> None:
    lines_of("a.jsonl", PRIVATE)
    Path("empty.jsonl").write_text("\n")
    lines_of("blank.jsonl", ["", " "])
    lines_of("short.jsonl", ["no", "yes"])
    assert says in one_line(say("corpus", *verb, "--out", "new/out", "--json"))
    assert not Path("new").exists()


def test_lists_of_words_are_signals_and_rules(say: Say, texts: Path) -> None:
    rows = [
        "Go to HELL, damn it. Hell!",
        "hello, shell and damnation",
        "你这个王八蛋，真是王八蛋",
        "王八蛋糕店开门了",
        "说好听的",
    ]
    lines_of("a.jsonl", rows)
    Path("rude words.txt").write_text("# rude\nhell\ndamn it\n王八蛋\n\n", encoding="utf-8")
    say("corpus", "scan", texts, "a.jsonl", "--out", "scored")
    code, out, _ = say("corpus", "select", "scored", "--words", "rude words.txt", "--out", "kept", "--json")
    words = json.loads(out)["words"]["words_rude_words"]
    assert (words["found"], words["places"], words["of"]) == (2, 5, {"damn it": 1, "hell": 1, "王八蛋": 1})
    documents = dict(pl.read_parquet("scored/artifacts/documents/*/*.parquet").select("doc_id", "text").iter_rows())
    stands = [documents[one["doc_id"]][one["begin"] : one["end"]] for one in words["first"]]
    assert (stands, json.loads(out)["notices"]) == (["HELL", "damn it", "Hell", "王八蛋", "王八蛋"], [])
    told = json.loads(out)["rules"]["words.rude_words"]
    assert (code, told["alone"], told["keeps"]) == (0, 2, "words_rude_words <= 0")
    kept = pl.read_parquet("kept/kept/*.parquet")
    assert kept.filter(pl.col("source") == "a")["text"].to_list() == [rows[1], *rows[3:]]
    where = ["--where", "words_rude_words <= 2"]
    code, out, _ = say("corpus", "select", "scored", "--words", "rude words.txt", *where, "--out", "some", "--json")
    assert json.loads(out)["rules"]["where"]["alone"] == 1
    counted = pl.read_parquet("some/artifacts/listed/*/*.parquet")
    assert sorted(counted["words_rude_words"].to_list(), reverse=True)[:3] == [3, 2, 0]
    shown = say("corpus", "select", "scored", "--words", "rude words.txt", "--out", "kept", "--lang", "zh")[1]
    assert "其中 3 个词出现在 2 篇文档的 5 处" in shown and "damn it" in shown
    Path("absent.txt").write_text("sesquipedalian\nantidisestablishment\n")
    code, out, _ = say("corpus", "select", "scored", "--words", "absent.txt", "--out", "all", "--json")
    (notice,) = json.loads(out)["notices"]
    assert "none of the 2 words of the list absent was found" in notice["en"] and "2 个词" in notice["zh"]
    assert (
        "Warning: none of the 2 words" in say("corpus", "select", "scored", "--words", "absent.txt", "--out", "all")[1]
    )
    Path("none.txt").write_text("# nothing\n")
    assert "holds no words" in one_line(say("corpus", "select", "scored", "--words", "none.txt", "--out", "new"))
    line = one_line(say("corpus", "select", "scored", "--where", "words_rude < 3", "--out", "new"))
    assert "there is no signal words_rude" in line
    assert not Path("new").exists()


def test_dedup_keeps_one_of_each_cluster_and_says_how_many_it_stands_for(say: Say, tmp_path: Path) -> None:
    rows = ["the same words in the same order, " * 9, "天地玄黄，宇宙洪荒，日月盈昃，辰宿列张。" * 9]
    content = "".join(json.dumps({"text": text}) + "\n" for text in [*rows, *rows, rows[0] + "and more", "other text"])
    Path("d.jsonl").write_text(content)
    code, out, _ = say("corpus", "scan", "d.jsonl", "--out", "scored", "--json")
    told = json.loads(out)
    assert (code, told["near_duplicates"], told["clusters"]) == (0, 3, 2)  # those of several, as below
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
        (["--keep", "best", "--by", "quality"], "--by quality: there is no signal quality"),
        (["--device", "cpu"], "give --score NAME=DIR"),
    ],
)
def test_what_dedup_cannot_do(say: Say, texts: Path, arguments: list[str], says: str) -> None:
    assert says in one_line(say("corpus", "dedup", texts, *arguments, "--out", "kept"))
    assert not Path("kept").exists()


def test_sources_and_items_may_be_far_away(
    say: Say, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "corpus"))
    from far_away import served

    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    with served() as server:
        server.files["/letters.jsonl"] = (texts / "letters.jsonl").read_bytes()
        uri = f"{server.address}/letters.jsonl"
        code, out, _ = say("corpus", "privacy", uri, "--action", "report", "--out", "far", "--json")
        near = say("corpus", "privacy", texts / "letters.jsonl", "--action", "report", "--out", "near", "--json")[1]
        assert code == 0 and json.loads(out)["fingerprint"] == json.loads(near)["fingerprint"]
        code, out, err = say("corpus", "decontaminate", uri, "--against", uri, "--out", "clean", "--lang", "zh")
        assert code == 0 and err.count("未经加密") == 2
        code, _, err = say("corpus", "scan", f"{server.address}/nothing.jsonl", "--out", "none")
        assert code == 2 and "404 Not Found" in err and err.count("\n") == 1 and not Path("none").exists()
    code, _, err = say("corpus", "scan", f"{server.address}/others.jsonl", "--out", "none")
    assert code == 1 and "cannot be reached" in err and err.count("\n") == 1
