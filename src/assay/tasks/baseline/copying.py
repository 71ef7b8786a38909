"""The floor of translation and summaries: what can be had by copying the source, or its beginning.

    copy     the source itself (in translation what names and numbers alone are worth)
    lead-k   its first k sentences, or its first n words (characters, in scripts without spaces)

Which of them, and how much, the training rows say: the one whose words are most like the targets'. Lead-3 is the floor
that summaries of news are held against (See, Liu and Manning 2017).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assay.errors import InputError
from assay.tasks.baseline import stored
from assay.tasks.baseline.answers import TOKENS, likeness

KIND = "copying"
Unit = Literal["all", "sentences", "tokens"]
_END = re.compile(r"(?<=[。！？；])[”’」』）]*\s*|(?<=[.!?])[\"'”’)]*\s+(?=\S)|\n+")
_LEADS = (1, 2, 3, 4, 5)
_LOOK = 2000  # rows that the choice is made by


@dataclass(frozen=True)
class Lead:
    """How much of a source is copied: all of it, or its first sentences or tokens.

    Attributes:
        likeness: mean F1 of the words of what is copied and of the target, on the training rows.
    """

    unit: Unit
    n: int
    likeness: float

    @classmethod
    def fit(cls, sources: Sequence[str], targets: Sequence[str]) -> Lead:
        """Choose by sources and their targets.

        Raises:
            InputError: there are none.
        """
        if not sources or len(sources) != len(targets):
            raise InputError("no pairs to learn from", remedy="give sources and as many targets")
        some = np.linspace(0, len(sources) - 1, min(len(sources), _LOOK)).astype(int)
        pairs = [(sources[i], targets[i]) for i in some]
        length = int(np.median([len(TOKENS.findall(target)) for _, target in pairs]))
        around = sorted({max(1, round(length * factor)) for factor in (0.75, 1.0, 1.5, 2.0)})
        ways: list[tuple[Unit, int]] = [
            ("all", 0),
            *(("sentences", k) for k in _LEADS),
            *(("tokens", n) for n in around),
        ]
        found = [
            cls(unit, n, float(np.mean([likeness(_copied(source, unit, n), target) for source, target in pairs])))
            for unit, n in ways
        ]
        return max(found, key=lambda one: one.likeness)

    def predict(self, sources: Sequence[str]) -> list[str]:
        """What is copied of each source."""
        return [_copied(source, self.unit, self.n) for source in sources]

    def save(self, folder: Path) -> None:
        """Write the model as JSON."""
        stored.save(
            folder, KIND, {"unit": self.unit, "n": self.n, "likeness": self.likeness}, {"n": np.array([self.n])}
        )

    @classmethod
    def of(cls, config: dict[str, Any], held: stored.Arrays) -> Lead:
        """What `save` wrote."""
        return cls(config["unit"], int(config["n"]), float(config["likeness"]))


def sentences(text: str) -> list[str]:
    """A text cut behind the marks that end sentences, what parts them left with each."""
    cuts = [0, *(found.end() for found in _END.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if text[a:b].strip()]


def _copied(source: str, unit: Unit, n: int) -> str:
    if unit == "all":
        return source
    if unit == "sentences":
        return "".join(sentences(source)[:n]).strip()
    ends = [found.end() for found in TOKENS.finditer(source)]
    return source[: ends[n - 1]].strip() if len(ends) > n else source
