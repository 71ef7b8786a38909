"""A workspace with a work of every kind, made once: what the explorer is asked about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import TINY, assay, write_texts
from labelled import reviews, sentences, write
from trainings import train
from tunings import finetune

TAGGER = ("budget.epochs=8", "model.crf=true", "model.width=48")


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of made-up prose, and one of Chinese with copies that differ in a word."""
    folder = write_texts(tmp_path_factory.mktemp("texts") / "文本", 450)
    poem = "道可道，非常道。名可名，非常名。无名天地之始，有名万物之母。故常无欲，以观其妙。"
    rows = [poem * 12, (poem * 12).replace("万物", "百物", 1), "短文一篇。", "the same line again\n" * 40]
    content = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in rows)
    (folder / "odd.jsonl").write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def workspace(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study, a corpus and a selection of it, a training, and models of two tasks."""
    root = tmp_path_factory.mktemp("workspace")
    done = assay("corpus", "scan", texts, "--out", root / "scored")
    assert done.returncode == 0, done.stderr
    done = assay("corpus", "select", root / "scored", "--pack", "gopher-repetition", "--out", root / "kept")
    assert done.returncode == 0, done.stderr
    only = tmp_path_factory.mktemp("prose") / "prose"
    only.mkdir()
    for name in ("letters", "numbers"):
        (only / f"{name}.jsonl").write_bytes((texts / f"{name}.jsonl").read_bytes())
    done = assay("study", only, *TINY, "--out", root / "study")
    assert done.returncode == 0, done.stderr
    train("gpt", only, root / "gpt", "model.layers=2", "train.row_tokens=32", steps=8)
    train("gpt", only, root / "gpt-slow", "optimizer.matrix_lr=0.001", steps=8)
    data = tmp_path_factory.mktemp("data")
    for name, made in (("reviews", reviews), ("names", sentences)):
        for part, (n, seed) in {"train": (160, 0), "dev": (40, 1), "test": (60, 2)}.items():
            write(data / f"{name}.{part}.jsonl", made(n, seed))
    finetune("sentiment", [str(data / "reviews")], root / "sentiment", "budget.epochs=3", model="bert")
    finetune("ner", [str(data / "names")], root / "names", *TAGGER, model="bilstm")
    return root
