"""Muon for matrices, AdamW for the rest, by the roles that a model gives its parameters.

Muon (Jordan et al. 2024) replaces a matrix's momentum by the nearest semi-orthogonal matrix, found by Newton-Schulz
steps that are matrix products alone. Matrices of one shape are stacked and orthogonalised together: a small model
spends its time in many tiny products otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from assay.models.protocol import Role

# Quintic coefficients that push all singular values towards 1 in five steps (Jordan et al. 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalise(g_FRC: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of each matrix of a stack (F, R, C) close to 1, keeping its singular vectors."""
    x = g_FRC / (g_FRC.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        x = torch.baddbmm(x, polynomial, x, beta=_A)
    return x.mT if tall else x


@dataclass(frozen=True)
class OptimizerConfig:
    """Peak learning rates by role, and what they are used with; `matrix` names the optimizer of matrices."""

    matrix: Literal["muon", "adamw"] = "muon"
    matrix_lr: float = 0.02
    embedding_lr: float = 0.02
    head_lr: float = 0.004
    vector_lr: float = 0.004
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0


class MuonAdamW:
    """One optimizer over a model's parameters; its whole state is named tensors.

    Args:
        parameters: by name.
        roles: what each is: "matrix" goes to Muon (unless the config says AdamW), the others to AdamW, each role
            with its own learning rate.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], roles: Mapping[str, Role], config: OptimizerConfig
    ) -> None:
        self.config = config
        self._named = dict(parameters)
        self._stacks: dict[tuple[int, ...], list[str]] = {}
        by_role: dict[str, list[nn.Parameter]] = {}
        for name, parameter in parameters.items():
            if roles[name] == "matrix" and config.matrix == "muon":
                self._stacks.setdefault(tuple(parameter.shape), []).append(name)
            else:
                by_role.setdefault(roles[name], []).append(parameter)
        self._momentum = {
            shape: torch.zeros(len(names), *shape, device=parameters[names[0]].device)
            for shape, names in self._stacks.items()
        }
        groups = [
            {"params": group, "lr": getattr(config, f"{role}_lr"), "peak": getattr(config, f"{role}_lr")}
            for role, group in by_role.items()
        ]
        self._adamw = torch.optim.AdamW(groups, betas=config.betas, weight_decay=config.weight_decay, fused=True)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update at `factor` of the peak learning rates; gradients are dropped afterwards."""
        for group in self._adamw.param_groups:
            group["lr"] = group["peak"] * factor
        self._adamw.step()
        for shape, names in self._stacks.items():
            self._step_stack(shape, [self._named[name] for name in names], factor)
        for parameter in self._named.values():
            parameter.grad = None

    def _step_stack(self, shape: tuple[int, ...], matrices: list[nn.Parameter], factor: float) -> None:
        config = self.config
        gradient = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None]).float()
        momentum = self._momentum[shape].lerp_(gradient, 1 - config.momentum)
        update = orthogonalise(gradient.lerp_(momentum, config.momentum))
        rate = config.matrix_lr * factor
        # Wide and tall matrices get updates of the same size per output (Bernstein 2025).
        scale = rate * max(1.0, shape[0] / shape[1]) ** 0.5
        for matrix, change in zip(matrices, update.unbind(), strict=True):
            if config.weight_decay:
                matrix.mul_(1 - rate * config.weight_decay)
            matrix.add_(change, alpha=-scale)

    def tensors(self) -> dict[str, Tensor]:
        """The state, by name (references, not copies)."""
        state = {f"momentum.{'x'.join(map(str, shape))}": m for shape, m in self._momentum.items()}
        for name, parameter in self._named.items():
            for key, value in self._adamw.state.get(parameter, {}).items():
                state[f"adamw.{key}.{name}"] = value
        return state

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        for shape, momentum in self._momentum.items():
            momentum.copy_(state[f"momentum.{'x'.join(map(str, shape))}"])
        by_name = {id(parameter): name for name, parameter in self._named.items()}
        for group in self._adamw.param_groups:
            for parameter in group["params"]:
                name = by_name[id(parameter)]
                self._adamw.state[parameter] = {
                    key: state[f"adamw.{key}.{name}"].clone()
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"adamw.{key}.{name}" in state
                }
