"""The attention entry against a loop over queries: who may look at whom, by every view and backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assay.models import short_rows
from assay.models.attention import PADDING, View, across, after, attend, causal, using, within

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


SQUARE = [name for name, (_, length, _) in VIEWS.items() if length == T]


@pytest.mark.parametrize("block", [2, 3, 64])
@pytest.mark.parametrize("name", SQUARE)
def test_short_rows_are_the_same_in_every_type_and_block(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_rows, "_BLOCK", dict.fromkeys((2, 4, 8), block))
    view, _, sees = VIEWS[name]
    view = replace(view)  # keeps nothing that another test made
    q, k, v = (heads(T, 4, seed) for seed in range(3))
    with using("products"):
        torch.testing.assert_close(attend(q, k, v, view), brute(q, k, v, sees))
        low = [x.bfloat16() for x in (q, k, v)]
        expected = brute(*(x.float() for x in low), sees)
        torch.testing.assert_close(attend(*low, view).float(), expected, rtol=0.05, atol=0.03)
        exact = [x.double().requires_grad_() for x in (q, k, v)]
        assert torch.autograd.gradcheck(lambda *x: attend(*x, view), exact, fast_mode=True)


@pytest.mark.parametrize("name", SQUARE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_beyond_a_power_of_two_are_the_same(name: str, dtype: torch.dtype) -> None:
    """Sums that overflow, or vanish, in some rows."""
    view, _, sees = VIEWS[name]
    q, k, v = (heads(T, 4, seed).to(dtype) for seed in range(3))
    q = q * torch.tensor([200.0, -200.0])[:, None, None, None].to(dtype)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    wide = [x.float().clone().requires_grad_() for x in (q, k, v)]
    with using("products"):
        found = attend(*inputs, replace(view))
    expected = brute(*wide, sees)
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype is torch.float32 else {"rtol": 0.1, "atol": 0.1}
    torch.testing.assert_close(found.float(), expected, **close)
    assert all(g.isfinite().all() for g in torch.autograd.grad(found.sum(), inputs))


def test_a_causal_row_is_computed_where_it_sees_something_alone() -> None:
    assert short_rows.spans(5, 2, causal=False, window=None) == (short_rows.Span(0, 5, 0, 5),)
    parts = short_rows.spans(5, 2, causal=True, window=None)
    assert [(p.start, p.end, p.first, p.last) for p in parts] == [(4, 5, 0, 5), (2, 4, 0, 4), (0, 2, 0, 2)]
    parts = short_rows.spans(5, 2, causal=True, window=2)
    assert [(p.first, p.last) for p in parts] == [(3, 5), (1, 4), (0, 2)]


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
