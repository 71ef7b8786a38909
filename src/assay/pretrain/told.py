"""What `assay train` and `assay eval` say on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.present.numbers import compact, duration, estimate, fixed, percent
from assay.present.plain import plain_table
from assay.present.words import say

MEASURES = ("loss", "perplexity", "bits_per_byte")


def trained(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `assay train` in a few lines."""
    lines: list[str] = []
    if "evaluations" in answer:
        lines += table(
            {say(f"card.split.{split}", language): found for split, found in answer["evaluations"].items()}, language
        )
    speed = answer.get("tokens_per_second")
    facts = {
        "trained.step": {"step": answer.get("step"), "steps": answer.get("steps"), "dtype": answer.get("dtype")},
        "trained.early": {} if answer.get("stopped_early") else {"step": None},
        "trained.tokens": {"tokens": answer.get("tokens") and compact(answer["tokens"])},
        "trained.words": {"words": answer.get("words") and fixed(answer["words"], 0), "width": answer.get("width")},
        "trained.ngrams": {"ngrams": answer.get("ngrams") and fixed(answer["ngrams"], 0), "order": answer.get("order")},
        "trained.speed": {"speed": speed and compact(speed), "time": duration(answer["seconds"], language)},
        "trained.mfu": {"mfu": answer.get("mfu") and percent(answer["mfu"])},
    }
    told = [
        say(key, language, **values) for key, values in facts.items() if all(v is not None for v in values.values())
    ]
    return [*lines, say("trained.joint", language).join(told), answer["checkpoint"]]


def evaluated(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `assay eval`, as a table."""
    rows = {say("card.all", language): {"n": answer["n"], **answer["metrics"]}}
    if len(answer["sources"]) > 1:
        rows |= {name: {"n": own["n"], **own["metrics"]} for name, own in answer["sources"].items()}
    signature = next(iter(answer["metrics"].values()))["signature"]
    return [*table(rows, language), signature]


def table(rows: Mapping[str, Mapping[str, Any]], language: str) -> list[str]:
    """Measures of each text, and of its sources where it has several."""
    measures = [m for m in MEASURES if all(m in row for row in rows.values())]
    head = [say("card.text", language), say("card.n", language), *(say(f"card.{m}", language) for m in measures)]
    lines = []
    for name, found in rows.items():
        lines.append([name, fixed(found["n"], 0), *(measured(found[m]) for m in measures)])
        for source, own in found.get("sources", {}).items():
            lines.append([f"  {source}", fixed(own["n"], 0), *(measured(own[m]) for m in measures)])
    return plain_table(say("card.caption", language), head, lines)


def measured(value: Mapping[str, Any]) -> str:
    """A value and its interval."""
    if value["interval"] is None:
        return f"{value['value']:.4g}"
    return " ".join(estimate(value["value"], value["interval"]))


def scores(results: list[Mapping[str, Any]], language: str) -> list[str]:
    """The answer of `assay eval --words`, as a table."""
    head = [say(f"card.{key}", language) for key in ("test", "score", "asked", "known")]
    lines = []
    for result in results:
        name = result["file"] if result["section"] is None else f"  {result['section']}"
        share = result["n_used"] / max(1, result["n"])
        lines.append(
            [name, measured(result) if result["value"] is not None else "–", fixed(result["n"], 0), percent(share)]
        )
    return plain_table(say("card.words", language), head, lines)
