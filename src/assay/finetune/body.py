"""The model below a head, and its tokenizer: given by a directory, or new and as a preset has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assay.errors import InputError
from assay.generation.marks import BEGIN, END
from assay.models import interop, quantized, vectors
from assay.models.build import ModelConfig, build
from assay.models.convolution import ConvolutionConfig
from assay.models.decoder import DecoderConfig
from assay.models.encoder import EncoderConfig
from assay.models.heads import BodyConfig, HeadConfig, Headed, HeadedConfig, Pool
from assay.models.interop.directory import Special
from assay.models.lora import LoraConfig
from assay.models.presets import with_fields
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig
from assay.pretrain import shape
from assay.recipe.finetune import BodyRecipe, FinetuneRecipe
from assay.recipe.pretrain import ModelRecipe, PretrainRecipe
from assay.tasks.coding import Coder
from assay.tokens.learn import learn
from assay.tokens.sentences import words_of_tokens
from assay.tokens.tokenizer import Encoder
from assay.train.optimizers import OptimizerConfig
from assay.train.tuning import Tuning

RATE, HEAD_RATE = 1e-4, 1e-3  # peaks, of a given model: Devlin et al. 2019, and twice as high for small ones
LORA_RATE = 1e-3
CONVOLUTION_RATE = 1e-3


AnyConfig = ModelConfig | ConvolutionConfig


@dataclass(frozen=True)
class Made:
    """A body with a head, or a model that writes, before it is trained.

    Attributes:
        initial: weights to begin with, by name.
        special: what the tokenizer's special tokens are for, in what is written.
    """

    config: ModelConfig
    initial: dict[str, Tensor] | None
    coder: Coder
    special: Special
    optimizer: OptimizerConfig


def made(recipe: FinetuneRecipe, head: HeadConfig | None, texts: Iterable[str]) -> Made:
    """The model of a recipe.

    Args:
        head: None: the model is to write, with its own output matrix.
        texts: what a new tokenizer learns from.

    Raises:
        InputError: there is no such model, it cannot do this, or fields that it does not have.
    """
    m = recipe.model
    encoder = _tokenizer(recipe, texts)
    found, parameters, of_head = (
        _given(recipe, encoder) if m.path is not None else (_new(recipe, encoder), None, {})
    )  # fmt: skip
    where = m.path or m.preset
    config = (
        _writer(found, where) if head is None else HeadedConfig(_body_for(head, found, where), _head(m, head, found))
    )
    if head is not None and head.kind in ("tags", "span") and isinstance(found, ConvolutionConfig):
        raise InputError(
            "textcnn reads a whole text, and this task asks about its tokens", where="model.preset",
            remedy="give an encoder or a recurrent model",
        )  # fmt: skip
    weights = None if parameters is None else _fitting(parameters, config)
    if weights is not None and m.keep_head:
        weights |= of_head
    if m.vectors is not None:
        weights = _with_vectors(recipe, config, encoder, Path(m.vectors))
    longest = getattr(config, "max_length", None) or recipe.train.row_tokens
    start = config.start if isinstance(config, Seq2SeqConfig) else None
    folder = None if m.path is None else Path(m.path)
    coder = Coder.of(encoder, min(recipe.train.row_tokens, longest), folder, start)
    return Made(config, weights, coder, _special(encoder, coder), _optimizer(recipe, found))


def _tokenizer(recipe: FinetuneRecipe, texts: Iterable[str]) -> Encoder:
    t, m = recipe.tokenizer, recipe.model
    if t.path is not None:
        return Encoder.load(Path(t.path))
    if m.path is not None:
        return Encoder.load(Path(m.path))
    return Encoder(learn(texts, shape.learning(as_pretraining(recipe))))


def as_pretraining(recipe: FinetuneRecipe) -> PretrainRecipe:
    """The recipe that would train such a body on text: presets, shapes and rates are looked up by it."""
    given = recipe.model.model_dump(include=set(ModelRecipe.model_fields))
    if given["preset"] == "textcnn":
        given["preset"] = "bert"
    if given["preset"] == "bilstm":
        given |= {"preset": "lstm", "more": {"both_ways": True, **given["more"]}}
    return PretrainRecipe(
        tokenizer=recipe.tokenizer, model=ModelRecipe(**given), optimizer=recipe.optimizer, schedule=recipe.schedule,
        train=recipe.train,
    )  # fmt: skip


def _new(recipe: FinetuneRecipe, encoder: Encoder) -> AnyConfig:
    m = recipe.model
    if m.preset == "textcnn":
        config = ConvolutionConfig(encoder.vocabulary, m.width, dropout=0.0 if m.dropout is None else m.dropout)
        try:
            changed: ConvolutionConfig = with_fields(config, dict(m.more))
        except ValueError as error:
            raise InputError(str(error), where="model.more", remedy="give fields of this preset") from error
        return changed
    return shape.model_config(as_pretraining(recipe), encoder)


def _given(recipe: FinetuneRecipe, encoder: Encoder) -> tuple[AnyConfig, Mapping[str, Tensor], dict[str, Tensor]]:
    """A model that was trained before, on text, on this task or another one: its config, its weights, and those of its
    head."""
    m = recipe.model
    assert m.path is not None
    model = interop.load(Path(m.path))
    quantized.refuse(model, m.path)
    inner = model.body if isinstance(model, Headed) else model
    config: Any = inner.config
    more = dict(m.more) | ({} if m.dropout is None else {"dropout": m.dropout})
    try:
        changed = with_fields(config, more)
    except ValueError as error:
        raise InputError(str(error), where="model.more", remedy="give fields of this model") from error
    if changed.vocabulary < encoder.vocabulary:
        raise InputError(
            f"the tokenizer has {encoder.vocabulary} ids, and the model's embedding {changed.vocabulary} rows",
            where=m.path, remedy="give the tokenizer that the model was trained with as tokenizer.path",
        )  # fmt: skip
    outside = {name: p.detach() for name, p in model.named_parameters() if not name.startswith("body.")}
    return changed, dict(inner.named_parameters()), outside if isinstance(model, Headed) else {}


def _fitting(parameters: Mapping[str, Tensor], config: AnyConfig | HeadedConfig) -> dict[str, Tensor]:
    """Those weights that the model has, under its names.

    Raises:
        InputError: one is of another shape.
    """
    assert not isinstance(config, ConvolutionConfig)
    with torch.device("meta"):
        wanted = dict(build(config, None).named_parameters())
    prefix = "body." if isinstance(config, HeadedConfig) else ""
    weights = {prefix + name: p.detach() for name, p in parameters.items() if prefix + name in wanted}
    for name, tensor in weights.items():
        if wanted[name].shape != tensor.shape:
            what = f"{name} is of shape {tuple(tensor.shape)}, and by the recipe of {tuple(wanted[name].shape)}"
            raise InputError(what, where="model.more", remedy="leave out what changes the shape")
    return weights


def _writer(config: AnyConfig, where: str) -> ModelConfig:
    """The config of a model that writes text.

    Raises:
        InputError: it reads both ways, or whole texts.
    """
    if isinstance(config, DecoderConfig | Seq2SeqConfig):
        return config
    if isinstance(config, RecurrentConfig) and not config.both_ways:
        return replace(config, carried=False)
    raise InputError(
        "does not write: it is no decoder, encoder-decoder or one-way recurrent model", where=where,
        remedy="give one of these, such as --model standard, lstm or transformer",
    )  # fmt: skip


def _body_for(head: HeadConfig, config: AnyConfig, where: str) -> BodyConfig:
    """The config of a body below a head.

    Raises:
        InputError: it cannot be one.
    """
    if head.kind != "preference":
        return _body_of(config, where)
    writes = _writer(config, where)
    if isinstance(writes, DecoderConfig | RecurrentConfig):
        return writes
    raise InputError("an encoder-decoder cannot learn preferences here", where=where, remedy="give a decoder")


def _body_of(config: AnyConfig, where: str) -> BodyConfig:
    """A model's config without what only it needs to predict text."""
    if isinstance(config, EncoderConfig):
        return replace(config, head=False, pooler=False)
    if isinstance(config, DecoderConfig):
        return replace(config, tied=True)  # no output matrix of its own
    if isinstance(config, RecurrentConfig):
        return replace(config, carried=False)
    if isinstance(config, ConvolutionConfig):
        return config
    raise InputError(
        "an encoder-decoder writes text, and has no states for this task's head", where=where,
        remedy="give an encoder, a decoder or a recurrent model",
    )  # fmt: skip


