"""Exported directories are served by their engines, and say what the models say that they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from served import Served, serving

from assay.errors import InputError
from assay.export import verb
from assay.export.request import Request
from assay.serve.engine import Engine
from assay.serve.metrics import Metrics
from assay.serve.registry import USUAL, open_models

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
NAMES = ("gpt", "lstm", "mood", "names", "vectors", "german")


@pytest.fixture(scope="module")
def exported(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    for name in NAMES:
        verb.run(Request(models[name], "onnx", folder / name, "float32", None, False), quiet=True)
    return {name: folder / name for name in NAMES}


def posted(served: Served, route: str, **body: Any) -> Any:
    answer = httpx.post(f"{served.url}/v1/{route}", json=body, headers=served.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_they_answer_as_the_models_do(served: Served, exported: dict[str, Path]) -> None:
    prompts = ["The cats", "水", "one two three four five six"]  # rows of several lengths join each other
    with serving(exported) as theirs:
        listed = {one["id"]: one for one in httpx.get(f"{theirs.url}/v1/models", headers=theirs.headers).json()["data"]}
        assert {one["engine"] for one in listed.values()} == {"onnx"}
        for name in ("gpt", "lstm"):
            asked = {"model": name, "prompt": prompts, "max_tokens": 10, "temperature": 0}
            own, its = (posted(one, "completions", **asked) for one in (served, theirs))
            assert [c["text"] for c in own["choices"]] == [c["text"] for c in its["choices"]]
        for route, name in (("classify", "mood"), ("tag", "names"), ("translate", "german")):
            own, its = (posted(one, route, model=name, input=["the cats and honey", "水"]) for one in (served, theirs))
            assert _rounded(own["data"]) == _rounded(its["data"])
        own, its = (posted(one, "embeddings", model="vectors", input=prompts) for one in (served, theirs))
        both = [np.array([row["embedding"] for row in one["data"]]) for one in (own, its)]
        np.testing.assert_allclose(*both, atol=1e-4)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    return [_rounded(own) for own in value] if isinstance(value, list) else value


def test_what_an_engine_cannot_be_asked_is_told_in_one_line(models: dict[str, Path], tmp_path: Path) -> None:
    verb.run(Request(models["bart"], "onnx", tmp_path / "bart", "float32", None, False), quiet=True)
    with pytest.raises(InputError, match="without a task"):
        open_models([f"bart={tmp_path / 'bart'}"], Engine(), Metrics(), USUAL, "cpu")
