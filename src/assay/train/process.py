"""What a process that trains asks of the C library and the processor.

A step allocates and frees the same large buffers over and over. By default glibc gives buffers above 128 KiB back to
the kernel each time and pays page faults to get them again: a fifth to a quarter of a small model's step on a CPU.

Gradients through a saturated gate shrink until they are below what float32 holds with full precision. A processor
computes such denormal numbers in microcode: an LSTM's steps became ten times as long in the second half of its run,
and nothing was learned from them. They count as zero.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

import torch

# Parameters of mallopt(3), by their numbers in malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """From now on this process keeps what it frees, up to 2 GiB; False where the C library knows no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 64 << 20))
    return all([bool(mallopt(key, value)) for key, value in settings])


@contextlib.contextmanager
def denormals_are_zero() -> Iterator[None]:
    """Within, results below 1.2e-38 are zero, in this thread and those that begin now."""
    before = flushes()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def flushes() -> bool:
    """Whether they are zero in this thread."""
    return bool(torch.full((1,), 2.0**-126) * 0.5 == 0)
