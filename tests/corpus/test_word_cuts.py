"""Words: cut as spaCy cuts them, and as jieba's dictionary does, with no character lost."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import rjieba
from corpus_texts import chinese
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.text import characters as ch
from assay.corpus.text import dictionary
from assay.corpus.text import words as w
from assay.corpus.text.cuts import spans


def cut(text: str) -> list[str]:
    points, _ = ch.points_of(pa.array([text]))
    words = w.room(len(points))
    n = w.cut(points, w.kinds(), w.lists(), 0, len(points), words)
    return [text[a:b] for a, b in zip(words.begins[:n].tolist(), words.ends[:n].tolist(), strict=True)]


# What spaCy 3.8's English tokenizer makes of these (spacy.blank("en")), whitespace left out.
SPACY = {
    "Hello, world!": "Hello|,|world|!",
    "It's a dog's life, isn't it?": "It|'s|a|dog|'s|life|,|is|n't|it|?",
    "they'll you're I've I'd I'm": "they|'ll|you|'re|I|'ve|I|'d|I|'m",
    "“Don’t,” he said…": "“|Do|n’t|,|”|he|said|…",
    "wait...what? well ... no": "wait|...|what|?|well|...|no",
    "Mr. Smith (Ph.D.) lives in the U.S. now.": "Mr.|Smith|(|Ph.D.|)|lives|in|the|U.S.|now|.",
    "state-of-the-art well-known e-mail": "state|-|of|-|the|-|art|well|-|known|e|-|mail",
    "3.14 1,000 10-20 1+1 50%": "3.14|1,000|10|-|20|1|+|1|50|%",
    "$5 5$ €20": "$|5|5|$|€|20",
    "one,two;three a/b/c x=y": "one|,|two;three|a|/|b|/|c|x|=|y",
    "end.Start foo.bar C.I.A": "end|.|Start|foo.bar|C.I.A",
    "(nested [brackets]) {here}": "(|nested|[|brackets|]|)|{|here|}",
    "cannot word--word": "can|not|word|--|word",
    "f(x) x.y() a_b": "f(x|)|x.y|(|)|a_b",
    "5 > 3 & 2 < 4 #tag @name": "5|>|3|&|2|<|4|#|tag|@name",
    "© 2020 ★ star": "©|2020|★|star",
}


@pytest.mark.parametrize("text", SPACY)
def test_words_are_spacys(text: str) -> None:
    assert "|".join(cut(text)) == SPACY[text]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="aBz9 '’.,;-–—!?()[]\n\t\r#$%+=/…中é½", max_size=40))
def test_words_are_all_that_is_not_space(text: str) -> None:
    words = cut(text)
    assert "".join(words) == "".join(text.split())
    assert not any(word != word.strip() for word in words)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="aB9 '.,-!?(…", max_size=40), st.sampled_from([" ", "\n", "\t", "  "]))
def test_a_word_depends_on_nothing_beyond_a_space(text: str, space: str) -> None:
    assert cut(f"word{space}{text}{space}word") == ["word", *cut(text), "word"]


def by_dictionary(text: str) -> list[str]:
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    room = dictionary.room(len(points))
    n = dictionary.cut(points, 0, len(points), dictionary.dictionary(), room)
    ends = np.cumsum(room.lengths[:n]).tolist()
    return [text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("seed", range(20))
def test_chinese_is_cut_as_jieba_cuts_it(seed: int) -> None:
    text = chinese(seed, 2000)
    assert by_dictionary(text) == rjieba.cut(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="常在我们中国人是的了不一二三迢遰龦鿖㐀𠀀a9-._+%# ，\r\n🎉", max_size=30))
def test_rare_characters_names_and_marks_are_cut_as_jieba_cuts_them(text: str) -> None:
    assert by_dictionary(text) == rjieba.cut(text)


def test_text_without_spaces_is_cut_by_the_dictionary() -> None:
    text = "我用 Python 写了\n三个程序。"
    points, offsets = ch.points_of(pa.array([text]))
    words = spans(points, offsets)
    made = [text[a:b] for a, b in zip(words.begins.tolist(), words.ends.tolist(), strict=True)]
    assert made == [word for word in rjieba.cut(text) if word.strip()]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["to", "day", "today", "a", "b", "ab"]), min_size=2, max_size=12), st.data())
def test_hashes_of_ngrams(words: list[str], data: st.DataObject) -> None:
    """`joined` sees characters alone, `listed` sees words."""
    points, _ = ch.points_of(pa.array([" ".join(words)]))
    room = w.room(len(points))
    n = w.cut(points, w.kinds(), w.lists(), 0, len(points), room)
    w.spell(points, w.kinds(), room, n)
    spans = [sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n)))) for _ in range(2)]
    (a, b), (c, d) = spans
    joined = w.joined_hash(room, a, b) == w.joined_hash(room, c, d)
    assert joined == ("".join(words[a:b]) == "".join(words[c:d]))
    listed = w.listed_hash(room, a, b) == w.listed_hash(room, c, d)
    assert listed == (words[a:b] == words[c:d])
