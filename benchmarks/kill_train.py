"""Trainings killed by SIGKILL at random steps, gone on with one loader thread or two: the weights of those left alone?

    python benchmarks/kill_train.py SOURCE [--kills 5] [--steps 400]

Decoder, encoder, encoder-decoder and LSTM (with its state carried, too), each once undisturbed and once killed. SOURCE
is any text that `assay train` reads. Prints, by family, whether the files of both models are equal bit by bit, and at
which steps it was killed.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from assay.store import file_digest
from common import store_result

RECIPES = Path(__file__).resolve().parents[1] / "recipes" / "train"
FAMILIES = {
    "decoder": "gpt",
    "encoder": "bert",
    "encoder-decoder": "bart",
    "lstm": "lstm",
    "lstm, its state carried": "lstm-carried",
}
SMALL = ("model.layers=2", "model.width=64", "train.row_tokens=64", "train.batch_rows=8", "tokenizer.vocabulary=1024",
         "train.dtype=float32", "keep.save_steps=7", "keep.patience=null", "keep.eval_tokens=1000")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("source")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = {family: _family(given, recipe, Path(work) / family) for family, recipe in FAMILIES.items()}
    store_result("kill_train", {"steps": given.steps, "kills": given.kills, "families": found})


def _family(given: argparse.Namespace, recipe: str, work: Path) -> dict[str, Any]:
    straight, killed = work / "straight", work / "killed"
    _finish(_start(given, recipe, straight, 0))
    draw = random.Random(recipe)
    at = sorted(draw.sample(range(5, given.steps - 5), given.kills))
    seen = []
    for i, step in enumerate(at):
        running = _start(given, recipe, killed, 1 + i % 2)
        while (now := _step(killed)) < step and running.poll() is None:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
        seen.append(now)
    _finish(_start(given, recipe, killed, 2))
    files = [run / "model" / "model.safetensors" for run in (straight, killed)]
    return {"identical": file_digest(files[0]) == file_digest(files[1]), "killed_after_step": seen}


def _start(given: argparse.Namespace, recipe: str, out: Path, loaders: int) -> subprocess.Popen[bytes]:
    settings = [*SMALL, "budget.seconds=null", f"budget.steps={given.steps}", f"train.loaders={loaders}"]
    command = [sys.executable, "-m", "assay", "train", str(RECIPES / f"{recipe}.yaml"), given.source, "--out", str(out)]
    return subprocess.Popen(
        [*command, "--json", *(f"--set={pair}" for pair in settings)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _finish(running: subprocess.Popen[bytes]) -> None:
    if running.wait():
        raise SystemExit(f"{running.args}: exit code {running.returncode}")


def _step(out: Path) -> int:
    """The step of the last record."""
    path = out / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return int(json.loads(lines[-2])["step"]) if len(lines) > 1 else 0


if __name__ == "__main__":
    main()