def _head(m: BodyRecipe, head: HeadConfig, body: AnyConfig) -> HeadConfig:
    whole = head.kind not in ("tags", "span")
    pool: Pool = "first"
    if isinstance(body, ConvolutionConfig) or (isinstance(body, RecurrentConfig) and body.both_ways):
        pool = "max"
    elif isinstance(body, DecoderConfig | RecurrentConfig):
        pool = "last"
    if head.kind == "vector":
        pool = "mean"
    encodes = isinstance(body, EncoderConfig)
    dense = m.dense if m.dense is not None else encodes and whole and head.kind != "vector"
    try:
        return replace(
            head, pool=m.pool or pool, dense=dense, crf=m.crf,
            dropout=head.dropout if m.head_dropout is None else m.head_dropout,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error), where="model", remedy="leave it out") from error


def _with_vectors(recipe: FinetuneRecipe, config: ModelConfig, encoder: Encoder, path: Path) -> dict[str, Tensor]:
    """The input layer from word vectors."""
    generator = torch.Generator().manual_seed(recipe.train.seed)
    model = build(config, generator)
    inner: Any = model.body if isinstance(model, Headed) else model
    matrix, _ = vectors.embedding_for(words_of_tokens(encoder.content), vectors.load(path), generator)
    vectors.put(inner, matrix)
    name = "body.embedding" if isinstance(model, Headed) else "embedding"
    return {name: inner.embedding.detach()}


