"""The model card: what the model is, what it was trained on, how good it is, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay import __version__
from assay.present.numbers import compact, percent
from assay.present.words import LANGUAGES, say
from assay.pretrain.request import Request
from assay.pretrain.told import MEASURES, measured
from assay.train.run import Outcome


def unfinished(title: str) -> str:
    """The card of a checkpoint."""
    return f"# {title}\n\n" + "\n\n".join(say("card.unfinished", language) for language in LANGUAGES) + "\n"


def finished(request: Request, outcome: Outcome, weights: Mapping[str, float], answer: Mapping[str, Any]) -> str:
    """The card of a model that is done.

    Args:
        weights: share of each source in training.
        answer: of the run.
    """
    parts = [f"# {request.title}"]
    for language in LANGUAGES:
        parts += [_about(request, outcome, weights, answer, language), _table(answer, language)]
        parts += [say("card.measured", language), say("card.use", language), f"```python\n{_use(outcome)}\n```"]
    return "\n\n".join(parts) + "\n"


def _about(
    request: Request, outcome: Outcome, weights: Mapping[str, float], answer: Mapping[str, Any], language: str
) -> str:
    inside, everything = outcome.model.n_parameters()
    shares = ", ".join(f"{source} {percent(share)}" for source, share in sorted(weights.items()))
    return say(
        "card.about", language, preset=request.recipe.model.preset, parameters=compact(everything),
        inside=compact(inside), tokens=compact(outcome.tokens), step=outcome.step, dtype=answer["dtype"],
        seed=request.recipe.train.seed, shares=shares, version=__version__,
    )  # fmt: skip


def _table(answer: Mapping[str, Any], language: str) -> str:
    evaluations: Mapping[str, Any] = answer["evaluations"]
    measures = [m for m in MEASURES if m in next(iter(evaluations.values()))]
    head = [say("card.text", language), say("card.n", language), *(say(f"card.{m}", language) for m in measures)]
    lines = [_line(head), _line(["---"] * len(head))]
    for split, found in evaluations.items():
        rows = {"": found, **found.get("sources", {})}
        for source, own in rows.items():
            name = say(f"card.split.{split}", language) + (f": {source}" if source else "")
            lines.append(_line([name, str(own["n"]), *(measured(own[m]) for m in measures)]))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _use(outcome: Outcome) -> str:
    return (
        "from pathlib import Path\n\n"
        "from assay.models import interop\n"
        "from assay.tokens.tokenizer import Encoder\n\n"
        'folder = Path("model")\n'
        "model, encoder = interop.load(folder), Encoder.load(folder)"
    )
