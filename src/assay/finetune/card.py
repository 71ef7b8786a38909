"""The card of a model of a task: what it does, how good it is, how to ask it, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay import __version__
from assay.finetune.request import Request
from assay.present.numbers import compact, estimate
from assay.present.words import LANGUAGES, say


def unfinished(title: str) -> str:
    """The card of a checkpoint."""
    return f"# {title}\n\n" + "\n\n".join(say("card.unfinished", language) for language in LANGUAGES) + "\n"


def finished(request: Request, answer: Mapping[str, Any]) -> str:
    """The card of a model that is done."""
    parts = [f"# {request.title}"]
    for language in LANGUAGES:
        parts += [
            say(
                "tuned.about", language, task=answer["task"], n=answer["examples"]["train"],
                begun=request.recipe.model.path or request.recipe.model.preset,
                parameters=compact(answer["parameters"]["all"]), version=__version__,
            ),
            "\n".join(_table(answer, language)),
            say("tuned.use", language),
            f"```python\n{_use(answer)}\n```",
        ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _table(answer: Mapping[str, Any], language: str) -> list[str]:
    lines = ["| " + " | ".join(say(f"tuned.{key}", language) for key in ("part", "n", "metric", "value")) + " |"]
    lines.append("| --- | --- | --- | --- |")
    for part, found in answer["evaluations"].items():
        for name, score in found["metrics"].items():
            if score["value"] is not None and name in answer["shown"]:
                value = " ".join(estimate(score["value"], score["interval"])) if score["interval"] else (
                    f"{score['value']:.4g}")  # fmt: skip
                lines.append(f"| {part} | {found['n']} | {name} | {value} |")
    return lines


def _use(answer: Mapping[str, Any]) -> str:
    return f'import assay\n\nask = assay.pipeline("{answer["task"]}", model="path/to/this/folder")\nask(["..."])'
