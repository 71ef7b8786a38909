"""A study's results -> one HTML file, in English and Chinese, that carries everything it shows.

Each section of the page has a module that turns its part of the results into what the template places:
`answer` (headline, predictions, all claims), `corpus`, `curves` (learning curves and the size law), `doses`,
`mixtures`, `samples`, `costs`. The order of the page is the order of `templates/study.html`.
"""

from __future__ import annotations

from functools import cache

import jinja2

from assay.impact.results import StudyResults
from assay.present.numbers import compact, moment
from assay.present.page import begun, environment
from assay.present.words import both
from assay.report import answer, corpus, costs, curves, decisions, doses, filters, leaks, mixtures, orders, samples

SECTIONS = (
    "answer",
    "decisions",
    "profile",
    "curves",
    "law",
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


# Unseen characters that can break a page: controls, and marks that turn the direction of what follows.
_UNSEEN = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)


def render(results: StudyResults, language: str = "en") -> str:
    """The study's page, self-contained, with both languages in it; `language` is the one shown first.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, SECTIONS)
    page = (
        _environment()
        .get_template("study.html")
        .render(
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
    )
    return printable(page)


def printable(page: str) -> str:
    """A page without characters that can break it."""
    return page.translate(_UNSEEN).encode("utf-8", "replace").decode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    return environment("assay.report")


def _name(section: str) -> dict[str, str]:
    return both(f"{section}.nav")


def _has(results: StudyResults, section: str) -> bool:
    """Whether a section is in the page: a study without doses, curves or samples leaves theirs out."""
    held = {
        "decisions": results.decisions,
        "curves": results.curves,
        "doses": results.doses,
        "leaks": results.leaks,
        "orders": results.orders,
        "filters": results.filters,
        "samples": results.samples,
    }
    return bool(held.get(section, True))
