"""Models of tasks answer over HTTP what they answer in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from served import Served

from assay.tasks.opened import Opened
from assay.tasks.pipeline import Pipeline

TEXTS = ["The cats sleep on the warm mat.", "蜜蜂酿造蜂蜜。", "水"]


def posted(served: Served, route: str, **body: Any) -> Any:
    answer = httpx.post(f"{served.url}/v1/{route}", json=body, headers=served.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5)
    else:
        assert found == (list(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize(
    ("name", "route", "kind"),
    [("mood", "classify", "classification"), ("topics", "classify", "classification"),
     ("stars", "classify", "classification"), ("names", "tag", "tagging"), ("german", "translate", "translation"),
     ("short", "summarize", "summary")],
)  # fmt: skip
def test_each_text_has_the_answer_of_the_model(
    served: Served, models: dict[str, Path], name: str, route: str, kind: str
) -> None:
    alone = Pipeline(Opened.load(models[name]))
    found = posted(served, route, model=name, input=TEXTS)
    assert [one["index"] for one in found["data"]] == [0, 1, 2] and found["model"] == name
    for text, one in zip(TEXTS, found["data"], strict=True):
        assert one.pop("object") == kind
        one.pop("index")
        likely = one.pop("likely", None)
        expected = dict(alone(text))
        if likely is not None:
            assert likely == pytest.approx(expected.pop("likely"), abs=1e-5)
            one["spans"], expected["spans"] = len(one["spans"]), len(expected["spans"])
        same(one, expected)
    (single,) = posted(served, route, model=name, input=TEXTS[0])["data"]
    assert single["object"] == kind


def test_a_question_is_answered_from_its_context(served: Served, models: dict[str, Path]) -> None:
    asked = {"question": "What do bees make?", "context": "The bees make honey, 蜂蜜, and wax."}
    expected = Pipeline(Opened.load(models["reader"]))(asked)
    found = posted(served, "answer", model="reader", **asked)
    assert found.pop("object") == "answer" and found.pop("model") == "reader"
    same({key: found[key] for key in expected}, expected)
