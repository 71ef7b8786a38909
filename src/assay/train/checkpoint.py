"""A training state on disk: safetensors and JSON, staged, flushed and renamed into place, with a checksum.

    FOLDER/step-000001000/      manifest.json  extra.json  state/state.safetensors  and whatever `beside` wrote
    FOLDER/step-000001000-000001/              a later one of the same step

`Background` writes in a thread while training goes on.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from assay.store import damage_of, staged, write_manifest
from assay.train.shards import load_sharded, save_sharded
from assay.train.world import Alone

STATE = "state.safetensors"
Beside = Callable[[Path], None]
"""Writes more files into the staged folder of a checkpoint."""


def write(folder: Path, state: dict[str, Tensor]) -> None:
    """Write a state into a folder that somebody else puts into place (a staged artifact)."""
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / STATE)


def load(folder: Path, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The state that `write` wrote, or `shards.save_sharded`.

    Args:
        like: how tensors are shared among processes here; those not named are whole.
    """
    if (folder / STATE).exists():
        return load_file(folder / STATE)
    return load_sharded(folder, like)


def save(
    work: Path, state: dict[str, Tensor], extra: dict[str, Any], *, keep: int = 1, beside: Beside | None = None
) -> None:
    """Save a state so that `newest` finds it; all but the last `keep` are removed once it is in place."""
    with _in_place(work, int(state["step"]), keep) as staging:
        write(staging / "state", state)
        _finish(staging, extra, beside)


def save_together(
    parallel: Alone,
    work: Path,
    state: dict[str, Tensor],
    extra: dict[str, Any],
    *,
    keep: int = 1,
    beside: Beside | None = None,
) -> None:
    """As `save`, by several processes of which each holds a part of the state; all of them have to call it."""
    with contextlib.ExitStack() as stack:
        staging = stack.enter_context(_in_place(work, int(state["step"]), keep)) if parallel.is_first else None
        shared = Path(parallel.agreed(str(staging)))
        save_sharded(shared / "state", state)
        parallel.barrier()
        if staging is not None:
            _finish(staging, extra, beside)
    parallel.barrier()


@contextlib.contextmanager
def _in_place(work: Path, step: int, keep: int) -> Iterator[Path]:
    with staged(_free_name(work, step)) as staging:
        yield staging
    for older in sorted(work.glob("step-*"))[:-keep]:
        shutil.rmtree(older, ignore_errors=True)


def _finish(staging: Path, extra: dict[str, Any], beside: Beside | None) -> None:
    (staging / "extra.json").write_text(json.dumps(extra), encoding="utf-8")
    if beside is not None:
        beside(staging)
    write_manifest(staging, {"stage": "checkpoint"})


def _free_name(work: Path, step: int) -> Path:
    """A folder for a state at `step` that sorts after all those of the same step, which stay until it is in place:
    a folder cannot be replaced in one go, and a kill between removing and renaming would lose everything."""
    name = f"step-{step:09d}"
    taken = sorted(work.glob(f"{name}*"))
    number = int(taken[-1].name.removeprefix(name).lstrip("-") or 0) + 1 if taken else 0
    return work / (f"{name}-{number:06d}" if number else name)


def newest(
    work: Path, tell: Callable[[Path, str], None] | None = None, like: Mapping[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole state in `work` and what was saved beside it.

    Args:
        tell: is told of each damaged one that is passed over: its folder and what is wrong with it.
        like: as in `load`.
    """
    for candidate in sorted(work.glob("step-*"), reverse=True):
        damage = damage_of(candidate)
        if damage is None:
            extra = json.loads((candidate / "extra.json").read_text(encoding="utf-8"))
            return load(candidate / "state", like), extra
        if tell is not None:
            tell(candidate, damage)
    return None


def clear(work: Path) -> None:
    """Forget the saved states of a job that is done."""
    shutil.rmtree(work, ignore_errors=True)


class Background:
    """One thread that writes, one thing at a time; an error is raised by the next call."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._last: Future[Any] | None = None

    def submit(self, write: Callable[[], Any]) -> None:
        """Begin to write, once what was begun before is done."""
        self.wait()
        self._last = self._pool.submit(write)

    def wait(self) -> None:
        """Until all is written."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """As `wait`, and the end."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()
