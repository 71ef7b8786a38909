"""What `assay mixture fit` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.present.numbers import estimate, fixed, percent
from assay.present.plain import plain_table
from assay.present.words import say

_SHOWN = 3  # targets of a trade-off that a terminal has room for


def told(found: Mapping[str, Any], language: str) -> list[str]:
    """Tables of the targets and of the best mixture, what it gains, what to know first."""
    lines = [*_targets(found, language), "", *_mixture(found, language), "", *_gains(found, language)]
    if "pareto" in found:
        lines += ["", *_trade_off(found["pareto"], language)]
    warnings = [say("mixture_fit.warning.line", language, warning=warning) for warning in found["warnings"]]
    return [*lines, "", *warnings] if warnings else lines


def _targets(found: Mapping[str, Any], language: str) -> list[str]:
    targets = found["targets"]
    some = next(iter(targets.values()))
    columns = ("target", "model", "spearman", "pearson", "mae", "cross_validated_rmse")
    rows = [
        [name, each["model"], *(_figure(each[figure]) for figure in columns[2:5]), fixed(each[columns[5]], 3)]
        for name, each in targets.items()
    ]
    caption = say(
        f"mixture_fit.caption.{'test' if some['n_test'] else 'folds'}", language, n_train=some["n_train"],
        n_test=some["n_test"], level=percent(found["level"]),
    )  # fmt: skip
    return plain_table(caption, [say(f"mixture_fit.column.{name}", language) for name in columns], rows, texts=2)


def _figure(figure: Mapping[str, Any]) -> str:
    return " ".join(estimate(figure["value"], figure["interval"]))


def _mixture(found: Mapping[str, Any], language: str) -> list[str]:
    best, natural, caps = found["optimum"]["mixture"], found["natural"]["mixture"], found["caps"]
    columns = [say(f"mixture_fit.column.{name}", language) for name in ("source", "natural", "optimum", "cap")]
    order = sorted(best, key=lambda source: -best[source])
    rows = [[source, *(percent(each[source]) for each in (natural, best, caps))] for source in order]
    return plain_table(say("mixture_fit.caption.optimum", language, target=_target(found, language)), columns, rows)


def _target(found: Mapping[str, Any], language: str) -> str:
    target = found["optimum"]["target"]
    return say("mixture_fit.mean", language) if target == "mean" and target not in found["targets"] else str(target)


def _gains(found: Mapping[str, Any], language: str) -> list[str]:
    best, measured, origin = found["optimum"], found["best_measured"], found["natural"]["from"]
    known = {"mean of the training mixtures": "natural_mean", "uniform": "natural_uniform"}
    value, interval = estimate(best["predicted"], best["interval"])
    lines = [
        say(f"mixture_fit.{known.get(origin, 'natural_file')}", language, path=origin),
        say("mixture_fit.predicted", language, value=value, interval=interval, level=percent(found["level"])),
    ]
    for other in ("natural", "uniform"):
        regret = best[f"regret_vs_{other}"]
        value, interval = estimate(regret["value"], regret["interval"], signed=True)
        verdict = regret["verdict"].split()[0]
        mixture = say(f"mixture_fit.{other}", language)
        told_verdict = say(f"mixture_fit.verdict.{verdict}", language, mixture=mixture)
        lines.append(
            say("mixture_fit.regret", language, mixture=mixture, value=value, interval=interval, verdict=told_verdict)
        )
    split = say(f"mixture_fit.split.{measured['split']}", language)
    lines.append(
        say("mixture_fit.measured", language, run=measured["key"], split=split, loss=fixed(measured["loss"], 4))
    )
    return lines


def _trade_off(points: list[Mapping[str, Any]], language: str) -> list[str]:
    names = list(points[0]["predicted"])
    if len(names) > _SHOWN:
        return [say("mixture_fit.pareto_json", language, n=len(points), targets=len(names))]
    sources = sorted(points[0]["mixture"], key=lambda source: -max(point["mixture"][source] for point in points))[:4]
    rows = [
        [
            *(fixed(point["weights"].get(name, 0), 2) for name in names),
            *(fixed(point["predicted"][name], 4) for name in names),
            *(percent(point["mixture"][source]) for source in sources),
        ]
        for point in points
    ]
    columns = [
        *(say("mixture_fit.column.weight", language, target=name) for name in names),
        *(say("mixture_fit.column.loss", language, target=name) for name in names), *sources,
    ]  # fmt: skip
    return plain_table(say("mixture_fit.caption.pareto", language), columns, rows, texts=0)
