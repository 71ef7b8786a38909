"""Muon and AdamW against torch's own and against the formulas in float64; the state is all there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from assay.models.protocol import Role
from assay.train.optimizers import Optimizer, OptimizerConfig, orthogonalise

SHAPES: dict[str, tuple[tuple[int, int], Role]] = {
    "a": ((12, 8), "matrix"), "b": ((12, 8), "matrix"), "c": ((8, 20), "matrix"), "d": ((6, 6), "matrix"),
    "embedding": ((15, 8), "embedding"), "head": ((15, 8), "head"),
}  # fmt: skip
ROLES: dict[str, Role] = {name: role for name, (_, role) in SHAPES.items()}
CONFIG = OptimizerConfig(matrix_lr=0.03, embedding_lr=0.05, head_lr=0.01, weight_decay=0.1)
FACTORS = [0.2, 0.6, 1.0, 1.0, 0.5]


def parameters(seed: int = 0) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, (shape, _) in SHAPES.items()}


def gradient(name: str, step: int) -> Tensor:
    shape, _ = SHAPES[name]
    return torch.randn(shape, generator=torch.Generator().manual_seed(100 * step + list(SHAPES).index(name)))


def walk(own: dict[str, nn.Parameter], optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        for name, parameter in own.items():
            parameter.grad = gradient(name, step)
        optimizer.step(FACTORS[step])
        assert all(parameter.grad is None for parameter in own.values())


def newton_schulz(g: Tensor) -> Tensor:
    """Jordan et al. 2024, in float64, for one matrix."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    x = x.t() if x.shape[0] > x.shape[1] else x
    for _ in range(5):
        s = x @ x.t()
        x = a * x + b * s @ x + c * s @ s @ x
    return x.t() if g.shape[0] > g.shape[1] else x


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 40, 10), (4, 10, 40)])
def test_orthogonalise_brings_singular_values_near_one_and_keeps_singular_vectors(shape: tuple[int, ...]) -> None:
    stack = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for g, x in zip(stack, orthogonalise(stack), strict=True):
        u, s, vh = torch.linalg.svd(g, full_matrices=False)
        inside = u.t() @ x @ vh.t()  # diagonal where the singular vectors are the same
        values = torch.diagonal(inside)
        well = s > 0.05 * s.max()  # five steps lift no singular value that is next to nothing
        assert values[well].min() > 0.6
        assert values.max() < 1.3
        assert (inside - torch.diag(values)).abs().max() < 1e-3
        torch.testing.assert_close(x.double(), newton_schulz(g.double()), rtol=1e-3, atol=1e-4)


def test_updates_of_low_muon_are_those_of_float32_but_for_rounding() -> None:
    own, low = parameters(), parameters()
    before = {name: p.detach().clone() for name, p in own.items()}
    walk(own, Optimizer(own, ROLES, CONFIG), range(1))
    walk(low, Optimizer(low, ROLES, CONFIG, low=True), range(1))
    for name, start in before.items():
        update, other = own[name].detach() - start, low[name].detach() - start
        assert low[name].dtype is torch.float32
        assert (update - other).norm() < 0.03 * update.norm()
        if ROLES[name] == "matrix":
            assert not torch.equal(update, other)


