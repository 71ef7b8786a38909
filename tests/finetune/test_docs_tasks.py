"""docs/tasks.md: its task of one's own works as it stands, in under fifty lines; both languages say the same."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import assay
from assay import front
from assay.errors import InputError
from assay.tasks.pipeline import NAMES
from assay.tasks.protocol import TASKS
from labelled import write
from tunings import finetune, said

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["tasks.md", "tasks.zh-CN.md"]


def _blocks(name: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


def test_both_pages_have_the_same_code() -> None:
    one, other = (_blocks(name, "python") for name in PAGES)
    assert one == other
    one, other = ([re.sub(r"#.*", "", block) for block in _blocks(name, "sh")] for name in PAGES)
    assert one == other


def test_the_task_of_ones_own_is_short_and_works(tmp_path: Path) -> None:
    (code,) = (block for block in _blocks("tasks.md", "python") if "stars.py" in block)
    assert len(code.splitlines()) <= 50
    (tmp_path / "stars.py").write_text(code, encoding="utf-8")
    rng = random.Random(0)
    words = ["awful 讨厌", "poor", "fine", "great 喜欢"]
    rows = [{"review": f"{words[stars]} film {i}", "stars": stars} for i in range(120) for stars in [rng.randrange(4)]]
    write(tmp_path / "reviews.jsonl", rows)
    answer = finetune(str(tmp_path / "stars.py"), [str(tmp_path / "reviews.jsonl")], tmp_path / "stars",
                      "budget.epochs=8", "model.width=32", model="bilstm")  # fmt: skip
    assert answer["task"] == "stars"
    assert answer["metrics"]["kappa"]["value"] > 0.8
    found = said(front.predict, model=tmp_path / "stars", task=str(tmp_path / "stars.py"), texts=["great 喜欢 film"],
                 out=None, asked={"sources": [], "fields": [], "on_error": "stop"})  # fmt: skip
    assert found["answers"][0]["answer"]["stars"] in range(4)
    assert "stars" in assay.pipeline("stars", model=tmp_path / "stars")({"review": "fine film"})
    own, run = str(tmp_path / "stars.py"), tmp_path / "stars"
    del TASKS["stars"]  # as in a process of its own, which knows the task by --task alone
    with pytest.raises(InputError, match="stars"):
        said(front.compare_answers, a=[run, run], b=[], task=None, paired=False, level=0.95)
    same = said(front.compare_answers, a=[run, run], b=[], task=own, paired=False, level=0.95)
    assert same["comparisons"]["kappa"]["verdict"] == "indistinguishable"
    del TASKS["stars"]
    wrong = said(front.answer_errors, run=run, task=own, part=None, out=None, most=5, level=0.95, label_errors=False,
                 folds=5, data={"sources": []})  # fmt: skip
    assert wrong["n"] == answer["n"]


@pytest.mark.parametrize("name", PAGES)
def test_every_task_is_told(name: str) -> None:
    told = re.findall(r"^\| `([a-z]+)`", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(told) == {task for task, kind in TASKS.items() if kind.__module__.startswith("assay.tasks.")}
    also = set(re.findall(r"`([a-z-]+)`", (DOCS / name).read_text(encoding="utf-8")))
    assert {"sentiment", "ner", "qa", "chat"} <= also & set(NAMES)


def test_files_that_register_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("x = 1 /\n", encoding="utf-8")
    for name, what in (("empty.py", "registers no task"), ("broken.py", "cannot be run"), ("no.py", "no such file")):
        with pytest.raises(InputError, match=what):
            finetune(str(tmp_path / name), [], tmp_path / "run")
