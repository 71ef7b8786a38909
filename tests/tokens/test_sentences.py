"""Words: what counts as one in English, Chinese and both; sentences that are streamed as often as wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
import rjieba

from assay.errors import InputError
from assay.tokens.learn import train_tokenizer
from assay.tokens.sentences import MOST_WORDS, words, words_of_tokens, write_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't 'quote' the U.S., it’s 2024!", ["don't", "quote", "the", "u", "s", "it's"]),
        ("naïve ÜBER-größe snake_case x86", ["naïve", "über", "größe", "snake", "case", "x"]),
        ("我们用GPT-4翻译《宪法》。", ["我们", "用", "gpt", "翻译", "宪法"]),
        ("時々、〇八", ["時", "々", "〇", "八"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("42 -- ... \n\t", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    found = words(text)
    if "々" in text:  # how rjieba cuts these is its own affair; that they are letters is ours
        assert "".join(found) == "".join(expected)
    else:
        assert found == expected


def test_chinese_is_cut_as_rjieba_cuts_it() -> None:
    text = "中华人民共和国的一切权力属于人民"
    assert words(text) == rjieba.cut(text)
    assert words(f"{text}，{text}") == 2 * rjieba.cut(text)


def test_sentences_are_read_as_often_as_wanted_and_hold_every_word(tmp_path: Path) -> None:
    texts = ["The cat sat.", "", "猫坐在垫子上。", " ".join(["word"] * (2 * MOST_WORDS + 5))]
    sentences = write_sentences(tmp_path / "words.txt", texts)
    first = list(sentences)
    assert first == list(sentences)
    assert [w for s in first for w in s] == [w for text in texts for w in words(text)]
    assert [len(s) for s in first[-3:]] == [MOST_WORDS, MOST_WORDS, 5]
    assert [path.name for path in tmp_path.iterdir()] == ["words.txt"]


def test_texts_without_words_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hold no word"):
        write_sentences(tmp_path / "words.txt", ["1 2 3", "..."])
    assert list(tmp_path.iterdir()) == []


def test_tokens_stand_for_the_words_that_they_spell() -> None:
    tokenizer = train_tokenizer(["the cat, the hat and 宪法 The cat 宪法"] * 20, 300)
    found = words_of_tokens(tokenizer)
    assert {"the", "cat", "hat", "宪法"} <= set(found)
    assert found.count("the") >= 2  # with a space before it and without, or in upper case
    assert found[0] == ""  # the special token
    assert len(found) <= 300
