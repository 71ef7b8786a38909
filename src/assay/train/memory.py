"""Memory that does not suffice: told with what would fit, which is tried out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

from assay.errors import WorkError
from assay.models.build import ModelConfig, build
from assay.models.protocol import Batch
from assay.train.loop import TrainState

BYTES_A_PARAMETER = 16  # weight, gradient and two moments in float32
OutOfMemory = (torch.OutOfMemoryError, MemoryError, RuntimeError)
"""What is raised; a CPU's allocator raises a plain RuntimeError, told apart by `is_out_of_memory`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory is what the error is about."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The last is what oneDNN says when it cannot have its scratch memory.
    signs = ("can't allocate memory", "out of memory", "could not create a primitive")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def fits(work: Callable[[], object]) -> bool:
    """Do work; False where memory does not suffice for it. All that it held is free again then, for the error and its
    traceback are gone."""
    try:
        work()
    except OutOfMemory as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


@contextlib.contextmanager
def told_of_weights(config: ModelConfig) -> Iterator[None]:
    """Within, a model and its optimizer are made.

    Raises:
        WorkError: not even they fit, with what they take.
    """
    try:
        yield
    except OutOfMemory as error:
        if not is_out_of_memory(error):
            raise
        with torch.device("meta"):
            n = sum(p.numel() for p in build(config, None).parameters())
        raise WorkError(
            f"{n:,} parameters with their gradients and AdamW's state take {n * BYTES_A_PARAMETER / 1e9:.1f} GB, and do"
            " not fit into memory", remedy="take a smaller model, or several processes with train.parallel=fsdp",
        ) from None  # fmt: skip


def out_of_memory(state: TrainState, batch: Batch) -> WorkError:
    """The error in words."""
    rows = len(batch.inputs_BT)
    if state.parallel.size > 1:  # sizes cannot be tried out by one process of several
        rows //= state.parallel.replicas
        return WorkError(
            f"{rows} rows a process do not fit into memory", where=f"step {state.step}",
            remedy=f"try train.micro_rows={max(1, rows // 2)}, for the same result",
        )  # fmt: skip
    fits = largest_that_fits(state, batch)
    remedy = f"train.micro_rows={fits} fits, with the same result" if fits else "take a smaller model or shorter rows"
    return WorkError(f"{rows} rows at a time do not fit into memory", where=f"step {state.step}", remedy=remedy)


def largest_that_fits(state: TrainState, batch: Batch) -> int:
    """How many rows, found by halving, can be computed at a time; 0 where not even one can."""
    rows = len(batch.inputs_BT) // 2
    while rows:
        piece = batch.pieces(rows)[0]
        if fits(lambda: state.try_backward(piece)):  # noqa: B023 (called at once)
            return rows
        rows //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return 0
