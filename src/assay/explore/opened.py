"""Models, opened when they are asked for: the last few stay open, and one question at a time goes to each.

writer(entry)   what goes on with text          task(entry)   what answers texts
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from assay.errors import InputError
from assay.explore.catalog import Entry
from assay.generation.opened import Writer
from assay.models.heads import Headed
from assay.tasks.opened import Opened

KEPT = 2  # models that stay open
WRITING = ("translation", "summarization", "completion", "instruction", "preference")


class Models:
    """The models that are open."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.RLock()

    @contextmanager
    def writer(self, entry: Entry) -> Iterator[Writer]:
        """A model that writes, for one question.

        Raises:
            InputError: there is none, or it does not write.
        """
        with self._lock:
            found = self._found(entry)
            if not isinstance(found, Writer):
                what = "answers texts, and writes none"
                raise InputError(what, where=entry.name, remedy="choose a language model")
            yield found

    @contextmanager
    def task(self, entry: Entry) -> Iterator[Opened]:
        """A model with a head for a task, for one question.

        Raises:
            InputError: there is none.
        """
        with self._lock:
            found = self._found(entry)
            if not isinstance(found, Opened):
                what = "was trained for no task that answers texts"
                raise InputError(what, where=entry.name, remedy="choose a model of a task")
            yield found

    @contextmanager
    def any(self, entry: Entry) -> Iterator[Writer | Opened]:
        """Whatever it is, for one question."""
        with self._lock:
            yield self._found(entry)

    def _found(self, entry: Entry) -> Any:
        if entry.id not in self._open:
            while len(self._open) >= KEPT:
                self._open.popitem(last=False)
            self._open[entry.id] = _opened(entry)
        self._open.move_to_end(entry.id)
        return self._open[entry.id]


def _opened(entry: Entry) -> Writer | Opened:
    if entry.does and entry.does not in WRITING:
        return Opened.load(entry.path)
    try:
        return Writer.load(entry.path)
    except InputError:
        if entry.does:
            opened = Opened.load(entry.path)
            if isinstance(opened.model, Headed):
                return opened
        raise
