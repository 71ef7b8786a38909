"""The parity table holds, and it is the one that docs/models.md shows, in both languages."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

pytest.importorskip("transformers")
import parity

DOCS = Path(__file__).parents[2] / "docs"
BOUND = 1e-5
FLOOR = 1e-7  # below it a difference is the last digit of a float32, and as good as none


@pytest.fixture(scope="module")
def table() -> list[parity.Row]:
    return parity.table()


def documented(name: str) -> dict[str, list[str]]:
    """Cells of the parity table by family."""
    text = (DOCS / name).read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in rows if re.fullmatch(r"\d+ of \d+", cells[-1])}


def test_every_family_is_that_of_transformers_both_ways(table: list[parity.Row]) -> None:
    print(parity.markdown(table))
    assert {row.family for row in table} >= set(parity.FAMILIES)
    for row in table:
        assert row.read < BOUND, row
        assert row.written < BOUND, row
        assert row.ids == len(parity.TEXTS), row


@pytest.mark.parametrize("name", ["models.md", "models.zh-CN.md"])
def test_the_table_in_the_documentation_is_what_is_found(name: str, table: list[parity.Row]) -> None:
    """To the order of magnitude: last digits depend on the processor."""
    shown = documented(name)
    assert shown == documented("models.md")
    assert shown.keys() >= {row.family for row in table}
    for row in table:
        *figures, ids = shown[row.family]
        assert ids == row.cells()[-1]
        for figure, found in zip(figures, (row.read, row.written), strict=True):
            assert float(figure) < BOUND
            assert abs(math.log10(max(float(figure), FLOOR) / max(found, FLOOR))) < 1.2, row


@pytest.mark.parametrize("name", ["models.md", "models.zh-CN.md"])
def test_the_code_in_the_documentation_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, name, "exec"), {})
    assert {path.name for path in (tmp_path / "my-model").iterdir()} >= {"config.json", "tokenizer.json", "README.md"}
    assert sorted(path.name for path in (tmp_path / "weights-alone").iterdir()) == ["config.json", "model.safetensors"]
