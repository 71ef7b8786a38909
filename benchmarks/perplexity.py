"""Perplexity at a fixed budget: n-gram, LSTM and GPT, on tiny Shakespeare and two sources each of mix-en and mix-zh.

    python benchmarks/perplexity.py ../shared/data --minutes 10 --seeds 3

Each neural run gets what this machine computes in so many minutes with one thread, by a measurement made at the
beginning while two runs share the machine as they do later; so the figures do not depend on what else the machine does
meanwhile. Two runs go on at a time. Every run is stored once it is done, and found by a rerun (`--work`).

What is printed: bits per byte and perplexity of test text (mean over seeds with Student's interval), and the gap
between training and held-out text.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from common import store_result

CORPORA = {
    "shakespeare": ("lm-en-small/tinyshakespeare.txt.zst", None),
    "fiction": ("mix-en", "fiction"),
    "news": ("mix-en", "news"),
    "classical-zh": ("mix-zh", "classical"),
    "tech-zh": ("mix-zh", "tech_news"),
}
RECIPES = Path(__file__).resolve().parents[1] / "recipes" / "train"
# About the largest that pays in ten minutes on one core; dropout where the text is read many times.
SETTINGS = {
    "ngram": [],
    "lstm": ["model.width=256", "model.layers=2", "model.dropout=0.2", "train.row_tokens=64", "train.batch_rows=16"],
    "gpt": ["model.width=128", "model.layers=4", "model.dropout=0.1", "train.row_tokens=128", "train.batch_rows=8"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--only", nargs="*", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--work", type=Path, default=Path("perplexity"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    tokens = _tokens(given)
    cells = [(c, m, s) for c in given.only for m in SETTINGS for s in range(1 if m == "ngram" else given.seeds)]
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda cell: _train(given, *cell, tokens.get(cell[1])), cells))
    rows = []
    for corpus in given.only:
        for model in SETTINGS:
            own = [a for (c, m, _), a in zip(cells, answers, strict=True) if (c, m) == (corpus, model)]
            rows.append({"corpus": corpus, "model": model, **_summary(own)})
    store_result(
        "perplexity",
        {"minutes": given.minutes, "seeds": given.seeds, "vocabulary": given.vocabulary, "tokens": tokens,
         "settings": SETTINGS, "rows": rows, "seconds": time.monotonic() - began},
    )  # fmt: skip


def _tokens(given: argparse.Namespace) -> dict[str, float]:
    """Training tokens of each neural model in the budget; measured once."""
    path = given.work / "tokens.json"
    if not path.exists():
        with ThreadPoolExecutor(2) as pool:
            found = {}
            for model in ("lstm", "gpt"):
                names = [f"probe-{model}-{i}" for i in range(2)]
                runs = pool.map(lambda name, m=model: _run(given, name, "news", m, 0, 300_000.0), names)
                found[model] = float(np.mean([run["tokens_per_second"] for run in runs])) * 60 * given.minutes
        path.write_text(json.dumps(found))
    stored: dict[str, float] = json.loads(path.read_text())
    return stored


def _train(given: argparse.Namespace, corpus: str, model: str, seed: int, tokens: float | None) -> dict[str, Any]:
    return _run(given, f"{corpus}-{model}-{seed}", corpus, model, seed, tokens)


def _run(
    given: argparse.Namespace, name: str, corpus: str, model: str, seed: int, tokens: float | None
) -> dict[str, Any]:
    source, only = CORPORA[corpus]
    settings = [*SETTINGS[model], f"tokenizer.vocabulary={given.vocabulary}", f"train.seed={seed}", "train.loaders=0"]
    if only is not None:
        settings += [f"data.only=[{only}]", "data.source_field=domain"]
    if tokens is not None:
        settings += ["budget.seconds=null", f"budget.tokens={tokens:.0f}", "train.dtype=float32", "keep.patience=null"]
    command = [sys.executable, "-m", "assay", "train", str(RECIPES / f"{model}.yaml"), str(given.data / source),
               "--out", str(given.work / name), "--json", *(f"--set={pair}" for pair in settings)]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    print(f"{name}: done", file=sys.stderr, flush=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _summary(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds with 95 % intervals; with one run, whose result has no seed, the interval over documents."""
    made: dict[str, Any] = {"seeds": len(answers), "tokens": answers[0]["tokens"]}
    for measure in ("bits_per_byte", "perplexity"):
        values = [a["evaluations"]["test"][measure]["value"] for a in answers]
        made[measure] = _mean(values) or {
            "value": values[0], "interval": answers[0]["evaluations"]["test"][measure]["interval"],
        }  # fmt: skip
    gaps = [_loss(a, "test") - _loss(a, "train") for a in answers]
    made["gap"] = _mean(gaps) or {"value": gaps[0], "interval": None}
    return made


def _loss(answer: dict[str, Any], split: str) -> float:
    return float(answer["evaluations"][split]["loss"]["value"])


def _mean(values: list[float]) -> dict[str, Any] | None:
    if len(values) < 2:
        return None
    mean, se = float(np.mean(values)), float(stats.sem(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * se
    return {"value": mean, "interval": [mean - half, mean + half]}


if __name__ == "__main__":
    main()
