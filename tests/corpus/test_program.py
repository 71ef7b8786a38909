"""Lines of code: against regular expressions that say the same, and on text that anybody can tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from corpus_texts import batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.signals import program, scoring

KEYWORD = re.compile(rf"//|/\*|#!|#?(?:{'|'.join(program.KEYWORDS.split())})(?![A-Za-z0-9_'\u0080-\U0010ffff])")
OPERATORS = re.compile(r"(?<!=)==?(?!=)|(?<!-)->|(?<!&)&&(?!&)|(?<!\|)\|\|(?!\|)")
JOINED = re.compile(r"(?<=[A-Za-z0-9_])(?:[_.]|::)(?=[A-Za-z_])")
RUNS = re.compile(r"(?:[A-Za-zé][A-Za-zé']* )+")


def plain(line: str) -> bool:
    """Whether a line looks like code."""
    text = line.strip()
    runs = [run.count(" ") for run in RUNS.findall(text + " ")]
    runs += map(len, re.findall("[中文字]+", text))
    evidence = {
        "indented": line[0] == "\t" or len(line) - len(line.lstrip()) >= 2,
        "opens": text[-1] in ";{}([\\",
        "ends": text[-1] in ",:)]",
        "keyword": KEYWORD.match(text) is not None,
        "operators": min(len(OPERATORS.findall(text)), 2),
        "joined": min(len(JOINED.findall(text)), 2),
        "symbols": 5 * sum(c in "[]{}()<>=+*/&|^%$#@~_;\\\"'`" for c in text) >= len("".join(text.split())),
        "prose": min(sum(run // 4 for run in runs), 4),
    }
    weights = zip(program.WEIGHTS.tolist(), program.EVIDENCE, strict=True)
    return program.BIAS + sum(weight * evidence[name] for weight, name in weights) > 0


def share(texts: list[str]) -> list[float]:
    return scoring.signals(batch_of(texts)).column("code_lines").to_pylist()


PIECES = [
    "for", "return", "the", "house", "#", "//", "/*", "=", "==", "===", "->", "&&", "||", "|||", "::", ":", ".", "_",
    " ", "  ", "\t", "\n", "\n", "\r\n", "x", "9", "it's", "é", "中文字中", "字", "(", ")", "{", ";", ",", "\\", "'",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_lines_of_code_are_their_definition(text: str) -> None:
    lines = [line for line in text.splitlines() if line.strip()]
    expected = sum(map(plain, lines)) / max(len(lines), 1)
    assert share([text]) == [pytest.approx(expected)]


PROGRAMS = [
    "import os\n\ndef main(path):\n    for name in os.listdir(path):\n        print(name)\n",
    "#include <stdio.h>\n\nint main(void) {\n    printf(\"hello\");\n    return 0;\n}\n",
    "const x = await fetch(url);\nif (x.ok && y) {\n  show(x.body);\n}\n",
    "pub fn area(&self) -> u32 {\n    self.width * self.height\n}\n",
]  # fmt: skip
PROSE = [
    "It was late when he came home.\nFor a while he stood at the door, and listened; nobody spoke.\n",
    "    With what an air she said it,\n    with how great a sigh,\n    the people in the street below\n",
    "话说天下大势，分久必合，合久必分。\n周末七国分争，并入于秦。\n",
    "Dear all,\n\nthe meeting is moved to 10:30 (room 4).\n\nBest regards\n@anna #friday\n",
    "Heading\n=======\n\n* one thing\n* another thing\n",
]  # fmt: skip


def test_programs_and_prose() -> None:
    found = share([*PROGRAMS, *PROSE, english(1), chinese(1), ""])
    assert min(found[: len(PROGRAMS)]) >= 0.75
    assert max(found[len(PROGRAMS) :]) <= 0.25


def test_real_programs_are_told_from_real_prose(shared: Callable[[str], Path]) -> None:
    def read(name: str) -> list[str]:
        folder, domain = name.split("/")
        with (shared(folder) / f"{domain}.valid.jsonl.zst").open("rb") as file:
            data = zstandard.ZstdDecompressor().stream_reader(file).read().decode("utf-8")
        return [json.loads(line)["text"] for line in data.split("\n")[:60] if line]

    code = share(read("mix-en/code"))
    for name in ("mix-en/fiction", "mix-en/usenet", "mix-en/science", "mix-zh/law", "mix-zh/newsletter"):
        assert np.quantile(code, 0.05) > np.quantile(share(read(name)), 0.95), name
