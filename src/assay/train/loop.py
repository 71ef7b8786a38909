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
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError, WorkError
from assay.models import float8, lora
from assay.models.build import ModelConfig, build
from assay.models.protocol import PLAIN, Batch, Loss, Penalties, check_ids
from assay.models.stacked import StackedConfig
from assay.tokens.sampler import splitmix64
from assay.train.feed import Feed
from assay.train.optimizers import Optimizer, OptimizerConfig
from assay.train.precision import DTYPES, LossScale
from assay.train.schedules import Schedule
from assay.train.shards import local, placed
from assay.train.tuning import ALL_ALIKE, Tuning
from assay.train.world import Alone

OnStep = Callable[[int, Batch, Tensor], None]
"""Is told the step that was done, its batch and the loss of each position (B, T)."""


class LossNotFinite(WorkError):
    """The loss of a step, or the norm of its gradient, is no number; the weights are those before the step."""

    def __init__(
        self, step: int, what: str = "the loss or its gradient is not a number", of: str | None = None
    ) -> None:
        self.step = step
        super().__init__(
            what,
            where=f"step {step}" if of is None else f"{of}, step {step}",
            remedy="lower the learning rates, lengthen the warmup, or clip the gradients",
        )


@dataclass(frozen=True)
class TrainSpec:
    """Everything that decides a run's arithmetic, except its data.

    Attributes:
        dtype: see `precision`.
        micro_rows: a batch is computed in pieces of so many rows, whose gradients add up (for models whose batch does
            not fit into memory at once); None: at once.
        checkpointing: activations are computed anew in the backward pass instead of kept.
        tuning: what is trained of the model, and how fast; all alike where it says nothing.
    """

    model: ModelConfig
    optimizer: OptimizerConfig
    seed: int
    dtype: str = "float32"
    penalties: Penalties = PLAIN
    micro_rows: int | None = None
    checkpointing: bool = False
    tuning: Tuning = ALL_ALIKE


