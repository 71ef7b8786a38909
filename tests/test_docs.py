"""Figures in the documentation are those that benchmarks stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def _newest() -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of the newest run of each text, by text and model."""
    lines = (ROOT / "benchmarks" / "results" / "perplexity.jsonl").read_text(encoding="utf-8").splitlines()
    return {(row["corpus"], row["model"]): row for line in lines for row in json.loads(line)["rows"]}


def _cells(row: dict[str, Any]) -> list[str]:
    (low, high), value = row["bits_per_byte"]["interval"], row["bits_per_byte"]["value"]
    gap = f"{row['gap']['value']:+.2f}"
    if row["gap"]["interval"] is not None:
        gap += " [{:+.2f}, {:+.2f}]".format(*row["gap"]["interval"])
    perplexity = f"{row['perplexity']['value']:.1f} [{{:.1f}}, {{:.1f}}]".format(*row["perplexity"]["interval"])
    return [f"{value:.3f} [{low:.3f}, {high:.3f}]", perplexity, gap.replace("-", "−")]


@pytest.mark.parametrize("name", ["training.md", "training.zh-CN.md"])
def test_perplexities_are_those_that_were_stored(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    rows = _newest()
    assert len(rows) == 15  # five texts, three models
    for row in rows.values():
        assert f"| {' | '.join(_cells(row))} |" in page
