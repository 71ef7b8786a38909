"""Which tokens go on with a word: by the words of the text, Chinese ones too, whatever the tokenizer."""

from __future__ import annotations

import numpy as np
import pytest
import rjieba

from assay.tokens.learn import Kind, train_tokenizer
from assay.tokens.tokenizer import Encoder
from assay.tokens.whole_words import WholeWords

TEXTS = [
    "The unbelievable transformation of languages, 我们今天在北京学习自然语言处理技术。",
    "不可思议的模型 don't stop 数据质量",
]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "character"])
def test_hidden_words_are_whole(kind: Kind) -> None:
    encoder = Encoder(train_tokenizer([*TEXTS] * 30, 340, kind, special=("<|mask|>",)))
    ids, offsets = encoder.encode(TEXTS)
    row = np.concatenate([[0], ids[: offsets[1]], [0], ids[offsets[1] :]]).astype(np.int64)
    continues = WholeWords(encoder)(row[None])[0]
    assert not continues[row == 0].any()
    groups: list[list[int]] = []
    for token, goes_on in zip(row.tolist(), continues.tolist(), strict=True):
        if goes_on:
            groups[-1].append(token)
        else:
            groups.append([token])
    spelled = [
        b"".join(encoder.surface.spelled[token] for token in group).decode("utf-8", "replace") for group in groups
    ]
    words = {word.strip() for word in spelled}
    for expected in ("unbelievable", "transformation", "languages", "stop"):
        assert expected in words or expected.lower() in words, words
    for text in TEXTS if kind != "bpe" else ():  # whose tokens may end within a character
        chinese = [w for w in rjieba.cut("".join(c for c in text if "\u4e00" <= c <= "\u9fff")) if len(w) > 1]
        assert len(set(chinese) & words) >= len(set(chinese)) - 1, (chinese, words)


def test_a_row_may_begin_and_end_within_a_character() -> None:
    encoder = Encoder(train_tokenizer(["abc"] * 30, 300))
    ids, _ = encoder.encode(["数据模型"])  # bytes, each a token
    for first in range(4):
        row = ids[first : len(ids) - 1].astype(np.int64)
        continues = WholeWords(encoder)(row[None])[0]
        assert not continues[0]
        assert continues[1:].any()
