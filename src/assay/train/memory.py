"""Memory that does not suffice: told with what would fit, which is tried out."""

from __future__ import annotations

import torch

from assay.errors import WorkError
from assay.models.protocol import Batch
from assay.train.loop import TrainState

OutOfMemory = (torch.OutOfMemoryError, MemoryError, RuntimeError)
"""What is raised; a CPU's allocator raises a plain RuntimeError, told apart by `is_out_of_memory`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory is what the error is about."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and ("can't allocate memory" in str(error) or "out of memory" in str(error))


def out_of_memory(state: TrainState, batch: Batch) -> WorkError:
    """The error in words."""
    rows = len(batch.inputs_BT)
    fits = largest_that_fits(state, batch)
    remedy = f"train.micro_rows={fits} fits, with the same result" if fits else "take a smaller model or shorter rows"
    return WorkError(f"{rows} rows at a time do not fit into memory", where=f"step {state.step}", remedy=remedy)


def largest_that_fits(state: TrainState, batch: Batch) -> int:
    """How many rows, found by halving, can be computed at a time; 0 where not even one can."""
    rows = len(batch.inputs_BT) // 2
    while rows:
        try:
            state.try_backward(batch.pieces(rows)[0])
        except OutOfMemory as error:
            if not is_out_of_memory(error):
                raise
            rows //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        else:
            return rows
    return 0
