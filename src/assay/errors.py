"""Errors that reach a person: one line that says what was wrong, where, and what to do about it."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path

interrupted = threading.Event()
"""Set by the first Ctrl-C. Its KeyboardInterrupt can be lost where Python must not raise (in a destructor, or in a
callback from a library): whoever tells of progress looks here, and raises it again."""


class AssayError(Exception):
    """An error that is told in one line, without a traceback.

    Args:
        what: what was wrong.
        where: the file, with line or column where it is known.
        remedy: what the person can do.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path | None = None, remedy: str = "") -> None:
        self.what = what
        self.where = str(where) if where is not None else None
        self.remedy = remedy
        super().__init__(self.line())

    def line(self) -> str:
        """The message as one line, whatever the parts held."""
        place = f"{self.where}: " if self.where else ""
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return " ".join(f"{place}{self.what}{remedy}".split())


class InputError(AssayError):
    """Bad usage or bad input (exit code 2): no results were written and earlier ones are intact."""

    exit_code = 2


class WorkError(AssayError):
    """The work itself failed (exit code 1): a full disk, a worker that died."""

    exit_code = 1


class Stopped(AssayError):
    """The person asked to stop (Ctrl-C); what is done is kept and a rerun goes on from there."""

    exit_code = 130


def needs(module: str, extra: str, what: str) -> None:
    """See that a library is installed that reads something and comes with an extra.

    Args:
        what: it reads, such as "PDF files".

    Raises:
        InputError: it is not; the remedy says how to install it.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        said = f"{what} are read by {module}, which is not installed"
        raise InputError(said, remedy=f'pip install "assay[{extra}]"') from error
