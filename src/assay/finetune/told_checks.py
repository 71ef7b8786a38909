"""What `assay doctor data` says on a terminal, in English or Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from assay.present.numbers import fixed, percent
from assay.present.words import say
from assay.tasks.checks.finding import Finding, Level

_FOLDER = re.compile(r"(?<![^\s])(?:[^\s,]*/)(?=[^\s/]+:)")


def statement(finding: Finding, language: str) -> str:
    """What was found, in a sentence."""
    comma = say("portrait.comma", language)
    values = {
        name: comma.join(map(str, value)) if isinstance(value, list) else percent(value) if name == "share" else value
        for name, value in finding.values.items()
    }
    values = {name: f"{value:g}" if isinstance(value, float) else value for name, value in values.items()}
    numbers_ = {
        "n": fixed(finding.n, 0),
        "of": fixed(finding.of, 0),
        "part_share": percent(finding.n / max(finding.of, 1)),
    }
    return say(f"checks.found.{finding.kind}", language, **numbers_, **values)


def remedy(finding: Finding, language: str) -> str:
    """What to do about it."""
    return say(f"checks.remedy.{finding.kind}", language)


def told(task: str, parts: Mapping[str, int], findings: Sequence[Finding], language: str) -> list[str]:
    """The lines of a terminal."""
    sizes = say("portrait.comma", language).join(f"{name} {fixed(n, 0)}" for name, n in parts.items())
    levels: list[Level] = [finding.level for finding in findings]
    folders = {match for f in findings for place in f.places for match in _FOLDER.findall(place.where)}
    one = len(folders) == 1  # else names alone do not tell files apart
    lines = [say("checks.head", language, task=task, sizes=sizes)]
    for finding in findings:
        mark = say(f"checks.level.{finding.level}", language)
        lines.append(f"{mark} {statement(finding, language)} -> {remedy(finding, language)}")
        for place in finding.places:
            where = _FOLDER.sub("", place.where) if one else place.where
            lines.append(f"       {where}" + (f"  {place.what}" if place.what else ""))
    counts = {level: levels.count(level) for level in ("mend", "look", "note")}
    return [*lines, say("checks.foot" if levels else "checks.clean", language, **counts)]
