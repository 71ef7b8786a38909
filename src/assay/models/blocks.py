"""What Transformers are made of, for every family: norms, positions, attention and MLP layers, and the block.

    x_BTD --> [norm] -> self-attention -> (+ x) --> [norm] -> cross-attention -> (+ x) --> [norm] -> MLP -> (+ x) -->

One `BlockConfig` spans what the families differ in: GPT-2, Llama, Qwen3, BERT, BART, Marian, T5. A norm stands before
its layer ("before": GPT-2, Llama, T5) or after the sum ("after": BERT, BART, Marian, Vaswani et al. 2017). The proxies
that fleets train take the same block in hand-written form (`fused`), and the tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from assay.models import fused
from assay.models.attention import View, attend
from assay.models.ranges import Count, Dropout, Positive

Activation = Literal["relu", "relu2", "gelu", "gelu_tanh", "silu"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu2": lambda x: functional.relu(x).square(),  # So et al. 2021 (Primer)
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}


@dataclass(frozen=True)
class BlockConfig:
    """One layer of a Transformer.

    Attributes:
        kv_heads: heads of keys and values (grouped-query attention); None: as many as of queries.
        head_width: None: width / heads.
        mlp_width: None: four times the width.
        gated: the MLP multiplies the activation by a second projection (Shazeer 2020).
        norm, gains, epsilon: RMS or layer norm; whether it learns gains (a layer norm: biases, too).
        norm_place: before each layer, or after each sum.
        biases: of no linear map, of queries, keys and values alone, or of all.
        qk_norm: an RMS norm on each head's queries and keys (Henry et al. 2020).
        rotary: which numbers of a head make a rotary pair: neighbours (2k, 2k + 1), halves (k, k + K/2); or None.
        window: attention sees so many positions; None: all.
        scaled: scores are divided by sqrt(K) (T5 does not).
        cross: with cross-attention between self-attention and MLP.
        dropout: of what each layer adds to the residual stream.
        attention_dropout: of attention probabilities.
    """

    width: Count
    heads: Count
    kv_heads: Count | None = None
    head_width: Count | None = None
    mlp_width: Count | None = None
    activation: Activation = "relu2"
    gated: bool = False
    norm: Literal["rms", "layer"] = "rms"
    gains: bool = False
    epsilon: Positive = 1e-6
    norm_place: Literal["before", "after"] = "before"
    biases: Literal["none", "qkv", "all"] = "none"
    qk_norm: bool = True
    rotary: Literal["neighbours", "halves"] | None = "neighbours"
    window: Count | None = None
    scaled: bool = True
    cross: bool = False
    dropout: Dropout = 0.0
    attention_dropout: Dropout = 0.0

    @property
    def key_width(self) -> int:
        """Width of a head."""
        return self.head_width or self.width // self.heads

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def inner(self) -> int:
        """Width of the MLP."""
        return self.mlp_width or 4 * self.width

    @property
    def fusable(self) -> bool:
        """Whether `fused` has this block."""
        plain = BlockConfig(self.width, self.heads, mlp_width=self.mlp_width, window=self.window)
        return self == plain and self.key_width * self.heads == self.width

    def products(self) -> int:
        """Weights of the matrix products of one block, which is their multiply-accumulates a token."""
        attention = self.width * self.key_width * (2 * self.heads + 2 * self.groups)
        return attention * (2 if self.cross else 1) + (3 if self.gated else 2) * self.width * self.inner


class Norm(nn.Module):
    """RMS norm (Zhang and Sennrich 2019) or layer norm (Ba et al. 2016) over the last dimension."""

    def __init__(self, width: int, kind: Literal["rms", "layer"], gains: bool, epsilon: float) -> None:
        super().__init__()
        self.kind, self.width, self.epsilon = kind, width, epsilon
        self.weight = nn.Parameter(torch.ones(width)) if gains else None
        self.bias = nn.Parameter(torch.zeros(width)) if gains and kind == "layer" else None

    @classmethod
    def of(cls, c: BlockConfig) -> Norm:
        """The norm of a block's residual stream."""
        return cls(c.width, c.norm, c.gains, c.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "layer":
            return functional.layer_norm(x, (self.width,), self.weight, self.bias, self.epsilon)
        return functional.rms_norm(x, (self.width,), self.weight, self.epsilon)


def rotate(x_BHTK: Tensor, cos: Tensor, sin: Tensor, pairs: Literal["neighbours", "halves"]) -> Tensor:
    """Turn pairs of numbers of each head by the angles of their positions (Su et al. 2021).

    Args:
        cos, sin: (T, K/2), or (B, 1, T, K/2) where rows have positions of their own.
    """
    cos, sin = cos.to(x_BHTK.dtype), sin.to(x_BHTK.dtype)
    if pairs == "halves":
        a, b = x_BHTK.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
    a, b = x_BHTK[..., 0::2], x_BHTK[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


@dataclass(frozen=True)
class Rotary:
    """The angles of the positions at hand: cosines and sines, each (T, K/2), or (B, 1, T, K/2)."""

    cos: Tensor
    sin: Tensor


class RotaryTable(nn.Module):
    """The angles of all positions that a model has; computed, so neither learned nor saved.

    Args:
        length: positions.
        key_width: K.
        base: of the frequencies.
        scaled: changes the frequencies (K/2,), radians a position.
    """

    def __init__(
        self, length: int, key_width: int, base: float, scaled: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        cos, sin = fused.rotary_tables(length, key_width, base, scaled)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RotaryTable:
        """The table goes where the model goes, and stays in float32: far positions need its digits."""
        cos, sin = self.cos, self.sin
        super()._apply(fn, recurse)
        self.cos, self.sin = cos.to(self.cos.device), sin.to(self.sin.device)
        return self

    def at(self, past: int, length: int) -> Rotary:
        """The angles of `length` positions after `past` others."""
        return Rotary(self.cos[past : past + length], self.sin[past : past + length])

    def of(self, places_BT: Tensor) -> Rotary:
        """The angles (B, 1, T, K/2) of positions that differ from row to row."""
        return Rotary(self.cos[places_BT][:, None], self.sin[places_BT][:, None])


class Memory:
    """Keys and values of one attention layer that generation keeps: (B, G, S, K) each, grown by what is new.

    They lie in buffers (B, size, G, K) that double when they are full, so that a step copies what is new and not what
    is old, and what is filled of a row lies on end, so that taking rows copies whole stretches.
    """

    def __init__(self) -> None:
        self._both: tuple[Tensor, ...] | None = None
        self._spare: tuple[Tensor, ...] | None = None  # where the rows lay that these were taken from
        self.length = 0  # S

    @property
    def rows(self) -> int:
        """B; 0 where it is empty."""
        return 0 if self._both is None else self._both[0].shape[0]

    def all(self) -> tuple[Tensor, Tensor]:
        """Keys and values so far."""
        if self._both is None:
            raise ValueError("nothing is remembered")
        k, v = (x[:, : self.length].transpose(1, 2) for x in self._both)
        return k, v

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add new keys and values; returns all."""
        new = k.transpose(1, 2), v.transpose(1, 2)
        start, self.length = self.length, self.length + k.shape[2]
        if self._both is None:
            self._both = new
        elif torch.is_grad_enabled() and k.requires_grad:  # a backward pass needs what is old as it was
            pairs = zip(self._both, new, strict=True)
            self._both = tuple(torch.cat([old[:, :start], more], dim=1) for old, more in pairs)
        else:
            if self.length > self._both[0].shape[1]:
                self._both = tuple(self._grown(x, start) for x in self._both)
            for buffer, more in zip(self._both, new, strict=True):
                buffer[:, start : self.length] = more
        return self.all()

    def _grown(self, old: Tensor, filled: int) -> Tensor:
        B, size, G, K = old.shape
        new = old.new_empty(B, max(self.length, 2 * size), G, K)
        new[:, :filled] = old[:, :filled]
        return new

    @torch.no_grad()
    def take(self, rows_N: Tensor, *, last: bool = False) -> Memory:
        """A memory of these rows, in this order, each as often as it is named.

        Args:
            last: this one is not asked for anything more, and the next one taken may lie where it lay. New pages from
                the system cost three times what copying into old ones does. Otherwise it stays as it is.
        """
        taken = Memory()
        if self._both is not None:
            spare = self._spare if last and self._spare is not None else (None, None)
            taken.length, taken._spare = self.length, self._both if last else None
            taken._both = tuple(self._taken(x, rows_N, old) for x, old in zip(self._both, spare, strict=True))
        return taken

    def _taken(self, x: Tensor, rows_N: Tensor, spare: Tensor | None) -> Tensor:
        (_, size, G, K), N = x.shape, len(rows_N)
        size = size if self.length < size else 2 * size
        fits = spare is not None and spare.shape[0] >= N and spare.shape[1] >= size
        new = spare[:N] if spare is not None and fits else x.new_empty(N, size, G, K)
        torch.index_select(x[:, : self.length], 0, rows_N, out=new[:, : self.length])
        return new


class Attention(nn.Module):
    """Self-attention, or, given `states`, attention to another sequence. Weights are (outputs, inputs)."""

    def __init__(self, c: BlockConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.c, self.cross = c, cross
        queries, keys = c.heads * c.key_width, c.groups * c.key_width
        bias = c.biases != "none"
        if cross:
            self.q = nn.Linear(c.width, queries, bias)
            self.kv = nn.Linear(c.width, 2 * keys, bias)
        else:
            self.qkv = nn.Linear(c.width, queries + 2 * keys, bias)
        self.out = nn.Linear(queries, c.width, c.biases == "all")
        self.q_norm = Norm(c.key_width, "rms", c.gains, c.epsilon) if c.qk_norm else None
        self.k_norm = Norm(c.key_width, "rms", c.gains, c.epsilon) if c.qk_norm else None

    def forward(
        self,
        x_BTD: Tensor,
        view: View,
        rotary: Rotary | None = None,
        memory: Memory | None = None,
        states_BSD: Tensor | None = None,
        values_BGTK: Tensor | None = None,
    ) -> Tensor:
        c = self.c
        if self.cross:
            q, k, v = self._cross(x_BTD, states_BSD, memory)
        else:
            q, k, v = self._own(x_BTD, rotary, memory, values_BGTK)
        shared = q.shape[0] // k.shape[0]  # rows of one source: all of their queries look at the same keys
        if shared > 1:
            q = q.unflatten(0, (-1, shared)).transpose(1, 2).flatten(2, 3)
        y_BHTK = attend(
            q, k, v, view, scale=None if c.scaled else 1.0, dropout=c.attention_dropout if self.training else 0.0
        )
        if shared > 1:
            y_BHTK = y_BHTK.unflatten(2, (shared, -1)).transpose(1, 2).flatten(0, 1)
        return self.out(y_BHTK.transpose(1, 2).flatten(2))

    def _heads(self, x_BTE: Tensor) -> Tensor:
        return x_BTE.unflatten(-1, (-1, self.c.key_width)).transpose(1, 2)

    def _own(
        self, x_BTD: Tensor, rotary: Rotary | None, memory: Memory | None, values_BGTK: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        c = self.c
        q, k, v = self._heads(self.qkv(x_BTD)).split([c.heads, c.groups, c.groups], dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None and c.rotary is not None:
            q, k = (rotate(x, rotary.cos, rotary.sin, c.rotary) for x in (q, k))
        if values_BGTK is not None:
            v = v + values_BGTK
        return q, *(memory.extend(k, v) if memory is not None else (k, v))

    def _cross(self, x_BTD: Tensor, states_BSD: Tensor | None, memory: Memory | None) -> tuple[Tensor, Tensor, Tensor]:
        """The source's keys and values are computed once, and then found in `memory`: of one row for every so many rows
        of queries, where several targets of a source are written."""
        q = self._heads(self.q(x_BTD))
        if memory is not None and memory.length:
            return q, *memory.all()
        k, v = self._heads(self.kv(states_BSD)).chunk(2, dim=1)
        return q, *(memory.extend(k, v) if memory is not None else (k, v))


class MLP(nn.Module):
    """act(up x) or act(gate x) * up x, then down; of a gated one, `up` holds the gate's rows first."""

    def __init__(self, c: BlockConfig) -> None:
        super().__init__()
        self.gated, self.activation = c.gated, ACTIVATIONS[c.activation]
        bias = c.biases == "all"
        self.up = nn.Linear(c.width, c.inner * (2 if c.gated else 1), bias)
        self.down = nn.Linear(c.inner, c.width, bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(x)
        if self.gated:
            gate, hidden = hidden.chunk(2, dim=-1)
            return self.down(self.activation(gate) * hidden)
        return self.down(self.activation(hidden))


class Block(nn.Module):
    """One layer of a Transformer: see the top of the module."""

    def __init__(self, c: BlockConfig) -> None:
        super().__init__()
        self.c, self.fusable = c, c.fusable
        self.attention = Attention(c)
        self.attention_norm = Norm.of(c)
        self.cross = Attention(c, cross=True) if c.cross else None
        self.cross_norm = Norm.of(c) if c.cross else None
        self.mlp = MLP(c)
        self.mlp_norm = Norm.of(c)

    def forward(
        self,
        x_BTD: Tensor,
        view: View,
        rotary: Rotary | None = None,
        memory: tuple[Memory, Memory] | None = None,
        states_BSD: Tensor | None = None,
        cross_view: View | None = None,
        values_BGTK: Tensor | None = None,
    ) -> Tensor:
        """The residual stream (B, T, D) after this layer.

        Args:
            view: of self-attention.
            rotary: the angles of the positions, where they are rotary.
            memory: where generation keeps keys and values, of self- and of cross-attention.
            states_BSD: what cross-attention looks at.
            cross_view: of cross-attention.
            values_BGTK: added to the values of self-attention.
        """
        if self.fusable and rotary is not None and memory is None:
            return self._fused(x_BTD, view, rotary, values_BGTK)
        own, others = memory or (None, None)
        x_BTD = self._add(
            x_BTD, self.attention_norm, lambda x: self.attention(x, view, rotary, own, values_BGTK=values_BGTK)
        )
        if self.cross is not None and self.cross_norm is not None and cross_view is not None:
            cross = self.cross
            x_BTD = self._add(
                x_BTD, self.cross_norm, lambda x: cross(x, cross_view, memory=others, states_BSD=states_BSD)
            )
        return self._add(x_BTD, self.mlp_norm, self.mlp)

    def _add(self, x: Tensor, norm: Norm, layer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.c.norm_place == "before":
            return x + self._dropped(layer(norm(x)))
        return norm(x + self._dropped(layer(x)))

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.c.dropout, self.training) if self.c.dropout else x

    def _fused(self, x_BTD: Tensor, view: View, rotary: Rotary, values_BGTK: Tensor | None) -> Tensor:
        a, m = self.attention, self.mlp
        q, k, v = fused.pre_attention(x_BTD, a.qkv.weight, rotary.cos, rotary.sin, self.c.heads)
        if values_BGTK is not None:
            v = v + values_BGTK
        return fused.post_attention(x_BTD, attend(q, k, v, view), a.out.weight, m.up.weight, m.down.weight)


def through(checkpointing: bool, block: nn.Module, *arguments: Any) -> Tensor:
    """A block's output. With `checkpointing` what its backward pass needs is computed anew instead of kept (Chen et al.
    2016), dropout included: memory of one block and the residual stream, for a third more work."""
    if not checkpointing or not torch.is_grad_enabled():
        return block(*arguments)
    return checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=True)
