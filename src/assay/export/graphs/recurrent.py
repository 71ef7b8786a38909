"""Recurrent models and TextCNN as graphs.

PyTorch's LSTM would be unrolled into as many steps as the example has, and its packed sequences are no graph at all;
ONNX has the layers whole, and takes the length of each row. So a layer is an operator of our own here (`assay::layer`)
that PyTorch traces as one node and the exporter writes as ONNX's.

Weights are laid out as ONNX asks: gates of an LSTM in the order i, o, f, c (PyTorch's: i, f, c, o), of a GRU z, r, h
(PyTorch's: r, z, n).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models.convolution import Convolution
from assay.models.recurrent import Recurrent

GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


torch.library.define(
    "assay::layer",
    "(Tensor x_TBD, Tensor w, Tensor r, Tensor b, Tensor lengths_B, Tensor h, Tensor c, str cell)"
    " -> (Tensor, Tensor, Tensor)",
)
"""One recurrent layer as ONNX has it: states of all steps (T, directions, B, H), the last of each row (directions, B,
H), and of an LSTM its cells. An operator of graphs alone, which has shapes and nothing that computes."""


@torch.library.register_fake("assay::layer")
def _shapes(
    x_TBD: Tensor, w: Tensor, r: Tensor, b: Tensor, lengths_B: Tensor, h: Tensor, c: Tensor, cell: str
) -> tuple[Tensor, Tensor, Tensor]:
    T, B = x_TBD.shape[:2]
    ways, H = r.shape[0], r.shape[2]
    return x_TBD.new_empty(T, ways, B, H), x_TBD.new_empty(ways, B, H), x_TBD.new_empty(ways, B, H)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """How the exporter writes the layer."""
    from onnxscript import opset18 as op

    def written(x: Any, w: Any, r: Any, b: Any, lengths: Any, h: Any, c: Any, cell: str) -> Any:
        ways, hidden = w.shape[0], r.shape[2]
        how = {"direction": "bidirectional" if ways == 2 else "forward", "hidden_size": hidden}
        if cell == "lstm":
            return op.LSTM(x, w, r, b, lengths, h, c, **how)
        if cell == "gru":
            states, last = op.GRU(x, w, r, b, lengths, h, linear_before_reset=1, **how)
        else:
            states, last = op.RNN(x, w, r, b, lengths, h, activations=["Tanh"] * ways, **how)
        return states, last, op.Identity(c)

    return {torch.ops.assay.layer.default: written}


class Layer(nn.Module):
    """The weights of a layer as ONNX asks for them."""

    def __init__(self, of: nn.RNNBase, cell: str) -> None:
        super().__init__()
        self.cell, self.size, self.ways = cell, of.hidden_size, 2 if of.bidirectional else 1
        suffixes = ("", "_reverse")[: self.ways]

        def stacked(name: str) -> Tensor:
            return torch.stack([_gates(getattr(of, f"{name}_l0{suffix}"), cell) for suffix in suffixes]).detach()

        self.w, self.r = nn.Parameter(stacked("weight_ih")), nn.Parameter(stacked("weight_hh"))
        self.b = nn.Parameter(torch.cat([stacked("bias_ih"), stacked("bias_hh")], dim=1))

    def forward(self, x_BTD: Tensor, lengths_B: Tensor, state: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """States (B, T, ways * H), and what the next tokens go on from, (B, H) each."""
        zeros = x_BTD.new_zeros(self.ways, x_BTD.shape[0], self.size)
        h = zeros if state is None else state[0][None]
        c = zeros if state is None or len(state) == 1 else state[1][None]
        x_TBD, layer = x_BTD.transpose(0, 1), torch.ops.assay.layer
        states, last, cells = layer(x_TBD, self.w, self.r, self.b, lengths_B, h, c, self.cell)
        kept = [last[0], cells[0]] if self.cell == "lstm" else [last[0]]
        return states.permute(2, 0, 1, 3).flatten(2), kept


def _gates(weight: Tensor, cell: str) -> Tensor:
    parts = weight.chunk(len(GATES[cell]))
    return torch.cat([parts[i] for i in GATES[cell]])


class Remembering(nn.Module):
    """(ids_BT, mask_BT, state) -> logits_BTV, the state behind the last token of each row. Padding stands behind."""

    def __init__(self, model: Recurrent) -> None:
        super().__init__()
        self.model = model
        self.layers = nn.ModuleList(Layer(one, model.config.cell) for one in model._cells())

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, state: Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, list[list[Tensor]]]:
        states, after = self.hidden(input_ids, attention_mask, state)
        return self.model.logits(states), after

    def hidden(
        self, ids_BT: Tensor, mask_BT: Tensor, state: Sequence[Sequence[Tensor]] | None
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """States (B, T, D), and what they leave."""
        x_BTD = functional.embedding(ids_BT, self.model.embedding)
        lengths_B = mask_BT.sum(1).int()
        after = []
        for i, one in enumerate(self.layers):
            x_BTD, left = one(x_BTD, lengths_B, None if state is None else state[i])
            after.append(left)
        return x_BTD, after


class Filtering(nn.Module):
    """(ids_BT, mask_BT) -> states_BTD of TextCNN: windows of tokens as shifted rows beside each other."""

    def __init__(self, model: Convolution) -> None:
        super().__init__()
        self.model = model

    def hidden(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        c, T = self.model.config, ids_BT.shape[1]
        x_BTD = functional.embedding(ids_BT, self.model.embedding) * mask_BT[:, :, None]
        found = []
        for span, filters in zip(c.spans, self.model.filters, strict=True):
            around = functional.pad(x_BTD, (0, 0, (span - 1) // 2, span // 2))
            windows = torch.cat([around[:, i : i + T] for i in range(span)], dim=2)
            found.append(functional.relu(filters(windows)))
        return torch.cat(found, dim=2)
