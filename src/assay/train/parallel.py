"""How several processes train one model. One small object says it, and the loop asks it:

    torchrun --nproc-per-node 2 ...
    World.from_env(device)          which process this is, of how many, on which device
    with world.joined("data") as parallel:        the processes meet
        state = TrainState(spec, parallel=parallel)
        state.update(batch, factor)               `batch` is the whole batch: every process can compute it

    Alone            one process: nothing is shared (the default)
    DataParallel     every process has the whole model and some rows; gradients are averaged (DDP)
    Sharded          the same, and weights, gradients and optimizer state are cut into parts, one a process; a layer is
                     put together when it is needed (FSDP2, after ZeRO of Rajbhandari et al. 2020)
    TensorParallel   every process has all rows and a part of each layer of a decoder (`tensor_parallel`)

The mean over a batch's targets is exact however they fall into rows: a process weighs its own mean by its number of
targets over that of the whole batch.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, distributed, nn

from assay.errors import InputError, WorkError
from assay.models.blocks import Block
from assay.models.protocol import PLAIN, Batch, Loss, Penalties

Mode = Literal["data", "sharded", "tensor"]
LossFunction = Callable[[Batch, Penalties], Loss]
T = TypeVar("T")

# For an answer while all compute; and while the first process prepares data for the others. A process that dies is
# noticed at once (gloo: its connection closes; torchrun ends the others), so these are for networks that fail.
COMPUTING, PREPARING = timedelta(minutes=30), timedelta(days=2)


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

    @contextmanager
    def joined(self, mode: Mode) -> Iterator[Alone]:
        """All processes meet; within, they train together as `mode` says. With one process there is nobody to meet.

        Raises:
            WorkError: another process died, or its machine does not answer.
        """
        if self.size == 1:
            yield Alone(self.device)
            return
        if not distributed.is_available():
            raise InputError("this PyTorch cannot train with several processes", remedy="start one process")
        on_gpu = self.device.startswith("cuda")
        bound = {"device_id": torch.device(self.device)} if on_gpu else {}
        try:
            distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=COMPUTING, **bound)  # type: ignore[arg-type]
            yield _kind(mode)(self)
        except RuntimeError as error:
            if not _is_lost(error):
                raise
            raise WorkError(
                f"process {self.rank} of {self.size} lost another one",
                remedy="what ended that one stands in its own output; a rerun goes on from the last checkpoint",
            ) from error
        distributed.destroy_process_group()


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


def _is_lost(error: RuntimeError) -> bool:
    """Whether PyTorch says that another process does not answer; gloo says so in a plain RuntimeError."""
    text = str(error)
    signs = (
        "Connection closed by peer",
        "Connection reset by peer",
        "Broken pipe",
        "Timed out waiting",
        "gloo/transport",
    )
    return isinstance(error, distributed.DistError) or any(sign in text for sign in signs)


def _kind(mode: Mode) -> Callable[[World], Alone]:
    match mode:
        case "data":
            return DataParallel
        case "sharded":
            return Sharded
        case "tensor":
            from assay.train.tensor_parallel import TensorParallel

            return TensorParallel


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
        """The losses of the whole batch, in the order of its rows."""
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


class _Together(Alone):
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


class _ByRows(_Together):
    """Every process takes some of the rows."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.replicas, self.draws = world.size, world.rank

    def share(self, batch: Batch) -> Batch:
        rows = len(batch.inputs_BT)
        if rows % self.size:
            raise InputError(
                f"{rows} rows a step cannot be dealt out evenly to {self.size} processes",
                remedy=f"make the rows of every step a multiple of {self.size}",
            )
        return batch.pieces(rows // self.size)[self.rank]

    def gathered(self, losses_BT: Tensor) -> Tensor:
        parts = [torch.empty_like(losses_BT) for _ in range(self.size)]
        distributed.all_gather(parts, losses_BT.contiguous())
        return torch.cat(parts)

    def sums(self, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total


class _LossOf(nn.Module):
    """A model whose forward pass is its loss, as DDP wants it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, penalties: Penalties) -> tuple[Tensor, Tensor]:
        loss = self.model.loss(batch, penalties)  # type: ignore[operator]
        return loss.mean, loss.losses_BT


class DataParallel(_ByRows):
    """The whole model in every process (torch.nn.parallel.DistributedDataParallel)."""

    def computes(self, model: nn.Module) -> LossFunction:
        # The pooler of an encoder has no part in its loss; DDP would wait for its gradient.
        unused = any(name.startswith("pooler.") for name, _ in model.named_parameters())
        with warnings.catch_warnings():  # of a new name for `broadcast_buffers` that older versions do not know
            warnings.simplefilter("ignore", FutureWarning)
            self._model = nn.parallel.DistributedDataParallel(
                _LossOf(model), broadcast_buffers=False, gradient_as_bucket_view=True, find_unused_parameters=unused
            )
        return lambda batch, penalties: Loss(*self._model(batch, penalties))

    def piece(self, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self._model.no_sync()


def _outside_inference_mode(loss: Any) -> Callable[..., Loss]:
    """FSDP2 keeps the memory that it puts a layer together in: made in inference mode, training could not use it."""

    def kept(batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        if not torch.is_inference_mode_enabled():
            return loss(batch, penalties)
        with torch.inference_mode(False), torch.no_grad():
            return loss(batch, penalties)

    return kept


class Sharded(_ByRows):
    """A part of every parameter in each process (torch.distributed.fsdp.fully_shard): a Transformer's blocks are put
    together one by one, and what is around them, as all of a recurrent model, at once."""

    keeps_masters = True
    stores_whole = False

    def lay_out(self, model: nn.Module, dtype: torch.dtype) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

        # No layer's output is changed in place, which is what this warns of.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        low = dtype != torch.float32
        how: dict[str, Any] = {
            "mesh": init_device_mesh(torch.device(self.device).type, (self.size,)),
            "mp_policy": MixedPrecisionPolicy(dtype, torch.float32) if low else MixedPrecisionPolicy(),
        }
        for block in [module for module in model.modules() if isinstance(module, Block)]:
            fully_shard(block, **how)
        self._root = fully_shard(model, **how)
        register_fsdp_forward_method(model, "loss")
        model.loss = _outside_inference_mode(model.loss)  # type: ignore[assignment]
        for buffer in model.buffers():  # of angles
            buffer.data = buffer.to(self.device)

    @contextmanager
    def piece(self, last: bool) -> Iterator[None]:
        self._root.set_requires_gradient_sync(last)
        self._root.set_is_last_backward(last)
        yield


ALONE = Alone()
