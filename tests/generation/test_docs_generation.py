"""docs/generation.md: its commands and code work as they stand; both languages say the same."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from asked import model
from assay import cli
from assay.generation.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["generation.md", "generation.zh-CN.md"]


def blocks(name: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


def test_both_pages_have_the_same_code_and_sections() -> None:
    one, other = (blocks(name, "python") for name in PAGES)
    assert one == other
    one, other = ([re.sub(r" #.*", "", block) for block in blocks(name, "sh")] for name in PAGES)
    assert one == other
    one, other = (re.findall(r"^(#+ |\||\[|```|$)", (DOCS / name).read_text("utf-8"), re.MULTILINE) for name in PAGES)
    assert one == other


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_is_in_the_table(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    table = re.findall(r"^\| `.*$", page, re.MULTILINE)
    assert {word for row in table for word in re.findall(r"`(\w+)`", row.split("|")[1])} == {
        field.name for field in fields(Settings)
    }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what the page speaks of."""
    for name, family in (("gpt", "gpt2"), ("small-gpt", "ngram"), ("tuned/model", "standard")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        model(tmp_path / name, family)
    (tmp_path / "prompts.txt").write_text("one\n二\n", encoding="utf-8")
    (tmp_path / "person.json").write_text('{"enum": [1, 2]}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_code_works(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks(PAGES[0], "python"):
        exec(compile(block, "docs/generation.md", "exec"), names)
    assert capsys.readouterr().out


def test_the_commands_work(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llguidance")
    lines = [line for block in blocks(PAGES[0], "sh") for line in block.splitlines() if " chat " not in line]
    assert len(lines) == 8
    for line in lines:
        monkeypatch.setattr("sys.argv", shlex.split(line, comments=True))
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0, line
    assert (place / "answers.jsonl").is_file()
