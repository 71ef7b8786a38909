"""What `assay finetune` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.finetune.request import RESULT
from assay.present.numbers import compact, duration, estimate, fixed
from assay.present.plain import plain_table
from assay.present.words import say

MOST_SHOWN = 60  # characters of a text on a terminal


def tuned(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer in a few lines: scores of the whole, not by label."""
    facts = [
        say("tuned.step", language, step=answer["step"], steps=answer["steps"]),
        *([say("trained.early", language)] if answer["stopped_early"] else []),
        say("tuned.speed", language, speed=compact(answer["tokens_per_second"] or 0),
            time=duration(answer["seconds"], language)),
    ]  # fmt: skip
    folder = Path(answer["model"]).parent
    more = say("tuned.more", language, file=folder / RESULT)
    return [*table(answer, language), say("tuned.joint", language).join(facts), more, answer["model"]]


def table(answer: Mapping[str, Any], language: str) -> list[str]:
    """Scores by part."""
    parts = {f"{part} (n = {fixed(own['n'], 0)})": own for part, own in answer["evaluations"].items() if own["n"]}
    floors = {f"{part}, {say('tuned.floor', language)}": own for part, own in (answer.get("floor") or {}).items()}
    columns = parts | floors
    head = [say("tuned.metric", language), *columns]
    names = [name for name in answer["shown"] if any(name in own["metrics"] for own in parts.values())]
    lines = [[name, *(measured(own["metrics"].get(name)) for own in columns.values())] for name in names]
    return plain_table(say("tuned.caption", language), head, lines)


def swept(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer of several runs: a row a setting, the best one by dev named."""
    shown = [name for name in answer["shown"] if name in answer["metrics"]]
    head = [say("tuned.setting", language), say("tuned.dev", language, name=answer["best"]), *shown,
            say("tuned.above", language)]  # fmt: skip
    lines = []
    for row in answer["settings"]:
        setting = ", ".join(f"{key}={value}" for key, value in row["setting"].items()) or "–"
        above = row["above_floor"]
        far = "–"
        if above is not None and above["interval"] is not None:
            far = " ".join(estimate(above["difference"], above["interval"], signed=True))
        dev = "–" if row["dev"] is None else f"{row['dev']:.4g}"
        lines.append([setting, dev, *(measured(row["metrics"][name]) for name in shown), far])
    best = ", ".join(f"{key}={value}" for key, value in answer["setting"].items())
    caption = say("tuned.swept", language, seeds=answer["seeds"], n=fixed(answer["n"], 0))
    chosen = [say("tuned.chosen", language, setting=best)] if best else []
    return [*plain_table(caption, head, lines), *chosen, answer["model"]]


def judged(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `assay eval` of a task."""
    return table({"shown": answer["shown"], "evaluations": {answer["task"]: answer}}, language)


def compared(answer: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `assay eval compare`: a - b, score by score."""
    head = [say(f"tuned.{key}", language) for key in ("metric", "a", "b", "difference", "p", "least", "verdict")]
    lines = []
    for name in answer["shown"]:
        one = answer["comparisons"][name]
        if one["difference"] is None:
            continue
        values = [f"{one[key]:.4g}" for key in ("a", "b")]
        apart = f"{one['difference']:+.4g}"
        if one["interval"] is not None:
            apart = " ".join(estimate(one["difference"], one["interval"], signed=True))
        rest = [f"{one[key]:.3g}" if one[key] is not None else "–" for key in ("p_value", "minimum_detectable")]
        lines.append([name, *values, apart, *rest, say(f"tuned.verdicts.{one['verdict']}", language)])
    caption = say("tuned.compared", language, a=answer["a"], b=answer["b"], n=fixed(answer["n"], 0))
    return plain_table(caption, head, lines)


def answers(rows: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """Answers in a line each."""
    return [_in_a_line(row, language) for row in rows]


def _in_a_line(row: Mapping[str, Any], language: str) -> str:
    answer = row["answer"]
    text = next((str(v) for k, v in row.items() if k not in ("where", "answer") and isinstance(v, str)), row["where"])
    shown = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
    if "spans" in answer:
        found = say("tuned.joint", language).join(f"{s['text']} [{s['type']}]" for s in answer["spans"]) or "–"
    elif "words" in answer:
        found = " | ".join(answer["words"])
    elif "tags" in answer:
        tokens = row["tokens"]
        found = " ".join(f"{token}/{tag}" for token, tag in zip(tokens, answer["tags"], strict=True))
    elif "label" in answer:
        found = f"{answer['label']} ({answer['probabilities'][answer['label']]:.3f})"
    else:
        found = say("tuned.joint", language).join(
            f"{value:.4g}" if isinstance(value, float) else str(value) for value in answer.values()
        )
    return f"{shown}\t{found}"


def measured(score: Mapping[str, Any] | None) -> str:
    """A value and its interval."""
    if score is None or score["value"] is None:
        return "–"
    if score["interval"] is None:
        return f"{score['value']:.4g}"
    return " ".join(estimate(score["value"], score["interval"]))
