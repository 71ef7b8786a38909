"""`assay doctor data`: through the front door, from files; what a person reads in both languages."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from assay import front
from assay.errors import InputError
from labelled import questions, reviews, sentences, write

MADE = {"classification": reviews, "tagging": sentences, "extraction": questions}


def checked(task: str, *data: Path | str, language: str = "en", as_json: bool = True, **more: Any) -> tuple[int, Any]:
    """Exit code, and what is printed."""
    given = {"model": None, "overrides": [], "options": {}, **more}
    code = 0
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            front.doctor_data(task=task, data=[str(d) for d in data], recipe=None, language=language, as_json=as_json,
                              **given)  # fmt: skip
        except SystemExit as end:
            code = int(end.code or 0)
    return code, json.loads(out.getvalue()) if as_json else out.getvalue()


def kinds(answer: dict[str, Any]) -> list[str]:
    return [finding["kind"] for finding in answer["findings"] if finding["level"] != "note"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, make in MADE.items():
        for part, (n, seed) in {"train": (160, 0), "dev": (40, 1), "test": (60, 2)}.items():
            write(tmp_path / f"{name}.{part}.jsonl", make(n, seed))
    return tmp_path


def add(path: Path, *rows: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("task", list(MADE))
def test_clean_data_is_clean(folder: Path, task: str) -> None:
    code, answer = checked(task, folder / task)
    assert (code, kinds(answer), answer["ok"]) == (0, [], True)
    assert answer["examples"] == {"train": 160, "dev": 40, "test": 60}


def test_planted_faults_of_a_classification_are_found_the_worst_first(folder: Path) -> None:
    train, test = (folder / f"classification.{part}.jsonl" for part in ("train", "test"))
    copied = json.loads(train.read_text(encoding="utf-8").splitlines()[4])
    other = copied | {"label": "neg" if copied["label"] == "pos" else "pos"}
    add(train, {"text": "this film is good", "label": "POS"}, {"text": "", "label": "pos"}, other,
        {"text": "<p>a</p> film", "label": "pos"})  # fmt: skip
    add(test, copied, {"text": "this film is odd", "label": "mixed"})
    code, answer = checked("sentiment", folder / "classification")
    assert code == 1 and not answer["ok"]
    assert kinds(answer) == ["unreadable", "labels_alike", "labels_unseen", "leaks", "contradictions", "html"]
    found = {finding["kind"]: finding for finding in answer["findings"]}
    assert found["unreadable"]["places"][0]["where"].endswith("classification.train.jsonl:162")
    assert found["leaks"]["places"][0]["where"].endswith("classification.train.jsonl:5")
    assert found["labels_unseen"]["values"] == {"part": "test", "labels": ["mixed"]}
    assert found["contradictions"]["n"] == 2
    assert "POS (1 times) is pos" in found["labels_alike"]["statement"]["en"]
    assert "大小写" in found["labels_alike"]["statement"]["zh"]


def test_planted_faults_of_tags(folder: Path) -> None:
    train = folder / "tagging.train.jsonl"
    add(train, {"tokens": ["a", "b"], "tags": ["O"]}, {"tokens": ["so", "Ann"], "tags": ["O", "B-PER"]})
    code, answer = checked("ner", folder / "tagging")
    assert code == 1 and kinds(answer) == ["tags_differ", "ill_formed"]
    assert answer["findings"][0]["places"][0]["where"].endswith("tagging.train.jsonl:161")
    assert answer["findings"][1]["values"]["scheme"] == "IOB1"


def test_planted_faults_of_questions(folder: Path) -> None:
    train = folder / "extraction.train.jsonl"
    row = {"id": "x", "question": "where is it", "context": "王明 lives in Rome"}
    add(train, row | {"answers": {"text": ["Rome"], "answer_start": [3]}},
        row | {"question": "who", "answers": {"text": ["Bob"], "answer_start": [0]}})  # fmt: skip
    code, answer = checked("qa", folder / "extraction")
    assert code == 1 and kinds(answer) == ["answers_missing", "answers_moved"]
    assert [f["places"][0]["where"].rpartition(":")[2] for f in answer["findings"][:2]] == ["162", "161"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_person_reads(folder: Path, language: str) -> None:
    train = folder / "classification.train.jsonl"
    add(train, {"text": "this film is good", "label": "POS"}, {"text": "l\ufffdst", "label": "pos"})
    code, text = checked("classification", folder / "classification", language=language, as_json=False)
    lines = text.splitlines()
    assert code == 1 and str(folder) not in text and "train.jsonl:162" in text
    assert lines[1].startswith({"en": "MEND  the label POS", "zh": "要改  标签 POS"}[language]) and " -> " in lines[1]
    assert lines[-1] == {"en": "1 to mend, 1 to look at, 0 to know", "zh": "1 项要改，1 项要留意，0 项供参考"}[language]
    assert "U+FFFD REPLACEMENT CHARACTER" in text


def test_a_clean_set_says_so(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [{"text": f"note {i} {rng.random()} of {rng.random()}", "label": "ab"[i % 2]} for i in range(60)]
    code, text = checked("classification", write(tmp_path / "a.jsonl", rows), as_json=False)
    assert (code, text.splitlines()[1:]) == (0, ["nothing was found that is wrong"])


def test_a_model_says_what_it_would_cut_off(folder: Path, tmp_path: Path) -> None:
    from assay.models.build import build
    from assay.models.interop.directory import write_directory
    from assay.pretrain import shape
    from assay.recipe.pretrain import ModelRecipe, PretrainRecipe
    from labelled import encoder

    held = encoder("wordpiece")
    config = shape.model_config(PretrainRecipe(model=ModelRecipe(preset="bert", width=16, layers=1)), held)  # type: ignore[call-arg]
    write_directory(tmp_path / "model", build(config, None), held.content, card="")
    add(folder / "classification.train.jsonl", {"text": "the film " * 200 + "龘" * 60, "label": "pos"})
    _, answer = checked("classification", folder / "classification", model=str(tmp_path / "model"))
    assert {"cut", "unknown"} <= set(kinds(answer))


def test_what_cannot_be_checked_is_refused_with_a_reason(folder: Path) -> None:
    train = folder / "classification.train.jsonl"
    with pytest.raises(InputError, match="has no field 'sentence'"):
        checked("classification", train, overrides=["task.text=sentence"])
    with pytest.raises(InputError, match="no examples to train on"):
        checked("classification")
    with pytest.raises(InputError, match="no task"):
        checked("nonsense", train)
    one = write(folder / "one.jsonl", [{"text": f"text {i}", "label": "a"} for i in range(5)])
    code, answer = checked("classification", one)
    assert code == 1 and kinds(answer) == ["nothing"]
