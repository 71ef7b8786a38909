"""Low-rank adapters (`models.lora`) in a directory of their own, apart from the base that they were learned on.

    adapter.json           {"format": 1, "rank": .., "alpha": .., "targets": [..], "dora": .., "base": .., "digest": ..}
    adapter.safetensors    `up` and `down` (and `lengths`) of each layer, by the name of the layer

`digest` is that of the base's weights, so that an adapter is never added to what it was not learned on.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from assay.errors import InputError
from assay.models.interop.files import WEIGHTS, make_folder, read_json, write_json, write_tensors
from assay.models.lora import Adapter as Sum
from assay.models.lora import LoraConfig

STATED, TENSORS, FORMAT = "adapter.json", "adapter.safetensors", 1
_PART = ".parametrizations.weight.0."


@dataclass(frozen=True)
class Adapter:
    """An adapter that was read.

    Attributes:
        base_name: of the directory that it was learned on; digest: of its weights.
        tensors: layer -> its parts, by name.
    """

    config: LoraConfig
    base_name: str
    digest: str
    tensors: Mapping[str, Mapping[str, Tensor]]

    def is_of(self, folder: Path) -> bool:
        """Whether it was learned on the weights of a directory."""
        return self.digest == digest_of(folder / WEIGHTS)

    def on(self, model: nn.Module, where: Path) -> nn.Module:
        """A model with the adapter's sums for weights; all other parameters are those of the given one, not copies.

        Raises:
            InputError: a layer of the adapter is none of the model's, or has another shape.
        """
        parameters = {id(p): p for p in model.parameters()}
        made = copy.deepcopy(model, dict(parameters))  # what is in the memo is shared
        for name, parts in self.tensors.items():
            try:
                layer = made.get_submodule(name)
                assert isinstance(layer, nn.Linear)
                own = Sum(layer.weight.detach(), self.config, None)
                own.load_state_dict(dict(parts))
            except (AttributeError, AssertionError, RuntimeError) as error:
                what = f"does not fit the layer {name} of its base"
                raise InputError(what, where=where, remedy="learn it again on this base") from error
            with torch.no_grad():
                layer.weight = nn.Parameter(own.to(layer.weight.device)(layer.weight), requires_grad=False)
        return made


def is_adapter(folder: Path) -> bool:
    return (folder / STATED).is_file()


def parts_of(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Layer -> the parts of its adapter, of the parameters of an adapted model."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        layer, is_part, part = name.partition(_PART)
        if is_part:
            found.setdefault(layer, {})[part] = tensor
    return found


def write(folder: Path, config: LoraConfig, parts: Mapping[str, Mapping[str, Tensor]], base: Path) -> None:
    """An adapter's directory.

    Args:
        base: the directory that it was learned on.
    """
    make_folder(folder)
    (folder / STATED).unlink(missing_ok=True)
    tensors = {
        f"{layer}.{part}": t.detach().cpu().contiguous() for layer, own in parts.items() for part, t in own.items()
    }
    write_tensors(folder / TENSORS, tensors)
    stated: dict[str, Any] = {
        "format": FORMAT,
        **asdict(config),
        "base": base.name,
        "digest": digest_of(base / WEIGHTS),
    }
    write_json(folder / STATED, stated)


def read(folder: Path) -> Adapter:
    """The adapter of a directory.

    Raises:
        InputError: it is damaged, or of another format.
    """
    stated = dict(read_json(folder / STATED))
    where, remedy = folder / STATED, "learn it again"
    if stated.pop("format", None) != FORMAT:
        raise InputError(f"is of another format than {FORMAT}", where=where, remedy="use the assay that wrote it")
    try:
        base, digest = str(stated.pop("base")), str(stated.pop("digest"))
        config = TypeAdapter(LoraConfig).validate_python({**stated, "targets": tuple(stated["targets"])})
        found = load_file(folder / TENSORS)
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError("is not whole", where=where, remedy=remedy) from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot be read ({error})", where=folder / TENSORS, remedy=remedy) from error
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in found.items():
        layer, _, part = name.rpartition(".")
        tensors.setdefault(layer, {})[part] = tensor
    return Adapter(config, base, digest, tensors)


def digest_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, remedy="give a whole directory") from error
