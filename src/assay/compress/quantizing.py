"""A model whose blocks' linear layers become whole numbers, one block after the other.

8 bits, dynamic           weights alone decide
8 bits, static            a scale and a zero for each layer's inputs, by calibration
4 bits, rtn | gptq | awq  round to nearest, or by what calibration text does to each layer (`grids`)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from assay.compress import grids
from assay.compress.walking import Seen, walked
from assay.models import quantized
from assay.models.build import Neural
from assay.models.protocol import Batch
from assay.models.quantized import Int4Linear, Int8Linear, Quantization, QuantizedLinear


@dataclass(frozen=True)
class Layer:
    """What became of a layer.

    Attributes:
        error: squared change of its outputs over their squared size, on calibration text; None: there was none.
    """

    name: str
    error: float | None


def needs_text(q: Quantization) -> bool:
    """Whether calibration text decides."""
    return q.inputs == "static" or q.method != "rtn"


@torch.no_grad()
def quantize(
    model: Neural, q: Quantization, batches: Sequence[Batch], told: Callable[[str], None] = lambda _: None
) -> list[Layer]:
    """Quantize a model in place.

    Args:
        batches: calibration rows, without padding; may be empty where the text decides nothing.
        told: of each layer that is done.

    Raises:
        InputError: it has no linear layers in blocks.
    """
    if not batches:
        before = dict(quantized.layers(model))
        quantized.convert(model, q)
        for name, layer in before.items():
            made = model.get_submodule(name)
            assert isinstance(made, QuantizedLinear)
            _fill(made, layer, q, None)
            told(name)
        return [Layer(name, None) for name in before]
    quantized.some_layers(model)
    done = []
    for found in walked(model, batches):
        for name, (layer, seen) in found.items():
            made = quantized.empty(layer, q)
            _fill(made, layer, q, seen)
            quantized.put(model, name, made)
            apart = grids.change(made.dense() - layer.weight, seen.h)
            whole = grids.change(layer.weight, seen.h)
            done.append(Layer(name, apart / whole if whole else 0.0))
            told(name)
    quantized.mark(model, q)
    return done


def _fill(made: QuantizedLinear, layer: nn.Linear, q: Quantization, seen: Seen | None) -> None:
    if layer.bias is not None:
        assert made.bias is not None
        made.bias.copy_(layer.bias)
    if isinstance(made, Int8Linear):
        _fill_8(made, layer.weight, seen if q.inputs == "static" else None)
    else:
        _fill_4(made, layer.weight, q, seen)


def _fill_8(made: Int8Linear, w_OI: Tensor, seen: Seen | None) -> None:
    whole_OI, scale = grids.rows_of_8(w_OI.float())
    made.weight.copy_(whole_OI)
    made.scale.copy_(scale)
    if seen is None:
        return
    step, zero = grids.fixed(seen.sample, seen.low, seen.high)
    assert made.input_scale is not None
    assert made.input_zero is not None
    assert made.bias is not None
    made.input_scale.fill_(step)
    made.input_zero.fill_(zero)
    # sum w (x - zero) = sum w x - zero sum w: the second is the same for every row
    made.bias -= step * zero * scale * whole_OI.sum(1)


def _fill_4(made: Int4Linear, w_OI: Tensor, q: Quantization, seen: Seen | None) -> None:
    w_OI = w_OI.float()
    if seen is None or q.method == "rtn":
        found = grids.groups_of_4(w_OI, made.group)
    elif q.method == "gptq":
        found = grids.gptq(w_OI, seen.h, made.group)
    else:
        found, balance = grids.balanced(w_OI, seen.h, seen.mean_size, made.group)
        assert made.balance is not None
        made.balance.copy_(balance)
    full = torch.zeros(len(w_OI), 2 * made.weight.shape[1])
    full[:, : w_OI.shape[1]] = found.q
    made.weight.copy_(quantized.packed(full))
    made.scale.copy_(found.scale)
    made.zero.copy_(found.zero)
