"""What a model gets wrong -> one HTML file in both languages.

Everything that a text says is escaped; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from assay import __version__
from assay.present.numbers import NONE, estimate, fixed, percent, significant
from assay.present.page import begun
from assay.present.parts import Content, Ids, badge, estimated, spans
from assay.present.tables import Column, framed, table
from assay.present.words import both, known
from assay.report.sheet import filled

_LABELS = 16  # labels of a confusion that are shown
_TONES = {"worse": ("miss", "▼"), "better": ("hit", "▲"), "indistinguishable": ("quiet", "≈")}


def page(found: Mapping[str, Any], language: str = "en", most: int = 20) -> str:
    """The page.

    Args:
        found: what `finetune.erring.run` has found.
        most: labels that may be wrong, that are shown.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    table_of = found["confusion"] or {}
    there = {
        "slices": bool(found["slices"]), "confusion": bool(table_of.get("labels")),
        "kinds": bool(table_of.get("kinds")), "hardest": bool(found["hardest"]),
        "label_errors": found["label_errors"] is not None,
    }  # fmt: skip
    sections = [name for name, is_there in there.items() if is_there]
    ids = begun(language, sections)
    return filled(
        "errors.html",
        language=language, page_title=both("errors.title", task=found["task"]), task=found["task"], n=found["n"],
        contents=[(name, both(f"errors.nav.{name}")) for name in sections], file=found["answers"],
        score=found["score"], overall=_score(found["metrics"].get(found["score"])), lead=lead(found),
        slices=_slices(found, ids) if there["slices"] else None,
        unit=both(f"errors.unit.{table_of['unit']}") if table_of else "",
        spans=table_of.get("unit") == "spans",
        confusion=_confusion(table_of["labels"], ids) if there["confusion"] else None,
        cut_off=max(0, len((table_of.get("labels") or {"rows": ()})["rows"]) - _LABELS),
        shown_labels=_LABELS,
        kinds=_kinds(table_of["kinds"], ids) if there["kinds"] else None,
        hardest=[_hard(one) for one in found["hardest"]],
        suspects=_suspects(found["label_errors"], most), version=__version__,
    )  # fmt: skip


