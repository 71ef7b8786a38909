"""The answer of `assay labels` -> one HTML file, in English and Chinese, that carries everything it shows.

Sections: what came out; the score by labelled examples, with its law; what wrong labels, a rarer class and copies do;
which slice to label next; all claims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assay.present.numbers import NONE, compact, durations, estimate, fixed, percent, significant
from assay.present.page import begun
from assay.present.parts import Content, Ids, Key, estimated, figure, json_address, legend, spans, tile
from assay.present.plots import Band, Point, Series, plot
from assay.present.scales import Axis
from assay.present.tables import Column, table
from assay.present.words import Both, both
from assay.report.answer import p_value, verdict_badge
from assay.report.sheet import filled

PAGE = "labels.html"
SECTIONS = ("answer", "size", "doses", "slices", "claims", "read")
PANEL = (430, 300)
_TONES = (("accent", "dot"), ("warm", "diamond"), ("dark", "dot"), ("plain", "diamond"))
_NOTHING = 1e-3  # of the best score: a floor below it is none
_BADGES = {"better": "supported", "worse": "supported", "different": "supported"}


@dataclass(frozen=True)
class Shown:
    """What is said of numbers, in words that the room of `assay labels` has chosen.

    Attributes:
        worth: of each dose, in clean examples.
        slices: names of slices.  facets: names of what they are by.
    """

    worth: Sequence[Both]
    slices: Sequence[Both]
    facets: Mapping[str, Both]


def render(
    found: Mapping[str, Any], claims: Sequence[Mapping[str, Any]], shown: Shown, title: str, language: str = "en"
) -> str:
    """The page.

    Args:
        found: what results.json holds.
        claims: what claims.json holds.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, SECTIONS)
    there = [name for name in SECTIONS if name != "doses" or found["doses"]]
    return filled(
        "labels.html",
        language=language, page_title=both("labels.title", title=title), title=title,
        contents=[(name, both(f"labels.nav.{name}")) for name in there], found=found,
        facts=both("labels.facts", task=found["task"], n=fixed(found["sizes"][-1], 0), tested=fixed(found["n"], 0),
                   seeds=len(found["seeds"])),
        tiles=_tiles(found), headline=[_answer(one) for one in claims if one["headline"]],
        size=_size(found, ids), model=_model(found), doses=_doses(found, shown, ids), slices=_slices(found, shown, ids),
        claims=_claims(claims, ids), level=percent(found["level"]), command=found["command"],
        skipped=both("labels.skipped", names=_joined(found["skipped"])) if found["skipped"] else None,
        data=json_address(found), version=found["assay_version"], fingerprint=found["fingerprint"],
    )  # fmt: skip


def _joined(names: Sequence[str]) -> Both:
    """Kinds of cells, one after another."""
    said = [both(f"labels.kind.{name}") for name in names]
    gap = both("labels.joint")
    return {language: gap[language].join(one[language] for one in said) for language in gap}


# The answer


def _answer(claim: Mapping[str, Any]) -> dict[str, Any]:
    return {"badge": _badge(claim), "statement": claim["statement"], "question": claim["question"]}


def _badge(claim: Mapping[str, Any]) -> Markup:
    return verdict_badge(claim["outcome"]["verdict"] if claim["outcome"] else claim["verdict"])


def _tiles(found: Mapping[str, Any]) -> Markup:
    score, last, cost = found["score"], found["curve"][-1], found["cost"]
    value, interval = estimate(last["value"], last["value_interval"])
    tiles = [tile(both("labels.tile.score", score=score), value, interval)]
    one, (half, whole) = found["doubling"], (fixed(n, 0) for n in found["sizes"][-2:])
    if one["interval"] is not None:
        change = estimate(one["difference"], one["interval"], signed=True)
        tiles.append(tile(both("labels.tile.doubling"), change[0], both("labels.tile.from_to", half=half, whole=whole)))
    if (asked := found["target"]) is not None:
        label = both("labels.tile.target", target=f"{score} {asked['score']:g}")
        reach = asked["reach"].replace(" ", "_")
        if reach == "wide":
            ends = ", ".join("∞" if end is None else _about(end) for end in asked["interval"])
            tiles.append(tile(label, _about(asked["examples"]), f"[{ends}]"))
        elif reach == "needs":
            tiles.append(tile(label, _about(asked["examples"]), both("labels.tile.more", more=_about(asked["more"]))))
        elif reach == "reached":
            tiles.append(tile(label, _about(asked["examples"]), both("labels.tile.reached")))
        else:
            tiles.append(tile(label, NONE, both(f"labels.tile.{reach}")))
    if (foretold := found["prediction"]) is not None:
        value, interval = estimate(foretold["value"], foretold["interval"])
        tiles.append(tile(both("labels.tile.predicted"), both(f"verdict.{foretold['verdict']}"), f"{value} {interval}"))
    else:
        tiles.append(tile(both("labels.tile.predicted"), NONE, both("labels.tile.none")))
    tiles.append(
        tile(
            both("labels.tile.runs"),
            fixed(cost["runs"], 0),
            both("labels.tile.runs_are", time=durations(cost["seconds"])),
        )
    )
    return Markup("").join(tiles)


