"""The corpus as it was found: a table per source, and what was not read."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from assay.impact.results import SourceProfile, StudyResults
from assay.present.numbers import NONE, compact, fixed, percent, significant, size
from assay.present.parts import Content, Ids, fold, said, share_bar, spans
from assay.present.tables import Column, table
from assay.present.words import both, known

_COLUMNS = (
    "source",
    "documents",
    "size",
    "share",
    "languages",
    "exact",
    "near",
    "repetition",
    "letters",
    "median",
    "bytes_per_token",
)


def view(results: StudyResults, ids: Ids) -> dict[str, Any]:
    """What the section "profile" places."""
    profile = results.profile
    columns = [Column(both(f"profile.{name}"), number=name not in ("source", "languages")) for name in _COLUMNS]
    return {
        "lead": said(
            "profile.lead",
            documents=fixed(sum(source.documents for source in profile), 0),
            bytes=size(sum(source.bytes for source in profile)),
        ),
        "table": table(
            both("profile.caption"),
            columns,
            [_row(source) for source in profile],
            ident=ids.new("profile-caption"),
            kind="dense",
        ),
        "skipped": _skipped(results, ids),
        "bad": _bad(results),
    }


def _bad(results: StudyResults) -> Markup:
    counts = {"profile.bad_rows": results.bad_rows, "profile.bad_files": results.bad_files}
    told = [said(key, n=n) for key, n in counts.items() if n] or [said("profile.no_bad_rows")]
    return Markup(" ").join(told)


def _row(source: SourceProfile) -> list[Content]:
    parts = said(
        "profile.split",
        train=compact(source.train_documents),
        eval=compact(source.eval_documents),
        test=compact(source.test_documents),
    )
    return [
        source.source,
        Markup("{}<small>{}</small>").format(fixed(source.documents, 0), parts),
        size(source.bytes),
        share_bar(source.share, percent(source.share)),
        _languages(source.languages),
        percent(source.exact_duplicates),
        percent(source.near_duplicates),
        percent(source.repetition),
        percent(source.letters),
        fixed(source.median_chars, 0),
        NONE if source.bytes_per_token is None else significant(source.bytes_per_token),
    ]


def _languages(shares: dict[str, float]) -> Markup:
    """The three commonest languages of a source, one a line; those below 1 % only where there is no other."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    shown = [item for item in ordered[:3] if item[1] >= 0.01] or ordered[:1]
    lines = (
        Markup('<span class="line">{} {}</span>').format(spans(known(f"language.{code}", code)), percent(share))
        for code, share in shown
    )
    return Markup("").join(lines) or escape(NONE)


def _skipped(results: StudyResults, ids: Ids) -> Content:
    if not results.skipped:
        return ""
    columns = [Column(both("profile.file"), number=False), Column(both("profile.reason"), number=False)]
    body = table(
        both("profile.skipped_caption"),
        columns,
        results.skipped,
        ident=ids.new("skipped-caption"),
        quiet=True,
    )
    return fold(both("profile.skipped", n=len(results.skipped)), body, "paper")
