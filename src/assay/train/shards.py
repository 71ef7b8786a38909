"""Tensors that several processes share: each holds a part of the rows, and all together know the whole.

    local(tensor)            this process's part, the memory itself; a plain tensor is its own part
    placed(tensor, like)     a whole tensor -> the part that `like` says; no process sends another anything
    full(tensors)            parts -> whole tensors on the CPU
    dealt_out(tensor, like)  the same where the first process alone has the whole
    save_sharded / load_sharded    a folder of safetensors, one file a process; read by any number of processes

A shared tensor is PyTorch's DTensor: it knows its whole shape, and which dimension is cut. The folders are written by
torch.distributed.checkpoint in its safetensors form, which keeps no pickle beside them (its own form does).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from assay.errors import InputError


def is_shared(tensor: Tensor) -> bool:
    """Whether this is a DTensor; importing that class takes a second, which who trains alone need not wait."""
    return hasattr(tensor, "placements")


def local(tensor: Any) -> Tensor:
    """This process's part, to be changed in place."""
    part: Tensor = tensor.to_local() if is_shared(tensor) else tensor
    return part


def whole(tensor: Any) -> Tensor:
    """All of it; of a shared one every process has to ask at the same time."""
    everything: Tensor = tensor.full_tensor() if is_shared(tensor) else tensor
    return everything


def placed(tensor: Any, like: Any, name: str = "a tensor") -> Tensor:
    """A tensor, shared or whole as `like` is.

    Raises:
        InputError: where one of both is shared and they are not of one shape.
    """
    if not is_shared(tensor) and not is_shared(like):
        return tensor
    if tensor.shape != like.shape:
        raise InputError(f"{name} has the shape {tuple(tensor.shape)}, and the model needs {tuple(like.shape)}")
    if not is_shared(like):
        return whole(tensor)
    if is_shared(tensor):
        moved: Tensor = tensor.redistribute(like.device_mesh, like.placements)
        return moved
    from torch.distributed.tensor import distribute_tensor

    # Every process has the whole tensor and cuts its own part out.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def dealt_out(tensor: Tensor | None, like: Any) -> Tensor:
    """A tensor that the first process has whole -> the part that `like` says, in every process; all have to ask."""
    if not is_shared(like):
        made = torch.empty_like(like) if tensor is None else tensor.to(like.device)
        torch.distributed.broadcast(made, src=0)
        return made
    from torch.distributed.tensor import distribute_tensor

    made = torch.empty(like.shape, dtype=like.dtype) if tensor is None else tensor
    return distribute_tensor(made.to(like.device), like.device_mesh, like.placements, src_data_rank=0)


def _wrapped(part: Tensor, mesh: Any, placements: Sequence[Any], shape: Sequence[int]) -> Any:
    from torch.distributed.tensor import DTensor

    size = torch.Size(shape)
    stride = torch.empty(size, device="meta").stride()
    return DTensor.from_local(part, mesh, placements, run_check=False, shape=size, stride=stride)


def _moved(placements: Iterable[Any], by: int) -> list[Any]:
    """The same cuts where there are `by` more dimensions in front."""
    from torch.distributed.tensor import Shard

    return [Shard(p.dim + by) if isinstance(p, Shard) else p for p in placements]


def stacked(tensors: Sequence[Any], like: Any) -> Any:
    """Tensors of one shape on end along a new first dimension, each cut as `like` is."""
    if not is_shared(like):
        return torch.stack([whole(tensor) for tensor in tensors])
    parts = [local(placed(tensor, like)) for tensor in tensors]
    shape = (len(tensors), *like.shape)
    return _wrapped(torch.stack(parts), like.device_mesh, _moved(like.placements, 1), shape)


def unstacked(stack: Any, likes: Sequence[Any]) -> Iterator[Tensor]:
    """This process's part of each tensor of a stack, cut as its twin in `likes` is."""
    for part, like in zip(local(stack).unbind(), likes, strict=True):
        if not is_shared(stack):
            yield part
            continue
        yield local(placed(_wrapped(part, stack.device_mesh, _moved(stack.placements, -1), like.shape), like))


def by_whole_matrices(function: Callable[[Tensor], Tensor], stack_FRC: Any) -> Any:
    """Apply a function that needs whole matrices and keeps their shape: each process gets some of the stack's matrices
    whole, and gives them back cut as they were. So the work is shared as the memory is."""
    if not is_shared(stack_FRC):
        return function(stack_FRC)
    from torch.distributed.tensor import Shard

    dealt = stack_FRC.redistribute(placements=[Shard(0)] * stack_FRC.device_mesh.ndim)
    done = _wrapped(function(local(dealt)), stack_FRC.device_mesh, dealt.placements, stack_FRC.shape)
    return done.redistribute(placements=stack_FRC.placements)


def total_norm(gradients: Sequence[Any]) -> Tensor:
    """The norm over all numbers of all gradients, shared ones and whole ones, the same in every process."""
    shared = [g for g in gradients if is_shared(g)]
    own = [g for g in gradients if not is_shared(g)]
    norms = [whole(torch.nn.utils.get_total_norm(kind)) for kind in (shared, own) if kind]
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def full(tensors: Mapping[str, Tensor], *, keep: bool = True) -> dict[str, Tensor]:
    """Whole tensors on the CPU, one after another; every process has to call this.

    Args:
        keep: False in processes that only help the others: they get nothing.
    """
    made = {}
    for name, tensor in tensors.items():
        everything = whole(tensor.detach())
        if keep:
            made[name] = everything.cpu()
    return made


def save_sharded(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors into a new folder, every process its own parts; a tensor that all have whole is written once.

    Every process calls this with the same folder and the same names; with one process alone there is one file.
    """
    from torch.distributed import checkpoint

    writer = checkpoint.HuggingFaceStorageWriter(path=str(folder), save_distributed=True)
    state = {
        name: tensor.detach() if is_shared(tensor) else tensor.detach().contiguous() for name, tensor in tensors.items()
    }
    with _quiet():
        checkpoint.save(state, storage_writer=writer, no_dist=_alone())


def load_sharded(folder: Path, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """All tensors of a folder that `save_sharded` wrote, with however many processes.

    Args:
        like: tensors by name: one that is shared here is read in its parts, none reads more than its own. All others
            come whole, on the CPU.

    Raises:
        InputError: no tensors are there.
    """
    from torch.distributed import checkpoint

    stored = checkpoint.HuggingFaceStorageReader(path=str(folder)).read_metadata().state_dict_metadata
    if not stored:
        raise InputError("no tensors are there", where=folder)
    state: dict[str, Any] = {}
    for name, entry in stored.items():
        assert isinstance(entry, checkpoint.TensorStorageMetadata)
        twin, dtype = (like or {}).get(name), entry.properties.dtype
        if twin is not None and is_shared(twin) and twin.shape == entry.size:
            state[name] = torch.empty_like(twin.detach(), dtype=dtype)
        else:
            state[name] = torch.empty(entry.size, dtype=dtype)
    with _quiet():
        reader = checkpoint.HuggingFaceStorageReader(path=str(folder))
        checkpoint.load(state, storage_reader=reader, no_dist=_alone())
    return state


def _alone() -> bool:
    return not (torch.distributed.is_available() and torch.distributed.is_initialized())


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch warns one process alone that it is alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
