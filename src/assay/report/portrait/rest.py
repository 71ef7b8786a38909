"""The summary, personal data, what was not read, and how to read the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from assay.present.numbers import compact, fixed, percent, size
from assay.present.parts import Content, Ids, fold, said, tile
from assay.present.shapes import Shade, matrix
from assay.present.tables import Column, framed, table
from assay.present.words import both
from assay.report.portrait.amounts import name_of, part


def answer(found: Mapping[str, Any]) -> dict[str, Any]:
    """The section "answer": tiles, the sentences, and what to see to."""
    every, documents = found["all"], found["documents"]
    tiles = [
        tile(both("portrait.tile.documents"), compact(documents), both("portrait.tile.sources", n=found["n_sources"])),
        tile(both("portrait.tile.size"), size(found["bytes"]), both("portrait.tile.chars", n=compact(found["chars"]))),
        tile(both("portrait.tile.copies"), part(every["near_copies"], documents), both("portrait.tile.copies_of")),
        tile(
            both("portrait.tile.private"), part(found["private"]["affected"], documents),
            both("portrait.tile.private_of"),
        ),
    ]  # fmt: skip
    return {"tiles": Markup("").join(tiles), "summary": found["summary"], "advice": found["advice"]}


def private(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "private": places by kind and source."""
    own = found["private"]
    kinds = [kind for kind, told in own["kinds"].items() if told["findings"]]
    if not kinds:
        return {"any": False, "documents": fixed(own["documents"], 0)}
    names: list[Content] = []
    rows = []
    for source, told in zip(found["sources"], own["sources"], strict=True):
        if not told["affected"]:
            continue
        names.append(name_of(source))
        rows.append(_counts(told, kinds, source["documents"]))
    if len(found["sources"]) > 1:
        names.append(both("portrait.all"))
        rows.append(_counts(own, kinds, own["documents"]))
    heads: list[Content] = [both("portrait.column.affected"), *(both(f"corpus.kind.{kind}") for kind in kinds)]
    body = matrix(names, heads, rows, both("portrait.column.source"))
    caption = both("portrait.private.caption")
    return {
        "any": True,
        "documents": fixed(own["documents"], 0),
        "table": framed(caption, body, ident=ids.new("private-table"), kind="matrix named"),
        "none": sum(not told["affected"] for told in own["sources"]),
    }


def _counts(told: Mapping[str, Any], kinds: list[str], documents: int) -> list[Shade]:
    share = told["affected"] / documents
    cells = [Shade(share, percent(share), fixed(told["affected"], 0))]
    for kind in kinds:
        n = told["kinds"][kind]["findings"]
        cells.append(Shade(None, fixed(n, 0) if n else "·"))
    return cells


def skipped(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    """The section "skipped": files that are no data, broken rows, empty ones."""
    own = found["reading"]
    told: list[Markup] = []
    for key in ("bad_rows", "bad_files", "empty"):
        if own[key]:
            told.append(said(f"portrait.skipped.{key}", n=own[key]))
    files: Content = ""
    if own["skipped"]:
        columns = [Column(both("profile.file"), number=False), Column(both("profile.reason"), number=False)]
        body = table(both("profile.skipped_caption"), columns, own["files"], ident=ids.new("skipped-table"), quiet=True)
        files = fold(both("profile.skipped", n=own["skipped"]), body, "paper")
    if own["skipped"] is None:
        told.append(said("portrait.skipped.unknown"))
    elif not told and not own["skipped"]:
        told.append(said("portrait.skipped.none"))
    return {"told": told, "places": own["places"], "files": files, "notices": own["notices"]}


def read(found: Mapping[str, Any]) -> list[tuple[Markup, Markup]]:
    """The section "read": what words of this page mean."""
    method = found["method"]
    low, high = (percent(form) for form in method["forms"])
    values = {
        "similarity": method["similarity"], "mixed": percent(method["mixed"]), "unsure": percent(method["unsure"]),
        "code": percent(method["code"]), "low": low, "high": high, "sample": fixed(method["sample"], 0),
        "of_source": fixed(method["sample_of_source"], 0), "chars": fixed(method["sample_chars"], 0),
        "groups": method["groups"],
    }  # fmt: skip
    names = ("near", "languages", "forms", "asked", "sample", "private", "groups")
    return [(said(f"portrait.read.{name}"), said(f"portrait.read.{name}_is", **values)) for name in names]
