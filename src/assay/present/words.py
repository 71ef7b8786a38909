"""The fixed words of every page, in English and Chinese: `words/en.yaml` and `words/zh.yaml`, same keys.

    say("answer.seeds", "en", n=5)   -> "5 seeds"
    both("answer.seeds", n=5)        -> {"en": "5 seeds", "zh": "5 个随机种子"}

A key is the path through the YAML file, joined by dots. An entry `{one: ..., other: ...}` is chosen by the
value `n`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "zh")
Both = Mapping[str, str]  # language -> text; has a text for each of LANGUAGES
_PLURAL = frozenset({"one", "other"})


@cache
def words(language: str) -> dict[str, str | dict[str, str]]:
    """All entries of a language, by key; read once, on first use."""
    if language not in LANGUAGES:
        raise ValueError(f"no language {language!r}; there are {', '.join(LANGUAGES)}")
    path = Path(__file__).parent / "words" / f"{language}.yaml"
    return _flat(yaml.safe_load(path.read_text(encoding="utf-8")), "")


def say(key: str, language: str, **values: Any) -> str:
    """The text of `key` in `language`, with `values` put into its {places}.

    A value may itself be in both languages.

    Raises:
        KeyError: there is no such key, or a place has no value.
    """
    entries = words(language)
    if key not in entries:
        near = difflib.get_close_matches(key, entries, n=1)
        raise KeyError(f"no words for {key!r} in {language}" + (f"; did you mean {near[0]!r}?" if near else ""))
    entry = entries[key]
    if isinstance(entry, dict):
        entry = entry["one" if values.get("n") in (1, "1") else "other"]
    return entry.format(**{name: in_language(value, language) for name, value in values.items()})


def both(key: str, **values: Any) -> dict[str, str]:
    """The text of `key` in every language."""
    return {language: say(key, language, **values) for language in LANGUAGES}


def known(key: str, otherwise: str) -> dict[str, str]:
    """The text of `key` in every language, or `otherwise` in all of them where the words do not have it."""
    if key in words(LANGUAGES[0]):
        return both(key)
    return dict.fromkeys(LANGUAGES, otherwise)


def in_language(value: Any, language: str) -> Any:
    """`value[language]` where `value` is in both languages, else `value` itself."""
    return value[language] if isinstance(value, Mapping) and set(value) >= set(LANGUAGES) else value


def _flat(tree: Mapping[str, Any], path: str) -> dict[str, str | dict[str, str]]:
    flat: dict[str, str | dict[str, str]] = {}
    for name, entry in tree.items():
        key = f"{path}{name}"
        if isinstance(entry, dict) and set(entry) != _PLURAL:
            flat.update(_flat(entry, f"{key}."))
        else:
            flat[key] = entry
    return flat
