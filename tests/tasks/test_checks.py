"""Checks of examples: what was planted is found, where it was planted, and nothing in data that is clean."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from assay.tasks.checks import answers, labels, leaks, lengths, numbers, tags, texts
from assay.tasks.checks.finding import KINDS, LEVELS, Finding, in_order, key, short, telling
from assay.tasks.protocol import Example, Task, made
from labelled import coder, questions, reviews, sentences

CHINESE = "这家酒店的位置很好，房间也很干净，早餐种类多，下次还会再来住。"


def examples(task: Task, rows: Sequence[dict[str, Any]], part: str = "train") -> list[Example]:
    return [task.read(row, f"{part}.jsonl:{i}") for i, row in enumerate(rows, 1)]


def kinds(findings: Sequence[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def one(findings: Sequence[Finding], kind: str) -> Finding:
    """The finding of a kind, of which there is one."""
    own = [finding for finding in findings if finding.kind == kind]
    assert len(own) == 1, kinds(findings)
    return own[0]


def of_class(*pairs: tuple[str, str], part: str = "train") -> list[Example]:
    return examples(made("classification", {}), [{"text": text, "label": label} for text, label in pairs], part)


# Labels


@pytest.mark.parametrize(
    ("other", "usual", "kind"),
    [
        ("Positive", "positive", "labels_alike"), ("ｐositive", "positive", "labels_alike"),
        ("very_good", "very good", "labels_alike"), ("体育 ", "体育", None), ("postive", "positive", "labels_typed"),
        ("poistive", "positive", "labels_typed"), ("财精", "财经", "labels_typed"), ("neutral", "positive", None),
        ("type2", "type1", None), ("cat", "cut", None),
    ],
)  # fmt: skip
def test_mistyped_labels(other: str, usual: str, kind: str | None) -> None:
    own = of_class(*[(f"text {i}", usual) for i in range(200)], *[(f"other {i}", "something else") for i in range(50)])
    own += of_class(("another one", other))
    found = labels.labels({"train": own}, made("classification", {}).learn(own))
    told = [f for f in found if f.kind in ("labels_alike", "labels_typed")]
    assert [f.kind for f in told] == ([kind] if kind else [])
    if kind:
        assert (told[0].values["a"], told[0].values["b"], told[0].n) == (other, usual, 1)
        assert told[0].places[0].where == "train.jsonl:1"


def test_a_frequent_label_is_no_mistyped_one() -> None:
    own = of_class(*[(f"a {i}", "entails") for i in range(50)], *[(f"b {i}", "entailed") for i in range(50)])
    assert not labels.labels({"train": own}, made("classification", {}).learn(own))


def test_the_distance_counts_letters_and_swaps() -> None:
    cases = {("abc", "abc"): 0, ("abc", "acb"): 1, ("abc", "ab"): 1, ("kitten", "sitting"): 3, ("", "ab"): 2,
             ("政治", "政法"): 1}  # fmt: skip
    assert {pair: labels.distance(*pair) for pair in cases} == cases


def test_labels_that_are_unseen_rare_uneven_and_shifted() -> None:
    train = of_class(*[(f"a {i}", "pos") for i in range(300)], *[(f"b {i}", "neg") for i in range(5)])
    test = of_class(("x", "mixed"), *[(f"c {i}", "neg") for i in range(60)], part="test")
    found = labels.labels({"train": train, "test": test}, made("classification", {}).learn(train))
    unseen = one(found, "labels_unseen")
    assert (unseen.n, unseen.values["labels"], unseen.places[0].where) == (1, ["mixed"], "test.jsonl:1")
    assert one(found, "labels_rare").places[0].where == "neg: 5"
    assert one(found, "labels_uneven").values == {"top": "pos", "low": "neg", "least": 5}
    assert one(found, "labels_shifted").values["share"] == pytest.approx(60 / 61 - 5 / 305 + 1 / 61, abs=1e-9)


def test_types_of_spans_are_labels_and_parts_of_speech_are_not_mistyped() -> None:
    rows = [{"tokens": ["Ann", "in", "Rome"], "tags": ["B-PERS", "O", "B-LOC"]}] * 100
    rows += [{"tokens": ["Bob"], "tags": ["B-Pers"]}]
    task = made("tagging", {})
    own = examples(task, rows)
    assert one(labels.labels({"train": own}, task.learn(own)), "labels_alike").values["a"] == "Pers"
    spoken = examples(task, [{"tokens": ["a", "b"], "tags": ["fw-nns", "fw-nn"]}] * 300
                      + [{"tokens": ["a", "."], "tags": ["---hl", ".-hl"]}])  # fmt: skip
    assert not [f for f in labels.labels({"train": spoken}, task.learn(spoken)) if f.kind != "labels_rare"]


# Tags


def tagged(*rows: str) -> list[Example]:
    """Rows of word/TAG."""
    split = [[pair.rsplit("/", 1) for pair in row.split()] for row in rows]
    return examples(made("tagging", {}), [{"tokens": [t for t, _ in r], "tags": [t for _, t in r]} for r in split])


GOOD = {
    "BIO": ["Ann/B-PER Lee/I-PER in/O Rome/B-LOC", "Oslo/B-LOC Rome/B-LOC"],
    "IOB1": ["Ann/I-PER Lee/I-PER in/O Rome/I-LOC", "Oslo/I-LOC Rome/B-LOC"],
    "BIOES": ["Ann/B-PER Lee/E-PER in/O Rome/S-LOC", "王/B-PER 小/M-PER 明/E-PER"],
}


@pytest.mark.parametrize("scheme", list(GOOD))
def test_a_scheme_is_told_by_its_tags_and_what_breaks_it_is_found(scheme: str) -> None:
    rows = GOOD[scheme] * 20
    task = made("tagging", {})
    assert tags.scheme_of([e.wanted for e in tagged(*rows)]) == scheme
    assert not tags.tags({"train": tagged(*rows)}, task)
    bad = {"BIO": ["x/O Ann/I-PER", "Ann/B-PER Rome/I-LOC"], "IOB1": ["x/O Ann/B-PER", "a/I-PER b/B-LOC"],
           "BIOES": ["Ann/B-PER x/O", "x/O Ann/I-PER Lee/E-PER", "Ann/B-PER Lee/E-LOC"]}[scheme]  # fmt: skip
    found = one(tags.tags({"train": tagged(*rows, *bad)}, task), "ill_formed")
    assert found.n == len(bad) and found.values["scheme"] == scheme
    assert [p.where for p in found.places] == [f"train.jsonl:{len(rows) + i}" for i in range(1, len(bad) + 1)]


@pytest.mark.parametrize(
    ("before", "after"), [("x/O 中/B-ORG 华/M-ORG", "公/M-ORG 司/E-ORG"), ("a/O b/B-LOC", "c/I-LOC d/O")]
)
def test_spans_that_go_over_rows_are_told_once(before: str, after: str) -> None:
    rows = GOOD["BIOES" if "M-" in before else "BIO"] * 20
    found = tags.tags({"train": tagged(*rows, before, after)}, made("tagging", {}))
    assert kinds(found) == ["over_rows"]
    assert found[0].places[0].where == f"train.jsonl:{len(rows) + 2}"


def test_one_bad_tag_is_told_since_it_would_turn_all_into_labels() -> None:
    rows = GOOD["BIO"] * 40
    found = one(tags.tags({"train": tagged(*rows, "Ann/b-PER x/O")}, made("tagging", {})), "bad_tags")
    assert (found.n, found.values["tags"]) == (1, ["b-PER"])
    assert not tags.tags({"train": tagged("a/DT b/NN c/VB", "a/DT b/NN")}, made("tagging", {}))


def test_spans_over_ends_of_sentences() -> None:
    rows = [*GOOD["BIO"] * 10, "Ann/B-PER ./I-PER Bob/I-PER", "the/O U.S./B-LOC ./O"]
    assert one(tags.tags({"train": tagged(*rows)}, made("tagging", {})), "sentence_ends").n == 1
    chinese = [*GOOD["BIOES"] * 10, "王/B-PER 。/M-PER 李/E-PER", "3/B-NUM ./M-NUM 5/E-NUM"]
    short_ = [row for row in chinese if "Ann" not in row]
    assert one(tags.tags({"train": tagged(*short_)}, made("tagging", {})), "sentence_ends").n == 1


@pytest.mark.parametrize("scheme", list(GOOD))
def test_broken_agrees_with_strict_decoding(scheme: str) -> None:
    """A row that nothing breaks has the same spans strictly and leniently read, and the other way round for BIO."""
    from assay.metrics.tagging import spans

    rng = random.Random(0)
    letters = {"BIO": "BIO", "IOB1": "BIO", "BIOES": "BIEOS"}[scheme]
    for _ in range(3000):
        row = [letter if letter == "O" else f"{letter}-{rng.choice('xy')}" for letter in rng.choices(letters, k=4)]
        same = spans(row) == spans(row, scheme, strict=True)
        if not tags.broken(row, scheme):
            assert same, row
        elif scheme == "BIOES":
            assert not same or "O" not in row, row


# Leaks and contradictions


@pytest.mark.parametrize(
    ("train", "test", "kind"),
    [
        ("The film was long and very dull indeed", "the FILM was long  and very dull indeed", "leaks"),
        (CHINESE, CHINESE.replace("，", ","), "leaks"),
        ("The film was long and very dull, and nobody liked it", "The film was long and very dull, and nobody liked me",
         "leaks_near"),
        (CHINESE, CHINESE.replace("再来住", "再来"), "leaks_near"),
        ("not bad", "Not bad", "leaks_short"), ("很好吃", "很好吃", "leaks_short"),
        ("The film was long and very dull indeed", "A short and lively piece that we liked", None),
        (CHINESE, "外卖送得太慢了，菜都凉了，再也不会点这一家的东西。", None),
    ],
)  # fmt: skip
def test_leaks_between_parts(train: str, test: str, kind: str | None) -> None:
    parts = {
        "train": of_class(("something else altogether, of other words", "a"), (train, "a")),
        "test": of_class((test, "a"), part="test"),
    }
    found = leaks.leaks(parts)
    assert kinds(found) == ([kind] if kind else [])
    if kind:
        assert "test.jsonl:1" in found[0].places[0].where and "train.jsonl:2" in found[0].places[0].where
        assert found[0].level == {"leaks": "mend", "leaks_near": "look", "leaks_short": "note"}[kind]


def test_near_copies_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    train = [rng.choice(words, size=20).tolist() for _ in range(300)]
    test = [list(train[i]) for i in range(60)]
    for i, row in enumerate(test):
        for place in rng.choice(20, size=i % 6 + 1, replace=False):
            row[place] = "other"

    def pairs(row: list[str]) -> set[tuple[str, str]]:
        return set(pairwise(row))

    right = sum(max(len(pairs(a) & pairs(b)) / len(pairs(a) | pairs(b)) for b in train) >= 0.7 for a in test)
    parts = {
        "train": of_class(*[(" ".join(row), "a") for row in train]),
        "test": of_class(*[(" ".join(row), "a") for row in test], part="test"),
    }
    assert one(leaks.leaks(parts), "leaks_near").n == right > 10


def test_contradictions_within_train_and_with_other_parts() -> None:
    train = of_class(("A good film", "pos"), ("a good  FILM", "neg"), ("so so", "neg"), ("so so", "neg"))
    test = of_class(("so so", "pos"), ("a good film", "neg"), part="test")
    found = leaks.contradictions({"train": train, "test": test})
    within, across = one(found, "contradictions"), one(found, "contradictions_across")
    assert (within.n, within.of, within.values["groups"]) == (2, 4, 1)
    assert within.places[0].where == "train.jsonl:1, train.jsonl:2" and "pos / neg" in within.places[0].what
    assert (across.n, across.of) == (1, 2)


def test_contradictions_of_tags_numbers_and_questions() -> None:
    tagged_ = tagged("Ann/B-PER in/O Rome/B-LOC", "Ann/B-PER in/O Rome/B-ORG")
    assert leaks.contradictions({"train": tagged_})[0].places[0].what == "Rome: B-LOC / B-ORG"
    task = made("regression", {})
    graded = examples(task, [{"text": "an essay", "score": s} for s in (1.0, 1.1, 5.0)])
    assert leaks.contradictions({"train": graded[:2]}, deviation=2.0) == []
    assert leaks.contradictions({"train": graded}, deviation=2.0)[0].n == 3
    task = made("extraction", {})
    asked = [{"question": "who", "context": "Ann and Bob", "answers": {"text": [t], "answer_start": [0]}}
             for t in ("Ann", "Ann", "Bob")]  # fmt: skip
    assert leaks.contradictions({"train": examples(task, asked[:2])}) == []
    assert leaks.contradictions({"train": examples(task, asked)})[0].n == 3


# Texts


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<br/>so nice", "html"), ("rock &amp; roll", "html"), ("it &#39;s fine", "html"), ("a < b and b > c", None),
        ("R&D; and so", None), ("I <3 you", None), ("zero\u200bwidth", "controls"), ("l\ufffdst", "controls"),
        ("tab\tand\nline", None), ("раураl and pаypal", "lookalikes"), ("5 μm wide", None), ("?!", "empty"),
        ("好", "empty"), ("好的", None), ("第１章", "wide_letters"), ("это по-русски", "scripts"),
    ],
)  # fmt: skip
def test_marks_in_texts(text: str, kind: str | None) -> None:
    rows = [(f"a plain text, number {i}", "a") for i in range(150)] + [
        (f"一段普通的文字，第 {i} 段", "a") for i in range(150)
    ]
    found = texts.texts({"train": of_class(*rows, (text, "a"))})
    assert kinds(found) == ([kind] if kind else [])
    if kind:
        assert (found[0].n, found[0].places[0].where) == (1, "train.jsonl:301")


def test_widths_and_forms_of_chinese_that_are_mixed() -> None:
    half = [("位置很好,房间也好.", "a")] * 40 + [("位置很好，房间也好。", "a")] * 60
    assert one(texts.texts({"train": of_class(*half)}), "punctuation").values == {"half": 40, "full": 60}
    forms = [("这个国家的经济发展", "a")] * 90 + [("這個國家的經濟發展", "a")] * 10
    found = one(texts.texts({"train": of_class(*forms)}), "chinese_forms")
    assert (found.n, found.values) == (10, {"simplified": 90, "traditional": 10})
    assert not texts.texts({"train": of_class(*[("这个国家的经济发展，我们都看得到", "a")] * 90)})


# Questions, numbers, lengths


def test_questions_that_share_contexts_or_are_asked_again() -> None:
    task = made("extraction", {})
    rows = questions(30)
    parts = {"train": examples(task, [*rows, rows[3]]), "test": examples(task, [rows[5], *questions(5, 9)], "test")}
    found = answers.answers(parts, task)  # type: ignore[arg-type]
    assert one(found, "contexts_shared").n == 1
    assert [p.where for p in one(found, "questions_again").places] == [
        "train.jsonl:31 = train.jsonl:4", "test.jsonl:1 = train.jsonl:6",
    ]  # fmt: skip


def test_numbers_far_from_others_and_beyond_train() -> None:
    task = made("regression", {})
    rng = np.random.default_rng(0)
    train = examples(task, [{"text": f"t {i}", "score": float(v)} for i, v in enumerate(rng.normal(3, 1, 300))])
    assert not numbers.numbers({"train": train, "test": train[:40]})
    found = numbers.numbers({"train": [*train, *examples(task, [{"text": "x", "score": 300.0}])],
                             "test": examples(task, [{"text": "y", "score": -20}], "test")})  # fmt: skip
    assert [p.what for p in one(found, "numbers_far").places] == ["300", "-20"]
    assert one(found, "numbers_beyond").places[0].where == "test.jsonl:1"


def test_what_a_tokenizer_cuts_off_and_does_not_know() -> None:
    own = of_class(*[(row["text"], row["label"]) for row in reviews(60)])
    task = made("classification", {}).learn(own)
    assert not lengths.lengths({"train": own}, task, coder(most=64))  # type: ignore[arg-type]
    own += of_class(("the film was so very great " * 20, "pos"))
    found = one(lengths.lengths({"train": own}, task, coder(most=64)), "cut")  # type: ignore[arg-type]
    assert found.n == 1 and found.values["most"] == 64 and 0 < found.values["share"] < 1
    pieces = coder("wordpiece", most=64)
    strange = of_class(("這 龘 龘 龘 龘 龘 龘 龘 龘 龘 龘 龘 龘", "pos"), part="test")
    found = one(lengths.lengths({"train": own, "test": strange}, task, pieces), "unknown")  # type: ignore[arg-type]
    assert found.values["which"][0] == "龘" and found.places[0].where == "test.jsonl:1"
    task = made("tagging", {})
    rows = examples(task, sentences(20))
    long = examples(task, [{"tokens": ["film"] * 80, "tags": ["O"] * 80}])
    found = one(lengths.lengths({"train": rows + long}, task.learn(rows), coder(most=32)), "windows")  # type: ignore[arg-type]
    assert (found.n, found.level) == (1, "note")


# All of them


def test_findings_are_ordered_by_how_much_they_matter_and_kinds_have_words() -> None:
    from assay.present.words import words

    findings = [Finding("repeats", "note", 5, 10), Finding("leaks", "look", 1, 9), Finding("leaks", "mend", 1, 9),
                Finding("labels_alike", "mend", 1, 9), Finding("leaks", "mend", 8, 9)]  # fmt: skip
    assert [(f.kind, f.n) for f in in_order(findings)] == [
        ("labels_alike", 1), ("leaks", 8), ("leaks", 1), ("leaks", 1), ("repeats", 5),
    ]  # fmt: skip
    for part in ("found", "remedy"):
        said = {name.rpartition(".")[2] for name in words("en") if name.startswith(f"checks.{part}.")}
        assert said == set(KINDS)
    assert all(f"checks.level.{level}" in words("zh") for level in LEVELS)


def test_small_things() -> None:
    assert telling(("ten characters of what is 中文",)) and not telling(("好吃",)) and not telling(("so good",))
    assert telling((CHINESE,)) and short("a\n b" * 40).endswith("…")
    assert key(Example({"text": " Ａ  b"})) == key(Example({"text": "a B"}))


@pytest.mark.parametrize(
    ("name", "rows"), [("classification", reviews), ("tagging", sentences), ("extraction", questions)]
)
def test_no_false_alarm_in_clean_data(name: str, rows: Any) -> None:
    task = made(name, {})
    sizes = {"train": (160, 0), "dev": (40, 1), "test": (60, 2)}
    parts = {part: examples(task, rows(n, seed), part) for part, (n, seed) in sizes.items()}
    learned = task.learn(parts["train"])
    found = [*labels.labels(parts, learned), *leaks.leaks(parts, ["context"] if name == "extraction" else None),
             *texts.texts(parts, sentences=name == "tagging"),
             *lengths.lengths(parts, learned, coder(most=64))]  # type: ignore[arg-type]  # fmt: skip
    found += tags.tags(parts, learned) if name == "tagging" else []  # type: ignore[arg-type]
    found += answers.answers(parts, learned) if name == "extraction" else []  # type: ignore[arg-type]
    assert [f for f in found if f.level != "note"] == []
