"""What a person sees while they wait: one line a stage, with the time left while it runs. On stderr.

On a terminal a bar moves; elsewhere (a log file) a line is written when a stage begins, every so often, and when it
ends. Estimates of the time left come from the work done so far in this run, never from the plan.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from assay.errors import interrupted
from assay.present.numbers import duration
from assay.present.words import say

LOG_EVERY_SECONDS = 20.0


def _heed() -> None:
    if interrupted.is_set():
        raise KeyboardInterrupt


class Progress:
    """Stages of a long work, one after the other.

    Args:
        language: of what is shown.
        quiet: show nothing (answers are still printed by the caller).
    """

    def __init__(self, language: str = "en", *, quiet: bool = False) -> None:
        self.language, self.quiet = language, quiet
        self._seconds: dict[str, float] = {}
        self._name: str | None = None
        self._began = self._counted = self._last_log = 0.0
        self._done = self._total = self._found = self._after = 0.0
        self._bar: Any = None
        self._task: Any = None
        self._note = ""

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar
            from rich.table import Column

            self._bar = Bar(
                TextColumn("{task.description}", table_column=Column(min_width=28)),  # Chinese is two cells wide
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(whole=error is None)
        if self._bar is not None:
            self._bar.stop()

    def stage(self, name: str, total: float = 1.0, *, after: float = 0.0) -> None:
        """Begin a stage of `total` units; `name` is a key below `progress` in the words.

        Args:
            after: units of the same work that a later stage will do; the time left counts them.
        """
        _heed()
        if name == self._name:
            self._total = total
            return
        self._end()
        self._name, self._total, self._after, self._done, self._found = name, total, after, 0.0, 0.0
        self._began = self._counted = self._last_log = time.monotonic()
        self._note = ""
        text = say(f"progress.{name}", self.language)
        if self._bar is not None:
            self._task = self._bar.add_task(text, total=total, left="")
        elif not self.quiet:
            print(f"{text} ...", file=sys.stderr, flush=True)

    def to(self, name: str, done: float, total: float) -> None:
        """The stage `name` stands at `done` of `total`."""
        self.stage(name, total)
        self.advance(done - self._done)

    def advance(self, amount: float, *, found: bool = False, note: str = "") -> None:
        """More is done.

        Args:
            found: it was done in an earlier run, so it tells nothing of this one's speed.
            note: a few words on how it goes, shown from now on.
        """
        _heed()
        self._note = note or self._note
        self._done += amount
        self._found += amount if found else 0.0
        now = time.monotonic()
        left = "  ".join(part for part in (self._left(now), self._note) if part)
        if self._bar is not None:
            self._bar.update(self._task, completed=min(self._done, self._total), total=self._total, left=left)
        elif not self.quiet and now - self._last_log > LOG_EVERY_SECONDS:
            self._last_log = now
            share = f"{min(1.0, self._done / self._total):.0%}" if self._total else ""
            name = say(f"progress.{self._name}", self.language)
            print(f"{name}: {share} {left}", file=sys.stderr, flush=True)

    def warn(self, key: str, **values: Any) -> None:
        """Say something that a person should know, even if nothing else is shown; `key` is below `progress`."""
        text = say(f"progress.{key}", self.language, **values)
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def tell(self, key: str, **values: Any) -> None:
        """Say something that is good to know, where anything is shown; `key` is below `progress`."""
        if not self.quiet:
            self.warn(key, **values)

    def notice(self, notices: Iterable[Mapping[str, str]]) -> None:
        """Say what was noticed, in both languages, in the one that is spoken here, even if nothing else is shown."""
        for one in notices:
            if self._bar is not None:
                self._bar.console.print(one[self.language], markup=False)
            else:
                print(one[self.language], file=sys.stderr, flush=True)

    def take_seconds(self) -> dict[str, float]:
        """Seconds spent in each stage since this was last asked."""
        self._count()
        taken, self._seconds = self._seconds, {}
        return taken

    def _left(self, now: float) -> str:
        fresh, elapsed = self._done - self._found, now - self._began
        if fresh <= 0 or elapsed < 2 or self._done >= self._total:
            return ""
        seconds = (self._total + self._after - self._done) / fresh * elapsed
        return say("progress.left", self.language, time=duration(max(1.0, round(seconds)), self.language))

    def _count(self) -> None:
        if self._name is not None:
            now = time.monotonic()
            self._seconds[self._name] = self._seconds.get(self._name, 0.0) + now - self._counted
            self._counted = now

    def _end(self, *, whole: bool = True) -> None:
        if self._name is None:
            return
        self._count()
        if self._bar is not None and whole:
            self._bar.update(self._task, completed=self._total, total=self._total, left="")
        self._name = None
