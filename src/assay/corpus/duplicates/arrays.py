"""Arrays on disk: mapped to be read or filled, or written a piece at a time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def made(path: Path, shape: tuple[int, ...], kind: Any) -> Array:
    """A new .npy file, mapped to be filled; a plain array where it is empty, which cannot be mapped."""
    if 0 in shape:
        np.save(path, np.zeros(shape, dtype=kind))
        return np.zeros(shape, dtype=kind)
    return np.lib.format.open_memmap(path, "w+", kind, shape).view(np.ndarray)


def mapped(path: Path) -> Array:
    """What a .npy file holds, to be read."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, *_ = np.lib.format.read_array_header_1_0(file)
    return np.load(path) if 0 in shape else np.load(path, mmap_mode="r").view(np.ndarray)


class Appended:
    """One array after another, in one file of plain numbers."""

    def __init__(self, path: Path, kind: Any, width: int = 1) -> None:
        self.path, self.kind, self.width = path, np.dtype(kind), width
        self.rows = 0
        self._file = path.open("wb")

    def add(self, values: Array) -> None:
        """Append rows of `width` numbers."""
        self._file.write(np.ascontiguousarray(values, dtype=self.kind).data)
        self.rows += len(values)

    def array(self) -> Array:
        """All that was appended, mapped to be read."""
        self._file.flush()
        shape = (self.rows,) if self.width == 1 else (self.rows, self.width)
        if not self.rows:
            return np.zeros(shape, dtype=self.kind)
        return np.memmap(self.path, self.kind, "r", shape=shape).view(np.ndarray)

    def save(self, path: Path) -> None:
        """The same as a .npy file, which takes the place of this one."""
        there = self.array()
        target = made(path, there.shape, self.kind)
        for begin in range(0, len(there), 1 << 20):
            target[begin : begin + (1 << 20)] = there[begin : begin + (1 << 20)]

    def __enter__(self) -> Appended:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)
