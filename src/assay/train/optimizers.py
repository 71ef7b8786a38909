"""One optimizer over a model's parameters, by the roles that the model gives them.

Muon for matrices and AdamW for the rest by default; SGD, Adam, AdamW and Adafactor (Shazeer and Stern 2018: low memory)
for either, each PyTorch's own. Gradients are clipped by value, then by their norm over all parameters.

Muon (Jordan et al. 2024) replaces a matrix's momentum by the nearest semi-orthogonal matrix, found by Newton-Schulz
steps that are matrix products alone. Matrices of one shape are stacked and orthogonalised together: a small model
spends its time in many tiny products otherwise.

Parameters may be shared with other processes (`shards`): then so is the state, and each process orthogonalises some of
the matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from assay.errors import InputError
from assay.models.protocol import Role
from assay.train import shards
from assay.train.shards import is_shared, local

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


Kind = Literal["adamw", "adam", "sgd", "adafactor"]


@dataclass(frozen=True)
class OptimizerConfig:
    """Peak learning rates by role, and what they are used with.

    Attributes:
        matrix, rest: the optimizer of matrices and that of everything else.
        momentum: of Muon and SGD.
        weight_decay: of all but gains and biases; decoupled from the gradient (Loshchilov and Hutter 2019), but an L2
            penalty in Adam and SGD.
        l1: an L1 penalty on matrices.
        clip_value, clip_norm: bounds on each number of the gradient, and on its norm over all parameters.
    """

    matrix: Literal["muon"] | Kind = "muon"
    rest: Kind = "adamw"
    matrix_lr: float = 0.02
    embedding_lr: float = 0.02
    head_lr: float = 0.004
    vector_lr: float = 0.004
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    l1: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None

    def times(self, factor: float) -> OptimizerConfig:
        """The same with all rates multiplied."""
        return replace(
            self,
            matrix_lr=self.matrix_lr * factor,
            embedding_lr=self.embedding_lr * factor,
            head_lr=self.head_lr * factor,
            vector_lr=self.vector_lr * factor,
        )

    def relative(self, role: Role) -> tuple[float, ...] | None:
        """Of a stack, what the rate of a role is multiplied by in each member; None: all learn as fast."""
        return None


@dataclass(frozen=True)
class StackedOptimizerConfig(OptimizerConfig):
    """Of a stack (`models.stacked`): the first member's config, and the rates of all.

    Attributes:
        members: as the first in all but the rates.
    """

    members: tuple[OptimizerConfig, ...] = ()

    def relative(self, role: Role) -> tuple[float, ...] | None:
        rates = [getattr(member, f"{role}_lr") for member in self.members]
        return tuple(rate / rates[0] for rate in rates) if len(set(rates)) > 1 else None


def _made(kind: Kind, groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    match kind:
        case "adamw":
            return torch.optim.AdamW(groups, betas=config.betas, fused=True)
        case "adam":
            return torch.optim.Adam(groups, betas=config.betas, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, momentum=config.momentum)
        case "adafactor":
            return torch.optim.Adafactor(groups)


class Optimizer:
    """Updates a model's parameters; its whole state is named tensors.

    Args:
        parameters: by name.
        roles: what each is; each role has its own learning rate.
        factors: what the rates of some parameters are multiplied by.
        low: Muon's products are made in bfloat16, as by its authors: for models that compute in bfloat16 themselves,
            where it takes a quarter of the time. Its updates then differ by 1 % (Newton-Schulz itself leaves singular
            values of 0.7 to 1.1); gradients, momentum and parameters stay in float32.

    Raises:
        InputError: Adafactor of parameters that processes share.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        roles: Mapping[str, Role],
        config: OptimizerConfig,
        *,
        low: bool = False,
        factors: Mapping[str, float] | None = None,
    ) -> None:
        self.config, self._low = config, low
        self._factors = dict(factors or {})
        self._named = dict(parameters)
        self._own: dict[str, Tensor] = {  # of a stack whose members have rates of their own: (M, 1, ...)
            name: torch.tensor(own, device=p.device).view(-1, *[1] * (p.dim() - 1))
            for name, p in parameters.items()
            if (own := config.relative(roles[name])) is not None
        }
        if "adafactor" in (config.matrix, config.rest) and any(is_shared(p) for p in parameters.values()):
            raise InputError(
                "PyTorch's Adafactor cannot update parameters that processes share",
                remedy="choose adamw, or let every process have the whole model",
            )
        self._matrices = [parameter for name, parameter in parameters.items() if roles[name] == "matrix"]
        self.watched = False  # whether the norm of the gradient is to be known at every step
        self.gradient_norm: Tensor | None = None  # of the last step, before clipping; where it is known
        self._stacks: dict[tuple[int, ...], list[str]] = {}
        by_rate: dict[tuple[str, float], list[nn.Parameter]] = {}
        for name, parameter in parameters.items():
            if roles[name] == "matrix" and config.matrix == "muon":
                self._stacks.setdefault(tuple(parameter.shape), []).append(name)
            else:
                by_rate.setdefault((roles[name], self._factors.get(name, 1.0)), []).append(parameter)
        self._momentum = {
            shape: shards.stacked([torch.zeros_like(parameters[n].detach()) for n in names], parameters[names[0]])
            for shape, names in self._stacks.items()
        }
        self._plain = {
            kind: _made(kind, groups, config) for kind, groups in _groups(by_rate, config).items()
        }  # PyTorch's own optimizers

    @torch.no_grad()
    def step(self, factor: float) -> bool:
        """One update at `factor` of the peak learning rates; gradients are dropped afterwards.

        Returns:
            False where nothing was updated: the gradient's norm is known, and no number (on a CPU; elsewhere that would
            wait for the device).
        """
        self._bound()
        norm = self.gradient_norm
        if norm is not None and norm.device.type == "cpu" and not bool(norm.isfinite()):
            self.drop_gradients()
            return False
        self._step_plain(factor)
        for shape, names in self._stacks.items():
            self._step_stack(shape, names, factor)
        self.drop_gradients()
        return True

    def drop_gradients(self) -> None:
        """Forget the gradients, used or not."""
        for parameter in self._named.values():
            parameter.grad = None

    def _bound(self) -> None:
        """Penalties and bounds of the gradients."""
        config = self.config
        if config.l1:
            for matrix in self._matrices:
                if matrix.grad is not None:
                    local(matrix.grad).add_(local(matrix).sign(), alpha=config.l1)
        gradients = [parameter.grad for parameter in self._named.values() if parameter.grad is not None]
        if config.clip_value is not None:
            for gradient in gradients:
                local(gradient).clamp_(-config.clip_value, config.clip_value)
        if config.clip_norm is not None:
            self.gradient_norm = shards.total_norm(gradients)
            share = (config.clip_norm / (self.gradient_norm + 1e-6)).clamp_max(1.0)
            torch._foreach_mul_([local(gradient) for gradient in gradients], share)
        elif self.watched:
            self.gradient_norm = shards.total_norm(gradients)

    def _step_plain(self, factor: float) -> None:
        """PyTorch's optimizers know one rate for all members of a stack. What they change is in proportion to it: each
        member with a rate of its own gets its multiple of the change."""
        by_muon = {name for names in self._stacks.values() for name in names}
        before = {name: self._named[name].clone() for name in self._own if name not in by_muon}
        for plain in self._plain.values():
            for group in plain.param_groups:
                group["lr"] = group["peak"] * factor
            plain.step()
        for name, was in before.items():
            torch.lerp(was, self._named[name], self._own[name].expand_as(was), out=self._named[name])

    def _step_stack(self, shape: tuple[int, ...], names: list[str], factor: float) -> None:
        config, matrices = self.config, [self._named[name] for name in names]
        like = matrices[0]
        given = [torch.zeros_like(m) if m.grad is None else m.grad for m in matrices]  # the loss may not reach all
        gradient = shards.stacked(given, like).float()
        momentum = local(self._momentum[shape]).lerp_(local(gradient), 1 - config.momentum)
        local(gradient).lerp_(momentum, config.momentum)
        update = shards.by_whole_matrices(self._orthogonal, gradient)
        rate = config.matrix_lr * factor
        # Wide and tall matrices get updates of the same size per output (Bernstein 2025).
        scale = rate * max(1.0, shape[-2] / shape[-1]) ** 0.5
        for name, matrix, change in zip(names, matrices, shards.unstacked(update, matrices), strict=True):
            own, its = local(matrix), self._factors.get(name, 1.0)
            members = self._own.get(name)
            if config.weight_decay:
                own.mul_(1 - (its if members is None else its * members) * rate * config.weight_decay)
            own.add_(change if members is None else change * members, alpha=-its * scale)

    def _orthogonal(self, gradient: Tensor) -> Tensor:
        """(F, R, C), or (F, M, R, C) of the members of `models.stacked`."""
        gradient_FRC = gradient.flatten(0, -3)
        update_FRC = orthogonalise(gradient_FRC.bfloat16()).float() if self._low else orthogonalise(gradient_FRC)
        return update_FRC.view(gradient.shape)

    def tensors(self) -> dict[str, Tensor]:
        """The state, by name (references, not copies)."""
        state = {_of_momentum(shape): m for shape, m in self._momentum.items()}
        for kind, plain in self._plain.items():
            for name, parameter in self._named.items():
                for key, value in plain.state.get(parameter, {}).items():
                    if value is not None:
                        state[f"{kind}.{key}.{name}"] = value
        return state

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        for shape, momentum in self._momentum.items():
            name = _of_momentum(shape)
            momentum.copy_(shards.placed(state[name], momentum, name))
        by_name = {id(parameter): name for name, parameter in self._named.items()}
        for kind, plain in self._plain.items():
            for group in plain.param_groups:
                for parameter in group["params"]:
                    name = by_name[id(parameter)]
                    found = {key: state.get(f"{kind}.{key}.{name}") for key in _STATES[kind]}
                    plain.state[parameter] = {
                        key: _beside(parameter, tensor) for key, tensor in found.items() if tensor is not None
                    }

    def owners(self) -> dict[str, list[str]]:
        """Of which parameters each tensor of the state tells, by the names that `tensors` can give."""
        found = {_of_momentum(shape): list(names) for shape, names in self._stacks.items()}
        by_id = {id(parameter): name for name, parameter in self._named.items()}
        for kind, plain in self._plain.items():
            for group in plain.param_groups:
                names = [by_id[id(parameter)] for parameter in group["params"]]
                found |= {f"{kind}.{key}.{name}": [name] for key in _STATES[kind] for name in names}
        return found

    def like(self) -> dict[str, Tensor]:
        """For each name that `tensors` can give, a tensor that is shared as that one is, where it has its shape."""
        found: dict[str, Tensor] = {name: self._named[owners[0]] for name, owners in self.owners().items()}
        return found | {_of_momentum(shape): m for shape, m in self._momentum.items()}


