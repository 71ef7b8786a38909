"""Both languages say everything, with the same values in their places, and nothing is kept unsaid."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
import yaml

from assay.present.words import LANGUAGES, both, known, say, words

SOURCE = Path(__file__).parents[2] / "src" / "assay"
# Entries found by a name that a study brings along.
OPEN = ("language.", "parameter.", "unit.")
# Groups that other rooms say.
FOREIGN = ("statement.", "notice.", "mixture.", "planted.", "progress.", "fact.", "skipped.")


def places(entry: str | dict[str, str]) -> set[str]:
    texts = entry.values() if isinstance(entry, dict) else [entry]
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def test_languages_have_the_same_keys_and_places() -> None:
    english, chinese = (words(language) for language in ("en", "zh"))
    assert set(english) == set(chinese)
    for key, entry in english.items():
        assert places(entry) == places(chinese[key]), key


def test_no_key_stands_twice() -> None:
    """YAML would silently take the last of two blocks with one name."""

    def check(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value]
            assert len(names) == len(set(names)), sorted({n for n in names if names.count(n) > 1})
            for _, value in node.value:
                check(value)

    for language in LANGUAGES:
        path = SOURCE / "present" / "words" / f"{language}.yaml"
        check(yaml.compose(path.read_text(encoding="utf-8")))


def test_no_entry_is_empty_and_chinese_is_chinese() -> None:
    for language in LANGUAGES:
        for key, entry in words(language).items():
            for text in entry.values() if isinstance(entry, dict) else [entry]:
                assert isinstance(text, str) and text.strip(), (language, key)
    assert not any(re.search("[\u4e00-\u9fff]", str(entry)) for entry in words("en").values())
    prose = [str(entry) for entry in words("zh").values() if len(str(entry)) > 30]
    assert all(re.search("[\u4e00-\u9fff]", text) for text in prose)


def test_every_key_of_the_pages_is_said_somewhere() -> None:
    files = [path for kind in ("py", "html", "js") for path in SOURCE.rglob(f"*.{kind}")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # A key may be put together: f"kind.{kind}", "read." ~ word ~ "_is", f"{section}.nav".
    built = {prefix for prefix in re.findall(r'["\']([a-z_.]+[._])[{"\']', code) if "." in prefix}
    for key in words("en"):
        said = f'"{key}"' in code or key.startswith((*OPEN, *FOREIGN, *built)) or key.endswith(".nav")
        assert said, f"{key} is said nowhere"


def test_missing_words_are_an_error_that_names_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"did you mean 'answer\.title'"):
        say("answer.titel", "en")
    with pytest.raises(KeyError):
        say("answer.seeds", "en")
    with pytest.raises(ValueError, match="no language"):
        say("answer.title", "fr")


def test_values_and_plurals() -> None:
    assert say("answer.seeds", "en", n=1) == "1 seed"
    assert say("answer.seeds", "en", n=5) == "5 seeds"
    assert both("answer.seeds", n=1)["zh"] == "1 个随机种子"
    assert both("answer.estimate", value={"en": "two", "zh": "二"}) == {
        "en": "estimate two",
        "zh": "估计值 二",
    }
    assert known("doses.name.unheard_of", "unheard of") == {"en": "unheard of", "zh": "unheard of"}