def _special(encoder: Encoder, coder: Coder) -> Special:
    """What the special tokens are for: what stands around a text, and what plays a role by its name."""
    names = {number: name for name, number in encoder.special.items()}
    roles: Any = {role: shape.name_of(role, encoder) for role in ("pad", "mask", "unk")}
    begin, end = names.get(coder.begin), names.get(coder.end)
    if begin in BEGIN or end in END[:2]:
        return Special(cls=begin, sep=end, **roles)
    return Special(bos=begin, eos=end, **roles)


def _optimizer(recipe: FinetuneRecipe, body: AnyConfig) -> OptimizerConfig:
    o, t, given = recipe.optimizer, recipe.tune, recipe.model.path is not None
    made = shape.optimizer_config(as_pretraining(recipe), body) if not isinstance(body, ConvolutionConfig) else None
    if made is None or given or t.rate is not None:
        rate = t.rate or (LORA_RATE if t.lora else RATE if given else CONVOLUTION_RATE)
        head_rate = t.head_rate or (max(HEAD_RATE, rate) if given else rate)
        made = OptimizerConfig(
            matrix=o.matrix or "adamw", rest=o.rest, matrix_lr=o.matrix_lr or rate,
            embedding_lr=o.embedding_lr or rate, head_lr=o.head_lr or head_rate, vector_lr=o.vector_lr or rate,
            momentum=o.momentum, betas=o.betas, weight_decay=o.weight_decay, l1=o.l1, clip_value=o.clip_value,
            clip_norm=o.clip_norm,
        )  # fmt: skip
    elif t.head_rate is not None:
        made = replace(made, head_lr=t.head_rate)
    return made


def tuning(recipe: FinetuneRecipe) -> Tuning:
    """Which weights are trained, and how fast."""
    t = recipe.tune
    lora = None if t.lora is None else LoraConfig(t.lora, t.lora_alpha, t.lora_targets, t.dora)
    return Tuning(t.frozen, t.layer_decay, lora, recipe.train.sparse)
