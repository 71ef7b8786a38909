"""The one training loop.

A run is a state that walks along a schedule:

    state = TrainState(spec)                      model, optimizer, step: nothing else
    train(state, feed, schedule, until)           batch(step) -> loss -> gradients -> update, step by step
    state.tensors() / state.load()                the whole state as named tensors: copied to branch, saved to resume

A branch copies the state where its decay begins, decays, is evaluated, and hands the copy back: the trunk goes on as
if it had never been left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError, WorkError
from assay.models.build import ModelConfig, build
from assay.models.protocol import PLAIN, Batch, Loss, Penalties
from assay.tokens.sampler import splitmix64
from assay.train.feed import Feed
from assay.train.optimizers import Optimizer, OptimizerConfig
from assay.train.precision import DTYPES, LossScale
from assay.train.schedules import Schedule

OnStep = Callable[[int, Batch, Tensor], None]
"""Is told the step that was done, its batch and the loss of each position (B, T)."""


class LossNotFinite(WorkError):
    """The loss of a step is no number; the state is that before the step."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(
            "the loss is not a number",
            where=f"step {step}",
            remedy="lower the learning rates, lengthen the warmup, or clip the gradients",
        )


@dataclass(frozen=True)
class TrainSpec:
    """Everything that decides a run's arithmetic, except its data.

    Attributes:
        dtype: see `precision`.
        micro_rows: a batch is computed in pieces of so many rows, whose gradients add up (for models whose batch does
            not fit into memory at once); None: at once.
    """

    model: ModelConfig
    optimizer: OptimizerConfig
    seed: int
    dtype: str = "float32"
    penalties: Penalties = PLAIN
    micro_rows: int | None = None


class TrainState:
    """A model on its way: parameters (float32), optimizer state, and the step it stands at."""

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
        self._scale = LossScale(device) if dtype == torch.float16 else None
        self.optimizer = Optimizer(self.masters, self.model.roles(), spec.optimizer)
        self._penalties, self._micro_rows = spec.penalties, spec.micro_rows
        self.span: Callable[[str], AbstractContextManager[Any]] = nullcontext
        self._seed = spec.seed if _has_dropout(asdict(spec.model)) else None

    def update(self, batch: Batch, factor: float) -> Tensor:
        """One step of training at `factor` of the peak learning rates; `batch` is on any device.

        Returns:
            the loss of each position, (B, T) in nats, on the model's device.

        Raises:
            LossNotFinite: on a CPU; elsewhere that would wait for the device at every step, and whoever reads the
                losses has to look.
        """
        if self._seed is not None:  # what is dropped is a function of seed and step: nothing to save
            key = splitmix64(splitmix64(np.array([self._seed])) + np.uint64(self.step))
            torch.manual_seed(int(key[0]) >> 1)
        losses_BT = self._backward(batch)
        with self.span("optimizer"):
            self._step(factor)
        self.step += 1
        return losses_BT

    def try_backward(self, batch: Batch) -> None:
        """Forward and backward pass of a batch, whose gradients are dropped: does it fit?"""
        try:
            self._backward(batch)
        finally:
            self.optimizer.drop_gradients()
            self.model.zero_grad(set_to_none=True)

    @torch.no_grad()
    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights, by name; those that are not named stay."""
        for name, tensor in weights.items():
            self.masters[name].copy_(tensor)
        self.refresh()

    def _step(self, factor: float) -> None:
        if self._low is not None:
            for name, low in self._low.items():
                if low.grad is not None:
                    self.masters[name].grad, low.grad = low.grad.float(), None
        if self._scale is None or self._scale.unscaled(self._gradients()):
            self.optimizer.step(factor)
            self.refresh()
        else:
            self.optimizer.drop_gradients()

    def _backward(self, batch: Batch) -> Tensor:
        """Gradients of the mean loss over the batch's targets; returns the loss of each position."""
        rows = len(batch.inputs_BT)
        if self._micro_rows is None or rows <= self._micro_rows:
            loss = self._loss(batch)
            with self.span("backward"):
                self._scaled(loss.mean).backward()
            return loss.losses_BT.detach()
        total = max(1, int((batch.targets_BT >= 0).sum()))
        losses = []
        for piece in batch.pieces(self._micro_rows):
            loss = self._loss(piece)
            share = int((piece.targets_BT >= 0).sum()) / total
            with self.span("backward"):
                self._scaled(loss.mean * share).backward()
            losses.append(loss.losses_BT.detach())
        return torch.cat(losses)

    def _loss(self, batch: Batch) -> Loss:
        with self.span("forward"):
            loss = self.model.loss(batch.to(self.device), self._penalties)
        if loss.mean.device.type == "cpu" and not loss.mean.isfinite():
            self.optimizer.drop_gradients()
            raise LossNotFinite(self.step)
        return loss

    def _scaled(self, mean: Tensor) -> Tensor:
        return mean if self._scale is None else mean * self._scale.value

    def _gradients(self) -> list[Tensor]:
        return [master.grad for master in self.masters.values() if master.grad is not None]

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the copy that the model computes with up to the masters."""
        for name, low in (self._low or {}).items():
            low.copy_(self.masters[name])

    def tensors(self) -> dict[str, Tensor]:
        """The whole state as named tensors (references)."""
        state = {f"model.{name}": p.detach() for name, p in self.masters.items()}
        state |= {f"optimizer.{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        if self._scale is not None:
            state |= {f"scale.{name}": tensor for name, tensor in self._scale.tensors().items()}
        return state | {"step": torch.tensor(self.step)}

    def copy(self) -> dict[str, Tensor]:
        """The whole state as named tensors of its own."""
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Go back (or on) to a state that `copy` gave.

        Raises:
            InputError: it is that of another model.
        """
        self._refuse_another(state)
        for name, parameter in self.masters.items():
            parameter.copy_(state[f"model.{name}"])
        self.optimizer.load(_below("optimizer.", state))
        if self._scale is not None:
            self._scale.load(_below("scale.", state))
        self.refresh()
        self.step = int(state["step"])

    def _refuse_another(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self.masters.items():
            given = state.get(f"model.{name}")
            if given is None or given.shape != parameter.shape:
                found = "missing" if given is None else f"of shape {tuple(given.shape)}"
                raise InputError(
                    f"{name} is {found} in the checkpoint, and of shape {tuple(parameter.shape)} in this model",
                    remedy="go on with the recipe that the checkpoint was made with",
                )


def _has_dropout(config: dict[str, Any]) -> bool:
    """Whether any key of a config, or of one within it, is a dropout that drops something."""
    return any(
        _has_dropout(value) if isinstance(value, dict) else "dropout" in name and value > 0
        for name, value in config.items()
    )


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def train(
    state: TrainState,
    feed: Feed,
    schedule: Schedule,
    until: int,
    on_step: OnStep | None = None,
) -> None:
    """Walk `state` to step `until`.

    Args:
        on_step: is told after each update; it may raise to stop.
    """
    while state.step < until:
        step = state.step
        batch = feed.batch(step)
        losses_BT = state.update(batch, schedule.factor(step))
        if on_step is not None:
            on_step(step, batch, losses_BT)
