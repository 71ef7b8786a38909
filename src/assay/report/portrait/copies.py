"""Near-duplicates, and how far the words of sources are apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from assay.present.numbers import fixed, percent
from assay.present.parts import Content, Ids
from assay.present.shapes import Shade, matrix
from assay.present.tables import Column, framed, table
from assay.present.words import both
from assay.report.portrait.amounts import name_of, part, text_of


def copies(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "copies": sizes of clusters, the largest of them, and what sources share."""
    own = found["copies"]
    if not own["clusters"]:
        return {"clusters": 0}
    columns = [
        Column(both(f"portrait.column.{name}"), number=True) for name in ("cluster_size", "clusters", "in_clusters")
    ]
    rows: list[list[Content]] = [
        [_range(least, most), fixed(clusters, 0), fixed(documents, 0)]
        for least, most, clusters, documents in own["sizes"]
        if clusters
    ]
    return {
        "clusters": own["clusters"],
        "sizes": table(both("portrait.copies.sizes"), columns, rows, ident=ids.new("cluster-sizes"), kind="slim"),
        "largest": _largest(found, ids),
        "overlap": _overlap(found, ids),
        "several": len(found["sources"]) > 1,
    }


def _range(least: int, most: int | None) -> Content:
    if most is None:
        return both("portrait.copies.from", n=fixed(least, 0))
    return fixed(least, 0) if least == most else f"{fixed(least, 0)}–{fixed(most, 0)}"


def _largest(found: Mapping[str, Any], ids: Ids) -> Markup:
    columns = [Column(both("portrait.column.text"), number=False), Column(both("portrait.column.copies"))]
    columns.append(Column(both("portrait.column.sources"), number=False))
    rows: list[list[Content]] = []
    for one in found["copies"]["largest"]:
        sources = Markup("").join(
            Markup('<span class="line">{} {}</span>').format(
                Markup('<span class="wraps">{}</span>').format(_shown(found, g)), fixed(n, 0)
            )
            for g, n in one["sources"][:4]
        )
        rows.append([Markup('<span class="quoted">{}</span>').format(one["text"]), fixed(one["documents"], 0), sources])
    caption = both("portrait.copies.largest")
    return table(caption, columns, rows, ident=ids.new("clusters-largest"), kind="quotes", stack=True)


def _shown(found: Mapping[str, Any], g: int) -> Content:
    name = name_of(found["sources"][g])
    return name if isinstance(name, str) else Markup("{}").format(both_spans(name))


def both_spans(text: Content) -> Markup:
    """Text in both languages as markup."""
    from assay.present.parts import spans

    return spans(text)


def _names(found: Mapping[str, Any]) -> tuple[list[Content], list[Content]]:
    """The rows' names, numbered, and the columns' numbers."""
    rows: list[Content] = [
        Markup("<b>{}</b> {}").format(g + 1, both_spans(name_of(source))) for g, source in enumerate(found["sources"])
    ]
    return rows, [str(g + 1) for g in range(len(rows))]


def _overlap(found: Mapping[str, Any], ids: Ids) -> Markup:
    names, heads = _names(found)
    rows = []
    for a, row in enumerate(found["copies"]["overlap"]):
        documents = found["sources"][a]["documents"]
        cells = []
        for b, n in enumerate(row):
            tip = both(
                "portrait.copies.tip_own" if a == b else "portrait.copies.tip",
                n=fixed(n, 0), a=text_of(found["sources"][a]), b=text_of(found["sources"][b]),
            )  # fmt: skip
            cells.append(Shade(n / documents if n else None, part(n, documents) if n else "·", tip if n else ""))
        rows.append(cells)
    body = matrix(names, heads, rows, both("portrait.copies.corner"))
    return framed(both("portrait.copies.overlap"), body, ident=ids.new("overlap"), kind="matrix")


def vocabulary(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "vocabulary": divergences of words between sources, and between the halves of each."""
    own = found["vocabulary"]
    names, heads = _names(found)
    rows = []
    for a, row in enumerate(own["pairs"]):
        cells = []
        for b, one in enumerate(row):
            cells.append(_cell(found, a, b, one))
        rows.append(cells)
    body = matrix(names, heads, rows, both("portrait.vocabulary.corner"))
    lacking = [text_of(found["sources"][g]) for g, one in enumerate(own["pairs"]) if one[g] is None]
    alike = [
        (text_of(found["sources"][a]), text_of(found["sources"][b]))
        for a, row in enumerate(own["pairs"])
        for b, one in enumerate(row)
        if b < a and one is not None and one["told"] == "alike"
    ]
    return {
        "any": any(one[g] is not None for g, one in enumerate(own["pairs"])),
        "table": framed(both("portrait.vocabulary.caption"), body, ident=ids.new("vocabulary-table"), kind="matrix"),
        "level": percent(own["level"]),
        "least": own["least"],
        "lacking": lacking,
        "alike": alike,
        "several": len(found["sources"]) > 1,
    }


def _cell(found: Mapping[str, Any], a: int, b: int, one: Mapping[str, Any] | None) -> Shade:
    if one is None:
        return Shade(None, "–", both("portrait.vocabulary.few"))
    low, high = (fixed(value, 3) for value in one["interval"])
    names = {"a": text_of(found["sources"][a]), "b": text_of(found["sources"][b])}
    if a == b:
        tip = both("portrait.vocabulary.tip_own", value=fixed(one["value"], 3), low=low, high=high, a=names["a"])
        return Shade(None, Markup('<span class="own">{}</span>').format(fixed(one["value"], 2)), tip)
    key = "portrait.vocabulary.tip" if one["told"] == "apart" else "portrait.vocabulary.tip_alike"
    tip = both(key, value=fixed(one["value"], 3), low=low, high=high, halves=fixed(one["halves"], 3), **names)
    text: Content = fixed(one["value"], 2)
    return Shade(one["value"] if one["told"] == "apart" else None, text, tip)
