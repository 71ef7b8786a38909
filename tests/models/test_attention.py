"""The attention entry against a loop over queries: who may look at whom, by every view and backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assay.models import attention
from assay.models.attention import PADDING, View, across, after, attend, causal, within

B, T, S, K = 2, 7, 5, 4
SEGMENTS = torch.tensor([[0, 0, 0, 1, 1, 2, PADDING], [3, 3, 3, 3, 3, 3, 3]])
SOURCES = torch.tensor([[0, 0, 1, 2, 2], [3, 3, PADDING, PADDING, PADDING]])
Rule = Callable[[int, int, int], bool]


def brute(
    q: Tensor, k: Tensor, v: Tensor, sees: Rule, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Query by query; heads of keys and values are shared by groups of queries."""
    out = torch.zeros_like(q)
    share = q.shape[1] // k.shape[1]
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for t in range(q.shape[2]):
                seen = [s for s in range(k.shape[2]) if sees(b, t, s)]
                scores = k[b, h // share, seen] @ q[b, h, t] * (scale or q.shape[-1] ** -0.5)
                if bias is not None:
                    scores = scores + bias[0, h, t, seen]
                out[b, h, t] = torch.softmax(scores, 0) @ v[b, h // share, seen]
    return out


def heads(length: int, n: int, seed: int) -> Tensor:
    return torch.randn(B, n, length, K, generator=torch.Generator().manual_seed(seed))


VIEWS: dict[str, tuple[View, int, Rule]] = {
    "causal": (causal(None), T, lambda _, t, s: s <= t),
    "causal, packed": (causal(SEGMENTS), T, lambda b, t, s: s <= t and SEGMENTS[b, s] == SEGMENTS[b, t]),
    "causal, window": (causal(None, 3, T), T, lambda _, t, s: t - 3 < s <= t),
    "causal, packed, window": (
        causal(SEGMENTS, 2), T, lambda b, t, s: t - 2 < s <= t and SEGMENTS[b, s] == SEGMENTS[b, t]
    ),
    "within": (within(None), T, lambda *_: True),
    "within, packed": (within(SEGMENTS), T, lambda b, t, s: SEGMENTS[b, s] == SEGMENTS[b, t]),
    "across": (across(None, None), S, lambda *_: True),
    "across, padded": (across(None, SOURCES), S, lambda b, _, s: SOURCES[b, s] != PADDING),
    "across, packed": (
        across(SEGMENTS, SOURCES), S,
        lambda b, t, s: SEGMENTS[b, t] == SOURCES[b, s] or SEGMENTS[b, t] == PADDING,
    ),
}  # fmt: skip


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_what_it_says(name: str, groups: int) -> None:
    view, length, sees = VIEWS[name]
    q, k, v = heads(T, 4, 0), heads(length, groups, 1), heads(length, groups, 2)
    torch.testing.assert_close(attend(q, k, v, view), brute(q, k, v, sees))
    bias = torch.randn(1, 4, T, length, generator=torch.Generator().manual_seed(3))
    found = attend(q, k, v, view.with_bias(bias), scale=1.0)
    torch.testing.assert_close(found, brute(q, k, v, sees, bias, 1.0))


@pytest.mark.parametrize("name", [name for name, (_, length, _) in VIEWS.items() if length == T])
def test_products_in_bfloat16_are_the_same(name: str) -> None:
    view, _, sees = VIEWS[name]
    q, k, v = (heads(T, 4, seed).bfloat16() for seed in range(3))
    torch.testing.assert_close(
        attend(q, k, v, view).float(), brute(q.float(), k.float(), v.float(), sees), rtol=0.05, atol=0.03
    )
    exact = [x.double().requires_grad_() for x in (q, k, v)]
    mask = torch.ones(T, T, dtype=torch.bool).tril() if view.is_causal else view.mask
    assert torch.autograd.gradcheck(lambda *x: attention._ByProducts.apply(*x, mask), exact, fast_mode=True)


@given(st.integers(0, 6), st.integers(1, 6), st.none() | st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_new_positions_see_what_is_cached_and_one_another(past: int, new: int, window: int | None) -> None:
    q, k, v = heads(new, 2, 0), heads(past + new, 2, 1), heads(past + new, 2, 2)

    def sees(_: int, t: int, s: int) -> bool:
        return s <= past + t and (window is None or s > past + t - window)

    torch.testing.assert_close(attend(q, k, v, after(past, new, window)), brute(q, k, v, sees))


def test_what_fills_a_row_leaves_gradients_finite() -> None:
    """A target's filling has no source of its own; a softmax over nothing would spoil every weight."""
    q, k, v = (x.requires_grad_() for x in (heads(T, 2, 0), heads(S, 2, 1), heads(S, 2, 2)))
    out = attend(q, k, v, across(SEGMENTS, torch.tensor([[0, 0, 1, 2, 2], [3] * 5])))
    out.sum().backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (q, k, v))
