"""What is not allowed, too large, or cannot be meant: an answer in OpenAI's form, and the server goes on."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from typing import Any

import httpx
import pytest
from served import KEY, Served

ROUTES = {
    ("POST", "/v1/completions"), ("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings"), ("POST", "/v1/classify"),
    ("POST", "/v1/tag"), ("POST", "/v1/answer"), ("POST", "/v1/translate"), ("POST", "/v1/summarize"),
    ("GET", "/v1/models"), ("GET", "/v1/models/{name}"), ("GET", "/health"), ("GET", "/metrics"),
    ("GET", "/openapi.json"),
}  # fmt: skip
CHAT: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
TEXT: dict[str, Any] = {"model": "gpt", "prompt": "hi", "max_tokens": 2}


def paths(served: Served) -> set[tuple[str, str]]:
    """Of the OpenAPI document, and the document's own."""
    document = httpx.get(f"{served.url}/openapi.json", headers=served.headers).json()
    found = {(method.upper(), path) for path, own in document["paths"].items() for method in own}
    return found | {("GET", "/openapi.json")}


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    (error,) = answer.json().values()
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and error["message"] and "\n" not in error["message"]
    assert "Traceback" not in answer.text and ".py" not in answer.text and "/tmp" not in answer.text
    return dict(error)


def assert_works(served: Served) -> None:
    answer = httpx.post(f"{served.url}/v1/completions", json=TEXT, headers=served.headers)
    assert answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] <= 2


def test_every_route_is_denied_without_the_key(served: Served) -> None:
    """Those that there are, and those that there are not, with every method."""
    assert paths(served) == ROUTES
    keys = [{}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"},
            {"Authorization": KEY}, {"Authorization": f"Basic {KEY}"}, {"Authorization": f"Bearer {KEY[:-1]}"},
            {"Authorization": f"Bearer {KEY}x"}, {"Cookie": f"assay_session={KEY}"}, {"X-Api-Key": KEY}]  # fmt: skip
    with httpx.Client(base_url=served.url) as client:
        for _, path in ROUTES | {("", "/"), ("", "/docs"), ("", "/redoc"), ("", "/open"), ("", "//v1/models")}:
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                error = error_of(client.request(method, path.replace("{name}", "gpt")), 401)
                assert error["code"] == "invalid_api_key"
        for headers in keys:
            assert client.get("/v1/models", headers=headers).status_code == 401
        assert client.head("/health").status_code == 401
        assert client.get("/health", headers={"Authorization": f"bearer {KEY}"}).status_code == 200


