"""What is said of a quality classifier, of scores, and of documents that say the same, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay import __version__
from assay.curate import classifier
from assay.present.numbers import fixed, percent
from assay.present.plain import plain_table
from assay.present.words import LANGUAGES, in_language, known, say

_SHOWN = 12  # n-grams


def interval(found: Mapping[str, Any], digits: int = 3) -> str:
    """Such as `0.934 [0.921, 0.947]`; a dash where there was nothing to compare."""
    if found["value"] is None:
        return "-"
    if found["interval"] is None:
        return fixed(found["value"], digits)
    low, high = (fixed(bound, digits) for bound in found["interval"])
    return f"{fixed(found['value'], digits)} [{low}, {high}]"


def classified(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `classifier`: notices, how good it is, the n-grams that tell most."""
    lines = [in_language(notice, language) for notice in found["notices"]]
    rows = [[say(f"curate.measure.{name}", language), value] for name, value in _measures(found, language)]
    heads = ["", say("corpus.column.number", language)]
    lines += plain_table(say("curate.classifier", language, level=percent(found["level"])), heads, rows)
    for kind in ("good", "bad"):
        heads = [say(f"curate.column.{column}", language) for column in ("ngram", "weight", "in_good", "in_bad")]
        rows = [
            [one["text"], fixed(one["weight"], 1), percent(one["in_good"]), percent(one["in_bad"])]
            for one in found["telling"][kind][:_SHOWN]
        ]
        lines += ["", *plain_table(say(f"curate.telling.{kind}", language), heads, rows)]
    return [*lines, "", say("curate.use", language, model=found["model"])]


def _measures(found: Mapping[str, Any], language: str) -> list[tuple[str, str]]:
    tongues = found["languages"]

    def spoken(kind: str) -> str:
        shares = [item for item in tongues[kind].items() if item[1] >= classifier.RARE_LANGUAGE][:3]
        return ", ".join(f"{known(f'language.{name}', name)[language]} {percent(share)}" for name, share in shares)

    return [
        ("good", fixed(found["documents"]["good"], 0)),
        ("bad", fixed(found["documents"]["bad"], 0)),
        ("tested", fixed(sum(found["test"].values()), 0)),
        ("auc", interval(found["auc"])),
        ("alike", interval(found["alike"])),
        ("accuracy", interval(found["accuracy"])),
        ("length_auc", fixed(found["length_auc"], 3)),
        ("languages_good", spoken("good")),
        ("languages_bad", spoken("bad")),
    ]


def card(found: Mapping[str, Any]) -> str:
    """The model card, in both languages."""
    parts = ["# Quality classifier"]
    for language in LANGUAGES:
        parts.append(say("curate.card.about", language, version=__version__, strength=f"{found['strength']:g}"))
        columns = say("curate.card.measure", language), say("corpus.column.number", language)
        heads = f"| {' | '.join(columns)} |\n| --- | --- |\n"
        rows = [
            f"| {say(f'curate.measure.{name}', language)} | {value} |" for name, value in _measures(found, language)
        ]
        parts.append(heads + "\n".join(rows))
        for kind in ("good", "bad"):
            told = ", ".join(f"`{one['text'].replace('`', ' ')}`" for one in found["telling"][kind])
            parts.append(f"{say(f'curate.telling.{kind}', language)}: {told}")
        parts.append(say("curate.card.beware", language))
    return "\n\n".join(parts) + "\n"


def scored(found: Mapping[str, Any], language: str) -> list[str]:
    """What the scores are like, a line each."""
    lines: list[str] = []
    columns = found.get("scores", {})
    if columns:
        heads = [say("curate.column.score", language), *next(iter(columns.values()))["quantiles"]]
        heads.append(say("curate.column.none", language))
        rows = [
            [name, *(fixed(value, 3) for value in one["quantiles"].values()), fixed(one["none"], 0)]
            for name, one in columns.items()
        ]
        lines += [*plain_table(say("curate.scores", language), heads, rows), ""]
    return lines


def alike(found: Mapping[str, Any], language: str) -> list[str]:
    """How documents that say the same were found."""
    how = found["semantic"]
    key = "exact" if how["exact"] else "clusters"
    values = {name: fixed(how[name], 0) for name in ("texts", "pairs", "clusters")}
    return [say(f"curate.semantic.{key}", language, **values), ""]
