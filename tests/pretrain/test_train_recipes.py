"""The recipes in recipes/train: each runs at toy size, and its model is loaded, evaluated and described."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assay.metrics.ratio import Ratio
from assay.models import interop, vectors
from assay.models.ngram import KneserNey
from assay.pretrain import shape
from assay.tokens.tokenizer import Encoder
from assay.train.objectives import Masked
from trainings import RECIPES, pairs, train

NEURAL = ["gpt", "bert", "bart", "t5", "lstm", "lstm-carried", "bilstm", "words", "translation"]
SPELLING = ("gpt", "lstm", "lstm-carried", "translation")  # their predictions spell the text


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
    assert (answer["bits_per_byte"] is not None) == (name in SPELLING)
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
    documents = pl.read_parquet(tmp_path / "run" / "ledger" / "document_losses.parquet").filter(
        pl.col("split") == "eval"
    )
    assert documents["doc_id"].is_unique().all()
    assert documents["n_tokens"].sum() == losses["n_tokens"].sum()
    assert answer["evaluations"]["eval"]["n"] == len(documents) > 3
    by_document = Ratio.of(documents["nll"].to_numpy(), documents["n_tokens"].to_numpy().astype(float))
    assert answer["evaluations"]["eval"]["loss"]["interval"] == pytest.approx(by_document.interval(0.95))
    again = train(name, texts, tmp_path / "run")  # done already: the same answer at once
    assert again == answer


def test_words_between_spaces_in_small_letters_are_what_a_split_finds(tmp_path: Path) -> None:
    rng = random.Random(3)
    words = ["The", "N.A.S.D.", "<unk>", "doesn't", "5.2%", "天地", "春夏秋冬", "Über", "ß", "queen", ",", "."]
    read = [" ".join(rng.choices(words, k=60)) for _ in range(40)]
    for split, own in (("train", read[:30]), ("valid", read[30:])):
        lines = [json.dumps({"text": text}) for text in own]
        (tmp_path / f"ptb.{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = ("tokenizer.lower=true", "tokenizer.spaces=true", "tokenizer.min_count=2", "tokenizer.vocabulary=99")
    answer = train("words", tmp_path, tmp_path / "run", *settings)
    learned = json.loads((Path(answer["checkpoint"]) / "tokenizer.json").read_text(encoding="utf-8"))
    found = {word for word in learned["model"]["vocab"] if not word.startswith("<|")}
    assert found == set(" ".join(read[:30]).lower().split())


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


@pytest.mark.parametrize("preset", ["bart", "transformer", "marian"])
def test_short_documents_fill_rows_however_many_ends_they_add(preset: str, tmp_path: Path) -> None:
    """Positions begin anew with every document, so a row with its ends may be longer than any position."""
    rng = random.Random(3)
    lines = [" ".join("".join(rng.choices("abcdefgh", k=4)) for _ in range(4)) for _ in range(700)]
    (tmp_path / "short.jsonl").write_text("".join(f'{{"text": "{line}"}}\n' for line in lines), encoding="utf-8")
    settings = (f"model.preset={preset}", "train.row_tokens=128", "tokenizer.vocabulary=300", "train.batch_rows=2")
    answer = train("bart", tmp_path / "short.jsonl", tmp_path / "run", *settings, steps=2)
    assert math.isfinite(answer["loss"])


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_transformers_finds_the_special_tokens_that_the_model_was_trained_with(
    kind: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    asked: list[Masked] = []
    honest = shape.objective

    def kept(*given: Any) -> Any:
        asked.append(honest(*given))  # type: ignore[arg-type]
        return asked[-1]

    monkeypatch.setattr(shape, "objective", kept)
    answer = train("bert", texts, tmp_path / "run", f"tokenizer.kind={kind}", steps=2)
    theirs = transformers.AutoTokenizer.from_pretrained(answer["checkpoint"])
    assert theirs.mask_token_id == asked[0].mask_id
    content = json.loads((Path(answer["checkpoint"]) / "tokenizer.json").read_text(encoding="utf-8"))
    special = [token["content"] for token in content["added_tokens"]]
    if kind == "wordpiece":  # as BERT has them, each once
        assert special == ["[CLS]", "[PAD]", "[UNK]", "[SEP]", "[MASK]"]
        names = (theirs.cls_token, theirs.pad_token, theirs.unk_token, theirs.sep_token, theirs.mask_token)
        assert names == tuple(special)
        ids = theirs(f"some {theirs.mask_token} words")["input_ids"]
        assert (ids[0], ids[-1]) == (theirs.cls_token_id, theirs.sep_token_id)
        assert theirs.mask_token_id in ids
    else:
        assert (theirs.pad_token, theirs.mask_token) == ("<|pad|>", "<|mask|>")
