"""How several processes train one model. One small object says it, and the loop asks it:

    torchrun --nproc-per-node 2 ...
    World.from_env(device)          which process this is, of how many, on which device
    with joined(world, "data") as parallel:       the processes meet
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

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, distributed, nn

from assay.errors import InputError, WorkError
from assay.models.blocks import Block
from assay.models.protocol import PLAIN, Batch, Loss, Penalties
from assay.train.tensor_parallel import TensorParallel
from assay.train.world import COMPUTING, Alone, LossFunction, Together, World

Mode = Literal["data", "sharded", "tensor"]


@contextmanager
def joined(world: World, mode: Mode) -> Iterator[Alone]:
    """All processes meet; within, they train together as `mode` says. With one process there is nobody to meet.

    Raises:
        WorkError: another process died, or its machine does not answer.
    """
    if world.size == 1:
        yield Alone(world.device)
        return
    if not distributed.is_available():
        raise InputError("this PyTorch cannot train with several processes", remedy="start one process")
    on_gpu = world.device.startswith("cuda")
    bound = {"device_id": torch.device(world.device)} if on_gpu else {}
    try:
        distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=COMPUTING, **bound)  # type: ignore[arg-type]
        yield _kind(mode)(world)
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise WorkError(
            f"process {world.rank} of {world.size} lost another one",
            remedy="what ended that one stands in its own output; a rerun goes on from the last checkpoint",
        ) from error
    distributed.destroy_process_group()


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
            return TensorParallel


class _ByRows(Together):
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

    def forward(self, batch: Batch, penalties: Penalties) -> tuple[Tensor, Tensor, Tensor | None]:
        loss = self.model.loss(batch, penalties)  # type: ignore[operator]
        return loss.mean, loss.losses_BT, loss.state_BS


class DataParallel(_ByRows):
    """The whole model in every process (torch.nn.parallel.DistributedDataParallel)."""

    _model: Any = None

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

    def forget(self) -> None:
        self._model = None


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
    _root: Any = None

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

    def forget(self) -> None:
        self._root = None
