"""The three matrix products of a linear layer y = x W^T, in the faster of the libraries that PyTorch carries.

    linear            x W^T           forward
    input_gradient    g W             backward, to the layer's input
    weight_gradient   g^T x           backward, to its weight

On x86 PyTorch multiplies float32 matrices with MKL, which runs its AVX2 kernels on processors that are not Intel's:
half of the speed where there are AVX-512 units. There the products go to oneDNN, which PyTorch carries as well and
which asks for units, not for makers (2.2 to 2.4 times as fast on a Zen 5 core, to the same last digits: LAB_NOTES).
All else (other types, other devices, Intel's processors) is `torch.mm`, which finds the right library by itself. The
choice is the machine's and never a measurement's, so that all workers of a fleet make the same one.

Shapes: N rows, I inputs, O outputs.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch
from torch import Tensor


@cache
def prefers_onednn() -> bool:
    """Whether float32 products on this machine's CPU go to oneDNN."""
    return (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and "GenuineIntel" not in _maker()
    )


def _maker() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("vendor_id")), "")


def _by_onednn(x: Tensor) -> bool:
    return x.dtype is torch.float32 and x.device.type == "cpu" and prefers_onednn()


def _onednn(x_NI: Tensor, w_OI: Tensor, plus_NO: Tensor | None = None) -> Tensor:
    """x W^T (+ plus); any strides. The operators are those that torch.compile puts into its code for CPUs."""
    if plus_NO is None:
        return torch.ops.mkldnn._linear_pointwise(x_NI, w_OI, None, "none", [], "")
    return torch.ops.mkldnn._linear_pointwise.binary(x_NI, plus_NO, w_OI, None, "add")


def linear(x_NI: Tensor, w_OI: Tensor, plus_NO: Tensor | None = None, times: float = 1.0) -> Tensor:
    """times * x W^T (+ plus, where times is 1): (N, O). Of lower types the factor comes before the rounding."""
    if times != 1.0:
        if x_NI.dtype.itemsize < 4:
            return torch.addmm(x_NI.new_zeros(()), x_NI, w_OI.t(), beta=0, alpha=times)
        x_NI = x_NI * times
    if _by_onednn(x_NI):
        return _onednn(x_NI, w_OI, plus_NO)
    return torch.mm(x_NI, w_OI.t()) if plus_NO is None else torch.addmm(plus_NO, x_NI, w_OI.t())


def input_gradient(g_NO: Tensor, w_OI: Tensor) -> Tensor:
    """g W: (N, I)."""
    return _onednn(g_NO, w_OI.t()) if _by_onednn(g_NO) else torch.mm(g_NO, w_OI)


def weight_gradient(g_NO: Tensor, x_NI: Tensor, plus_OI: Tensor | None = None) -> Tensor:
    """g^T x (+ plus, which is given up: it may be overwritten): (O, I), its strides as the library left them."""
    if not _by_onednn(g_NO):
        return torch.mm(g_NO.t(), x_NI) if plus_OI is None else plus_OI.addmm_(g_NO.t(), x_NI)
    # oneDNN copies its first argument where that is transposed: let it be the smaller one.
    if g_NO.shape[1] > x_NI.shape[1]:
        return _onednn(x_NI.t(), g_NO.t(), None if plus_OI is None else plus_OI.t()).t()
    return _onednn(g_NO.t(), x_NI.t(), plus_OI)
