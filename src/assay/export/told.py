"""What `assay export` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.present.numbers import NONE, estimate, fixed, percent, size
from assay.present.plain import plain_table
from assay.present.words import say


def exported(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer."""
    lines = [say("export.found", language, out=answer["out"])] if answer["found"] else []
    head, rows = figures(answer, language)
    lines += plain_table(say("export.caption", language, target=answer["target"], dtype=answer["dtype"]), head, rows)
    if answer["scores"] is not None:
        caption = say("export.scored", language, n=fixed(answer["scores"]["n"], 0))
        lines += plain_table(caption, *scores(answer, language))
        lines += _lost(answer["scores"], language)
    lines += [say(f"export.note.{name}", language) for name in answer["notes"]]
    return [*lines, answer["out"]]


def figures(answer: Mapping[str, Any], language: str) -> tuple[list[str], list[list[str]]]:
    """Size, parity, memory and latency: a table of the model and its export."""
    head = [say(f"export.{key}", language) for key in ("figure", "model", "export")]
    parity, sizes, measured = answer["parity"], answer["size"], answer["measured"]
    rows = [
        [say("export.size", language), size(sizes["model"]), size(sizes["export"])],
        [say("export.apart", language, by=parity["by"]), NONE, f"{parity['apart']:.2g} (≤ {parity['tolerance']:.2g})"],
    ]
    if parity["greedy"] is not None:
        rows.append([say("export.greedy", language), NONE, f"{parity['greedy']} / {parity['prompts']}"])
    if measured is not None:
        both = [measured["model"], measured["export"]]
        rows += [
            [say("export.memory", language), *(size(one["memory"]) for one in both)],
            [say("export.median", language), *(_milliseconds(one["median"]) for one in both)],
            [say("export.p90", language), *(_milliseconds(one["p90"]) for one in both)],
            [say("export.per_second", language, n=both[0]["batch"]), *(f"{one['per_second']:.3g}" for one in both)],
        ]
    return head, rows


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def scores(answer: Mapping[str, Any], language: str) -> tuple[list[str], list[list[str]]]:
    """Scores of both, and how far they are apart."""
    head = [say(f"export.{key}", language) for key in ("score", "model", "export", "difference")]
    rows = []
    for name in answer["scores"]["shown"]:
        one = answer["scores"]["metrics"][name]
        if one["difference"] is None:
            continue
        apart = f"{one['difference']:+.3g}"
        if one["interval"] is not None:
            apart = " ".join(estimate(one["difference"], one["interval"], signed=True))
        rows.append([name, f"{one['model']:.4g}", f"{one['export']:.4g}", apart])
    return head, rows


def _lost(found: Mapping[str, Any], language: str) -> list[str]:
    """Whether the export has lost no more than weights in fewer bits may cost."""
    if found["lost"] is None:
        return []
    key = "export.within" if found["within"] else "export.beyond"
    points = found["best"] != "perplexity" and found["allowed"] == 1.0
    shown = [f"{max(0.0, one):.3g}" if points else percent(max(0.0, one)) for one in (found["lost"], found["allowed"])]
    return [say(key, language, name=found["best"], lost=shown[0], allowed=shown[1])]
