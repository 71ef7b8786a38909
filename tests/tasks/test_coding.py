"""Texts, words and contexts as rows of tokens: every row says where its text is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.tasks.coding import Coder, joined, spaced
from labelled import coder, encoder

KINDS = ["bpe", "unigram", "wordpiece", "character", "word"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_stands_between_begin_and_end(kind: str) -> None:
    made = coder(kind)
    (row,) = made.texts(["the film was great"])
    assert row.ids[0] == made.begin
    assert row.ids[-1] == made.end
    assert row.ids[row.own].tolist() == made.ids(["the film was great"])[0].tolist()
    assert row.cut == 0
    assert not row.kinds.any()


@pytest.mark.parametrize("kind", KINDS)
def test_long_texts_are_cut_and_rows_are_never_longer_than_allowed(kind: str) -> None:
    made = coder(kind, most=12)
    long, short = "the film was a story " * 10, "great"
    (row,) = made.texts([long])
    assert len(row.ids) == 12
    assert row.cut == len(made.ids([long])[0]) - 10
    for first, second in ((long, short), (short, long), (long, long), (short, short)):
        (pair,) = made.texts([first], [second])
        a, b = made.ids([first])[0], made.ids([second])[0]
        assert len(pair.ids) == min(12, len(a) + len(b) + 3)
        assert pair.kinds.sum() == (pair.kinds == 1).sum()
        ends = np.flatnonzero(~pair.own)
        assert ends[0] == 0
        assert ends[-1] == len(pair.ids) - 1
        assert pair.kinds[ends[1] + 1 :].all()
        assert not pair.kinds[: ends[1] + 1].any()
        kept = ends[1] - 1, len(pair.ids) - ends[1] - 2
        assert pair.ids[1 : 1 + kept[0]].tolist() == a[: kept[0]].tolist()
        assert pair.ids[ends[1] + 1 : -1].tolist() == b[: kept[1]].tolist()
        for n, whole in zip(kept, (a, b), strict=True):
            assert n == len(whole) or n >= 4  # the shorter one is whole where it can be, neither vanishes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", [["the", "film", "Ann", "in", "Oslo"], list("王明在北京看film")])
def test_each_word_has_its_first_token(kind: str, words: list[str]) -> None:
    made = coder(kind)
    ((row,),) = made.words([words])
    assert len(row.firsts) == len(words)
    assert (np.diff(row.firsts) > 0).all()
    ends = [*row.firsts[1:], len(row.ids) - 1]
    for word, begin, end in zip(words, row.firsts, ends, strict=True):
        spelled = made.encoder.decode(row.ids[begin:end]).strip()
        assert not spelled or spelled in (word, word.lower()) or made.encoder.unknown in row.ids[begin:end]


def test_words_are_encoded_as_in_their_sentence() -> None:
    made = coder("bpe")
    words = ["the", "film", "was", "great"]
    ((row,),) = made.words([words])
    assert row.ids[1:-1].tolist() == made.ids([joined(words)])[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_sentence_has_several_rows_that_hold_every_word_once(kind: str) -> None:
    made = coder(kind, most=10)
    words = ["film", "王", "story", "Oslo", "very"] * 7
    (rows,) = made.words([words])
    assert len(rows) > 1
    assert all(len(row.ids) <= 10 for row in rows)
    numbers = [row.begin + i for row in rows for i in range(len(row.firsts))]
    assert numbers == list(range(len(words)))


def test_words_that_a_tokenizer_cannot_spell_have_a_token_all_the_same() -> None:
    ((row,),) = coder("wordpiece").words([["film", "\u200b", "great"]])
    assert len(row.firsts) == 3
    assert len(set(row.firsts.tolist())) == 3


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "character"])
def test_windows_cover_a_context_and_say_where_their_tokens_stand(kind: str) -> None:
    made = coder(kind, most=24)
    context = "the film was a story and 王明 lives in 北京 so very great with Ann " * 3
    windows = made.windows("where lives Ann", context, 6)
    assert len(windows) > 1
    seen = np.zeros(len(context), bool)
    for window in windows:
        assert len(window.coded.ids) <= 24
        own = window.coded.ids[window.begin : window.begin + len(window.begins)]
        for token, begin, end in zip(own, window.begins, window.ends, strict=True):
            seen[begin:end] = True
            spelled = made.encoder.decode(np.array([token])).strip().removeprefix("##")
            if token != made.encoder.unknown and "\ufffd" not in spelled:
                assert spelled.lower() in context[begin:end].lower()
    assert all(seen[i] for i, letter in enumerate(context) if letter != " ")


def test_spaces_stand_between_words_of_scripts_that_have_them() -> None:
    assert joined(["a", "film", "，", "北", "京", "and", "b"]) == "a film，北京and b"
    assert spaced("a", "b")
    assert not spaced("a", "京")


def test_a_models_files_say_what_its_tokens_are_for(tmp_path: Path) -> None:
    own = encoder("bpe")
    name = next(iter(own.special))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"cls_token": name, "sep_token": {"content": name}}))
    made = Coder.of(own, 16, tmp_path)
    assert made.begin == made.end == own.special[name]


def test_rows_that_hold_no_text_are_refused() -> None:
    with pytest.raises(InputError, match="hold no text"):
        coder(most=4)
