"""A corpus's profile -> one HTML file, in English and Chinese, that carries everything it shows.

Each section has a function that turns its part of the profile into what the template places: `amounts` (sizes,
lengths, languages), `quality` (signals, rule packs, bounds), `copies` (clusters, overlap, vocabulary), `topics`, `rest`
(personal data, what was skipped, how to read). The order of the page is that of `templates/portrait.html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.present.numbers import fixed, size
from assay.present.page import begun
from assay.present.words import both
from assay.report.portrait import amounts, copies, quality, rest, topics
from assay.report.sheet import filled

SECTIONS = (
    "answer", "sizes", "lengths", "languages", "signals", "packs", "margins", "copies", "vocabulary", "topics",
    "private", "skipped", "read",
)  # fmt: skip


def render(found: Mapping[str, Any], language: str = "en") -> str:
    """The page of a profile (what profile.json holds), with both languages in it; `language` is the one shown first.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, SECTIONS)
    return filled(
        "portrait.html",
        language=language,
        page_title=both("portrait.title", title=found["title"]),
        contents=[(name, both(f"portrait.nav.{name}")) for name in SECTIONS],
        found=found,
        documents=fixed(found["documents"], 0),
        bytes=size(found["bytes"]),
        answer=rest.answer(found),
        sizes=amounts.sizes(found, ids),
        lengths=amounts.lengths(found, ids),
        tongues=amounts.tongues(found, ids),
        signals=quality.signals(found, ids),
        packs=quality.packs(found, ids),
        margins=quality.margins(found),
        copies=copies.copies(found, ids),
        vocabulary=copies.vocabulary(found, ids),
        topics=topics.topics(found, ids),
        private=rest.private(found, ids),
        skipped=rest.skipped(found, ids),
        read=rest.read(found),
    )
