"""The one training loop.

A run is a state that walks along a schedule:

    state = TrainState(spec)                      model, optimizer, step: nothing else
    train(state, until)                           batch(step) -> objective -> loss -> gradients -> update, step by step
    state.tensors() / state.load()                the whole state as named tensors: copied to branch, saved to resume

A branch copies the state where its decay begins, decays, is evaluated, and hands the copy back: the trunk goes on as
if it had never been left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.models.build import ModelConfig, build
from assay.models.protocol import PLAIN, Batch, Penalties
from assay.tokens.sampler import Sampler, splitmix64
from assay.train.objectives import NEXT_TOKEN, Objective
from assay.train.optimizers import Optimizer, OptimizerConfig
from assay.train.schedules import Schedule

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class TrainSpec:
    """Everything that decides a run's arithmetic, except its data."""

    model: ModelConfig
    optimizer: OptimizerConfig
    seed: int
    dtype: str = "float32"
    penalties: Penalties = PLAIN


class TrainState:
    """A model on its way: parameters (float32), optimizer state, and the step it stands at.

    With a lower precision the model computes in that type, while the optimizer updates a float32 master copy:
    weights that are kept in bfloat16 alone stop moving once updates fall below their last digit.
    """

    def __init__(self, spec: TrainSpec, device: str = "cpu") -> None:
        generator = torch.Generator().manual_seed(spec.seed)
        self.model = build(spec.model, generator).to(device)
        self.masters = dict(self.model.named_parameters())
        self.device = device
        self.step = 0
        dtype = DTYPES[spec.dtype]
        self._low: dict[str, torch.nn.Parameter] | None = None
        if dtype != torch.float32:
            self.masters = {n: torch.nn.Parameter(p.detach().clone()) for n, p in self.masters.items()}
            self.model.to(dtype)
            self._low = dict(self.model.named_parameters())
        self.optimizer = Optimizer(self.masters, self.model.roles(), spec.optimizer)
        self._penalties = spec.penalties
        self._seed = spec.seed if _has_dropout(asdict(spec.model)) else None

    def update(self, batch: Batch, factor: float) -> Tensor:
        """One step of training; returns the loss of each position, (B, T) in nats, on the device."""
        if self._seed is not None:  # what is dropped is a function of seed and step: nothing to save
            key = splitmix64(splitmix64(np.array([self._seed])) + np.uint64(self.step))
            torch.manual_seed(int(key[0]) >> 1)
        loss = self.model.loss(batch, self._penalties)
        loss.mean.backward()
        if self._low is not None:
            for name, low in self._low.items():
                if low.grad is not None:
                    self.masters[name].grad, low.grad = low.grad.float(), None
        self.optimizer.step(factor)
        if self._low is not None:
            self._refresh_low()
        self.step += 1
        return loss.losses_BT.detach()

    @torch.no_grad()
    def _refresh_low(self) -> None:
        for name, low in (self._low or {}).items():
            low.copy_(self.masters[name])

    def tensors(self) -> dict[str, Tensor]:
        """The whole state as named tensors (references)."""
        state = {f"model.{name}": p.detach() for name, p in self.masters.items()}
        state |= {f"optimizer.{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        return state | {"step": torch.tensor(self.step)}

    def copy(self) -> dict[str, Tensor]:
        """The whole state as named tensors of its own."""
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Go back (or on) to a state that `copy` gave."""
        for name, parameter in self.masters.items():
            parameter.copy_(state[f"model.{name}"])
        prefix = "optimizer."
        self.optimizer.load({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
        self._refresh_low()
        self.step = int(state["step"])


def _has_dropout(config: dict[str, Any]) -> bool:
    """Whether any key of a config, or of one within it, is a dropout that drops something."""
    return any(
        _has_dropout(value) if isinstance(value, dict) else "dropout" in name and value > 0
        for name, value in config.items()
    )


def train(
    state: TrainState,
    sampler: Sampler,
    schedule: Schedule,
    until: int,
    on_step: Callable[[int, Tensor], None] | None = None,
    objective: Objective = NEXT_TOKEN,
) -> None:
    """Walk `state` to step `until`.

    Args:
        on_step: (step, losses_BT) are told after each update; it may raise to stop.
        objective: what the model is asked.
    """
    while state.step < until:
        step = state.step
        batch = objective(sampler.batch(step), sampler.plan.seed, step)
        losses_BT = state.update(batch.to(state.device), schedule.factor(step))
        if on_step is not None:
            on_step(step, losses_BT)
