"""ONNX exports say what our models say, whatever the batch and the length, and are asked like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from assay.export import verb
from assay.export.request import Request
from assay.export.runners.answering import Exported
from assay.inference.beam import Beams, beam_search
from assay.inference.choices import likelihoods
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.sampling import Rules, Sampling
from assay.inference.speculative import speculate
from assay.models import interop
from assay.models.blocks import BlockConfig
from assay.tasks.classification import Classification, MultiLabel
from assay.tasks.embedding import Embedding
from assay.tasks.extraction import Extraction
from assay.tasks.opened import Opened
from assay.tasks.protocol import HeadTask
from assay.tasks.regression import Regression
from assay.tasks.tagging import Tagging
from exported import TEXTS, task_model, writer
from labelled import questions, sentences

PAIRS = [{"text": a, "second": b} for a, b in zip(TEXTS, reversed(TEXTS), strict=True)]
ONE = [{"text": text} for text in TEXTS]
TAGS = tuple(Tagging().learn([Tagging().read(row, "") for row in sentences(60)]).labels)
TASKS: dict[str, tuple[HeadTask, str, dict[str, Any], list[dict[str, Any]]]] = {
    "pairs": (Classification(labels=("neg", "pos", "无"), second="second"), "bert", {}, PAIRS),
    "labels": (MultiLabel(labels=("a", "b")), "textcnn", {"pool": "max"}, ONE),
    "value": (Regression(mean=3.0, deviation=2.0, lowest=1.0, highest=5.0), "standard", {"pool": "last"}, ONE),
    "crf": (Tagging(kind="spans", labels=TAGS), "bilstm", {"crf": True}, sentences(9)),
    "span": (Extraction(unanswerable=True), "modern", {}, questions(9)),
    "vector": (Embedding(), "proxy", {"pool": "mean"}, PAIRS),
}


SLOW = ("value", "bart", "proxy", "labels", "gru", "pairs")
"""Whose parts others have, too: tracing a graph takes seconds."""


def _param(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name


def exported(folder: Path, dtype: str = "float32", target: str = "onnx") -> dict[str, Any]:
    return verb.run(Request(folder, target, folder.parent / f"{target}-{dtype}", dtype, measure=False), quiet=True)


@pytest.mark.parametrize("name", [_param(name) for name in TASKS])
def test_a_task_is_answered_alike(name: str, tmp_path: Path) -> None:
    """One by one and in batches: what fills rows changes nothing."""
    task, body, head, rows = TASKS[name]
    folder = task_model(tmp_path / "model", task, body, **head)
    answer = exported(folder)
    assert answer["parity"]["apart"] < 1e-5
    mine, theirs = Opened.load(folder), Exported.load(tmp_path / "onnx-float32", threads=1)
    examples = [task.read(row, f"row {i}") for i, row in enumerate(rows)]
    expected = mine.answers(examples)
    for rows_at_once in (1, 4):
        found = theirs.answers(examples, rows_at_once)
        for a, b in zip(expected, found, strict=True):
            _alike(a, b)


def _alike(a: Any, b: Any) -> None:
    """Equal, numbers up to rounding."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            _alike(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            _alike(one, other)
    elif isinstance(a, float):
        assert a == pytest.approx(b, abs=1e-4)
    else:
        assert a == b


