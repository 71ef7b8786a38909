"""What the C library does with memory that is freed: it keeps it for the next step.

A step allocates and frees the same large buffers over and over. By default glibc gives buffers above 128 KiB back to
the kernel each time and pays page faults to get them again: a fifth to a quarter of a small model's step on a CPU.
"""

from __future__ import annotations

import ctypes

# Parameters of mallopt(3), by their numbers in malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """From now on this process keeps what it frees, up to 2 GiB; False where the C library knows no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 64 << 20))
    return all([bool(mallopt(key, value)) for key, value in settings])