def _beside(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """A tensor of a parameter's state, one of its own, where the parameter is; a saved one comes on the CPU. Sums over
    rows or columns, and numbers of steps, are whole everywhere."""
    if tensor.shape == parameter.shape and (is_shared(tensor) or is_shared(parameter)):
        return shards.placed(tensor, parameter).clone()
    return tensor.to(parameter.device, copy=True)


def _of_momentum(shape: Sequence[int]) -> str:
    """The name of the momenta of matrices of one shape, which is that of each member of a stack."""
    return f"momentum.{'x'.join(map(str, shape[-2:]))}"


_STATES: dict[Kind, Sequence[str]] = {
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
    "adafactor": ("step", "row_var", "col_var", "variance"),
}


def _groups(
    by_rate: dict[tuple[str, float], list[nn.Parameter]], config: OptimizerConfig
) -> dict[Kind, list[dict[str, Any]]]:
    """The parameter groups of each optimizer of PyTorch's, with the peak of their learning rate."""
    groups: dict[Kind, list[dict[str, Any]]] = {}
    for (role, factor), parameters in by_rate.items():
        kind = config.matrix if role == "matrix" and config.matrix != "muon" else config.rest
        rate = getattr(config, f"{role}_lr") * factor
        for shared in (False, True):  # PyTorch updates a group at once, and cannot where some are shared and some not
            if own := [p for p in parameters if is_shared(p) is shared]:
                decay = 0.0 if role == "vector" else config.weight_decay
                groups.setdefault(kind, []).append({"params": own, "lr": rate, "peak": rate, "weight_decay": decay})
    return groups
