"""Every task: what a row says, what a head is asked, what comes of what it says; a perfect model is found perfect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import InputError
from assay.metrics.scores import value_of
from assay.metrics.tagging import spans
from assay.models.build import build
from assay.models.encoder import bert
from assay.models.heads import Headed, HeadedConfig
from assay.tasks.asking import asked
from assay.tasks.protocol import TASKS, Example, HeadTask, Item, Said, made, saved
from labelled import coder, questions, reviews, sentences


def _learned(name: str, rows: Sequence[dict[str, Any]], **options: Any) -> tuple[HeadTask, list[Example]]:
    task = made(name, options)
    assert isinstance(task, HeadTask)
    found = [task.read(row, f"row {i}") for i, row in enumerate(rows)]
    return task.learn(found), found


def _right(task: HeadTask, item: Item) -> Said:
    """What a model says that knows the targets."""
    if task.head.kind == "tags":
        wanted = item.targets[item.marks] if item.marks is not None else item.targets
        return Said(item, np.maximum(wanted, 0), np.ones(len(wanted)))
    if task.head.kind == "span":
        values = np.full((len(item.ids), 2), -9.0)
        values[item.targets[0], 0] = values[item.targets[1], 1] = 9.0
        return Said(item, values)
    if task.head.kind == "value":
        assert item.values is not None
        return Said(item, item.values)
    if task.head.kind == "labels":
        return Said(item, np.where(item.targets > 0, 9.0, -9.0))
    return Said(item, np.where(np.arange(task.head.outputs) == item.targets[0], 9.0, -9.0))


SETS: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any]]] = {
    "sentiment": ("classification", reviews(40), {}),
    "pairs": ("classification", [{**r, "second": "a story"} for r in reviews(40)], {"second": "second"}),
    "multilabel": (
        "multilabel",
        [{"text": r["text"], "labels": [r["label"], "x"][: i % 3]} for i, r in enumerate(reviews(40))],
        {},
    ),
    "scores": ("regression", [{"text": r["text"], "score": i / 7} for i, r in enumerate(reviews(40))], {}),
    "grades": (
        "regression", [{"text": r["text"], "score": i % 5} for i, r in enumerate(reviews(40))], {"grades": True}
    ),
    "entities": ("tagging", sentences(40), {}),
    "entities_bio": ("tagging", sentences(40), {"scheme": "BIO"}),
    "words": ("tagging", [{"tokens": list("我喜欢北京"), "tags": ["S", "B", "E", "B", "E"]},
                          {"tokens": list("她看电影院"), "tags": ["S", "S", "B", "M", "E"]}], {}),
    "parts_of_speech": ("tagging", [{"tokens": ["a", "film"], "tags": ["DT", "NN"]},
                                    {"tokens": ["very", "great"], "tags": ["RB", "JJ"]}], {}),
    "questions": ("extraction", questions(40), {"stride": 6}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "character"])
@pytest.mark.parametrize("name", SETS)
def test_a_model_that_knows_the_targets_is_found_perfect(name: str, kind: str) -> None:
    task, found = _learned(SETS[name][0], SETS[name][1], **SETS[name][2])
    items = list(task.items(found, coder(kind, 20 if name == "entities" else 40)))
    said: list[list[Said]] = [[] for _ in found]
    for item in items:
        assert len(item.ids) <= 40
        said[item.example].append(_right(task, item))
    answers = [task.answer(example, own) for example, own in zip(found, said, strict=True)]
    values = value_of(task.measure(found, answers))
    assert values[task.best] == pytest.approx(1.0)
    assert set(values) & set(task.shown)


@pytest.mark.parametrize("types", [0, 1, 2])
def test_a_pair_is_read_by_bodies_with_any_number_of_token_types(types: int) -> None:
    task, found = _learned(SETS["pairs"][0], SETS["pairs"][1][:8], second="second")
    items = list(task.items(found, coder("wordpiece", 40)))
    body = replace(bert(coder("wordpiece").encoder.vocabulary, 1, 32, 2), token_types=types)
    model = build(HeadedConfig(body, task.head), torch.Generator().manual_seed(0))
    assert isinstance(model, Headed)
    said = {item.item.example: item.values for item, _ in asked(model, items)}
    assert len(said) == 8
    if types:
        with torch.no_grad():
            model.body.token_types[-1].mul_(50.0)  # only a row of its own is the second text's alone
        moved = {item.item.example: item.values for item, _ in asked(model, items)}
        alone = [Item(item.example, item.ids, item.targets, np.zeros_like(item.ids)) for item in items]
        first = {item.item.example: item.values for item, _ in asked(model, alone)}
        assert not np.allclose(moved[0], said[0])
        assert np.allclose(moved[0], first[0]) == (types == 1)


@pytest.mark.parametrize("name", SETS)
def test_a_task_is_json_and_comes_back(name: str) -> None:
    task, _ = _learned(SETS[name][0], SETS[name][1], **SETS[name][2])
    stated = saved(task)
    assert made(stated["task"], stated["options"]) == task
    assert stated["version"] == task.version


@pytest.mark.parametrize("name", SETS)
def test_without_what_is_right_nothing_is_asked_for_and_all_is_answered(name: str) -> None:
    task, found = _learned(SETS[name][0], SETS[name][1], **SETS[name][2])
    unknown = [replace(example, wanted=None) for example in found]
    for item in task.items(unknown, coder()):
        assert (item.targets < 0).all()
    rows = [{k: v for k, v in row.items() if k not in ("label", "labels", "score", "tags", "answers")}
            for row in SETS[name][1]]  # fmt: skip
    assert all(task.read(row, "row").wanted is None for row in rows)


def test_entities_keep_their_spans_whatever_scheme_they_came_in() -> None:
    iob1 = sentences(30)
    task, found = _learned("tagging", iob1)
    for example, row in zip(found, iob1, strict=True):
        (item,) = task.items([example], coder(most=64))
        inside = [task.labels[i] for i in item.targets[item.marks]]  # type: ignore[attr-defined]
        assert spans(inside) == spans(row["tags"])
    follows, begins, ends = task.allowed  # type: ignore[misc]
    number = {label: i for i, label in enumerate(task.labels)}  # type: ignore[attr-defined]
    assert begins[number["I-PER"]] == begins[number["E-LOC"]] == -np.inf
    assert ends[number["B-PER"]] == -np.inf
    assert follows[number["B-PER"], number["I-LOC"]] == -np.inf
    assert follows[number["O"], number["E-PER"]] == -np.inf
    assert follows[number["B-PER"], number["E-PER"]] == follows[number["E-PER"], number["S-PER"]] == 0


def test_a_text_is_cut_and_its_spans_say_where_they_stand() -> None:
    text = "王明 lives in New York, 她在北京。"
    rows = [
        {"text": text, "spans": [[0, 2, "PER"], [12, 20, "LOC"], [24, 26, "LOC"]]},
        {"text": "nothing", "spans": []},
    ]
    task, found = _learned("tagging", rows)
    assert found[0].given["tokens"][:5] == ["王", "明", "lives", "in", "New"]
    (item,) = task.items(found[:1], coder(most=64))
    answer = task.answer(found[0], [_right(task, item)])
    told = [(s["start"], s["stop"], s["type"], s["text"]) for s in answer["spans"]]
    assert told == [(0, 2, "PER", "王明"), (12, 20, "LOC", "New York"), (24, 26, "LOC", "北京")]


def test_answers_are_found_at_their_place_with_their_letters() -> None:
    task, found = _learned("extraction", questions(30), stride=4)
    for example in found:
        own = [_right(task, item) for item in task.items([example], coder(most=22))]
        answer = task.answer(example, own)
        if example.wanted["text"]:
            assert answer["text"] == example.wanted["text"][0]
            assert example.given["context"][answer["start"] : answer["stop"]] == answer["text"]
        else:
            assert answer["text"] == ""


def test_names_and_weights_of_labels() -> None:
    rows = [{"text": "a", "label": 0}] * 30 + [{"text": "b", "label": 1}] * 10
    task, _ = _learned("classification", rows, names={"0": "bad", "1": "good"}, balance=True)
    assert task.labels == ("bad", "good")  # type: ignore[attr-defined]
    assert task.head.weights == pytest.approx((20 / 30, 2.0))
    many, _ = _learned("classification", [{"text": "a", "label": i} for i in (10, 9, 2, 2)])
    assert many.labels == ("2", "9", "10")  # type: ignore[attr-defined]


BAD: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("classification", {}, {"label": "a"}, "has no field 'text'"),
    ("classification", {}, {"text": " ", "label": "a"}, "text is empty"),
    ("classification", {}, {"text": 3, "label": "a"}, "text is no text but int"),
    ("classification", {}, {"text": "x", "label": ["a"]}, "one label a text"),
    ("classification", {"second": "b"}, {"text": "x", "label": "a"}, "has no field 'b'"),
    ("multilabel", {}, {"text": "x", "labels": "a"}, "is no list"),
    ("regression", {}, {"text": "x", "score": "good"}, "is no number"),
    ("regression", {}, {"text": "x", "score": float("nan")}, "is no number"),
    ("tagging", {}, {"tokens": ["a", "b"], "tags": ["O"]}, "1 tags for 2 tokens"),
    ("tagging", {}, {"tokens": [], "tags": []}, "no list of words"),
    ("tagging", {}, {"words": ["a"]}, "has no list 'tokens' and no text"),
    ("tagging", {}, {"text": "a film", "spans": [[0, 6, "X"], [2, 6, "Y"]]}, "spans overlap"),
    ("extraction", {}, {"question": "q", "context": "c", "answers": {"text": ["z"], "answer_start": [0]}}, "not in"),
    ("extraction", {}, {"question": "q", "answers": {}}, "has no field 'context'"),
    ("embedding", {}, {"text": "a", "second": "b", "score": "x"}, "is no number"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "row", "what"), BAD)
def test_bad_rows_are_told_in_one_line(name: str, options: dict[str, Any], row: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what) as told:
        made(name, options).read(row, "file.jsonl:3")
    assert told.value.where == "file.jsonl:3"
    assert told.value.remedy


@pytest.mark.parametrize(
    ("name", "rows", "what"),
    [("classification", [{"text": "a", "label": "x"}] * 3, "all examples have the label 'x'"),
     ("classification", [{"text": "a"}], "no example has a label"),
     ("regression", [{"text": "a", "score": 1}] * 3, "all numbers are the same"),
     ("tagging", [{"tokens": ["a"], "tags": ["O"]}], "all tokens have the tag 'O'"),
     ("extraction", [{"question": "q", "context": "c", "answers": {"text": [], "answer_start": []}}], "no question"),
     ("multilabel", [{"text": "a", "labels": []}], "no example has a label")],
)  # fmt: skip
def test_nothing_to_tell_apart_is_told(name: str, rows: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(InputError, match=what):
        _learned(name, rows)


def test_both_ends_of_a_relation_are_marked_in_its_text() -> None:
    row = {"text": "王明 lives in Oslo", "head": [0, 2], "tail": "Oslo", "label": "lives"}
    given = made("relation", {}).read(row, "r").given["text"]
    assert given == "<1>王明</1> lives in <2>Oslo</2>"
    turned = {**row, "head": {"start": 12, "end": 16}, "tail": {"pos": [0, 2]}}
    assert made("relation", {}).read(turned, "r").given["text"] == "<2>王明</2> lives in <1>Oslo</1>"
    for bad in ({"head": [0, 99]}, {"head": "Rome"}, {"head": None}):
        with pytest.raises(InputError, match="no stretch of the text"):
            made("relation", {}).read({**row, **bad}, "r")
    with pytest.raises(InputError, match="overlap"):
        made("relation", {}).read({**row, "head": [11, 14]}, "r")


def test_labels_that_training_has_not_are_told() -> None:
    task, _ = _learned("classification", reviews(20))
    assert task.unlike(task.read({"text": "x", "label": "new"}, "r")) == "the label 'new' is not in the training text"
    assert task.unlike(task.read({"text": "x", "label": "pos"}, "r")) is None
    tags, _ = _learned("tagging", sentences(20))
    assert "E-ORG" in str(tags.unlike(tags.read({"tokens": ["a", "b"], "tags": ["B-ORG", "I-ORG"]}, "r"))) or (
        "B-ORG" in str(tags.unlike(tags.read({"tokens": ["a", "b"], "tags": ["B-ORG", "I-ORG"]}, "r"))))  # fmt: skip


def test_unknown_tasks_and_options_are_refused() -> None:
    with pytest.raises(InputError, match="there is no task 'nothing'") as told:
        made("nothing", {})
    assert all(name in str(told.value.remedy) for name in TASKS)
    with pytest.raises(InputError, match="has no option 'colour'"):
        made("classification", {"colour": "red"})
    with pytest.raises(InputError, match="text"):
        made("classification", {"text": 3})


def test_the_floor_gives_chances_to_their_labels_also_where_numbers_sort_otherwise_than_words() -> None:
    examples = [Example({"text": f"word{n} and more"}, n, "") for n in ("2", "10", "9") for _ in range(8)]
    task = made("classification", {}).learn(examples)
    assert task.labels == ("2", "9", "10")  # type: ignore[attr-defined]
    ask = task.floor(examples)
    assert ask is not None
    for example, answer in zip(examples, ask(examples), strict=True):
        assert answer["label"] == example.wanted == max(answer["probabilities"], key=answer["probabilities"].get)


def test_the_tagger_says_how_likely_each_label_is() -> None:
    from assay.tasks.baseline.tagger import Tagger

    tokens = [["Ann", "lives", "in", "Rome"], ["Bob", "was", "in", "Oslo"], ["the", "film"]] * 5
    tags = [["S-PER", "O", "O", "S-LOC"], ["S-PER", "O", "O", "S-LOC"], ["O", "O"]] * 5
    model = Tagger.fit(tokens, tags)
    said, chance = model.predict(tokens)
    for own, row, table in zip(said, chance, model.chances(tokens), strict=True):
        assert table.shape == (len(own), len(model.labels))
        np.testing.assert_allclose(table.sum(axis=1), 1)
        np.testing.assert_allclose(table[range(len(own)), [model.labels.index(tag) for tag in own]], row)
