"""`assay average` is the mean of its models, and refuses what has none; `optimizer.find` finds a rate that trains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from assay.errors import InputError
from assay.models import interop
from assay.pretrain.average import average
from assay.tokens.tokenizer import Encoder
from trainings import train, weights


@pytest.fixture(scope="module")
def run(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "gpt"
    train("gpt", texts, out, "keep.save_steps=2", "keep.last=3")
    return out


def test_the_mean_is_that_of_the_numbers_and_loads(run: Path, tmp_path: Path) -> None:
    checkpoints = sorted((run / "checkpoints").glob("step-*"))
    assert len(checkpoints) == 3
    answer = average(checkpoints, tmp_path / "mean")
    made = load_file(tmp_path / "mean" / "model.safetensors")
    theirs = [load_file(folder / "model.safetensors") for folder in checkpoints]
    assert set(made) == set(theirs[0])
    for name, tensor in made.items():
        expected = torch.stack([one[name].double() for one in theirs]).mean(0)
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-6, atol=1e-8)
    assert any(not torch.equal(tensor, theirs[-1][name]) for name, tensor in made.items())
    assert answer["parameters"] == sum(tensor.numel() for tensor in made.values())
    interop.load(tmp_path / "mean")
    assert Encoder.load(tmp_path / "mean").content == Encoder.load(checkpoints[0]).content
    card = (tmp_path / "mean" / "README.md").read_text(encoding="utf-8")
    assert checkpoints[0].name in card and "平均" in card


def test_what_has_no_mean_is_refused_and_nothing_written(run: Path, texts: Path, tmp_path: Path) -> None:
    model, other = run / "model", tmp_path / "other"
    shutil.copytree(model, other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    config["hidden_size"] = 99
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = tmp_path / "words"
    shutil.copytree(model, words)
    content = (words / "tokenizer.json").read_text(encoding="utf-8")
    (words / "tokenizer.json").write_text(content + "\n", encoding="utf-8")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    out = tmp_path / "out"
    for models, to, said in [
        ([model], out, "two models or more"),
        ([model, model], out, "two models or more"),
        ([model, other], out, "of another shape"),
        ([model, words], out, "another tokenizer"),
        ([model, tmp_path / "none"], out, "no model directory"),
        ([model, words], taken, "is not empty"),
    ]:
        with pytest.raises(InputError, match=said):
            average(models, to)
    assert not out.exists() and [path.name for path in taken.iterdir()] == ["file"]


def test_a_rate_that_is_found_is_remembered_and_used(texts: Path, tmp_path: Path) -> None:
    rates = {"matrix_lr": 0.02, "embedding_lr": 0.01, "head_lr": 0.004, "vector_lr": 0.005}
    plain = train("gpt", texts, tmp_path / "plain")
    given = [f"optimizer.{name}={rate!r}" for name, rate in rates.items()]
    found = train("gpt", texts, tmp_path / "found", "optimizer.find=true", *given)
    curve = json.loads((tmp_path / "found" / "learning_rate.json").read_text(encoding="utf-8"))
    assert plain["rate_factor"] is None and not (tmp_path / "plain" / "learning_rate.json").exists()
    assert found["rate_factor"] == curve["suggested"] and len(curve["factors"]) == len(curve["losses"]) >= 10
    factor = found["rate_factor"]
    by_hand = [f"optimizer.{name}={rate * factor!r}" for name, rate in rates.items()]
    train("gpt", texts, tmp_path / "by-hand", *by_hand)
    one, other = weights(tmp_path / "found"), weights(tmp_path / "by-hand")
    assert all(torch.equal(one[name], other[name]) for name in one)
