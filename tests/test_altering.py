"""`assay corpus clean`, `damage` and `augment`, from the command line on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from asked import model
from assay.corpora import altering, neighbours
from assay.curate import back_translation
from assay.errors import WorkError
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import Answer
from assay.models.vectors import WordVectors, save
from command import Say, one_line

ENGLISH = "The weather in {} was fine, and everybody went out for a walk. See https://example.org/{} for more."
CHINESE = "今天{}的天气很好，大家都出去散步了。头发干了以后，我们在后面的花园里喝茶（第{}次）。"
PLACES = ["London", "Paris", "Berlin", "Rome", "Oslo", "Cairo", "Lima", "Delhi", "Seoul", "Kyoto"]


@pytest.fixture
def texts(say: Say) -> str:
    """Twenty English documents of the source web, ten Chinese ones of the source zh, and an empty row."""
    rows = [{"text": ENGLISH.format(place, i), "tag": "web"} for i in range(2) for place in PLACES]
    rows += [{"text": CHINESE.format("北京", i), "tag": "zh"} for i in range(10)]
    rows.append({"text": "", "tag": "zh"})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Path("texts.jsonl").write_text(lines, encoding="utf-8")
    return "texts.jsonl"


def kept(folder: str) -> pl.DataFrame:
    return pl.read_parquet(f"{folder}/kept/*.parquet")


def test_clean_says_what_each_step_changed(say: Say, texts: str) -> None:
    command = ["corpus", "clean", texts, "--source-field", "tag", "--out", "clean"]
    options = ["--drop-urls", "--script", "traditional", "--case", "lower", "--punctuation", "drop", "--spaces"]
    code, out, _ = say(*command, *options, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["documents"], told["kept"], told["changed"], told["emptied"]) == (30, 30, 30, 0)
    assert told["steps"]["urls"][0] == told["sources"]["web"]["steps"]["urls"][0] == 20
    assert told["sources"]["zh"]["steps"]["script"][0] == 10
    made = kept("clean")
    assert made["parent_id"].null_count() == 0
    assert "the weather in oslo was fine and everybody went out for a walk see for more" in made["text"].to_list()
    assert any("在後面的花園裏喝茶" in text for text in made["text"])
    code, out, _ = say("corpus", "scan", "clean/kept", "--source-field", "source", "--out", "again", "--json")
    assert json.loads(out)["documents"] == 30

    before = made.to_dicts()
    assert say(*command, *options)[0] == 0
    assert kept("clean").to_dicts() == before
    assert "another cleaning" in one_line(say(*command, "--spaces"))
    code, out, _ = say("corpus", "clean", texts, "--out", "zh", "--digits", "zero", "--lang", "zh")
    assert code == 0 and "数字" in out and "保留" in out


def test_rare_words_are_those_of_the_whole_corpus(say: Say, texts: str) -> None:
    code, out, _ = say("corpus", "clean", texts, "--out", "common", "--rare-words", "3", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["words"]["rare"] >= len(PLACES)  # each place stands twice
    joined = " ".join(kept("common")["text"].to_list())
    assert not any(place in joined for place in PLACES)
    assert joined.count("weather in was fine") == 20


def test_what_ends_empty_is_dropped_and_said(say: Say) -> None:
    Path("a.txt").write_text("the and of\n", encoding="utf-8")
    code, out, _ = say("corpus", "clean", "a.txt", "--out", "none", "--stop-words", "en", "--json")
    told = json.loads(out)
    assert (code, told["kept"], told["emptied"]) == (0, 0, 1)
    assert any("no document is left" in notice["en"] for notice in told["notices"])


@pytest.mark.parametrize(
    "defect",
    ["exact_duplicates", "near_duplicates", "mojibake", "markov_text", "wrong_language", "wrong_source", "joined"],
)
def test_damage_writes_what_it_planted(say: Say, texts: str, defect: str) -> None:
    command = ["corpus", "damage", texts, "--source-field", "tag", "--defect", defect, "--dose", "0.5"]
    code, out, _ = say(*command, "--out", "bad", "--json")
    told = json.loads(out)
    assert code == 0
    evidence, made = pl.read_parquet("bad/planted.parquet"), kept("bad")
    assert told["damaged"] == len(evidence) > 0
    assert evidence["defect"].unique().to_list() == [defect]
    assert set(evidence["doc_id"]) == set(made.filter(pl.col("defect").is_not_null())["doc_id"])
    assert Counter(evidence["source"]) == {name: n for name, part in told["sources"].items() if (n := part["damaged"])}
    assert len(made) == told["kept"] == 30 + (len(evidence) if "duplicates" in defect else 0)

    say("corpus", "scan", texts, "--source-field", "tag", "--out", "scored")
    command[2:5] = ["scored"]
    code, out, _ = say(*command, "--out", "same", "--json")
    assert kept("same").to_dicts() == made.to_dicts()  # a scan's folder is the same corpus
    code, out, _ = say(*command, "--out", "other", "--seed", "1", "--lang", "zh")
    assert code == 0 and "种子 1" in out
    assert kept("other")["doc_id"].to_list() != made["doc_id"].to_list()


def test_evaluation_items_are_planted_and_found_again(say: Say, texts: str) -> None:
    questions = [
        f"Which river runs through the old capital number {i} of this country, and why there?" for i in range(3)
    ]
    lines = "".join(json.dumps({"question": text}) + "\n" for text in questions)
    Path("test.jsonl").write_text(lines, encoding="utf-8")
    damage = [
        "corpus",
        "damage",
        texts,
        "--defect",
        "contamination",
        "--items",
        "test.jsonl",
        "--item-field",
        "question",
    ]
    code, out, _ = say(*damage, "--dose", "1", "--copies", "4", "--out", "bad", "--json")
    assert (code, json.loads(out)["damaged"]) == (0, 12)
    found = ["corpus", "decontaminate", "bad/kept", "--against", "test.jsonl", "--item-field", "question"]
    told = json.loads(say(*found, "--out", "clean", "--json")[1])
    assert (told["contaminated"], told["found_items"]) == (12, 3)


def test_work_that_broke_off_goes_on_to_the_same_rows(say: Say, texts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["corpus", "damage", texts, "--defect", "joined", "--dose", "0.5", "--out", "bad"]

    def stop(*arguments: object, **options: object) -> None:
        raise WorkError("the disk is full", remedy="free some space")

    with monkeypatch.context() as patched:
        patched.setattr(altering, "altered_part", stop)
        assert "the disk is full" in one_line(say(*command), 1)
    assert not Path("bad/kept").exists()
    assert say(*command)[0] == 0
    assert say(*command[:-1], "fresh")[0] == 0
    assert kept("bad").to_dicts() == kept("fresh").to_dicts()


def test_augment_adds_copies_with_similar_words(say: Say, texts: str) -> None:
    words = ["weather", "climate", "walk", "stroll", "the", "天气", "气候", "far"]
    rows = np.eye(8, dtype=np.float32)
    rows[1], rows[3], rows[6] = rows[0] + 0.1 * rows[1], rows[2] + 0.1 * rows[3], rows[5] + 0.1 * rows[6]
    rows[4] = rows[0]
    save(WordVectors(words, rows), Path("vectors"))
    command = ["corpus", "augment", texts, "--synonyms", "1", "--vectors", "vectors", "--out", "more"]
    code, out, _ = say(*command, "--json")
    told = json.loads(out)
    assert (code, told["copies"], told["kept"]) == (0, 30, 60)
    copies = kept("more").filter(pl.col("parent_id").is_not_null())["text"].to_list()
    assert sum("The climate in" in text and "for a stroll" in text for text in copies) == 20
    assert sum("气候很好" in text for text in copies) == 10

    table = neighbours.neighbours(Path("vectors"), 0.6).to_pylist()
    pairs = {(row["word"], row["neighbour"]) for row in table}
    assert pairs == {
        (a, b) for one in (("weather", "climate"), ("walk", "stroll"), ("天气", "气候")) for a, b in (one, one[::-1])
    }
    assert all(row["cosine"] == pytest.approx(1 / np.sqrt(1.01)) for row in table)
    assert "no two words" in one_line(say(*command[:-1], "none", "--bound", "0.999"))


def test_augment_resamples(say: Say, texts: str) -> None:
    command = ["corpus", "augment", texts, "--source-field", "tag"]
    code, out, _ = say(*command, "--weights", "zh=3,web=0", "--out", "mixed", "--json")
    told = json.loads(out)
    assert (code, told["kept"], told["repeated"], told["left_out"]) == (0, 30, 20, 20)
    assert Counter(kept("mixed")["source"]) == {"zh": 30}

    code, out, _ = say(*command, "--temperature", "1e9", "--over", "language", "--out", "even", "--json")
    told = json.loads(out)
    sizes = {name: told["sources"][name]["bytes"] for name in ("web", "zh")}
    total = sum(sizes.values())
    assert told["times"] == pytest.approx({"en": total / 2 / sizes["web"], "zh": total / 2 / sizes["zh"]})
    code, out, _ = say(*command, "--weights", "zh=9", "--out", "often", "--lang", "zh")
    assert code == 0 and "重复 4 次以上" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["clean"], "nothing is asked for"),
        (["clean", "--stop-words", "en,zzh"], "did you mean zh"),
        (["damage", "--defect", "mojibaek", "--dose", "0.1"], "did you mean mojibake"),
        (["damage", "--defect", "mojibake", "--dose", "1.1"], "--dose is 1.1"),
        (["damage", "--defect", "mojibake", "--dose", "0.1", "--copies", "3"], "--copies means nothing to mojibake"),
        (["damage", "--defect", "contamination", "--dose", "0.1"], "no evaluation file is given"),
        (["damage", "--defect", "joined", "--dose", "0.1", "--items", "x"], "--items means nothing to joined"),
        (["augment"], "nothing is asked for"),
        (["augment", "--drop", "2"], "--drop is 2.0"),
        (["augment", "--through", "en-zh"], "--through and --back belong together"),
        (["augment", "--through", ".", "--back", "."], "holds no model"),
        (["augment", "--synonyms", "0.1"], "--synonyms and --vectors belong together"),
        (["augment", "--temperature", "0"], "--temperature is 0.0"),
        (["augment", "--weights", "a=2", "--copies", "2"], "--copies without a way"),
    ],
)
def test_bad_options_are_told_before_anything_is_read(say: Say, texts: str, arguments: list[str], says: str) -> None:
    line = one_line(say("corpus", arguments[0], texts, *arguments[1:], "--out", "out"))
    assert says in line
    assert not Path("out").exists()


def test_what_the_corpus_lacks_is_told(say: Say, texts: str) -> None:
    line = one_line(say("corpus", "damage", texts, "--defect", "wrong_source", "--dose", "0.5", "--out", "a"))
    assert "one source alone (texts)" in line
    assert not Path("a/kept").exists()
    augment = ["corpus", "augment", texts, "--source-field", "tag", "--out", "b"]
    assert "did you mean web" in one_line(say(*augment, "--weights", "wbe=2"))
    vectors = one_line(say(*augment[:-1], "c", "--synonyms", "0.1", "--vectors", "nowhere"))
    assert "does not exist" in vectors
    Path("empty.jsonl").write_text('{"text": ""}\n', encoding="utf-8")
    assert "no documents" in one_line(say("corpus", "clean", "empty.jsonl", "--spaces", "--out", "d"))


def test_augment_translates_there_and_back(say: Say, texts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a translator that marks each answer with its number, but comes to no end about Rome, and one that shouts."""
    asked: list[tuple[str, str]] = []

    def generate(writer: Writer, prompts: list[str], how: Settings) -> list[list[Answer]]:
        asked.extend((writer.name, one) for one in prompts)
        return [
            [
                Answer(f"{n}<{one}>", "length" if "Rome" in one else "stop", 1, 1, 0.0)
                if writer.name == "there"
                else Answer(one.upper(), "stop", 1, 1, 0.0)
                for n in range(how.n)
            ]
            for one in prompts
        ]

    monkeypatch.setattr(back_translation, "generate", generate)
    there, back = model(Path("there"), "marian"), model(Path("back"), "bart")
    command = ["corpus", "augment", texts, "--through", there, "--back", back, "--copies", "2", "--out"]
    code, out, err = say(*command, "more", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["documents"], told["copies"], told["alike"]) == (30, 60, 0)
    first, last = ENGLISH.split(" See")
    copies = kept("more").filter(pl.col("parent_id").is_not_null())["text"].to_list()
    for number in (0, 1):
        oslo = first.format("Oslo"), f"See{last}".format(0)
        assert " ".join(f"{number}<{one.upper()}>" for one in oslo) in copies
        assert "".join(f"{number}<{one}。>" for one in CHINESE.format("北京", 3).split("。")[:2]) in copies
        assert sum(text.startswith(f"{first.format('Rome')} {number}<SEE") for text in copies) == 2
    names, sentences = zip(*asked, strict=True)
    assert names.count("there") == told["back_translation"]["sentences"] == 10 + 2 + 1 + 10
    assert told["back_translation"]["stayed"] == sum("Rome was" in one for one in sentences) == 1

    before, n = kept("more").to_dicts(), len(asked)
    assert say(*command, "more")[0] == 0
    assert (kept("more").to_dicts(), len(asked)) == (before, n)
    code, out, _ = say(*command, "words", "--drop", "0.5", "--lang", "zh")
    assert code == 0 and "回译了" in out
    shorter = kept("words").filter(pl.col("parent_id").is_not_null())["text"].to_list()
    assert sum(map(len, shorter)) < 0.8 * sum(map(len, copies))
    assert sum("WEATHER" in text for text in shorter) > 5


