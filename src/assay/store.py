"""Artifacts: the only place that writes them.

A stage turns inputs into an artifact: a directory whose name is the fingerprint of (stage name, stage version,
inputs' fingerprints, config). It is built in a staging directory beside its final place, every file is flushed to
disk, `manifest.json` is written last, and one rename puts the whole into place. So an artifact either exists and is
whole, or it does not exist:

    store.build(stage, inputs, config, make)
      found and verified  -> returned at once                       (done work is never redone)
      found and damaged   -> said in one line, removed, built again (damage is never used)
      not found           -> make(staging_dir), manifest, fsync, rename
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from assay import __version__
from assay.errors import AssayError, InputError, WorkError

log = logging.getLogger("assay.store")

MANIFEST = "manifest.json"
_STAGING = ".staging-"
_UNFINISHED = ".unfinished-"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Any) -> str:
    """32 hex digits (xxh3, 128 bits) of a JSON-like value."""
    return xxhash.xxh3_128_hexdigest(canonical_json(value).encode())


def file_digest(path: Path) -> str:
    """32 hex digits (xxh3, 128 bits) of a file's bytes, read in pieces of 1 MiB."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True)
class Stage:
    """A step of the work. Raise `version` when the stage's output changes for equal inputs and config."""

    name: str
    version: int


@dataclass(frozen=True)
class Artifact:
    """A finished, verified directory and its manifest."""

    path: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        return str(self.manifest["fingerprint"])

    @property
    def summary(self) -> dict[str, Any]:
        """What the stage wanted remembered beside its files (counts and the like)."""
        return dict(self.manifest["summary"])

    def file(self, name: str) -> Path:
        if name not in self.manifest["files"]:
            raise KeyError(f"{self.path}: no file {name!r} in the manifest")
        return self.path / name

    def files(self, suffix: str = "") -> list[Path]:
        return [self.path / name for name in sorted(self.manifest["files"]) if name.endswith(suffix)]


class Store:
    """Content-addressed artifacts below one folder: `root/STAGE/FINGERPRINT/`."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def find(self, stage: Stage, inputs: Mapping[str, str], config: Any) -> Artifact | None:
        """The artifact of these inputs, verified byte by byte; None where there is none (or a damaged one)."""
        return self.at(stage, _address(stage, inputs, config))

    def at(self, stage: Stage, address: str) -> Artifact | None:
        """The artifact of this fingerprint, verified like any other; None where there is none."""
        path = self.root / stage.name / address[:20]
        if not path.is_dir():
            return None
        damage = damage_of(path)
        if damage is None:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            if manifest.get("fingerprint") == address and "summary" in manifest:
                return Artifact(path, manifest)
            damage = f"{MANIFEST} is another artifact's"
        log.warning("%s: %s; building it again", path, damage)
        shutil.rmtree(path)
        return None

    def all(self, stage: Stage) -> list[Artifact]:
        """All artifacts of a stage, in the order of their addresses; damaged ones are said and passed over."""
        found = []
        place = self.root / stage.name
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if (damage := damage_of(path)) is not None:
                log.warning("%s: %s; passed over", path, damage)
                continue
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            if manifest.get("stage_version") == stage.version:
                found.append(Artifact(path, manifest))
        return found

    def build(
        self,
        stage: Stage,
        inputs: Mapping[str, str],
        config: Any,
        make: Callable[[Path], Mapping[str, Any] | None],
        *,
        resumed: bool = False,
    ) -> Artifact:
        """The artifact of these inputs: found, or made by `make(staging_dir)`, which may return a summary.

        Args:
            resumed: `make` goes on with what an earlier call that was cut off left in the folder. For a store in which
                nobody else works.

        Raises:
            WorkError: the disk is full.
            InputError: the folder cannot be written.
        """
        if found := self.find(stage, inputs, config):
            return found
        address = _address(stage, inputs, config)
        final = self.root / stage.name / address[:20]
        with staged(final, resumed=resumed) as staging:
            summary = make(staging)
            body = {
                "stage": stage.name,
                "stage_version": stage.version,
                "fingerprint": address,
                "inputs": dict(sorted(inputs.items())),
                "config": config,
                "summary": dict(summary or {}),
                "assay_version": __version__,
                "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            write_manifest(staging, body)
        return Artifact(final, json.loads((final / MANIFEST).read_text(encoding="utf-8")))

    def clear_staging(self) -> None:
        """Remove what a killed run left half-built. Call it while holding the study's lock."""
        for stage in self.root.glob("*/"):
            clear_staging(stage)


