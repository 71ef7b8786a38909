"""Conversations as ids: templates of ours and of a directory, who may end a turn, and what has no room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import model, tokenizer
from assay.errors import InputError
from assay.generation.conversation import CHATML, PLAIN, Own, chat_template, checked, fitting, jinja
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from assay.tokens.tokenizer import Encoder

TALK = [
    {"role": "system", "content": "be brief"}, {"role": "user", "content": "你好"},
    {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and <|end|> now?"},
]  # fmt: skip
THEIRS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('no') }}{% endif %}{{ '<|' + m.role + '|>' + m.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def special() -> Encoder:
    names = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
    content = json.loads(tokenizer())
    first = max(t["id"] for t in content["added_tokens"]) if content["added_tokens"] else 0
    size = max(*content["model"]["vocab"].values(), first) + 1
    like = content["added_tokens"][0]
    content["added_tokens"] += [{**like, "id": size + i, "content": name} for i, name in enumerate(names)]
    return Encoder(json.dumps(content))


def put(folder: Path, encoder: Encoder, template: Any) -> Path:
    (bos,) = (name for name, i in encoder.special.items() if i == 0)
    stated = {"chat_template": template, "bos_token": {"__type": "AddedToken", "content": bos}, "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(stated), encoding="utf-8")
    return folder


def encode(encoder: Encoder) -> Any:
    return lambda texts: [tuple(encoder.encode([text])[0].tolist()) for text in texts]


@pytest.mark.parametrize(
    "template", [THEIRS, [{"name": "tools", "template": ""}, {"name": "default", "template": THEIRS}]]
)
def test_a_directorys_template_is_that_of_transformers(special: Encoder, tmp_path: Path, template: Any) -> None:
    """Where no message spells a special token, whose ids they take and we do not."""
    transformers = pytest.importorskip("transformers")
    put(tmp_path, special, template)
    (tmp_path / "tokenizer.json").write_text(special.content, encoding="utf-8")
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    talk = [{**m, "content": m["content"].replace("<|end|>", "")} for m in TALK]
    expected = theirs.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
    chat = chat_template(tmp_path, special.special)
    assert chat is not None
    assert chat.rendered(talk) == expected
    assert list(chat.ids(talk, encode(special))) == theirs(expected, add_special_tokens=False)["input_ids"]


def test_a_message_cannot_end_its_turn(special: Encoder, tmp_path: Path) -> None:
    put(tmp_path, special, THEIRS)
    chat = chat_template(tmp_path, special.special)
    assert chat is not None
    ids = chat.ids(TALK, encode(special))
    assert ids.count(special.special["<|end|>"]) == len(TALK)  # one a turn: none by what the user spelled
    assert "and <|end|> now?" in special.decode(np.array(ids))


def test_a_template_file_comes_first_and_bad_ones_are_one_line(special: Encoder, tmp_path: Path) -> None:
    put(tmp_path, special, THEIRS)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    chat = chat_template(tmp_path, special.special)
    assert chat is not None
    assert chat.rendered(TALK) == "be brief"
    for bad in ("{% if %}", "{{ nothing.at.all }}", "{{ raise_exception('roles must alternate') }}",
                "{{ ''.__class__.__mro__ }}"):  # fmt: skip
        (tmp_path / "chat_template.jinja").write_text(bad, encoding="utf-8")
        broken = chat_template(tmp_path, special.special)
        assert broken is not None
        with pytest.raises(InputError, match="refuses the conversation") as error:
            broken.rendered(TALK)
        assert str(tmp_path) in error.value.line()
    (tmp_path / "tokenizer_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is no JSON"):
        chat_template(tmp_path, special.special)


def test_our_template_as_jinja_says_the_same_text(special: Encoder, tmp_path: Path) -> None:
    for template in (PLAIN, CHATML):
        put(tmp_path, special, jinja(template))
        chat = chat_template(tmp_path, special.special)
        assert chat is not None
        own = Own(template, None, special.special["<|end|>"])
        talk = [m for m in TALK if "<|end|>" not in m["content"]] + [{"role": "user", "content": "now"}]
        assert special.decode(np.array(own.ids(talk, encode(special)))) == chat.rendered(talk)


def test_the_oldest_turns_go_and_system_and_question_stay() -> None:
    talk = [{"role": "system", "content": "s"}]
    for n in range(5):
        talk += [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]
    talk.append({"role": "user", "content": "last"})
    kept: list[list[str]] = []

    def ids(messages: Any) -> tuple[int, ...]:
        kept.append([m["content"] for m in messages])
        return tuple(range(10 * len(messages)))

    found, dropped = fitting(talk, ids, 60)
    assert (len(found), dropped) == (60, 6)
    assert kept[-1] == ["s", "q3", "a3", "q4", "a4", "last"]
    found, dropped = fitting(talk, ids, 5)  # what cannot go stays, and is told by who asks
    assert (len(found), dropped) == (20, 10)
    assert fitting(talk, ids, None) == (tuple(range(120)), 0)
    assert checked(talk, "p") == talk


def test_a_model_without_a_template_answers_until_the_users_next_turn(tmp_path: Path) -> None:
    writer = Writer.load(model(tmp_path / "gpt2"))
    (answer,) = generate(writer, [[{"role": "user", "content": "水"}]], Settings(40, regex="[a-z]{2}\nUser: x"))[0]
    assert answer.stopped_by == "\nUser:"
    assert len(answer.text) == 2
    long = [{"role": role, "content": "猫在垫子上睡觉"} for _ in range(20) for role in ("user", "assistant")]
    (cut,) = generate(writer, [[*long, {"role": "user", "content": "水"}]], Settings(8))[0]
    assert cut.turns_cut > 0
    assert cut.prompt_tokens <= 120
