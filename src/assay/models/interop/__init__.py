"""Models from and to Hugging Face's model directories: config.json, model.safetensors, tokenizer.json.

    model = load(folder)            any family below, told by config.json
    save(model, folder)             the family that its config has the shape of

No pickle is read here: a directory with a `.bin` alone is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from assay.errors import InputError
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder
from assay.models.interop import decoders, encoders, seq2seq
from assay.models.interop.names import Same, to_ours, to_theirs
from assay.models.seq2seq import Seq2Seq

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"


@dataclass(frozen=True)
class Family:
    """How one family of models is read and written.

    Attributes:
        prefix: that tensors may lack where the bare model was saved without its head.
        ignored: endings of tensors that hold nothing learned.
    """

    build: type[Decoder] | type[Encoder] | type[Seq2Seq]
    read: Callable[[dict[str, Any], Collection[str]], Any]
    write: Callable[[Any], dict[str, Any]]
    names: Callable[[Any], list[Same]]
    prefix: str
    ignored: tuple[str, ...] = ()


_GPT2 = Family(
    Decoder, decoders.read_gpt2, decoders.write_gpt2, decoders.names_gpt2, "transformer.",
    (".attn.bias", ".attn.masked_bias", "lm_head.weight"),
)  # fmt: skip
_LLAMA = Family(
    Decoder, decoders.read_llama, decoders.write_llama, decoders.names_llama, "model.",
    ("rotary_emb.inv_freq", "lm_head.weight"),
)  # fmt: skip
_BERT, _ROBERTA = (
    Family(Encoder, encoders.read_bert, encoders.write_bert, encoders.names_bert, prefix, ignored)
    for prefix, ignored in (
        ("bert.", ("position_ids", "predictions.decoder.weight", "predictions.decoder.bias", "seq_relationship.weight",
                   "seq_relationship.bias")),
        ("roberta.", ("position_ids", "lm_head.decoder.weight", "lm_head.decoder.bias")),
    )
)  # fmt: skip
_BART = Family(
    Seq2Seq, seq2seq.read_bart, seq2seq.write_bart, seq2seq.names_bart, "model.",
    ("embed_tokens.weight", "embed_positions.weight", "lm_head.weight"),
)  # fmt: skip
_T5 = Family(
    Seq2Seq, seq2seq.read_t5, seq2seq.write_t5, seq2seq.names_t5, "", ("embed_tokens.weight", "lm_head.weight")
)  # fmt: skip
FAMILIES: dict[str, Family] = {
    "gpt2": _GPT2, "llama": _LLAMA, "qwen2": _LLAMA, "qwen3": _LLAMA, "bert": _BERT, "roberta": _ROBERTA,
    "bart": _BART, "marian": _BART, "t5": _T5,
}  # fmt: skip


def load(folder: Path) -> nn.Module:
    """The model of a directory, in float32, in evaluation mode.

    Raises:
        InputError: it is no model directory, of no known family, or its tensors do not fit its config.
    """
    folder = Path(folder)
    stated = read_config(folder)
    kind = stated.get("model_type")
    family = FAMILIES.get(str(kind))
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise InputError(f"models of type {kind!r} are not known", where=folder / CONFIG, remedy=f"known: {known}")
    try:
        found = _tensors(folder)
        config = family.read(stated, found.keys())
        names = family.names(config)
        wanted = {name for pair in names for name in pair.theirs}
        state = to_ours(_prefixed(found, wanted, family.prefix), names, family.ignored)
    except InputError as error:
        raise InputError(error.what, where=error.where or folder, remedy=error.remedy) from error
    except KeyError as error:
        raise InputError(f"lacks {error}", where=folder / CONFIG, remedy="give a whole config.json") from error
    model = family.build(config, None)
    for name, parameter in model.named_parameters():
        if state[name].shape != parameter.shape:
            shapes = f"{tuple(state[name].shape)} instead of {tuple(parameter.shape)}"
            raise InputError(f"{name} is {shapes}", where=folder, remedy="give the config that these weights are of")
        parameter.data.copy_(state[name])
    return model.eval()


def save(model: nn.Module, folder: Path) -> None:
    """Write config.json and model.safetensors (float32 or whatever the model is in) for the family of its shape.

    Each file takes its name once it is whole, and the config, without which a directory is no model, is the last.

    Raises:
        InputError: no family has the model's shape.
    """
    config: Any = model.config
    family = next((f for f in FAMILIES.values() if isinstance(model, f.build) and _fits(f, config)), None)
    if family is None:
        raise InputError("this model has the shape of no known family", remedy="train one of the preset `standard`")
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tensors = to_theirs(state, family.names(config))
    part = folder / f".{WEIGHTS}.part"
    save_file(tensors, part, metadata={"format": "pt"})
    part.replace(folder / WEIGHTS)
    stated = family.write(config) | {"dtype": str(next(iter(state.values())).dtype).removeprefix("torch.")}
    part = folder / f".{CONFIG}.part"
    part.write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")
    part.replace(folder / CONFIG)


def _fits(family: Family, config: Any) -> bool:
    """Whether a config survives being written and read: then nothing of it is lost (how weights began, aside)."""
    theirs = [name for pair in family.names(config) for name in pair.theirs]
    try:
        back = family.read(family.write(config), theirs)
    except InputError:
        return False
    return {**asdict(back), "init": None} == {**asdict(config), "init": None}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model directory."""
    path = folder / CONFIG
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("is no model directory: it has no config.json", where=folder, remedy="name one") from None
    except ValueError as error:
        raise InputError(f"is no JSON ({error})", where=path, remedy="give a whole model directory") from error
    if not isinstance(stated, dict):
        raise InputError("is no JSON object", where=path, remedy="give a whole model directory")
    return stated


def _tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a directory, whole or sharded."""
    if (folder / WEIGHTS).exists():
        return _read(folder / WEIGHTS)
    if (folder / INDEX).exists():
        shards = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        if any(Path(shard).name != shard for shard in shards):
            raise InputError("names shards outside of its folder", where=folder / INDEX, remedy="do not trust it")
        return {name: tensor for shard in shards for name, tensor in _read(folder / shard).items()}
    pickled = sorted(p.name for p in folder.glob("*.bin"))
    if pickled:
        raise InputError(
            f"holds its weights as pickle ({pickled[0]}), which can run code and is never read",
            where=folder, remedy="convert it to model.safetensors in a place that you trust",
        )  # fmt: skip
    raise InputError("has no model.safetensors", where=folder, remedy="give a whole model directory")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error
    except Exception as error:  # safetensors raises a type of its own
        if type(error).__name__ != "SafetensorError":
            raise
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"cannot be read as safetensors ({error})", where=path, remedy="fetch it again")


def _prefixed(found: dict[str, Tensor], wanted: set[str], prefix: str) -> dict[str, Tensor]:
    """Tensors under the names of the model with its head."""
    if any(name.startswith(prefix) for name in found):
        return found
    return {prefix + name if prefix + name in wanted else name: tensor for name, tensor in found.items()}
