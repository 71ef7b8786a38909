"""What to do: advice in sentences, recipes by how likely each is the best, and how far small runs decide rightly."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assay.impact.results import DecisionRow, DecisionView, SecondPassView, StudyResults
from assay.present.numbers import NONE, compact, percent, significant
from assay.present.parts import Content, Ids, estimated, fold, said
from assay.present.tables import Column, table
from assay.present.words import both


def view(results: StudyResults, ids: Ids) -> dict[str, Any] | None:
    """What the section "decisions" places; None where no recipes were compared."""
    found = results.decisions
    if found is None:
        return None
    agreed = found.agreed / max(1, found.pairs)
    return {
        "advice": found.advice,
        "table": _table(found, ids),
        "accuracy": said(
            "decisions.accuracy", half=compact(found.half_tokens), run=compact(found.run_tokens), pairs=found.pairs,
            share=percent(agreed), interval="[" + ", ".join(percent(end) for end in found.interval) + "]",
            separated=found.separated,
            separated_share=percent(found.separated_agreed / found.separated) if found.separated else NONE,
        ),
        "second": _second(found.second),
    }  # fmt: skip


def _second(found: SecondPassView | None) -> Markup | None:
    """What the second pass was spent on, and why; the table says where."""
    if found is None:
        return None
    regret = significant(found.regret, 2)
    if not found.spent:
        return said("decisions.unspent", runs=found.runs, regret=regret)
    gain = significant(found.gain, 2)
    return said("decisions.second", runs=found.runs, spent=found.spent, regret=regret, gain=gain)


def _table(found: DecisionView, ids: Ids) -> Markup:
    target = compact(found.target_tokens)
    columns = [
        Column(both("decisions.recipe")), *([Column(both("decisions.seeds"))] if found.second else []),
        Column(both("decisions.effect")), Column(both("decisions.best")),
        Column(both("decisions.best_at_target", target=target)), Column(both("decisions.better", target=target)),
    ]  # fmt: skip
    rows: list[list[Content]] = []
    for row in found.rows:
        change: Content = NONE
        if row.effect is not None:
            change = estimated(row.effect.estimate, row.effect.interval, signed=True)
        better = NONE if row.better_at_target is None else percent(row.better_at_target)
        seeds = [_seeds(row, found.second)] if found.second else []
        rows.append([row.label, *seeds, change, percent(row.best), percent(row.best_at_target), better])
    body = table(both("decisions.caption"), columns, rows, ident=ids.new("decisions-caption"), stack=True)
    return body if len(rows) <= 6 else fold(both("decisions.ranking", n=len(rows)), body)


def _seeds(row: DecisionRow, second: SecondPassView) -> str:
    """Of the first pass, and those of the second."""
    if row.seeds is None:
        return NONE
    more = second.seeds.get(row.cell, 0)
    return f"{row.seeds - more} + {more}" if more else str(row.seeds)
