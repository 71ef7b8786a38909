"""Which process this is, and what the loop asks of it: one alone, or one of several.

device_of(wanted, where)    the device that a person means
World.from_env(device)      which process this is, of how many, on which device (torchrun says)
Alone                       one process: nothing is shared; what the loop asks, and the base of the others
Together                    one of several: `parallel` and `tensor_parallel` say what they share
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from assay.errors import InputError
from assay.models.protocol import Batch, Loss, Penalties

LossFunction = Callable[[Batch, Penalties], Loss]
T = TypeVar("T")

# For an answer while all compute; and while the first process prepares data for the others. A process that dies is
# noticed at once (gloo: its connection closes; torchrun ends the others), so these are for networks that fail.
COMPUTING, PREPARING = timedelta(minutes=30), timedelta(days=2)


def device_of(wanted: str, where: str) -> str:
    """The device that is meant by auto, cpu, cuda or cuda:1; auto is a GPU where there is one.

    Args:
        where: the key or option that names it, for errors.

    Raises:
        InputError: it is not there.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda" if n_gpus else "cpu"
    kind, colon, number = wanted.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not number.isdecimal()):
        raise InputError(f"{wanted!r} is no device", where=where, remedy="give auto, cpu or cuda")
    if kind == "cuda" and not n_gpus:
        raise InputError(
            "a GPU is asked for, and this machine has none that PyTorch can use", where=where,
            remedy="give cpu, or auto",
        )  # fmt: skip
    if kind == "cuda" and colon and int(number) >= n_gpus:
        raise InputError(
            f"GPU {number} is asked for, and they are numbered from 0 to {n_gpus - 1}", where=where,
            remedy="give cuda, or one of these",
        )  # fmt: skip
    return wanted if kind == "cuda" else "cpu"


@dataclass(frozen=True)
class World:
    """Which process this is.

    Attributes:
        rank: its number, from 0.  size: how many there are.
        device: where it computes: "cpu", or "cuda:1".
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @classmethod
    def from_env(cls, device: str = "cpu") -> World:
        """What torchrun says of this process; without torchrun it is the only one.

        Args:
            device: "cpu", or "cuda" for one GPU a process.

        Raises:
            InputError: there is no GPU, fewer GPUs than processes on this machine, or half of torchrun's variables.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
        missing = [name for name in names if name not in os.environ]
        if "RANK" not in os.environ:
            rank, size, place = 0, 1, 0
        elif missing:
            raise InputError(
                f"{', '.join(missing)} is not set, and RANK is", remedy="start the processes with torchrun"
            )
        else:
            rank, size, place = (int(os.environ[name]) for name in names[:3])
        if device.startswith("cuda"):
            device = _gpu(place) if device == "cuda" else device
        return cls(rank, size, device)


def _gpu(place: int) -> str:
    if not torch.cuda.is_available():
        raise InputError("a GPU is asked for, and this machine has none that PyTorch can use", remedy="device: cpu")
    if place >= (count := torch.cuda.device_count()):
        raise InputError(
            f"process {place + 1} on this machine has no GPU of its own: there are {count}",
            remedy=f"torchrun --nproc-per-node {count}",
        )
    torch.cuda.set_device(place)
    return f"cuda:{place}"


class Alone:
    """One process, which does everything; what the loop asks, and the base of the others.

    Attributes:
        rank, size, device: see `World`.
        replicas: among how many processes the gradients are averaged.
        draws: which random numbers dropout takes, of as many streams as processes see rows of their own.
        keeps_masters: the model's own parameters are the float32 masters, and it computes in copies that come and go.
        stores_whole: its state, as it is saved, is whole tensors.
    """

    keeps_masters = False
    stores_whole = True

    def __init__(self, device: str = "cpu") -> None:
        self.rank, self.size, self.device = 0, 1, device
        self.replicas, self.draws = 1, 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def lay_out(self, model: nn.Module, dtype: torch.dtype) -> None:
        """Put a model that all processes built alike onto the device, or this process's part of it.

        Args:
            dtype: in which it will compute.
        """
        model.to(self.device)

    def computes(self, model: nn.Module) -> LossFunction:
        """What computes the loss, whose gradients become those of all; asked for once the weights have their type."""
        loss: LossFunction = model.loss  # type: ignore[assignment]
        return loss

    def forget(self) -> None:
        """Let go of the model that was laid out last."""

    def share(self, batch: Batch) -> Batch:
        """This process's rows of a batch.

        Raises:
            InputError: the rows cannot be dealt out evenly.
        """
        return batch

    def piece(self, last: bool) -> AbstractContextManager[None]:
        """Around loss and backward of a piece of the rows: gradients are exchanged once, after the last one."""
        return nullcontext()

    def gathered(self, losses_BT: Tensor) -> Tensor:
        """The losses (or states) of the whole batch, in the order of its rows."""
        return losses_BT

    def sums(self, tensor: Tensor) -> Tensor:
        """The sum over all shares of the rows."""
        return tensor

    def everywhere(self, holds: bool) -> bool:
        """Whether something holds in every process."""
        return holds

    def barrier(self) -> None:
        """Wait for all."""

    def agreed(self, value: T) -> T:
        """The first process's value."""
        return value

    def first(self, work: Callable[[], object]) -> None:
        """The first process does some work (hours, if need be) while the others wait."""
        work()

    def stored(self, state: dict[str, Tensor], owners: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """A state as it is saved. `owners`: of which parameters each tensor tells."""
        return state

    def taken(self, state: Mapping[str, Tensor], owners: Mapping[str, Sequence[str]]) -> Mapping[str, Tensor]:
        """The inverse of `stored`."""
        return state


class Together(Alone):
    """Several processes."""

    def __init__(self, world: World) -> None:
        super().__init__(world.device)
        self.rank, self.size = world.rank, world.size
        self._patient: Any = None
        # It says that gloo sends more than it needs to.
        logging.getLogger("torch.distributed.tensor._collective_utils").setLevel(logging.ERROR)

    def everywhere(self, holds: bool) -> bool:
        flag = torch.tensor(int(holds), device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MIN)
        return bool(flag)

    def barrier(self) -> None:
        distributed.barrier()

    def agreed(self, value: T) -> T:
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=torch.device(self.device))
        return box[0]

    def first(self, work: Callable[[], object]) -> None:
        if self._patient is None:
            self._patient = distributed.new_group(backend="gloo", timeout=PREPARING)
        if self.is_first:
            work()
        distributed.barrier(self._patient)


ALONE = Alone()
