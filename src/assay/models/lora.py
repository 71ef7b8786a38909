"""Low-rank adapters (LoRA, Hu et al. 2022; DoRA, Liu et al. 2024): a matrix stays, and a product of two thin ones is
learned that is added to it.

    adapt(model, config)     every chosen layer computes with W + alpha / rank * up @ down
    merged(model)            the model as it was, with the sums as its weights: what it computes stays the same, exactly

An adapter is a parametrization of the layer's weight, so whoever reads the weight, fused kernels too, reads the sum,
and no model knows of adapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from assay.errors import InputError
from assay.models.ranges import Count, Positive

ORIGINAL, _LENGTHS = ".parametrizations.weight.original", ".parametrizations.weight.0.lengths"
_LEAST = 1e-12  # norm of a row that has a direction


@dataclass(frozen=True)
class LoraConfig:
    """The adapters.

    Attributes:
        rank: of the product.
        alpha: it is multiplied by alpha / rank, so that the rank can be changed alone.
        targets: patterns of the names of layers.
        dora: rows keep a length of their own, which is learned, and the product turns them.
    """

    rank: Count = 8
    alpha: Positive = 16.0
    targets: tuple[str, ...] = ("*",)
    dora: bool = False


class Adapter(nn.Module):
    """The sum of a matrix (O, I) and a product of rank R."""

    def __init__(self, weight_OI: Tensor, config: LoraConfig, generator: torch.Generator | None) -> None:
        super().__init__()
        outputs, inputs = weight_OI.shape
        self.scale = config.alpha / config.rank
        down = torch.empty(config.rank, inputs, device=weight_OI.device)
        if generator is not None:
            bound = inputs**-0.5
            down = ((torch.rand(down.shape, generator=generator) * 2 - 1) * bound).to(weight_OI.device)
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(torch.zeros(outputs, config.rank, device=weight_OI.device))
        self.lengths = nn.Parameter(weight_OI.detach().norm(dim=1).clone()) if config.dora else None

    def forward(self, weight_OI: Tensor) -> Tensor:
        found = torch.addmm(weight_OI, self.up, self.down, alpha=self.scale)
        if self.lengths is None:
            return found
        # The norm is taken for a constant in the gradient, as its authors do (section 4.3).
        return found * (self.lengths / found.norm(dim=1).clamp_min(_LEAST).detach())[:, None]


def adapt(model: nn.Module, config: LoraConfig, generator: torch.Generator | None) -> None:
    """Give every chosen layer of blocks an adapter; all that was there before stays as it is, without a gradient, but
    for heads on a body.

    Args:
        generator: None: the adapters' numbers are about to be loaded.

    Raises:
        InputError: no layer has such a name.
    """
    layers = list(_layers(model))
    chosen = [(name, layer) for name, layer in layers if any(fnmatchcase(name, one) for one in config.targets)]
    if not chosen:
        there = ", ".join(name for name, _ in layers[:4]) or "none: it has no blocks"
        raise InputError(
            f"no layer is called {' or '.join(config.targets)}", where="tune.lora", remedy=f"its layers: {there}"
        )
    for name, parameter in model.named_parameters():
        if name.startswith("body.") or not hasattr(model, "body"):
            parameter.requires_grad_(False)
    for _, layer in chosen:
        parametrize.register_parametrization(layer, "weight", Adapter(layer.weight, config, generator), unsafe=True)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and ".blocks." in f".{name}":
            yield name, layer


def own_name(name: str) -> str:
    """Where the parameter of a plain model stands in an adapted one, if its layer has an adapter."""
    return name.removesuffix(".weight") + ORIGINAL


@torch.no_grad()
def begun(parameters: Mapping[str, Tensor]) -> None:
    """Adapters begin at the weights that their layers have now: lengths of rows are theirs."""
    for name, tensor in parameters.items():
        if name.endswith(_LENGTHS):
            tensor.copy_(parameters[name.removesuffix(_LENGTHS) + ORIGINAL].norm(dim=1))


def merged(model: nn.Module) -> nn.Module:
    """The model with sums for weights and no adapters left."""
    for _, layer in _layers(model):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model
