"""What `assay corpus clean`, `damage` and `augment` say on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.corpora.told import headed, kept, notices, of
from assay.present.numbers import fixed, percent, size
from assay.present.plain import plain_table
from assay.present.words import say


def cleaned(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `clean`: notices, then by step and by source."""
    rows = [
        [say(f"corpus.step.{step}", language), of(documents, found["documents"]), fixed(characters, 0)]
        for step, (documents, characters) in found["steps"].items()
    ]
    heads = headed(("step", "changed_documents", "changed_characters"), language)
    lines = [*notices(found, language), *plain_table(say("corpus.steps", language), heads, rows)]
    if "words" in found:
        told = {name: fixed(found["words"][name], 0) for name in ("words", "different", "rare", "places")}
        lines += ["", say("corpus.rare_words", language, **told)]
    heads = headed(("source", "documents", "changed_documents", "emptied", "most_steps"), language)
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["changed"], part["documents"]), fixed(part["emptied"], 0),
            ", ".join(
                f"{say(f'corpus.step.{step}', language)} {fixed(n, 0)}"
                for step, (n, _) in sorted(part["steps"].items(), key=lambda item: -item[1][0])[:3] if n
            ),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    lines += ["", *plain_table(say("corpus.sources", language), heads, rows, notes=1)]
    return [*lines, "", kept(found, language)]


def damaged(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `damage`: notices, what the defect is, then by source."""
    how = found["damage"]
    caption = say(
        f"corpus.dose.{found['unit']}", language, defect=say(f"corpus.defect.{how['defect']}", language),
        dose=percent(how["dose"]), seed=how["seed"],
    )  # fmt: skip
    heads = headed(("source", "documents", "chosen", "damaged", "spared", "removed", "added"), language)
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["chosen"], part["documents"]),
            *(fixed(part[column], 0) for column in ("damaged", "spared", "removed", "added")),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    lines = [*notices(found, language), *plain_table(caption, heads, rows)]
    return [*lines, "", _written(found, language), say("corpus.planted", language, path=found["planted"])]


def augmented(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `augment`: notices, then by source."""
    columns = ["copies", "alike", *(("repeated", "left_out") if "repeated" in found else ())]
    heads = headed(("source", "documents", *columns, "written", "kept_bytes"), language)
    rows = [
        [
            name, fixed(part["documents"], 0), *(fixed(part[column], 0) for column in columns),
            fixed(part["kept"], 0), size(part["kept_bytes"]),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    lines = [*notices(found, language), *plain_table(say("corpus.sources", language), heads, rows)]
    if "times" in found:
        shown = ", ".join(f"{name} {fixed(times, 2)}" for name, times in list(found["times"].items())[:12])
        lines += ["", say("corpus.times", language, times=shown)]
    if (said := found.get("back_translation")) is not None:
        lines += ["", say("corpus.back_translation", language, **{name: fixed(n, 0) for name, n in said.items()})]
    return [*lines, "", _written(found, language)]


def _written(found: Mapping[str, Any], language: str) -> str:
    return say(
        "corpus.written", language, kept=fixed(found["kept"], 0), bytes=size(found["kept_bytes"]),
        folder=found["kept_folder"],
    )  # fmt: skip
