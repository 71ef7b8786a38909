"""Hugging Face, CTranslate2 and GGUF: read by transformers, CTranslate2, the gguf package and llama.cpp."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asked import TEXTS as LONGER
from assay.errors import InputError
from assay.export import gguf_file, verb
from assay.export.request import Request
from assay.export.runners.answering import Exported
from assay.export.source import Source
from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.models import interop
from assay.models.blocks import BlockConfig
from assay.models.decoder import Llama3Scaling
from assay.tasks.classification import Classification
from assay.tasks.embedding import Embedding
from assay.tasks.extraction import Extraction
from assay.tasks.opened import Opened
from assay.tasks.regression import Regression
from assay.tasks.tagging import Tagging
from assay.tasks.writing import Instruction, Translation
from exported import TEXTS, task_model, writer, written
from labelled import questions, sentences

transformers = pytest.importorskip("transformers")


def exported(folder: Path, target: str, dtype: str = "float32") -> dict[str, Any]:
    return verb.run(Request(folder, target, folder.parent / f"{target}-{dtype}", dtype, measure=False), quiet=True)


def _pipeline(kind: str, folder: Path) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    name = {"text-classification": "SequenceClassification", "token-classification": "TokenClassification"}[kind]
    model = getattr(transformers, f"AutoModelFor{name}").from_pretrained(folder)
    return transformers.pipeline(kind, model=model, tokenizer=tokenizer)


@pytest.mark.parametrize("body", ["bert", "roberta"])
def test_transformers_classifies_alike(body: str, tmp_path: Path) -> None:
    """English and Chinese, one text and two."""
    task = Classification(labels=("neg", "pos", "无"), second="second")
    folder = task_model(tmp_path / "model", task, body, dense=True)
    exported(folder, "hf")
    ask, mine = _pipeline("text-classification", tmp_path / "hf-float32"), Opened.load(folder)
    rows = [{"text": a, "second": b} for a, b in zip(TEXTS, reversed(TEXTS), strict=True)]
    answers = mine.answers([task.read(row, "") for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        found = ask({"text": row["text"], "text_pair": row["second"]}, top_k=None, truncation=True)
        assert {one["label"]: one["score"] for one in found} == pytest.approx(answer["probabilities"], abs=1e-5)


def test_transformers_gives_the_numbers_of_a_task(tmp_path: Path) -> None:
    task = Regression(mean=3.0, deviation=2.0)
    folder = task_model(tmp_path / "model", task)
    exported(folder, "hf")
    ask, mine = _pipeline("text-classification", tmp_path / "hf-float32"), Opened.load(folder)
    for text, answer in zip(TEXTS, mine.answers([task.read({"text": t}, "") for t in TEXTS]), strict=True):
        assert ask(text)[0]["score"] == pytest.approx(answer["score"], abs=1e-4)


@pytest.mark.parametrize("body", ["bert", "standard", "gpt2"])
def test_transformers_scores_tags_alike(body: str, tmp_path: Path) -> None:
    labels = Tagging().learn([Tagging().read(row, "") for row in sentences(60)]).labels
    folder = task_model(tmp_path / "model", Tagging(kind="spans", labels=labels), body)
    answer = exported(folder, "hf")
    assert answer["parity"]["by"] == "transformers"
    assert answer["parity"]["apart"] < 1e-5
    assert answer["notes"] == ["argmax"]
    config = transformers.AutoConfig.from_pretrained(tmp_path / "hf-float32")
    assert [config.id2label[i] for i in range(len(labels))] == list(labels)


def test_transformers_finds_answers_and_vectors(tmp_path: Path) -> None:
    task = Extraction()
    folder = task_model(tmp_path / "qa" / "model", task)
    exported(folder, "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "qa" / "hf-float32")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "qa" / "hf-float32")
    mine = Opened.load(folder)
    row = questions(1)[0]
    (item,) = task.items([task.read(row, "")], mine.coder)
    given = tokenizer(row["question"], row["context"], return_tensors="pt")
    assert given["input_ids"][0].tolist() == item.ids.tolist()
    assert given["token_type_ids"][0].tolist() == item.kinds.tolist()  # type: ignore[union-attr]
    assert model(**given).start_logits.shape == (1, len(item.ids))

    vectors = Embedding()
    folder = task_model(tmp_path / "vectors" / "model", vectors, pool="mean")
    assert exported(folder, "hf")["parity"]["apart"] < 1e-5
    out = tmp_path / "vectors" / "hf-float32"
    tokenizer, bare = (getattr(transformers, name).from_pretrained(out) for name in ("AutoTokenizer", "AutoModel"))
    pair = [tokenizer(text, return_tensors="pt") for text in TEXTS[:2]]
    one, other = (torch.nn.functional.normalize(bare(**own).last_hidden_state[0].mean(0), dim=0) for own in pair)
    (answer,) = Opened.load(folder).answers([vectors.read({"text": TEXTS[0], "second": TEXTS[1]}, "")])
    assert float((one @ other).detach()) == pytest.approx(answer["cosine"], abs=1e-5)
    assert (out / "modules.json").is_file()


@pytest.mark.parametrize(("preset", "more"), [("standard", {}), ("t5", {}), ("transformer", {})])
def test_transformers_reads_what_writes(preset: str, more: dict[str, Any], tmp_path: Path) -> None:
    """An encoder-decoder without a bias is Marian's with a bias of zero; dropout is left out where a family has no
    word for it."""
    folder = writer(tmp_path / "model", preset, **more)
    assert exported(folder, "hf")["parity"]["apart"] < 1e-5
    half = exported(folder, "hf", "bfloat16")
    assert 0 < half["parity"]["apart"] < 0.05
    assert half["size"]["export"] < 0.65 * half["size"]["model"]


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("hf", "bilstm", {}, "no family of this shape"),
    ("hf", "bert", {"crf": True}, "CRF"),
    ("hf", "proxy", {}, "no family of this shape"),
    ("gguf", "bert", {}, "decoders alone"),
    ("ctranslate2", "bert", {}, "takes decoders and encoder-decoders"),
]


@pytest.mark.parametrize(("target", "body", "head", "why"), REFUSED)
def test_what_a_format_has_no_part_for_is_refused(
    target: str, body: str, head: dict[str, Any], why: str, tmp_path: Path
) -> None:
    folder = task_model(tmp_path / "model", Tagging(kind="labels", labels=("a", "b")), body, **head)
    with pytest.raises(InputError, match=why):
        exported(folder, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


# CTranslate2

GROUPED = BlockConfig(32, 4, 2, activation="silu", gated=True, gains=True, rotary="halves")
NEIGHBOURS = BlockConfig(32, 4, activation="gelu", rotary="neighbours")
WRITERS: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"layers": 2}), ("llama", {}), ("standard", {"block": GROUPED}), ("bart", {"layers": 2}), ("marian", {}),
    ("t5", {"layers": 2}), ("proxy", {"block": NEIGHBOURS, "softcap": 5.0}),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "more"), WRITERS)
def test_ctranslate2_writes_alike(preset: str, more: dict[str, Any], tmp_path: Path) -> None:
    """Greedily and by beams, with our scores."""
    pytest.importorskip("ctranslate2")
    folder = writer(tmp_path / "model", preset, **more)
    model: Any = interop.load(folder)
    answer = exported(folder, "ctranslate2")
    assert answer["parity"]["apart"] < 1e-5
    engine = Exported.load(tmp_path / "ctranslate2-float32", threads=1).engine
    generator = np.random.default_rng(3)
    prompts = [generator.integers(2, model.config.vocabulary, n).tolist() for n in (1, 9, 4)]
    limits = Limits(8, stop=(engine.facts["end"],))
    for own, found in zip(generate(model, prompts, limits=limits), engine.written(prompts, new=8), strict=True):
        assert (list(own[0].kept), own[0].end == "stop") == (found.ids, found.ended)
    for own, found in zip(beam_search(model, prompts, Beams(3), limits), engine.written(prompts, new=8, beams=3),
                          strict=True):  # fmt: skip
        assert list(own[0].kept) == found.ids
        assert own[0].score == pytest.approx(found.score, abs=1e-4)


def test_ctranslate2_does_a_task_of_writing(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    plain = writer(tmp_path / "plain", "marian")
    own = Source.load(plain)
    task = Translation(new=8, beams=2)
    folder = tmp_path / "model"
    assert own.tokenizer is not None
    written(folder, own.model, own.tokenizer, task)
    exported(folder, "ctranslate2")
    eight = exported(folder, "ctranslate2", "int8")
    assert eight["size"]["export"] < 0.45 * eight["size"]["model"]
    examples = [task.read({"source": text}, "") for text in [*TEXTS, "一"]]
    found = Exported.load(tmp_path / "ctranslate2-float32", threads=1).answers(examples)
    assert [one["text"] for one in found] == [one["text"] for one in Opened.load(folder).answers(examples)]


# GGUF


def _decoders() -> list[tuple[str, dict[str, Any]]]:
    common: dict[str, Any] = {"width": 64, "heads": 4, "gains": True}
    gated: dict[str, Any] = {**common, "activation": "silu", "gated": True, "rotary": "halves"}
    blocks = {
        "qwen2": BlockConfig(**gated, qk_norm=False, biases="qkv"),
        "qwen3": BlockConfig(**gated, kv_heads=2),
        "llama": BlockConfig(**gated, kv_heads=2, qk_norm=False),
        "gpt2": BlockConfig(**common, activation="gelu_tanh", norm="layer", epsilon=1e-5, biases="all", qk_norm=False,
                            rotary=None),
    }  # fmt: skip
    scaling = {"rotary_scaling": Llama3Scaling(8.0, 1.0, 4.0, 16)}
    return [
        (name, {"block": block, **(scaling if name == "llama" else {})}) for name, block in blocks.items()
    ]  # fmt: skip


@pytest.mark.parametrize(("arch", "more"), _decoders())
def test_gguf_holds_the_model(arch: str, more: dict[str, Any], tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    folder = writer(tmp_path / "model", "gpt2" if arch == "gpt2" else "standard", layers=2, **more)
    for dtype, bound in (("float32", 0.0), ("float16", 1e-3), ("bfloat16", 1e-2), ("int8", 1e-2)):
        exported(folder, "gguf", dtype)
        path = tmp_path / f"gguf-{dtype}" / gguf_file.MODEL
        assert max(gguf_file.differences(Source.load(folder), path).values()) <= bound
    reader = gguf.GGUFReader(str(path))
    said = {name: field.contents() for name, field in reader.fields.items()}
    own = Source.load(folder)
    assert own.tokenizer is not None
    assert said["general.architecture"] == arch
    assert said["tokenizer.ggml.model"] == "gpt2"
    assert said["tokenizer.ggml.pre"] == "qwen2"
    assert said["tokenizer.ggml.tokens"] == [own.tokenizer.surface.names[i] for i in range(own.tokenizer.vocabulary)]
    assert said["tokenizer.ggml.bos_token_id"] == own.begin
    assert said[f"{arch}.block_count"] == 2
    assert {tensor.tensor_type.name for tensor in reader.tensors} == {"Q8_0", "F32"}


def test_gguf_has_the_template_of_conversations(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    own = Source.load(writer(tmp_path / "plain"))
    assert own.tokenizer is not None
    written(tmp_path / "model", own.model, own.tokenizer, Instruction())
    exported(tmp_path / "model", "gguf")
    reader = gguf.GGUFReader(str(tmp_path / "gguf-float32" / gguf_file.MODEL))
    assert "Assistant: " in reader.fields["tokenizer.chat_template"].contents()


@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed")
@pytest.mark.parametrize(("arch", "more"), _decoders())
def test_llama_cpp_says_the_same(arch: str, more: dict[str, Any], tmp_path: Path) -> None:
    """And cuts texts into the same tokens, Chinese and digits too."""
    import llama_cpp

    folder = writer(tmp_path / "model", "gpt2" if arch == "gpt2" else "standard", layers=2, **more)
    answer = exported(folder, "gguf")
    assert answer["parity"]["by"] == "llama.cpp"
    path = tmp_path / "gguf-float32" / gguf_file.MODEL
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    own = Source.load(folder).tokenizer
    assert own is not None
    for text in [*LONGER, *TEXTS, "1234 is't  so\n\n x", "你好，世界！123abc"]:
        assert model.tokenize(text.encode(), add_bos=False) == own.encode([text])[0].tolist()
