"""The dataset card of a profile, in the layout of Hugging Face: front matter, then what it is, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from assay.corpora.advice import joined, name_of
from assay.present.numbers import fixed, percent, size
from assay.present.words import LANGUAGES, both, known, say

_LEAST_SHARE = 0.01
"""Of the documents, from which on a language stands in the front matter."""
_SIZES = (("n<1K", 10**3), *(
    (f"{a}<n<{b}", 10**power)
    for a, b, power in (
        ("1K", "10K", 4), ("10K", "100K", 5), ("100K", "1M", 6), ("1M", "10M", 7), ("10M", "100M", 8),
        ("100M", "1B", 9), ("1B", "10B", 10), ("10B", "100B", 11), ("100B", "1T", 12),
    )
))  # fmt: skip


def card(found: Mapping[str, Any]) -> str:
    """README.md of a profile (what profile.json holds)."""
    parts = [
        f"---\n{yaml.safe_dump(_front(found), allow_unicode=True, sort_keys=False)}---",
        f"# {_plain(found['title'])}",
    ]
    for language in LANGUAGES:
        parts += _body(found, language)
    return "\n\n".join(parts) + "\n"


def size_category(documents: int) -> str:
    """Hugging Face's name for so many rows: 1K<n<10K."""
    return next((name for name, bound in _SIZES if documents < bound), "n>1T")


def _front(found: Mapping[str, Any]) -> dict[str, Any]:
    counts = sorted(found["all"]["languages"].items(), key=lambda item: -item[1])
    named = [
        code for code, n in counts if n >= _LEAST_SHARE * found["documents"] and code not in ("und", "zxx", "other")
    ]
    return {
        **({"language": named} if named else {}),
        "license": found["license"],
        "pretty_name": found["title"],
        "size_categories": [size_category(found["documents"])],
        "task_categories": ["text-generation"],
        **({"multilinguality": ["multilingual" if len(named) > 1 else "monolingual"]} if named else {}),
    }


def _body(found: Mapping[str, Any], language: str) -> list[str]:
    def told(key: str, **values: Any) -> str:
        return say(f"portrait.card.{key}", language, **values)

    # A card is passed on: it names sources as they are called, not where they lie.
    uris = ", ".join(f"`{uri if uri.startswith('builtin:') else Path(uri).name}`" for uri in found["made_from"])
    comma = say("portrait.comma", language)
    limits = ["limit_unknown" if found["license"] == "unknown" else "limit_license"]
    limits += ["limit_language", "limit_private", "limit_use"]
    packs = {
        pack: percent(own["all"]["drops"] / own["all"]["asked"])
        for pack, own in found["packs"].items()
        if own["all"]["asked"]
    }
    return [
        f"## {told('about')}",
        "\n\n".join(_plain(sentence[language]) for sentence in found["summary"]),
        f"## {told('sources')}",
        told("sources_lead", uris=uris),
        _table(found, language),
        f"## {told('found')}",
        _private(found, language),
        told("packs", packs=comma.join(f"{pack} {share}" for pack, share in packs.items())),
        *(["\n".join(f"- {_plain(one['text'][language])}" for one in found["advice"])] if found["advice"] else []),
        f"## {told('limits')}",
        "\n".join(f"- {told(limit)}" for limit in limits),
        told("page", version=found["assay_version"]),
    ]


def _private(found: Mapping[str, Any], language: str) -> str:
    own = found["private"]
    if not own["affected"]:
        return say("portrait.card.no_private", language, n=fixed(own["documents"], 0))
    kinds = [
        {key: f"{name} {fixed(told['findings'], 0)}" for key, name in both(f"corpus.kind.{kind}").items()}
        for kind, told in own["kinds"].items()
        if told["findings"]
    ]
    return say(
        "portrait.card.private", language, n=fixed(own["affected"], 0),
        share=percent(own["affected"] / own["documents"]), places=fixed(own["findings"], 0),
        kinds=joined(kinds),
    )  # fmt: skip


def _table(found: Mapping[str, Any], language: str) -> str:
    heads = [
        say(f"portrait.column.{name}", language) for name in ("source", "documents", "bytes", "share", "languages")
    ]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for source in found["sources"]:
        tongues = sorted(source["languages"].items(), key=lambda item: -item[1])[:3]
        listed = say("portrait.comma", language).join(
            f"{known(f'language.{code}', code)[language]} {percent(n / source['documents'])}" for code, n in tongues
        )
        name = name_of(source)[language]
        lines.append(
            _line([name, fixed(source["documents"], 0), size(source["bytes"]), percent(source["share"]), listed])
        )
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', '/') for cell in cells)} |"


def _plain(text: str) -> str:
    """Text of documents, names of sources, as one line that Markdown and HTML take for text."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
