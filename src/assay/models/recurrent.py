"""Recurrent language models: RNN (Elman 1990), GRU (Cho et al. 2014), LSTM (Hochreiter and Schmidhuber 1997).

    ids_BT -> embedding -> layers, each with the state that the last window left -> states -> loss of the next tokens

Dropout is variational (Gal and Ghahramani 2016): one mask a row on the embedding, between layers and on the output, as
in AWD-LSTM (Merity et al. 2018). With `both_ways` the layers read in both directions: an encoder, which learns to
tell hidden tokens from the states of both sides on end (context2vec, Melamud et al. 2016) and is no language model.
Where a row holds several documents, states begin anew with each one, so packed equals unpacked.
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
        both_ways: two directions, each of half the width; no language model, but one of hidden tokens.
        carried: its state goes on from one window of a document to the next, in training and in evaluation.
    """

    vocabulary: Count
    layers: Count
    width: Count
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    hidden: Count | None = None
    tied: bool = True
    dropout: Dropout = 0.0
    both_ways: bool = False
    carried: bool = False

    def __post_init__(self) -> None:
        if self.both_ways and self.carried:
            raise ValueError("two directions have no state to carry")
        if self.both_ways and any(out % 2 for _, out in self.sizes()):
            raise ValueError("two directions need an even width, and an even hidden")

    def sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        inner = self.hidden or self.width
        outs = [inner] * (self.layers - 1) + [self.width if self.tied else inner]
        return list(zip([self.width, *outs], outs, strict=False))


MOST_PADDING = 2  # rows that are padded to as many times their tokens take no longer than PyTorch's packed sequences
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """A recurrent model; `loss` is that of a language model, or of hidden tokens where it reads both ways."""

    def __init__(self, config: RecurrentConfig, generator: torch.Generator | None) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, c.width))
        split = 2 if c.both_ways else 1
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
            given = tuple(s.to(x_BTD.dtype) for s in state[i]) if state else None
            x_BTD, last = _through(layer, x_BTD, lengths, given, goes_on)
            x_BTD = self._dropped(x_BTD)
            after.append(last)
        return x_BTD, after

    def states(self, batch: Batch) -> Tensor:
        """States of every position (B, T, D) for a head, of rows of one document each: what fills their ends is seen
        by nothing before it where the model reads forwards alone."""
        segments_BT = batch.segments_BT if self.config.both_ways else None
        return self.hidden(batch.inputs_BT, segments_BT, goes_on=False)[0]

    def _dropped(self, x_BTD: Tensor) -> Tensor:
        """One mask a row, the same at every position."""
        p = self.config.dropout
        if not self.training or not p:
            return x_BTD
        keep = torch.rand(x_BTD.shape[0], 1, x_BTD.shape[2], device=x_BTD.device) >= p
        return x_BTD * keep / (1 - p)

    def forward(self, ids_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        """Logits (B, T, V): of the next token, or of the one that may stand there."""
        return self.logits(self.hidden(ids_BT, segments_BT, goes_on=False)[0])

    def logits(self, x: Tensor) -> Tensor:
        """(..., V) of states (..., D) that `hidden` gave."""
        return functional.linear(x, self.head, self.head_bias)

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """Mean loss of the positions that have a target, and the loss of each, in nats; and what the rows leave, where
        the batch says what those before them left: gradients end there (backpropagation through time, truncated).

        Raises:
            ValueError: a model that reads both ways is asked for next tokens.
        """
        if self.config.both_ways:
            return self._loss_of_hidden(batch, penalties)
        goes_on = batch.state_BS is not None
        given = self._by_layer(batch.state_BS) if batch.state_BS is not None else None
        x_BTD, after = self.hidden(batch.inputs_BT, batch.segments_BT, given, goes_on=goes_on)
        mean, losses = self._cross_entropy(x_BTD.flatten(0, 1), batch.targets_BT.flatten(), penalties)
        left_BS = torch.cat([s for layer in after for s in layer], dim=1).detach() if goes_on else None
        return Loss(mean, losses.view(batch.targets_BT.shape), left_BS)

    @property
    def state_size(self) -> int:
        """Numbers of a row's state, S: all layers on end."""
        return sum(self._state_sizes())

    def _state_sizes(self) -> list[int]:
        return [outputs for _, outputs in self.config.sizes() for _ in range(2 if self.config.cell == "lstm" else 1)]

    def _by_layer(self, state_BS: Tensor) -> State:
        parts = state_BS.split(self._state_sizes(), dim=1)
        n = 2 if self.config.cell == "lstm" else 1
        return [parts[i : i + n] for i in range(0, len(parts), n)]

    def _loss_of_hidden(self, batch: Batch, penalties: Penalties) -> Loss:
        """The output matrix is asked where a token is hidden alone."""
        inputs_BT, targets_BT = batch.inputs_BT, batch.targets_BT
        if inputs_BT.shape[1] > 1 and torch.equal(targets_BT[:, :-1], inputs_BT[:, 1:]):
            raise ValueError("a model that reads both ways sees the next token: it is no language model")
        x_BTD, _ = self.hidden(inputs_BT, batch.segments_BT, goes_on=False)
        wanted = targets_BT >= 0
        mean, found = self._cross_entropy(x_BTD[wanted], targets_BT[wanted], penalties)
        losses_BT = torch.zeros(targets_BT.shape, dtype=found.dtype, device=found.device)
        losses_BT[wanted] = found.detach()
        return Loss(mean, losses_BT)

    def _cross_entropy(self, x_ND: Tensor, targets_N: Tensor, penalties: Penalties) -> tuple[Tensor, Tensor]:
        return fused.linear_cross_entropy(x_ND, self.head, targets_N, bias_V=self.head_bias, penalties=penalties)

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer. Recurrent matrices hold the gates on end."""
        return roles_of(self, ("embedding",))

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        inside = sum(p.numel() for name, p in self.named_parameters() if name.startswith("layers."))
        return inside, sum(p.numel() for p in self.parameters())

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """Training FLOPs a token: 6 per weight of every matrix product, whatever the length; of the output matrix at
        predicted positions alone where it reads both ways."""
        weights = sum(p.numel() for name, p in self.layers.named_parameters() if "weight" in name)
        asked = shares.predicted if self.config.both_ways else 1.0
        return 6.0 * (weights + asked * self.head.numel())


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
    if goes_on and bool((alone := opens & closes).any()):
        return _in_two(layer, x_BTD, lengths, alone, state)
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


def _in_two(
    layer: nn.RNNBase, x_BTD: Tensor, lengths: Tensor, alone: Tensor, state: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Rows of one document (those that are `alone`), and then the others: PyTorch takes longer for packed sequences."""
    row = (lengths.cumsum(0) - 1) // x_BTD.shape[1]
    both = (row[alone], torch.unique(row[~alone]))
    found = [
        _through(layer, x_BTD[own], its, None if state is None else tuple(s[own] for s in state), True)
        for own, its in zip(both, (None, lengths[~alone]), strict=True)
    ]
    back = torch.cat(both).argsort()
    lasts = zip(*(last for _, last in found), strict=True)
    return torch.cat([y_BTD for y_BTD, _ in found])[back], tuple(torch.cat(parts)[back] for parts in lasts)


def _as_torch(state: tuple[Tensor, ...] | None) -> Any:
    """PyTorch hands an LSTM's state around as a pair and the others' as one tensor."""
    return state[0] if state is not None and len(state) == 1 else state


def _as_tuple(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)
