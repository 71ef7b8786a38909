"""The one attention entry. Packed documents never see each other: segment ids decide who may look at whom.

Every model asks for attention here, with the same arguments whether its batch is packed or not. A `View` says who may
look at whom; it is made once a batch and used by every layer:

    view = causal(segments_BT)                          decoders: backwards, within a document, maybe through a window
    view = within(segments_BT)                          encoders: both ways, within a document
    view = across(segments_BT, segments_BS)             cross-attention: from a target to its own source
    view = after(past, T, lead_B=lead_B)                generation: T new positions behind a cache of `past`
    out_BHTK = attend(q_BHTK, k_BGSK, v_BGSK, view)     H a multiple of G: grouped queries (Ainslie et al. 2023)

Positions of segment PADDING are seen by none but each other. `BACKENDS` lists who can compute it, and the first that
can does:

    products   short rows on a CPU, by batched products: the backward pass of PyTorch's kernel takes six times as
               long in bfloat16, and a tenth to a third longer in float32 (LAB_NOTES)
    varlen     packed rows in half precision on a GPU: FlashAttention over the documents on end
    flex       packed rows and windows on a GPU: FlexAttention, compiled once
    sdpa       everything: `scaled_dot_product_attention`, its causal kernel where rows hold one document each, else
               with a mask

A view keeps what a backend makes of it (a mask, blocks, pieces), so every layer but the first finds it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask

from assay.models import packed, short_rows

PADDING = -1
SHORT_ROW = 512  # tokens; the probabilities that products keep for the backward pass grow with its square


@dataclass(frozen=True)
class View:
    """Who may look at whom: query t sees key s where all of these hold.

    Attributes:
        queries_BT, keys_BS: both are of one segment. Queries None: the key is no padding.
        is_causal: s <= past + t.
        window: s > past + t - window.
        past: keys before the first query.
        length: queries, where there are no segments to tell.
        device: of the mask, where there are no segments to tell.
        fills: a query of segment PADDING sees everything (in cross-attention), for a softmax over nothing is no number.
        bias: added to the scores; broadcasts to (B, H, T, S). None: nothing.
    """

    queries_BT: Tensor | None = None
    keys_BS: Tensor | None = None
    is_causal: bool = False
    window: int | None = None
    past: int = 0
    length: int = 0
    device: torch.device | None = None
    fills: bool = False
    bias: Tensor | None = None

    def with_bias(self, bias: Tensor) -> View:
        return replace(self, bias=bias)

    @cached_property
    def mask(self) -> Tensor | None:
        """True where query t may look at key s; broadcasts to (B, H, T, S). None: everybody, or, where `is_causal`,
        everybody before."""
        if self.keys_BS is None:
            if self.window is None and not self.past:
                return None
            mask = torch.ones(self.length, self.past + self.length, dtype=torch.bool, device=self.device)
        elif self.queries_BT is None:
            return (self.keys_BS != PADDING)[:, None, None, :]
        else:
            mask = (self.queries_BT[:, :, None] == self.keys_BS[:, None, :])[:, None]
            if self.fills:
                mask = mask | (self.queries_BT == PADDING)[:, None, :, None]
        if self.is_causal and mask.shape[-2] > 1:  # a last query alone is behind all keys
            mask = mask.tril(self.past)
        return mask if self.window is None else mask.triu(self.past + 1 - self.window)

    def bits(self, q_BHTK: Tensor) -> Tensor | None:
        """The mask, causal ones included, for `short_rows`; made once for all layers, which share type and length."""
        key = q_BHTK.dtype, q_BHTK.shape[2]
        if key not in self._bits:
            mask, T = self.mask, q_BHTK.shape[2]
            if mask is None and self.is_causal:
                mask = torch.ones(T, T, dtype=torch.bool, device=q_BHTK.device).tril_()
            self._bits[key] = None if mask is None else short_rows.bits(mask, q_BHTK.dtype)
        return self._bits[key]

    @cached_property
    def _bits(self) -> dict[tuple[torch.dtype, int], Tensor | None]:
        return {}

    @cached_property
    def pieces(self) -> packed.Pieces | None:
        """The documents of packed rows on end; None where it is not that simple."""
        if self.queries_BT is None or self.queries_BT is not self.keys_BS:
            return None
        return packed.pieces(self.queries_BT)

    @cached_property
    def blocks(self) -> BlockMask:
        """What FlexAttention makes of the view."""
        queries, keys, fills = self.queries_BT, self.keys_BS, self.fills
        if queries is None or keys is None:
            device = self.device or torch.device("cpu")
            return _blocks_of_places(self.length, self.past, self.is_causal, self.window, device)
        by_place = _rule_of_places(self.past, self.is_causal, self.window)

        def rule(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
            same = queries[b, t] == keys[b, s]
            return (same | (queries[b, t] == PADDING) if fills else same) & by_place(b, h, t, s)

        return packed.blocks(rule, len(keys), queries.shape[1], keys.shape[1], keys.device)


def _rule_of_places(past: int, is_causal: bool, window: int | None) -> packed.Rule:
    def rule(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        seen = s <= t + past if is_causal else s >= 0
        return seen if window is None else seen & (s > t + past - window)

    return rule


@cache
def _blocks_of_places(length: int, past: int, is_causal: bool, window: int | None, device: torch.device) -> BlockMask:
    """Of views without segments, which are the same for all batches of one length."""
    return packed.blocks(_rule_of_places(past, is_causal, window), None, length, past + length, device)


def _one_document_each(segments_BT: Tensor | None) -> bool:
    if segments_BT is None:
        return True
    first = segments_BT[:, :1]
    return bool((segments_BT == first).all()) and bool((first != PADDING).all())


def causal(
    segments_BT: Tensor | None,
    window: int | None = None,
    length: int | None = None,
    device: torch.device | None = None,
) -> View:
    """Position t sees s <= t of the same segment, and of these the last `window` alone (itself among them).

    Args:
        segments_BT: integer ids, constant within a document and different for the documents of a row; None where each
            row is one document.
        window: None for no bound.
        length: T, needed for a window without segments.
        device: that the rows are on, where there are no segments.
    """
    T = segments_BT.shape[1] if segments_BT is not None else length
    if window is None or (T is not None and window >= T):
        if _one_document_each(segments_BT):
            return View(is_causal=True)
        window = None
    if segments_BT is not None:
        return View(segments_BT, segments_BT, is_causal=True, window=window)
    if T is None:
        raise ValueError("a window without segments needs the length of the rows")
    return View(is_causal=True, window=window, length=T, device=device)


def within(segments_BT: Tensor | None) -> View:
    """Every position sees its whole segment."""
    if segments_BT is None or _one_document_each(segments_BT):
        return View()
    return View(segments_BT, segments_BT)


def across(queries_BT: Tensor | None, keys_BS: Tensor | None) -> View:
    """Every position of the one sequence sees the segment of the same id in the other.

    Args:
        queries_BT: None where a row's queries see all of its keys but padding.
        keys_BS: None where no key is padding.
    """
    if keys_BS is None or (queries_BT is None and _one_document_each(keys_BS)):
        return View()
    return View(queries_BT, keys_BS, fills=True)


def after(
    past: int,
    length: int,
    window: int | None = None,
    device: torch.device | None = None,
    lead_B: Tensor | None = None,
) -> View:
    """The `length` newest positions of a row of one document, of which `past` are in a cache.

    Args:
        lead_B: positions of padding before each row's document, where documents of several lengths end together; None
            where there are none. Padding sees padding, so that its softmax is over something.
    """
    if lead_B is not None:
        places = torch.arange(past + length, device=lead_B.device)
        keys_BS = torch.where(places < lead_B[:, None], PADDING, 0)
        return View(keys_BS[:, past:], keys_BS, is_causal=True, window=window, past=past)
    if past == 0:
        return causal(None, window, length, device)
    if length == 1 and (window is None or past < window):
        return View()
    return View(is_causal=True, window=window, past=past, length=length, device=device)


@dataclass(frozen=True)
class Backend:
    """Somebody who computes attention.

    Attributes:
        can: (q, k, view, scale, dropout): whether it computes what is asked.
        here: (q): whether it has a kernel for this device and type, backward pass included.
        run: (q, k, v, view, scale, dropout): does it.
    """

    name: str
    can: Callable[[Tensor, Tensor, View, float | None, float], bool]
    here: Callable[[Tensor], bool]
    run: Callable[[Tensor, Tensor, Tensor, View, float | None, float], Tensor]


# Not a context variable: on a GPU, autograd recomputes checkpointed layers in a thread of its own.
_forced: list[Backend] = []


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """Within, all attention is computed by this backend, on whatever device: for tests and benchmarks.

    Raises:
        ValueError: there is no such backend; from `attend`: it cannot compute what is asked.
    """
    wanted = next((backend for backend in BACKENDS if backend.name == name), None)
    if wanted is None:
        raise ValueError(f"no attention backend is called {name!r}: {', '.join(b.name for b in BACKENDS)}")
    _forced.append(wanted)
    try:
        yield
    finally:
        _forced.pop()


@contextlib.contextmanager
def watched() -> Iterator[list[Tensor]]:
    """Within, attention is computed in the open, and the weights (B, H, T, S) of every call are kept, in their order:
    for whoever wants to see who looks at whom. Exact and slow, and it holds all of them in memory."""
    seen: list[Tensor] = []

    def run(q: Tensor, k: Tensor, v: Tensor, view: View, scale: float | None, _dropout: float) -> Tensor:
        weights = _weights(q, k, view, scale)
        seen.append(weights.detach())
        return weights.to(v.dtype) @ v.repeat_interleave(q.shape[1] // v.shape[1], dim=1)

    _forced.append(Backend("watched", lambda *_: True, lambda _: True, run))
    try:
        yield seen
    finally:
        _forced.pop()


def _weights(q: Tensor, k: Tensor, view: View, scale: float | None) -> Tensor:
    """(B, H, T, S) float32: the softmax of the scores of what each query sees."""
    H, T, G, S = *q.shape[1:3], *k.shape[1:3]
    keys = k.repeat_interleave(H // G, dim=1)
    scores = q.float() @ keys.float().transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    mask = view.mask
    if view.is_causal and mask is None:
        mask = torch.ones(T, S, dtype=torch.bool, device=q.device).tril_(S - T)
    if view.bias is not None:
        scores = scores + view.bias.float()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1)


def choose(q: Tensor, k: Tensor, view: View, scale: float | None = None, dropout: float = 0.0) -> Backend:
    """The first backend that can."""
    if _forced:
        if not _forced[-1].can(q, k, view, scale, dropout):
            raise ValueError(f"the attention backend {_forced[-1].name} cannot compute this")
        return _forced[-1]
    for backend in BACKENDS:
        if backend.here(q) and backend.can(q, k, view, scale, dropout):
            return backend
    raise ValueError("no attention backend can compute this")


def attend(
    q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, view: View, *, scale: float | None = None, dropout: float = 0.0
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017), (B, H, T, K) queries over (B, G, S, K) keys -> (B, H, T, K).

    Args:
        scale: of the scores; None: 1 / sqrt(K).
        dropout: of the probabilities.
    """
    return choose(q_BHTK, k_BGSK, view, scale, dropout).run(q_BHTK, k_BGSK, v_BGSK, view, scale, dropout)


