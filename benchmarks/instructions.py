"""A small GPT that follows instructions in two languages: does it answer in the prompt's language, and come to an end?

    python benchmarks/instructions.py DATA --work DIR [--seeds 1]

DATA is a folder that holds mix-en, mix-zh and instruct. A decoder of Qwen3's shape is trained on both mixtures with one
vocabulary, fine-tuned on Alpaca in both languages (answers alone count), and asked 100 prompts of each language that it
has not seen. Counted are answers that are in the prompt's language *and* stopped before the limit. What the answers are
worth is another question: their overlap with the references is printed beside it. All is resumed from DIR.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from assay.finetune import answers
from assay.metrics.ranking import wilson
from assay.tasks.writing import chinese
from common import store_result
from tasks_common import SHAPE, finetuned, pretrained, rows_of, write_rows

GOAL = 0.95
PROMPTS = 100  # of each language
LONGEST = 400  # characters of an answer that is trained on: longer ones would be cut before their end
OPTIONS = (
    "train.row_tokens=256", "train.batch_rows=32", "tune.pack=true", "tune.rate=1e-3", "budget.epochs=1",
    "task.new=160", "task.no_repeat=4", "floor=false",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tokens", default="8e6", help="of pretraining")
    parser.add_argument("--rows", type=int, default=16_000, help="of each language that are trained on")
    given = parser.parse_args()
    _write_data(given.data / "instruct", given.work / "data", given.rows)
    model = pretrained(
        "gpt", [given.data / "mix-en", given.data / "mix-zh"], given.work / "gpt",
        (*SHAPE, "tokenizer.vocabulary=16384"), given.tokens,
    )  # fmt: skip
    runs = []
    for seed in range(given.seeds):
        out = given.work / f"tuned-{seed}"
        found = finetuned(
            "instruction", [str(given.work / "data" / "d")], str(model), out, (*OPTIONS, f"train.seed={seed}")
        )
        runs.append({**_counted(out), "seconds": round(found["seconds"]), "metrics": found["metrics"]})
    how = {"pretraining": given.tokens, "rows": given.rows}
    store_result("instructions", {"seeds": given.seeds, "goal": GOAL, **how, "runs": runs})


def _write_data(folder: Path, out: Path, most: int) -> None:
    """Both languages in one file; of those held out, so many of each are asked, and the rest decides when to stop."""
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "dev": [], "test": []}
    for language in ("en", "zh"):
        rows = rows_of(folder / f"alpaca_{language}.train.jsonl.zst")
        parts["train"] += [row for row in rows if len(row["output"]) <= LONGEST][:most]
        held = rows_of(folder / f"alpaca_{language}.valid.jsonl.zst")
        # A prompt that is in the other language asks for a translation or code: its language is not that of the answer.
        asked = [row for row in held if chinese(row["instruction"]) == chinese(row["output"]) == (language == "zh")]
        parts["test"] += asked[:PROMPTS]
        parts["dev"] += [row for row in held if row not in asked[:PROMPTS]][:PROMPTS]
    for part, rows in parts.items():
        if not (out / f"d.{part}.jsonl").exists():
            write_rows(out / f"d.{part}.jsonl", rows)


def _counted(run: Path) -> dict[str, Any]:
    task, examples, said = answers.read(run / "answers.test.jsonl")
    told: dict[str, Any] = {"n": len(examples)}
    same = [chinese(a["text"]) == chinese(task.source(e)) for e, a in zip(examples, said, strict=True)]
    both = [fits and bool(a["stopped"]) and bool(a["text"]) for fits, a in zip(same, said, strict=True)]
    for name, values in {"same_language": same, "stopped": [bool(a["stopped"]) for a in said], "both": both}.items():
        low, high = wilson(sum(values), len(values))
        told[name] = {"value": sum(values) / len(values), "interval": [low, high]}
    return told


if __name__ == "__main__":
    main()
