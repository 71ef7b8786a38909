"""Our own model directories, for models that no Hugging Face family has the shape of.

    config.json    {"model_type": "assay", "format": 1, "family": "decoder", "shape": {the config, field by field}}
    model.safetensors    our parameters under our names

A model whose layers are whole numbers says `quantization` besides, field by field.

A body with a head names both: {"family": "headed", "shape": {"body": {"family": .., "shape": ..}, "head": {..}}}.

A field that a newer assay has and an older directory lacks takes its default; one that this assay does not know is
refused, since what it changes cannot be guessed.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from assay.errors import InputError
from assay.models.build import ModelConfig
from assay.models.convolution import ConvolutionConfig
from assay.models.decoder import DecoderConfig
from assay.models.encoder import EncoderConfig
from assay.models.heads import BodyConfig, HeadConfig, HeadedConfig
from assay.models.quantized import Quantization
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig

MODEL_TYPE, FORMAT = "assay", 1  # the format is raised when a directory of the same fields would mean another model
FAMILIES: dict[str, type[ModelConfig] | type[BodyConfig]] = {
    "decoder": DecoderConfig, "encoder": EncoderConfig, "seq2seq": Seq2SeqConfig, "recurrent": RecurrentConfig,
    "convolution": ConvolutionConfig,
}  # fmt: skip
HEADED = "headed"


def write(config: ModelConfig, kept: Quantization | None = None) -> dict[str, Any]:
    """config.json."""
    quantized = {} if kept is None else {"quantization": asdict(kept)}
    return {"model_type": MODEL_TYPE, "format": FORMAT, **_stated(config), **quantized}


def _stated(config: ModelConfig | BodyConfig) -> dict[str, Any]:
    if isinstance(config, HeadedConfig):
        return {"family": HEADED, "shape": {"body": _stated(config.body), "head": asdict(config.head)}}
    family = next(name for name, kind in FAMILIES.items() if type(config) is kind)
    return {"family": family, "shape": asdict(config)}


def read(stated: dict[str, Any]) -> ModelConfig:
    """The config of a directory.

    Raises:
        InputError: another format, an unknown family or key, a key that is missing, or a value of another kind.
    """
    if stated.get("format") != FORMAT:
        raise InputError(
            f"is of format {stated.get('format')!r}, and this assay reads {FORMAT}",
            remedy="use the assay that wrote it",
        )
    if stated.get("family") == HEADED:
        shape = stated.get("shape")
        if not isinstance(shape, dict) or not all(isinstance(shape.get(part), dict) for part in ("body", "head")):
            raise InputError("has no body with a head", remedy="give a whole config.json")
        return HeadedConfig(_shaped(shape["body"], "shape.body.shape"), _valid(HeadConfig, shape["head"], "shape.head"))
    found: ModelConfig = _shaped(stated, "shape")
    if isinstance(found, ConvolutionConfig):
        raise InputError("convolutions are the body of a head, and here is none", remedy="give a whole config.json")
    return found


def quantization(stated: dict[str, Any]) -> Quantization | None:
    """How the layers of a directory's model are kept; None: as floating-point numbers.

    Raises:
        InputError: as `read`.
    """
    if (found := stated.get("quantization")) is None:
        return None
    if not isinstance(found, dict):
        raise InputError("quantization is no object", remedy="give a whole config.json")
    kept: Quantization = _valid(Quantization, found, "quantization")
    return kept


def _shaped(stated: dict[str, Any], place: str) -> Any:
    """The config of one family."""
    kind = FAMILIES.get(str(stated.get("family")))
    if kind is None:
        raise InputError(
            f"the family {stated.get('family')!r} is not known",
            remedy=f"known: {', '.join(sorted([*FAMILIES, HEADED]))}",
        )
    shape = stated.get("shape")
    if not isinstance(shape, dict):
        raise InputError(f"has no {place}", remedy="give a whole config.json")
    return _valid(kind, shape, place)


def _valid(kind: type[Any], shape: dict[str, Any], place: str) -> Any:
    _check_keys(shape, kind, place)
    try:
        return TypeAdapter[Any](kind).validate_json(json.dumps(shape), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([place, *map(str, first["loc"])])
        what = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {what}", remedy="give the config that these weights are of") from error


def _check_keys(found: dict[str, Any], kind: type[Any], place: str) -> None:
    """Field by field, in what is nested, too."""
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(found.keys() - known.keys()):
        raise InputError(
            f"{place}.{unknown[0]} is not known to this assay", remedy="use the assay that wrote it, or a newer one"
        )
    required = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - found.keys()):
        raise InputError(f"lacks {place}.{missing[0]}", remedy="give a whole config.json")
    for name, hint in get_type_hints(kind).items():
        nested = next((t for t in (hint, *get_args(hint)) if is_dataclass(t)), None)
        if isinstance(nested, type) and isinstance(found.get(name), dict):
            _check_keys(found[name], nested, f"{place}.{name}")
