"""The folder of a study (`--out`): whose it is, who works in it, and how long it took.

study.json        what was asked (sources, recipe, budget): another study is refused, nothing is overwritten
.lock             held while somebody works here
artifacts/        the store          work/   states of unfinished runs
plan.json, predictions.json, claims.json, results.json, report.html
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.store import Store, disk_errors, write_json_atomic

IDENTITY = "study.json"
TIMINGS = "timings.json"


class Workspace:
    """Paths below `--out`, after `enter` has found it to be this study's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "artifacts")
        self.work = root / "work"

    def path(self, name: str) -> Path:
        return self.root / name

    @contextlib.contextmanager
    def enter(self, identity: dict[str, Any]) -> Iterator[None]:
        """Claim the folder for the study `identity` and lock it.

        Raises:
            InputError: the folder cannot be written, holds something else, or is in use.
        """
        if self.root.exists() and not self.root.is_dir():
            raise InputError("is a file", where=self.root, remedy="choose another --out")
        own = self.root / IDENTITY
        if own.exists():
            self._check_same(identity, own)
        elif self.root.is_dir() and any(p.name != ".lock" for p in self.root.iterdir()):
            raise InputError(
                "holds files that are not a study's",
                where=self.root,
                remedy="choose an empty or new folder as --out",
            )
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with self._lock():
            self.store.clear_staging()
            if not own.exists():
                write_json_atomic(own, identity)
            yield

    def _check_same(self, identity: dict[str, Any], own: Path) -> None:
        try:
            before = json.loads(own.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise InputError("is damaged", where=own, remedy="choose another --out") from None
        different = [key for key in identity if before.get(key) != identity[key]]
        if different:
            raise InputError(
                f"holds another study (its {', '.join(different)} differ)",
                where=self.root,
                remedy=f"choose another --out, or repeat its command: {before.get('command', 'see study.json')}",
            )

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with disk_errors(self.root):
            handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    "another run is working here",
                    where=self.root,
                    remedy="wait for it, or choose another --out",
                ) from None
            yield
        finally:
            os.close(handle)

    def remember(self, name: str, value: Any) -> Any:
        """Write `name` the first time; afterwards return what was written then."""
        path = self.root / name
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        write_json_atomic(path, value)
        return value

    def add_seconds(self, by_stage: dict[str, float]) -> dict[str, float]:
        """Add this run's seconds to those of earlier runs of the study; returns the sums."""
        path = self.root / TIMINGS
        try:
            sums = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            sums = {}
        for stage, seconds in by_stage.items():
            sums[stage] = sums.get(stage, 0.0) + seconds
        write_json_atomic(path, sums)
        return {str(stage): float(seconds) for stage, seconds in sums.items()}
