"""Keys of a recipe, through whole trainings: each does what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from assay.models import interop, vectors
from assay.models.protocol import Batch
from assay.pretrain import neural
from assay.train import checkpoint
from assay.train.finder import RateFound
from assay.train.loop import TrainState
from trainings import train, weights


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("recipe", "preset"),
    [("gpt", "llama"), ("gpt", "gpt2"), ("gpt", "proxy"), ("bert", "modern"), ("lstm", "rnn"), ("lstm", "gru")],
)
def test_every_preset_trains(recipe: str, preset: str, texts: Path, tmp_path: Path) -> None:
    """`transformer`, `marian` and `bart` are trained on short documents in test_train_recipes."""
    answer = train(recipe, texts, tmp_path / "run", f"model.preset={preset}", steps=2)
    assert math.isfinite(answer["loss"])
    model = interop.load(Path(answer["checkpoint"]))
    stated = json.loads((Path(answer["checkpoint"]) / "config.json").read_text(encoding="utf-8"))
    family = {"llama": "llama", "gpt2": "gpt2"}.get(preset, "assay")
    assert stated["model_type"] == family
    assert preset not in ("rnn", "gru") or model.config.cell == preset


def test_the_type_and_the_steps_are_measured_and_told(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neural, "PROBE_SECONDS", 0.2)
    asked = ("train.dtype=auto", "budget.seconds=0.1")
    answer = train("gpt", texts, tmp_path / "run", *asked, steps=None)
    speeds = answer["measured"]
    assert set(speeds) == {"float32", "bfloat16"}
    assert answer["dtype"] == max(speeds, key=speeds.__getitem__)
    assert answer["steps"] == max(1, round(math.ceil(0.1 * max(speeds.values()) / 16) / 4))
    first, *others = records(tmp_path / "run")
    assert (first["kind"], first["step"], first["dtype"]) == ("run", 0, answer["dtype"])
    assert {name: first[f"tokens_per_second/{name}"] for name in speeds} == speeds
    assert all(record["kind"] != "run" for record in others)
    monkeypatch.setattr(neural._Training, "_measured", lambda *_: pytest.fail("measured again"))
    (tmp_path / "run" / "result.json").unlink()
    again = train("gpt", texts, tmp_path / "run", *asked, steps=None)
    assert (again["dtype"], again["steps"], again["loss"]) == (answer["dtype"], answer["steps"], answer["loss"])


def test_a_trial_is_trained_as_the_run_will_be(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where processes share the work, they share it in measurements: a speed is of all of them, and none holds all."""
    seen: list[Any] = []
    honest = neural.TrainState

    def made(spec: Any, *given: Any, **named: Any) -> TrainState:
        seen.append(named.get("parallel"))
        return honest(spec, *given, **named)

    monkeypatch.setattr(neural, "TrainState", made)
    monkeypatch.setattr(neural, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(neural, "find_rate", lambda *_: RateFound([1.0], [1.0], [1.0], 0.5))
    answer = train(
        "gpt", texts, tmp_path / "run", "train.dtype=auto", "budget.seconds=0.1", "optimizer.find=true", steps=None
    )
    assert answer["rate_factor"] == 0.5
    assert len(seen) == 3 and None not in seen and len(set(map(id, seen))) == 1


def test_rates_are_looked_for_from_the_weights_that_are_gone_on_from(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train("gpt", texts, tmp_path / "first", steps=2)
    begun: list[dict[str, torch.Tensor]] = []

    def found(state: TrainState, batch: Any) -> RateFound:
        begun.append({name: tensor.clone() for name, tensor in state.masters.items()})
        assert isinstance(batch(0), Batch)
        return RateFound([1.0], [1.0], [1.0], 0.25)

    monkeypatch.setattr(neural, "find_rate", found)
    path = f"model.path={first['checkpoint']}"
    answer = train("gpt", texts, tmp_path / "second", path, "optimizer.find=true", steps=2)
    assert answer["rate_factor"] == 0.25
    loaded = dict(interop.load(Path(first["checkpoint"])).named_parameters())
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in begun[0].items())


def test_an_epoch_is_one_reading(texts: Path, tmp_path: Path) -> None:
    asked = ("budget.epochs=0.05", "budget.seconds=null", "train.batch_rows=16", "keep.evaluate=1")
    train("gpt", texts, tmp_path / "run", *asked, steps=None)
    (run,) = pl.read_parquet(tmp_path / "run" / "ledger" / "runs.parquet").iter_rows(named=True)
    assert all(times == pytest.approx(0.05, abs=0.03) for times in dict(run["epochs"]).values())
    assert run["D"] == run["U"]


def test_records_hold_learning_rates_and_no_loss_of_what_was_not_asked(texts: Path, tmp_path: Path) -> None:
    """A source of which a step hides nothing has no loss in that step."""
    train("bert", texts, tmp_path / "run", "objective.share=0.04", "keep.evaluate=1", steps=6)
    told = [record for record in records(tmp_path / "run") if record["kind"] == "train"]
    sources = [{name for name in record if name.startswith("loss/")} for record in told]
    assert any(len(own) < 3 for own in sources)
    for record, own in zip(told, sources, strict=True):
        assert own and all(record[name] > 0 for name in own)
        for role in ("matrix", "embedding", "vector"):
            assert record[f"learning_rate/{role}"] == pytest.approx(1e-3 * record["learning_rate_factor"])
        assert "learning_rate/head" not in record  # the head of an encoder is its embedding


def test_the_average_of_the_weights_is_what_is_kept(texts: Path, tmp_path: Path) -> None:
    settings = ("train.average=0.5", "keep.best=false", "keep.save_steps=1", "keep.last=9")
    train("gpt", texts, tmp_path / "run", *settings, steps=4)
    saved = [checkpoint.load(path / "state") for path in sorted((tmp_path / "run" / "checkpoints").glob("step-*"))]
    assert len(saved) == 4
    shares = [0.5 ** (3 - i) for i in range(4)]
    for name, kept in interop.load(tmp_path / "run" / "model").named_parameters():
        steps = [one[f"model.{name}"] for one in saved]
        mean = torch.stack([share * step for share, step in zip(shares, steps, strict=True)]).sum(0) / sum(shares)
        torch.testing.assert_close(kept.detach(), mean, atol=1e-6, rtol=1e-5)
        assert (kept - steps[-1]).abs().max() > 1e-5, name


def test_activations_that_are_computed_anew_change_nothing(texts: Path, tmp_path: Path) -> None:
    for name in ("true", "false"):
        train("gpt", texts, tmp_path / name, f"train.checkpointing={name}", "model.dropout=0.1", steps=3)
    anew, kept = weights(tmp_path / "true"), weights(tmp_path / "false")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in anew.items())


