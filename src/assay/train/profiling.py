"""A trace of some steps, to be opened in Perfetto or chrome://tracing; on a GPU, NVTX ranges for Nsight besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

FIRST = 10  # steps before are warming up


class Profiler:
    """Records `steps` steps after the first ten that it sees, and writes the trace.

    Args:
        steps: None: records nothing.
    """

    def __init__(self, steps: int | None, path: Path, device: str) -> None:
        self.steps, self.path, self.gpu = steps, path, torch.device(device).type == "cuda"
        self._seen = 0
        self._profile: Any = None

    def __enter__(self) -> Profiler:
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
        self._seen += 1
        if self._seen == FIRST:
            kinds = [torch.profiler.ProfilerActivity.CPU]
            if self.gpu:
                kinds.append(torch.profiler.ProfilerActivity.CUDA)
            self._profile = torch.profiler.profile(activities=kinds)
            self._profile.start()
        elif self._seen == FIRST + self.steps:
            self._end()

    def _end(self) -> None:
        profile, self._profile = self._profile, None
        if profile is not None:
            profile.stop()
            profile.export_chrome_trace(str(self.path))
