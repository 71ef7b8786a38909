"""A profile in sentences: what the corpus is, and what a person should see to first. Said in both languages.

The bounds from which on something is worth a sentence are below; each sentence says its number, so that whoever finds
a bound wrong can still judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from assay.present.numbers import compact, fixed, percent, size
from assay.present.words import LANGUAGES, Both, both, known

COPIES, SHARED, DOMINANT, DROPS, UNSURE, MIXED, SHORT, FORMS = 0.02, 0.01, 0.8, 0.3, 0.1, 0.05, 0.25, 0.1
"""Shares of documents (DOMINANT: of bytes) from which on there is a sentence: near copies; of a source, with a
near-duplicate in another one; one source of several; of a source, dropped by a pack; with a doubtful language; mixed;
short; of the Chinese ones, in the less frequent of both forms."""
_TOPICS, _TERMS, _LANGUAGES, _NAMED = 5, 3, 4, 0.01
_MOST = 20  # documents of a source below which nothing is said of its shares


def name_of(source: Mapping[str, Any]) -> Both:
    """A source's name; that of several small ones says how many they are."""
    if source["merged"]:
        return both("portrait.others", n=source["merged"])
    return dict.fromkeys(LANGUAGES, source["name"])


def joined(items: Iterable[Both], separator: str = "portrait.comma") -> Both:
    """Texts one after another."""
    held, between = list(items), both(separator)
    return {language: between[language].join(item[language] for item in held) for language in LANGUAGES}


def summary(found: Mapping[str, Any]) -> list[Both]:
    """What the corpus is, in a few sentences."""
    said = [_amount(found), *_languages(found), _copies(found)]
    if shared := _most_shared(found):
        a, b, n = shared
        share = percent(n / found["sources"][a]["documents"])
        said.append(both("portrait.says.shared", share=share, a=_name(found, a), b=_name(found, b)))
    if found["topics"]:
        listed = [
            dict.fromkeys(LANGUAGES, " ".join(topic["terms"][:_TERMS])) for topic in found["topics"]["topics"][:_TOPICS]
        ]
        said.append(both("portrait.says.topics", topics=joined(listed, "portrait.semicolon")))
    return said


def _name(found: Mapping[str, Any], g: int) -> Both:
    return name_of(found["sources"][g])


def _amount(found: Mapping[str, Any]) -> Both:
    quantiles = found["all"]["lengths"]["quantiles"]
    values = {
        "documents": fixed(found["documents"], 0), "bytes": size(found["bytes"]), "chars": compact(found["chars"]),
        "low": fixed(quantiles[1], 0), "high": fixed(quantiles[3], 0),
    }  # fmt: skip
    if found["documents"] == 1:
        return both("portrait.says.one", **values)
    if found["n_sources"] == 1:
        return both("portrait.says.one_source", **values)
    alone = [g for g, source in enumerate(found["sources"]) if not source["merged"]]
    largest = max(alone, key=lambda g: found["sources"][g]["bytes"])
    share = percent(found["sources"][largest]["share"])
    return both("portrait.says.amount", n=found["n_sources"], largest=_name(found, largest), share=share, **values)


def _languages(found: Mapping[str, Any]) -> list[Both]:
    counts = sorted(found["all"]["languages"].items(), key=lambda item: -item[1])
    listed = []
    shown = [item for item in counts[:_LANGUAGES] if item[1] >= _NAMED * found["documents"]] or counts[:1]
    for code, n in shown:
        name, share = known(f"language.{code}", code), percent(n / found["documents"])
        listed.append({language: f"{name[language]} {share}" for language in LANGUAGES})
    said = both("portrait.says.languages", languages=joined(listed))
    chinese = found["all"]["chinese"]
    if not chinese:
        return [said]
    forms = both(
        "portrait.says.forms",
        simplified=percent(found["all"]["simplified"] / chinese),
        traditional=percent(found["all"]["traditional"] / chinese),
    )
    return [said, forms]


def _copies(found: Mapping[str, Any]) -> Both:
    copies = found["all"]["near_copies"]
    if not copies:
        return both("portrait.says.no_copies")
    return both(
        "portrait.says.copies", n=fixed(copies, 0), share=percent(copies / found["documents"]),
        rest=fixed(found["documents"] - copies, 0), bytes=size(found["bytes"] - found["all"]["near_copy_bytes"]),
    )  # fmt: skip