def _about(examples: float) -> str:
    return fixed(float(f"{examples:.3g}"), 0) if examples < 1e6 else compact(examples)


# Size


def _model(found: Mapping[str, Any]) -> str:
    own = found["law"]["parameters"]
    floor, scale, power = (significant(own[name], 2) for name in ("E", "B", "beta"))
    falls = f"{scale} n^(−{power})"
    return falls if own["E"] < _NOTHING * found["high"] else f"{floor} + {falls}"


def _size(found: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    ident, score = ids.new("size-figure"), found["score"]
    points = [_measured(one) for one in found["curve"]]
    line = [Point(x, value) for x, value, _, _ in found["law"]["band"]]
    series = [Series(line, "plain", "none", line=True), Series(points, "accent", "dot")]
    keys = [Key("dot", "accent", both("labels.key.measured")), Key("line", "plain", both("labels.key.law")),
            Key("band", "plain", both("labels.key.band"))]  # fmt: skip
    if (one := found["prediction"]) is not None:
        n = found["sizes"][-1]
        tip = _tip("labels.tip", one["value"], one["interval"], n=fixed(n, 0))
        low, high = one["interval"]
        series.append(Series([Point(n, one["value"], low, high, tip)], "warm", "diamond", dodge=9.0))
        keys.append(Key("diamond", "warm", both("labels.key.predicted")))
    band = Band([(x, low, high) for x, _, low, high in found["law"]["band"]], "plain")
    drawing = plot(
        Axis(both("labels.axis.n"), log=True, form=compact), Axis(both("labels.column.score", score=score)), series,
        ident=ident, bands=[band],
    )  # fmt: skip
    shown = figure(drawing, title=both("labels.size_title", score=score),
                   about=both("labels.size_about", n=len(points)), ident=ident, keys=keys)  # fmt: skip
    heads = ("n", "steps", "score", "seeds")
    rows: list[list[Content]] = [
        [fixed(one["n"], 0), fixed(one["steps"], 0), estimated(one["value"], one["value_interval"]),
         ", ".join(significant(value) for value in one["values"])]
        for one in found["curve"]
    ]  # fmt: skip
    caption = both("labels.size_caption", score=score, level=percent(found["level"]))
    columns = [Column(both(f"labels.column.{name}", score=score)) for name in heads]
    return {"figure": shown, "table": table(caption, columns, rows, ident=ids.new("size-caption"), kind="slim")}


def _measured(one: Mapping[str, Any]) -> Point:
    low, high = one["value_interval"]
    return Point(one["n"], one["value"], low, high, _tip("labels.tip", one["value"], (low, high), n=fixed(one["n"], 0)))


def _tip(key: str, value: float, interval: Sequence[float], *, signed: bool = False, **more: Any) -> Both:
    told, ends = estimate(value, interval, signed=signed)
    return both(key, value=told, interval=ends, **more)


# Doses


def _doses(found: Mapping[str, Any], shown: Shown, ids: Ids) -> dict[str, Any] | None:
    if not found["doses"]:
        return None
    keys = [Key("dot", "accent", both("labels.key.supported")), Key("ring", "accent", both("labels.key.unclear"))]
    kinds = [kind for kind in ("noise", "imbalance") if any(one["kind"] == kind for one in found["doses"])]
    return {
        "legend": legend(keys), "figures": [_dose_figure(found, kind, ids) for kind in kinds],
        "table": _dose_table(found, shown, ids),
    }  # fmt: skip


def _dose_figure(found: Mapping[str, Any], kind: str, ids: Ids) -> Markup:
    ident = ids.new(f"dose-{kind}")
    own = [one for one in found["doses"] if one["kind"] == kind and one["interval"] is not None]
    points = [_dose_point(one) for one in own]
    drawing = plot(
        Axis(both(f"labels.dose_of.{kind}", label=found["label"] or NONE), form=percent, include=(0.0,)),
        Axis(both("labels.column.difference"), include=(0.0,)), [Series(points, "accent", "dot", line=True)],
        ident=ident, baseline=0.0, sizes=[PANEL],
    )  # fmt: skip
    harmed = sum(not point.hollow for point in points)
    about = both("labels.dose_about", harmed=harmed, n=len(points))
    return figure(drawing, title=both(f"labels.kind.{kind}"), about=about, ident=ident)


def _dose_point(one: Mapping[str, Any]) -> Point:
    low, high = one["interval"]
    tip = _tip("labels.dose_tip", one["difference"], one["interval"], signed=True, dose=percent(one["dose"]))
    return Point(one["dose"], one["difference"], low, high, tip, hollow=one["verdict"] == "indistinguishable")


def _dose_table(found: Mapping[str, Any], shown: Shown, ids: Ids) -> Markup:
    heads = ("what", "changed", "verdict", "difference", "p", "least", "worth")
    columns = [Column(both(f"labels.column.{name}"), number=name not in ("what", "verdict")) for name in heads]
    rows: list[list[Content]] = []
    for one, worth in zip(found["doses"], shown.worth, strict=True):
        what = Markup("{} {}").format(spans(both(f"labels.kind.{one['kind']}")),
                                      "" if one["dose"] is None else percent(one["dose"]))  # fmt: skip
        difference: Content = NONE
        if one["interval"] is not None:
            difference = estimated(one["difference"], one["interval"], signed=True)
        verdict = _verdict(one["verdict"])
        rows.append([what, fixed(one["changed"], 0), verdict, difference, p_value(one["p_value"]),
                     significant(one["minimum_detectable"], 2), worth])  # fmt: skip
    caption = both("labels.doses_caption", score=found["score"], level=percent(found["level"]))
    return table(caption, columns, rows, ident=ids.new("doses-caption"), stack=True)


def _verdict(name: str) -> Markup:
    """The way of a difference beside the badge that says whether noise explains it."""
    if name == "indistinguishable":
        return verdict_badge(name)
    return Markup("{} {}").format(verdict_badge(_BADGES[name]), spans(both(f"labels.verdict.{name}")))


# Slices


def _slices(found: Mapping[str, Any], shown: Shown, ids: Ids) -> list[dict[str, Markup]]:
    made = []
    for facet, name in shown.facets.items():
        own = [(one, said) for one, said in zip(found["slices"], shown.slices, strict=True) if one["facet"] == facet]
        made.append(
            {"figure": _slice_figure(found, facet, name, own, ids), "table": _slice_table(found, facet, name, own, ids)}
        )
    return made


def _slice_figure(
    found: Mapping[str, Any], facet: str, name: Both, own: Sequence[tuple[Mapping[str, Any], Both]], ids: Ids
) -> Markup:
    ident, high = ids.new(f"slices-{facet}"), found["high"]
    series, keys = [], []
    for i, ((one, said), (tone, mark)) in enumerate(zip(own, _TONES, strict=False)):
        points = [
            Point(n, high - score, high - ends[1], high - ends[0],
                  tip=both("labels.slice_tip", name=said, n=fixed(n, 0), value=significant(high - score)))
            for n, score, ends in zip(found["sizes"], one["scores"], one["intervals"], strict=True)
        ]  # fmt: skip
        series.append(Series(points, tone, mark, line=True, dodge=5.0 * (i - 1.5)))
        keys.append(Key(mark, tone, said))
    drawing = plot(Axis(both("labels.axis.n"), log=True, form=compact), Axis(both("labels.axis.error")), series,
                   ident=ident, sizes=[PANEL])  # fmt: skip
    about = both("labels.slices_about", n=len(series), sizes=len(found["sizes"]))
    return figure(drawing, title=both("labels.slices_title", facet=name), about=about, ident=ident, keys=keys)


def _slice_table(
    found: Mapping[str, Any], facet: str, name: Both, own: Sequence[tuple[Mapping[str, Any], Both]], ids: Ids
) -> Markup:
    heads = ("slice", "items", "labelled", "now", "gain", "thousand", "first", "ahead")
    columns = [Column(both(f"labels.column.{head}", score=found["score"]), number=head != "slice") for head in heads]
    rows: list[list[Content]] = []
    for one, said in own:
        ahead: Content = NONE
        if one["ahead"] is not None:
            key = "ahead" if one["clear"] else "indistinguishable"
            ahead = Markup("{}<small>{}</small>").format(percent(one["ahead"]), spans(both(f"labels.verdict.{key}")))
        rows.append([
            said, fixed(one["items"], 0), fixed(one["labelled"], 0),
            estimated(one["scores"][-1], one["intervals"][-1]), estimated(one["gain"], one["interval"], signed=True),
            significant(one["per_thousand"], 2, signed=True), percent(one["first"]), ahead,
        ])  # fmt: skip
    caption = both("labels.slices_caption", facet=name, level=percent(found["level"]))
    return table(caption, columns, rows, ident=ids.new(f"slices-{facet}-caption"), stack=True)


# Claims


def _claims(claims: Sequence[Mapping[str, Any]], ids: Ids) -> Markup:
    heads = ("claim", "verdict", "estimate", "detectable", "p")
    columns = [Column(both(f"claims.{name}"), number=name not in ("claim", "verdict")) for name in heads]
    rows: list[list[Content]] = []
    for one in claims:
        said = Markup('<span class="asks">{}</span><span class="says">{}</span>').format(
            spans(one["question"]), spans(one["statement"])
        )
        examples = one["unit"] == "examples"
        value: Content = estimated(one["estimate"], one["interval"])
        if examples:
            value = Markup("{}<small>[{}, {}]</small>").format(_about(one["estimate"]), *map(_about, one["interval"]))
        rows.append([said, _badge(one), value, significant(one["minimum_detectable"], 2), p_value(one["p_value"])])
    return table(
        both("claims.caption"), columns, rows, ident=ids.new("claims-caption"), kind="claims", stack=True, quiet=True
    )
