"""The folder of a work (`--out`): whose it is, who works in it, and how long it took.

study.json        what was asked (sources, recipe, budget); once its plan stands, another study is refused
.lock             held while somebody works here
artifacts/        the store          work/   states of unfinished runs
plan.json, predictions.json, claims.json, results.json, report.html

A training's folder is alike (`training.json`). A work is *settled* when its first run begins: until then the folder
holds nothing but stored artifacts, which no other work can use by mistake, so a command that failed can be corrected
and given again with the same `--out`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from assay.errors import AssayError, InputError, Stopped
from assay.present.progress import Progress
from assay.store import Store, clear_staging, disk_errors, write_json_atomic

TIMINGS, LOCK = "timings.json", ".lock"
Kind = Literal[
    "study", "training", "corpus", "selection", "deduplication", "privacy", "decontamination", "cleaning", "damage",
    "augmentation", "profile", "classifier", "law", "mixture", "calibration", "finetuning",
    "labels",
]  # fmt: skip
IDENTITIES: dict[Kind, str] = {
    "study": "study.json", "training": "training.json", "corpus": "corpus.json", "selection": "selection.json",
    "deduplication": "deduplication.json", "privacy": "privacy.json", "decontamination": "decontamination.json",
    "cleaning": "cleaning.json", "damage": "damage.json", "augmentation": "augmentation.json",
    "profile": "profiling.json", "classifier": "classifier.json", "law": "fit.json", "mixture": "mixing.json",
    "calibration": "calibrated.json", "finetuning": "finetuning.json", "labels": "labels.json",
}  # fmt: skip


class Workspace:
    """Paths below `--out`, after `enter` has found it to be this work's."""

    def __init__(self, root: Path, kind: Kind = "study") -> None:
        self.root, self.kind = root, kind
        self.identity = root / IDENTITIES[kind]
        self.store = Store(root / "artifacts")
        self.work = root / "work"

    def path(self, name: str) -> Path:
        return self.root / name

    @contextlib.contextmanager
    def enter(self, identity: Mapping[str, Any], command: str) -> Iterator[None]:
        """Claim the folder for the work `identity` and lock it.

        Args:
            identity: what makes it this work and no other.
            command: as typed, to be shown to whoever gives this folder to another one.

        Raises:
            InputError: the folder cannot be written, holds something else, or is in use.
        """
        made = self._make_root()
        with self._lock():
            try:
                self._claim(identity, command)
                self.store.clear_staging()
                clear_staging(self.root)
                yield
            except InputError:
                self._leave_no_trace(made)
                raise

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Add to another work's store: the folder is locked, and stays that work's.

        Raises:
            InputError: it is in use.
        """
        with self._lock():
            yield

    @contextlib.contextmanager
    def at_work(self, identity: Mapping[str, Any], command: str, progress: Progress) -> Iterator[None]:
        """Work here, after `enter`; the time it takes is remembered however it ends.

        Raises:
            Stopped: Ctrl-C; a rerun goes on from there.
        """
        with self.enter(identity, command):
            try:
                with progress:
                    yield
            except KeyboardInterrupt:
                raise Stopped("stopped", remedy="run the same command again to go on from here") from None
            finally:
                if self.settled:
                    with contextlib.suppress(AssayError):  # a full disk has been told already
                        self.add_seconds(progress.take_seconds())

    def check(self, **made_from: str) -> None:
        """See that the study, if it is settled, is made from these (name -> fingerprint).

        Raises:
            InputError: it is made from others.
        """
        before = self._read(self.identity).get("settled", {})
        for name, found in made_from.items():
            if before.get(name, found) != found:
                raise InputError(
                    f"its {name} has changed since this {self.kind} began",
                    where=self.root,
                    remedy=f"undo the change, or choose another --out for the changed {name}",
                )

    def settle(self, **made_from: str) -> None:
        """From here on the folder is this study's alone, made from these (name -> fingerprint); see `check`."""
        self.check(**made_from)
        if not self.settled:
            write_json_atomic(self.identity, {**self._read(self.identity), "settled": made_from})

    def remember(self, **decided: Any) -> None:
        """Keep what was decided on the way (JSON values), so that a rerun decides alike."""
        before = self._read(self.identity)
        write_json_atomic(self.identity, {**before, "decided": {**before.get("decided", {}), **decided}})

    def recall(self, name: str) -> Any:
        """What was decided, or None."""
        return self._read(self.identity).get("decided", {}).get(name)

    @property
    def settled(self) -> bool:
        return bool(self.identity.exists() and self._read(self.identity).get("settled"))

    def _make_root(self) -> list[Path]:
        """The folder, made if need be; returns the folders that were not there before, innermost first."""
        root = self.root
        with disk_errors(root):
            if (root.exists() or root.is_symlink()) and not root.is_dir():
                raise InputError("is not a folder", where=root, remedy="choose another --out")
            if root.is_dir() and not self.identity.exists() and any(p.name != LOCK for p in root.iterdir()):
                raise InputError(
                    f"holds files that are not a {self.kind}'s",
                    where=root,
                    remedy="choose an empty or new folder as --out",
                )
            made = [folder for folder in (root, *root.parents) if not folder.exists()]
            try:
                root.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:  # below /proc, say, nothing can be made
                raise InputError("cannot be written", where=root, remedy="choose another --out") from error
        return made

    def _claim(self, identity: Mapping[str, Any], command: str) -> None:
        if self.settled:
            before = self._read(self.identity)
            if different := list(_differences(before, identity)):
                shown = "; ".join(different[:3]) + (f"; and {len(different) - 3} more" if len(different) > 3 else "")
                raise InputError(
                    f"holds another {self.kind} ({shown})",
                    where=self.root,
                    remedy=f"choose another --out, or repeat its command: {before.get('command', '')}",
                )
        else:
            write_json_atomic(self.identity, {**identity, "command": command})

    def _leave_no_trace(self, made: list[Path]) -> None:
        """After bad input: folders that were made for nothing are removed again."""
        if not made or next(self.store.root.glob("*/*/"), None) is not None:
            return
        shutil.rmtree(self.store.root, ignore_errors=True)
        with contextlib.suppress(OSError):  # something else has come into them meanwhile: they stay
            for path in (self.identity, self.path(LOCK)):
                path.unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        path = self.path(LOCK)
        with disk_errors(self.root):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    "another run is working here", where=self.root, remedy="wait for it, or choose another --out"
                ) from None
            yield
        finally:
            os.close(handle)

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise InputError("is damaged", where=path, remedy="choose another --out")
        return value

    def add_seconds(self, by_stage: dict[str, float]) -> dict[str, float]:
        """Add this run's seconds to those of earlier runs of the study; returns the sums."""
        path = self.path(TIMINGS)
        try:
            sums = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            sums = {}
        for stage, seconds in by_stage.items():
            sums[stage] = sums.get(stage, 0.0) + seconds
        write_json_atomic(path, sums)
        return {str(stage): float(seconds) for stage, seconds in sums.items()}


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """What differs, key by key, those of a recipe last, named as `--set` does: `model.width: 16 there, 32 here`."""
    for key, value in sorted(here.items(), key=lambda item: item[0] == "recipe"):
        before = there.get(key)
        # An option that came since, and asks for nothing.
        later = key not in there and not value
        if before == value or later:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            prefix = "" if key == "recipe" else f"{key}."
            yield from (prefix + told for told in _differences(before, {**dict.fromkeys(before), **value}))
        else:
            yield f"{key}: {_short(before)} there, {_short(value)} here"


def _short(value: Any, most: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[: most - 1] + "…"
