"""Models from and to model directories: config.json and model.safetensors.

    model = load(folder)            any family below, or our own, told by config.json
    save(model, folder)             the Hugging Face family that its config has the shape of, else our own form

No pickle is read here: a directory with a `.bin` alone is refused, and `convert` is the explicit way. `directory`
writes the rest of a model directory: tokenizer, generation, model card.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from assay.errors import InputError
from assay.models import quantized
from assay.models.build import ModelConfig, build
from assay.models.decoder import DecoderConfig
from assay.models.encoder import EncoderConfig
from assay.models.interop import decoders, encoders, seq2seq
from assay.models.interop import native as own
from assay.models.interop.files import (
    CONFIG,
    INDEX,
    WEIGHTS,
    make_folder,
    read_config,
    read_tensors,
    write_json,
    write_tensors,
)
from assay.models.interop.names import Same, to_ours, to_theirs
from assay.models.quantized import Quantization
from assay.models.seq2seq import Seq2SeqConfig

__all__ = ["CONFIG", "FAMILIES", "INDEX", "WEIGHTS", "Family", "family_of", "load", "read_config", "save"]


@dataclass(frozen=True)
class Family:
    """How one family of models is read and written.

    Attributes:
        prefix: that tensors may lack where the bare model was saved without its head.
        ignored: endings of tensors that hold nothing learned.
    """

    config: type[ModelConfig]
    read: Callable[[dict[str, Any], Collection[str]], Any]
    write: Callable[[Any], dict[str, Any]]
    names: Callable[[Any], list[Same]]
    prefix: str
    ignored: tuple[str, ...] = ()


_GPT2 = Family(
    DecoderConfig, decoders.read_gpt2, decoders.write_gpt2, decoders.names_gpt2, "transformer.",
    (".attn.bias", ".attn.masked_bias", "lm_head.weight"),
)  # fmt: skip
_LLAMA = Family(
    DecoderConfig, decoders.read_llama, decoders.write_llama, decoders.names_llama, "model.",
    ("rotary_emb.inv_freq", "lm_head.weight"),
)  # fmt: skip
_BERT, _ROBERTA = (
    Family(EncoderConfig, encoders.read_bert, encoders.write_bert, encoders.names_bert, prefix, ignored)
    for prefix, ignored in (
        ("bert.", ("position_ids", "predictions.decoder.weight", "predictions.decoder.bias", "seq_relationship.weight",
                   "seq_relationship.bias")),
        ("roberta.", ("position_ids", "lm_head.decoder.weight", "lm_head.decoder.bias")),
    )
)  # fmt: skip
_BART = Family(
    Seq2SeqConfig, seq2seq.read_bart, seq2seq.write_bart, seq2seq.names_bart, "model.",
    ("embed_tokens.weight", "embed_positions.weight", "lm_head.weight"),
)  # fmt: skip
_T5 = Family(
    Seq2SeqConfig, seq2seq.read_t5, seq2seq.write_t5, seq2seq.names_t5, "", ("embed_tokens.weight", "lm_head.weight")
)  # fmt: skip
FAMILIES: dict[str, Family] = {
    "gpt2": _GPT2, "llama": _LLAMA, "qwen2": _LLAMA, "qwen3": _LLAMA, "bert": _BERT, "roberta": _ROBERTA,
    "bart": _BART, "marian": _BART, "t5": _T5,
}  # fmt: skip


def load(folder: Path) -> nn.Module:
    """The model of a directory, in float32 (what is quantized, as it is), in evaluation mode.

    Raises:
        InputError: it is no model directory, of no known family, or its tensors do not fit its config.
    """
    folder = Path(folder)
    stated = read_config(folder)
    kind = str(stated.get("model_type"))
    family = FAMILIES.get(kind)
    if family is None and kind != own.MODEL_TYPE:
        known = ", ".join([*sorted(FAMILIES), own.MODEL_TYPE])
        raise InputError(f"models of type {kind!r} are not known", where=folder / CONFIG, remedy=f"known: {known}")
    kept: Quantization | None = None
    try:
        if family is None:
            config, kept = own.read(stated), own.quantization(stated)
            state: Mapping[str, Tensor] = read_tensors(folder)
        else:
            config, state = _translated(family, stated, read_tensors(folder))
    except InputError as error:
        raise InputError(error.what, where=error.where or folder / CONFIG, remedy=error.remedy) from error
    except KeyError as error:
        raise InputError(f"lacks {error}", where=folder / CONFIG, remedy="give a whole config.json") from error
    _check(config, kept, state, folder)
    if kept is not None:
        return quantized.filled(config, kept, state).eval()
    model = build(config, None)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(state[name])
    return model.eval()


def _translated(
    family: Family, stated: dict[str, Any], found: dict[str, Tensor]
) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Our config and our tensors."""
    config = family.read(stated, found.keys())
    names = family.names(config)
    wanted = {name for pair in names for name in pair.theirs}
    return config, to_ours(_prefixed(found, wanted, family.prefix), names, family.ignored)


