"""Pickled weights (`.bin`, `.pt`) -> safetensors: the one place that opens a pickle, by explicit command alone.

    pytorch_model.bin --torch.load(weights_only=True)--> tensors --> model.safetensors, other files copied

PyTorch's unpickler for weights builds tensors and plain containers and refuses every other name that a pickle asks
for, so what a file would run is not run. What it refuses is refused here, too.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assay.errors import InputError
from assay.models.interop.files import CONFIG, INDEX, PICKLED, WEIGHTS, make_folder, shards, write_bytes, write_tensors

WHOLE, PARTS = "pytorch_model.bin", "pytorch_model.bin.index.json"
COPIED = (".json", ".txt", ".md", ".model", ".spm", ".jinja")
NO_WEIGHTS = ("training_args", "optimizer", "scheduler", "rng_state", "scaler")  # what training leaves beside them
INSIDE = ("state_dict", "model_state_dict", "model", "module")  # where checkpoints keep them


@dataclass(frozen=True)
class Converted:
    """What was written."""

    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    files: tuple[str, ...]


def convert_pickled(source: Path, out: Path) -> Converted:
    """Write the weights of a pickled file, or of a model directory that holds some, as `out/model.safetensors`.

    Args:
        source: a file, or a folder whose other files (config, tokenizer, model card) are copied.

    Raises:
        InputError: there are no pickled weights, there are several, they are damaged, or the file holds more than
            tensors. Nothing was written, and nothing that the file asks for was run.
    """
    source, out = Path(source), Path(out)
    tensors = {name: tensor for file in _files(source) for name, tensor in _load(file).items()}
    if not tensors:
        raise InputError("holds no tensors", where=source, remedy="give a file of weights")
    beside = [source / name for name in _beside(source)] if source.is_dir() else []
    make_folder(out)
    write_tensors(out / WEIGHTS, tensors)
    if out.resolve() != source.resolve():
        for file in beside:  # the config is the last
            write_bytes(out / file.name, file.read_bytes())
    return Converted(
        len(tensors),
        sum(tensor.numel() for tensor in tensors.values()),
        tuple(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})),
        tuple(sorted([WEIGHTS, *(file.name for file in beside)])),
    )


def _files(source: Path) -> list[Path]:
    """Where the weights are."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError("is no file and no folder", where=source, remedy="name a model directory or a file of weights")
    if (source / WEIGHTS).exists() or (source / INDEX).exists():
        raise InputError("has its weights as safetensors already", where=source, remedy="use it as it is")
    if (source / WHOLE).exists():
        return [source / WHOLE]
    if (source / PARTS).exists():
        return shards(source / PARTS)
    found = sorted(p for p in source.iterdir() if p.suffix in PICKLED and not p.name.startswith(NO_WEIGHTS))
    if len(found) != 1:
        said = "has no pickled weights" if not found else f"has several files of weights: {found[0].name}, ..."
        raise InputError(said, where=source, remedy="name the file")
    return found


def _beside(source: Path) -> list[str]:
    """The other files of a model directory, the config last."""
    names = sorted(p.name for p in source.iterdir() if p.is_file() and p.suffix in COPIED and p.name != PARTS)
    return [name for name in names if not name.startswith(".") and name != CONFIG] + [n for n in names if n == CONFIG]


def _load(file: Path) -> dict[str, Tensor]:
    with file.open("rb") as opened:
        head = opened.read(2)
    if not head.startswith((b"PK", b"\x80")):  # an archive as PyTorch writes it, or a pickle
        said = "is empty" if not head else "is no file of PyTorch's weights"
        raise InputError(said, where=file, remedy="name a .bin or .pt file that torch.save wrote, or fetch it again")
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that are not PyTorch's own
            found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle fails in any way that it likes
        raise InputError(
            f"is not weights alone ({_in_short(error)}); nothing of it was run",
            where=file, remedy="ask whoever made it for safetensors",
        ) from error  # fmt: skip
    if not isinstance(found, Mapping):
        raise InputError(f"holds a {type(found).__name__} and no named tensors", where=file, remedy="save a state_dict")
    inside = next((found[key] for key in INSIDE if isinstance(found.get(key), Mapping)), found)
    tensors: dict[str, Tensor] = {}
    for name, value in inside.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"holds {name!r}, which is a {type(value).__name__} and no tensor", where=file,
                remedy="save the state_dict of the model alone",
            )  # fmt: skip
        if value.layout is not torch.strided or value.is_quantized:
            raise InputError(f"{name} is sparse or quantized", where=file, remedy="save plain tensors")
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)  # tied ones share memory
    return tensors


def _in_short(error: Exception) -> str:
    """PyTorch's messages are paragraphs, with advice to load the file unsafely."""
    text = str(error)
    if asked := re.search(r"GLOBAL ([\w.]+)", text):
        return f"it asks for {asked.group(1)}"
    if "PytorchStreamReader" in text:
        return "it is damaged or cut off"
    said = text.rpartition("WeightsUnpickler error:")[2].strip() or type(error).__name__
    return re.split(r"\.\s|\n", said)[0]