def test_matrices_of_a_stack_do_not_mix() -> None:
    stack = torch.randn(5, 7, 9, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([orthogonalise(g[None]) for g in stack])
    torch.testing.assert_close(orthogonalise(stack), alone)
    torch.testing.assert_close(orthogonalise(stack * 1000.0), alone, rtol=1e-4, atol=1e-5)  # nor does the scale count


def test_muon_follows_its_formula_step_by_step() -> None:
    own = parameters()
    reference = {name: p.detach().double().clone() for name, p in own.items() if ROLES[name] == "matrix"}
    momentum = {name: torch.zeros_like(p) for name, p in reference.items()}
    walk(own, Optimizer(own, ROLES, CONFIG), range(len(FACTORS)))
    for step, factor in enumerate(FACTORS):
        for name, p in reference.items():
            g, rate = gradient(name, step).double(), CONFIG.matrix_lr * factor
            momentum[name] = 0.95 * momentum[name] + 0.05 * g
            update = newton_schulz(0.05 * g + 0.95 * momentum[name])  # Nesterov
            p.mul_(1 - rate * CONFIG.weight_decay)
            p.sub_(rate * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 * update)
    for name, p in reference.items():
        torch.testing.assert_close(own[name].double(), p, rtol=1e-4, atol=1e-4)


def test_muon_is_that_of_torch() -> None:
    """torch.optim.Muon does its Newton-Schulz steps in bfloat16, hence the tolerance."""
    own, theirs = parameters(), parameters()
    matrices = [theirs[name] for name in theirs if ROLES[name] == "matrix"]
    other = torch.optim.Muon(matrices, lr=CONFIG.matrix_lr, momentum=0.95, nesterov=True, weight_decay=0.1)
    before = {name: p.detach().clone() for name, p in own.items()}
    optimizer = Optimizer(own, ROLES, CONFIG)
    for step in range(3):
        for name in own:
            own[name].grad, theirs[name].grad = gradient(name, step), gradient(name, step)
        optimizer.step(1.0)
        other.step()
    for name in own:
        if ROLES[name] == "matrix":
            moved, expected = own[name] - before[name], theirs[name] - before[name]
            assert (moved - expected).norm() < 0.03 * expected.norm(), name


def test_adamw_is_that_of_torch_with_a_rate_for_each_role() -> None:
    own, theirs = parameters(), parameters()
    walk(own, Optimizer(own, ROLES, CONFIG), range(len(FACTORS)))
    for name, peak in (("embedding", CONFIG.embedding_lr), ("head", CONFIG.head_lr)):
        other = torch.optim.AdamW([theirs[name]], betas=CONFIG.betas, weight_decay=0.1, fused=False, foreach=False)
        for step, factor in enumerate(FACTORS):
            theirs[name].grad = gradient(name, step)
            other.param_groups[0]["lr"] = peak * factor
            other.step()
        torch.testing.assert_close(own[name], theirs[name], rtol=1e-5, atol=1e-6)


KINDS = pytest.mark.parametrize(
    "config",
    [CONFIG, *(replace(CONFIG, matrix=kind, rest=kind, clip_norm=1.0, l1=0.01) for kind in
               ("adamw", "adam", "sgd", "adafactor"))],
    ids=lambda config: config.matrix,
)  # fmt: skip


@KINDS
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_the_named_state_is_the_whole_state(config: OptimizerConfig, stop: int) -> None:
    straight = parameters()
    walk(straight, Optimizer(straight, ROLES, config), range(5))

    first = parameters()
    optimizer = Optimizer(first, ROLES, config)
    walk(first, optimizer, range(stop))
    state = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}

    second = parameters(seed=9)  # another optimizer, with a past of its own
    resumed = Optimizer(second, ROLES, config)
    walk(second, resumed, range(2))
    with torch.no_grad():
        for name in second:
            second[name].copy_(first[name])
    resumed.load(state)
    walk(second, resumed, range(stop, 5))
    for name in straight:
        assert torch.equal(straight[name], second[name]), name


def test_a_state_that_was_loaded_is_not_shared() -> None:
    own = parameters()
    optimizer = Optimizer(own, ROLES, CONFIG)
    walk(own, optimizer, range(1))
    state = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    before = {name: tensor.clone() for name, tensor in state.items()}
    optimizer.load(state)
    walk(own, optimizer, range(1, 3))
    assert all(torch.equal(state[name], before[name]) for name in state)


