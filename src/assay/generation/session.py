"""A conversation that goes on: what was said, what a line means, and the answer as it comes. `terminal` shows it.

a line          the user's message
/reset          begin anew; the system message stays
/system TEXT    another system message, and begin anew
/save FILE      the conversation as JSON; --from FILE goes on with it
/help, /quit
//...           a message that begins with one /
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.generation.conversation import ROLES
from assay.generation.files import stated
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import Answer, stream
from assay.store import write_json_atomic

COMMANDS = ("reset", "system", "save", "help", "quit")


@dataclass(frozen=True)
class Command:
    """What a line asks the program, not the model; a name that is none of COMMANDS is unknown."""

    name: str
    rest: str = ""


def command_of(line: str) -> Command | None:
    """What a line asks; None: it is a message."""
    if not line.startswith("/") or line.startswith("//"):
        return None
    name, _, rest = line[1:].partition(" ")
    return Command("quit" if name == "exit" else name, rest.strip())


def message_of(line: str) -> str:
    """The message that a line is."""
    return line[1:] if line.startswith("//") else line


@dataclass
class Session:
    """A conversation with a model.

    Attributes:
        messages: what was said.
        last: the newest answer; None where it was broken off.
    """

    writer: Writer
    settings: Settings
    draft: Writer | None = None
    messages: list[dict[str, str]] = field(default_factory=list)
    last: Answer | None = None
    tokens: int = 0

    def __post_init__(self) -> None:
        if self.writer.chat is None:
            remedy = "give a decoder, or take `assay generate`"
            raise InputError("the model holds no conversations", where=self.writer.folder, remedy=remedy)

    def say(self, text: str) -> Iterator[str]:
        """The pieces of an answer. Where nobody wants to hear more (the iterator is closed), what was said stays."""
        asked = [*self.messages, {"role": "user", "content": text}]
        said: list[str] = []
        self.last = None
        pieces = stream(self.writer, [asked], self.settings, draft=self.draft)  # what is wrong is told before
        self.messages = asked
        try:
            for piece in pieces:
                said.append(piece.text)
                self.tokens += len(piece.tokens)
                self.last = piece.answer
                if piece.text:
                    yield piece.text
        finally:
            self.messages.append({"role": "assistant", "content": "".join(said).strip()})

    def reset(self, system: str | None = None) -> None:
        """Begin anew, with another system message or the one that there is."""
        kept = [m for m in self.messages[:1] if m["role"] == "system"]
        if system is not None:
            kept = [{"role": "system", "content": system}] if system else []
        self.messages = kept

    def body(self) -> dict[str, Any]:
        """The conversation as JSON."""
        return {"model": str(self.writer.folder), "settings": stated(self.settings), "messages": self.messages}

    def save(self, path: Path) -> None:
        """Write it.

        Raises:
            InputError: the file cannot be written.
        """
        write_json_atomic(path, self.body())


def saved(path: Path) -> list[dict[str, str]]:
    """The messages of a conversation that was saved.

    Raises:
        InputError: it is none.
    """
    remedy = "name a file that /save has written"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["messages"]
        messages = [{"role": str(m["role"]), "content": str(m["content"])} for m in found]
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, remedy=remedy) from error
    except (ValueError, LookupError, TypeError) as error:
        raise InputError("is no saved conversation", where=path, remedy=remedy) from error
    if unknown := {m["role"] for m in messages} - set(ROLES):
        raise InputError(f"an unknown role: {min(unknown)!r}", where=path, remedy=f"roles are {', '.join(ROLES)}")
    return messages
