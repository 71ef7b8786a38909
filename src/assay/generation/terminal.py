"""A conversation on a terminal: lines in, answers as they are written.

On a terminal lines are edited as the system's readline does it (arrow keys, history, wide characters), names are in
colour, and Ctrl-C stops an answer, or at the prompt the program. Elsewhere every line of standard input is a message,
and answers alone are printed.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from assay.errors import AssayError, InputError, interrupted
from assay.generation.session import COMMANDS, Command, Session, command_of, message_of
from assay.present.numbers import fixed
from assay.present.words import say
from assay.store import disk_errors


class Terminal:
    """What is read and shown.

    Args:
        language: of notes.
        quiet: answers are not shown.
    """

    def __init__(self, session: Session, language: str, *, quiet: bool = False) -> None:
        self.session, self.language, self.quiet = session, language, quiet
        self.is_shown = sys.stdin.isatty() and sys.stdout.isatty() and not quiet
        self._out, self._err = Console(highlight=False), Console(stderr=True, highlight=False)

    def run(self) -> None:
        """Until the end of the input, or /quit."""
        if self.is_shown:
            with contextlib.suppress(ImportError):  # Windows has none, and edits lines itself
                import readline  # noqa: F401
            self._note("chat.hello", model=self.session.writer.name)
        with _interruptible():
            for line in self._lines():
                command = command_of(line)
                if command is None:
                    self._answer(message_of(line))
                elif command.name == "quit":
                    return
                else:
                    self._do(command)

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                line = input(self._prompt()) if self.is_shown else _line()
            except EOFError:
                if self.is_shown:
                    print()
                return
            except KeyboardInterrupt:
                print(file=sys.stderr)
                return
            if line.strip():
                yield line

    def _prompt(self) -> str:
        """In colour; signs that take no room are marked, or readline would miscount the columns."""
        name = say("chat.you", self.language)
        return f"\x01\x1b[1;36m\x02{name}\x01\x1b[0m\x02 " if self._out.color_system else f"{name} "

    def _answer(self, text: str) -> None:
        began, before = time.monotonic(), self.session.tokens
        if self.is_shown:
            self._out.print(self.session.writer.name, style="bold magenta", end=" ", markup=False)
        pieces = self.session.say(text)
        try:
            for n, piece in enumerate(pieces):
                self._show(piece if n else piece.lstrip())
        except KeyboardInterrupt:
            pieces.close()  # type: ignore[attr-defined]
            if interrupted.is_set():  # no Ctrl-C, but a scheduler's signal: the program ends
                raise
            self._show("\n")
            self._note("chat.stopped")
            return
        except AssayError as error:
            if not self.is_shown:
                raise
            self._problem(error.line())
            return
        self._show("\n")
        self._after(self.session.tokens - before, time.monotonic() - began)

    def _after(self, tokens: int, seconds: float) -> None:
        last = self.session.last
        if last is not None and last.turns_cut:
            self._note("chat.cut", n=last.turns_cut)
        if last is not None and last.end != "stop":
            self._note(f"chat.{last.end}", n=last.tokens)
        if self.is_shown:
            self._note("chat.rate", n=tokens, rate=fixed(tokens / max(seconds, 1e-9), 0))

    def _do(self, command: Command) -> None:
        if command.name not in COMMANDS:
            self._problem(say("chat.unknown", self.language, name=f"/{command.name}"))
        elif command.name == "help":
            self._show(say("chat.help", self.language) + "\n")
        elif command.name == "save":
            self._save(command.rest)
        else:
            self.session.reset(command.rest if command.name == "system" else None)
            self._note("chat.reset" if command.name == "reset" else "chat.system")

    def _save(self, name: str) -> None:
        if not name:
            self._problem(say("chat.nameless", self.language))
            return
        try:
            self.session.save(Path(name))
        except AssayError as error:
            self._problem(error.line())
        else:
            self._note("chat.saved", file=name)

    def _show(self, text: str) -> None:
        if not self.quiet:
            with disk_errors(Path("standard output")):
                print(text, end="", flush=True)

    def _note(self, key: str, **values: object) -> None:
        self._err.print(say(key, self.language, **values), style="dim", markup=False, soft_wrap=True)

    def _problem(self, text: str) -> None:
        self._err.print(text, style="red", markup=False, soft_wrap=True)


def _line() -> str:
    """A line of standard input.

    Raises:
        EOFError: there is none.
    """
    data = sys.stdin.buffer.readline()
    if not data:
        raise EOFError
    try:
        return data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("is no valid UTF-8", where="standard input", remedy="give messages in UTF-8") from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Every Ctrl-C is an exception, however many there were: one stops an answer and not the program."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