def test_sources_are_read_by_their_weights(texts: Path, tmp_path: Path) -> None:
    train("gpt", texts, tmp_path / "run", "data.weights={letters: 3, zh: 1}", "keep.evaluate=1", steps=6)
    (run,) = pl.read_parquet(tmp_path / "run" / "ledger" / "runs.parquet").iter_rows(named=True)
    assert dict(run["mixture"]) == {"letters": 0.75, "zh": 0.25}
    assert {n for r in records(tmp_path / "run") for n in r if n.startswith("loss/")} == {"loss/letters", "loss/zh"}


def test_half_precision_trains_with_a_scale(texts: Path, tmp_path: Path) -> None:
    answer = train("gpt", texts, tmp_path / "run", "train.dtype=float16", steps=4)
    assert answer["dtype"] == "float16" and math.isfinite(answer["loss"])
    found = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert found is not None and float(found[0]["scale.scale"]) >= 1
    assert all(tensor.dtype == torch.float32 for tensor in weights(tmp_path / "run").values())


def test_a_bag_of_words_is_another_way_to_vectors(texts: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    settings = ("vectors.min_count=2", "vectors.epochs=1")
    made = []
    for algorithm in ("skipgram", "cbow"):
        out = tmp_path / algorithm
        answer = train("word2vec", texts, out, *settings, f"vectors.algorithm={algorithm}", steps=None)
        made.append(vectors.load(Path(answer["checkpoint"])))
    one, other = made
    assert one.words == other.words
    assert any((one.vector(word) != other.vector(word)).any() for word in one.words)
