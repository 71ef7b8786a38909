"""Answers of a model of a task -> one HTML file in both languages: texts with what was found in them marked.

Everything that a text says is escaped; nothing is fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from assay import __version__
from assay.present.numbers import fixed, percent
from assay.present.page import begun
from assay.present.tables import Column, table
from assay.present.words import both
from assay.report.sheet import filled

SHOWN = 500  # rows on a page
_COLOURS = 8  # of kinds of spans, in the style sheet


def page(task: str, rows: Sequence[Mapping[str, Any]], model: str, language: str = "en") -> str:
    """The page.

    Args:
        rows: of each example its fields, `where` it stands, and its `answer`.

    Raises:
        ValueError: `language` is neither "en" nor "zh".
    """
    ids = begun(language, ("kinds", "texts"))
    counts = Counter(kind for row in rows for kind in _kinds(row["answer"]))
    colour = {kind: i % _COLOURS for i, (kind, _) in enumerate(counts.most_common())}
    return filled(
        "answers.html",
        language=language, page_title=both("answerspage.title", task=task),
        contents=[(name, both(f"answerspage.nav.{name}")) for name in ("kinds", "texts")],
        task=task, n=len(rows), shown=min(SHOWN, len(rows)), model=model,
        kinds=_table(counts, len(rows), ids.new("found")),
        rows=[_row(row, colour) for row in rows[:SHOWN]], version=__version__,
    )  # fmt: skip


def _kinds(answer: Mapping[str, Any]) -> list[str]:
    """What was found, to be counted."""
    if "spans" in answer:
        return [span["type"] for span in answer["spans"]]
    if "labels" in answer:
        return list(answer["labels"])
    return [answer["label"]] if "label" in answer else []


def _table(counts: Counter[str], n: int, ident: str) -> Markup:
    if not counts:
        return Markup("<p>{}</p>").format(fixed(n, 0))
    total = counts.total()
    columns = [Column(both(f"answerspage.{name}"), number=name != "kind") for name in ("kind", "count", "share")]
    cells = [[kind, fixed(count, 0), percent(count / total)] for kind, count in counts.most_common()]
    return table(both("answerspage.counts"), columns, cells, ident=ident, kind="slim")


def _row(row: Mapping[str, Any], colour: Mapping[str, int]) -> dict[str, Any]:
    answer, others = row["answer"], {k: v for k, v in row.items() if k not in ("answer", "where", "begins")}
    if "spans" in answer:
        return {"text": _marked(others, answer["spans"], colour), "told": None, "where": row["where"]}
    if "start" in answer and "context" in others:
        span = {"start": answer["start"], "stop": answer["stop"], "type": percent(answer.get("likely", 1.0))}
        text = Markup("<strong>{}</strong><br>").format(others.get("question", ""))
        return {"text": text + _of_text(others["context"], [span], {}), "told": answer["text"], "where": row["where"]}
    text = Markup("<br>").join(escape(v) for v in others.values() if isinstance(v, str))
    if not text and isinstance(others.get("tokens"), list):
        text = escape(" ".join(others["tokens"]))
    return {"text": text, "told": _told(answer), "where": row["where"]}


def _told(answer: Mapping[str, Any]) -> str:
    chances: Mapping[str, float] = answer.get("probabilities") or {}
    if chances:
        ordered = sorted(chances.items(), key=lambda pair: -pair[1])[:3]
        return " · ".join(f"{label} {percent(p)}" for label, p in ordered)
    if "words" in answer:
        return " | ".join(answer["words"])
    if "tags" in answer:
        return " ".join(answer["tags"])
    return " · ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in answer.values())


def _marked(given: Mapping[str, Any], spans: Sequence[Mapping[str, Any]], colour: Mapping[str, int]) -> Markup:
    """A text with its spans; of tokens alone, with spaces where a span's own text has them."""
    if "text" in given and all("start" in span for span in spans):
        return _of_text(given["text"], spans, colour)
    parts, at = [Markup()], 0
    tokens = given["tokens"]
    for span in spans:
        parts += [escape(_joined(tokens[at : span["begin"]])), _mark(span["text"], span["type"], colour)]
        at = span["end"]
    parts.append(escape(_joined(tokens[at:])))
    wide = sum(not token.isascii() for token in tokens) * 2 > len(tokens)
    return Markup("" if wide else " ").join(part for part in parts if part)


def _joined(tokens: Sequence[str]) -> str:
    wide = sum(not token.isascii() for token in tokens) * 2 > len(tokens)
    return ("" if wide else " ").join(tokens)


def _of_text(text: str, spans: Sequence[Mapping[str, Any]], colour: Mapping[str, int]) -> Markup:
    parts, at = Markup(), 0
    for span in spans:
        parts += escape(text[at : span["start"]]) + _mark(text[span["start"] : span["stop"]], span["type"], colour)
        at = span["stop"]
    return parts + escape(text[at:])


def _mark(text: str, kind: str, colour: Mapping[str, int]) -> Markup:
    return Markup('<mark class="k{}">{}<small>{}</small></mark>').format(colour.get(kind, 0), text, kind)