def test_no_answer_opens_the_service_to_other_origins(served: Served) -> None:
    there = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    with httpx.Client(base_url=served.url, headers=there) as client:
        answers = [client.options("/v1/completions"), client.options("/v1/completions", headers=served.headers),
                   client.get("/v1/models", headers=served.headers)]  # fmt: skip
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    assert [answer.status_code for answer in answers] == [401, 405, 200]


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("completions", {**TEXT, "prompt": "a b c " * 400}, "the model's context has 128"),
    ("completions", {**TEXT, "prompt": "x", "max_tokens": 128}, "and the model's context has 128"),
    ("completions", {**TEXT, "max_tokens": 99999}, "99999 tokens, and this server writes 1024 at most"),
    ("completions", {**TEXT, "prompt": []}, "prompt"),
    ("completions", {**TEXT, "prompt": [100000]}, "token id 100000"),
    ("completions", {**TEXT, "prompt": [-1]}, "prompt"),
    ("completions", {**TEXT, "temperature": -1}, "temperature"),
    ("completions", {**TEXT, "temperature": "hot"}, "temperature"),
    ("completions", {**TEXT, "n": 2, "temperature": 0}, "without drawing all are the same"),
    ("completions", {**TEXT, "n": 99}, "n"),
    ("completions", {**TEXT, "suffix": "x"}, "suffix is not supported"),
    ("completions", {**TEXT, "best_of": 3}, "best_of is not supported"),
    ("completions", {**TEXT, "echo": True}, "echo is not supported"),
    ("completions", {**TEXT, "logprobs": 6}, "logprobs"),
    ("completions", {**TEXT, "stream_options": {"include_usage": True}}, "stream is not true"),
    ("completions", {**TEXT, "logit_bias": {"x": 1}}, "is no token id"),
    ("completions", {**TEXT, "logit_bias": {"99999": 1}}, "is no token id"),
    ("completions", {**TEXT, "stop": [""]}, "stop"),
    ("completions", {**TEXT, "nonsense": 1}, "nonsense is not known"),
    ("completions", {**TEXT, "model": "/etc/passwd"}, "there is no model"),
    ("completions", {**TEXT, "model": "../gpt"}, "there is no model"),
    ("completions", {**TEXT, "model": "mood"}, "does not write"),
    ("completions", {"prompt": "x"}, "model"),
    ("completions", {**TEXT, "prompt": "\ud800"}, "prompt"),
    ("chat/completions", {**CHAT, "messages": [{"role": "wizard", "content": "hi"}]}, "messages.0.role"),
    ("chat/completions", {**CHAT, "messages": []}, "messages"),
    ("chat/completions", {**CHAT, "messages": [{"role": "assistant", "content": "hi"}]}, "nothing to answer"),
    ("chat/completions", {**CHAT, "messages": [{"role": "user", "content": "a b " * 400}]}, "the model's context"),
    ("chat/completions", {**CHAT, "messages": [{"role": "user", "content": "long " * 60}, {"role": "assistant",
     "content": "yes"}, {"role": "user", "content": "short"}]}, "longer than the model's context by 2 messages"),
    ("chat/completions", {**CHAT, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url":
     {"url": "http://127.0.0.1/"}}]}]}, "messages.0.content"),
    ("chat/completions", {**CHAT, "tools": [{"type": "function"}]}, "tools is not supported"),
    ("chat/completions", {**CHAT, "top_logprobs": 3}, "logprobs is not true"),
    ("chat/completions", {**CHAT, "max_completion_tokens": 4}, "are both given"),
    ("chat/completions", {**CHAT, "response_format": {"type": "json_schema"}}, "json_schema"),
    ("chat/completions", {**CHAT, "model": "bart"}, "holds no conversations"),
    ("embeddings", {"model": "bert", "input": ""}, "input"),
    ("embeddings", {"model": "bert", "input": []}, "input"),
    ("embeddings", {"model": "bert", "input": "x", "dimensions": 7}, "the model's vectors have 16 numbers"),
    ("embeddings", {"model": "gpt", "input": "x"}, "makes no vectors"),
    ("classify", {"model": "mood", "input": "   "}, "is empty"),
    ("classify", {"model": "mood", "input": {"txt": "hi"}}, "has no field 'text'"),
    ("classify", {"model": "mood", "input": ["x"] * 65}, "input"),
    ("classify", {"model": "names", "input": "hi"}, "does the task tagging"),
    ("classify", {"model": "gpt", "input": "hi"}, "does no task"),
    ("tag", {"model": "names", "input": {"tokens": [1, 2]}}, "input 0"),
    ("answer", {"model": "reader", "question": "who", "context": ""}, "context"),
]  # fmt: skip


@pytest.mark.parametrize(("route", "body", "said"), BAD)
def test_what_cannot_be_meant_is_told(served: Served, route: str, body: dict[str, Any], said: str) -> None:
    raw = json.dumps(body)
    headers = {**served.headers, "Content-Type": "application/json"}
    answer = httpx.post(f"{served.url}/v1/{route}", content=raw, headers=headers)
    status = 404 if "there is no model" in said else 400
    assert said in error_of(answer, status)["message"]
    if "stream_options" not in body and route.endswith("completions"):  # it is told before anything is streamed
        raw = json.dumps({**body, "stream": True})
        again = httpx.post(f"{served.url}/v1/{route}", content=raw, headers=headers)
        assert error_of(again, status)["message"]
    assert_works(served)