class TrainState:
    """A model on its way: parameters (float32), optimizer state, the step it stands at, and of a model that carries a
    state from step to step what all rows have left.

    Args:
        device: where one process computes.
        parallel: how several train together, each on its own device; None: one alone.
    """

    def __init__(self, spec: TrainSpec, device: str = "cpu", parallel: Alone | None = None) -> None:
        if isinstance(spec.model, StackedConfig) and (
            spec.micro_rows or spec.optimizer.clip_norm or "adafactor" in (spec.optimizer.matrix, spec.optimizer.rest)
        ):
            raise InputError(
                "members of a stack cannot be computed in pieces, clipped by norm, or trained by Adafactor",
                where="stacked", remedy="train them one by one",
            )  # fmt: skip
        self.parallel = parallel or Alone(device)
        self.device = self.parallel.device
        self.step = 0
        dtype = DTYPES[spec.dtype]
        self.model = build(spec.model, torch.Generator().manual_seed(spec.seed), checkpointing=spec.checkpointing)
        if spec.dtype == "float8" and not float8.convert(self.model):
            raise InputError(
                "no layer of this model can be computed in float8", where="train.dtype", remedy="give bfloat16"
            )
        spec.tuning.apply(self.model, spec.seed)
        self.parallel.lay_out(self.model, dtype)
        self.masters = dict(self.model.named_parameters())
        self._low: dict[str, torch.nn.Parameter] | None = None
        if dtype != torch.float32 and not self.parallel.keeps_masters:
            self.masters = {
                n: torch.nn.Parameter(p.detach().clone(), requires_grad=p.requires_grad)
                for n, p in self.masters.items()
            }
            self.model.to(dtype)
            self._low = dict(self.model.named_parameters())
        self._computed = self.parallel.computes(self.model)
        self._scale = LossScale(self.device) if dtype == torch.float16 else None
        low = dtype is torch.bfloat16
        trained = {name: master for name, master in self.masters.items() if master.requires_grad}
        roles = self.model.roles()
        factors = spec.tuning.factors(list(trained), roles)
        self.optimizer = Optimizer(trained, roles, spec.optimizer, low=low, factors=factors)
        self._penalties, self._micro_rows = spec.penalties, spec.micro_rows
        self._looks = torch.device(self.device).type == "cpu" and not isinstance(spec.model, StackedConfig)
        self._sparse = spec.tuning.sparse
        self._kept: dict[str, Tensor] = {}  # of each matrix that holds zeros where it does not
        self._carried: Tensor | None = None
        self.span: Callable[[str], AbstractContextManager[Any]] = nullcontext
        self._seed = spec.seed if _has_dropout(asdict(spec.model)) else None

    def update(self, batch: Batch, factor: float) -> Tensor:
        """One step of training at `factor` of the peak learning rates; `batch` is on any device, and it is the whole
        one in every process.

        Returns:
            the loss of each position, (B, T) in nats, on the model's device.

        Raises:
            LossNotFinite: on a CPU, of a model alone. Elsewhere that would wait for the device at every step, and of a
                stack one member may fail where the others go on: whoever reads the losses has to look.
        """
        if self._seed is not None:  # what is dropped is a function of seed and step: nothing to save
            key = splitmix64(splitmix64(np.array([self._seed])) + np.uint64(self.step))
            key = splitmix64(key + np.uint64(self.parallel.draws)) if self.parallel.draws else key
            torch.manual_seed(int(key[0]) >> 1)
        losses_BT, left_BS = self._backward(self._going_on(batch))
        with self.span("optimizer"):
            self._step(factor)
        self._carried = left_BS
        self.step += 1
        return losses_BT

    def _going_on(self, batch: Batch) -> Batch:
        """The batch with the states that its rows go on from; zeros where a row begins anew."""
        if batch.continues_B is None:
            return batch
        before_BS = self._carried
        if before_BS is None:
            size: int = self.model.state_size  # type: ignore[assignment]
            before_BS = torch.zeros(len(batch.inputs_BT), size, device=self.device)
        return replace(batch, state_BS=before_BS.where(batch.continues_B.to(before_BS.device)[:, None], 0.0))

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
        named = {name if name in self.masters else lora.own_name(name): tensor for name, tensor in weights.items()}
        for name, tensor in self.parallel.taken({f"model.{n}": t for n, t in named.items()}, self._owners()).items():
            own = name.removeprefix("model.")
            self.masters[own].copy_(placed(tensor, self.masters[own], own))
        lora.begun(self.masters)
        if self._sparse:
            self._kept = {n: p != 0 for n, p in self.masters.items() if p.dim() == 2 and p.requires_grad}
        self.refresh()

    def _step(self, factor: float) -> None:
        if self._low is not None:
            for name, low in self._low.items():
                if low.grad is not None:
                    self.masters[name].grad, low.grad = low.grad.float(), None
        if self._scale is None or self._scale.unscaled(self._gradients(), self.parallel.everywhere):
            if not self.optimizer.step(factor):
                raise LossNotFinite(self.step)
            with torch.no_grad():
                for name, kept in self._kept.items():
                    self.masters[name].mul_(kept)
            self.refresh()
        else:
            self.optimizer.drop_gradients()
            self.optimizer.gradient_norm = None
            if self._scale.exhausted:
                raise LossNotFinite(self.step, "gradients overflow float16 however little the loss is scaled")

    def _backward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Gradients of the mean loss over the batch's targets; returns the loss of each position, and the states that
        the rows leave, where they have one. Each piece of the batch has the states of its own rows."""
        own = self.parallel.share(batch)
        pieces = own.pieces(self._micro_rows or len(own.inputs_BT))
        if len(pieces) == 1 and own is batch:
            loss = self._loss(batch)
            with self.span("backward"):
                self._scaled(loss.mean).backward()
            return loss.losses_BT.detach(), loss.state_BS
        total = max(1, int((batch.targets_BT >= 0).sum()))
        losses, left = [], []
        for i, piece in enumerate(pieces, 1):
            with self.parallel.piece(last=i == len(pieces)):
                loss = self._loss(piece)
                share = int((piece.targets_BT >= 0).sum()) / total * self.parallel.replicas
                with self.span("backward"):
                    self._scaled(loss.mean * share).backward()
            losses.append(loss.losses_BT.detach())
            left += [] if loss.state_BS is None else [loss.state_BS]
        return self.parallel.gathered(torch.cat(losses)), self.parallel.gathered(torch.cat(left)) if left else None

    def _loss(self, batch: Batch) -> Loss:
        with self.span("forward"):
            loss = self._computed(batch.to(self.device), self._penalties)
        if self._looks and not self.parallel.everywhere(bool(loss.mean.isfinite())):
            self.optimizer.drop_gradients()
            raise LossNotFinite(self.step)
        return loss

    def _scaled(self, mean: Tensor) -> Tensor:
        return mean if self._scale is None else mean * self._scale.value

    def _gradients(self) -> list[Tensor]:
        return [local(master.grad) for master in self.masters.values() if master.grad is not None]

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the copy that the model computes with up to the masters."""
        for name, low in (self._low or {}).items():
            low.copy_(self.masters[name])

    def tensors(self) -> dict[str, Tensor]:
        """The whole state as named tensors (references). Where it is cut among processes, so are they; with tensor
        parallel all have to ask at the same time, for whole copies."""
        state = {f"model.{name}": p.detach() for name, p in self.masters.items()}
        state |= {f"optimizer.{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        if self._scale is not None:
            state |= {f"scale.{name}": tensor for name, tensor in self._scale.tensors().items()}
        if self._carried is not None:
            state["carried"] = self._carried
        return self.parallel.stored(state | {"step": torch.tensor(self.step)}, self._owners())

    def copy(self) -> dict[str, Tensor]:
        """The whole state as named tensors of its own."""
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Go back (or on) to a state that `copy` gave, here or in any number of processes: tensors are whole, or
        shared as `like` says.

        Raises:
            InputError: it is that of another model.
        """
        state = dict(self.parallel.taken(state, self._owners()))
        self._refuse_another(state)
        for name, parameter in self.masters.items():
            parameter.copy_(placed(state[f"model.{name}"], parameter, name))
        self.optimizer.load(_below("optimizer.", state))
        if self._scale is not None:
            self._scale.load(_below("scale.", state))
        self.refresh()
        self._carried = state["carried"].to(self.device) if "carried" in state else None
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

    def like(self) -> dict[str, Tensor]:
        """How tensors of a saved state are shared here, for `shards.load_sharded`; those not named are whole."""
        if self.parallel.stores_whole:
            return {}
        shared = {f"model.{name}": master.detach() for name, master in self.masters.items()}
        return shared | {f"optimizer.{name}": tensor for name, tensor in self.optimizer.like().items()}

    def _owners(self) -> dict[str, list[str]]:
        own = {f"model.{name}": [name] for name in self.masters}
        return own | {f"optimizer.{name}": names for name, names in self.optimizer.owners().items()}


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

    Raises:
        InputError: the text has token ids that the model has not.
    """
    check_ids(state.model, *feed.bounds, where="training text")
    while state.step < until:
        step = state.step
        batch = feed.batch(step)
        losses_BT = state.update(batch, schedule.factor(step))
        if on_step is not None:
            on_step(step, batch, losses_BT)
