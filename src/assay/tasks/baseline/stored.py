"""Models of the floor on disk: what they are in config.json, their numbers in model.safetensors. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from assay.errors import InputError
from assay.store import whole_file, write_json_atomic

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MODEL_TYPE, FORMAT = "assay-floor", 1
Arrays = dict[str, npt.NDArray[Any]]


def save(folder: Path, kind: str, config: dict[str, Any], arrays: Arrays) -> None:
    """Write a model into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / WEIGHTS) as path:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    write_json_atomic(folder / CONFIG, {"model_type": MODEL_TYPE, "format": FORMAT, "kind": kind, **config})


def load(folder: Path) -> tuple[str, dict[str, Any], Arrays]:
    """What `save` wrote: kind, config, arrays.

    Raises:
        InputError: it is no such model, or it is damaged.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        arrays = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        why = " ".join(str(error).split())[:80]
        raise InputError(f"not a whole model of the floor ({why})", where=folder, remedy="fit it again") from error
    if config.get("model_type") != MODEL_TYPE or config.get("format") != FORMAT:
        what = f"a model of type {config.get('model_type')!r}, format {config.get('format')}"
        raise InputError(what, where=folder, remedy=f"give one of type {MODEL_TYPE!r}, format {FORMAT}")
    return config["kind"], config, arrays
