"""What is exported: a model directory, opened with its tokenizer and, where it was trained for one, its task."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from assay.errors import InputError
from assay.generation.opened import model_folder
from assay.models import interop
from assay.models.build import Neural
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder as EncoderModel
from assay.models.heads import Headed
from assay.models.interop import INDEX, WEIGHTS
from assay.models.recurrent import Recurrent
from assay.models.seq2seq import Seq2Seq
from assay.store import file_digest
from assay.tasks.coding import Coder
from assay.tasks.opened import TASK, Opened
from assay.tasks.protocol import Task
from assay.tasks.writing import WritingTask
from assay.tokens.tokenizer import TOKENIZER_JSON, Encoder
from assay.train.predict import NGRAM, Predictor

Kind = Literal["decoder", "translator", "recurrent", "headed", "hidden"]
"""What a model does: goes on with text (by keys and values, or by a state), writes a target for a source, answers by a
head, or tells hidden tokens."""


@dataclass(frozen=True)
class Source:
    """See the module.

    Attributes:
        folder: the model directory.
        stated: its config.json.
        tokenizer: None: the directory has none.
        opened: with its task; None: it was trained for none.
    """

    folder: Path
    model: Neural
    stated: dict[str, Any]
    tokenizer: Encoder | None
    opened: Opened | None

    @classmethod
    def load(cls, folder: Path) -> Source:
        """The model of a directory, or of a run's folder.

        Raises:
            InputError: there is none, its weights are pickled, or it is counted and not computed.
        """
        folder = model_folder(folder)
        if (folder / NGRAM).is_file():
            raise InputError(
                "is an n-gram model, which no other engine runs",
                where=folder,
                remedy="its table is safetensors: use it",
            )
        if (folder / TASK).is_file():
            opened = Opened.load(folder)
            return cls(folder, opened.model, interop.read_config(folder), opened.coder.encoder, opened)
        model: Any = interop.load(folder)
        tokenizer = Encoder.load(folder) if (folder / TOKENIZER_JSON).is_file() else None
        return cls(folder, model, interop.read_config(folder), tokenizer, None)

    @property
    def task(self) -> Task | None:
        return None if self.opened is None else self.opened.task

    @property
    def coder(self) -> Coder | None:
        return None if self.opened is None else self.opened.coder

    @property
    def kind(self) -> Kind:
        match self.model:
            case Headed():
                return "headed"
            case Decoder():
                return "decoder"
            case Seq2Seq():
                return "translator"
            case Recurrent() if not self.model.config.both_ways:
                return "recurrent"
            case EncoderModel() | Recurrent():
                return "hidden"
        raise InputError("this kind of model is not exported", where=self.folder)

    @property
    def writes(self) -> bool:
        """Whether text comes out."""
        return self.kind in ("decoder", "translator", "recurrent")

    @cached_property
    def begin(self) -> int | None:
        """The id before a document or a prompt; of an encoder-decoder none."""
        if isinstance(self.task, WritingTask) and self.kind != "translator":
            assert self.coder is not None
            return self.coder.begin
        if self.kind in ("decoder", "recurrent") and self.tokenizer is not None:
            return Predictor.of(self.folder, self.model).begin
        return None if self.coder is None else self.coder.begin

    @cached_property
    def end(self) -> int | None:
        """The id that ends what is written, or a source."""
        if self.coder is not None:
            return self.coder.end
        stated = self.stated.get("eos_token_id")
        return stated if isinstance(stated, int) else None

    @cached_property
    def positions(self) -> int | None:
        """The most tokens of a row; None: any number."""
        if self.kind == "translator" and getattr(self.model.config, "positions", "") == "relative":
            return None
        found = getattr(self.model.config, "max_length", None)
        return None if found is None else int(found)

    def stated_json(self) -> dict[str, Any] | None:
        """task.json."""
        if self.opened is None:
            return None
        found: dict[str, Any] = json.loads((self.folder / TASK).read_text(encoding="utf-8"))
        return found


def familiar(model: Any) -> Any:
    """The model as one of a Hugging Face family, which says the same; None: none has its shape.

    What training alone knows (dropout) is left out where a family has no word for it, and an encoder-decoder without a
    bias of its logits is one whose bias is zero.
    """
    return next((one for one in _alike(model) if interop.family_of(one.config) is not None), None)


def _alike(model: Any) -> Iterator[Any]:
    yield model
    block = getattr(model.config, "block", None)
    if block is None:
        return
    plain = copy.copy(model)
    plain.config = replace(model.config, block=replace(block, dropout=0.0, attention_dropout=0.0))
    yield plain
    if isinstance(model, Seq2Seq) and model.head_bias is None:
        biased = copy.copy(model)
        biased._parameters = {**model._parameters, "head_bias": nn.Parameter(torch.zeros(model.config.vocabulary))}
        biased.config = replace(model.config, head_bias=True)
        yield biased


def weights_of(folder: Path) -> dict[str, str]:
    """Digests of a model's files of weights."""
    return {name: file_digest(folder / name) for name in (WEIGHTS, INDEX) if (folder / name).exists()}
