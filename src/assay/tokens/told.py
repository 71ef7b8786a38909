"""What the tokenizer verbs say on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.present.numbers import NONE, compact, estimate, fixed, percent, size
from assay.present.plain import plain_table
from assay.present.words import known, say
from assay.tokens.compare import Ratio
from assay.tokens.verbs import Comparison

PLACE = ("source", "language", "tokenizer")


def told(found: Mapping[str, Any], language: str) -> list[str]:
    """A line a source of what `train` or `encode` did, from their answers."""
    lines = []
    for source, total in found["sources"].items():
        line = say(
            "tokenizer.source", language, source=source, documents=fixed(total["documents"], 0),
            bytes=size(total["bytes"]), tokens=fixed(total["tokens"], 0), ratio=fixed(total["bytes_per_token"], 2),
        )  # fmt: skip
        if total.get("unknown"):
            line += ", " + say("tokenizer.unknown", language, share=percent(total["unknown"] / total["tokens"]))
        lines.append(line)
    kind = found.get("kind", "")
    if kind:
        lines.append(say("tokenizer.told", language, vocabulary=found["vocabulary"], kind=kind, out=found["out"]))
    else:
        lines.append(found["out"])
    return lines if found["lossless"] else [*lines, say("tokenizer.lossy", language)]


def tables(found: Comparison, language: str) -> list[str]:
    """The tables of `compare`."""
    figures = ("bytes_per_token", "tokens_per_word", "tokens_per_character", "unknown_share", "vocabulary_used")
    lines = _table("rows", (*PLACE, "documents", *figures), found.rows, language)
    if chinese := [row for row in found.rows if row.chinese_characters]:
        shares = ("chinese_whole", "chinese_alone", "chinese_split")
        lines += ["", *_table("chinese", (*PLACE, "chinese_characters", *shares), chinese, language)]
    if found.against:
        first = found.against[0].first
        lines += ["", *_table("against", (*PLACE, "tokens", "detectable", "verdict"), found.against, language, first)]
    if found.parity:
        columns = ("language", "other", "tokenizer", "per_byte", "per_character")
        lines += ["", *_table("parity", columns, found.parity, language)]
    return lines


def _table(name: str, columns: Sequence[str], rows: Iterable[Any], language: str, first: str = "") -> list[str]:
    heads = [say(f"tokenizer.column.{column}", language) for column in columns]
    cells = [[_cell(row, column, language) for column in columns] for row in rows]
    return plain_table(say(f"tokenizer.caption.{name}", language, first=first), heads, cells, texts=3)


def _cell(row: Any, column: str, language: str) -> str:
    value = row.tokens.detectable if column == "detectable" else getattr(row, column)
    if column in ("language", "other"):
        return known(f"language.{value}", value)[language]
    if column == "verdict":
        return say(f"tokenizer.verdict.{value}", language)
    if column == "vocabulary_used":
        return f"{compact(value)} ({percent(value / row.vocabulary)})"
    return _number(value, share=column.startswith("chinese_") or column == "unknown_share")


def _number(value: Any, *, share: bool) -> str:
    if value is None:
        return NONE
    if isinstance(value, Ratio):
        return _share(value) if share else _ratio(value)
    if isinstance(value, float):
        return fixed(value, 3)
    return compact(value) if isinstance(value, int) else str(value)


def _share(value: Ratio) -> str:
    if value.low is None or value.high is None or value.low == value.high:
        return percent(value.value)
    low, high = max(0.0, value.low), min(1.0, value.high)
    return f"{percent(value.value)} [{percent(low)}, {percent(high)}]"


def _ratio(value: Ratio) -> str:
    if value.low is None or value.high is None:
        return fixed(value.value, 3)
    return " ".join(estimate(value.value, (value.low, value.high)))
