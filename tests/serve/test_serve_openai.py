"""The official client of OpenAI's interface gets from the server what the models say alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from served import KEY, Served

from assay.curate.embed import Embedder
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from assay.models.decoder import Decoder
from assay.serve.writing import token_bytes
from assay.tokens.tokenizer import Encoder

openai = pytest.importorskip("openai")
PROMPTS = ["The farmer said that the", "农民说猫在", "", "Question: What do bees make?\nAnswer: honey"]
TALK = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "蜜蜂酿造什么？"}]


@pytest.fixture(scope="session")
def client(served: Served) -> Any:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=KEY, max_retries=0)


def alone(folder: Path, asked: Any, **settings: Any) -> Any:
    writer = Writer.load(folder)
    return generate(writer, [asked], Settings(**settings))[0]


def test_models_are_listed_with_what_they_can_do(client: Any, models: dict[str, Path]) -> None:
    found = {model.id: model for model in client.models.list()}
    assert set(found) == set(models)
    assert found["gpt"].routes == ["completions", "chat/completions"] and found["gpt"].context == 128
    assert found["mood"].routes == ["classify"] and found["names"].routes == ["tag"]
    assert found["bert"].routes == ["embeddings"] and "translate" in found["german"].routes
    assert client.models.retrieve("lstm").id == "lstm"
    with pytest.raises(openai.NotFoundError, match="there is no model 'nobody'"):
        client.models.retrieve("nobody")


@pytest.mark.parametrize("name", ["gpt", "lstm", "ngram", "bart"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_greedy_completion_is_the_one_of_the_model_alone(
    client: Any, models: dict[str, Path], name: str, prompt: str
) -> None:
    if name in ("lstm", "bart") and not prompt:
        prompt = "A"
    (expected,) = alone(models[name], prompt, max_new_tokens=24)
    found = client.completions.create(model=name, prompt=prompt, max_tokens=24, temperature=0)
    assert found.choices[0].text == expected.text
    assert found.choices[0].finish_reason == ("stop" if expected.end == "stop" else "length")
    assert found.usage.completion_tokens == expected.tokens and found.usage.prompt_tokens == expected.prompt_tokens
    parts = list(client.completions.create(model=name, prompt=prompt, max_tokens=24, temperature=0, stream=True))
    assert "".join(part.choices[0].text for part in parts) == expected.text
    assert "\ufffd" not in expected.text or len(parts) > 0
    assert [part.choices[0].finish_reason for part in parts][-1] == found.choices[0].finish_reason


def test_several_prompts_and_answers_come_in_order_and_as_seeded(client: Any, models: dict[str, Path]) -> None:
    how: dict[str, Any] = {"temperature": 0.9, "top_p": 0.95, "seed": 7, "max_tokens": 12, "n": 2}
    found = client.completions.create(model="gpt", prompt=PROMPTS[:2], **how)
    assert [choice.index for choice in found.choices] == [0, 1, 2, 3]
    settings = {"temperature": 0.9, "top_p": 0.95, "seed": 7, "max_new_tokens": 12, "n": 2}
    expected = [answer.text for prompt in PROMPTS[:2] for answer in alone(models["gpt"], prompt, **settings)]
    assert [choice.text for choice in found.choices] == expected
    other = client.completions.create(model="gpt", prompt=PROMPTS[:2], **{**how, "seed": 8})
    assert [choice.text for choice in other.choices] != expected
    drawn = {client.completions.create(model="gpt", prompt="a", max_tokens=12).choices[0].text for _ in range(4)}
    assert len(drawn) > 1  # without a seed, each is drawn anew


def test_token_ids_are_a_prompt(client: Any, models: dict[str, Path]) -> None:
    encoder = Encoder.load(models["gpt"])
    ids = [0, *encoder.encode([PROMPTS[0]])[0].tolist()]
    by_text = client.completions.create(model="gpt", prompt=PROMPTS[0], max_tokens=8, temperature=0)
    by_ids = client.completions.create(model="gpt", prompt=[ids, ids], max_tokens=8, temperature=0)
    assert [choice.text for choice in by_ids.choices] == [by_text.choices[0].text] * 2


def test_chat_is_answered_by_the_models_template(client: Any, models: dict[str, Path]) -> None:
    (expected,) = alone(models["gpt"], TALK, max_new_tokens=20)
    found = client.chat.completions.create(model="gpt", messages=TALK, max_completion_tokens=20, temperature=0)
    assert found.choices[0].message.content == expected.text and found.choices[0].message.role == "assistant"
    stream = client.chat.completions.create(
        model="gpt", messages=TALK, max_tokens=20, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    parts = list(stream)
    assert parts[0].choices[0].delta.role == "assistant"
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == expected.text
    assert parts[-1].choices == [] and parts[-1].usage.completion_tokens == expected.tokens
    assert parts[-2].choices[0].finish_reason == found.choices[0].finish_reason
    parted = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "蜜蜂酿造什么？"}]},
    ]
    same = client.chat.completions.create(model="gpt", messages=parted, max_tokens=20, temperature=0)
    assert same.choices[0].message.content == expected.text


def test_stop_strings_end_an_answer_and_are_no_part_of_a_stream(client: Any, models: dict[str, Path]) -> None:
    (whole,) = alone(models["gpt"], PROMPTS[0], max_new_tokens=40)
    stop = whole.text[9:12]
    at = whole.text.index(stop)
    how: dict[str, Any] = {
        "model": "gpt",
        "prompt": PROMPTS[0],
        "max_tokens": 40,
        "temperature": 0,
        "stop": [stop, "none"],
    }
    found = client.completions.create(**how)
    assert found.choices[0].text == whole.text[:at] and found.choices[0].finish_reason == "stop"
    parts = list(client.completions.create(**how, stream=True))
    assert "".join(part.choices[0].text for part in parts) == whole.text[:at]


def test_log_probabilities_are_the_models_own(client: Any, models: dict[str, Path]) -> None:
    (expected,) = alone(models["gpt"], PROMPTS[1], max_new_tokens=10)
    found = client.completions.create(model="gpt", prompt=PROMPTS[1], max_tokens=10, temperature=0, logprobs=0)
    told = found.choices[0].logprobs
    assert told.token_logprobs == pytest.approx(expected.log_probabilities[: expected.tokens], abs=1e-4)
    assert told.text_offset[0] == 0
    parts = list(client.chat.completions.create(
        model="gpt", messages=TALK, max_tokens=12, temperature=0, logprobs=True, stream=True
    ))  # fmt: skip
    (chat,) = alone(models["gpt"], TALK, max_new_tokens=12)
    tokens = [one for part in parts if part.choices[0].logprobs for one in part.choices[0].logprobs.content]
    assert [one.logprob for one in tokens] == pytest.approx(chat.log_probabilities[: chat.tokens], abs=1e-4)
    spelled = b"".join(bytes(one.bytes) for one in tokens).decode("utf-8", "replace")
    assert spelled.startswith(chat.text)


def _named(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def test_the_likeliest_tokens_are_told_beside_each_one(client: Any, models: dict[str, Path]) -> None:
    writer = Writer.load(models["gpt"])
    assert isinstance(writer.model, Decoder)
    how: dict[str, Any] = {"model": "gpt", "max_tokens": 6, "temperature": 1.5, "seed": 3}
    said = client.completions.create(prompt=PROMPTS[1], logprobs=3, **how).choices[0]
    (answer,) = alone(models["gpt"], PROMPTS[1], max_new_tokens=6, temperature=1.5, seed=3)
    (prompt,) = writer.prompts([PROMPTS[1]], Settings(6), raw=True)
    ids = torch.tensor([[*prompt.ids, *answer.ids]])
    with torch.no_grad():
        log_TV = writer.model.logits(writer.model.hidden(ids))[0, len(prompt.ids) - 1 : -1].log_softmax(-1)
    spelled = [_named(token_bytes(writer, i)) for i in range(log_TV.shape[-1])]
    for told, own, log_V in zip(said.logprobs.top_logprobs, said.logprobs.tokens, log_TV, strict=True):
        wanted = {spelled[i]: log_V[i].item() for i in log_V.topk(3).indices.tolist()}
        assert {**told, own: 0.0}.keys() == {*wanted, own}
        assert {t: told[t] for t in wanted} == pytest.approx(wanted, abs=1e-4)
    chat = client.chat.completions.create(messages=TALK, logprobs=True, top_logprobs=2, **how).choices[0]
    for one in chat.logprobs.content:
        first, second = one.top_logprobs
        assert first.logprob >= second.logprob and one.logprob <= first.logprob + 1e-6


def test_biases_and_penalties_bend_what_is_written(client: Any, models: dict[str, Path]) -> None:
    encoder = Encoder.load(models["gpt"])
    token = int(encoder.encode(["cats sleep"])[0][0])
    how: dict[str, Any] = {"model": "gpt", "prompt": "The", "max_tokens": 6, "temperature": 0}
    forced = client.completions.create(**how, logit_bias={str(token): 100})
    plain = client.completions.create(**how)
    assert forced.choices[0].text == encoder.decode(np.array([token] * 6)) != plain.choices[0].text
    away = client.completions.create(**how, logit_bias={str(token): 100}, frequency_penalty=2, presence_penalty=2)
    assert away.usage.completion_tokens == 6


@pytest.mark.parametrize("form", ["float", "base64"])
def test_vectors_are_the_encoders(client: Any, models: dict[str, Path], form: str) -> None:
    texts = ["The cats sleep on the mat.", "猫睡在垫子上", "x" * 400]
    found = client.embeddings.create(model="bert", input=texts, encoding_format=form)
    expected = Embedder.load(models["bert"]).vectors(texts)
    got = [np.frombuffer(__import__("base64").b64decode(d.embedding), "<f4") if form == "base64" else d.embedding
           for d in found.data]  # fmt: skip
    np.testing.assert_allclose(np.array(got), expected, atol=1e-6)
    assert found.usage.prompt_tokens == len(Encoder.load(models["bert"]).encode(texts)[0])


def test_the_client_reads_vectors_of_a_model_that_was_trained_for_them(client: Any) -> None:
    one, other, again = (
        d.embedding for d in client.embeddings.create(model="vectors", input=["cats", "水", "cats"]).data
    )
    assert one == pytest.approx(again, abs=1e-6) and one != pytest.approx(other, abs=1e-3)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)


def test_the_client_is_told_of_a_wrong_key(served: Served) -> None:
    stranger = openai.OpenAI(base_url=f"{served.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_answers_have_the_form_that_was_asked_for(client: Any, models: dict[str, Path]) -> None:
    chosen = client.completions.create(
        model="gpt",
        prompt="猫睡在",
        max_tokens=24,
        temperature=2,
        n=6,
        extra_body={"choices": ["垫子上", "水里", "mat"]},
    )
    assert {choice.text for choice in chosen.choices} <= {"垫子上", "水里", "mat"}
    pytest.importorskip("llguidance")
    found = client.completions.create(model="gpt", prompt="x", max_tokens=9, extra_body={"regex": "[ab]{3}c?"})
    assert re.fullmatch("[ab]{3}c?", found.choices[0].text)
    schema = {"type": "object", "properties": {"猫": {"enum": ["垫子", "水"]}, "n": {"type": "integer", "maximum": 9,
              "minimum": 0}}, "required": ["猫", "n"], "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "cat", "schema": schema, "strict": True}}
    for stream in (False, True):
        made = client.chat.completions.create(
            model="gpt", messages=TALK, max_tokens=60, response_format=form, seed=1, stream=stream
        )
        text = made.choices[0].message.content if not stream else "".join(
            part.choices[0].delta.content or "" for part in made
        )  # fmt: skip
        told = json.loads(text)
        assert set(told) == {"猫", "n"} and told["猫"] in ("垫子", "水") and 0 <= told["n"] <= 9


@pytest.mark.parametrize(
    ("more", "said"),
    [({"regex": "["}, "regex"), ({"regex": "a", "choices": ["b"]}, "are both given"), ({"choices": [""]}, "choices")],
)
def test_forms_that_are_none_are_told(client: Any, more: dict[str, Any], said: str) -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(openai.BadRequestError, match=said):
        client.completions.create(model="gpt", prompt="x", extra_body=more)


def test_a_schema_that_nothing_meets_is_told(client: Any) -> None:
    pytest.importorskip("llguidance")
    impossible = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}},
        "required": ["a"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": impossible}}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt", messages=TALK, response_format=form)
