"""Marian's own tokenizer gives the ids and texts of transformers', and a translator keeps it."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import InputError
from assay.evaluation import Request, perplexity
from assay.models import interop
from assay.models.interop.directory import Special, write_directory
from assay.present.progress import Progress
from assay.pretrain.start import start
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.marian import MarianTokenizer
from assay.tokens.tokenizer import Encoder
from assay.train.objectives import pairs

transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH = ["The old man and the sea, 1952.", "don't stop: 3 boats left", "A small boat on the sea.", "naïve café"]
CHINESE = ["春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。", "他买了3本书和2支笔。", "大海上有一条小船。"]
HARD = [
    *ENGLISH, *CHINESE, "", " ", "  two  spaces \n and\tmore ", "ｆｕｌｌ　ｗｉｄｔｈ", "𠮷 未见之字 🥊",
    "tied ▁ knots", ">>zho<< The old man", ">>zho<<船", ">>fra<< a boat", " >>zho<< a boat", ">> a boat << left",
    "“quotes” – and …",
]  # fmt: skip


def spm(texts: list[str], kind: str) -> bytes:
    """A small SentencePiece model."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 20), model_writer=made, vocab_size=70, model_type=kind, character_coverage=1.0,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return made.getvalue()


def directory(folder: Path, sides: tuple[list[str], list[str]], kind: str) -> Path:
    """source.spm, target.spm and a vocab.json of both in the order of opus-mt, some pieces left out of it."""
    folder.mkdir()
    pieces = ["</s>", "<unk>"]
    for name, texts in zip(("source", "target"), sides, strict=True):
        content = spm(texts, kind)
        (folder / f"{name}.spm").write_bytes(content)
        model = sentencepiece.SentencePieceProcessor(model_proto=content)
        pieces += [model.id_to_piece(i) for i in range(3, model.get_piece_size())]  # behind <unk>, <s>, </s>
    kept = [piece for piece in dict.fromkeys(pieces) if piece not in ("3", "。")]
    ids = {piece: i for i, piece in enumerate([*kept, ">>zho<<", "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["en-zh", "zh-en"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sides, kind = ((ENGLISH, CHINESE), "unigram") if request.param == "en-zh" else ((CHINESE, ENGLISH), "bpe")
    return directory(tmp_path_factory.mktemp("marian") / "m", sides, kind)


def theirs(folder: Path) -> Any:
    made = transformers.MarianTokenizer.from_pretrained(folder)
    made.punc_normalizer = lambda text: text  # what it is without sacremoses
    return made


def test_ids_and_texts_are_those_of_transformers(folder: Path) -> None:
    ours, expected = MarianTokenizer.load(folder), theirs(folder)
    sources, targets = ours.encode_source(HARD), ours.encode_target(HARD)
    assert sources == expected(HARD)["input_ids"]
    assert targets == expected(text_target=HARD)["input_ids"]
    assert sources != targets
    assert any(ours.unknown in row for row in targets)
    for ids in (*sources, *targets):
        for of_source in (False, True):  # transformers decodes by source.spm where it is not told
            text = expected.decode(ids, skip_special_tokens=True, use_source_tokenizer=of_source)
            assert ours.decode([*ids, ours.pad]) == text
    assert (ours.end, ours.pad, ours.unknown) == (
        expected.eos_token_id, expected.pad_token_id, expected.unk_token_id,
    )  # fmt: skip
    assert ours.vocabulary == expected.vocab_size
    assert ours.decode(np.array(ours.encode_target(["a small boat, 小船"])[0])) == ours.decode(
        ours.encode_target(["a small boat, 小船"])[0]
    )


def test_a_text_cannot_end_itself(folder: Path) -> None:
    """transformers takes `</s>` within a text for the end; here a text is text."""
    ours = MarianTokenizer.load(folder)
    for ids in (*ours.encode_source(["a </s> b<pad>"]), *ours.encode_target(["a </s> b<pad>"])):
        assert ids.count(ours.end) == 1 and ids[-1] == ours.end and ours.pad not in ids


def translator(folder: Path, place: Path) -> Path:
    """A model directory as transformers saves it, of random weights, with the tokenizer of `folder`."""
    tokenizer = MarianTokenizer.load(folder)
    config = transformers.MarianConfig(
        vocab_size=tokenizer.vocabulary, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=40, decoder_ffn_dim=40, max_position_embeddings=64,
        eos_token_id=tokenizer.end, forced_eos_token_id=tokenizer.end, pad_token_id=tokenizer.pad,
        decoder_start_token_id=tokenizer.pad, scale_embedding=True,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.MarianMTModel(config).save_pretrained(place)
    theirs(folder).save_pretrained(place)
    return place


def test_a_translator_is_read_asked_and_written_with_its_tokenizer(folder: Path, tmp_path: Path) -> None:
    translator(folder, tmp_path / "opus")
    tokenizer, model = MarianTokenizer.load(tmp_path / "opus"), interop.load(tmp_path / "opus")
    batch = pairs(tokenizer.encode_source(ENGLISH), tokenizer.encode_target(CHINESE), model.config.start)
    write_directory(
        tmp_path / "again", model, tokenizer.files, card="A translator.", special=Special(**tokenizer.special)
    )
    for name in ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "opus" / name).read_bytes()
    for place in ("opus", "again"):
        other = transformers.MarianMTModel.from_pretrained(tmp_path / place).eval()
        opened = transformers.AutoTokenizer.from_pretrained(tmp_path / place)
        opened.punc_normalizer = lambda text: text
        given = opened(ENGLISH, text_target=CHINESE, padding=True, return_tensors="pt")
        labels = given.pop("labels")
        given["labels"] = labels.masked_fill(labels == opened.pad_token_id, -100)
        with torch.no_grad():
            expected, found = float(other(**given).loss), float(model.loss(batch).mean)
            assert found == pytest.approx(expected, rel=1e-5)
            translated = other.generate(given["input_ids"], max_new_tokens=5)
        assert tokenizer.decode(translated[0].tolist()) == opened.decode(translated[0], skip_special_tokens=True)
    write_directory(tmp_path / "again", model, None, card="Without one.")
    assert not {"source.spm", "target.spm", "vocab.json"} & {path.name for path in (tmp_path / "again").iterdir()}


@pytest.mark.parametrize("name", ["models.md", "models.zh-CN.md"])
def test_the_code_in_the_documentation_runs(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator(folder, tmp_path / "opus-mt-en-zh")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```py\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    there: dict[str, Any] = {}
    exec(compile(code, name, "exec"), there)
    assert float(there["loss"].detach()) > 0
    assert (tmp_path / "mine" / "source.spm").read_bytes() == (folder / "source.spm").read_bytes()


def test_verbs_that_read_one_text_say_so(folder: Path, tmp_path: Path) -> None:
    place = translator(folder, tmp_path / "opus")
    recipe = PretrainRecipe.model_validate({"model": {"preset": "marian", "path": str(place)}})
    with pytest.raises(InputError, match="a tokenizer for each side, and a recipe has one for both"):
        start(recipe)
    with pytest.raises(InputError, match="predicts no next token"):
        perplexity(Request(place, ["no text"]), Progress(quiet=True))


def test_a_larger_tokenizer_than_the_model_is_not_written(folder: Path, tmp_path: Path) -> None:
    from assay.models.build import build
    from assay.models.seq2seq import transformer

    tokenizer = MarianTokenizer.load(folder)
    small = build(transformer(tokenizer.vocabulary - 1, 1, 24, 3), None)
    said = rf"vocab.json: the tokenizer has {tokenizer.vocabulary} ids, .* {tokenizer.vocabulary - 1} rows"
    with pytest.raises(InputError, match=said):
        write_directory(tmp_path / "m", small, tokenizer.files, card="A card.")
    with pytest.raises(InputError, match=r"target\.spm is not among"):
        write_directory(tmp_path / "m", small, {name: b"{}" for name in ("source.spm", "vocab.json")}, card="A card.")
    assert not (tmp_path / "m").exists()


def test_what_is_no_pair_of_tokenizers_is_told_in_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = MarianTokenizer.load(folder).files
    cases: list[tuple[dict[str, bytes], str]] = [
        ({"source.spm": b""}, "source.spm: is no SentencePiece model"),
        ({"target.spm": b"no model"}, "target.spm: is no SentencePiece model"),
        ({"vocab.json": b"["}, "vocab.json: cannot be read as JSON"),
        ({"vocab.json": b"[]"}, "vocab.json: is no JSON object"),
        ({"vocab.json": b'{"a": "b"}'}, "vocab.json: is no table of pieces and ids"),
        ({"vocab.json": b'{"</s>": 0, "<unk>": 1}'}, "vocab.json: has no <pad>"),
        ({"tokenizer_config.json": b'{"separate_vocabs": true}'}, "tokenizer_config.json: says that each language"),
    ]
    for changed, said in cases:
        with pytest.raises(InputError, match=said) as caught:
            MarianTokenizer({**files, **changed}, folder)
        assert "\n" not in caught.value.line() and str(folder) in caught.value.line()
    with pytest.raises(InputError, match=r"source\.spm: is not there"):
        MarianTokenizer.load(tmp_path)
    with pytest.raises(InputError, match=r"id 999 is none of a vocabulary"):
        MarianTokenizer(files).decode([0, 999])
    with pytest.raises(InputError, match=r"pair of tokenizers \(source\.spm, target\.spm\) and no tokenizer\.json"):
        Encoder.load(folder)
    named = MarianTokenizer({**files, "tokenizer_config.json": b'{"pad_token": {"content": "</s>"}}'})
    assert named.pad == named.end
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(InputError, match=r"sentencepiece is not installed.*pip install 'assay\[marian\]'"):
        MarianTokenizer.load(folder)
