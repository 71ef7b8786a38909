"""What `assay corpus` says on a terminal, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len

from assay.present.numbers import fixed, percent, size
from assay.present.plain import plain_table
from assay.present.words import in_language, known, say

_LISTED = 12  # languages
_EXCERPT = 56  # cells of a terminal


def scanned(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `scan`: notices, then a table of sources."""
    columns = ("source", "documents", "bytes", "exact_duplicates", "near_duplicates", "median_chars", "repetition")
    rows = [
        [
            name, fixed(source["documents"], 0), size(source["bytes"]), percent(source["exact_duplicates"]),
            percent(source["near_duplicates"]), fixed(source["median_chars"], 0), percent(source["repetition"]),
        ]
        for name, source in found["sources"].items()
    ]  # fmt: skip
    caption = say("corpus.scanned", language, documents=fixed(found["documents"], 0), bytes=size(found["bytes"]))
    return [*notices(found, language), *plain_table(caption, headed(columns, language), rows), found["out"]]


def profiled(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `profile`: its summary, what to see to first, and where it is."""
    lines = [in_language(sentence, language) for sentence in found["summary"]]
    if found["advice"]:
        lines += ["", say("portrait.answer.advice", language)]
        lines += [f"- {in_language(one['text'], language)}" for one in found["advice"]]
    return [*lines, "", found["page"], found["numbers"], found["card"]]


def selected(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `select`: notices, by word of a list, by rule, by source, by language."""
    lines = notices(found, language)
    for one in found.get("words", {}).values():
        if one["places"]:
            lines += [*_words(one, language), ""]
    lines += plain_table(
        say("corpus.rules", language),
        headed(("rule", "keeps", "asked", "alone", "only", "only_bytes"), language),
        [
            [
                name, rule["keeps"], fixed(rule["asked"], 0), of(rule["alone"], rule["asked"]),
                of(rule["only"], rule["asked"]), size(rule["only_bytes"]),
            ]
            for name, rule in found["rules"].items()
        ],
        texts=2,
    )  # fmt: skip
    for group in ("sources", "languages"):
        parts = found[group]
        named = {
            name if group == "sources" else known(f"language.{name}", name)[language]: part
            for name, part in sorted(parts.items(), key=lambda item: -item[1]["bytes"])[
                : _LISTED if group == "languages" else None
            ]
        }
        lines += ["", *_table(group, named, language)]
    if found["not_asked"]:
        lines += ["", say("corpus.not_asked", language, n=found["not_asked"])]
    return [*lines, "", kept(found, language)]


def _words(one: Mapping[str, Any], language: str) -> list[str]:
    """In how many documents the words of a list stand, and a few of the places."""
    counts = {name: fixed(one[name], 0) for name in ("words", "places", "found")}
    caption = say("corpus.words", language, **counts)
    first: dict[str, str] = {}
    for place in one["first"]:
        first.setdefault(place["word"], f"{place['doc_id']} {place['begin']}–{place['end']}")
    rows = [[word, of(n, one["documents"]), first.get(word, "")] for word, n in one["of"].items()]
    return plain_table(caption, headed(("word", "documents", "place"), language), rows, notes=1)


def deduplicated(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `dedup`: by source, then the largest clusters."""
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["kept"], part["documents"]), size(part["kept_bytes"]),
            ", ".join(f"{source} {fixed(n, 0)}" for source, n in list(part["copies_of"].items())[:3]),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    heads = headed(("source", "documents", "kept", "kept_bytes", "copies_of"), language)
    lines = plain_table(say("corpus.sources", language), heads, rows, notes=1)
    if found["largest"]:
        largest = [[part["doc_id"], part["source"], fixed(part["copies"], 0)] for part in found["largest"]]
        heads = headed(("document", "source", "copies"), language)
        lines += ["", *plain_table(say("corpus.largest", language), heads, largest, texts=2)]
    return [*lines, "", kept(found, language)]


def cut(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `dedup` within documents: by source, then the texts of which most is removed."""
    lines = notices(found, language)
    heads = headed(("source", "documents", "affected", "removed_bytes", "dropped", "first_in"), language)
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["affected"], part["documents"]),
            f"{size(part['removed_bytes'])} ({percent(part['removed_bytes'] / part['bytes'])})",
            of(part["dropped"], part["documents"]),
            ", ".join(f"{source} {size(n)}" for source, n in list(part["copies_of"].items())[:3]),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    caption = say(f"corpus.cut.{found['level']}", language, **{**found, "stretches": fixed(found["stretches"], 0)})
    lines += [caption, "", *plain_table(say("corpus.sources", language), heads, rows, notes=1)]
    if found["most"]:
        heads = headed(("times", "bytes", "source", "text"), language)
        most = [
            [fixed(part["times"], 0), size(part["bytes"]), part["source"], _excerpt(part["text"])]
            for part in found["most"]
        ]
        lines += ["", *plain_table(say("corpus.most_repeated", language), heads, most, texts=0, notes=2)]
    return [*lines, "", kept(found, language)]


def _excerpt(text: str) -> str:
    """The beginning of a text, as wide as a table has room for."""
    shown = ""
    for character in text:
        if cell_len(shown + character) > _EXCERPT:
            return shown + "…"
        shown += character
    return shown


def kept(found: Mapping[str, Any], language: str) -> str:
    """How much is kept of how much, and where."""
    return say(
        "corpus.kept", language, kept=fixed(found["kept"], 0), documents=fixed(found["documents"], 0),
        share=percent(found["kept"] / found["documents"]), bytes=size(found["kept_bytes"]),
        folder=found["kept_folder"],
    )  # fmt: skip


def private(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `privacy`: notices, then by kind and by source."""
    lines = notices(found, language)
    lines += plain_table(
        say("corpus.private", language, findings=fixed(found["findings"], 0)),
        headed(("kind", "findings", "documents"), language),
        [
            [say(f"corpus.kind.{kind}", language), fixed(part["findings"], 0), fixed(part["documents"], 0)]
            for kind, part in found["kinds"].items()
        ],
    )
    heads = headed(("source", "documents", "affected", "findings", "most_kinds"), language)
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["affected"], part["documents"]), fixed(part["findings"], 0),
            ", ".join(
                f"{say(f'corpus.kind.{kind}', language)} {fixed(n, 0)}"
                for kind, n in _most({kind: one["findings"] for kind, one in part["kinds"].items()})
            ),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    lines += ["", *plain_table(say("corpus.sources", language), heads, rows, notes=1), ""]
    if found["action"] == "report":
        return [*lines, found["findings_folder"]]
    return [*lines, kept(found, language)]


def decontaminated(found: Mapping[str, Any], language: str) -> list[str]:
    """The answer of `decontaminate`: notices, what was looked for and found, then by source."""
    lines = notices(found, language)
    names = ("items", "looked_for", "short", "too_short", "n_grams", "found_items", "found_n_grams")
    rows = [[say(f"corpus.looked.{name}", language), fixed(found[name], 0)] for name in names]
    heads = ["", say("corpus.column.number", language)]
    lines += plain_table(say("corpus.overlap", language, **found["against"]["shape"]), heads, rows)
    heads = headed(("source", "documents", "affected", "contaminated"), language)
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["affected"], part["documents"]),
            of(part["contaminated"], part["documents"]),
        ]
        for name, part in found["sources"].items()
    ]  # fmt: skip
    lines += ["", *plain_table(say("corpus.sources", language), heads, rows), ""]
    return [*lines, kept(found, language) if "kept" in found else found["hits_folder"]]


def _table(group: str, parts: Mapping[str, Mapping[str, Any]], language: str) -> list[str]:
    rows = [
        [
            name, fixed(part["documents"], 0), of(part["kept"], part["documents"]), size(part["kept_bytes"]),
            ", ".join(f"{rule} {percent(n / part['documents'])}" for rule, n in _most(part["dropped"])),
        ]
        for name, part in parts.items()
    ]  # fmt: skip
    heads = headed((group.removesuffix("s"), "documents", "kept", "kept_bytes", "most"), language)
    return plain_table(say(f"corpus.{group}", language), heads, rows, notes=1)


def _most(dropped: Mapping[str, int]) -> list[tuple[str, int]]:
    """The three rules that drop most."""
    return [item for item in sorted(dropped.items(), key=lambda item: -item[1])[:3] if item[1]]


def of(part: int, whole: int) -> str:
    """A count, and its share."""
    return f"{fixed(part, 0)} ({percent(part / whole)})" if whole else fixed(part, 0)


def headed(columns: tuple[str, ...], language: str) -> list[str]:
    """What stands above columns."""
    return [say(f"corpus.column.{column}", language) for column in columns]


def notices(found: Mapping[str, Any], language: str) -> list[str]:
    """What is to be said before all else."""
    return [in_language(notice, language) for notice in found["notices"]]
