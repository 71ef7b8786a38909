"""The parts of a proxy decoder between two matrix products, each with a backward pass of its own.

On a CPU a small model spends more time in the glue (norms, activations, the softmax over the vocabulary, the
bookkeeping of autograd) than in its matrix products. So the glue between two matrix products is one
`torch.autograd.Function` here, with the gradient written out by hand, in place where a buffer is ours:

    pre_attention   norm -> q, k, v -> QK-norm -> rotary
    post_attention  output projection + residual -> norm -> ReLU^2 MLP + residual
    linear_cross_entropy   norm'ed states -> loss per token, never holding more than a chunk of logits

The tests hold each equal to its twin in plain autograd, values and gradients. Shapes: N = B*T
rows, D width, H heads, K = D/H, M MLP width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from assay.models.products import input_gradient, linear, weight_gradient
from assay.models.protocol import PLAIN, Penalties
from assay.models.short_rows import LOG2_E, is_safe

EPSILON = 1e-6
# Numbers of the softmax over the vocabulary that are held at a time: on a CPU what stays in a core's caches, on a GPU
# what keeps it busy (1 GB).
LOGITS_HELD = {"cpu": 1 << 20, "cuda": 1 << 28}


def inverse_rms(x: Tensor) -> Tensor:
    """1 / sqrt(mean(x^2) + eps) over the last dimension, kept (Zhang and Sennrich 2019, without a gain)."""
    scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return scale.square_().mul_(1.0 / x.shape[-1]).add_(EPSILON).rsqrt_()


def _norm_backward(grad: Tensor, normed: Tensor, scale: Tensor) -> Tensor:
    """Gradient of x * inverse_rms(x), given its output and its scale; overwrites nothing."""
    along = torch.linalg.vecdot(grad, normed).mul_(-1.0 / normed.shape[-1]).unsqueeze_(-1)
    return torch.addcmul(grad, normed, along).mul_(scale)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = inverse_rms(x)
        normed = x * scale
        ctx.save_for_backward(normed, scale)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        normed, scale = ctx.saved_tensors
        return _norm_backward(grad, normed, scale)


def rms_norm(x: Tensor) -> Tensor:
    """x / rms(x) over the last dimension."""
    return _RMSNorm.apply(x)


def rotary_tables(
    length: int, dim: int, base: float, scaled: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotary angles (Su et al. 2021), each (T, dim/2), float32; `scaled` changes the frequencies."""
    frequency = base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    frequency = frequency if scaled is None else scaled(frequency)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    return angle.cos().float(), angle.sin().float()


def _rotate(x_BTHK: Tensor, cos_T1K: Tensor, sin_T1K: Tensor, out: Tensor | None = None) -> Tensor:
    """Turn the pairs (2k, 2k + 1), complex numbers side by side in memory, by their angles; -sin is the inverse.

    Llama and its kin pair (k, k + K/2) instead. The scores are the same once the rows of the query and key matrices
    are put into the other order, and this order is one product over contiguous numbers: three times as fast on a CPU.

    Args:
        x_BTHK: float32 or float64: of the lower types PyTorch makes no complex numbers.
        out: where the result goes; may be x_BTHK itself.
    """
    T, H, K = x_BTHK.shape[1:]
    out = torch.empty_like(x_BTHK, memory_format=torch.contiguous_format) if out is None else out
    cos_T1K, sin_T1K = cos_T1K.to(x_BTHK.dtype), sin_T1K.to(x_BTHK.dtype)
    turn_THK = torch.complex(cos_T1K, sin_T1K).expand(T, H, K // 2).contiguous()
    torch.mul(_as_complex(x_BTHK), turn_THK, out=_as_complex(out))
    return out


def _as_complex(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))


def _wide(x: Tensor) -> Tensor:
    """x, or, of a lower type, a contiguous copy in float32."""
    if x.dtype in (torch.float32, torch.float64):
        return x
    return x.to(torch.float32, memory_format=torch.contiguous_format)


