"""The tokenizer: gigatoken and tokenizers agree, every byte is counted, no text can spell the special token."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from assay.errors import WorkError
from assay.tokens.learn import END_OF_TEXT, train_tokenizer
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder

TRAINING = [
    "the quick brown fox jumps over the lazy dog, and the dog doesn't mind; 1984 was 40 years ago.\n" * 5,
    "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？\n" * 5,
    "def f(x):\n    return x ** 2  # 平方\n\n\n" * 5,
]
TEXTS = {
    "English": "The dog wasn't lazy; it's 12:30.  Two  spaces,\ttabs and trailing blanks.   \n\n  Next.",
    "Chinese": "有朋自远方来，不亦乐乎？二〇二六年十一月，共１２３４项。",
    "mixed": "GPT-4 的损失是 1.25 bits，比 GPT-2 低了 30%。\r\nDon't 混用ABC中文。",
    "emoji": "👩‍👩‍👧‍👦 🇨🇳 🏳️‍🌈 é é ﷽ \u200b\ufeff",
    "empty": "",
    "special": f"a {END_OF_TEXT} b{END_OF_TEXT}{END_OF_TEXT}",
    "only special": END_OF_TEXT,
    "controls": "\x00\x01\x7f\x85\u2028\u2029\u00a0",
    "rare planes": "𠮷野家 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010ffff",
    "code": "for i in range(10):\n\tprint(f'{i:>3}')\n",
}


@pytest.fixture(scope="module")
def content() -> str:
    return train_tokenizer(TRAINING, 360)


@pytest.fixture(scope="module")
def encoder(content: str) -> Encoder:
    return Encoder(content)


@pytest.fixture(scope="module")
def reference(content: str) -> Tokenizer:
    """tokenizers itself, told as the library's users tell it not to look for special tokens in a text."""
    tokenizer = Tokenizer.from_str(content)
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode(encoder: Encoder, text: str) -> list[int]:
    ids, offsets = encoder.encode([text])
    assert offsets.tolist() == [0, len(ids)]
    return ids.tolist()


def check(encoder: Encoder, reference: Tokenizer, text: str) -> None:
    ids = encode(encoder, text)
    assert ids == reference.encode(text, add_special_tokens=False).ids
    assert END_OF_TEXT_ID not in ids
    assert encoder.token_bytes[ids].sum() == len(text.encode())
    assert reference.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_both_libraries_agree_and_every_byte_is_spelled_once(encoder: Encoder, reference: Tokenizer, text: str) -> None:
    check(encoder, reference, text)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.text(st.sampled_from("the dog's 不亦乐乎，12 \t\r\n<|endoftext|>é👍"), max_size=60)
)
def test_any_text_survives_the_round_trip(encoder: Encoder, reference: Tokenizer, text: str) -> None:
    check(encoder, reference, text)


def test_a_batch_is_its_texts_one_by_one(encoder: Encoder) -> None:
    texts = [*TEXTS.values(), ""]
    ids, offsets = encoder.encode(texts)
    assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == [encode(encoder, text) for text in texts]
    ids, offsets = encoder.encode([])
    assert len(ids) == 0
    assert offsets.tolist() == [0]


def test_the_vocabulary_is_as_large_as_asked_with_bytes_and_special_token(encoder: Encoder, content: str) -> None:
    assert encoder.vocabulary == 360
    assert Tokenizer.from_str(content).token_to_id(END_OF_TEXT) == END_OF_TEXT_ID
    assert encoder.token_bytes[END_OF_TEXT_ID] == 0
    assert (np.delete(encoder.token_bytes, END_OF_TEXT_ID) > 0).all()
    assert train_tokenizer(TRAINING, 360) == content  # the same texts give the same tokenizer


def test_merges_are_learned(encoder: Encoder) -> None:
    assert len(encode(encoder, " the dog")) < len(" the dog")
    assert len(encode(encoder, "不亦乐乎")) < len("不亦乐乎".encode())


def test_check_equal_passes_and_finds_a_difference(encoder: Encoder, content: str) -> None:
    encoder.check_equal(list(TEXTS.values()))
    other = Encoder(content)
    other._plain_json = train_tokenizer(["zzzz yyyy"], 300)  # as if the other library had other merges
    with pytest.raises(WorkError, match="differently"):
        other.check_equal([TEXTS["English"]])


def test_an_unknown_word_does_not_begin_a_document() -> None:
    """Files such as the quick tour of tokenizers makes: id 0 is [UNK], and stands for whatever is unknown."""
    from tokenizers import models, pre_tokenizers

    for names, marks in ((["[UNK]", "[SEP]", "a"], False), (["[SEP]", "[UNK]", "a"], True)):
        tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.add_special_tokens(["[UNK]", "[SEP]"])
        assert Encoder(tokenizer.to_str()).marks_documents is marks
