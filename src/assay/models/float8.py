"""Linear layers whose three products are made in 8-bit floating point, for GPUs that have units for it.

Each matrix is scaled so that its largest number is the largest of the format: weights and activations in E4M3, whose
mantissa is longer, gradients in E5M2, whose range is wider (Micikevicius et al. 2022); scales are those of the very
numbers at hand ("dynamic", one a tensor). What comes out is in the type that went in, bfloat16 as a rule.

`convert` changes the linear layers within blocks, which keep their weights and their names; heads, embeddings, norms
and attention stay as they are. A layer whose sizes are no multiples of 16, which the units ask for, stays, too.

Shapes: N rows, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from assay.models.blocks import Block

MULTIPLE = 16  # of every size of a product
LEAST_CAPABILITY = (8, 9)  # Ada; Hopper is 9.0


def is_here(device: str) -> bool:
    """Whether a device has units for 8-bit floating point."""
    return device.startswith("cuda") and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def scaled(x: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """x in 8 bits, and the float32 factor, a tensor of one number, that gives it back."""
    most = torch.finfo(kind).max
    factor = x.abs().amax().float().clamp_min(torch.finfo(torch.float32).tiny * most) / most
    return (x.float() / factor).clamp(-most, most).to(kind), factor


def _columns(x: Tensor) -> Tensor:
    """The same matrix, its columns in memory one after another, as the second of a product has to be."""
    return x.t().contiguous().t()


def _product(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], out: torch.dtype, *, fast: bool) -> Tensor:
    """a b of two scaled matrices, b by columns."""
    return torch._scaled_mm(a[0], b[0], scale_a=a[1], scale_b=b[1], out_dtype=out, use_fast_accum=fast)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, w_OI: Tensor) -> Tensor:
        (x, by_x), (w, by_w) = scaled(x_NI, torch.float8_e4m3fn), scaled(w_OI, torch.float8_e4m3fn)
        ctx.save_for_backward(x, by_x, w, by_w)
        return _product((x, by_x), (w.t(), by_w), x_NI.dtype, fast=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor, Tensor]:
        x, by_x, w, by_w = ctx.saved_tensors
        g, by_g = scaled(grad_NO, torch.float8_e5m2)
        # Sums of gradients are not cut short in the accumulator ("fast"): their errors would add up over the run.
        dx = _product((g, by_g), (_columns(w), by_w), grad_NO.dtype, fast=False)
        dw = _product((g.t().contiguous(), by_g), (_columns(x), by_x), grad_NO.dtype, fast=False)
        return dx, dw


class Float8Linear(nn.Linear):
    """A linear layer with products in 8 bits; rows that are no multiple of 16 are multiplied as ever."""

    def forward(self, x: Tensor) -> Tensor:
        x_NI = x.flatten(0, -2)
        if len(x_NI) % MULTIPLE:
            return functional.linear(x, self.weight, self.bias)
        y_NO = _Linear.apply(x_NI, self.weight)
        y = y_NO.view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


def convert(model: nn.Module) -> int:
    """Change the linear layers of a model's blocks, in place; returns how many."""
    changed = 0
    for block in (module for module in model.modules() if isinstance(module, Block)):
        block.fusable = False  # the hand-written way multiplies by itself
        for layer in block.modules():
            if type(layer) is nn.Linear and not (layer.in_features % MULTIPLE or layer.out_features % MULTIPLE):
                layer.__class__ = Float8Linear
                changed += 1
    return changed
