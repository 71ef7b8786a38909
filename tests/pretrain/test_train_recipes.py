"""The recipes in recipes/train: each runs at toy size, and its model is loaded, evaluated and described."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest

from assay.models import interop, vectors
from assay.models.ngram import KneserNey
from assay.tokens.tokenizer import Encoder
from trainings import RECIPES, pairs, train

NEURAL = ["gpt", "bert", "bart", "t5", "lstm", "words", "translation"]


def test_every_recipe_is_here() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {*NEURAL, "ngram", "word2vec"}


@pytest.mark.parametrize("name", [*NEURAL, "ngram", "word2vec"])
def test_a_recipe_says_what_it_is_for(name: str) -> None:
    content = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    assert content.startswith("# ")
    read = "my-pairs.jsonl " if name == "translation" else ""
    assert f"assay train recipes/train/{name}.yaml {read}--out " in content


@pytest.mark.parametrize("name", NEURAL)
def test_a_neural_recipe_ends_in_a_model_that_loads(name: str, texts: Path, tmp_path: Path) -> None:
    texts = pairs(tmp_path / "pairs") if name == "translation" else texts
    answer = train(name, texts, tmp_path / "run")
    assert answer["steps"] == 6
    assert answer["tokens"] == 6 * 4 * 16
    assert math.isfinite(answer["loss"])
    folder = Path(answer["checkpoint"])
    model, encoder = interop.load(folder), Encoder.load(folder)
    assert model.config.vocabulary == encoder.vocabulary  # type: ignore[union-attr]
    assert (answer["bits_per_byte"] is not None) == (
        name in ("gpt", "lstm", "translation")
    )  # those that spell the text
    assert set(answer["evaluations"]) == {"eval", "test", "train"}
    for found in answer["evaluations"].values():
        low, high = found["loss"]["interval"]
        assert low < found["loss"]["value"] < high
        assert found["perplexity"]["value"] == pytest.approx(math.exp(found["loss"]["value"]))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Held out".lower() in card.lower() and "留出文本" in card
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["kind"] == "train"] == list(range(1, 7))
    assert all(r["gradient_norm"] > 0 and 0 < r["mfu"] < 1 for r in records if r["kind"] == "train")
    seconds = sum(4 * 16 / r["tokens_per_second"] for r in records if r["kind"] == "train")
    assert answer["tokens_per_second"] == pytest.approx(answer["tokens"] / seconds)  # of the run, not of its last step
    (run,) = pl.read_parquet(tmp_path / "run" / "ledger" / "runs.parquet").iter_rows(named=True)
    assert (run["run_id"], run["D"], run["N_total"]) == (answer["run_id"], answer["tokens"], model.n_parameters()[1])
    losses = pl.read_parquet(tmp_path / "run" / "ledger" / "losses.parquet").filter(pl.col("split") == "eval")
    assert losses["nll"].sum() / losses["n_tokens"].sum() == pytest.approx(answer["loss"])
    again = train(name, texts, tmp_path / "run")  # done already: the same answer at once
    assert again == answer


def test_an_n_gram_model_is_counted(texts: Path, tmp_path: Path) -> None:
    answer = train("ngram", texts, tmp_path / "run", steps=None)
    model = KneserNey.load(Path(answer["checkpoint"]) / "ngram.safetensors")
    assert model.order == 5
    assert model.n_parameters() == answer["ngrams"]
    assert 1 < answer["bits_per_byte"] < 8
    gap = answer["evaluations"]["eval"]["loss"]["value"] - answer["evaluations"]["train"]["loss"]["value"]
    assert gap > 0.5  # it knows its training text by heart


@pytest.mark.parametrize("family", ["word2vec", "fasttext", "glove"])
def test_word_vectors_are_learned(family: str, texts: Path, tmp_path: Path) -> None:
    settings = (f"model.preset={family}", "vectors.min_count=2", "vectors.epochs=1")
    answer = train("word2vec", texts, tmp_path / "run", *settings, steps=None)
    made = vectors.load(Path(answer["checkpoint"]))
    assert (len(made.words), made.width) == (answer["words"], 16)
    assert any("\u4e00" <= word[0] <= "\u9fff" for word in made.words)