def _plain(q: Tensor, k: Tensor, view: View, scale: float | None, dropout: float) -> bool:
    square = q.shape[1:3] == k.shape[1:3]  # as many heads, as many positions
    return square and view.bias is None and scale is None and not dropout and q.shape[2] <= SHORT_ROW


def _on_cpu(q: Tensor) -> bool:
    return q.device.type == "cpu" and q.dtype in (torch.bfloat16, torch.float32)


def _by_products(q: Tensor, k: Tensor, v: Tensor, view: View, _scale: float | None, _dropout: float) -> Tensor:
    return short_rows.attend(q, k, v, view.bits(q), causal=view.is_causal, window=view.window)


def _in_pieces(_q: Tensor, _k: Tensor, view: View, _scale: float | None, dropout: float) -> bool:
    return view.bias is None and not dropout and view.pieces is not None


def _by_pieces(q: Tensor, k: Tensor, v: Tensor, view: View, scale: float | None, _dropout: float) -> Tensor:
    assert view.pieces is not None
    return packed.by_pieces(q, k, v, view.pieces, causal=view.is_causal, window=view.window, scale=scale)


def _in_blocks(_q: Tensor, _k: Tensor, view: View, _scale: float | None, dropout: float) -> bool:
    """Not behind a cache, where every length would be compiled anew; not with a bias that is learned; and where keys
    are hidden from all queries alike, a mask of one line a row is cheap."""
    by_place = view.keys_BS is None and view.window is not None
    return view.bias is None and not dropout and not view.past and (view.queries_BT is not None or by_place)


def _by_blocks(q: Tensor, k: Tensor, v: Tensor, view: View, scale: float | None, _dropout: float) -> Tensor:
    return packed.by_blocks(q, k, v, view.blocks, scale=scale)


def _by_sdpa(q: Tensor, k: Tensor, v: Tensor, view: View, scale: float | None, dropout: float) -> Tensor:
    H, T, G, S = *q.shape[1:3], *k.shape[1:3]
    mask = view.mask
    is_causal = view.is_causal and mask is None
    if view.bias is not None:
        if is_causal:
            mask, is_causal = torch.ones(T, S, dtype=torch.bool, device=q.device).tril_(S - T), False
        bias = view.bias.to(q.dtype)
        mask = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
    return functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale, dropout_p=dropout, enable_gqa=H != G
    )


BACKENDS = (
    Backend("products", _plain, _on_cpu, _by_products),
    Backend("varlen", _in_pieces, packed.has_varlen, _by_pieces),
    Backend("flex", _in_blocks, packed.has_flex, _by_blocks),
    Backend("sdpa", lambda *_: True, lambda _: True, _by_sdpa),
)