class _PreAttention(torch.autograd.Function):
    """Rotation and norm commute, for a rotation leaves lengths as they are: only what has been through both is kept.

    Between the two products all is float32: heads are short rows, and PyTorch's CPU kernels are slow on short rows of
    lower types (a turn takes 20 times as long in bfloat16).
    """

    @staticmethod
    def forward(
        ctx: Any, x_BTD: Tensor, w_qkv: Tensor, cos: Tensor, sin: Tensor, n_heads: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        B, T, D = x_BTD.shape
        H, K = n_heads, D // n_heads
        x_ND = x_BTD.reshape(B * T, D)
        scale = inverse_rms(x_ND)
        normed = x_ND * scale
        qkv = linear(normed, w_qkv).view(B, T, 3 * H, K)
        qk = _wide(qkv[:, :, : 2 * H])
        qk_scale = inverse_rms(qk)
        turned = _rotate(qk, cos[:T, None], sin[:T, None]).mul_(qk_scale).to(qkv.dtype)
        ctx.save_for_backward(normed, scale, w_qkv, turned, qk_scale, cos, sin)
        q, k, v = turned[:, :, :H], turned[:, :, H:], qkv[:, :, 2 * H :]
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        normed, scale, w_qkv, turned, qk_scale, cos, sin = ctx.saved_tensors
        dq, dk, dv = (grad.transpose(1, 2) for grad in grads)
        B, T, H, K = dq.shape
        d_qkv = dv.new_empty(B, T, 3 * H, K)
        d_turned = qk_scale.new_empty(B, T, 2 * H, K)
        d_turned[:, :, :H], d_turned[:, :, H:], d_qkv[:, :, 2 * H :] = dq, dk, dv
        d_qk = _norm_backward(d_turned, _wide(turned), qk_scale)
        d_qkv[:, :, : 2 * H] = _rotate(d_qk, cos[:T, None], sin[:T, None].neg(), out=d_qk)
        d_qkv_ND = d_qkv.view(B * T, 3 * H * K)
        dw = weight_gradient(d_qkv_ND, normed)
        dx = _norm_backward(input_gradient(d_qkv_ND, w_qkv), normed, scale)
        return dx.view(B, T, H * K), dw, None, None, None


def pre_attention(
    x_BTD: Tensor, w_qkv: Tensor, cos: Tensor, sin: Tensor, n_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """RMSNorm, projection to queries, keys and values, QK-norm (Henry et al. 2020) and rotary positions.

    Args:
        x_BTD: the residual stream.
        w_qkv: (3D, D), rows in the order q, k, v, each head by head.
        cos, sin: from `rotary_tables`, at least T rows of K/2.

    Returns:
        q, k, v, each (B, H, T, K).
    """
    return _PreAttention.apply(x_BTD, w_qkv, cos, sin, n_heads)


def _relu_(x: Tensor) -> Tensor:
    """max(x, 0) in place. A negative number of 16 bits is a negative integer of 16 bits, and there are five times as
    many of those a second on a CPU."""
    if x.dtype is torch.bfloat16:
        x.view(torch.int16).clamp_min_(0)
        return x
    return x.clamp_min_(0)


class _PostAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BTD: Tensor, y_BHTK: Tensor, w_out: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        y_ND = y_BHTK.transpose(1, 2).reshape(B * T, D)
        middle = linear(y_ND, w_out, plus_NO=x_BTD.reshape(B * T, D))
        scale = inverse_rms(middle)
        normed = middle * scale
        hidden = _relu_(linear(normed, w_up))
        squared = hidden * hidden
        out = linear(squared, w_down, plus_NO=middle)
        ctx.save_for_backward(y_ND, normed, scale, hidden, squared, w_out, w_up, w_down)
        ctx.heads = y_BHTK.shape[1]
        return out.view(B, T, D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BTD: Tensor) -> tuple[Tensor, ...]:
        y_ND, normed, scale, hidden, squared, w_out, w_up, w_down = ctx.saved_tensors
        B, T, D = grad_BTD.shape
        grad = grad_BTD.reshape(B * T, D)
        dw_down = weight_gradient(grad, squared)
        # d(relu(u)^2) = 2 relu(u): the factor 2 rides on what is smaller.
        d_up = input_gradient(grad, w_down).mul_(hidden)
        dw_up = weight_gradient(d_up, normed).mul_(2)
        d_middle = _norm_backward(input_gradient(d_up, w_up), normed, 2 * scale).add_(grad)
        dw_out = weight_gradient(d_middle, y_ND)
        dy = input_gradient(d_middle, w_out).view(B, T, ctx.heads, D // ctx.heads).transpose(1, 2)
        return d_middle.view(B, T, D), dy, dw_out, dw_up, dw_down


def post_attention(x_BTD: Tensor, y_BHTK: Tensor, w_out: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """x + W_out y, then + W_down relu(W_up norm(.))^2 (So et al. 2021, Primer): (B, T, D).

    Args:
        x_BTD: the residual stream.  y_BHTK: what attention returned.
        w_out: (D, D).  w_up: (M, D).  w_down: (D, M).
    """
    return _PostAttention.apply(x_BTD, y_BHTK, w_out, w_up, w_down)


def _logits(x: Tensor, w_VD: Tensor, bias_V: Tensor | None, cap: float | None) -> tuple[Tensor, Tensor | None]:
    """x W^T, biased and capped, in units of log(2); and the cap's slope."""
    if bias_V is None and cap is None:
        return linear(x, w_VD, times=LOG2_E), None
    logits = linear(x, w_VD)
    if bias_V is not None:
        logits.add_(bias_V)
    if cap is None:
        return logits.mul_(LOG2_E), None
    squashed = torch.tanh(logits / cap)
    return squashed * (cap * LOG2_E), 1 - squashed.square()


def _powers(logits: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """out <- 2^logits, or, where that is not safe or would have to be waited for, 2^(logits - their maximum); returns
    its sums over a row, and log2 of the sums of 2^logits: (N, 1)."""
    if logits.device.type == "cpu":
        powers = torch.exp2(logits, out=out) if logits.dtype is out.dtype else out.copy_(logits).exp2_()
        sums = powers.sum(1, keepdim=True)
        if is_safe(sums):
            return sums, sums.log2()
    top = logits.amax(1, keepdim=True).to(out.dtype)
    sums = torch.sub(logits, top, out=out).exp2_().sum(1, keepdim=True)
    return sums, sums.log2().add_(top)


class _LinearCrossEntropy(torch.autograd.Function):
    """With e = 2^(logits log2 e): softmax = e / sum(e), whose division is put off until after the products."""

    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        w_VD: Tensor,
        targets_N: Tensor,
        weights_N: Tensor,
        bias_V: Tensor | None,
        chunk: int,
        cap: float | None,
        penalties: Penalties,
    ) -> tuple[Tensor, Tensor]:
        epsilon, z = penalties.smoothing, penalties.z
        wanted = any(ctx.needs_input_grad[:2])
        N, V = len(x_ND), len(w_VD)
        wide = torch.promote_types(x_ND.dtype, torch.float32)
        powers = x_ND.new_empty(min(chunk, N), V, dtype=wide)
        own, log_sums, means = (x_ND.new_zeros(N, 1, dtype=wide) for _ in range(3))
        dx, dw = torch.empty_like(x_ND) if wanted else None, None
        db = torch.zeros_like(bias_V) if wanted and bias_V is not None else None
        for start in range(0, N, chunk):
            rows = slice(start, start + chunk)
            x, place, e = x_ND[rows], targets_N[rows, None], powers[: N - start]
            logits, slope = _logits(x, w_VD, bias_V, cap)  # in units of log(2)
            own[rows] = logits.gather(1, place)
            if epsilon:
                means[rows] = logits.mean(1, keepdim=True)
            sums, log_sums[rows] = _powers(logits, e)
            if dx is None:
                continue
            # The gradient of the logits is weight * (e / sum - one_hot); weight / sum rides on x and dx.
            if epsilon or z:
                e.mul_(1 + 2 * z * math.log(2) * log_sums[rows]).sub_(sums * (epsilon / V))
            e.scatter_add_(1, place, sums * (epsilon - 1.0))
            d_logits = e if slope is None else e.mul_(slope)
            d_logits = d_logits if x.dtype is wide else logits.copy_(d_logits)
            weight = weights_N[rows, None] / sums
            torch.mul(input_gradient(d_logits, w_VD), weight, out=dx[rows])
            dw = weight_gradient(d_logits, (x * weight).to(x.dtype), plus_OI=dw)
            if db is not None:
                db.addmv_(d_logits.t(), weight.squeeze(1).to(d_logits.dtype))
        losses_N = (log_sums - own).mul_(math.log(2)).squeeze(1)
        objective_N = losses_N
        if epsilon or z:
            log_z_N, mean_N = (x.squeeze(1) * math.log(2) for x in (log_sums, means))
            objective_N = (1 - epsilon) * losses_N + epsilon * (log_z_N - mean_N) + z * log_z_N.square()
        if wanted:
            dw = torch.zeros_like(w_VD) if dw is None else dw.contiguous()
        ctx.save_for_backward(dx, dw, db)
        ctx.mark_non_differentiable(losses_N)
        return (objective_N * weights_N).sum(), losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        dx, dw, db = ctx.saved_tensors
        return dx.mul_(grad), dw.mul_(grad), None, None, None if db is None else db.mul_(grad), None, None, None


def linear_cross_entropy(
    x_ND: Tensor,
    w_VD: Tensor,
    targets_N: Tensor,
    *,
    bias_V: Tensor | None = None,
    chunk: int | None = None,
    softcap: float | None = None,
    penalties: Penalties = PLAIN,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of softmax(x W^T), without ever holding all logits (the idea of Wijmans et al. 2024).

    The gradients are computed along with the loss, chunk by chunk, while the logits are still in cache.

    Args:
        x_ND: final hidden states.  w_VD: the output matrix.
        targets_N: int64; where they are negative, a position counts for nothing.
        bias_V: added to the logits.
        chunk: rows of logits that are held at a time; None: what suits the device.
        softcap: logits are softcap * tanh(logits / softcap); None: as they are.
        penalties: what the mean holds besides the loss.

    Returns:
        (mean over the counted positions in nats, plain loss of each position in nats: 0 where it counts for nothing).
        Only the mean has a gradient.
    """
    if chunk is None:
        held = LOGITS_HELD.get(x_ND.device.type, LOGITS_HELD["cpu"])
        chunk = max(32, held // len(w_VD))
    counted = targets_N >= 0
    weights = counted.to(torch.float32) / counted.sum().clamp_min(1)
    if not torch.is_grad_enabled():  # a parameter asks for its gradient even then, and evaluation would pay for it
        x_ND, w_VD = x_ND.detach(), w_VD.detach()
    mean, losses = _LinearCrossEntropy.apply(
        x_ND, w_VD, targets_N.clamp_min(0), weights, bias_V, chunk, softcap, penalties
    )
    return mean, losses * counted