def _most_shared(found: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """The two sources of which the first has the largest share of documents in the second; None below SHARED."""
    overlap, sources = found["copies"]["overlap"], found["sources"]
    pairs = [
        (n / sources[a]["documents"], a, b, n)
        for a, row in enumerate(overlap)
        for b, n in enumerate(row)
        if a != b and n
    ]
    share, a, b, n = max(pairs, default=(0.0, 0, 0, 0))
    return (a, b, n) if share >= SHARED else None


def advice(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What to see to, the most urgent first: `text`, the section of the page that shows it (`see`), and `command`, the
    verb that mends it, or None."""
    made = [*_of_text(found), *_of_copies(found), *_of_packs(found), *_of_balance(found)]
    return [{"text": text, "see": see, "command": command} for text, see, command in made]


_Advice = tuple[Both, str, str | None]


def _of_text(found: Mapping[str, Any]) -> Iterable[_Advice]:
    every, reading = found["all"], found["reading"]
    if bad := reading["bad_rows"] + reading["bad_files"]:
        yield both("portrait.advice.broken", n=fixed(bad, 0)), "skipped", None
    if found["private"]["affected"]:
        n, share = found["private"]["affected"], percent(found["private"]["affected"] / found["documents"])
        places = fixed(found["private"]["findings"], 0)
        yield both("portrait.advice.private", n=n, count=fixed(n, 0), share=share, places=places), "private", "privacy"
    for name, bound in (("mixed", MIXED), ("unsure", UNSURE), ("short", SHORT)):
        share = every[name] / found["documents"]
        if share >= bound and found["documents"] >= _MOST:
            n = found["method"]["short"]
            text = both(f"portrait.advice.{name}", share=percent(share), most=_where(found, name), n=n)
            yield text, "lengths" if name == "short" else "languages", None
    rarer = min(every["simplified"], every["traditional"]) + every["both_forms"]
    if every["chinese"] >= _MOST and rarer >= FORMS * every["chinese"]:
        yield both("portrait.advice.forms", share=percent(rarer / every["chinese"])), "languages", None


def _where(found: Mapping[str, Any], name: str) -> Both:
    """The source with the largest share of such documents, where there are several."""
    if len(found["sources"]) == 1:
        return dict.fromkeys(LANGUAGES, "")
    worst = max(found["sources"], key=lambda source: source[name] / source["documents"])
    return both("portrait.advice.most", worst=name_of(worst), own=percent(worst[name] / worst["documents"]))


def _of_copies(found: Mapping[str, Any]) -> Iterable[_Advice]:
    copies = found["all"]["near_copies"]
    if copies >= COPIES * found["documents"]:
        largest = found["copies"]["largest"][0]["documents"]
        share = percent(copies / found["documents"])
        yield both("portrait.advice.copies", share=share, largest=fixed(largest, 0)), "copies", "dedup"
    if shared := _most_shared(found):
        a, b, n = shared
        share = percent(n / found["sources"][a]["documents"])
        yield both("portrait.advice.shared", share=share, a=_name(found, a), b=_name(found, b)), "copies", None


def _of_packs(found: Mapping[str, Any]) -> Iterable[_Advice]:
    """Of each pack shown, the source that it drops most of."""
    for pack in found["margins"]["packs"]:
        rows = found["packs"][pack]["sources"]
        shares = [row["drops"] / row["asked"] if row["asked"] >= _MOST else 0.0 for row in rows]
        g = max(range(len(rows)), key=lambda g: shares[g])
        if shares[g] < DROPS:
            continue
        rules = found["packs"][pack]["rules"]
        most = max(rules, key=lambda rule: rules[rule]["sources"][g]["drops"])
        values = {"pack": pack, "share": percent(shares[g]), "source": _name(found, g), "rule": most.split(".", 1)[1]}
        yield both("portrait.advice.drops", **values), "packs", None


def _of_balance(found: Mapping[str, Any]) -> Iterable[_Advice]:
    if len(found["sources"]) > 1:
        largest = max((one for one in found["sources"] if not one["merged"]), key=lambda one: one["bytes"])
        if largest["share"] >= DOMINANT:
            yield (
                both("portrait.advice.dominant", source=name_of(largest), share=percent(largest["share"])),
                "sizes",
                None,
            )
