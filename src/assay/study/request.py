"""What a person asked a study for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.corpus.reading.source import identity_of, title_of
from assay.present.numbers import compact, durations
from assay.present.words import Both, both
from assay.recipe.study import StudyRecipe


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        sources: URIs.
        out: folder of the study.
        recipe: everything else.
        tokens, seconds: the budget, one of both.
        language: of progress and of the page's first view.
        command: as typed.
        ray: the address of the cluster that does the runs and scores the documents; None: this machine.
    """

    sources: list[str]
    out: Path
    recipe: StudyRecipe
    tokens: float | None
    seconds: float | None
    language: str
    command: list[str]
    ray: str | None = None

    def identity(self) -> dict[str, Any]:
        """What makes it this study and no other."""
        where = [identity_of(s) for s in self.sources]
        budget = {"tokens": self.tokens} if self.tokens is not None else {"seconds": self.seconds}
        return {"sources": where, "recipe": self.recipe.identity(), "budget": budget}

    @property
    def title(self) -> str:
        return self.recipe.title or ", ".join(title_of(s) for s in self.sources)

    @property
    def budget_in_words(self) -> Both:
        if self.tokens is not None:
            return both("fact.tokens", n=compact(self.tokens))
        return durations(self.seconds or 0.0)
