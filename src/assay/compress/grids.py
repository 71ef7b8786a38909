"""A matrix -> whole numbers with scales: the arithmetic of quantization, which knows no models.

    rows_of_8, groups_of_4      round to nearest
    gptq                        each column in turn; what rounding it did wrong is made good by the columns behind it
    balanced                    inputs that carry much are multiplied up before rounding, by powers of how much they do
    fixed                       a scale and a zero for inputs, such that the least is lost of what was seen

Shapes: O outputs, I inputs, G groups of g inputs; H = X^T X of the inputs that were seen, (I, I).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from assay.models.quantized import MOST

DAMPING = 0.01  # of the mean of H's diagonal, added to it (Frantar et al. 2023, section 3.3)
POWERS = torch.arange(20) / 20  # of the mean size of an input (Lin et al. 2024, equation 5)
SHRUNK = torch.linspace(1.0, 0.2, 41).tolist()  # shares of the widest range
_LEAST = float(torch.tensor(1, dtype=torch.int16).view(torch.float16))  # the smallest float16 above 0


@dataclass(frozen=True)
class Grouped:
    """A matrix in 4 bits: `q` (O, I) whole numbers 0 .. 15, `scale` (O, G) float16, `zero` (O, G) uint8."""

    q: Tensor
    scale: Tensor
    zero: Tensor


def rows_of_8(w_OI: Tensor) -> tuple[Tensor, Tensor]:
    """int8 (O, I), and the scale (O,) of each row."""
    scale = w_OI.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / MOST[8]
    return (w_OI / scale[:, None]).round().to(torch.int8), scale


def grid(w: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and the zero of groups (..., g): whole numbers reach from the least number to the largest, and 0 is one
    of them."""
    low, high = w.amin(-1).clamp_max(0), w.amax(-1).clamp_min(0)
    scale = ((high - low) / MOST[4]).clamp_min(_LEAST).to(torch.float16)
    return scale, (-low / scale.to(w.dtype)).round().clamp(0, MOST[4]).to(torch.uint8)


def whole(w: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """The nearest whole numbers on a grid, as floating-point numbers."""
    return (w / scale.to(w.dtype) + zero).round().clamp(0, MOST[4])


def back(q: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """The numbers that whole ones stand for."""
    return (q - zero.to(q.dtype)) * scale.to(q.dtype)


def groups_of_4(w_OI: Tensor, group: int) -> Grouped:
    """Round to nearest."""
    w_OGg = _grouped(w_OI, group)
    scale, zero = grid(w_OGg)
    q_OGg = whole(w_OGg, scale[:, :, None], zero[:, :, None])
    return Grouped(q_OGg.flatten(1)[:, : w_OI.shape[1]], scale, zero)


def dense(found: Grouped, group: int) -> Tensor:
    """(O, I) what a grouped matrix stands for."""
    I = found.q.shape[1]  # noqa: E741
    scale, zero = (x.repeat_interleave(group, 1)[:, :I] for x in (found.scale, found.zero))
    return back(found.q, scale, zero)


def _grouped(w_OI: Tensor, group: int) -> Tensor:
    return functional.pad(w_OI, (0, -w_OI.shape[1] % group)).unflatten(1, (-1, group))


def gptq(w_OI: Tensor, h_II: Tensor, group: int) -> Grouped:
    """GPTQ (Frantar et al. 2023): columns are rounded in their order; the error of each, weighed by the inverse of H,
    goes to those behind it. The grid of a group is that of its columns as they are when their turn comes."""
    w = w_OI.double().clone()
    upper = inverse_factor(h_II)
    made, scales, zeros = torch.empty_like(w), [], []
    for begin in range(0, w.shape[1], group):
        end = min(begin + group, w.shape[1])
        scale, zero = grid(w[:, begin:end])
        errors = torch.empty_like(w[:, begin:end])
        for i in range(begin, end):
            made[:, i] = whole(w[:, i], scale, zero)
            error = (w[:, i] - back(made[:, i], scale, zero)) / upper[i, i]
            w[:, i:end] -= error[:, None] * upper[i, i:end]
            errors[:, i - begin] = error
        w[:, end:] -= errors @ upper[begin:end, end:]
        scales.append(scale)
        zeros.append(zero)
    return Grouped(made.to(w_OI.dtype), torch.stack(scales, 1), torch.stack(zeros, 1))


def inverse_factor(h_II: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of H, damped: row i holds what the inverse of H without the first i
    inputs has in its first row, over the root of its first number."""
    h = h_II.double().clone()
    diagonal = h.diagonal()
    diagonal += DAMPING * diagonal.mean().clamp_min(torch.finfo(torch.float32).tiny)
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)


def balanced(w_OI: Tensor, h_II: Tensor, size_I: Tensor, group: int) -> tuple[Grouped, Tensor]:
    """AWQ (Lin et al. 2024): of the powers of the inputs' mean size, the one by which a layer's outputs change least
    where weights are multiplied by it before they are rounded, and inputs divided.

    Returns:
        the matrix, and what inputs are multiplied by (I,).
    """
    best = None
    size_I = size_I.clamp_min(size_I.max().clamp_min(1e-30) * 1e-4).to(w_OI.dtype)
    for power in POWERS.tolist():
        up_I = size_I**power
        up_I = up_I / (up_I.max() * up_I.min()).sqrt()
        found = groups_of_4(w_OI * up_I, group)
        lost = change(dense(found, group) / up_I - w_OI, h_II)
        if best is None or lost < best[0]:
            best = (lost, found, 1 / up_I)
    assert best is not None
    return best[1], best[2]


def change(difference_OI: Tensor, h_II: Tensor) -> float:
    """Summed squares of what a change of a matrix changes of its outputs."""
    d = difference_OI.double()
    return float(((d @ h_II.double()) * d).sum())


def fixed(sample: Tensor, low: float, high: float) -> tuple[float, float]:
    """A scale and a zero (a whole number -128 .. 127) of int8 for inputs between two ends: of shares of that range the
    one that gives a sample back with the least squared error."""
    best = None
    for share in SHRUNK:
        bottom, top = min(low * share, 0.0), max(high * share, 0.0)
        scale = max((top - bottom) / 255, torch.finfo(torch.float32).tiny)
        zero = round(-128 - bottom / scale)
        back_ = ((sample / scale + zero).round().clamp(-128, 127) - zero) * scale
        lost = float((back_ - sample).square().sum())
        if best is None or lost < best[0]:
            best = (lost, scale, float(zero))
    assert best is not None
    return best[1], best[2]
