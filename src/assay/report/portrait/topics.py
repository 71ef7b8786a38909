"""Topics: their words, their share of each source, and a map of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from assay.present.numbers import fixed, percent
from assay.present.parts import Content, Ids, figure
from assay.present.shapes import TONES, Dots, Shade, dots, matrix
from assay.present.tables import framed
from assay.present.words import both
from assay.report.portrait.amounts import name_of
from assay.report.portrait.quality import numbered

SMALL = (260, 190)


def topics(found: Mapping[str, Any], ids: Ids) -> dict[str, Any] | None:
    """The section "topics"; None where there was too little text."""
    own = found["topics"]
    if own is None:
        return None
    return {
        "documents": fixed(own["documents"], 0),
        "mapped": fixed(len(own["map"]), 0),
        "table": _table(found, own, ids),
        "map": _map(own, ids),
        "sources": _by_source(found, own, ids) if len(found["sources"]) > 1 else [],
    }


def _table(found: Mapping[str, Any], own: Mapping[str, Any], ids: Ids) -> Markup:
    """Topics as rows; how much of each source's documents each holds."""
    names: list[Content] = []
    rows = []
    for t, topic in enumerate(own["topics"]):
        terms = Markup("<span>{}</span>").format(" · ".join(topic["terms"]))
        names.append(Markup('<b class="topic t{}"><span>{}</span></b> {}').format(t % TONES, t + 1, terms))
        cells = [Shade(None, percent(topic["documents"] / own["documents"]))]
        if len(found["sources"]) > 1:
            for n, whole in zip(topic["sources"], own["sources"], strict=True):
                cells.append(_share(n, whole))
        rows.append(cells)
    if sum(own["none"]):
        names.append(both("portrait.topics.none_of_these"))
        cells = [Shade(None, percent(sum(own["none"]) / own["documents"]))]
        for n, whole in zip(own["none"], own["sources"], strict=True) if len(found["sources"]) > 1 else ():
            cells.append(_share(n, whole))
        rows.append(cells)
    heads: list[Content] = [both("portrait.topics.sample")]
    if len(found["sources"]) > 1:
        heads += [str(g + 1) for g in range(len(found["sources"]))]
    body = matrix(names, heads, rows, both("portrait.topics.words"))
    framed_ = framed(both("portrait.topics.caption"), body, ident=ids.new("topics-table"), kind="matrix worded")
    return framed_ + (numbered(found) if len(found["sources"]) > 1 else Markup(""))


def _share(n: int, whole: int) -> Shade:
    """A share in whole per cent, since there are many in a row; its tooltip has it exactly."""
    if not n:
        return Shade(None, "·")
    share = n / whole
    return Shade(share, f"{fixed(100 * share, 0)}%" if share >= 0.01 else "<1%", f"{percent(share)} ({fixed(n, 0)})")


def _map(own: Mapping[str, Any], ids: Ids) -> Markup:
    ident = ids.new("map")
    kinds = [Dots([(x, y) for x, y, topic, _ in own["map"] if topic < 0], "faint")]
    for t in range(len(own["topics"])):
        here = [(x, y) for x, y, topic, _ in own["map"] if topic == t]
        kinds.append(Dots(here, f"t{t % TONES}", str(t + 1)))
    about = both("portrait.topics.map_about", n=fixed(len(own["map"]), 0))
    return figure(dots(kinds, ident=ident), title=both("portrait.topics.map"), about=about, ident=ident)


def _by_source(found: Mapping[str, Any], own: Mapping[str, Any], ids: Ids) -> list[Markup]:
    panels = []
    everywhere = [(x, y) for x, y, _, _ in own["map"]]
    for g, source in enumerate(found["sources"]):
        here = [(x, y) for x, y, _, of in own["map"] if of == g]
        if not here:
            continue
        ident = ids.new("map-of")
        kinds = [Dots(everywhere, "faint"), Dots(here, "accent")]
        about = both("portrait.topics.here", n=fixed(len(here), 0))
        panels.append(
            figure(dots(kinds, ident=ident, sizes=[SMALL], weight=3), title=name_of(source), about=about, ident=ident)
        )
    return panels
