"""Training on pairs, from rows to a directory that transformers opens, scores and translates with."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from assay.errors import InputError, Stopped
from assay.models import interop
from assay.present.progress import Progress
from assay.recipe.load import load
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.tokenizer import Encoder
from trainings import RECIPES, pairs, train, weights

SMALL = ("train.row_tokens=48", "model.width=32")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models as small as these wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs(tmp_path_factory.mktemp("pairs") / "own")


def rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.open(encoding="utf-8")]


def theirs(folder: Path) -> tuple[Any, Any]:
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("preset", ["marian", "bart", "t5"])
def test_transformers_finds_our_loss_of_each_held_out_pair(preset: str, both: Path, tmp_path: Path) -> None:
    kind = "unigram" if preset == "t5" else "bpe"
    answer = train("translation", both, tmp_path / "run", *SMALL, f"model.preset={preset}", f"tokenizer.kind={kind}")
    folder = Path(answer["checkpoint"])
    model, tokenizer = theirs(folder)
    encoder = Encoder.load(folder)
    start, end = encoder.special_id("<|pad|>"), encoder.special_id("<|end|>")
    stated = model.generation_config
    assert (stated.decoder_start_token_id, stated.pad_token_id, stated.eos_token_id) == (start, start, end)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|pad|>", "<|end|>")
    out = tmp_path / "run"
    losses = pl.read_parquet(out / "ledger" / "document_losses.parquet").filter(pl.col("split") == "eval")
    documents = pl.read_parquet(sorted((out / "artifacts" / "documents").glob("*/documents-*.parquet")))
    found = losses.join(documents.select("doc_id", "source", "text"), on="doc_id")
    assert len(found) == len(losses) == answer["evaluations"]["eval"]["n"] > 5
    assert set(found["source"]) == {"en", "zh"} == set(answer["evaluations"]["eval"]["sources"])
    n_bytes = 0
    for row in found.iter_rows(named=True):
        source, target = row["text"].split("\x1e")
        inputs, labels = tokenizer(source, return_tensors="pt"), tokenizer(target, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            loss = float(model(**inputs, labels=labels).loss)
        assert row["n_tokens"] == labels.shape[1]
        assert loss == pytest.approx(row["nll"] / row["n_tokens"], abs=1e-5)
        n_bytes += len(target.encode())
    nll, n_tokens = found["nll"].sum(), found["n_tokens"].sum()
    assert answer["loss"] == pytest.approx(nll / n_tokens)
    assert answer["bits_per_byte"] == pytest.approx(nll / n_bytes / math.log(2))


def test_transformers_translates_as_it_was_taught(both: Path, tmp_path: Path) -> None:
    """Fifty English pairs, learned by heart."""
    rates = [f"optimizer.{role}_lr=0.004" for role in ("matrix", "embedding", "head", "vector")]
    answer = train(
        "translation", both / "en.jsonl", tmp_path / "run", *SMALL, *rates, "tokenizer.vocabulary=300",
        "model.dropout=0", "objective.smoothing=0", "keep.best=false", "keep.evaluate=1", "keep.eval_tokens=5000",
        steps=160,
    )  # fmt: skip
    assert answer["evaluations"]["train"]["loss"]["value"] < 0.1
    model, tokenizer = theirs(Path(answer["checkpoint"]))
    taught = rows(both)[:50]
    inputs = tokenizer([row["source"] for row in taught], return_tensors="pt", padding=True)
    made = model.generate(**inputs, max_new_tokens=16, num_beams=1, do_sample=False)
    said = tokenizer.batch_decode(made, skip_special_tokens=True)
    right = sum(one == row["target"] for one, row in zip(said, taught, strict=True))
    assert right >= answer["evaluations"]["train"]["n"] > 30


def test_a_run_on_pairs_goes_on_bitwise(both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (*SMALL, "model.dropout=0.1", "train.fewer=[[0.5, 2]]")
    train("translation", both, tmp_path / "straight", *settings, "train.loaders=0")
    advance, left = Progress.advance, [3]

    def stop(self: Progress, amount: float, *, found: bool = False, note: str = "") -> None:
        advance(self, amount, found=found, note=note)
        left[0] -= bool(note)
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", stop)
    with pytest.raises(Stopped):
        train("translation", both, tmp_path / "stopped", *settings, "keep.log=1")
    monkeypatch.setattr(Progress, "advance", advance)
    train("translation", both, tmp_path / "stopped", *settings, "keep.log=1")
    expected = weights(tmp_path / "straight")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "stopped").items())


def test_files_of_lines_are_trained_on_and_what_is_left_out_is_said(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    made = [row for row in rows(both) if row["source"].isascii()]
    sources = [*(row["source"] for row in made), "red " * 60, ""]
    targets = [*(row["target"] for row in made), "blue", "green"]
    for side, lines in (("en", sources), ("rev", targets)):
        (folder / f"train.{side}").write_text("".join(f"{line}\n" for line in lines))
    answer = train("translation", folder, tmp_path / "run", *SMALL, "data.pair=[en, rev]")
    assert math.isfinite(answer["loss"])
    told = capsys.readouterr().err
    assert "1 of 51 pairs are longer than a row of 48 tokens" in told
    assert "because a side is empty: 1" in told
    budget = ("budget.epochs=2", "budget.seconds=null", f"model.path={answer['checkpoint']}")
    begun = train("translation", folder, tmp_path / "again", *SMALL, "data.pair=[en, rev]", *budget, steps=None)
    assert interop.load(Path(begun["checkpoint"])).config == interop.load(Path(answer["checkpoint"])).config
    assert begun["steps"] > 1


@pytest.mark.parametrize("name", ["training.md", "training.zh-CN.md"])
def test_the_commands_of_the_documentation_are_taken(name: str) -> None:
    """The recipe is there, and what is set is known; the same in both languages."""
    text = (RECIPES.parents[1] / "docs" / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("assay train recipes/train/translation.yaml ")]
    told = [shlex.split(line) for line in lines]
    assert len(told) == 2
    for command in told:
        settings = [command[i + 1] for i, word in enumerate(command) if word == "--set"]
        recipe, _ = load(PretrainRecipe, RECIPES.parents[1] / command[2], settings)
        assert recipe.data.pair in (("source", "target"), ("en", "zh"))


@pytest.mark.parametrize(
    ("recipe", "settings", "parts"),
    [
        ("gpt", ("data.pair=[source, target]",), ("data.pair", "standard", "marian")),
        ("ngram", ("data.pair=[source, target]",), ("data.pair", "ngram", "marian")),
        ("bart", ("objective.kind=pairs",), ("objective.kind", "data.pair=[source, target]")),
        ("translation", ("objective.kind=denoising",), ("objective.kind", "pairs")),
        ("translation", ("data.pair=[src, target]",), ("en.jsonl:1", "'src'", "source, target", "data.pair")),
        ("translation", ("data.text_field=target",), ("data.text_field", "leave it out")),
        ("translation", ("train.shorter=[[0.5, 2]]",), ("train.shorter", "pairs cannot be cut")),
        ("translation", ("train.row_tokens=8", "tokenizer.vocabulary=280"), ("train.row_tokens", "longer rows")),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told_in_one_line(
    recipe: str, settings: tuple[str, ...], parts: tuple[str, ...], both: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        train(recipe, both, tmp_path / "run", *settings, steps=None if recipe == "ngram" else 6)
    assert "\n" not in caught.value.line() and caught.value.remedy
    for part in parts:
        assert part in caught.value.line(), caught.value.line()
    assert not (tmp_path / "run" / "model").exists()
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
