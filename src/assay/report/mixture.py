"""The answer of `assay mixture fit` -> one HTML file, in English and Chinese, that carries everything it shows.

Sections: the best mixture and what it gains, how well losses are predicted, the trade-off between targets. The order of
the page is that of `templates/mixture.html`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from assay.present.numbers import estimate, fixed, percent, significant
from assay.present.page import begun
from assay.present.parts import Content, Ids, Key, estimated, figure, json_address, share_bar, tile
from assay.present.plots import Point, Series, plot
from assay.present.scales import Axis
from assay.present.tables import Column, table
from assay.present.words import Both, both
from assay.report.sheet import filled

PAGE = "mixture.html"
SECTIONS = ("answer", "trust", "trade-off", "read")
_PANELS = 6  # targets that have a figure of their own
_PANEL = (430, 320)
_ORIGIN = {"mean of the training mixtures": "natural_mean", "uniform": "natural_uniform"}


def render(found: Mapping[str, Any], title: str, command: str, language: str = "en") -> str:
    """The page.

    Args:
        found: the answer of `--json` and, as "view", what is drawn besides.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, SECTIONS)
    target = _target(found)
    return filled(
        "mixture.html",
        language=language, page_title=both("mixturepage.title", title=title), title=title, command=command,
        contents=[
            (name, both(f"mixturepage.nav.{name}")) for name in SECTIONS if name != "trade-off" or "pareto" in found
        ],
        tiles=_tiles(found), sentences=_sentences(found), warnings=found["warnings"],
        best=_best(found, target, ids), trust=_trust(found, ids), targets=_targets(found, ids),
        trade_off=_trade_off(found, ids), level=percent(found["level"]), data=json_address(found),
        version=found["assay_version"], fingerprint=found["fingerprint"],
    )  # fmt: skip


def _target(found: Mapping[str, Any]) -> Content:
    name = str(found["optimum"]["target"])
    return both("mixture_fit.mean") if name == "mean" and name not in found["targets"] else name


def _tiles(found: Mapping[str, Any]) -> Markup:
    best, some = found["optimum"], next(iter(found["targets"].values()))
    value, interval = estimate(best["predicted"], best["interval"])
    tiles = [
        tile(both("mixturepage.tile.runs"), str(some["n_train"]), both("mixturepage.tile.runs_are", n=some["n_test"])),
        tile(both("mixturepage.tile.predicted"), value, interval),
    ]
    for other in ("natural", "uniform"):
        regret = best[f"regret_vs_{other}"]
        value, interval = estimate(regret["value"], regret["interval"], signed=True)
        tiles.append(tile(both(f"mixturepage.tile.{other}"), value, interval))
    return Markup("").join(tiles)


def _sentences(found: Mapping[str, Any]) -> list[Both]:
    best, measured, origin = found["optimum"], found["best_measured"], found["natural"]["from"]
    told: list[Both] = [both(f"mixture_fit.{_ORIGIN.get(origin, 'natural_file')}", path=origin)]
    for other in ("natural", "uniform"):
        regret, mixture = best[f"regret_vs_{other}"], both(f"mixture_fit.{other}")
        value, interval = estimate(regret["value"], regret["interval"], signed=True)
        verdict = both(f"mixture_fit.verdict.{regret['verdict'].split()[0]}", mixture=mixture)
        told.append(both("mixture_fit.regret", mixture=mixture, value=value, interval=interval, verdict=verdict))
    split = both(f"mixture_fit.split.{measured['split']}")
    told.append(both("mixture_fit.measured", run=measured["key"], split=split, loss=fixed(measured["loss"], 4)))
    return told


def _best(found: Mapping[str, Any], target: Content, ids: Ids) -> Markup:
    """The best mixture beside the natural one, with bars."""
    best, natural, caps = found["optimum"]["mixture"], found["natural"]["mixture"], found["caps"]
    columns = [Column(both(f"mixture_fit.column.{name}")) for name in ("source", "natural", "optimum", "cap")]
    rows: list[list[Content]] = [
        [source, *(share_bar(each[source], percent(each[source])) for each in (natural, best)), percent(caps[source])]
        for source in sorted(best, key=lambda source: -best[source])
    ]
    caption = both("mixture_fit.caption.optimum", target=target)
    return table(caption, columns, rows, ident=ids.new("best-caption"))


def _trust(found: Mapping[str, Any], ids: Ids) -> list[Markup]:
    """Predicted against measured losses, a figure for each of the first targets that count."""
    return [_agreement(name, found, ids) for name in _shown(found)]


