"""llama.cpp, by llama-cpp-python, where that is installed: logits, and greedy text, a row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Llama:
    """A GGUF file.

    Args:
        positions: of the context.
    """

    def __init__(self, path: Path, positions: int, threads: int = 1) -> None:
        import llama_cpp

        self.model = llama_cpp.Llama(
            str(path), logits_all=True, verbose=False, n_ctx=positions, n_batch=positions, n_ubatch=positions,
            n_threads=threads, n_threads_batch=threads,
        )  # fmt: skip

    def logits(self, rows: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """(n, V) behind each token of each row."""
        return [self._behind(row) for row in rows]

    def _behind(self, row: Sequence[int]) -> np.ndarray:
        self.model.reset()
        self.model.eval(list(row))
        return np.array(self.model.scores[: len(row)], np.float32)

    def written(self, prompt: Sequence[int], new: int) -> list[int]:
        """The likeliest token, so often."""
        self.model.reset()
        self.model.eval(list(prompt))
        ids: list[int] = []
        while True:
            ids.append(int(self.model.scores[len(prompt) + len(ids) - 1].argmax()))
            if len(ids) == new:
                return ids
            self.model.eval(ids[-1:])