def _check(config: ModelConfig, kept: Quantization | None, state: Mapping[str, Tensor], folder: Path) -> None:
    """Names and shapes, on the meta device: nothing is allocated for a config that the weights are not of."""
    remedy = "give the config that these weights are of"
    try:
        with torch.device("meta"):
            model = build(config, None)
            if kept is not None:
                quantized.convert(model, kept)
            wanted = quantized.tensors(model)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise InputError(f"describes no model ({error})", where=folder / CONFIG, remedy=remedy) from error
    if missing := sorted(wanted.keys() - state.keys()):
        raise InputError(f"lacks {len(missing)} tensors, such as {missing[0]}", where=folder, remedy=remedy)
    if unknown := sorted(state.keys() - wanted.keys()):
        raise InputError(
            f"has {len(unknown)} tensors that its config does not, such as {unknown[0]}", where=folder, remedy=remedy
        )
    for name, tensor in wanted.items():
        shape, found = tuple(tensor.shape), state[name]
        if tuple(found.shape) != shape:
            raise InputError(f"{name} is {tuple(found.shape)} instead of {shape}", where=folder, remedy=remedy)
        if found.is_floating_point() != tensor.is_floating_point():
            raise InputError(f"{name} is {found.dtype} instead of {tensor.dtype}", where=folder, remedy=remedy)


def save(model: nn.Module, folder: Path, *, native: bool | None = None) -> None:
    """Write config.json and model.safetensors (float32 or whatever the model is in).

    Each file takes its name once it is whole, and the config, without which a directory is no model, is the last.

    Args:
        native: our own form, which only assay reads; False: a Hugging Face family's; None: a family's where one has
            the model's shape.

    Raises:
        InputError: `native` is False, and no family has the model's shape.
    """
    stated, tensors = written(model, native=native)
    make_folder(folder)
    (folder / CONFIG).unlink(missing_ok=True)  # an older one would describe the new weights
    write_tensors(folder / WEIGHTS, tensors)
    write_json(folder / CONFIG, stated)


def written(model: nn.Module, *, native: bool | None = None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and the tensors of model.safetensors: see `save`."""
    config: Any = model.config
    kept = quantized.of(model)
    family = None if native or kept is not None else family_of(config)
    if family is None and native is False:
        raise InputError(
            "this model has the shape of no known family",
            remedy="train one of the preset `standard`, or save it native",
        )
    state = {name: tensor.detach().contiguous() for name, tensor in quantized.tensors(model).items()}
    dtype = {"dtype": str(next(iter(state.values())).dtype).removeprefix("torch.")}
    if family is None:
        return own.write(config, kept) | dtype, state
    return family.write(config) | dtype, to_theirs(state, family.names(config))


def family_of(config: ModelConfig) -> Family | None:
    """The Hugging Face family that has a config's shape."""
    return next((family for family in FAMILIES.values() if _fits(family, config)), None)


def _fits(family: Family, config: Any) -> bool:
    """Whether a config survives being written and read: then nothing of it is lost (how weights began, aside)."""
    if type(config) is not family.config:
        return False
    theirs = [name for pair in family.names(config) for name in pair.theirs]
    try:
        back = family.read(family.write(config), theirs)
    except (InputError, KeyError):
        return False
    return _resolved(back) == _resolved(config)


def _resolved(config: Any) -> dict[str, Any]:
    """A config with every default of its block as a number, and without how weights began."""
    b = config.block
    block = replace(b, kv_heads=b.groups, head_width=b.key_width, mlp_width=b.inner)
    return {**asdict(replace(config, block=block)), "init": None}


def _prefixed(found: dict[str, Tensor], wanted: set[str], prefix: str) -> dict[str, Tensor]:
    """Tensors under the names of the model with its head."""
    if any(name.startswith(prefix) for name in found):
        return found
    return {prefix + name if prefix + name in wanted else name: tensor for name, tensor in found.items()}
