"""Matrices as whole numbers: what rounding may lose, GPTQ against its definition, AWQ against plain rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from assay.compress import grids


def _inputs(n: int, width: int, seed: int) -> Tensor:
    """Inputs that hang together, some of them large."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(n, width, generator=generator) @ torch.randn(width, width, generator=generator)
    return mixed * torch.rand(width, generator=generator).exp2().pow(3)


def _matrix(outputs: int, inputs: int, seed: int) -> Tensor:
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed))


def test_eight_bits_are_half_a_step_away_at_most_and_zero_stays_zero() -> None:
    w = _matrix(9, 33, 0)
    w[2], w[:, 5] = 0.0, 0.0
    q, scale = grids.rows_of_8(w)
    assert q.dtype == torch.int8
    assert ((q * scale[:, None] - w).abs() <= scale[:, None] * 0.5001).all()
    assert (q[2] == 0).all()
    assert (q[:, 5] == 0).all()
    assert (q.abs().amax(1)[[0, 1, 3]] == 127).all()


@pytest.mark.parametrize("inputs", [64, 70, 31])
def test_four_bits_are_half_a_step_of_their_group_away_at_most(inputs: int) -> None:
    w = _matrix(8, inputs, 1)
    w[3] = 0.0
    w[4] = w[4].abs() + 1  # all on one side: 0 is on the grid nevertheless
    found = grids.groups_of_4(w, 32)
    scale = found.scale.float().repeat_interleave(32, 1)[:, :inputs]
    assert found.q.min() >= 0
    assert found.q.max() <= 15
    assert ((grids.dense(found, 32) - w).abs() <= scale * 0.51).all()
    assert (grids.dense(found, 32)[3] == 0).all()
    assert (grids.back(found.zero.float(), found.scale.float(), found.zero) == 0).all()


def _by_definition(w: Tensor, h: Tensor, group: int) -> Tensor:
    """Optimal brain quantization, column by column: the inverse of what is left of H is computed anew each time."""
    w, h = w.double().clone(), h.double().clone()
    h += torch.eye(len(h)) * grids.DAMPING * h.diagonal().mean()
    made = torch.zeros_like(w)
    for i in range(w.shape[1]):
        if i % group == 0:
            scale, zero = grids.grid(w[:, i : i + group])
        made[:, i] = grids.back(grids.whole(w[:, i], scale, zero), scale, zero)
        inverse = torch.linalg.inv(h[i:, i:])
        w[:, i:] -= ((w[:, i] - made[:, i]) / inverse[0, 0])[:, None] * inverse[0]
    return made


@pytest.mark.parametrize(("inputs", "group"), [(32, 32), (40, 16), (24, 8)])
def test_gptq_is_what_its_paper_defines(inputs: int, group: int) -> None:
    w, x = _matrix(6, inputs, 2), _inputs(200, inputs, 3)
    h = x.t() @ x
    found = grids.dense(grids.gptq(w, h, group), group)
    torch.testing.assert_close(found.double(), _by_definition(w, h, group), atol=1e-6, rtol=0)


def test_gptq_changes_outputs_less_than_rounding() -> None:
    for seed in range(5):
        w, x = _matrix(32, 96, seed), _inputs(400, 96, seed + 10)
        h = x.t() @ x
        by_rounding = (x @ (grids.dense(grids.groups_of_4(w, 32), 32) - w).t()).square().sum()
        by_gptq = (x @ (grids.dense(grids.gptq(w, h, 32), 32) - w).t()).square().sum()
        assert by_gptq < 0.8 * by_rounding
        assert grids.change(grids.dense(grids.gptq(w, h, 32), 32) - w, h) == pytest.approx(float(by_gptq), rel=1e-3)


def test_gptq_of_inputs_that_have_nothing_to_do_with_each_other_is_rounding() -> None:
    w = _matrix(5, 64, 4)
    torch.testing.assert_close(grids.gptq(w, torch.eye(64), 32).q, grids.groups_of_4(w, 32).q)


def test_gptq_takes_inputs_that_are_always_zero() -> None:
    w, x = _matrix(5, 64, 4), _inputs(100, 64, 1)
    x[:, 7] = 0.0
    assert grids.dense(grids.gptq(w, x.t() @ x, 32), 32).isfinite().all()
    assert grids.dense(grids.gptq(w, torch.zeros(64, 64), 32), 32).isfinite().all()


def test_awq_is_never_worse_than_rounding_and_better_where_few_inputs_carry_much() -> None:
    w, x = _matrix(32, 64, 5), torch.randn(300, 64, generator=torch.Generator().manual_seed(6))
    for loud in (1.0, 40.0):
        x[:, [3, 40]] *= loud
        h = x.t() @ x
        found, balance = grids.balanced(w, h, x.abs().mean(0), 32)
        mine = grids.change(grids.dense(found, 32) * balance - w, h)
        plain = grids.change(grids.dense(grids.groups_of_4(w, 32), 32) - w, h)
        assert mine <= plain * (1 + 1e-9)
    assert mine < 0.5 * plain


def test_fixed_inputs_have_the_share_of_their_range_that_loses_least() -> None:
    rng = np.random.default_rng(0)
    sample = torch.from_numpy(np.append(rng.standard_normal(4000), [30.0])).float()
    scale, zero = grids.fixed(sample, float(sample.min()), 30.0)

    def lost(step: float, nought: float) -> float:
        back = ((sample / step + nought).round().clamp(-128, 127) - nought) * step
        return float((back - sample).square().sum())

    whole = (30.0 - float(sample.min())) / 255
    assert lost(scale, zero) <= lost(whole, round(-128 - float(sample.min()) / whole))
    positive = sample.abs()
    scale, zero = grids.fixed(positive, 0.0, float(positive.max()))
    assert zero == -128  # numbers on one side have all 256 steps there
