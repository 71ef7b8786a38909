"""A trace of some steps, to be opened in Perfetto or chrome://tracing; on a GPU, NVTX ranges for Nsight besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

WARMING = 10  # steps before are warming up, where there are so many


class Profiler:
    """Records `steps` steps after the first ten, and writes the trace; of a shorter run its last ones, or all.

    Args:
        steps: None: records nothing.
        left: steps that are about to be done.

    Attributes:
        seen: steps that were recorded; negative while there are some to warm up.
    """

    def __init__(self, steps: int | None, left: int, path: Path, device: str) -> None:
        self.steps, self.path, self.gpu = steps, path, torch.device(device).type == "cuda"
        self.left, self.seen = left, -max(0, min(WARMING, left - (steps or 0)))
        self._profile: Any = None

    def __enter__(self) -> Profiler:
        if self.steps and self.left > 0 and not self.seen:
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def span(self, name: str) -> AbstractContextManager[Any]:
        """A part of a step, by name."""
        return self._recorded(name) if self.steps else nullcontext()

    @contextmanager
    def _recorded(self, name: str) -> Iterator[None]:
        if self.gpu:
            torch.cuda.nvtx.range_push(name)
        with torch.profiler.record_function(name):
            yield
        if self.gpu:
            torch.cuda.nvtx.range_pop()

    def step(self, done: int) -> None:
        """A step is done."""
        if not self.steps:
            return
        self.seen += 1
        if self.seen == 0:
            self._begin()
        elif self.seen == self.steps:
            self._end()

    def _begin(self) -> None:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if self.gpu:
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self._profile = torch.profiler.profile(activities=kinds)
        self._profile.start()

    def _end(self) -> None:
        profile, self._profile = self._profile, None
        if profile is not None:
            profile.stop()
            profile.export_chrome_trace(str(self.path))
