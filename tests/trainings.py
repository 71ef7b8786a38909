"""Small trainings through the front door, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from assay import front
from command import write_texts

RECIPES = Path(__file__).parents[1] / "recipes" / "train"
CHINESE = "春夏秋冬天地人山水火木金土日月星云雨风雪花草鸟鱼书文字语言学习模型数据"
ENGLISH = ["red", "blue", "green", "one", "two", "three", "four", "five", "six", "seven"]
TOY = (
    "model.layers=1", "model.width=16", "train.row_tokens=16", "train.batch_rows=4", "tokenizer.vocabulary=420",
    "train.dtype=float32", "keep.eval_tokens=300",
)  # fmt: skip


def corpus(folder: Path) -> Path:
    """Two sources of made-up English and one of made-up Chinese."""
    write_texts(folder, documents=40)
    rng = random.Random(2)
    lines = [{"text": "，".join("".join(rng.choices(CHINESE, k=8)) for _ in range(12)) + "。"} for _ in range(40)]
    content = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (folder / "zh.jsonl").write_text(content + "\n", encoding="utf-8")
    return folder


def pairs(folder: Path, count: int = 50) -> Path:
    """Pairs of a few words and the same backwards: one source in English, one in Chinese."""
    folder.mkdir()
    rng = random.Random(3)
    for name, words, space in (("en", ENGLISH, " "), ("zh", CHINESE, "")):
        drawn = [rng.sample(words, rng.randint(2, 4)) for _ in range(count)]
        rows = [{"source": space.join(own), "target": space.join(reversed(own))} for own in drawn]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def train(recipe: str, texts: Path, out: Path, *settings: str, steps: int | None = 6) -> dict[str, Any]:
    """Run a recipe at toy size; returns the answer of `--json`."""
    budget = ["budget.seconds=null", f"budget.steps={steps}"] if steps else []
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer):
        front.train(
            recipe=RECIPES / f"{recipe}.yaml", sources=[str(texts)], out=out, overrides=[*TOY, *budget, *settings],
            budget=None, tokens=None, language="en", explain=False, as_json=True,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(answer.getvalue())
    return found


def weights(out: Path) -> dict[str, Tensor]:
    """The tensors of the finished model."""
    return load_file(out / "model" / "model.safetensors")
