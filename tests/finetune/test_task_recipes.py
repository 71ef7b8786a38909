"""The recipes in recipes/tasks/: each says what it is for, and runs as it stands at toy size."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from assay import front
from labelled import questions, reviews, sentences, write

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes" / "tasks").glob("*.yaml"))
TOY = ("model.layers=1", "model.width=16", "tokenizer.vocabulary=420", "budget.epochs=1", "train.batch_rows=8")


def _pairs(n: int) -> list[dict[str, Any]]:
    return [{"source": f"the film {i}", "target": f"电影 {i}"} for i in range(n)]


def _chats(n: int) -> list[dict[str, Any]]:
    return [{"instruction": f"say {i}", "output": "好"} for i in range(n)]


SETS = {"sentiment": reviews, "ner": sentences, "qa": questions, "translation": _pairs, "instruction": _chats}


def test_every_recipe_has_a_set() -> None:
    assert {path.stem for path in RECIPES} == set(SETS)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_as_it_stands(path: Path, tmp_path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    assert content.startswith("# ")
    assert f"assay finetune {path.stem} " in content
    assert f"--recipe recipes/tasks/{path.name} " in content
    write(tmp_path / "d.jsonl", SETS[path.stem](24))
    toy = [one for one in TOY if not one.startswith("model.") or "preset" in content]
    small = toy if "preset" in content else [*toy, "model.layers=1", "model.width=16"]
    writes = path.stem in ("translation", "instruction")
    model = None if "preset" in content else "standard" if path.stem == "instruction" else "bert"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        front.finetune(
            task=path.stem, data=[str(tmp_path / "d.jsonl")], model=model, out=tmp_path / "run", recipe=path,
            overrides=[*small, *(["task.new=4"] if writes else [])], options={}, language="en", explain=False,
            as_json=True,
        )  # fmt: skip
    answer = json.loads(said.getvalue())
    assert answer["steps"] >= 1
    assert answer["metrics"]
