"""Whole model directories: transformers opens what we write, and what does not belong together is not written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.errors import InputError
from assay.models import interop
from assay.models.build import ModelConfig, build
from assay.models.decoder import proxy, standard
from assay.models.encoder import bert
from assay.models.interop.directory import Special, vocabulary_of, write_directory
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig, t5
from assay.tokens.learn import END_OF_TEXT, train_tokenizer

transformers = pytest.importorskip("transformers")
TEXTS = ["The old man and the sea, 1952.", "春眠不觉晓，处处闻啼鸟。", "don't stop: 3 boats  left\n", "naïve café"] * 20
V = 280


@pytest.fixture(scope="module")
def tokenizer() -> str:
    trained = train_tokenizer(TEXTS, V)
    assert len(vocabulary_of(trained)) == V
    return trained


def made(config: ModelConfig) -> Any:
    return build(config, torch.Generator().manual_seed(0))


def test_transformers_opens_every_file(tokenizer: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    model = made(standard(V + 6, 2, 24, 4, 2, max_length=48))
    special = Special(bos=END_OF_TEXT, eos=END_OF_TEXT, pad=END_OF_TEXT)
    write_directory(
        folder, model, tokenizer, special=special, card="# A small model\n\n小模型。", generation={"max_new_tokens": 7}
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    opened = [
        kind.from_pretrained(folder) for kind in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast)
    ]
    for found in opened:
        assert found.model_max_length == 48
        assert (found.eos_token, found.eos_token_id, found.pad_token_id) == (END_OF_TEXT, 0, 0)
        assert found(TEXTS[0]).keys() == {"input_ids", "attention_mask"}
        for text in [*TEXTS[:4], f"two{END_OF_TEXT}texts"]:
            ids = found(text)["input_ids"]
            assert ids == found.backend_tokenizer.encode(text).ids
            assert found.decode(ids) == text
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id) == (0, 0)
    assert theirs.generation_config.max_new_tokens == 7
    batch = opened[0](["The old man", "sea"], return_tensors="pt", padding=True)
    assert theirs.generate(**batch, do_sample=False).shape[1] <= batch["input_ids"].shape[1] + 7
    with torch.no_grad():
        ids = batch["input_ids"][:1]
        torch.testing.assert_close(model.eval()(ids), theirs(ids).logits, rtol=1e-5, atol=1e-5)
    assert (folder / "README.md").read_text(encoding="utf-8") == "# A small model\n\n小模型。\n"
    with torch.no_grad():
        assert torch.equal(interop.load(folder)(ids), model(ids))


def test_each_kind_of_model_has_the_files_that_it_needs(tokenizer: str, tmp_path: Path) -> None:
    for name, config, generates, bound, inputs in (
        ("proxy", proxy(V, 1, 24, 3, max_length=64), True, 64, 2),
        ("bert", bert(V, 1, 24, 3, max_length=32), False, 32, 3),
        ("t5", t5(V, 1, 24, 3), True, None, 2),
        ("lstm", RecurrentConfig(V, 1, 12), True, None, 2),
        ("both ways", RecurrentConfig(V, 1, 12, both_ways=True), False, None, 2),
    ):  # fmt: skip
        folder = tmp_path / name
        write_directory(folder, made(config), tokenizer, card="A card.", special=Special(pad=END_OF_TEXT))
        assert (folder / "generation_config.json").exists() is generates
        found = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
        assert found.model_max_length == (bound or 10**30)
        assert len(found.model_input_names) == inputs
        assert interop.load(folder).config.vocabulary == V
    stated = json.loads((tmp_path / "t5" / "generation_config.json").read_text(encoding="utf-8"))
    assert stated == {"pad_token_id": 0, "decoder_start_token_id": 0}


def test_what_does_not_belong_together_is_refused_and_nothing_written(tokenizer: str, tmp_path: Path) -> None:
    small, fits = made(proxy(V - 1, 1, 24, 3)), made(proxy(V, 1, 24, 3))
    other = made(Seq2SeqConfig(V, (1, 1), t5(V, 1, 24, 3).block, positions="relative", padding=3))
    cases: list[tuple[Any, str | None, Special, str]] = [
        (small, tokenizer, Special(), rf"has {V} ids, and the model's embedding has {V - 1} rows"),
        (fits, tokenizer, Special(eos="</s>"), r"has no token '</s>' \(eos\)"),
        (fits, None, Special(eos="</s>"), r"'</s>' is a token of no tokenizer"),
        (fits, "{}", Special(), "is no tokenizer"),
        (fits, "no JSON", Special(), "is no tokenizer"),
        (other, tokenizer, Special(pad=END_OF_TEXT), "fills rows with id 0, and the model was made for 3"),
    ]
    for model, text, special, said in cases:
        with pytest.raises(InputError, match=said):
            write_directory(tmp_path / "m", model, text, card="A card.", special=special)
        assert not (tmp_path / "m").exists()


def test_a_directory_is_written_over_without_traces(tokenizer: str, tmp_path: Path) -> None:
    write_directory(tmp_path, made(proxy(V, 1, 24, 3)), tokenizer, card="One.")
    write_directory(tmp_path, made(proxy(20, 1, 12, 3)), None, card="Two.")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "config.json", "generation_config.json", "model.safetensors",
    ]  # fmt: skip
    assert interop.load(tmp_path).config.vocabulary == 20


def test_the_vocabulary_is_that_of_tokenizers_for_every_model() -> None:
    from tokenizers import Tokenizer, models, trainers

    for model, trainer in (
        (models.BPE(), trainers.BpeTrainer), (models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer),
        (models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer), (models.Unigram(), trainers.UnigramTrainer),
    ):  # fmt: skip
        trained = Tokenizer(model)
        trained.train_from_iterator(TEXTS, trainer(special_tokens=["[UNK]"], show_progress=False))
        trained.add_special_tokens(["[NEW]"])
        assert vocabulary_of(trained.to_str()) == trained.get_vocab(with_added_tokens=True)
