"""A training that was stopped or killed, however often and wherever, ends with the weights of the one that was not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.errors import InputError, Stopped
from assay.present.progress import Progress
from command import Running
from trainings import RECIPES, TOY, train, weights

STEPS = 12
MEASURED = {"tokens_per_second", "mfu", "memory_bytes", "joules"}  # by the clock, not by the run


def records(out: Path) -> list[dict[str, Any]]:
    """What the run told, but for measurements."""
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in MEASURED} for line in lines]


def assert_same(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name
    assert records(one) == records(other)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("gpt", ("train.average=0.9", "train.fewer=[[0.4, 2]]", "train.shorter=[[0.6, 2]]")),
        ("bert", ("train.micro_rows=3",)),
        ("bart", ()),
        ("lstm", ("keep.patience=50", "train.dtype=bfloat16")),
        ("lstm-carried", ("train.micro_rows=3", "train.row_tokens=8")),
    ],
)
def test_stopped_runs_go_on_bitwise_with_any_number_of_loaders(
    recipe: str,
    settings: tuple[str, ...],
    texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    whole = train(recipe, texts, straight, *settings, "train.loaders=0", steps=STEPS)
    advance = Progress.advance
    for loaders, stop_after in ((1, 1), (2, 4), (0, 3)):
        left = [stop_after]

        def stop(self: Progress, amount: float, *, found: bool = False, note: str = "", left: Any = left) -> None:
            advance(self, amount, found=found, note=note)
            if self._name == "pretrain" and not found:
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt

        monkeypatch.setattr(Progress, "advance", stop)
        with pytest.raises(Stopped):
            train(recipe, texts, stopped, *settings, f"train.loaders={loaders}", steps=STEPS)
    monkeypatch.setattr(Progress, "advance", advance)
    answer = train(recipe, texts, stopped, *settings, "train.loaders=2", steps=STEPS)
    assert answer["steps"] == STEPS
    assert answer["loss"] == whole["loss"]
    assert_same(straight, stopped)


def _wait_for_checkpoint(running: Running, out: Path, step: int) -> None:
    end = time.monotonic() + 120
    while not any(int(path.name.split("-")[1]) >= step for path in (out / "checkpoints").glob("step-*")):
        assert running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_run_goes_on_bitwise(texts: Path, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    settings = ("keep.save_steps=2", "keep.last=3")
    train("gpt", texts, straight, *settings, steps=150)
    options = [f"--set={pair}" for pair in (*TOY, *settings, "budget.seconds=null", "budget.steps=150")]
    command = ["train", RECIPES / "gpt.yaml", texts, "--out", killed, *options]
    for step in (4, 60):
        running = Running(tmp_path / f"{step}.log", *command)
        _wait_for_checkpoint(running, killed, step)
        running.signal(signal.SIGKILL)
        running.process.wait()
    train("gpt", texts, killed, *settings, steps=150)
    assert_same(straight, killed)


KILLED = """
import os, signal, sys
from assay.cli import main
from assay.present.progress import Progress

advance, left = Progress.advance, [int(sys.argv.pop(1))]

def killed(self, amount, *, found=False, note=""):
    advance(self, amount, found=found, note=note)
    left[0] -= self._name == "pretrain" and not found
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

Progress.advance = killed
main()
"""
"""The command, which kills itself after so many steps, whatever is being written then."""


# Runs of all four are stopped below; a kill differs in what is on disk, not in the family.
@pytest.mark.parametrize(
    "recipe",
    ["gpt", pytest.param("bert", marks=pytest.mark.slow), "bart", pytest.param("lstm", marks=pytest.mark.slow)],
)
def test_a_run_of_any_family_that_was_killed_goes_on_bitwise(recipe: str, texts: Path, tmp_path: Path) -> None:
    """At a step that is drawn by chance, the same one in every run of the tests."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    settings = ("keep.save_steps=1", "keep.evaluate=0.5")
    train(recipe, texts, straight, *settings, steps=STEPS)
    options = [f"--set={pair}" for pair in (*TOY, *settings, "budget.seconds=null", f"budget.steps={STEPS}")]
    step = random.Random(recipe).randrange(2, STEPS)
    command = ["train", RECIPES / f"{recipe}.yaml", texts, "--out", stopped, *options]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # how sums are rounded depends on it
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(step), *map(str, command)], capture_output=True, timeout=240,
        env=os.environ | threads,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (stopped / "result.json").exists() and list((stopped / "checkpoints").glob("step-*"))
    train(recipe, texts, stopped, *settings, steps=STEPS)
    assert_same(straight, stopped)


def test_a_damaged_checkpoint_is_passed_over_with_a_word(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    settings = ("keep.save_steps=3", "keep.best=false")
    train("gpt", texts, out, *settings, steps=STEPS)
    first = weights(out)
    (out / "result.json").unlink()
    newest = sorted((out / "checkpoints").glob("step-*"))[-1]
    with (newest / "state" / "state.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"gone")
    train("gpt", texts, out, *settings, steps=STEPS)
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(Progress, "warn", lambda self, key, **values: told.append((key, values)))
    (out / "result.json").unlink()
    newest = sorted((out / "checkpoints").glob("step-*"))[-1]
    (newest / "extra.json").unlink()
    train("gpt", texts, out, *settings, steps=STEPS)
    assert told == [("passed_over", {"folder": newest.name, "damage": "extra.json is missing"})]
    for name, tensor in weights(out).items():
        assert torch.equal(tensor, first[name])


def test_another_run_is_refused_in_its_folder(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train("gpt", texts, out)
    before = weights(out)
    with pytest.raises(InputError, match=r"holds another training \(model\.layers: 1 there, 2 here\)"):
        train("gpt", texts, out, "model.layers=2")
    changed = tmp_path / "changed"
    shutil.copytree(texts, changed)
    with (changed / "letters.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "one more document of some words"}\n')
    with pytest.raises(InputError, match="holds another training"):
        train("gpt", changed, out)
    for name, tensor in weights(out).items():
        assert torch.equal(tensor, before[name])
