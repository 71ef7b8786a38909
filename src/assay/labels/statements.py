"""Numbers -> claims, a sentence each in both languages (`impact.claims`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assay.impact.claims import Claim, Kind, Outcome, Prediction, Text, Verdict
from assay.present.numbers import compact, estimate, fixed, percent
from assay.present.words import Both, both

KEYS = ("label", "length", "script", "source", "domain", "genre", "dataset", "group")


def claims(found: Mapping[str, Any]) -> list[Claim]:
    """All of them, the answer first."""
    return [*_size(found), *_cost(found), *_prediction(found), *_quality(found), *_slices(found)]


def _claim(
    found: Mapping[str, Any], identifier: str, kind: Kind, question: str, statement: Both, value: float,
    interval: tuple[float, float], verdict: Verdict, evidence: list[str], *, unit: str | None = None,
    headline: bool = False, compared: Mapping[str, Any] | None = None, registered_at: str | None = None,
    prediction: Prediction | None = None, outcome: Outcome | None = None,
) -> Claim:  # fmt: skip
    own = compared or {"minimum_detectable": None, "p_value": None}
    return Claim(
        id=identifier, kind=kind, question=Text(**both(f"labels.question.{question}")), statement=Text(**statement),
        unit=found["score"] if unit is None else unit, estimate=value, interval=interval, level=found["level"],
        n_seeds=len(found["seeds"]), minimum_detectable=own["minimum_detectable"], p_value=own["p_value"],
        verdict=verdict, headline=headline, evidence=evidence, registered_at=registered_at, prediction=prediction,
        outcome=outcome,
    )  # fmt: skip


def _judged(compared: Mapping[str, Any]) -> Verdict:
    return "supported" if compared["verdict"] in ("better", "worse") else "indistinguishable"


def _ends(compared: Mapping[str, Any]) -> tuple[float, float]:
    """The interval of a difference; the difference alone where nothing is known of the noise."""
    low, high = compared["interval"] or (compared["difference"], compared["difference"])
    return low, high


def change(compared: Mapping[str, Any]) -> dict[str, str]:
    """A difference of scores and its interval, as text."""
    if compared["interval"] is None:
        return {"value": f"{compared['difference']:+.3g}", "interval": "–"}
    value, interval = estimate(compared["difference"], compared["interval"], signed=True)
    return {"value": value, "interval": interval}


def _size(found: Mapping[str, Any]) -> Iterator[Claim]:
    one, (half, whole) = found["doubling"], found["sizes"][-2:]
    if one["difference"] is None:
        return
    key = "doubling" if _judged(one) == "supported" else "doubling_unclear"
    said = both(f"labels.says.{key}", half=fixed(half, 0), whole=fixed(whole, 0), score=found["score"], **change(one),
                least=_least(one))  # fmt: skip
    cells = [cell["cell"] for cell in found["curve"][-2:]]
    yield _claim(found, "size:doubling", "size", "doubling", said, one["difference"],
                 _ends(one), _judged(one), cells, headline=True, compared=one)  # fmt: skip


def _least(one: Mapping[str, Any]) -> str:
    return "–" if one["minimum_detectable"] is None else f"{one['minimum_detectable']:.2g}"


def target(found: Mapping[str, Any]) -> Both | None:
    """What is said of the examples that a score needs."""
    asked = found["target"]
    if asked is None:
        return None
    values: dict[str, Any] = {
        "target": f"{asked['score']:g}", "score": found["score"], "share": percent(asked["reachable"]),
        "n": fixed(found["sizes"][-1], 0), "few": fixed(found["sizes"][0], 0),
    }  # fmt: skip
    n, (low, high) = found["sizes"][-1], asked["interval"]
    if asked["examples"] is not None:
        values |= {"all": about(asked["examples"]), "more": about(max(0.0, asked["examples"] - n))}
    values |= {"interval": _between(low, high), "more_interval": _between(_beyond(low, n), _beyond(high, n))}
    law = found["law"]
    best, interval = estimate(law["best"], law["best_interval"])
    values |= {"low": _end(low), "high": _end(high), "best": best, "best_interval": interval}
    far, far_interval = estimate(law["far"][1], law["far"][2:])
    values |= {"times": f"{law['far'][0] / n:g}", "far": far, "far_interval": far_interval}
    return both(f"labels.says.target.{asked['reach'].replace(' ', '_')}", **values)


def _beyond(examples: float | None, n: float) -> float | None:
    return None if examples is None else max(0.0, examples - n)


def _between(low: float | None, high: float | None) -> str:
    return f"[{_end(low)}, {_end(high)}]"


def _end(examples: float | None) -> str:
    """An end of an interval; None: no draw of the law bounds it."""
    return "∞" if examples is None else about(examples)


def about(examples: float) -> str:
    """A number of examples that was estimated: three digits."""
    return fixed(float(f"{examples:.3g}"), 0) if examples < 1e6 else compact(examples)


def _cost(found: Mapping[str, Any]) -> Iterator[Claim]:
    asked, said = found["target"], target(found)
    if asked is None or said is None:
        return
    cells = [cell["cell"] for cell in found["curve"]]
    low, high = asked["interval"]
    law, whole = found["law"], found["whole"]
    if asked["examples"] is not None and low is not None and high is not None:
        told: Verdict = "not identifiable" if asked["reach"] == "wide" else "supported"
        yield _claim(found, "cost:target", "cost", "target", said, asked["examples"], (low, high), told, cells,
                     unit="examples", headline=True)  # fmt: skip
    elif asked["reach"] == "out of reach":
        yield _claim(found, "cost:target", "cost", "target", said, law["best"], tuple(law["best_interval"]),
                     "supported", cells, headline=True)  # fmt: skip
    elif asked["reach"] == "flat" and whole["interval"] is not None:
        yield _claim(found, "cost:target", "cost", "target", said, whole["difference"], whole["interval"],
                     "indistinguishable", cells, headline=True, compared=whole)  # fmt: skip
    else:
        yield _claim(found, "cost:target", "cost", "target", said, law["far"][1], tuple(law["far"][2:]),
                     "not identifiable", cells, headline=True)  # fmt: skip


def _prediction(found: Mapping[str, Any]) -> Iterator[Claim]:
    one = found["prediction"]
    if one is None:
        return
    value, interval = estimate(one["value"], one["interval"])
    decimals = len(value.partition(".")[2])
    said = both(
        f"labels.says.predicted.{one['verdict']}", n=fixed(found["sizes"][-1], 0), most=fixed(found["sizes"][-2], 0),
        score=found["score"], predicted=value, interval=interval, measured=f"{one['measured']:.{decimals}f}",
    )  # fmt: skip
    low, high = one["interval"]
    yield _claim(
        found, one["id"], "prediction", "larger", said, one["measured"], (low, high), _judged(found["doubling"]),
        [*one["from"], one["cell"]], headline=True, registered_at=one["registered_at"],
        prediction=Prediction(value=one["value"], interval=(low, high)),
        outcome=Outcome(value=one["measured"], verdict=one["verdict"]),
    )  # fmt: skip


def what(found: Mapping[str, Any], one: Mapping[str, Any]) -> Both:
    """What was done in a cell, as the beginning of a sentence."""
    return both(
        f"labels.change.{one['kind']}", dose=percent(one["dose"]), changed=fixed(one["changed"], 0),
        label=found["label"] or "–",
    )  # fmt: skip


def worth(found: Mapping[str, Any], one: Mapping[str, Any]) -> Both:
    """What a change of the score is worth in clean examples, as a sentence that goes on."""
    own, n = one["equivalent"], found["sizes"][-1]
    low, high = own["interval"]
    if own["beyond"] == "fewest":
        return both("labels.says.worth.below", n=fixed(found["sizes"][0], 0))
    if own["beyond"] == "most":
        return both("labels.says.worth.above", n=about(own["examples"]))
    lost = own["examples"] < n
    ends = (n - high, n - low) if lost else (low - n, high - n)
    value = abs(n - own["examples"])
    interval = "[" + ", ".join(about(end) for end in ends) + "]"
    return both(f"labels.says.worth.{'lost' if lost else 'gained'}", value=about(value), interval=interval,
                share=percent(value / n))  # fmt: skip


def _quality(found: Mapping[str, Any]) -> Iterator[Claim]:
    clean = found["curve"][-1]["cell"]
    for one in found["doses"]:
        if one["difference"] is None:
            continue
        verdict = _judged(one)
        key = one["verdict"] if verdict == "supported" else "unclear"
        said = both(f"labels.says.{key}", change=what(found, one), score=found["score"], **change(one),
                    least=_least(one))  # fmt: skip
        if verdict == "supported":
            more = worth(found, one) if one["equivalent"] else both("labels.says.worth.unknown")
            said = {language: said[language] + more[language] for language in said}
        worst = max((other for other in found["doses"] if other["kind"] == one["kind"]), key=lambda o: o["dose"] or 0)
        yield _claim(found, f"quality:{one['cell']}", "quality", one["kind"], said, one["difference"],
                     _ends(one), verdict, [clean, one["cell"]],
                     headline=one is worst, compared=one)  # fmt: skip


def facet(name: str) -> Both:
    """What slices are by."""
    return both(f"labels.facet.{name}") if name in KEYS else both("labels.facet.other", name=name)


def slice_name(one: Mapping[str, Any]) -> Both:
    """What a slice is called."""
    if one["facet"] == "length":
        return both(f"labels.length.{one['name']}")
    if one["facet"] == "script":
        return both(f"labels.script.{one['name']}")
    return {"en": one["name"], "zh": one["name"]}


def _slices(found: Mapping[str, Any]) -> Iterator[Claim]:
    cells = [cell["cell"] for cell in found["curve"]]
    seen: set[str] = set()
    for one in found["slices"]:
        if one["facet"] in seen:
            continue
        seen.add(one["facet"])
        supported = bool(one["clear"]) and one["interval"][0] > 0
        value, interval = estimate(one["gain"], one["interval"], signed=True)
        said = both(
            f"labels.says.slice.{'clear' if supported else 'unclear'}", facet=facet(one["facet"]),
            name=slice_name(one), labelled=fixed(one["labelled"], 0), score=found["score"], value=value,
            interval=interval, first=percent(one["first"]),
        )  # fmt: skip
        if one["facet"] == "label":
            more = both("labels.says.slice.balance")
            said = {language: said[language] + more[language] for language in said}
        yield _claim(found, f"size:slice:{one['facet']}", "size", "slice", said, one["gain"], tuple(one["interval"]),
                     "supported" if supported else "indistinguishable", cells, headline=supported)  # fmt: skip


def worth_short(found: Mapping[str, Any], one: Mapping[str, Any]) -> Both:
    """Clean examples that a cell lost or gained, for a table."""
    own, n = one["equivalent"], found["sizes"][-1]
    if own is None:
        return both("labels.none")
    low, high = own["interval"]
    interval = f"[{about(n - high)}, {about(n - low)}]"
    if own["beyond"] is not None:
        fewest = own["beyond"] == "fewest"
        ends = about(found["sizes"][0] if fewest else own["examples"] - n)
        return both(f"labels.{'below' if fewest else 'above'}", n=ends, interval=interval)
    text = f"{about(n - own['examples'])} {interval}"
    return {"en": text, "zh": text}
