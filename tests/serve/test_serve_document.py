"""Whatever the OpenAPI document allows, and much that it does not, has an answer that is no failure of the server's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from served import Served, serving

from assay.serve.registry import Room
from assay.serve.writing import Limits

schemathesis = pytest.importorskip("schemathesis")
ABLE = {
    "completions": "gpt", "chat/completions": "gpt", "embeddings": "bert", "classify": "mood", "tag": "names",
    "answer": "reader", "translate": "german", "summarize": "short",
}  # fmt: skip


def test_the_document_says_what_is_answered(served: Served) -> None:
    document = httpx.get(f"{served.url}/openapi.json", headers=served.headers).json()
    for path, own in document["paths"].items():
        for operation in own.values():
            assert operation["summary"] and {"200", "400", "401", "429"} <= operation["responses"].keys(), path
    assert "prompt" in document["components"]["schemas"]["Completion"]["properties"]


def tried(served: Served, operation: Any, mode: str) -> set[int]:
    """The statuses of requests of one route, drawn from the document or away from it."""
    path, statuses = operation.path.removeprefix("/v1/"), set()

    @settings(max_examples=20, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and mode == "positive":
            case.body["model"] = ABLE[path]  # else most requests would end at its name
            case.body.pop("max_tokens", None)
            case.body.pop("max_completion_tokens", None)
        answer = case.call(base_url=served.url, headers={**(case.headers or {}), **served.headers}, timeout=30)
        assert answer.status_code < 500, answer.text
        statuses.add(answer.status_code)
        if answer.status_code >= 400 and case.method != "HEAD":
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

    check()
    return statuses


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_makes_the_server_fail(models: dict[str, Path], mode: str) -> None:
    with serving(models, Room(rows=8, queue=64), Limits(tokens=4)) as served:
        schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json", headers=served.headers)
        found = [result.ok() for result in schema.get_all_operations()]
        operations = [one for one in found if mode == "positive" or one.method == "post"]  # no body, nothing to bend
        statuses = {one.path.removeprefix("/v1/"): tried(served, one, mode) for one in operations}
        assert served.idle()
    if mode == "positive":  # the routes were reached, not their refusals alone
        assert all(200 in statuses[path] for path in ABLE), statuses
