"""What `assay labels` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.labels import statements
from assay.labels.plan import Plan
from assay.labels.running import Place
from assay.present.numbers import compact, duration, estimate, fixed, percent
from assay.present.plain import plain_table
from assay.present.words import say


def labels(answer: Mapping[str, Any], language: str) -> list[str]:
    """The headline claims, then tables of sizes, doses and slices."""
    found = answer["results"]
    lines = [f"- {claim['statement'][language]}" for claim in answer["claims"] if claim["headline"]]
    lines += ["", *_sizes(found, language)]
    if found["doses"]:
        lines += ["", *_doses(found, language)]
    for facet in dict.fromkeys(one["facet"] for one in found["slices"]):
        lines += ["", *_slices(found, facet, language)]
    lines += [] if found["slices_add_up"] else [say("labels.slices_mean", language, score=found["score"])]
    return [*lines, "", answer["page"]]


def _heads(names: Sequence[str], score: str, language: str) -> list[str]:
    return [say(f"labels.column.{name}", language, score=score) for name in names]


def _sizes(found: Mapping[str, Any], language: str) -> list[str]:
    rows = [
        [fixed(one["n"], 0), fixed(one["steps"], 0), " ".join(estimate(one["value"], one["value_interval"]))]
        for one in found["curve"]
    ]
    caption = say("labels.size_caption", language, score=found["score"], level=percent(found["level"]))
    return plain_table(caption, _heads(("n", "steps", "score"), found["score"], language), rows, texts=0)


def _doses(found: Mapping[str, Any], language: str) -> list[str]:
    rows = []
    for one in found["doses"]:
        p, least = one["p_value"], one["minimum_detectable"]
        rows.append([
            one["cell"], fixed(one["changed"], 0), " ".join(statements.change(one).values()),
            "–" if p is None else f"{p:.2g}", "–" if least is None else f"{least:.2g}",
            say(f"labels.verdict.{one['verdict']}", language), worth(found, one)[language],
        ])  # fmt: skip
    heads = _heads(("cell", "changed", "difference", "p", "least", "verdict", "worth"), found["score"], language)
    caption = say("labels.doses_caption", language, score=found["score"], level=percent(found["level"]))
    return plain_table(caption, heads, rows, notes=2)


def _slices(found: Mapping[str, Any], facet: str, language: str) -> list[str]:
    rows = []
    for one in (one for one in found["slices"] if one["facet"] == facet):
        thousand = one["per_thousand"]
        rows.append([
            statements.slice_name(one)[language], fixed(one["items"], 0), fixed(one["labelled"], 0),
            f"{one['scores'][-1]:.3f}", " ".join(estimate(one["gain"], one["interval"], signed=True)),
            "–" if thousand is None else f"{thousand:+.2g}", percent(one["first"]),
            "–" if one["ahead"] is None else percent(one["ahead"]), say(verdict(one), language),
        ])  # fmt: skip
    names = ("slice", "items", "labelled", "now", "gain", "thousand", "first", "ahead", "verdict")
    caption = say("labels.slices_caption", language, facet=statements.facet(facet), level=percent(found["level"]))
    return plain_table(caption, _heads(names, found["score"], language), rows, notes=1)


def verdict(one: Mapping[str, Any]) -> str:
    """The words of a slice's place in its facet."""
    return f"labels.verdict.{'last' if one['clear'] is None else 'ahead' if one['clear'] else 'indistinguishable'}"


def worth(found: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, str]:
    """Clean examples that a cell lost or gained, for a table."""
    return statements.worth_short(found, one)


def explained(made: Plan, place: Place, rows: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """What would be run, and how long it takes."""
    seeds = len(made.seeds)
    lines = [
        [row["cell"], fixed(row["n"], 0), fixed(row["changed"], 0), fixed(row["steps"], 0), str(row["runs"]),
         str(row["done"])]
        for row in rows
    ]  # fmt: skip
    steps = sum(row["steps"] * row["runs"] for row in rows)
    caption = say("labels.plan_caption", language, runs=seeds * len(rows), seeds=seeds, steps=compact(steps))
    names = ("cell", "n", "changed", "steps", "runs", "done")
    told = plain_table(caption, _heads(names, "", language), lines)
    left = sum(row["steps"] * (row["runs"] - row["done"]) for row in rows)
    speed = speed_of(made, place)
    if speed is None:
        return [*told, say("labels.plan_unknown", language)]
    time = duration(left / speed, language)
    return [*told, say("labels.plan_time", language, speed=f"{speed:.3g}", time=time)]


def speed_of(made: Plan, place: Place) -> float | None:
    """Steps a second of the runs that are done; None: none is."""
    done = [
        (cell.steps, found["seconds"])
        for cell in made.cells
        for seed in made.seeds
        if (found := place.result(cell, seed)) is not None
    ]
    return sum(steps for steps, _ in done) / sum(seconds for _, seconds in done) if done else None
