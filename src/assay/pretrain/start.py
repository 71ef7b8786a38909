"""A model to go on from: `model.path` of a recipe -> its config, its weights, its tokenizer.

What the recipe says of the model's kind must hold of it, and what it says of dropout and other fields is taken over.
All of it is seen before a text is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from assay.errors import InputError
from assay.models import interop, quantized
from assay.models.build import ModelConfig, build
from assay.models.encoder import EncoderConfig
from assay.models.recurrent import RecurrentConfig
from assay.pretrain import shape
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens import marian
from assay.tokens.tokenizer import TOKENIZER_JSON, Encoder


@dataclass(frozen=True)
class Start:
    """A model to go on from."""

    config: ModelConfig
    weights: dict[str, Tensor]


def start(recipe: PretrainRecipe) -> Start | None:
    """The model that the recipe goes on from; None where it begins anew.

    Raises:
        InputError: there is none, the recipe is for one of another kind or shape, or names another tokenizer than the
            model's own.
    """
    if recipe.model.path is None:
        return None
    if recipe.model.vectors is not None:
        raise InputError("model.path has an input layer, too", where="model.vectors", remedy="give one of both")
    folder = Path(recipe.model.path)
    model = interop.load(folder)
    quantized.refuse(model, folder)
    config = cast(ModelConfig, model.config)
    _check_kind(recipe, config, folder)
    _check_tokenizer(recipe.tokenizer.path, folder)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    changed = shape.with_more(recipe, config)
    _check_shapes(changed, weights)
    return Start(changed, weights)


def tokenizer_of(recipe: PretrainRecipe) -> Path | None:
    """The tokenizer that a recipe names, itself or by the model that it goes on from; None: it is learned."""
    if recipe.tokenizer.path is not None:
        return Path(recipe.tokenizer.path)
    return Path(recipe.model.path) if recipe.model.path is not None else None


def _check_kind(recipe: PretrainRecipe, config: ModelConfig, folder: Path) -> None:
    own, asked = shape.kind_of(config), shape.family_of(recipe.model.preset)
    if own != ("decoder" if asked == "proxy" else asked):
        raise InputError(
            f"holds a model of the kind {own}, and the recipe is for {recipe.model.preset}", where=folder,
            remedy="give a recipe for its kind, or its kind as model.preset",
        )  # fmt: skip
    if isinstance(config, RecurrentConfig) and config.both_ways != shape.reads_both_ways(recipe):
        own, asked = ("both ways", "forwards") if config.both_ways else ("forwards", "both ways")
        raise InputError(
            f"holds a model that reads {own}, and the recipe is for one that reads {asked}", where=folder,
            remedy=f"give model.more={{both_ways: {str(config.both_ways).lower()}}}",
        )  # fmt: skip
    if isinstance(config, EncoderConfig) and not config.head:
        raise InputError("has no head that tells hidden words", where=folder, remedy="give a model that has one")


def _check_tokenizer(given: str | None, folder: Path) -> None:
    own = folder / TOKENIZER_JSON
    if given is None and not own.exists() and (folder / marian.SOURCE).exists():
        raise InputError(
            "is a translator with a tokenizer for each side, and a recipe has one for both", where=folder,
            remedy="train it from a program (docs/models.md), or name a tokenizer.json as tokenizer.path",
        )  # fmt: skip
    if given is None and not own.exists():
        raise InputError(
            f"has no {TOKENIZER_JSON}, and a new one would give its ids other meanings", where=folder,
            remedy="name the tokenizer that it was trained with as tokenizer.path",
        )  # fmt: skip
    if given is None or not own.exists():
        return
    theirs, its = Encoder.load(Path(given)), Encoder.load(folder)
    plain = {"post_processor": None}  # what is put around a text for others (`shape.with_end`) changes no id
    if json.loads(theirs.content) | plain != json.loads(its.content) | plain:
        raise InputError(
            f"is another tokenizer, of {theirs.vocabulary} ids, than that of {folder}, of {its.vocabulary} ids",
            where="tokenizer.path", remedy="leave it out: the model's own is used",
        )  # fmt: skip


def _check_shapes(config: ModelConfig, weights: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        wanted = {name: parameter.shape for name, parameter in build(config, None).named_parameters()}
    for name in sorted(wanted.keys() | weights.keys()):
        here, there = wanted.get(name), weights[name].shape if name in weights else None
        if here != there:
            raise InputError(
                f"{name} is {_told(there)} in the weights, and {_told(here)} by the recipe", where="model.more",
                remedy="leave out what changes the shape",
            )  # fmt: skip


def _told(size: torch.Size | None) -> str:
    return "not there" if size is None else f"of shape {tuple(size)}"
