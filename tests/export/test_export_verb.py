"""`assay export` through the front door: whole or not there, refusals in a line, scores before and after, the card."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asked import model as ngram_or_other
from assay import front
from assay.errors import InputError, WorkError
from assay.export import checked, gguf_file, hugging_face, measuring, verb
from assay.export.runners.answering import Exported
from exported import TEXTS, task_model, writer
from labelled import reviews, write
from tunings import CNN, finetune

ROOT = Path(__file__).parents[2]


def export(folder: Path, out: Path, target: str = "gguf", language: str = "en", **more: Any) -> Any:
    given: dict[str, Any] = {
        "dtype": "float32", "data": (), "format_": None, "fields": (), "measure": False, "threads": 1, "licence": None,
        "as_json": True,
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as said:
        front.export(model=folder, out=out, target=target, language=language, **{**given, **more})
    return json.loads(said.getvalue()) if more.get("as_json", True) else said.getvalue()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier that has learned something: the folder of its run."""
    folder = tmp_path_factory.mktemp("tuned")
    write(folder / "r.train.jsonl", reviews(160))
    write(folder / "r.test.jsonl", reviews(60, 1))
    finetune("classification", [str(folder / "r")], folder / "run", *CNN, "model.width=24", model="textcnn")
    return folder


def test_an_export_says_all_that_it_found_and_a_rerun_finds_it(tuned: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    more = {"target": "onnx", "dtype": "int8", "data": [str(tuned / "r.test.jsonl")], "measure": True}
    answer = export(tuned / "run", tmp_path / "out", licence="apache-2.0", **more)
    assert answer["found"] is False
    assert (answer["task"], answer["kind"], answer["dtype"]) == ("classification", "headed", "int8")
    assert answer["parity"]["apart"] < answer["parity"]["tolerance"]
    assert answer["size"]["export"] < answer["size"]["model"]
    scores = answer["scores"]
    assert scores["n"] == 60
    assert scores["metrics"]["accuracy"]["model"] > 0.8
    assert scores["metrics"]["accuracy"]["interval"] is not None
    assert scores["within"] is True
    own = {"memory", "median", "p90", "per_second", "requests", "batch", "first"}
    assert answer["measured"]["model"].keys() == answer["measured"]["export"].keys() == own
    assert answer["measured"]["export"]["memory"] < answer["measured"]["model"]["memory"]  # no torch in it
    assert answer["training"]["examples"]["train"] > 100
    assert answer["training"]["joules"] > 0
    assert len(answer["fingerprint"]) == 32
    before = (tmp_path / "out" / "export.json").read_text(encoding="utf-8")
    again = export(tuned / "run", tmp_path / "out", licence="apache-2.0", **more)
    assert again["found"] is True
    assert again["fingerprint"] == answer["fingerprint"]
    assert (tmp_path / "out" / "export.json").read_text(encoding="utf-8") == before
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for text in (
        "accuracy",
        "Wh",
        "apache-2.0",
        "## Limits",
        "## 局限",
        "## 训练",
        answer["training"]["fingerprints"]["examples"],
    ):
        assert text in card
    for language, text in (("en", "Memory of a process"), ("zh", "进程峰值内存")):
        said = export(tuned / "run", tmp_path / "out", licence="apache-2.0", language=language, as_json=False, **more)
        assert text in said
    with pytest.raises(InputError, match="another request"):
        export(tuned / "run", tmp_path / "out", target="onnx")
    answers = Exported.load(tmp_path / "out", threads=1)
    assert answers.task is not None
    found = answers.answers([answers.task.read({"text": text}, "") for text in ("lovely film 喜欢", "dull 讨厌 film")])
    assert [one["label"] for one in found] == ["pos", "neg"]


@pytest.mark.parametrize("family", ["standard", "lstm"])
def test_text_is_as_likely_under_an_export(family: str, tmp_path: Path) -> None:
    """Of a recurrent model whose state is carried, too: long documents, read in pieces."""
    pytest.importorskip("onnxruntime")
    folder = writer(tmp_path / "model", family, **({"carried": True} if family == "lstm" else {}))
    rng = np.random.default_rng(0)
    rows = [{"text": " ".join(rng.choice(TEXTS, n))} for n in (1, 3, 60, 2)]
    text = write(tmp_path / "text.jsonl", rows)
    answer = export(folder, tmp_path / "out", target="onnx", data=[str(text)])
    found = answer["scores"]["metrics"]["loss"]
    assert found["export"] == pytest.approx(found["model"], rel=1e-5)
    assert answer["scores"]["best"] == "perplexity"
    assert answer["scores"]["lost"] == pytest.approx(0, abs=1e-4)


def _nothing_left(folder: Path) -> bool:
    return sorted(path.name for path in folder.iterdir()) == ["model"]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), WorkError),
        (RuntimeError("I/O error: No space left on device (os error 28)"), WorkError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_full_disk_and_ctrl_c_leave_nothing(
    raised: BaseException, expected: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gguf")
    folder = writer(tmp_path / "model")
    write_whole = gguf_file.write

    def fails(*arguments: Any) -> None:
        write_whole(*arguments)
        raise raised

    monkeypatch.setattr(gguf_file, "write", fails)
    with pytest.raises(expected):
        export(folder, tmp_path / "out")
    assert _nothing_left(tmp_path)
    monkeypatch.undo()
    assert export(folder, tmp_path / "out")["found"] is False


@pytest.mark.parametrize("target", ["hf", "onnx", "ctranslate2", "gguf"])
def test_an_export_that_says_something_else_is_an_error(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight of what is written is changed: by how much both differ is told, and nothing is kept."""
    pytest.importorskip({"hf": "transformers", "onnx": "onnxruntime"}.get(target, target))
    folder = writer(tmp_path / "model", "standard")
    whole: Callable[..., Any] = verb._written

    def changed(request: Any, source: Any, *more: Any) -> Any:
        with torch.no_grad():
            source.model.blocks[0].mlp.down.weight[0, 0] += 1.0
            found = whole(request, source, *more)
            source.model.blocks[0].mlp.down.weight[0, 0] -= 1.0
        return found

    monkeypatch.setattr(verb, "_written", changed)
    with pytest.raises(WorkError, match=r"apart, and at most|largest number off"):
        export(folder, tmp_path / "out", target=target)
    assert _nothing_left(tmp_path)


def test_what_cannot_be_exported_is_told_in_one_line(tmp_path: Path) -> None:
    folder = writer(tmp_path / "model")
    with pytest.raises(InputError, match="not written with weights of int8"):
        export(folder, tmp_path / "out", target="hf", dtype="int8")
    with pytest.raises(InputError, match="holds no model"):
        export(tmp_path / "nowhere", tmp_path / "out", target="hf")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        export(folder, tmp_path / "full", target="hf")
    with pytest.raises(InputError, match="is a file"):
        export(folder, tmp_path / "full" / "mine.txt", target="hf")
    with pytest.raises(InputError, match="say how --data is read"):
        export(folder, tmp_path / "out", target="hf", fields=["a=b"])
    with pytest.raises(InputError, match="n-gram"):
        export(ngram_or_other(tmp_path / "counted", "ngram"), tmp_path / "out", target="onnx")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickle"):
        export(folder, tmp_path / "out", target="hf")
    assert not (tmp_path / "out").exists()


def test_memory_and_latency_come_from_processes_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = writer(tmp_path / "model", "lstm")
    export(folder, tmp_path / "out", target="onnx")
    from assay.export.source import Source

    facts = json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))["engine"]
    measuring_before = measuring.SECONDS
    try:
        measuring.SECONDS = 0.1
        found = measuring.both(Source.load(folder), tmp_path / "out", "onnx", facts)
    finally:
        measuring.SECONDS = measuring_before
    assert found["new"] == measuring.NEW
    assert found["model"]["memory"] > 2 * found["export"]["memory"] > 1e7
    assert 0 < found["export"]["median"] <= found["export"]["p90"]


@pytest.mark.parametrize("kind", ["headed", "decoder"])
def test_the_edge_example_needs_neither_torch_nor_assay(kind: str, tmp_path: Path) -> None:
    """It answers as our own model does."""
    pytest.importorskip("onnxruntime")
    from assay.inference.generate import generate
    from assay.inference.limits import Limits
    from assay.tasks.classification import Classification
    from assay.tasks.opened import Opened

    task = Classification(labels=("neg", "pos"))
    folder = task_model(tmp_path / "model", task) if kind == "headed" else writer(tmp_path / "model")
    export(folder, tmp_path / "out", target="onnx")
    program = (
        "import sys, runpy\nfor name in ('torch', 'assay'): sys.modules[name] = None\n"
        f"sys.argv = ['edge.py', {str(tmp_path / 'out')!r}, *{TEXTS[:2]!r}]\n"
        f"runpy.run_path({str(ROOT / 'docs' / 'examples' / 'edge.py')!r}, run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment,
                          encoding="utf-8")  # fmt: skip
    assert done.returncode == 0, done.stderr
    if kind == "headed":
        for line, answer in zip(done.stdout.splitlines(), Opened.load(folder).answers(
            [task.read({"text": text}, "") for text in TEXTS[:2]]), strict=True):  # fmt: skip
            assert f"('{answer['label']}', {answer['probabilities'][answer['label']]:.4f}"[:-2] in line
    else:
        from assay.export.source import Source

        source = Source.load(folder)
        assert source.tokenizer is not None
        ids = source.tokenizer.encode([TEXTS[0]])[0].tolist()
        (own,) = generate(source.model, [[source.begin, *ids]], limits=Limits(32))[0]
        text = source.tokenizer.decode(np.array([*ids, *own.ids]))
        assert done.stdout.startswith(f"{TEXTS[0]} -> {text[:20]}")
    lines = (ROOT / "docs" / "examples" / "edge.py").read_text(encoding="utf-8").split("\n\n\n", 1)[1].splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


def test_formats_that_cannot_be_measured_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf")
    monkeypatch.setattr(measuring, "runs", lambda target: False)
    answer = export(writer(tmp_path / "model"), tmp_path / "out", measure=True)
    assert answer["measured"] is None
    assert answer["notes"] == ["unmeasured"]


def test_without_transformers_the_tensors_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked.importlib.util, "find_spec", lambda name: None)
    answer = export(writer(tmp_path / "model"), tmp_path / "out", target="hf")
    assert (answer["parity"]["by"], answer["parity"]["apart"]) == ("safetensors", 0.0)
    assert hugging_face.WEIGHTS in answer["size"]["files"]
