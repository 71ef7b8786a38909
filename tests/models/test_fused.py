"""Hand-written gradients against plain autograd and finite differences; rotary positions against transformers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from plain_decoder import attention_inputs, attention_output, norm, side_by_side
from torch import Tensor
from torch.nn import functional

from assay.models import fused
from assay.models.protocol import Penalties

B, T, D, H, M, BASE = 2, 5, 12, 3, 20, 100.0
K = D // H


def tensors(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, generator=generator, dtype=dtype).mul_(0.7).requires_grad_() for shape in shapes]


def tables(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    cos, sin = fused.rotary_tables(T + 3, K, BASE)  # longer than needed: only the first T rows count
    return cos.to(dtype), sin.to(dtype)


def own_pre(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    return fused.pre_attention(x, w, *tables(x.dtype), H)


def plain_pre(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    return attention_inputs(x, w, H, BASE)


PAIRS: dict[str, tuple[Callable[..., Tensor | tuple[Tensor, ...]], Callable[..., object], list[tuple[int, ...]]]] = {
    "rms_norm": (fused.rms_norm, norm, [(B, T, D)]),
    "pre_attention": (own_pre, plain_pre, [(B, T, D), (3 * D, D)]),
    "post_attention": (
        fused.post_attention, attention_output, [(B, T, D), (B, H, T, K), (D, D), (M, D), (D, M)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    own, _, shapes = PAIRS[name]
    assert torch.autograd.gradcheck(own, tensors(*shapes), fast_mode=False)


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(torch.float64, 1e-6, 2e-7), (torch.float32, 2e-4, 2e-5)])
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_are_those_of_plain_autograd(
    name: str, dtype: torch.dtype, rtol: float, atol: float
) -> None:
    own, plain, shapes = PAIRS[name]
    inputs = tensors(*shapes, dtype=dtype)
    results = []
    for function in (own, plain):
        out = function(*inputs)
        outs = out if isinstance(out, tuple) else (out,)
        weights = [torch.randn(o.shape, generator=torch.Generator().manual_seed(2), dtype=dtype) for o in outs]
        grads = torch.autograd.grad(sum((o * w).sum() for o, w in zip(outs, weights, strict=True)), inputs)
        results.append([*outs, *grads])
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=rtol, atol=atol)


def test_inputs_are_not_overwritten() -> None:
    for own, _, shapes in PAIRS.values():
        inputs = tensors(*shapes)
        before = [x.detach().clone() for x in inputs]
        out = own(*inputs)
        outs = out if isinstance(out, tuple) else (out,)
        gradients = [torch.ones_like(o) for o in outs]
        torch.autograd.grad(outs, inputs, gradients)
        assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))
        assert all((g == 1).all() for g in gradients)


def test_rotary_positions_are_those_of_transformers() -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(
        hidden_size=D, num_attention_heads=H, head_dim=K, max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": BASE},
    )  # fmt: skip
    q, k = (x.detach() for x in tensors((B, H, T, K), (B, H, T, K), dtype=torch.float32))
    cos, sin = LlamaRotaryEmbedding(config)(q, torch.arange(T)[None])
    own_cos, own_sin = fused.rotary_tables(T, K, BASE)
    torch.testing.assert_close(torch.cat([own_cos, own_cos], 1), cos[0])
    torch.testing.assert_close(torch.cat([own_sin, own_sin], 1), sin[0])
    for mine, theirs in zip((q, k), apply_rotary_pos_emb(q, k, cos, sin), strict=True):
        neighbours = mine[..., side_by_side(K)].transpose(1, 2)
        rotated = fused._rotate(neighbours, own_cos[:, None], own_sin[:, None]).transpose(1, 2)
        torch.testing.assert_close(rotated, theirs[..., side_by_side(K)])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["pre_attention", "post_attention"])
def test_lower_types_give_the_same_but_for_their_rounding(name: str, dtype: torch.dtype) -> None:
    own, _, shapes = PAIRS[name]
    low = [x.detach().to(dtype).requires_grad_() for x in tensors(*shapes, dtype=torch.float32)]
    results = []
    for inputs in (low, [x.detach().float().requires_grad_() for x in low]):
        out = own(*inputs)
        outs = out if isinstance(out, tuple) else (out,)
        assert all(o.dtype == inputs[0].dtype for o in outs)
        loss = sum((o.float() ** 2).flatten()[::3].sum() for o in outs)
        results.append([*outs, *torch.autograd.grad(loss, inputs)])
    for mine, expected in zip(*results, strict=True):
        error = (mine.float() - expected).norm() / expected.norm()
        assert error < 4 * torch.finfo(dtype).eps, error


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    cos, sin = fused.rotary_tables(40, K, BASE)
    q, k = torch.randn(2, K, generator=torch.Generator().manual_seed(0))
    turned = [fused._rotate(x.expand(1, 40, 1, K), cos[:, None], sin[:, None])[0, :, 0] for x in (q, k)]
    scores = turned[0] @ turned[1].t()
    for distance in (0, 1, 7):
        same = torch.diagonal(scores, -distance)
        torch.testing.assert_close(same, same[:1].expand_as(same), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 4, 7, 256])
@pytest.mark.parametrize("ignored", [0, 5, 13])
def test_linear_cross_entropy_is_that_of_torch(chunk: int, ignored: int) -> None:
    N, V = 13, 17
    x, w = tensors((N, D), (V, D), dtype=torch.float32)
    targets = torch.randint(0, V, (N,), generator=torch.Generator().manual_seed(0))
    targets[torch.randperm(N, generator=torch.Generator().manual_seed(1))[:ignored]] = -1
    mean, losses = fused.linear_cross_entropy(x, w, targets, chunk=chunk)
    grads = torch.autograd.grad(3 * mean, (x, w))

    x64, w64 = x.detach().double().requires_grad_(), w.detach().double().requires_grad_()
    plain = functional.cross_entropy(x64 @ w64.t(), targets, ignore_index=-1, reduction="none")
    plain_mean = plain.sum() / max(1, N - ignored)
    expected = torch.autograd.grad(3 * plain_mean, (x64, w64))
    torch.testing.assert_close(losses.double(), plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mean.double(), plain_mean, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-6)


def test_an_ignored_position_has_no_gradient() -> None:
    x, w = tensors((4, D), (9, D), dtype=torch.float32)
    mean, losses = fused.linear_cross_entropy(x, w, torch.tensor([3, -1, 8, -1]))
    (grad,) = torch.autograd.grad(mean, x)
    assert (grad[[1, 3]] == 0).all()
    assert (grad[[0, 2]] != 0).any(1).all()
    assert (losses[[1, 3]] == 0).all()


def test_a_hopeless_prediction_stays_finite() -> None:
    x = torch.tensor([[400.0], [-400.0]], requires_grad=True)
    w = torch.tensor([[1.0], [0.0]], requires_grad=True)
    mean, losses = fused.linear_cross_entropy(x, w, torch.tensor([1, 1]))
    mean.backward()
    assert torch.isfinite(losses).all()
    assert losses[0] > 80
    assert losses[1] == 0
    torch.testing.assert_close(x.grad, torch.tensor([[0.5], [0.0]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rectified_numbers(dtype: torch.dtype) -> None:
    x = torch.tensor([1.5, -1.5, 0.0, -0.0, float("inf"), -float("inf"), 1e-38, -1e-38]).to(dtype)
    assert torch.equal(fused._relu_(x.clone()), x.clamp_min(0))


def test_nothing_but_the_loss_is_computed_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation costs the forward pass alone, and gives the very numbers of training."""
    x, w = tensors((6, D), (9, D), dtype=torch.float32)
    targets = torch.tensor([3, -1, 8, 0, 1, 2])
    trained = fused.linear_cross_entropy(x, w, targets)[1].detach()
    made = []
    zeros = torch.zeros_like
    monkeypatch.setattr(torch, "zeros_like", lambda *a, **k: made.append(1) or zeros(*a, **k))
    with torch.no_grad():
        evaluated = fused.linear_cross_entropy(x, w, targets)[1]
    assert torch.equal(trained, evaluated)
    assert not made


