"""The files of a model directory: read with one line for whatever is wrong, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from assay.errors import InputError

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes its name once it is whole and on the disk."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """The folder that files go to.

    Raises:
        InputError: there is a file of that name.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file and no folder", where=folder, remedy="choose another one")
    folder.mkdir(parents=True, exist_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Indented, so that a person can read it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """As they are."""
    with whole(path) as part:
        part.write_bytes(content)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """As transformers asks for them."""
    with whole(path) as part:
        save_file(dict(tensors), part, metadata={"format": "pt"})


def read_json(path: Path) -> dict[str, Any]:
    """An object.

    Raises:
        InputError: it cannot be read, is no JSON, or no object.
    """
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read as JSON ({error})", where=path, remedy="give a whole file") from error
    if not isinstance(stated, dict):
        raise InputError("is no JSON object", where=path, remedy="give a whole file")
    return stated


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model directory."""
    if not (folder / CONFIG).exists():
        raise InputError("is no model directory: it has no config.json", where=folder, remedy="name one")
    return read_json(folder / CONFIG)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a directory, whole or sharded.

    Raises:
        InputError: there are none, they are damaged, or they are pickled.
    """
    if (folder / WEIGHTS).exists():
        return _read(folder / WEIGHTS)
    if (folder / INDEX).exists():
        return {name: t for shard in shards(folder / INDEX) for name, t in _read(shard).items()}
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
    if pickled:
        raise InputError(
            f"holds its weights as pickle ({pickled[0]}), which can run code and is never read",
            where=folder, remedy="convert it first: assay convert MODEL --out DIR",
        )  # fmt: skip
    raise InputError("has no model.safetensors", where=folder, remedy="give a whole model directory")


def shards(index: Path) -> list[Path]:
    """The files that an index names, all of its own folder."""
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise InputError("names no shards", where=index, remedy="give a whole model directory")
    names = sorted(set(named.values()))
    if any(Path(name).name != name for name in names):
        raise InputError("names shards outside of its folder", where=index, remedy="do not trust it")
    return [index.parent / name for name in names]


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"cannot be read as safetensors ({error})", where=path, remedy="fetch it again") from error
