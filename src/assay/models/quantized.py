"""Linear layers that keep whole numbers for weights, in place of those of a model's blocks.

    Int8Linear   w = scale * q, a scale an output; inputs are made whole numbers, too, and sums of products are exact
                 dynamic: by the largest number of each row, so a row's answer does not depend on its batch
                 static: by a scale and a zero that were found before, on calibration text
    Int4Linear   w = scale * (q - zero), both of a group of inputs, two numbers a byte; inputs stay as they are

The sums of 8-bit layers go to `torch._int_mm`, four to ten times as fast as float32 on CPUs with VNNI; a machine on
which that is not exact is told by a trial, and multiplies in floating point. A 4-bit layer is unpacked where it is
asked, one at a time: it saves memory and no time. PyTorch's own kernel for it (`_weight_int4pack_mm_for_cpu`) computes
in bfloat16, or a hundred times slower.

`convert` gives a model such layers, still empty; `interop` writes and reads them: config.json says `quantization`.
Embeddings, norms, heads, and recurrent cells and convolutions, which are no linear layers, stay as they are.

Shapes: N rows, I inputs, O outputs, G groups of g inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.errors import InputError
from assay.models.blocks import Block
from assay.models.build import Neural, build
from assay.models.heads import HeadedConfig

Group = Literal[32, 64, 128]
MOST = {8: 127, 4: 15}
"""The largest number of so many bits: of -127 .. 127, and of 0 .. 15."""


@dataclass(frozen=True)
class Quantization:
    """How the linear layers of a model's blocks are kept.

    Attributes:
        inputs: what a layer makes of its inputs.
        group: inputs that share a scale and a zero (4 bits).
        balanced: inputs are multiplied by a number each, which the weights were divided by (AWQ).
        method: how the numbers were found, for people.
    """

    bits: Literal[4, 8]
    inputs: Literal["float", "dynamic", "static"]
    group: Group | None = None
    balanced: bool = False
    method: Literal["rtn", "gptq", "awq"] = "rtn"

    def __post_init__(self) -> None:
        if (self.bits == 4) != (self.group is not None) or (self.bits == 4) != (self.inputs == "float"):
            raise ValueError("4 bits have groups and inputs as they are, 8 bits neither")


class Int8Linear(nn.Module):
    """See the module. Of static inputs `bias` holds what their zero adds, too."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool, static: bool) -> None:
        super().__init__()
        self.weight: Tensor
        self.scale: Tensor
        self.register_buffer("weight", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(outputs))
        self.bias: Tensor | None
        self.input_scale: Tensor | None
        self.input_zero: Tensor | None
        self.register_buffer("bias", torch.zeros(outputs) if bias or static else None)
        self.register_buffer("input_scale", torch.ones(()) if static else None)
        self.register_buffer("input_zero", torch.zeros(()) if static else None)

    def forward(self, x: Tensor) -> Tensor:
        x_NI = x.flatten(0, -2).float()
        if self.input_scale is None or self.input_zero is None:
            by_N1 = x_NI.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / MOST[8]
            y_NO = product((x_NI / by_N1).round_().to(torch.int8), self.weight).mul_(by_N1).mul_(self.scale)
        else:
            whole_NI = (x_NI / self.input_scale + self.input_zero).round_().clamp_(-128, 127).to(torch.int8)
            y_NO = product(whole_NI, self.weight).mul_(self.input_scale * self.scale)
        if self.bias is not None:
            y_NO += self.bias
        return y_NO.view(*x.shape[:-1], len(self.weight)).to(x.dtype)

    def dense(self) -> Tensor:
        """(O, I) the weights as numbers."""
        return self.weight * self.scale[:, None]