def test_translations_without_an_end_leave_sentences_as_they_are(say: Say, texts: str) -> None:
    marian = model(Path("marian"), "marian")  # which never stops
    told = say("corpus", "augment", texts, "--through", marian, "--back", marian, "--out", "more", "--json")
    found = json.loads(told[1])
    assert (found["copies"], found["alike"]) == (0, 30)
    assert found["back_translation"]["stayed"] == found["back_translation"]["sentences"] > 0


def test_back_translation_that_is_cut_off_goes_on(say: Say, texts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    marian, done = model(Path("marian"), "marian"), list[list[str]]()

    def said(writer: Writer, some: list[str], how: Settings) -> list[list[str | None]]:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(list(some))
        return [[one[::-1]] for one in some]

    command = ["corpus", "augment", texts, "--through", marian, "--back", marian, "--out"]
    monkeypatch.setattr(back_translation, "SLICE", 10)
    with monkeypatch.context() as patch:
        patch.setattr(back_translation, "_said", said)
        patch.setattr("assay.cli.end_now", sys.exit)
        assert say(*command, "more")[0] == 130
    first = len(done)
    done.clear()
    monkeypatch.setattr(
        back_translation, "_said", lambda *given: done.append(given[1]) or [[one + "?"] for one in given[1]]
    )
    assert say(*command, "more")[0] == 0
    assert first == 4 and len(done) == 2  # two of three slices were done
