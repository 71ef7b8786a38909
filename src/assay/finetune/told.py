"""What `assay finetune` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.finetune.request import RESULT
from assay.present.numbers import compact, duration, estimate, fixed
from assay.present.plain import plain_table
from assay.present.words import say


def tuned(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer in a few lines: scores of the whole, not by label."""
    facts = [
        say("tuned.step", language, step=answer["step"], steps=answer["steps"]),
        *([say("trained.early", language)] if answer["stopped_early"] else []),
        say("tuned.speed", language, speed=compact(answer["tokens_per_second"] or 0),
            time=duration(answer["seconds"], language)),
    ]  # fmt: skip
    folder = Path(answer["model"]).parent
    more = say("tuned.more", language, file=folder / RESULT)
    return [*table(answer, language), say("tuned.joint", language).join(facts), more, answer["model"]]


def table(answer: Mapping[str, Any], language: str) -> list[str]:
    """Scores by part."""
    parts = {part: found for part, found in answer["evaluations"].items() if found["n"]}
    head = [say("tuned.metric", language), *(f"{part} (n = {fixed(own['n'], 0)})" for part, own in parts.items())]
    names = [name for name in answer["shown"] if any(name in own["metrics"] for own in parts.values())]
    lines = [[name, *(measured(own["metrics"].get(name)) for own in parts.values())] for name in names]
    return plain_table(say("tuned.caption", language), head, lines)


def measured(score: Mapping[str, Any] | None) -> str:
    """A value and its interval."""
    if score is None or score["value"] is None:
        return "–"
    if score["interval"] is None:
        return f"{score['value']:.4g}"
    return " ".join(estimate(score["value"], score["interval"]))
