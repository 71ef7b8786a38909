"""A study's results -> one HTML file, in English and Chinese, that carries everything it shows.

Each section of the page has a module that turns its part of the results into what the template places:
`answer` (headline, predictions, all claims), `corpus`, `curves` (learning curves and the size law), `doses`,
`mixtures`, `samples`, `costs`. The order of the page is the order of `templates/study.html`.
"""

from __future__ import annotations

from assay.impact.results import StudyResults
from assay.present.numbers import compact, moment
from assay.present.page import begun
from assay.present.words import both
from assay.report import (
    answer,
    corpus,
    costs,
    curves,
    decisions,
    doses,
    filters,
    leaks,
    mixtures,
    orders,
    samples,
    scales,
)
from assay.report.sheet import filled

SECTIONS = (
    "answer",
    "decisions",
    "profile",
    "curves",
    "law",
    "scales",
    "doses",
    "leaks",
    "orders",
    "filters",
    "mixtures",
    "samples",
    "claims",
    "cost",
    "reproduce",
    "read",
)


def render(results: StudyResults, language: str = "en") -> str:
    """The study's page, self-contained, with both languages in it; `language` is the one shown first.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, SECTIONS)
    return filled(
        "study.html",
        language=language,
        page_title=both("page.title", title=results.title),
        contents=[(name, _name(name)) for name in SECTIONS if _has(results, name)],
        results=results,
        parameters=compact(results.parameters),
        created=moment(results.created_at),
        answer=answer.view(results, ids),
        profile=corpus.view(results, ids),
        curves=curves.learning(results, ids),
        law=curves.law(results, ids),
        scales=scales.view(results, ids),
        doses=doses.view(results, ids),
        decisions=decisions.view(results, ids),
        leaks=leaks.view(results, ids),
        orders=orders.view(results, ids),
        filters=filters.view(results, ids),
        mixtures=mixtures.view(results, ids),
        samples=samples.view(results, ids),
        cost=costs.cost(results, ids),
        reproduce=costs.reproduce(results, ids),
    )


def _name(section: str) -> dict[str, str]:
    return both(f"{section}.nav")


def _has(results: StudyResults, section: str) -> bool:
    """Whether a section is in the page: a study without doses, curves or samples leaves theirs out."""
    held = {
        "decisions": results.decisions,
        "curves": results.curves,
        "scales": results.scales,
        "doses": results.doses,
        "leaks": results.leaks,
        "orders": results.orders,
        "filters": results.filters,
        "samples": results.samples,
    }
    return bool(held.get(section, True))
