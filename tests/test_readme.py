"""The two READMEs are equals, and promise only what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from assay.corpus.reading import builtin

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _commands(name: str) -> list[str]:
    """Lines of the shell blocks; what a reader fills in (in angle brackets) is in the reader's language."""
    blocks = re.findall(r"```sh\n(.*?)```", _text(name), re.DOTALL)
    return [re.sub(r"<[^>]*>", "<>", line) for block in blocks for line in block.splitlines()]


def test_both_give_the_same_commands_in_the_same_order() -> None:
    english, chinese = map(_commands, READMES)
    assert english == chinese
    assert "make study" in english


def test_both_have_the_same_sections_and_points() -> None:
    def shape(name: str) -> list[str]:
        return re.findall(r"^(#+ |- |\| `[\w-]+`|\*\*|!\[|>|```)", _text(name), re.MULTILINE)

    assert shape(READMES[0]) == shape(READMES[1])


@pytest.mark.parametrize("name", READMES)
def test_every_option_exists(name: str) -> None:
    for verb in ("study", "train", "eval", "tokenizer train", "tokenizer compare"):
        named = f"{verb} model" if verb == "eval" else verb  # what `assay eval MODEL` means
        program = f"import sys; sys.argv = ['assay', *{named.split()}, '--help']; from assay.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        known = set(re.findall(r"--[a-z-]+", done.stdout))
        lines = [line for line in _commands(name) if line.startswith(f"assay {verb} ")]
        assert lines
        used = {option for line in lines for option in line.split() if option.startswith("--")}
        assert used <= known
    targets = set(re.findall(r"^([a-z]+):", _text("Makefile"), re.MULTILINE))
    assert {line.split()[1] for line in _commands(name) if line.startswith("make ")} <= targets


PAGES = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("name", [*READMES, *PAGES, "LAB_NOTES.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", _text(name))
    missing = [link for link in links if "://" not in link and not (ROOT / name).parent.joinpath(link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", READMES)
def test_the_table_of_the_starter_corpus_is_complete(name: str) -> None:
    rows = {}
    for line in re.findall(r"^\| `.*$", _text(name), re.MULTILINE):
        source, _, file, licence = [cell.strip() for cell in line.strip("|").split("|")]
        rows[source.strip("`")] = (file, licence)
    starter = {recipe.source for recipe in builtin.starter.STARTER}
    expected = {row["source"]: (row["from"], row["licence"]) for row in builtin.licences() if row["source"] in starter}
    assert rows == expected