GROUPED = BlockConfig(32, 4, 2, activation="silu", gated=True, gains=True, rotary="halves", window=6)
PROXY = {"value_embeddings": True, "softcap": 5.0}
WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    "grouped queries, a window": ("standard", {"block": GROUPED}), "gpt2": ("gpt2", {"layers": 2}),
    "proxy": ("proxy", PROXY), "lstm": ("lstm", {}), "gru": ("gru", {}), "t5": ("t5", {}), "bart": ("bart", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", [_param(name) for name in WRITERS])
def test_what_is_written_is_the_same(name: str, tmp_path: Path) -> None:
    """Greedily, drawn with a seed, by beams, with rules; prompts of several lengths together. The likelihoods of what
    is given, too."""
    preset, more = WRITERS[name]
    folder = writer(tmp_path / "model", preset, **more)
    answer = exported(folder)
    assert answer["parity"]["apart"] < 1e-5
    assert answer["parity"]["greedy"] == answer["parity"]["prompts"] == 5
    mine, theirs = interop.load(folder), Exported.load(tmp_path / "onnx-float32", threads=1).writer
    generator = np.random.default_rng(3)
    V = mine.config.vocabulary
    prompts = [generator.integers(2, V, n).tolist() for n in (1, 9, 4)]
    limits = Limits(8, stop=(1,))
    for how in (Sampling(), Sampling(temperature=0.8, top_k=20)):
        a, b = (
            generate(model, prompts, how, limits, Rules(no_repeat=2), returns=2, seed=5) for model in (mine, theirs)
        )
        assert [[one.ids for one in own] for own in a] == [[one.ids for one in own] for own in b]
    a, b = (beam_search(model, prompts, Beams(3, 2), limits) for model in (mine, theirs))
    assert [[one.ids for one in own] for own in a] == [[one.ids for one in own] for own in b]
    a, b = (generate(mine, prompts, limits=limits), speculate(theirs, mine, prompts, limits=limits))
    assert [[one.ids for one in own] for own in a] == [[one.ids for one in own] for own in b]
    given = [[generator.integers(2, V, n).tolist() for n in (3, 1)] for _ in prompts]
    for one, other in zip(likelihoods(mine, prompts, given), likelihoods(theirs, prompts, given), strict=True):
        np.testing.assert_allclose([o.total for o in one], [o.total for o in other], rtol=1e-4)
        assert [o.most_likely for o in one] == [o.most_likely for o in other]


def test_weights_in_fewer_bits(tmp_path: Path) -> None:
    """Halves and whole numbers: smaller files, nearly the same numbers; a tied matrix is stored once."""
    folder = writer(tmp_path / "model", "standard")
    whole, half, eight = (exported(folder, dtype) for dtype in ("float32", "float16", "int8"))
    sizes = [answer["size"]["export"] - _graph(tmp_path / f"onnx-{answer['dtype']}") for answer in (whole, half, eight)]
    assert sizes[0] < 1.05 * whole["size"]["model"]
    assert sizes[1] < 0.55 * sizes[0]
    assert sizes[2] < 0.45 * sizes[0]  # embedding and output matrix apart, of a model that is mostly these
    assert 0 < half["parity"]["apart"] < 5e-3
    assert 0 < eight["parity"]["apart"] < 0.2


def _graph(folder: Path) -> int:
    """Bytes of a graph without its weights."""
    import onnx

    model = onnx.load(folder / "model.onnx")
    del model.graph.initializer[:]
    return len(model.SerializeToString())


def test_an_encoder_of_hidden_tokens(tmp_path: Path) -> None:
    from assay.models.build import build
    from assay.models.presets import Size, preset
    from exported import awake, encoder
    from exported import written as put

    own = encoder()
    model: Any = awake(build(preset("bert", Size(own.vocabulary, 1, 32, 4, 32)), torch.Generator().manual_seed(0)))
    put(tmp_path / "model", model, own)
    assert exported(tmp_path / "model")["kind"] == "hidden"
    rows = [[3, 4, 5], [6]]
    found = Exported.load(tmp_path / "onnx-float32", threads=1).engine.said(rows)
    for row, one in zip(rows, found, strict=True):
        np.testing.assert_allclose(one, model(torch.tensor([row]))[0].detach().numpy(), atol=1e-5)


def test_a_graph_has_no_sizes_of_its_example(tmp_path: Path) -> None:
    import onnx

    exported(writer(tmp_path / "model", "lstm"))
    graph = onnx.load(tmp_path / "onnx-float32" / "model.onnx").graph
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        assert dims[0].dim_param, value.name
    assert {node.op_type for node in graph.node} >= {"LSTM"}
