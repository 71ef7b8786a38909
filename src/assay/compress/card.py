"""The card of a compressed model: what it was made of and how, what that costs and saves, how it is opened; in English
and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay import __version__
from assay.compress import told
from assay.export.card import markdown
from assay.present.words import LANGUAGES, say


def written(answer: Mapping[str, Any], title: str) -> str:
    """The content of README.md."""
    return "\n\n".join([f"# {title}", *(part for one in LANGUAGES for part in section(answer, one))]) + "\n"


def section(answer: Mapping[str, Any], language: str) -> list[str]:
    """What the card says in one language."""
    parts = [
        say("compress.card.about", language, done=told.done(answer, language), model=answer["model"],
            version=__version__),
        *_calibrated(answer, language),
        f"## {say('compress.card.figures', language)}", markdown(*told.figures(answer, language)),
    ]  # fmt: skip
    if answer["scores"] is not None:
        title = say("compress.card.scores", language, n=answer["scores"]["n"])
        parts += [f"## {title}", markdown(*told.scores(answer, language))]
    lines = [f"- {one}" for one in told.notes(answer, language)]
    parts += ["\n".join(lines)] if lines else []
    return [*parts, f"## {say('compress.card.use', language)}", f"```bash\n{_use(answer)}\n```"]


def _calibrated(answer: Mapping[str, Any], language: str) -> list[str]:
    found = answer["calibration"]
    if found is None:
        return []
    sources = ", ".join(f"`{one}`" for one in found["sources"])
    return [say("compress.card.calibrated", language, sources=sources, rows=found["rows"], tokens=found["tokens"])]


def _use(answer: Mapping[str, Any]) -> str:
    if answer["task"] is not None:
        return 'assay predict path/to/this/folder --text "..."\nassay eval path/to/this/folder examples.jsonl'
    if answer["kind"] in ("decoder", "recurrent"):
        return "assay eval path/to/this/folder texts/"
    return "assay finetune classification examples/ --model path/to/this/folder"