def _shown(found: Mapping[str, Any]) -> list[str]:
    """The targets that the best mixture is best for come first."""
    names = list(found["targets"])
    asked = {name.strip() for name in str(found["optimum"]["target"]).split(",")}
    return sorted(names, key=lambda name: name not in asked)[: _PANELS if len(asked & set(names)) != 1 else 1]


def _agreement(name: str, found: Mapping[str, Any], ids: Ids) -> Markup:
    points, each, ident = found["view"]["targets"][name], found["targets"][name], ids.new(f"trust-{name}")
    ends = [min(points["measured"]), max(points["measured"])]
    dots = [
        Point(x, y, tip=both("mixturepage.trust_tip", run=key, x=significant(x, 4), y=significant(y, 4)))
        for key, x, y in zip(found["view"]["keys"], points["measured"], points["predicted"], strict=True)
    ]
    equal = Series([Point(x, x) for x in ends], "plain", "none", line=True, dashed=True)
    spearman = estimate(each["spearman"]["value"], each["spearman"]["interval"])
    return figure(
        plot(
            Axis(both("lawpage.axis.measured")), Axis(both("lawpage.axis.predicted")),
            [equal, Series(dots, "accent", "dot")], ident=ident, sizes=[_PANEL],
        ),
        title=name,
        about=both(f"mixturepage.trust_about.{each['judged_by'].replace('-', '_')}", n=len(dots),
                   spearman=" ".join(spearman)),
        ident=ident,
        keys=[Key("dot", "accent", both("mixturepage.key.run")), Key("dashes", "plain", both("lawpage.key.equal"))],
    )  # fmt: skip


def _targets(found: Mapping[str, Any], ids: Ids) -> Markup:
    columns = [
        Column(both(f"mixture_fit.column.{name}"), number=name not in ("target", "model"))
        for name in ("target", "model", "spearman", "pearson", "mae", "cross_validated_rmse")
    ]
    rows: list[list[Content]] = []
    for name, each in found["targets"].items():
        figures = [estimated(each[key]["value"], each[key]["interval"]) for key in ("spearman", "pearson", "mae")]
        rows.append([name, each["model"], *figures, fixed(each["cross_validated_rmse"], 3)])
    some = next(iter(found["targets"].values()))
    caption = both(
        f"mixture_fit.caption.{'test' if some['n_test'] else 'folds'}", n_train=some["n_train"],
        n_test=some["n_test"], level=percent(found["level"]),
    )  # fmt: skip
    return table(caption, columns, rows, ident=ids.new("targets-caption"), stack=True)


def _trade_off(found: Mapping[str, Any], ids: Ids) -> list[Markup]:
    """What one target costs the others: a figure for two targets, else one for each of the first, against the mean of
    the others."""
    points = found.get("pareto")
    if not points:
        return []
    names = list(points[0]["predicted"])
    if len(names) == 2:
        return [_front(points, names[0], names[1:], found, ids)]
    return [_front(points, name, [other for other in names if other != name], found, ids) for name in names[:_PANELS]]


def _front(
    points: Sequence[Mapping[str, Any]], name: str, others: list[str], found: Mapping[str, Any], ids: Ids
) -> Markup:
    ident = ids.new(f"front-{name}")
    losses = [(point["predicted"][name], np.mean([point["predicted"][other] for other in others])) for point in points]
    order = np.argsort([x for x, _ in losses])
    front = [Point(losses[i][0], float(losses[i][1]), tip=_mixture_tip(points[i]["mixture"])) for i in order]
    measured = found["view"]["measured"]
    runs = [Point(x, float(np.mean(y))) for x, *y in zip(measured[name], *(measured[o] for o in others), strict=True)]
    against: Content = others[0] if len(others) == 1 else both("mixturepage.others", n=len(others))
    return figure(
        plot(
            Axis(both("mixturepage.loss_of", target=name)), Axis(both("mixturepage.loss_of", target=against)),
            [Series(runs, "plain", "dot"), Series(front, "accent", "diamond", line=len(others) == 1)],
            ident=ident, sizes=[_PANEL],
        ),
        title=both("mixturepage.front", a=name, b=against),
        about=both("mixturepage.front_about", n=len(front)),
        ident=ident,
        keys=[Key("dot", "plain", both("mixturepage.key.run")), Key("diamond", "accent", both("mixturepage.key.best"))],
    )  # fmt: skip


def _mixture_tip(mixture: Mapping[str, float]) -> Content:
    most = sorted(mixture, key=lambda source: -mixture[source])[:4]
    return ", ".join(f"{source} {percent(mixture[source])}" for source in most)