def _address(stage: Stage, inputs: Mapping[str, str], config: Any) -> str:
    return fingerprint({"stage": stage.name, "version": stage.version, "inputs": dict(inputs), "config": config})


def write_manifest(folder: Path, body: Mapping[str, Any]) -> None:
    """Write `manifest.json` (last) with the size and digest of every file below `folder`, all flushed to disk."""
    files = {}
    for path in sorted(folder.rglob("*")):
        _fsync(path)
        if path.is_dir():
            continue
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": path.stat().st_size, "xxh3_128": file_digest(path)}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({**body, "files": files}, indent=1, ensure_ascii=False), encoding="utf-8")
    _fsync(manifest)
    _fsync(folder)


def damage_of(folder: Path) -> str | None:
    """Why the artifact in `folder` cannot be used; None when it is whole."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in manifest["files"].items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != expected["bytes"] or file_digest(path) != expected["xxh3_128"]:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (ValueError, LookupError, TypeError, AttributeError):  # no JSON, or JSON of another shape
        return f"{MANIFEST} is damaged"
    return None


def answered(out: Path, name: str, request: str) -> dict[str, Any] | None:
    """The answer of a request that was made before: a folder that `staged` has given its name holds it as JSON.

    Args:
        name: of the file, which says under "request" whose answer it is.

    Returns:
        None where nothing is there yet.

    Raises:
        InputError: something else is there.
    """
    if not out.exists():
        return None
    if not out.is_dir():
        raise InputError("is a file and no folder", where=out, remedy="choose another --out")
    if not any(out.iterdir()):
        return None
    try:
        found: dict[str, Any] = json.loads((out / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError("is not empty", where=out, remedy="choose a new folder as --out") from None
    if found.get("request") != request:
        what = "holds what was made of another request"
        raise InputError(what, where=out, remedy="choose a new folder as --out, or remove this one")
    return found


@contextlib.contextmanager
def staged(final: Path, *, resumed: bool = False) -> Iterator[Path]:
    """A fresh folder beside `final` that takes its name on a clean exit and vanishes on an error.

    One that is `resumed` holds what was in it when it was left before, stays where work was cut off, and vanishes only
    where the input was bad, or when another one is begun beside it.
    """
    with disk_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        if resumed:
            staging = final.parent / f"{_UNFINISHED}{final.name}"
            for other in final.parent.glob(f"{_UNFINISHED}*"):
                if other != staging:
                    shutil.rmtree(other, ignore_errors=True)
        else:
            staging = final.parent / f"{_STAGING}{final.name}-{os.getpid()}"
            shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(exist_ok=resumed)
        try:
            yield staging
            _into_place(staging, final)
        except BaseException as error:
            if not resumed or isinstance(error, InputError):
                shutil.rmtree(staging, ignore_errors=True)
            raise


def _into_place(staging: Path, final: Path) -> None:
    """Rename; where another process was quicker with the same artifact, keep its whole one."""
    try:
        os.rename(staging, final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or damage_of(final) is not None:
            raise
        shutil.rmtree(staging)
    _fsync(final.parent)


def clear_staging(folder: Path) -> None:
    """Remove what killed runs left half-written directly below `folder`."""
    for left_over in folder.glob(f"{_STAGING}*"):
        if left_over.is_dir():
            shutil.rmtree(left_over, ignore_errors=True)
        else:
            left_over.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, whose file takes the name `path` on a clean exit, flushed to disk: whole or not there."""
    staging = path.with_name(f"{_STAGING}{path.name}-{os.getpid()}")
    try:
        yield staging
        _fsync(staging)
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` in one step: a reader sees the old file or the new one, never a part."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = path.with_name(f"{_STAGING}{path.name}-{os.getpid()}")
        try:
            staging.write_bytes(data)
            _fsync(staging)
            os.replace(staging, path)
            _fsync(path.parent)
        finally:
            staging.unlink(missing_ok=True)


def write_json_atomic(path: Path, value: Any) -> None:
    """`write_atomic` of a JSON value, indented for people, with no NaN (JSON has none)."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write below `path` into the errors that a person reads."""
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        if _is_full_disk(error):
            raise WorkError(
                "the disk is full", where=path, remedy="free some space and run the same command again"
            ) from error
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            where = error.filename or path
            raise InputError("cannot be written", where=where, remedy="choose another --out") from error
        raise


_UNWRITABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL,
    errno.EOPNOTSUPP,
}  # fmt: skip


def _is_full_disk(error: Exception) -> bool:
    """Libraries that write files in C++ or Rust say so in words, not by number."""
    words = ("No space left on device", "Disk quota exceeded")
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(w in str(error) for w in words)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