def test_every_part_computes_in_bfloat16() -> None:
    x, w = (t.detach().bfloat16().requires_grad_() for t in tensors((13, D), (17, D), dtype=torch.float32))
    targets = torch.randint(-1, 17, (13,), generator=torch.Generator().manual_seed(0))
    mean, losses = fused.linear_cross_entropy(x, w, targets, chunk=5)
    mine = torch.autograd.grad(mean, (x, w))
    x64, w64 = x.detach().double().requires_grad_(), w.detach().double().requires_grad_()
    expected = torch.autograd.grad(functional.cross_entropy(x64 @ w64.t(), targets, ignore_index=-1), (x64, w64))
    assert losses.dtype == torch.float32
    for a, b in zip(mine, expected, strict=True):
        assert a.dtype == torch.bfloat16
        assert (a.double() - b).norm() < 0.02 * b.norm()
    for own, plain, shapes in PAIRS.values():
        inputs = [t.detach().bfloat16() for t in tensors(*shapes, dtype=torch.float32)]
        outs, exact = own(*inputs), plain(*(t.double() for t in inputs))
        for a, b in zip(*((o if isinstance(o, tuple) else (o,)) for o in (outs, exact)), strict=True):
            assert a.dtype == torch.bfloat16
            assert (a.double() - b).norm() < 0.02 * b.norm()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("smoothing", "z"), [(0.1, 0.0), (0.0, 0.01), (0.2, 0.02)])
def test_penalties_are_in_the_mean_and_not_in_the_losses(smoothing: float, z: float, bias: bool) -> None:
    n, d, v = 13, 6, 20
    x, w, b = tensors((n, d), (v, d), (v,), dtype=torch.float64)
    targets = torch.randint(0, v, (n,), generator=torch.Generator().manual_seed(3))
    targets[4] = -1
    kept = targets >= 0
    logits = x @ w.t() + (b if bias else 0.0)
    plain = functional.cross_entropy(logits, targets, ignore_index=-1, reduction="none")
    smooth = functional.cross_entropy(logits[kept], targets[kept], label_smoothing=smoothing)
    expected = smooth + z * logits[kept].logsumexp(1).square().mean()
    inputs = [x, w, b] if bias else [x, w]
    wanted = torch.autograd.grad(expected, inputs)
    mine = [tensor.detach().float().requires_grad_() for tensor in inputs]
    mean, losses = fused.linear_cross_entropy(
        mine[0], mine[1], targets, bias_V=mine[2] if bias else None, chunk=5, penalties=Penalties(smoothing, z)
    )
    torch.testing.assert_close(mean.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses.double(), plain, rtol=1e-5, atol=1e-6)
    for found, grad in zip(torch.autograd.grad(mean, mine), wanted, strict=True):
        torch.testing.assert_close(found.double(), grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mark", [-1, -100])
def test_every_negative_target_counts_for_nothing(mark: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(6, 8, generator=generator), torch.randn(11, 8, generator=generator)
    targets = torch.tensor([3, mark, 10, 0, mark, 5])
    mean, losses = fused.linear_cross_entropy(x, w, targets)
    torch.testing.assert_close(mean, functional.cross_entropy(x @ w.t(), targets, ignore_index=mark))
    assert losses[targets < 0].eq(0).all()
