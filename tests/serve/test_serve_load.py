"""Many at once: every answer is the one that is given alone, nobody is kept waiting unseen, who leaves makes room."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import Served, serving

from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from assay.serve.registry import Room
from assay.serve.writing import Limits

PROMPTS = ["The farmer", "农民说", "Question: What do bees make?", "A", "水在多少度结冰", "cats sleep on the warm mat."]

ENDLESS = {"model": "lstm", "prompt": "A", "max_tokens": 10**6, "min_tokens": 10**6, "temperature": 0}


def body(i: int, **more: Any) -> dict[str, Any]:
    return {"model": "gpt", "prompt": PROMPTS[i % 6], "max_tokens": 5 + 7 * i % 40, "temperature": 0, **more}


async def streamed(client: httpx.AsyncClient, given: dict[str, Any], leave_after: int | None = None) -> tuple[int, str]:
    """(status, text); who leaves, leaves after so many chunks."""
    text, chunks = "", 0
    async with client.stream("POST", "/v1/completions", json={**given, "stream": True}) as answer:
        if answer.status_code != 200:
            return answer.status_code, (await answer.aread()).decode()
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                text += json.loads(line[6:])["choices"][0]["text"]
                chunks += 1
                if chunks == leave_after:
                    break
    return 200, text


def client_of(served: Served) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=200)
    return httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=60, limits=limits)


def test_answers_under_load_are_those_given_alone_and_who_leaves_frees_the_rows(models: dict[str, Path]) -> None:
    """More than the rows hold; a third of the clients leaves in the middle of an answer."""

    async def ask(served: Served) -> list[tuple[int, str]]:
        async with client_of(served) as client:
            asked = [streamed(client, body(i), 2 if i % 3 == 2 else None) for i in range(48)]
            return list(await asyncio.gather(*asked))

    with serving({"gpt": models["gpt"]}, Room(rows=8, queue=64)) as served:
        found = asyncio.run(ask(served))
        assert served.idle()
        counted = httpx.get(f"{served.url}/metrics", headers=served.headers).text
    assert 'assay_left_total{model="gpt",why="client"}' in counted
    writer = Writer.load(models["gpt"])
    for i, (status, text) in enumerate(found):
        expected = generate(writer, [body(i)["prompt"]], Settings(body(i)["max_tokens"]))[0][0].text
        assert status == 200
        assert expected.startswith(text) if i % 3 == 2 else text == expected


def test_a_full_queue_tells_when_to_come_again(models: dict[str, Path]) -> None:
    async def ask(served: Served) -> list[httpx.Response]:
        async with client_of(served) as client:
            asked = [client.post("/v1/completions", json=body(5, max_tokens=100)) for _ in range(12)]
            return list(await asyncio.gather(*asked))

    with serving({"gpt": models["gpt"]}, Room(rows=2, queue=2)) as served:
        found = asyncio.run(ask(served))
        refused = [answer for answer in found if answer.status_code == 429]
        assert {answer.status_code for answer in found} == {200, 429}
        assert len(refused) == 8
        for answer in refused:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["type"] == "rate_limit_error"
        too_many = httpx.post(f"{served.url}/v1/completions", json=body(1, n=5, temperature=1), headers=served.headers)
        assert too_many.status_code == 400 and "ask for 4 at most" in too_many.text
        assert served.idle()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_its_row(models: dict[str, Path], stream: bool) -> None:
    """Also one that waits for a whole answer, which nothing is sent of before its end."""
    given = {**ENDLESS, "stream": stream}
    with serving({"lstm": models["lstm"]}, Room(rows=2, queue=0), Limits(tokens=10**7)) as served:
        lane = served.service.models["lstm"].writing
        assert lane is not None
        with (
            contextlib.suppress(httpx.ReadTimeout),
            httpx.Client(base_url=served.url, headers=served.headers, timeout=0.5) as client,
        ):
            if stream:
                with client.stream("POST", "/v1/completions", json=given) as answer:
                    lines = answer.iter_lines()
                    assert next(lines).startswith("data")
                    assert lane.writing == 1
            else:
                client.post("/v1/completions", json=given)
        assert served.idle(within=5)
        after = {**given, "max_tokens": 2, "min_tokens": 0, "stream": False}
        assert httpx.post(f"{served.url}/v1/completions", json=after, headers=served.headers).status_code == 200


def test_an_answer_that_takes_too_long_is_ended_and_told(models: dict[str, Path]) -> None:
    given = ENDLESS
    with serving({"lstm": models["lstm"]}, Room(rows=2, queue=0), Limits(tokens=10**7, seconds=0.5)) as served:
        answer = httpx.post(f"{served.url}/v1/completions", json=given, headers=served.headers)
        assert answer.status_code == 408 and "took more than 0.5 s" in answer.json()["error"]["message"]
        with httpx.stream(
            "POST", f"{served.url}/v1/completions", json={**given, "stream": True}, headers=served.headers
        ) as stream:
            lines = [line for line in stream.iter_lines() if line]
        assert json.loads(lines[-2].removeprefix("data: "))["error"]["code"] == "timeout"
        assert lines[-1] == "data: [DONE]" and served.idle()


def test_a_batch_that_fails_is_lost_alone(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory, say: who was being answered is told, and the next ones are answered."""
    with serving({"gpt": models["gpt"]}) as served:
        model = served.service.models["gpt"].doing.writer.model  # type: ignore[union-attr]
        hidden = model.hidden

        def fails(*given: Any) -> Any:
            raise MemoryError("cannot allocate")

        monkeypatch.setattr(model, "hidden", fails)
        bad = httpx.post(f"{served.url}/v1/completions", json=body(1), headers=served.headers)
        assert bad.status_code == 500 and "allocate" not in bad.text
        monkeypatch.setattr(model, "hidden", hidden)
        good = httpx.post(f"{served.url}/v1/completions", json=body(1), headers=served.headers)
        assert good.status_code == 200 and served.idle()


def test_a_server_that_is_stopped_finishes_what_it_has_begun(models: dict[str, Path]) -> None:
    given = body(5, max_tokens=120)
    expected = generate(Writer.load(models["gpt"]), [given["prompt"]], Settings(120))[0][0].text

    async def ask(served: Served) -> list[tuple[int, str]]:
        async with client_of(served) as client:
            asked = [asyncio.create_task(streamed(client, given)) for _ in range(6)]
            lane = served.service.models["gpt"].writing
            while lane is not None and not lane.writing:
                await asyncio.sleep(0.001)
            served.server.should_exit = True
            found = list(await asyncio.gather(*asked))
            with pytest.raises(httpx.TransportError):
                for _ in range(50):
                    await client.get("/health")
                    await asyncio.sleep(0.1)
            return found

    with serving({"gpt": models["gpt"]}, Room(rows=2, queue=64)) as served:
        began = time.monotonic()
        found = asyncio.run(ask(served))
        assert found == [(200, expected)] * 6 and time.monotonic() - began < 20
