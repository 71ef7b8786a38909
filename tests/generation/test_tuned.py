"""Models of tasks: asked here as the task asks them; and `assay.pipeline` with settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import assay
from asked import model
from assay.errors import InputError
from assay.generation.opened import Writer
from assay.generation.text import generate
from assay.tasks.opened import Opened
from assay.tasks.pipeline import Pipeline
from assay.tasks.protocol import made, saved

TASKS: list[tuple[str, str, dict[str, Any]]] = [
    ("translation", "gpt2", {"new": 6, "beams": 3, "prompt": "{source} => "}),
    ("summarization", "standard", {"new": 7, "beams": 1, "no_repeat": 2}), ("completion", "lstm", {"new": 8}),
    ("instruction", "gpt2", {"new": 8, "system": "be brief"}), ("translation", "marian", {"new": 6, "penalty": 0.5}),
]  # fmt: skip
TEXTS = ["The farmer said", "农民说猫在垫子上", "What do bees make?"]


def tuned(folder: Path, task: str, family: str, options: dict[str, Any]) -> Path:
    """The directory of a model of a task, untrained."""
    model(folder, family)
    stated = {**saved(made(task, options)), "row_tokens": 96}
    (folder / "task.json").write_text(json.dumps(stated), encoding="utf-8")
    return folder


def whole(text: str) -> str:
    """Without the broken character at the end, which the task's own way leaves there where a limit cuts one."""
    return text.rstrip("\ufffd").strip()


@pytest.mark.parametrize(("task", "family", "options"), TASKS)
def test_a_model_of_a_task_is_asked_as_it_was_trained(
    tmp_path: Path, task: str, family: str, options: dict[str, Any]
) -> None:
    """By the task's own way from text to ids, and from ids to text."""
    folder = tuned(tmp_path / "model", task, family, options)
    opened, writer = Opened.load(folder), Writer.load(folder)
    assert writer.usual.max_new_tokens == options["new"]
    examples = Pipeline(opened).examples(TEXTS)
    prompts = [tuple(ids.tolist()) for ids in opened.task.prompts(examples, opened.coder)]  # type: ignore[attr-defined]
    assert [prompt.ids for prompt in writer.prompts(TEXTS, writer.usual)] == prompts
    theirs = opened.answers(examples)
    ours = [own[0] for own in generate(writer, TEXTS)]
    assert [whole(answer.text) for answer in ours] == [whole(answer["text"]) for answer in theirs]
    assert [answer.end == "stop" for answer in ours] == [answer["stopped"] for answer in theirs]
    raw = writer.prompts(TEXTS, writer.usual, raw=True)
    assert raw != writer.prompts(TEXTS, writer.usual) or (task, family) in (
        ("completion", "lstm"),
        ("translation", "marian"),
    )


def test_a_pipeline_takes_settings(tmp_path: Path) -> None:
    ask = assay.pipeline("translation", model=tuned(tmp_path / "t", *TASKS[0]))
    plain = [answer | {"text": whole(answer["text"])} for answer in ask(TEXTS)]
    again = [answer | {"text": whole(answer["text"])} for answer in ask(TEXTS, max_new_tokens=6)]
    assert again == plain  # by the task's own beams
    assert [answer["tokens"] for answer in ask(TEXTS, max_new_tokens=2)] == [2, 2, 2]
    drawn = ask({"source": TEXTS[0]}, temperature=1.0, n=3, seed=1)
    assert len({answer["text"] for answer in drawn}) == 3
    assert ask(TEXTS[1], choices=["yes", "是"])["text"] in ("yes", "是")
    with pytest.raises(InputError, match="there is no setting 'temperatur'"):
        ask(TEXTS, temperatur=1.0)


def test_language_models_as_they_are(tmp_path: Path) -> None:
    say = assay.pipeline("text-generation", model=model(tmp_path / "ngram", "ngram"))
    one, many = say(TEXTS[0], max_new_tokens=5), say(TEXTS, max_new_tokens=5)
    assert many[0] == one
    assert set(one) == {"text", "stopped", "tokens"}
    assert say([]) == []
    chat = assay.pipeline("chat", model=model(tmp_path / "gpt2"))
    talk = [{"role": "user", "content": "水"}]
    assert chat(talk, max_new_tokens=4) == chat([talk, talk], max_new_tokens=4)[1]
    with pytest.raises(InputError, match="holds no model of a task"):
        assay.pipeline("ner", model=tmp_path / "gpt2")
