"""Small models with every head, in model directories, whose weights are all at work; and what they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from assay.models.build import build
from assay.models.convolution import ConvolutionConfig
from assay.models.heads import HeadedConfig
from assay.models.interop.directory import Special, write_directory
from assay.models.presets import Size, preset
from assay.models.recurrent import RecurrentConfig
from assay.store import write_json_atomic
from assay.tasks.coding import Coder
from assay.tasks.opened import TASK, task_json
from assay.tasks.protocol import HeadTask, Task
from assay.tokens.learn import END_OF_TEXT, train_tokenizer
from assay.tokens.tokenizer import Encoder
from labelled import questions, reviews, sentences

TEXTS = [
    "the film was lovely",
    "一部精彩的电影",
    "awful story and so dull",
    "无聊",
    "a",
    "王明 lives in 北京 and Bob in Rome",
]


def awake(model: Any, scale: float = 0.1) -> Any:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return model.eval()


def encoder(special: Sequence[str] = ("<|pad|>", "<|end|>")) -> Encoder:
    rows = [row["text"] for row in reviews(60)] + [" ".join(row["tokens"]) for row in sentences(60)]
    rows += [row["context"] + " " + row["question"] for row in questions(60)] + TEXTS
    return Encoder(train_tokenizer(rows, 420, special=tuple(special)))


def body(name: str, vocabulary: int, **more: Any) -> Any:
    """The config of a body: a preset, or `roberta`, `bilstm`, `textcnn`."""
    if name == "bilstm":
        return RecurrentConfig(vocabulary, 1, 32, both_ways=True)
    if name == "textcnn":
        return ConvolutionConfig(vocabulary, 32, 16)
    if name == "roberta":
        return replace(body("bert", vocabulary), first_position=2)
    made: Any = preset(name, Size(vocabulary, 1, 32, 4, 64))
    return replace(made, head=False, **more) if name in ("bert", "modern") else replace(made, **more)


def task_model(folder: Path, task: HeadTask, name: str = "bert", **head: Any) -> Path:
    """A model directory of a task with random weights."""
    own = encoder()
    dense = {"dense": True} if name in ("bert", "modern") and task.head.kind in ("class", "labels", "value") else {}
    config = HeadedConfig(body(name, own.vocabulary), replace(task.head, **{**dense, **head}))
    return written(folder, awake(build(config, torch.Generator().manual_seed(0)), 0.2), own, task)


def written(folder: Path, model: Any, own: Encoder, task: Task | None = None) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    pad = "<|pad|>" if hasattr(model.config, "body") else None
    special = Special(bos=END_OF_TEXT, eos="<|end|>", pad=pad)
    write_directory(folder, model, own.content, card="A card.", special=special)
    if task is not None:
        start = getattr(model.config, "start", None)
        write_json_atomic(folder / TASK, task_json(task, Coder.of(own, 48, folder, start)))
    return folder


def writer(folder: Path, name: str = "standard", layers: int = 1, **more: Any) -> Path:
    """A model directory of a model that writes."""
    own = encoder()
    config = preset(name, Size(own.vocabulary, layers, 32, 4, 64))
    changed: Any = replace(config, **more)
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_directory(folder, awake(build(changed, torch.Generator().manual_seed(0))), own.content, card="A card.")
    return folder