class Int4Linear(nn.Module):
    """See the module. The last group can be a part of one."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool, group: int, balanced: bool) -> None:
        super().__init__()
        self.inputs, self.group = inputs, group
        groups = -(-inputs // group)
        self.weight: Tensor
        self.scale: Tensor
        self.zero: Tensor
        self.register_buffer("weight", torch.zeros(outputs, groups * group // 2, dtype=torch.uint8))
        self.register_buffer("scale", torch.zeros(outputs, groups, dtype=torch.float16))
        self.register_buffer("zero", torch.zeros(outputs, groups, dtype=torch.uint8))
        self.bias: Tensor | None
        self.balance: Tensor | None
        self.register_buffer("bias", torch.zeros(outputs) if bias else None)
        self.register_buffer("balance", torch.ones(inputs) if balanced else None)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.balance is None else x * self.balance
        return functional.linear(x, self.unpacked().to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))

    def unpacked(self) -> Tensor:
        """(O, I) the weights as numbers, before what balances inputs."""
        both_OPH = torch.stack([self.weight & 15, self.weight >> 4], dim=-1)
        w_OGg = both_OPH.view(len(self.weight), -1, self.group).float()
        w_OGg = w_OGg.sub_(self.zero[:, :, None]).mul_(self.scale[:, :, None])
        return w_OGg.flatten(1)[:, : self.inputs]

    def dense(self) -> Tensor:
        """(O, I) the weights as numbers."""
        return self.unpacked() if self.balance is None else self.unpacked() * self.balance


def packed(q_OI: Tensor) -> Tensor:
    """(O, I / 2) uint8 of numbers 0 .. 15, an even number of them a row."""
    q_OI = q_OI.to(torch.uint8)
    return q_OI[:, 0::2] | (q_OI[:, 1::2] << 4)


def product(x_NI: Tensor, w_OI: Tensor) -> Tensor:
    """x W^T of int8 numbers: (N, O) float32."""
    if len(x_NI) and x_NI.device.type == "cpu" and _exact_here():
        return torch._int_mm(x_NI, w_OI.t()).float()
    return functional.linear(x_NI.float(), w_OI.float())


@cache
def _exact_here() -> bool:
    """Whether whole products are whole on this CPU: without VNNI, kernels may add pairs in 16 bits, which overflow."""
    x, w = (torch.full((16, 64), sign * 127, dtype=torch.int8) for sign in (-1, 1))
    try:
        return bool((torch._int_mm(x, w.t()) == -64 * 127 * 127).all())
    except (RuntimeError, NotImplementedError):
        return False


QuantizedLinear = Int8Linear | Int4Linear


def layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers of a model's blocks, by name."""
    for name, layer in model.named_modules():
        if type(layer) is nn.Linear and ".blocks." in f".{name}":
            yield name, layer


def some_layers(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The same.

    Raises:
        InputError: there are none.
    """
    found = list(layers(model))
    if not found:
        raise InputError(
            "has no blocks with linear layers: recurrent cells and convolutions stay as they are",
            remedy="give a decoder, an encoder or an encoder-decoder",
        )
    return found


def empty(layer: nn.Linear, q: Quantization) -> QuantizedLinear:
    """A layer of the same size, without numbers, where the layer is."""
    with layer.weight.device:
        bias = layer.bias is not None
        if q.group is not None:
            return Int4Linear(layer.in_features, layer.out_features, bias=bias, group=q.group, balanced=q.balanced)
        return Int8Linear(layer.in_features, layer.out_features, bias=bias, static=q.inputs == "static")


def put(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Have a layer stand at a place."""
    above, _, own = name.rpartition(".")
    setattr(model.get_submodule(above), own, layer)


def convert(model: nn.Module, q: Quantization) -> None:
    """Give a model empty layers, in place.

    Raises:
        InputError: it has no linear layers in blocks.
    """
    for name, layer in some_layers(model):
        put(model, name, empty(layer, q))
    mark(model, q)


def mark(model: nn.Module, q: Quantization) -> None:
    """Have a model whose layers were put in know what they are."""
    for block in model.modules():
        if isinstance(block, Block):
            block.fusable = False  # the hand-written way multiplies by itself
    model.__dict__["quantization"] = q


def of(model: nn.Module) -> Quantization | None:
    """How a model's layers are kept; None: as floating-point numbers."""
    found: Quantization | None = model.__dict__.get("quantization")
    return found


def refuse(model: nn.Module, where: str | Path) -> None:
    """For whoever wants floating-point weights: to train them, to change them, to hand them to another engine.

    Raises:
        InputError: the model has none.
    """
    if of(model) is not None:
        raise InputError(
            "is quantized, and what is wanted here are weights as floating-point numbers", where=where,
            remedy="give the model that it was made from",
        )  # fmt: skip


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """All that a model's file holds: parameters, and what quantized layers keep."""
    found: dict[str, Tensor] = dict(model.named_parameters())
    for name, layer in model.named_modules():
        if isinstance(layer, QuantizedLinear):
            found |= {f"{name}.{own}": buffer for own, buffer in layer.named_buffers()}
    return found


def filled(config: Any, q: Quantization, state: Mapping[str, Tensor]) -> Neural:
    """The model of these tensors, which become its own: no other copy of its weights is made on the way."""
    with torch.device("meta"):
        model = build(config, None)
        convert(model, q)
    computed = dict(build(_of_one_layer(config), None).named_buffers())  # tables of angles, which no file holds
    given = {id(tensor): _like(tensor, state[name]) for name, tensor in tensors(model).items()}
    for path, module in model.named_modules():
        for own, parameter in module._parameters.items():
            if parameter is not None:  # one that stands at two places stays one
                module._parameters[own] = given[id(parameter)]
        for own, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[own] = given.get(id(buffer), computed.get(f"{path}.{own}"))
    return model


def _like(empty: Tensor, tensor: Tensor) -> Tensor:
    return nn.Parameter(tensor.float()) if isinstance(empty, nn.Parameter) else tensor.to(empty.dtype)


def _of_one_layer(config: Any) -> Any:
    if isinstance(config, HeadedConfig):
        return replace(config, body=_of_one_layer(config.body))
    return replace(config, layers=(1, 1) if isinstance(config.layers, tuple) else 1)
