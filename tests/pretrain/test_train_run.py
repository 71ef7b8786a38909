"""What a run does besides training: it stops early, keeps the best, tells, traces, and shares its work."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from assay.models.decoder import Decoder
from assay.models.protocol import Batch, Loss, Model
from assay.train.evaluate import Documents, Evaluation
from assay.train.feed import Phase, RowFeed, slots_of
from trainings import RECIPES, TOY, train, weights


def records(out: Path, kind: str) -> list[dict[str, float]]:
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def test_a_run_that_grows_no_better_ends_and_keeps_its_best(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = Documents.evaluate, [0]

    def worse(self: Documents, model: Model, device: str = "cpu") -> Evaluation:
        calls[0] += 1
        found = honest(self, model, device)
        return Evaluation(found.units.with_columns(pl.col("nll") * (1 + abs(calls[0] - 2))))  # best at the second

    monkeypatch.setattr(Documents, "evaluate", worse)
    answer = train("gpt", texts, tmp_path / "run", "keep.patience=2", "keep.evaluate=0.1", steps=40)
    assert answer["stopped_early"]
    assert (answer["step"], answer["steps"]) == (8, 16)
    assert len(records(tmp_path / "run", "eval")) == 4
    monkeypatch.setattr(Documents, "evaluate", honest)
    short = train("gpt", texts, tmp_path / "last", "keep.best=false", "schedule.kind=constant", steps=8)
    long = train("gpt", texts, tmp_path / "long", "schedule.kind=constant", "keep.evaluate=0.1", steps=40)
    assert not short["stopped_early"] and short["step"] == 8
    assert long["step"] in range(4, 41, 4)
    assert long["loss"] == min(record["loss"] for record in records(tmp_path / "long", "eval"))


def test_shorter_rows_and_fewer_of_them_read_the_same_tokens(texts: Path, tmp_path: Path) -> None:
    plain = train("gpt", texts, tmp_path / "plain", "budget.tokens=2560", "budget.seconds=null", steps=None)
    phased = train(
        "gpt", texts, tmp_path / "phased", "budget.tokens=2560", "budget.seconds=null", "train.shorter=[[0.5, 4]]",
        "train.fewer=[[0.25, 2]]", steps=None,
    )  # fmt: skip
    assert plain["tokens"] == phased["tokens"] == 2560
    assert phased["steps"] == plain["steps"] * 1.25  # a quarter of the tokens in steps of half the size
    by_step = [record["tokens"] for record in records(tmp_path / "phased", "train")]
    assert by_step[:2] == [32, 64] and by_step[-1] - by_step[-2] == 64


def test_a_feed_reads_slots_in_order_whatever_its_phases() -> None:
    phases = (Phase(2, 3), Phase(4, 5, cut=2), Phase(1, 8))
    feed = RowFeed(None, phases=phases)  # type: ignore[arg-type]
    seen = [feed.slots(step) for step in range(9)]
    assert [slot for slots, _ in seen for slot in slots] == list(range(2 * 3 + 4 * 5 + 3 * 8))
    assert [cut for _, cut in seen] == [1, 1, 2, 2, 2, 2, 1, 1, 1]
    assert [slots_of(phases, steps) for steps in (0, 1, 3, 9)] == [0, 3, 11, 50]


@pytest.mark.parametrize(("steps", "found", "told"), [(14, 2, ""), (6, 2, ""), (2, 2, ""), (1, 1, "1 of 2 steps")])
def test_a_trace_shows_the_parts_of_a_step(
    steps: int, found: int, told: str, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of long runs and of short ones; where there are fewer steps than were asked for, a line says so."""
    train("gpt", texts, tmp_path / "run", "keep.profile=2", steps=steps)
    events = json.loads((tmp_path / "run" / "trace.json").read_text())["traceEvents"]
    names = [event.get("name") for event in events]
    parts = ("forward", "backward", "optimizer")
    assert {name: names.count(name) for name in parts} == dict.fromkeys(parts, found)
    said = [line for line in capsys.readouterr().err.splitlines() if "keep.profile" in line]
    assert len(said) == bool(told) and all(told in line for line in said)


