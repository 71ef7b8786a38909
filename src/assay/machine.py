"""What of this machine a process may use, and how processes live together on it."""

from __future__ import annotations

import contextlib
import ctypes
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType


def cores() -> int:
    """Cores that this process may use: fewer than the machine's where it is pinned, or in a container with a quota."""
    pinned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(pinned, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no quota ("max")
        return pinned


def memory() -> int:
    """Bytes of memory of the machine, or of the container that this runs in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such file, or no limit ("max")
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return found


def cache_folder() -> Path:
    """Where fetched files and compiled code are kept: $ASSAY_CACHE, else `assay` below $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("ASSAY_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within, libraries compute with one thread: how scikit-learn's and BLAS's sums are rounded depends on how many."""
    import sklearn  # noqa: F401  (what is loaded later would not be limited)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextlib.contextmanager
def ctrl_c_later() -> Iterator[None]:
    """Within, a Ctrl-C waits: a worker that is half started would tell of it in words of its own.

    Workers inherit the mask, so that a Ctrl-C while they still import is the parent's affair, too. The mask alone does
    not make the parent wait, since other threads may take the signal for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    resource_tracker.ensure_running()  # started with the first worker, it would lift the mask
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if pressed and callable(before):
            before(*pressed[0])


def die_with_parent() -> None:
    """On Linux, ask the kernel to end this process when its parent ends, however it ends."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it has ended before this was asked
        os._exit(1)


def give_back_memory(above: int = 1 << 20) -> bool:
    """Have large buffers taken from the system and given back to it, each by itself; whether that could be said.

    glibc learns from a large buffer that is freed to keep those of its size in its heap, up to 32 MB, and where they
    grow and leave in turn, holes are left between them: a process that runs for days would grow.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, above))
    except (OSError, AttributeError, TypeError):  # another C library
        return False


_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
