"""What `assay law fit` and `assay calibration` say on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.present.numbers import NONE, compact, estimate, fixed, percent, significant
from assay.present.plain import plain_table
from assay.present.words import say

_SHOWN = 12  # rows of a table


def law(found: Mapping[str, Any], language: str) -> list[str]:
    """The whole answer; a group after another where there are groups."""
    if "groups" not in found:
        return _law(found, language)
    lines = []
    for name, one in found["groups"].items():
        lines += [f"== {name}", *_law(one, language), ""]
    return [*lines, found["page"]] if "page" in found else lines[:-1]


def calibration(found: Mapping[str, Any], language: str) -> list[str]:
    """How often intervals held, by what was predicted."""
    heads = [
        say(f"calibration.column.{name}", language) for name in ("kind", "level", "n", "studies", "held", "interval")
    ]
    rows = [
        [
            say(f"calibration.kind.{row['kind'] or 'all'}", language),
            percent(row["level"]), str(row["n"]), str(row["studies"]), percent(row["held"]),
            "[" + ", ".join(percent(end) for end in row["interval"]) + "]",
        ]
        for row in found["table"]
    ]  # fmt: skip
    lines = plain_table(say("calibration.caption", language), heads, rows)
    return [*lines, found["page"]] if "page" in found else lines


def _law(found: Mapping[str, Any], language: str) -> list[str]:
    lines = [say("lawfit.model", language, model=found["model"], n=found["n_points"])]
    lines += _left_out(found["left_out"], language)
    lines += ["", *_parameters(found, language), "", *_forecasts(found, language)]
    for part in (_held_out, _predictions, _optimum, _more_data):
        if told := part(found, language):
            lines += ["", *told]
    lines += ["", *(one[language] for one in found["warnings"])] if found["warnings"] else []
    return [*lines, found["page"]] if "page" in found else lines


def _left_out(rows: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    lines = []
    for why in ("worst", "residual"):
        own = [row for row in rows if row["why"] == why]
        if not own:
            continue
        named = ", ".join(str(row["row"]) for row in own[:_SHOWN]) + (", ..." if len(own) > _SHOWN else "")
        farthest = max((abs(row["deviations"]) for row in own if row["deviations"] is not None), default=0.0)
        lines.append(say(f"lawfit.left_out.{why}", language, n=len(own), rows=named, deviations=fixed(farthest, 0)))
    return lines


def _parameters(found: Mapping[str, Any], language: str) -> list[str]:
    rows = [
        [name, significant(value, 4), significant(found["standard_errors"].get(name), 2),
         _between(found["intervals"][name])]
        for name, value in found["parameters"].items()
    ]  # fmt: skip
    heads = [say(f"lawfit.column.{key}", language) for key in ("parameter", "value", "standard_error", "interval")]
    return plain_table(say("lawfit.caption.parameters", language, level=percent(found["level"])), heads, rows)


def _forecasts(found: Mapping[str, Any], language: str) -> list[str]:
    rows = [[one["model"], percent(one["past_error"])] for one in found["forms"]]
    heads = [say(f"lawfit.column.{key}", language) for key in ("model", "past_error")]
    lines = plain_table(say("lawfit.caption.forms", language), heads, rows)
    return [
        *lines,
        say("lawfit.noise", language, noise=percent(found["noise"]), misfit=percent(found["past_forecasts"]["misfit"])),
    ]


def _held_out(found: Mapping[str, Any], language: str) -> list[str]:
    rows = found["holdout"]
    if not rows:
        return []
    line = say(
        "lawfit.held_out", language, n=len(rows), level=percent(found["level"]), coverage=percent(found["coverage"]),
        width=percent(found["mean_relative_width"]), error=percent(found["mean_abs_relative_error"]),
        plain=percent(found["uncalibrated"]["coverage"]), narrow=percent(found["uncalibrated"]["mean_relative_width"]),
    )  # fmt: skip
    if len(rows) > _SHOWN:
        return [line]
    cells = [
        [str(row["row"]), compact(row["N"]), compact(row["D"]), significant(row["loss"], 4), *_estimated(row)]
        for row in rows
    ]
    heads = [say(f"lawfit.column.{key}", language) for key in ("row", "N", "D", "loss", "predicted", "interval")]
    return [line, *plain_table(say("lawfit.caption.held_out", language), heads, cells)]


def _estimated(row: Mapping[str, Any]) -> tuple[str, str]:
    return estimate(row["predicted"], row["interval"])


def _predictions(found: Mapping[str, Any], language: str) -> list[str]:
    if not found.get("predictions"):
        return []
    rows = [[compact(row["N"]), compact(row["D"]), *_estimated(row)] for row in found["predictions"]]
    heads = [say(f"lawfit.column.{key}", language) for key in ("N", "D", "predicted", "interval")]
    lines = plain_table(say("lawfit.caption.predictions", language), heads, rows, texts=0)
    run = found["next_run"]
    told = say(
        "lawfit.next_run", language, n=compact(run["n"]), d=compact(run["d"]), flops=significant(run["flops"]),
        removes=percent(run["removes"]),
    )  # fmt: skip
    return [*lines, told]


def _optimum(found: Mapping[str, Any], language: str) -> list[str]:
    best = found.get("optimum")
    if not best:
        return []
    parts = ("n", "d", "tokens_per_parameter", "loss")
    rows = [
        [say(f"lawfit.best.{name}", language), _amount(best[name]["value"]), _between(best[name]["interval"])]
        for name in parts
    ]
    heads = [say(f"lawfit.column.{key}", language) for key in ("best", "value", "interval")]
    return plain_table(say("lawfit.caption.optimum", language, flops=significant(best["flops"])), heads, rows)


def _more_data(found: Mapping[str, Any], language: str) -> list[str]:
    asked = found.get("more_data")
    if not asked:
        return []
    tokens, n = asked["tokens"], compact(asked["n"]) if asked["n"] > 1 else None
    who = say("lawfit.more.of", language, n=n) if n else say("lawfit.more.any", language)
    values = {"target": significant(asked["target"], 4), "who": who, "share": percent(asked["reachable"])}
    if tokens["value"] is None:
        return [say("lawfit.more.out_of_reach", language, **values)]
    return [
        say(
            "lawfit.more.needs",
            language,
            tokens=_amount(tokens["value"]),
            interval=_between(tokens["interval"]),
            **values,
        )
    ]


def _amount(value: float | None) -> str:
    """A number of any size: losses with four digits, tokens and parameters compactly."""
    return NONE if value is None else compact(value) if value >= 1000 else significant(value, 4)


def _between(ends: Sequence[float | None]) -> str:
    low, high = (_amount(end) if end is not None else "∞" for end in ends)
    return f"[{low}, {high}]"