def test_a_run_without_steps_to_trace_says_so(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was killed between its last checkpoint and its answer."""
    train("gpt", texts, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    train("gpt", texts, tmp_path / "run", "keep.profile=2")
    assert "0 of 2 steps" in capsys.readouterr().err
    assert not (tmp_path / "run" / "trace.json").exists()


def test_tensorboard_sees_what_the_records_say(texts: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train("gpt", texts, tmp_path / "run", "keep.tensorboard=true")
    events = reader.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    told = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert told == [(r["step"], pytest.approx(r["loss"])) for r in records(tmp_path / "run", "train")]
    assert events.Scalars("eval/eval/bits_per_byte")[-1].step == 6


Seen = list[tuple[Batch, torch.Tensor]]


def by_hand(seen: Seen, pieces: dict[int, str]) -> dict[str, tuple[float, float]]:
    """Nats a token and bits a byte of the Latin letters of one source and the Chinese of the other, document by
    document; a token of byte-level BPE is written with one character a byte."""
    sums = {"letters": np.zeros(3), "zh": np.zeros(3)}
    for batch, losses_BT in seen:
        assert batch.segments_BT is not None
        for row in zip(batch.inputs_BT, batch.targets_BT, batch.segments_BT, losses_BT, strict=True):
            inputs, targets, segments, losses = (column.tolist() for column in row)
            for segment in set(segments) - {-1}:
                own = [i for i, s in enumerate(segments) if s == segment]
                spelled = [pieces[targets[i]] if targets[i] else "" for i in own]
                letters = set("".join([*spelled, *(pieces[inputs[i]] for i in own if inputs[i])]))
                source = "letters" if letters <= set("abcdefghijklmnopqrstuvwxyz.Ġ") else "zh"
                sums[source] += sum(losses[i] for i in own), len(own), sum(map(len, spelled))
    return {source: (nll / n, nll / n_bytes / math.log(2)) for source, (nll, n, n_bytes) in sums.items()}


def test_losses_and_bits_per_byte_of_every_source_are_those_found_by_hand(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loss, evaluate = Decoder.loss, Documents.evaluate
    seen: Seen = []
    first: dict[str, Seen] = {}

    def watched(self: Decoder, batch: Batch, *more: Any) -> Loss:
        found = loss(self, batch, *more)
        seen.append((batch, found.losses_BT.detach()))
        return found

    def after_training(self: Documents, *given: Any) -> Evaluation:
        first.setdefault("train", seen[:])
        seen.clear()
        found = evaluate(self, *given)
        first.setdefault("eval", seen[:])
        return found

    monkeypatch.setattr(Decoder, "loss", watched)
    monkeypatch.setattr(Documents, "evaluate", after_training)
    out = tmp_path / "run"
    train("gpt", texts, out, "data.only=[letters, zh]", "keep.log=6", "keep.evaluate=1", "keep.tensorboard=true")
    content = json.loads((out / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = {i: piece for piece, i in content["model"]["vocab"].items()}
    events = reader.EventAccumulator(str(out / "tensorboard")).Reload()
    assert len(first["train"]) == 6
    for kind, group in (("train", "train"), ("eval", "eval/eval")):
        (record,) = records(out, kind)
        for source, values in by_hand(first[kind], pieces).items():
            for measure, expected in zip(("loss", "bits_per_byte"), values, strict=True):
                name = f"{measure}/{source}"
                assert record[name] == pytest.approx(expected, rel=1e-5), (kind, name)
                assert [e.value for e in events.Scalars(f"{group}/{name}")] == [pytest.approx(expected, rel=1e-5)]


def test_objectives_that_do_not_spell_the_text_have_no_bits_per_byte(texts: Path, tmp_path: Path) -> None:
    train("bert", texts, tmp_path / "run")
    found = [record for kind in ("train", "eval", "final") for record in records(tmp_path / "run", kind)]
    assert found
    for record in found:
        assert [name for name in record if name.startswith("loss/")]
        assert record["bits_per_byte"] is None
        assert not [name for name in record if name.startswith("bits_per_byte/")]


def by_two(texts: Path, out: Path, *settings: str) -> dict[str, Any]:
    """The answer of a run under torchrun."""
    options = [f"--set={pair}" for pair in (*TOY, *settings)]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "assay", "train",
            str(RECIPES / "gpt.yaml"), str(texts), "--out", str(out), "--json", *options,
        ],
        capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["processes"] == 2
    return answer


def test_two_processes_measure_and_search_together(texts: Path, tmp_path: Path) -> None:
    """The steps that fit into a time are those of both; the rates are looked for with weights that are cut."""
    asked = ("train.parallel=fsdp", "budget.seconds=0.2", "optimizer.find=true", "train.shorter=[[0.5, 2]]")
    answer = by_two(texts, tmp_path / "run", *asked)
    (speed,) = answer["measured"].values()
    assert answer["tokens"] == pytest.approx(0.2 * speed, abs=2 * 4 * 16)
    assert json.loads((tmp_path / "run" / "learning_rate.json").read_text())["suggested"] == answer["rate_factor"]


@pytest.mark.parametrize(
    ("mode", "more"),
    [("ddp", ()), ("fsdp", ()), ("tensor", ("model.heads=2", "train.average=0.9"))],
)
def test_two_processes_train_the_model_of_one(mode: str, more: tuple[str, ...], texts: Path, tmp_path: Path) -> None:
    """And a run that two began is finished by one."""
    one, two = tmp_path / "one", tmp_path / "two"
    settings = ("keep.save_steps=5", f"train.parallel={mode}", *more)
    alone = train("gpt", texts, one, *settings, steps=8)
    answer = by_two(texts, two, *settings, "budget.seconds=null", "budget.steps=8")
    for split, found in alone["evaluations"].items():
        assert answer["evaluations"][split]["loss"]["value"] == pytest.approx(found["loss"]["value"], abs=1e-5)
    assert answer["parameters"] == alone["parameters"]
    expected = weights(one)
    for name, tensor in weights(two).items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-5, rtol=0)
    before = weights(two)
    (two / "result.json").unlink()
    for left_over in (two / "checkpoints").glob("step-000000008*"):
        for path in left_over.rglob("manifest.json"):
            path.unlink()
    assert train("gpt", texts, two, *settings, steps=8)["processes"] == 1
    for name, tensor in weights(two).items():
        torch.testing.assert_close(tensor, before[name], atol=1e-5, rtol=0)


def test_an_encoder_learns_more_than_how_often_words_come(tmp_path: Path) -> None:
    """At the rates of its preset: words that always follow each other tell which one is hidden."""
    rng = random.Random(0)
    words = [a + b for a in "bdfgklmn" for b in ("ar", "ez", "il", "op", "ut")]
    runs = [" ".join(words[(i + k) % 40] for k in range(8)) for i in range(40)]
    rows = [{"text": " ".join(rng.choices(runs, k=8))} for _ in range(200)]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "t.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    options = (
        "model.preset=modern", "model.layers=2", "model.width=64", "model.heads=2", "train.row_tokens=32",
        "train.batch_rows=16", "tokenizer.kind=wordpiece", "tokenizer.vocabulary=200", "keep.evaluate=1",
    )  # fmt: skip
    answer = train("bert", tmp_path / "own", tmp_path / "run", *options, steps=150)
    assert answer["loss"] < 0.6 * math.log(len(words))
