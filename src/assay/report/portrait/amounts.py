"""Sizes, lengths and languages of the sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from assay.present.numbers import NONE, compact, fixed, percent, size
from assay.present.parts import Content, Ids, figure, share_bar, spans
from assay.present.shapes import histogram
from assay.present.tables import Column, table
from assay.present.words import LANGUAGES, Both, both, known

_SHOWN = 3  # languages of a source


def name_of(source: Mapping[str, Any]) -> Content:
    """A source's name; that of several small ones says how many they are."""
    return both("portrait.others", n=source["merged"]) if source["merged"] else str(source["name"])


def text_of(source: Mapping[str, Any]) -> Both:
    """The same, in both languages whatever it is."""
    name = name_of(source)
    return name if isinstance(name, Mapping) else dict.fromkeys(LANGUAGES, name)


def part(n: int, whole: int) -> str:
    """A count as a share."""
    return percent(n / whole) if whole else NONE


def with_all(found: Mapping[str, Any]) -> list[tuple[Content, Mapping[str, Any]]]:
    """The sources by name, and, where they are several, all documents below them."""
    rows: list[tuple[Content, Mapping[str, Any]]] = [(name_of(source), source) for source in found["sources"]]
    return [*rows, (both("portrait.all"), found["all"])] if len(rows) > 1 else rows


def sizes(found: Mapping[str, Any], ids: Ids) -> Markup:
    """The section "sizes": documents, bytes, share, copies."""
    names = ("source", "documents", "bytes", "share", "chars", "exact_copies", "near_copies")
    columns = [Column(both(f"portrait.column.{name}"), number=name != "source") for name in names]
    rows: list[list[Content]] = [
        [
            name, fixed(own["documents"], 0), size(own["bytes"]), share_bar(own["share"], percent(own["share"])),
            compact(own["chars"]), part(own["exact_copies"], own["documents"]),
            part(own["near_copies"], own["documents"]),
        ]
        for name, own in with_all(found)
    ]  # fmt: skip
    return table(both("portrait.sizes.caption"), columns, rows, ident=ids.new("sizes-caption"), kind="dense")


def lengths(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "lengths": a histogram for each source, all on one axis, and quantiles."""
    per = found["method"]["bins"]
    every = [source["lengths"] for _, source in with_all(found)]
    bins = [b for one in every for b, _ in one["bins"] if b >= 0] or [0]
    first, last = min(bins), max(max(bins) + 1, min(bins) + per)  # at least a factor of ten
    low, high = 10 ** (first / per), 10 ** (last / per)
    top = max(
        (n / source["documents"] for _, source in with_all(found) for b, n in source["lengths"]["bins"] if b >= 0),
        default=1.0,
    )
    panels = []
    for name, source in with_all(found):
        ident = ids.new("length")
        bars = [
            (10 ** (b / per), 10 ** ((b + 1) / per), n / source["documents"])
            for b, n in source["lengths"]["bins"]
            if b >= 0
        ]
        middle = source["lengths"]["quantiles"][2]
        drawing = histogram(bars, low=low, high=high, top=top, mark=middle, ident=ident)
        about = both("portrait.lengths.about", median=fixed(middle, 0))
        panels.append(figure(drawing, title=name, about=about, ident=ident))
    names = ("source", "q05", "q25", "q50", "q75", "q95", "short")
    columns = [
        Column(both(f"portrait.column.{name}", n=found["method"]["short"]), number=name != "source") for name in names
    ]
    rows: list[list[Content]] = [
        [name, *(fixed(q, 0) for q in own["lengths"]["quantiles"]), part(own["short"], own["documents"])]
        for name, own in with_all(found)
    ]
    caption = both("portrait.lengths.caption")
    return {"panels": panels, "table": table(caption, columns, rows, ident=ids.new("lengths-caption"), kind="dense")}


def tongues(found: Mapping[str, Any], ids: Ids) -> Markup:
    """The section "languages": languages, scripts, forms of Chinese, mixed documents, code."""
    names = ("source", "languages", "scripts", "simplified", "traditional", "both_forms", "mixed", "unsure", "code")
    columns = [
        Column(both(f"portrait.column.{name}"), number=name not in ("source", "languages", "scripts")) for name in names
    ]
    rows: list[list[Content]] = []
    for name, own in with_all(found):
        forms = [part(own[form], own["chinese"]) for form in ("simplified", "traditional", "both_forms")]
        others = [part(own[what], own["documents"]) for what in ("mixed", "unsure", "code")]
        listed = [_listed(own[what], own["documents"], what) for what in ("languages", "scripts")]
        rows.append([name, *listed, *forms, *others])
    caption = both("portrait.languages.caption")
    return table(caption, columns, rows, ident=ids.new("languages-caption"), kind="dense")


def _listed(counts: Mapping[str, int], documents: int, what: str) -> Content:
    """The commonest ones, one a line; those below 1 % only where there is no other."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    shown = [item for item in ordered[:_SHOWN] if item[1] >= 0.01 * documents] or ordered[:1]
    lines = (
        Markup('<span class="line">{} {}</span>').format(spans(_called(code, what)), part(n, documents))
        for code, n in shown
    )
    return Markup("").join(lines) or escape(NONE)


def _called(code: str, what: str) -> Both:
    return known(f"language.{code}", code) if what == "languages" else known(f"portrait.script.{code}", code)
