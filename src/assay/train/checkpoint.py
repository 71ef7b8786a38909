"""A training state on disk: safetensors and JSON, staged, flushed and renamed into place, with a checksum."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from assay.store import damage_of, staged, write_manifest

STATE = "state.safetensors"


def write(folder: Path, state: dict[str, Tensor]) -> None:
    """Write a state into a folder that somebody else puts into place (a staged artifact)."""
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / STATE)


def load(folder: Path) -> dict[str, Tensor]:
    """The state that `write` wrote."""
    return load_file(folder / STATE)


def save(work: Path, state: dict[str, Tensor], extra: dict[str, Any]) -> None:
    """Save a state so that `newest` finds it; older ones beside it are removed once it is in place."""
    final = _free_name(work, int(state["step"]))
    with staged(final) as staging:
        write(staging / "state", state)
        (staging / "extra.json").write_text(json.dumps(extra), encoding="utf-8")
        write_manifest(staging, {"stage": "checkpoint"})
    for older in work.glob("step-*"):
        if older != final:
            shutil.rmtree(older, ignore_errors=True)


def _free_name(work: Path, step: int) -> Path:
    """A folder for a state at `step` that sorts after all those of the same step, which stay until it is in place:
    a folder cannot be replaced in one go, and a kill between removing and renaming would lose everything."""
    name = f"step-{step:09d}"
    taken = sorted(work.glob(f"{name}*"))
    number = int(taken[-1].name.removeprefix(name).lstrip("-") or 0) + 1 if taken else 0
    return work / (f"{name}-{number:06d}" if number else name)


def newest(work: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole state in `work` and what was saved beside it; damaged ones are passed over."""
    for candidate in sorted(work.glob("step-*"), reverse=True):
        if damage_of(candidate) is None:
            extra = json.loads((candidate / "extra.json").read_text(encoding="utf-8"))
            return load(candidate / "state"), extra
    return None


def clear(work: Path) -> None:
    """Forget the saved states of a job that is done."""
    shutil.rmtree(work, ignore_errors=True)
