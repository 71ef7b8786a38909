"""What `assay compress` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.export import told as export_told
from assay.present.numbers import compact, percent, size
from assay.present.plain import plain_table
from assay.present.words import say


def compressed(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer."""
    lines = [say("compress.found", language, out=answer["out"])] if answer.get("found") else []
    lines += plain_table(done(answer, language), *figures(answer, language))
    if answer["scores"] is not None:
        caption = say("compress.scored", language, n=answer["scores"]["n"])
        lines += plain_table(caption, *scores(answer, language))
    lines += notes(answer, language)
    return [*lines, answer["out"]]


def done(answer: Mapping[str, Any], language: str) -> str:
    """What was done, in a line."""
    how = answer["how"]
    match answer["what"]:
        case "quantize":
            key = "quantized_4" if how["bits"] == 4 else f"quantized_8_{how['inputs']}"
            return say(f"compress.{key}", language, group=how["group"], method=how["method"].upper())
        case "prune":
            pattern = say("compress.two_of_four", language) if how["share"] is None else percent(how["share"])
            return say("compress.pruned", language, share=pattern, method=say(f"compress.by.{how['method']}", language))
        case "cut":
            parts = [say(f"compress.part.{name}", language, n=n) for name, n in how.items() if n is not None]
            return say("compress.cut", language, parts=say("tuned.joint", language).join(parts))
    return say("compress.distilled", language, teacher=answer["model"])


def figures(answer: Mapping[str, Any], language: str) -> tuple[list[str], list[list[str]]]:
    """Parameters, size, memory and latency before and after."""
    head = [say(f"compress.{key}", language) for key in ("figure", "before", "after")]
    numbers, sizes, measured = answer["parameters"], answer["size"], answer["measured"]
    rows = [
        [say("compress.parameters", language), compact(numbers["before"]), compact(numbers["after"])],
        *(
            []
            if "before_inside" not in numbers
            else [
                [say("compress.inside", language), compact(numbers["before_inside"]), compact(numbers["after_inside"])]
            ]
        ),
        [say("compress.size", language), size(sizes["model"]), size(sizes["export"])],
    ]
    if measured is not None:
        both = [measured["model"], measured["export"]]
        rows += [
            [say("compress.memory", language), *(size(one["memory"]) for one in both)],
            [say("compress.median", language), *(_milliseconds(one["median"]) for one in both)],
            [say("compress.p90", language), *(_milliseconds(one["p90"]) for one in both)],
            [say("compress.per_second", language, n=both[0]["batch"]), *(f"{one['per_second']:.3g}" for one in both)],
        ]
    return head, rows


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def scores(answer: Mapping[str, Any], language: str) -> tuple[list[str], list[list[str]]]:
    """Scores before and after, and the interval of what lies between."""
    _, rows = export_told.scores(answer, language)
    return [say(f"compress.{key}", language) for key in ("score", "before", "after", "difference")], rows


def notes(answer: Mapping[str, Any], language: str) -> list[str]:
    """What whoever uses it should know."""
    found = []
    if answer["what"] == "quantize":
        found.append("float")
        found += ["unpacked"] if answer["how"]["bits"] == 4 else []
    if answer["what"] == "prune":
        found.append("zeros")
    if answer["what"] == "cut" and answer.get("native"):
        found.append("own")
    lost = (answer["scores"] or {}).get("lost")
    if lost is not None:
        found.append("within" if answer["scores"]["within"] else "beyond")
    return [say(f"compress.note.{name}", language, **_lost(answer, name)) for name in found]


def _lost(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    if name not in ("within", "beyond"):
        return {}
    found = answer["scores"]
    shown = (f"{max(0.0, one):.3g}" if found["allowed"] == 1.0 else percent(max(0.0, one))
             for one in (found["lost"], found["allowed"]))  # fmt: skip
    lost, allowed = shown
    return {"name": found["best"], "lost": lost, "allowed": allowed}