def test_bodies_that_are_none(served: Served) -> None:
    url, kind = f"{served.url}/v1/completions", {**served.headers, "Content-Type": "application/json"}
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b'{"model": "gpt", "promp', kind, 400, "the body is no JSON"),
        (b"", kind, 400, "empty"),
        (b"[]", kind, 400, "no JSON object"),
        (b"7", kind, 400, "no JSON object"),
        (b'{"a": ' * 5000, kind, 400, "body"),
        (b"[" * 100_000, kind, 400, "body"),
        (b'{"model": "gpt", "prompt": "\xff\xfe"}', kind, 400, "no UTF-8, from byte 28"),
        (b'{"model": "gpt", "temperature": NaN, "prompt": "x"}', kind, 400, "temperature"),
        (json.dumps(TEXT).encode(), {**served.headers, "Content-Type": "text/plain"}, 415, "application/json"),
        (json.dumps(TEXT).encode(), {**served.headers, "Content-Type": "application/json; charset=gbk"}, 415, "UTF-8"),
        (b"model=gpt", {**served.headers, "Content-Type": "application/x-www-form-urlencoded"}, 415, "json"),
        (json.dumps({**TEXT, "prompt": "x" * 10_000_000}).encode(), kind, 413, "more than 1048576 bytes"),
    ]
    for body, headers, status, said in cases:
        error = error_of(httpx.post(url, content=body, headers=headers), status)
        assert said in error["message"], error
        assert_works(served)


def test_a_large_body_that_does_not_say_its_size_is_cut_off(served: Served) -> None:
    def parts() -> Any:
        for _ in range(100):
            yield b"x" * 100_000

    headers = {**served.headers, "Content-Type": "application/json"}
    try:
        answer = httpx.post(f"{served.url}/v1/completions", content=parts(), headers=headers)
        assert answer.status_code == 413
    except httpx.WriteError:
        pass  # the server has closed what it does not read
    assert_works(served)


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.server.config.app, "seconds", 0.3)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        began = time.monotonic()
        answer = raw.recv(65536)
    assert b" 408 " in answer.splitlines()[0] and time.monotonic() - began < 5
    assert_works(served)


def test_what_is_no_http_at_all_does_not_stop_the_server(served: Served) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    for junk in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G" * 200_000,
        b"GET /" + b"%ff" * 9000 + b" HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(junk)
            raw.settimeout(0.5)
            with contextlib.suppress(TimeoutError, ConnectionError):
                raw.recv(1000)
    assert_works(served)


def test_a_failure_inside_is_told_without_its_inside(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    lane = served.service.models["mood"].answering

    def fails(things: list[Any]) -> list[Any]:
        raise RuntimeError("secret path /root/x")

    monkeypatch.setattr(lane, "_answer", fails)
    answer = httpx.post(f"{served.url}/v1/classify", json={"model": "mood", "input": "hi"}, headers=served.headers)
    assert "secret" not in answer.text and error_of(answer, 500)["code"] == "internal_error"
    end = time.monotonic() + 5
    while "secret path" not in caplog.text and time.monotonic() < end:  # the log is written behind the answer
        time.sleep(0.01)
    assert "secret path" in caplog.text
    assert_works(served)


def test_metrics_tell_what_was_done_and_no_texts(served: Served) -> None:
    word = "Geheimnis"
    httpx.post(f"{served.url}/v1/completions", json={**TEXT, "prompt": word}, headers=served.headers)
    httpx.get(f"{served.url}/{word}", headers=served.headers)
    found = httpx.get(f"{served.url}/metrics", headers=served.headers)
    assert found.headers["content-type"].startswith("text/plain")
    values = dict(re.findall(r"^(\S+) (\S+)$", found.text, re.MULTILINE))
    assert float(values['assay_requests_total{route="completions",status="200"}']) >= 1
    assert float(values['assay_tokens_total{kind="answer",model="gpt"}']) >= 2
    assert float(values['assay_first_token_seconds_count{model="gpt"}']) >= 1
    assert values['assay_rows{model="gpt"}'] == "0.0" and word not in found.text