def lead(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """What matters most, in a sentence or two of both languages."""
    worse = [one for one in found["slices"] if one["verdict"] == "worse"]
    said = both("errors.none_sliced")
    if worse:
        names = {k: ("；" if k == "zh" else "; ").join(_name(one)[k] for one in worse[:6]) for k in ("en", "zh")}
        said = both("errors.worse", names=names)
    elif found["slices"]:
        said = both("errors.none_worse", n=len(found["slices"]))
    commonest = (found["confusion"] or {}).get("commonest") or []
    if not commonest:
        return [said]
    top = commonest[0]
    kind = "invented" if top["wanted"] == NONE else "missed" if top["found"] == NONE else "commonest"
    values = {"n": fixed(top["n"], 0), "wanted": top["wanted"], "found": top["found"]}
    return [said, both(f"errors.top.{kind}", share=percent(top["n"] / top["of"]), **values)]


def _name(one: Mapping[str, Any]) -> dict[str, str]:
    """A slice: what it is of, and which."""
    dimension, name = known(f"errors.dimension.{one['dimension']}", one["dimension"]), slice_name(one)
    return {language: f"{dimension[language]} {name[language]}" for language in dimension}


def slice_name(one: Mapping[str, Any]) -> dict[str, str]:
    """Which part of its dimension a slice is."""
    dimension, name = one["dimension"], str(one["name"])
    if dimension == "script":
        return known(f"errors.script.{name}", name)
    if dimension == "label" and name in ("with", "without"):
        return both(f"errors.row.{name}")
    short = name if len(name) <= 40 else name[:39] + "…"
    return {"en": short, "zh": short}


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None or score["value"] is None:
        return NONE
    return (
        significant(score["value"])
        if score["interval"] is None
        else " ".join(estimate(score["value"], score["interval"]))
    )


def _slices(found: Mapping[str, Any], ids: Ids) -> Markup:
    level = percent(next(iter(found["metrics"].values()))["level"])
    columns = [
        Column(both("errors.column.part"), number=False), Column(both("errors.column.n")),
        Column(both("errors.column.value", score=found["score"], level=level)),
        Column(both("errors.column.difference")), Column(both("errors.column.least")), Column(both("errors.column.p")),
        Column(both("errors.column.verdict"), number=False),
    ]  # fmt: skip
    rows = list[list[Content]]()
    for one in found["slices"]:
        value, apart = (
            Markup(NONE) if number is None or interval is None else estimated(number, interval, signed=signed)
            for number, interval, signed in (
                (one["value"], one["interval"], False), (one["difference"], one["difference_interval"], True)
            )
        )  # fmt: skip
        p = NONE if one["p_value"] is None else "<0.001" if one["p_value"] < 0.001 else fixed(one["p_value"], 3)
        verdict = badge(both(f"errors.verdict.{one['verdict']}"), *_TONES[one["verdict"]])
        rows.append(
            [_name(one), fixed(one["n"], 0), value, apart, significant(one["minimum_detectable"], 2), p, verdict]
        )
    return table(both("errors.caption_slices"), columns, rows, ident=ids.new("parts"), stack=True)


def _confusion(counts: Mapping[str, Any], ids: Ids) -> Markup:
    """The labels of the most errors, in their order; a cell is the darker, the larger its share of the row."""
    rows, columns, cells = counts["rows"], counts["columns"], counts["counts"]
    wrong = [sum(cells[i]) + sum(row[i] for row in cells) - 2 * cells[i][i] for i in range(len(rows))]
    kept = sorted(sorted(range(len(rows)), key=lambda i: -wrong[i])[:_LABELS])
    head = Markup("").join(Markup('<th scope="col" class="n">{}</th>').format(columns[j]) for j in kept)
    body = []
    for i in kept:
        total = sum(cells[i])
        own = [_cell(cells[i][j], total, right=i == j) for j in kept]
        body.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(rows[i], Markup("").join(own)))
    corner = Markup('<th scope="col" class="corner">{}</th>').format(spans(both("errors.corner")))
    inner = Markup("<thead><tr>{}{}</tr></thead><tbody>{}</tbody>").format(corner, head, Markup("").join(body))
    return framed(both("errors.caption_confusion"), inner, ident=ids.new("confused"), kind="crossed")


def _cell(count: int, total: int, *, right: bool) -> Markup:
    share = count / total if total else 0.0
    tone = "accent" if right else "warm"
    shade = f"color-mix(in srgb, var(--{tone}) {40 * share**0.5:.0f}%, var(--paper))" if count else "none"
    told = fixed(count, 0) if count else Markup('<span class="zero">·</span>')
    return Markup('<td class="n" style="background:{}" title="{}">{}</td>').format(shade, percent(share), told)


def _kinds(counts: Mapping[str, Any], ids: Ids) -> Markup:
    columns = [
        Column(both("errors.column.label"), number=False),
        *(Column(both(f"errors.kind.{kind}")) for kind in counts["columns"]),
    ]
    rows = []
    for name, own in zip(counts["rows"], counts["counts"], strict=True):
        label = both(f"errors.row.{name}") if name in ("with", "without") else name
        total = sum(own)
        cells = [Markup("{}<small>{}</small>").format(fixed(n, 0), percent(n / total) if total else NONE) for n in own]
        rows.append([label, *cells])
    return table(both("errors.caption_kinds"), columns, rows, ident=ids.new("kinds-of-error"))


def _hard(one: Mapping[str, Any]) -> dict[str, Any]:
    text = Markup("<br>").join(escape(text) for text in one["texts"])
    return {**one, "text": text, "loss": significant(one["loss"])}


def _suspects(held: Mapping[str, Any] | None, most: int) -> dict[str, Any] | None:
    if held is None:
        return None
    listed: Sequence[Mapping[str, Any]] = held["listed"][:most]
    rows = [{**one, "chance": percent(one["chance"])} for one in listed]
    return {"rows": rows, "shown": len(rows), "found": held["found"], "n": fixed(held["n"], 0),
            "agreed": percent(held["agreed"])}  # fmt: skip