OTHERS = {
    "adam": lambda p, rate: torch.optim.Adam([p], rate, betas=CONFIG.betas, weight_decay=0.1, foreach=False),
    "sgd": lambda p, rate: torch.optim.SGD([p], rate, momentum=0.95, weight_decay=0.1, foreach=False),
    "adafactor": lambda p, rate: torch.optim.Adafactor([p], rate, weight_decay=0.1, foreach=False),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_optimizers_are_those_of_torch(kind: str) -> None:
    own, theirs = parameters(), parameters()
    config = replace(CONFIG, matrix=kind, rest=kind)  # type: ignore[arg-type]
    walk(own, Optimizer(own, ROLES, config), range(len(FACTORS)))
    rates = {"matrix": CONFIG.matrix_lr, "embedding": CONFIG.embedding_lr, "head": CONFIG.head_lr}
    for name, parameter in theirs.items():
        other = OTHERS[kind](parameter, rates[ROLES[name]])
        for step, factor in enumerate(FACTORS):
            parameter.grad = gradient(name, step)
            other.param_groups[0]["lr"] = rates[ROLES[name]] * factor
            other.step()
        torch.testing.assert_close(own[name], parameter, rtol=1e-5, atol=1e-6)


def test_gradients_are_bounded_and_penalised_before_they_are_used() -> None:
    """Plain gradient descent shows what gradient was used."""
    plain = replace(CONFIG, matrix="sgd", rest="sgd", momentum=0.0, weight_decay=0.0)
    for changed in ({"clip_value": 0.3}, {"clip_norm": 2.0}, {"l1": 0.5}, {"clip_value": 0.3, "clip_norm": 2.0}):
        own = parameters()
        before = {name: p.detach().clone() for name, p in own.items()}
        optimizer = Optimizer(own, ROLES, replace(plain, **changed))  # type: ignore[arg-type]
        walk(own, optimizer, range(1))
        expected = {name: gradient(name, 0) for name in own}
        if "l1" in changed:
            expected = {n: g + 0.5 * before[n].sign() if ROLES[n] == "matrix" else g for n, g in expected.items()}
        if "clip_value" in changed:
            expected = {n: g.clamp(-0.3, 0.3) for n, g in expected.items()}
        norm = torch.stack([g.norm() for g in expected.values()]).norm()
        if "clip_norm" in changed:
            expected = {n: g * min(1.0, 2.0 / float(norm)) for n, g in expected.items()}
            assert optimizer.gradient_norm is not None
            torch.testing.assert_close(optimizer.gradient_norm, norm)
        rates = {"matrix": CONFIG.matrix_lr, "embedding": CONFIG.embedding_lr, "head": CONFIG.head_lr}
        for name, p in own.items():
            rate = rates[ROLES[name]] * FACTORS[0]
            torch.testing.assert_close(before[name] - p, rate * expected[name], rtol=1e-4, atol=1e-6)


def test_a_gradient_that_is_no_number_updates_nothing() -> None:
    """Where its norm is known; what was there before can be saved."""
    linear = nn.Linear(4, 3)
    optimizer = Optimizer(dict(linear.named_parameters()), {"weight": "matrix", "bias": "vector"}, OptimizerConfig())
    optimizer.watched = True
    before = [parameter.detach().clone() for parameter in linear.parameters()]
    for value, updated in ((float("nan"), False), (1.0, True)):
        for parameter in linear.parameters():
            parameter.grad = torch.full_like(parameter, value)
        assert optimizer.step(1.0) is updated
        assert all(torch.equal(a, b) for a, b in zip(before, linear.parameters(), strict=True)) is not updated


def test_a_matrix_that_the_loss_does_not_reach_stays() -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    parameters = {"first": first.weight, "second": second.weight}
    optimizer = Optimizer(parameters, {"first": "matrix", "second": "matrix"}, OptimizerConfig())
    before = second.weight.detach().clone()
    first.weight.grad = torch.ones(4, 4)
    optimizer.step(1.0)
    assert torch.equal(second.weight, before)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_gains_and_biases_do_not_decay(kind: Any) -> None:
    linear = nn.Linear(4, 3)
    config = OptimizerConfig(matrix=kind, rest=kind, weight_decay=0.5)
    optimizer = Optimizer(dict(linear.named_parameters()), {"weight": "matrix", "bias": "vector"}, config)
    weight, bias = (parameter.detach().clone() for parameter in (linear.weight, linear.bias))
    for parameter in linear.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(1.0)
    assert bool((linear.weight.detach().abs() < weight.abs()).all())
    assert torch.equal(linear.bias, bias)


def test_a_saved_state_goes_where_its_parameters_are() -> None:
    """It comes from a file, on the CPU."""
    own = {name: nn.Parameter(torch.empty(shape, device="meta")) for name, (shape, _) in SHAPES.items()}
    optimizer = Optimizer(own, ROLES, OptimizerConfig(matrix="sgd", rest="sgd"))
    optimizer.load({f"sgd.momentum_buffer.{name}": torch.ones(shape) for name, (shape, _) in SHAPES.items()})
    found = optimizer.tensors()
    assert set(found) == {f"sgd.momentum_buffer.{name}" for name in SHAPES}
    assert {tensor.device.type for tensor in found.values()} == {"meta"}
