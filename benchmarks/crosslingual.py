"""What a model of sentiment that saw labels in one language knows in another: English to Chinese, and back.

    python benchmarks/crosslingual.py DATA --work DIR [--seeds 3]

DATA is a folder that holds mix-en, mix-zh, mt, cls-en and cls-zh. Two encoders have one vocabulary for both languages
and the same number of tokens: one sees the mixtures alone, one sees pairs of sentences besides, each pair as one text,
so that a hidden word may be read off its translation (translation language modelling, Lample and Conneau 2019). Each
is fine-tuned on SST-2 and on hotels, and asked about both. Chance is 0.5 of balanced accuracy. All is resumed from DIR.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import store_result
from tasks_common import SHAPE, assay, finetuned, pretrained, rows_of, write_rows

SETS = {"en": "cls-en/sst2", "zh": "cls-zh/hotel"}
OPTIONS = ("train.row_tokens=128", "budget.epochs=4", "tune.rate=3e-4")
SCORES = ("balanced_accuracy", "accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", default="20e6", help="of pretraining")
    given = parser.parse_args()
    pairs = given.work / "pairs"
    if not (pairs / "pairs.jsonl").exists():
        rows = rows_of(given.data / "mt" / "tatoeba_en_zh.train.jsonl.zst")
        write_rows(pairs / "pairs.jsonl", [{"text": f"{row['source']}\n{row['target']}"} for row in rows])
    for language, name in SETS.items():
        _write_data(given.data, name, given.work / "data" / language)
    mixtures = [given.data / "mix-en", given.data / "mix-zh"]
    found = {}
    for name, sources in {"mixtures": mixtures, "mixtures and pairs": [*mixtures, pairs]}.items():
        own = given.work / name.replace(" ", "-")
        options = (*SHAPE, "model.preset=modern", "tokenizer.kind=wordpiece", "tokenizer.vocabulary=16384")
        model = pretrained("bert", sources, own / "encoder", options, given.tokens)
        found[name] = {language: _judged(language, str(model), own, given) for language in SETS}
    store_result("crosslingual", {"seeds": given.seeds, "pretraining": given.tokens, "trained_on": found})


def _write_data(data: Path, name: str, out: Path) -> None:
    """Labels of both sets are the same two; a set without a test part is judged on what it holds out."""
    for part in ("train", "dev", "test"):
        file = data / f"{name}.{part}.jsonl.zst"
        if not file.exists() and part == "test":
            file = data / f"{name}.valid.jsonl.zst"
        if file.exists() and not (out / f"d.{part}.jsonl").exists():
            rows = [{"text": r["text"], "label": ("negative", "positive")[int(r["label"])]} for r in rows_of(file)]
            write_rows(out / f"d.{part}.jsonl", rows)


def _judged(language: str, model: str, own: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Scores of each language's test set, of a model of every seed; means over seeds."""
    runs: dict[str, list[dict[str, Any]]] = {asked: [] for asked in SETS}
    for seed in range(given.seeds):
        out = own / f"{language}-{seed}"
        finetuned(
            "classification", [str(given.work / "data" / language / "d")], model, out, (*OPTIONS, f"train.seed={seed}")
        )
        for asked in SETS:
            file, kept = given.work / "data" / asked / "d.test.jsonl", out / f"asked-{asked}.json"
            if not kept.exists():
                kept.write_text(json.dumps(assay("eval", str(out), str(file))), encoding="utf-8")
            runs[asked].append(json.loads(kept.read_text(encoding="utf-8")))
    return {
        asked: {s: _told([run["metrics"][s] for run in own_runs]) for s in SCORES} for asked, own_runs in runs.items()
    }


def _told(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each seed the score and its interval over items; and the mean."""
    values = [score["value"] for score in scores]
    return {"mean": sum(values) / len(values), "values": values, "intervals": [score["interval"] for score in scores]}


if __name__ == "__main__":
    main()
