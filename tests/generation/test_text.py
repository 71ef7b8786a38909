"""Text in, text out: pieces that are the answer, batches that change nothing, prompts that are refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import TEXTS, model
from assay.errors import InputError
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import Answer, generate, stream

PROMPTS = ["The farmer said", "农民说猫", "", "Question: What do bees make?\nAnswer:", "答案：", "🐝"]
FAMILIES = ("gpt2", "standard", "lstm", "ngram", "marian")
WAYS = [
    Settings(24), Settings(24, temperature=0.9, top_p=0.9, n=2, seed=3, stop=("a", "。", "\n\n")),
    Settings(16, beams=3, n=2, stop=("的", "on")), Settings(12, alpha=0.5), Settings(20, repetition=1.3, no_repeat=2),
]  # fmt: skip


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Writer]:
    folder = tmp_path_factory.mktemp("models")
    return {name: Writer.load(model(folder / name, name)) for name in FAMILIES}


def texts(answers: list[list[Answer]]) -> list[list[str]]:
    return [[answer.text for answer in own] for own in answers]


def refused(writer: Writer, asked: Sequence[Any], settings: Settings | None = None) -> str:
    with pytest.raises(InputError) as error:
        generate(writer, asked, settings)
    return error.value.line()


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("name", FAMILIES)
def test_pieces_are_the_answer_and_rows_beside_change_nothing(writers: dict[str, Writer], name: str, way: int) -> None:
    """Every family by every search, streamed, alone and together."""
    writer, how = writers[name], WAYS[way]
    if name == "ngram" and how.alpha is not None:
        assert "no states to compare" in refused(writer, PROMPTS, how)
        return
    asked = [text for text in PROMPTS if text or name != "marian"]  # that one has no id to stand around nothing
    together = generate(writer, asked, how)
    assert [len(own) for own in together] == [how.n] * len(asked)
    said: dict[tuple[int, int], str] = {}
    ids: dict[tuple[int, int], list[int]] = {}
    for piece in stream(writer, asked, how):
        at = piece.prompt, piece.number
        said[at] = said.get(at, "") + piece.text
        ids[at] = ids.get(at, []) + [token.id for token in piece.tokens]
    for i, own in enumerate(together):
        assert texts(generate(writer, [asked[i]], how)) == [[answer.text for answer in own]]
        for n, answer in enumerate(own):
            assert said[i, n] == answer.text
            assert tuple(ids[i, n]) == answer.ids
            assert answer.log_probability == pytest.approx(sum(answer.log_probabilities))
            kept = [t for t in answer.ids[: answer.tokens] if t not in writer.encoder.special.values()]
            spelled = writer.encoder.decode(np.array(kept, dtype=np.int64)) if kept else ""
            assert spelled.startswith(answer.text)
            if answer.stopped_by is not None:
                assert spelled.startswith(answer.text + answer.stopped_by)
                assert not any(stop in answer.text for stop in how.stop)
            else:
                assert set(spelled[len(answer.text) :]) <= {"\ufffd"}
                assert not any(stop in spelled for stop in how.stop)


def test_a_stop_string_counts_from_the_least_length_on(writers: dict[str, Writer]) -> None:
    writer, how = writers["gpt2"], Settings(40, temperature=1.0, seed=1)
    (free,) = generate(writer, PROMPTS[:1], how)[0]
    stop = free.text[4]
    early = generate(writer, PROMPTS[:1], how.but(stop=stop))[0][0]
    assert early.text == free.text[: free.text.index(stop)]
    assert (early.end, early.stopped_by) == ("stop", stop)
    late = generate(writer, PROMPTS[:1], how.but(stop=stop, min_new_tokens=early.tokens + 4))[0][0]
    assert late.tokens >= early.tokens + 4
    assert late.text.startswith(early.text)


def test_seeds_reproduce_and_differ(writers: dict[str, Writer]) -> None:
    how = Settings(12, temperature=1.0, n=2)
    once = texts(generate(writers["lstm"], PROMPTS, how))
    assert texts(generate(writers["lstm"], PROMPTS, how)) == once
    assert texts(generate(writers["lstm"], PROMPTS, how.but(seed=1))) != once


def test_a_draft_changes_nothing(writers: dict[str, Writer], tmp_path: Path) -> None:
    writer, how = writers["gpt2"], Settings(20, stop=("的",))
    alone = generate(writer, PROMPTS, how)
    for draft in ("standard", "ngram", "lstm"):
        assert texts(generate(writer, PROMPTS, how, draft=writers[draft])) == texts(alone)
    with pytest.raises(InputError, match="of another kind"):
        generate(writer, PROMPTS, how, draft=writers["marian"])
    with pytest.raises(InputError, match="no use to beams"):
        generate(writer, PROMPTS, Settings(beams=2), draft=writers["ngram"])


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_have_the_form_that_is_asked_for(writers: dict[str, Writer], name: str) -> None:
    writer = writers[name]
    for how in (Settings(40), Settings(40, temperature=1.5, n=3), Settings(40, beams=3)):
        for own in generate(writer, PROMPTS[3:], how.but(choices=["yes", "no", "not so", "是"])):
            assert all(answer.text in ("yes", "no", "not so", "是") and answer.end == "stop" for answer in own)
        pytest.importorskip("llguidance")
        for own in generate(writer, PROMPTS[:2], how.but(regex="[0-9]{2,3}-(甲|乙)")):
            assert all(re.fullmatch("[0-9]{2,3}-(甲|乙)", answer.text) for answer in own)
        schema = {"type": "object", "properties": {"名": {"type": "string", "maxLength": 3}, "n": {"enum": [1, 2]}},
                  "required": ["名", "n"], "additionalProperties": False}  # fmt: skip
        for own in generate(writer, PROMPTS[:2], how.but(json_schema=schema, max_new_tokens=60)):
            for answer in own:
                assert answer.end == "stop"
                found = json.loads(answer.text)
                assert (len(found["名"]) <= 3, found["n"] in (1, 2), len(found)) == (True, True, 2)
        for own in generate(writer, PROMPTS[:2], how.but(grammar='start: "<" ("a" | "蜜")* ">"', max_new_tokens=16)):
            assert all(re.match("<[a蜜]*(>$)?", answer.text) for answer in own)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"regex": "(a"}, 'regex: invalid regex "(a" (unclosed group)'),
        ({"regex": r"[^\s\S]"}, "no text can be of this form"),
        ({"regex": "(?=a)b"}, "look-around"),
        ({"json_schema": "nonsense"}, "is no JSON"),
        ({"json_schema": "[1]"}, "is no JSON schema"),
        ({"json_schema": False}, "is no JSON schema"),
        ({"json_schema": {"type": "integer", "minimum": 5, "maximum": 3}}, "minimum (5) is greater than maximum (3)"),
        ({"json_schema": {"allOf": [{"type": "string"}, {"type": "integer"}]}}, "Unsatisfiable schema"),
        ({"json_schema": {"type": "foo"}}, "Invalid type: foo"),
        ({"grammar": "start: foo"}, 'unknown name: "foo"'),
    ],
)
def test_forms_that_cannot_be_met_are_one_line(writers: dict[str, Writer], given: dict[str, Any], what: str) -> None:
    pytest.importorskip("llguidance")
    line = refused(writers["gpt2"], ["x"], Settings().but(**given))
    assert what in line
    assert "->" in line


def test_any_json_is_a_schema_too(writers: dict[str, Writer]) -> None:
    pytest.importorskip("llguidance")
    (answer,) = generate(writers["ngram"], ["x"], Settings(30, json_schema='{"type": "boolean"}'))[0]
    assert json.loads(answer.text) in (True, False)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"beams": 2, "temperature": 1.0}, "give one of both"),
        ({"n": 2}, "without drawing all are the same"),
        ({"beams": 2, "n": 3}, "the 3 best of 2 beams"),
        ({"alpha": 2.0}, "alpha"),
        ({"alpha": 0.5, "regex": "a"}, "knows no constraint"),
        ({"top_p": 0.0, "temperature": 1.0}, "top_p"),
        ({"stop": ""}, "an empty stop string"),
        ({"choices": ["a"], "regex": "b"}, "choices and regex are both given"),
        ({"max_new_tokens": 0}, "0 new tokens"),
        ({"max_new_tokens": "9"}, '"9" is not a whole number'),
        ({"temperature": "热"}, '"热" is not a number'),
        ({"temperatur": 1.0}, "there is no setting 'temperatur'"),
    ],
)
def test_settings_that_contradict_themselves_are_one_line(given: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as error:
        Settings().but(**given)
    assert what in error.value.line()


def test_drawing_takes_the_place_of_beams_that_nobody_asked_for() -> None:
    assert Settings(beams=4).but(temperature=0.7).search == "sampling"
    assert Settings(beams=4).but(alpha=0.6).search == "contrastive"
    assert Settings(beams=4).but(temperature=0.0, top_k=None).search == "beams"


def test_bad_prompts_are_one_line(writers: dict[str, Writer]) -> None:
    writer = writers["gpt2"]  # 128 positions
    assert refused(writer, ["ok", "x" * 4000]).startswith("prompt 2: ")
    assert "the model's context has 128" in refused(writer, ["x" * 4000])
    assert "is not valid UTF-8, from character 3 on" in refused(writer, ["ab\udc80"])
    assert "an unknown role: 'tool'" in refused(writer, [[{"role": "tool", "content": "x"}]])
    assert "it is empty" in refused(writer, [[]])
    assert "the assistant's" in refused(writer, [[{"role": "assistant", "content": "x"}]])
    assert "its content is no text" in refused(writer, [[{"role": "user", "content": None}]])
    assert "a system message behind others" in refused(
        writer, [[{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]]
    )
    assert "holds no conversations" in refused(writers["marian"], [[{"role": "user", "content": "a"}]])
    assert "the text is empty" in refused(writers["marian"], [""])
    assert generate(writer, []) == []


def test_long_prompts_leave_what_room_there_is(writers: dict[str, Writer]) -> None:
    writer = writers["gpt2"]
    text = TEXTS[0] * 9
    ids = writer.ids([text])[0]
    cut = writer.encoder.decode(np.array(ids[:120]))
    while len(writer.ids([cut])[0]) > 120:
        cut = cut[:-1]
    (answer,) = generate(writer, [cut], Settings(64))[0]
    assert (answer.end == "full", answer.tokens <= 128) == (answer.end != "stop", True)
    assert answer.prompt_tokens + answer.tokens <= 129
