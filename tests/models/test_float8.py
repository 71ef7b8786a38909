"""Products in 8 bits: against float64, within the digits of the formats; which layers make them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from assay.errors import InputError
from assay.models import float8
from assay.models.build import build
from assay.models.decoder import proxy, standard
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig

ADAMW = OptimizerConfig(matrix="adamw", matrix_lr=0.01, embedding_lr=0.01, head_lr=0.01, vector_lr=0.01)


def randn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    error = (found.double() - exact.double()).detach()
    return float(error.norm() / exact.detach().double().norm())


@pytest.mark.parametrize(("kind", "digits"), [(torch.float8_e4m3fn, 3), (torch.float8_e5m2, 2)])
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e30])
def test_a_tensor_fills_the_range_of_the_format(kind: torch.dtype, digits: int, size: float) -> None:
    x = randn(40, 30, seed=0) * size
    low, factor = float8.scaled(x, kind)
    assert float(low.float().abs().max()) == torch.finfo(kind).max
    largest = x.abs() > x.abs().max() / 100  # far from what the format writes with fewer digits
    error = ((low.float() * factor - x) / x).abs()[largest].max()
    assert float(error) <= 2.0 ** -(digits + 1)


def test_nothing_stays_nothing() -> None:
    low, factor = float8.scaled(torch.zeros(4, 4), torch.float8_e4m3fn)
    assert (low.float() == 0).all()
    assert factor.isfinite()


def test_the_three_products_are_those_of_float64() -> None:
    x, w, g = randn(32, 64, seed=1), randn(48, 64, seed=2), randn(32, 48, seed=3)
    low = [t.bfloat16().requires_grad_() for t in (x, w)]
    y = float8._Linear.apply(*low)
    assert y.dtype is torch.bfloat16
    found = [y, *torch.autograd.grad(y, low, g.bfloat16())]
    exact = [x.double() @ w.double().t(), g.double() @ w.double(), g.double().t() @ x.double()]
    for a, b in zip(found, exact, strict=True):
        assert 0.005 < relative(a, b) < 0.08  # in 8 bits, and no worse


def test_layers_of_blocks_are_changed_and_nothing_else() -> None:
    model = build(standard(40, 2, 32, 2, max_length=16), torch.Generator().manual_seed(0))
    names = dict(model.named_parameters())
    assert float8.convert(model) == 2 * 4  # qkv, out, up, down
    assert dict(model.named_parameters()).keys() == names.keys()
    odd = build(standard(40, 1, 24, 2, max_length=16), None)  # 24 is no multiple of 16
    assert float8.convert(odd) == 0
    assert float8.convert(nn.Linear(16, 16)) == 0  # of no block


def test_rows_that_do_not_fit_are_multiplied_as_ever() -> None:
    layer = nn.Linear(32, 16)
    layer.__class__ = float8.Float8Linear
    x = randn(3, 32, seed=0)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
    many = randn(4, 8, 32, seed=1).bfloat16()
    layer.bfloat16()
    found, exact = layer(many), nn.functional.linear(many.double(), layer.weight.double(), layer.bias.double())
    assert found.shape == (4, 8, 16)
    assert relative(found, exact) < 0.08


@pytest.mark.parametrize("config", [proxy(40, 2, 32, 2), standard(40, 2, 32, 2)], ids=["proxy", "standard"])
def test_a_model_learns_as_it_does_in_bfloat16(config: object) -> None:
    spec = TrainSpec(config, ADAMW, seed=0, dtype="bfloat16")  # type: ignore[arg-type]
    ids = torch.randint(1, 40, (4, 17), generator=torch.Generator().manual_seed(0))
    batch = Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
    curves = []
    for dtype in ("bfloat16", "float8"):
        state = TrainState(replace(spec, dtype=dtype))
        curves.append([float(state.update(batch, 1.0).mean()) for _ in range(30)])
    plain, low = curves
    assert low != plain
    assert low[-1] < 0.5 * low[0]
    assert max(abs(a - b) for a, b in zip(plain, low, strict=True)) < 0.3


def test_a_model_without_such_layers_is_refused() -> None:
    with pytest.raises(InputError, match="no layer of this model can be computed in float8"):
        TrainState(TrainSpec(RecurrentConfig(40, 1, 16, "lstm"), ADAMW, seed=0, dtype="float8"))
