"""A finding: what it is, how much it matters, how often and where it was seen. Which words tell of it is not decided
here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from assay.tasks.coding import WIDE, joined
from assay.tasks.protocol import Example

Parts = Mapping[str, Sequence[Example]]
Level = Literal["mend", "look", "note"]
LEVELS: tuple[Level, ...] = ("mend", "look", "note")
"""mend: scores would be false, or rows are lost. look: it may be meant. note: usual, and good to know."""
KINDS = (
    "nothing", "unreadable", "tags_differ", "answers_missing", "bad_tags", "labels_alike", "labels_unseen", "leaks",
    "contradictions", "contradictions_across", "over_rows", "ill_formed", "leaks_near", "contexts_shared",
    "labels_typed", "answers_moved", "answers_left", "mended", "questions_again", "labels_rare", "labels_uneven",
    "labels_shifted", "numbers_far", "numbers_beyond", "cut", "windows", "unknown", "sentence_ends", "empty",
    "controls", "html", "wide_letters", "chinese_forms", "lookalikes", "scripts", "leaks_short", "repeats",
    "questions_alike", "punctuation",
)  # fmt: skip
"""All kinds, those that matter most first."""
SHOWN = 5  # places of each
_MOST = 60  # characters of a text beside its place
_UNIT = re.compile(rf"{WIDE.pattern}|\w+")
_TOLD = 10  # see `telling`


@dataclass(frozen=True)
class Place:
    """Where something was seen ("file.jsonl:12"), and what stands there."""

    where: str
    what: str = ""


@dataclass(frozen=True)
class Finding:
    """See the module.

    Attributes:
        kind: of KINDS.
        n, of: how many of how many.
        places: the first of them.
        values: whatever else its words need.
    """

    kind: str
    level: Level
    n: int
    of: int
    places: tuple[Place, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def found(kind: str, level: Level, places: Iterable[Place], of: int, n: int | None = None, **values: Any) -> Finding:
    """A finding with its first places; of as many as there are, if `n` does not say."""
    every = list(places)
    return Finding(kind, level, len(every) if n is None else n, of, tuple(every[:SHOWN]), values)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """What matters most first."""
    return sorted(findings, key=lambda f: (LEVELS.index(f.level), KINDS.index(f.kind), -f.n / max(f.of, 1)))


def place(example: Example, what: str | None = None) -> Place:
    """Where an example stands, with its text or something else."""
    return Place(example.where, short(whole(example) if what is None else what))


def short(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST else line[: _MOST - 1] + "…"


def texts_of(example: Example) -> list[str]:
    """The texts that a model reads; the words of a sentence as one, messages one by one."""
    given = example.given
    if "tokens" in given:
        return [given["text"] if isinstance(given.get("text"), str) else joined(given["tokens"])]
    found = []
    for value in given.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [str(one["content"]) for one in value if isinstance(one, dict) and "content" in one]
    return found


def whole(example: Example) -> str:
    """All texts of an example, side by side."""
    return " | ".join(texts_of(example))


def folded(text: str) -> str:
    """A text without what does not tell texts apart: compatibility forms (full width), case, white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def key(example: Example) -> tuple[str, ...]:
    """Equal for equal inputs."""
    return tuple(map(folded, texts_of(example)))


def units(text: str) -> list[str]:
    """Words, and characters of scripts whose words no space parts."""
    return _UNIT.findall(text)


def telling(key: tuple[str, ...]) -> bool:
    """Whether an input is so long (five words, ten characters of Chinese) that nobody says the same by chance."""
    return sum(1 if WIDE.match(unit) else 2 for text in key for unit in units(text)) >= _TOLD
