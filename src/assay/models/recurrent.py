"""Recurrent language models: RNN (Elman 1990), GRU (Cho et al. 2014), LSTM (Hochreiter and Schmidhuber 1997).

    ids_BT -> embedding -> layers, each with the state that the last window left -> states -> loss of the next tokens

Dropout is variational (Gal and Ghahramani 2016): one mask a row on the embedding, between layers and on the output, as
in AWD-LSTM (Merity et al. 2018). With `both_ways` the same layers read in both directions: an encoder of features, no
language model. Where a row holds several documents, states begin anew with each one, so packed equals unpacked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import rnn

from assay.models import fused
from assay.models.protocol import PLAIN, WHOLE, Batch, Loss, Penalties, Role, Shares, roles_of
from assay.models.ranges import Count, Dropout

State = list[tuple[Tensor, ...]]
"""Of each layer (h_BD,), or of an LSTM (h_BD, c_BD)."""


@dataclass(frozen=True)
class RecurrentConfig:
    """The shape of a recurrent model.

    Attributes:
        width: of the embedding, and of the last layer where the output matrix is tied to it.
        hidden: of the other layers; None: the width.
        tied: the output matrix is the embedding (Press and Wolf 2017).
        dropout: variational, of embedding, layers and output.
        both_ways: two directions, each of half the width; no language model.
    """

    vocabulary: Count
    layers: Count
    width: Count
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    hidden: Count | None = None
    tied: bool = True
    dropout: Dropout = 0.0
    both_ways: bool = False

    def sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        inner = self.hidden or self.width
        outs = [inner] * (self.layers - 1) + [self.width if self.tied else inner]
        return list(zip([self.width, *outs], outs, strict=False))


MOST_PADDING = 2  # rows that are padded to as many times their tokens take no longer than PyTorch's packed sequences
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """A recurrent model; `loss` is that of a language model."""

    def __init__(self, config: RecurrentConfig, generator: torch.Generator | None) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, c.width))
        split = 2 if c.both_ways else 1
        if c.both_ways and any(out % 2 for _, out in c.sizes()):
            raise ValueError("two directions need an even width")
        self.layers = nn.ModuleList(
            CELLS[c.cell](inputs, outputs // split, batch_first=True, bidirectional=c.both_ways)
            for inputs, outputs in c.sizes()
        )
        last = c.sizes()[-1][1]
        self.head = self.embedding if c.tied else nn.Parameter(torch.empty(c.vocabulary, last))
        self.head_bias = nn.Parameter(torch.zeros(c.vocabulary))
        if generator is not None:
            self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Uniform within 1 / sqrt(hidden) for the layers, within 0.1 for the embedding (Merity et al. 2018); the forget
        gates of an LSTM begin open (Jozefowicz et al. 2015)."""

        def fill(parameter: Tensor, bound: float) -> None:
            parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)

        fill(self.embedding, 0.1)
        for layer in self._cells():
            H = layer.hidden_size
            for name, parameter in layer.named_parameters():
                fill(parameter, H**-0.5)
                if self.config.cell == "lstm" and "bias_ih" in name:
                    parameter[H : 2 * H] = 1.0
        if not self.config.tied:
            fill(self.head, 0.1)

    def _cells(self) -> Iterator[nn.RNNBase]:
        for layer in self.layers:
            assert isinstance(layer, nn.RNNBase)
            yield layer

    def hidden(
        self,
        ids_BT: Tensor,
        segments_BT: Tensor | None = None,
        state: State | None = None,
        *,
        goes_on: bool = True,
    ) -> tuple[Tensor, State]:
        """States of every position (B, T, D), and the state that the next window of the same rows goes on from.

        Args:
            segments_BT: ids of the documents in a row. States begin anew where they change; a given `state` is that of
                the document which the row begins with.
            state: what an earlier window left; None: zeros.
            goes_on: whether there is a next window; without one the state is not known, which can be faster.
        """
        if self.config.both_ways and state is not None:
            raise ValueError("a model of both directions has no state to go on from")
        x_BTD = self._dropped(functional.embedding(ids_BT, self.embedding))
        lengths = _lengths(segments_BT)
        after: State = []
        for i, layer in enumerate(self._cells()):
            x_BTD, last = _through(layer, x_BTD, lengths, state[i] if state else None, goes_on)
            x_BTD = self._dropped(x_BTD)
            after.append(last)
        return x_BTD, after

    def _dropped(self, x_BTD: Tensor) -> Tensor:
        """One mask a row, the same at every position."""
        p = self.config.dropout
        if not self.training or not p:
            return x_BTD
        keep = torch.rand(x_BTD.shape[0], 1, x_BTD.shape[2], device=x_BTD.device) >= p
        return x_BTD * keep / (1 - p)

    def forward(self, ids_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        """Logits (B, T, V)."""
        self._refuse_both_ways()
        return self.hidden(ids_BT, segments_BT, goes_on=False)[0] @ self.head.t() + self.head_bias

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """Mean next-token loss and the loss of each position, in nats."""
        self._refuse_both_ways()
        x_BTD, _ = self.hidden(batch.inputs_BT, batch.segments_BT, goes_on=False)
        mean, losses = fused.linear_cross_entropy(
            x_BTD.reshape(-1, x_BTD.shape[-1]),
            self.head,
            batch.targets_BT.reshape(-1),
            bias_V=self.head_bias,
            penalties=penalties,
        )
        return Loss(mean, losses.view(batch.targets_BT.shape))

    def _refuse_both_ways(self) -> None:
        if self.config.both_ways:
            raise ValueError("a model that reads both ways sees what it would predict: it is no language model")

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer. Recurrent matrices hold the gates on end."""
        return roles_of(self, ("embedding",))

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        inside = sum(p.numel() for name, p in self.named_parameters() if name.startswith("layers."))
        return inside, sum(p.numel() for p in self.parameters())

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """Training FLOPs a token: 6 per weight of every matrix product, whatever the length."""
        weights = sum(p.numel() for name, p in self.layers.named_parameters() if "weight" in name)
        return 6.0 * (weights + self.head.numel())


def _lengths(segments_BT: Tensor | None) -> Tensor | None:
    """(documents,) lengths of all rows' documents on end, or None where each row is one."""
    if segments_BT is None or bool((segments_BT == segments_BT[:, :1]).all()):
        return None
    begins = functional.pad(segments_BT[:, 1:] != segments_BT[:, :-1], (1, 0), value=True)
    starts = begins.flatten().nonzero().squeeze(1)
    return torch.diff(starts, append=starts.new_tensor([segments_BT.numel()]))


def _through(
    layer: nn.RNNBase, x_BTD: Tensor, lengths: Tensor | None, state: tuple[Tensor, ...] | None, goes_on: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer over all documents, each a sequence of its own; and its last state, where it `goes_on`."""
    B, T = x_BTD.shape[:2]
    if lengths is None:
        given = None if state is None else tuple(s[None].contiguous() for s in state)
        y_BTD, last = layer(x_BTD, _as_torch(given))
        return y_BTD, tuple(s[-1] for s in _as_tuple(last))
    longest = int(lengths.max())
    if state is None and not (goes_on or layer.bidirectional) and len(lengths) * longest <= MOST_PADDING * B * T:
        # What reads forwards alone does not see what is behind its end.
        within = torch.arange(longest, device=lengths.device) < lengths[:, None]
        padded = x_BTD.new_zeros(len(lengths), longest, x_BTD.shape[2])
        padded = padded.masked_scatter(within[:, :, None], x_BTD)
        return layer(padded)[0][within].view(B, T, -1), ()
    ends = lengths.cumsum(0)
    opens, closes = (ends - lengths) % T == 0, ends % T == 0  # the first and the last document of a row
    sequences = x_BTD.flatten(0, 1).split(lengths.tolist())
    packed = rnn.pack_sequence(list(sequences), enforce_sorted=False)
    given = None
    if state is not None:
        given = tuple(
            s.new_zeros(1, len(lengths), s.shape[1]).index_copy(1, opens.nonzero().squeeze(1), s[None]) for s in state
        )
    out, last = layer(packed, _as_torch(given))
    padded, _ = rnn.pad_packed_sequence(out, batch_first=True)
    within = torch.arange(padded.shape[1], device=lengths.device)[None] < lengths[:, None]
    return padded[within].view(B, T, -1), tuple(s[-1][closes] for s in _as_tuple(last))


def _as_torch(state: tuple[Tensor, ...] | None) -> Any:
    """PyTorch hands an LSTM's state around as a pair and the others' as one tensor."""
    return state[0] if state is not None and len(state) == 1 else state


def _as_tuple(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)
