"""Which weights of a model are trained on, and how fast: for models that begin with others' weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn

from assay.errors import InputError
from assay.models import lora
from assay.models.lora import LoraConfig
from assay.models.protocol import Role

_LAYER = re.compile(r"(?:^|\.)(?:blocks|layers)\.(\d+)\.")


@dataclass(frozen=True)
class Tuning:
    """See the module.

    Attributes:
        frozen: patterns of the names of parameters that stay as they are, such as `body.*`.
        layer_decay: what the rates of a layer are multiplied by for each layer above it, and once more for embeddings;
            heads and what stands behind the last layer have the whole rates (Clark et al. 2020).
        lora: adapters, which are trained in place of what they are added to.
        sparse: numbers of matrices that are 0 in the weights that a run begins with stay 0.
    """

    frozen: tuple[str, ...] = ()
    layer_decay: float = 1.0
    lora: LoraConfig | None = None
    sparse: bool = False

    def apply(self, model: nn.Module, seed: int) -> None:
        """Take the gradient from what stays, and add adapters.

        Raises:
            InputError: a pattern names nothing, or nothing is left to be trained.
        """
        if self.lora is not None:
            lora.adapt(model, self.lora, torch.Generator().manual_seed(seed))
        names = [name for name, _ in model.named_parameters()]
        for pattern in self.frozen:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise InputError(
                    f"{pattern!r} is the name of no parameter", where="tune.frozen", remedy=f"such as {names[0]}"
                )
        for name, parameter in model.named_parameters():
            if any(fnmatchcase(name, pattern) for pattern in self.frozen):
                parameter.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise InputError("nothing is left to be trained", where="tune.frozen", remedy="freeze less")

    def factors(self, names: Sequence[str], roles: Mapping[str, Role]) -> dict[str, float]:
        """What the rate of each parameter is multiplied by; those that are not named have the whole rate."""
        if self.layer_decay == 1.0:
            return {}
        layers = {name: int(found[1]) for name in names if (found := _LAYER.search(name))}
        top = max(layers.values(), default=-1) + 1
        tables = {name: -1 for name in names if roles[name] == "embedding" and name not in layers}
        return {name: self.layer_decay ** (top - layer) for name, layer in (layers | tables).items()}


ALL_ALIKE = Tuning()
