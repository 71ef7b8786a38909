"""The page about serving, and what deploys it, say what there is."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from served import Served

from assay.cli.serve import serve
from assay.serve.fields import UNSUPPORTED, Chat, Completion

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("serving.md", "serving.zh-CN.md")}
OPTIONS = {f"--{name.rstrip('_').replace('_', '-')}" for name in inspect.signature(serve).parameters} - {"--models"}


def blocks(page: str) -> list[str]:
    """Code without the comments of shell lines."""
    return [re.sub(r" +# .*", "", block) for block in re.findall(r"```\w+\n(.*?)```", page, re.DOTALL)]


def test_both_languages_have_the_same_code() -> None:
    english, chinese = map(blocks, PAGES.values())
    assert english == chinese and len(english) == 7


@pytest.mark.parametrize("name", PAGES)
def test_the_page_names_every_route_and_field_and_no_option_that_is_none(name: str, served: Served) -> None:
    page = PAGES[name]
    document = httpx.get(f"{served.url}/openapi.json", headers=served.headers).json()
    for path in document["paths"]:
        assert path.replace("{name}", "NAME") in page
    for field in {*Completion.model_fields, *Chat.model_fields} - {"model"}:
        assert f"`{field}`" in page, field
    named = set(re.findall(r"`(--[a-z-]+)", page))
    assert named <= OPTIONS and {"--host", "--key-file", "--max-rows", "--queue", "--drain"} <= named
    assert {"suffix", "best_of", "echo"} <= UNSUPPORTED.keys()


@pytest.mark.parametrize("name", ["assay.service", "Containerfile"])
def test_what_deploys_it_uses_options_that_there_are(name: str) -> None:
    content = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    start = re.search(r"^(?:ExecStart=|ENTRYPOINT )(.*)$", content, re.MULTILINE)
    assert start is not None and "--key-file" in start[1]
    words = re.findall(r"--[a-z-]+", start[1]) if name == "Containerfile" else shlex.split(start[1])
    assert {word for word in words if word.startswith("--")} <= OPTIONS


def test_the_unit_is_one() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(ROOT / "deploy" / "assay.service")], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if "assay.service" in line and "not executable" not in line]
    assert not said, done.stderr
