"""`assay tokenizer train`, `encode` and `compare`, from the command line on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.store import MANIFEST, Artifact, damage_of
from assay.tokens.stream import TokenStream
from assay.tokens.tokenizer import Encoder
from command import Say, one_line

ENGLISH = [
    "the dog, and the fox.",
    "a quick brown fox jumps over the dog",
    "was it <|endoftext|> the lazy dog, or not?",
]
CHINESE = ["学而时习之，不亦说乎？", "有朋自远方来，不亦乐乎？", "人不知而不愠，不亦君子乎？"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "texts"
    folder.mkdir()
    for name, lines in (("en", ENGLISH), ("zh", CHINESE)):
        rows = [{"text": f"{line} {i}: {lines[i % 2]}"} for i in range(20) for line in lines]
        rows.append({"text": f"held out {lines[0]}", "split": "test"})
        rows.append({"text": f"held out, too {lines[1]}", "split": "valid"})
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, texts: Path) -> Path:
    """Two tokenizers, `bpe` and `word`, and one whose id 0 is no special token."""
    from assay.tokens import verbs
    from assay.tokens.learn import Learning

    folder = tmp_path_factory.mktemp("trained")
    for how in (Learning("bpe", 400), Learning("word", 400, min_count=2)):
        verbs.train(verbs.Request([str(texts)], quiet=True), how, 100_000, folder / how.kind)
    content = json.loads((folder / "bpe" / "tokenizer.json").read_text())
    (folder / "plain.json").write_text(json.dumps({**content, "added_tokens": []}))
    return folder


@pytest.mark.parametrize("kind", ["unigram", "wordpiece"])
def test_train_writes_a_tokenizer_and_an_equal_command_finds_it(say: Say, texts: Path, kind: str) -> None:
    command = ["tokenizer", "train", texts, "--out", "new/tok", "--kind", kind, "--vocabulary", "400"]
    command += ["--special", "<|mask|>", "--json"]
    code, out, _ = say(*command)
    assert code == 0
    told = json.loads(out)
    assert out.count("\n") == 1
    encoder = Encoder.load(Path("new/tok"))
    assert told["kind"] == kind
    assert told["vocabulary"] == encoder.vocabulary
    assert told["special"]["<|mask|>"] == 1
    assert told["lossless"] == (kind == "unigram")
    assert set(told["sources"]) == {"en", "zh"}
    english = told["sources"]["en"]
    assert english["documents"] == 60  # nothing that is declared for another split
    assert english["bytes_per_token"] == english["bytes"] / english["tokens"]
    assert {"assay_version", "fingerprint"} <= set(told)
    files = {path.name for path in Path("new/tok").iterdir()}
    assert files == {"tokenizer.json", "tokenizer_config.json", MANIFEST}
    assert [path.name for path in Path("new").iterdir()] == ["tok"]
    before = Path("new/tok/tokenizer.json").stat().st_mtime_ns
    assert json.loads(say(*command)[1]) == told
    assert Path("new/tok/tokenizer.json").stat().st_mtime_ns == before
    line = one_line(say(*command[:-1], "--sample", "2000"))
    assert line == "assay: new/tok: holds something else already -> choose an empty or new folder as --out"


def test_a_command_that_was_stopped_goes_on(say: Say, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.corpus import scan
    from assay.tokens import prepare

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    command = ["tokenizer", "train", texts, "--out", "tok", "--vocabulary", "400"]
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "learn", stopped)
        patch.setattr("assay.cli.end_now", lambda code: None)
        told = say(*command)
        assert told[0] == 130
        assert told[2] == "assay: stopped -> run the same command again to go on from here\n"
        assert not Path("tok").exists()
    with monkeypatch.context() as patch:
        patch.setattr(scan, "_documents", stopped)  # what was read is not read again
        assert say(*command)[0] == 0
    assert [path.name for path in Path().iterdir()] == ["tok"]


def test_train_tells_a_line_a_source_in_both_languages(say: Say, texts: Path) -> None:
    command = ["tokenizer", "train", texts, "--kind", "word", "--min-count", "30", "--out"]
    code, out, _ = say(*command, "a")
    assert code == 0
    assert "en: 60 documents, " in out
    assert "% unknown" in out
    assert "Not every text comes back from its tokens" in out
    assert "未知词元占" in say(*command, "b", "--lang", "zh")[1]


def test_encode_writes_streams_that_are_read_again(say: Say, texts: Path, trained: Path) -> None:
    code, out, _ = say("tokenizer", "encode", trained / "bpe", texts, "--out", "tokens", "--json")
    assert code == 0
    told = json.loads(out)
    assert set(told["splits"]) == {"train", "eval", "test"}
    assert damage_of(Path("tokens")) is None
    encoder = Encoder.load(Path("tokens"))
    for split, n in (("train", 60), ("eval", 1), ("test", 1)):
        folder = Path("tokens") / split
        stream = TokenStream.open(Artifact(folder, json.loads((folder / MANIFEST).read_text())))
        spans = pl.read_parquet(folder / "spans.parquet")
        for source in ("en", "zh"):
            rows = [json.loads(line) for line in (texts / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()]
            wanted = {
                row["text"] for row in rows if {"valid": "eval"}.get(name := row.get("split", "train"), name) == split
            }
            own = spans.filter(pl.col("source") == source)
            pieces = [stream.shards[source][a : a + n] for a, n in own.select("start", "length").iter_rows()]
            assert len(pieces) == n
            assert all(piece[0] == 0 for piece in pieces)
            assert {encoder.decode(np.asarray(piece[1:])) for piece in pieces} == wanted
    english = told["sources"]["en"]
    assert english["documents"] == 62
    assert english["bytes"] == sum(len(json.loads(t)["text"].encode()) for t in (texts / "en.jsonl").open())
    code, out, _ = say("tokenizer", "encode", trained / "word" / "tokenizer.json", texts, "--out", "words")
    assert code == 0
    assert "zh: 62 documents, " in out


def test_compare_tells_tables_and_one_object(say: Say, texts: Path, trained: Path) -> None:
    command = ["tokenizer", "compare", trained / "bpe", trained / "word", "--on", texts]
    code, out, _ = say(*command, "--json")
    assert code == 0
    told = json.loads(out)
    rows = {(row["tokenizer"], row["source"], row["language"]): row for row in told["rows"]}
    assert set(rows) >= {("bpe", "en", "en"), ("word", "zh", "zh")}
    bpe = rows[("bpe", "zh", "zh")]
    low, high = bpe["bytes_per_token"]["interval"]
    assert low < bpe["bytes"] / bpe["tokens"] < high
    assert bpe["unknown_share"]["value"] == 0
    assert bpe["chinese_whole"]["value"] + bpe["chinese_split"]["value"] == pytest.approx(1)
    assert {row["tokenizer"] for row in told["against_first"]} == {"word"}
    assert {(row["language"], row["other"]) for row in told["parity"]} == {("zh", "en")}
    assert {"assay_version", "fingerprint", "level"} <= set(told)
    assert json.loads(say(*command, "--json")[1]) == told
    code, out, _ = say(*command)
    assert code == 0
    assert "bytes / token" in out
    assert out.count("\n\n") == 3
    zh = say(*command, "--lang", "zh")[1]
    assert "字节/词元" in zh
    assert not Path("tokens").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "none.txt", "--out", "o"], "none.txt: there is no such file or folder"),
        (["train", "empty.txt", "--out", "o"], "empty.txt: empty file -> give one of"),
        (["train", "texts", "--out", "o", "--kind", "bep"], "'bep' is not one of 'bpe', 'unigram'"),
        (["train", "texts", "--out", "o", "--vocabulary", "9"], "--vocabulary: 9 ids are too few -> give 273 or more"),
        (["train", "texts", "--out", "o", "--lower"], "--lower: does not go with --kind bpe"),
        (["train", "texts", "--out", "o", "--sample", "much"], "'much' is not a number of sample"),
        (["train", "texts"], "Missing option '--out'"),
        (["encode", "none", "texts", "--out", "o"], "none: there is no such file -> name a tokenizer.json"),
        (["encode", "empty.txt", "texts", "--out", "o"], "empty.txt: is no tokenizer that can be read"),
        (["encode", "trained/plain.json", "texts", "--out", "o"], "id 0 is no special token"),
        (["encode", "trained/bpe", "blank.txt", "--out", "deep/o"], "the sources hold no documents"),
        (["encode", "trained/bpe", "texts", "--out", "empty.txt"], "empty.txt: is not a folder"),
        (["compare", "trained/bpe", "trained/bpe", "--on", "texts"], "a tokenizer is named twice"),
        (["compare", "trained/bpe", "--on", "empty.txt"], "empty.txt: empty file -> give one of"),
        (["compare", "trained/bpe"], "Missing option '--on'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    say: Say, texts: Path, trained: Path, arguments: list[str], words: str
) -> None:
    shutil.copytree(texts, "texts")
    Path("trained").symlink_to(trained)
    Path("empty.txt").write_text("")
    Path("blank.txt").write_text(" \n")
    before = sorted(path.name for path in Path().iterdir())
    assert words in one_line(say("tokenizer", *arguments))
    assert sorted(path.name for path in Path().iterdir()) == before
