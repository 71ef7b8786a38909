"""What `assay eval errors` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.present.numbers import NONE, estimate, fixed, percent, significant
from assay.present.plain import plain_table
from assay.present.words import known, say
from assay.report.errors import lead, slice_name

MOST = 12  # rows of a table
_HARD = 5  # hardest examples
_TEXT = 60  # characters of a text


def told(found: Mapping[str, Any], language: str, most: int = MOST) -> list[str]:
    """The answer in a few tables."""
    lines = [sentence[language] for sentence in lead(found)]
    if found["slices"]:
        lines += ["", *_slices(found, language)]
    table = found["confusion"]
    if table and table["commonest"]:
        head = [say("errors.column.wanted", language), "→", say("errors.column.n", language), "%"]
        rows = [
            [c["wanted"], c["found"], fixed(c["n"], 0), percent(c["n"] / c["of"])] for c in table["commonest"][:MOST]
        ]
        lines += ["", *plain_table(say("errors.terminal.commonest", language), head, rows, texts=2)]
    if table and table["kinds"]:
        lines += ["", *_kinds(table, language)]
    if found["hardest"]:
        lines += [
            "",
            say("errors.terminal.hardest", language),
            *(_hard(one, language) for one in found["hardest"][:_HARD]),
        ]
    held = found["label_errors"]
    if held is not None:
        said = say("errors.terminal.label_errors", language, found=fixed(held["found"], 0), n=fixed(held["n"], 0),
                   agreed=percent(held["agreed"]))  # fmt: skip
        lines += ["", said]
        for one in held["listed"][:most]:
            suspect = say("errors.suspect", language, given=one["given"], likely=one["likely"])
            lines.append(f"{percent(one['chance'])}  {suspect}  {_short(one['text'])}  {one['where']}")
    return lines


def _slices(found: Mapping[str, Any], language: str) -> list[str]:
    level = percent(next(iter(found["metrics"].values()))["level"])
    head = [
        say("errors.column.part", language), "", say("errors.column.n", language),
        say("errors.column.value", language, score=found["score"], level=level),
        say("errors.column.difference", language), say("errors.column.least", language),
        say("errors.column.p", language), say("errors.column.verdict", language),
    ]  # fmt: skip
    rows = []
    for one in found["slices"][:MOST]:
        value = NONE if one["interval"] is None else " ".join(estimate(one["value"], one["interval"]))
        apart = NONE
        if one["difference_interval"] is not None:
            apart = " ".join(estimate(one["difference"], one["difference_interval"], signed=True))
        dimension = known(f"errors.dimension.{one['dimension']}", one["dimension"])[language]
        p = NONE if one["p_value"] is None else significant(one["p_value"], 2)
        least, verdict = significant(one["minimum_detectable"], 2), say(f"errors.verdict.{one['verdict']}", language)
        rows.append([dimension, slice_name(one)[language], fixed(one["n"], 0), value, apart, least, p, verdict])
    caption = say("errors.terminal.slices", language, score=found["score"], n=fixed(found["n"], 0))
    lines = plain_table(caption, head, rows, texts=2, notes=1)
    more = len(found["slices"]) - MOST
    return [*lines, say("errors.terminal.more", language, n=more)] if more > 0 else lines


def _kinds(table: Mapping[str, Any], language: str) -> list[str]:
    counts = table["kinds"]
    head = [say("errors.column.label", language), *(say(f"errors.kind.{kind}", language) for kind in counts["columns"])]
    rows = [
        [say(f"errors.row.{name}", language) if name in ("with", "without") else name, *(fixed(n, 0) for n in own)]
        for name, own in zip(counts["rows"], counts["counts"], strict=True)
    ]
    unit = say(f"errors.unit.{table['unit']}", language)
    return plain_table(say("errors.terminal.kinds", language, unit=unit), head, rows)


def _hard(one: Mapping[str, Any], language: str) -> str:
    if one["apart"]:
        said = " · ".join(one["apart"][:4])
    elif one["wanted"] is None:
        said = ""
    else:
        said = f"{one['wanted']} → {one['found']}"
    loss = say("errors.loss", language, loss=significant(one["loss"]))
    return f"{loss}  {_short(one['texts'][0])}  {said}  {one['where']}"


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
