"""What a place far away holds, in words that all places share, and what can go wrong there."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from assay.errors import InputError, WorkError
from assay.present.words import Both

TIMEOUT = 20.0  # seconds without a sign of life


class Unreached(WorkError):
    """The network, or whoever answers at its other end, failed (exit code 1); the same request may do later."""


class Object(NamedTuple):
    """One object.

    Attributes:
        name: below the root, its parts joined by "/".
        size: bytes; None where the place does not say.
        version: changes when the content does; None where the place does not say.
        address: what the place calls it.
        checksum: "sha256" or "git" (SHA-1 of a Git blob) and the hex digits.
        here: a file of this machine that may be the content.
    """

    name: str
    size: int | None
    version: str | None
    address: str
    checksum: tuple[Literal["sha256", "git"], str] | None = None
    here: Path | None = None


class Place(Protocol):
    """How the content of an object is had."""

    def begin(self, one: Object, offset: int) -> tuple[int, Iterator[bytes]]:
        """The content from `offset` on, or from where the place can begin, which is said.

        Raises:
            Unreached: now, or while it is iterated; trying again may do.
            InputError: it is not there, not allowed, or another one by now.
        """
        ...


@dataclass(frozen=True)
class Holding:
    """What a URI names.

    Attributes:
        root: names of the folders on the way to what the URI names, and its own last, as in a local copy.
        objects: what is below it; one object whose name is "" if the root is a file.
        scheme: what stands before the root where it is shown.
    """

    scheme: str
    root: tuple[str, ...]
    objects: tuple[Object, ...]
    place: Place
    notices: tuple[Both, ...] = field(default=())


def no_file_name(name: str) -> bool:
    """Whether an object's name cannot be that of a file below a folder."""
    parts = name.split("/")
    return any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > 255 for part in parts)


def check_names(found: Iterable[Object], where: str) -> None:
    """See that all objects can be files below a folder.

    Raises:
        InputError: one cannot.
    """
    for one in found:
        if one.name and no_file_name(one.name):
            what, remedy = f"an object's name cannot be a file's ({one.name[:60]!r})", "name what is below it by itself"
            raise InputError(what, where=where, remedy=remedy)


_WILD = re.compile(r"[*?\[]")


def without_glob(path: str) -> tuple[str, str | None]:
    """A path before its first part with a wildcard, and the pattern of the rest; None where there is none."""
    parts = path.split("/")
    at = next((i for i, part in enumerate(parts) if _WILD.search(part)), None)
    return (path, None) if at is None else ("/".join(parts[:at]), "/".join(parts[at:]))


def matches(name: str, pattern: str) -> bool:
    """Whether the parts of a name match those of a pattern; `**` stands for any number of folders."""
    return _match(tuple(name.split("/")), tuple(pattern.split("/")))


def _match(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """By rows of a table, not by trying all ways: `**` many times over takes no longer than parts times patterns."""
    reached = [True, *[False] * len(parts)]
    for pattern in patterns:
        if pattern == "**":
            for i in range(1, len(reached)):
                reached[i] = reached[i] or reached[i - 1]
            continue
        fits = [fnmatch.fnmatchcase(part, pattern) for part in parts]
        reached = [False, *(before and fit for before, fit in zip(reached, fits, strict=False))]
    return reached[-1]


def nothing_there(where: str, pattern: str | None) -> InputError:
    """The error for a URI that names nothing."""
    if pattern is not None:
        return InputError(f"nothing matches {pattern}", where=where, remedy="check the pattern, or name the folder")
    return InputError("there is nothing of this name", where=where, remedy="check its spelling")
