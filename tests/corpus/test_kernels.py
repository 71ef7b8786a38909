"""Characters, signals and language: each against a plain Python version, or the library itself."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import py3langid
import pyarrow as pa
import pytest
from corpus_texts import batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus import characters as ch
from assay.corpus import language, signals

TEXT = st.text(alphabet="abZ é'\n\t,。中文字ひカ한1٣𠀀😀", max_size=60)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_code_points_and_back(texts: list[str]) -> None:
    column = pa.array(["before", *texts, "after"], pa.string())[1:-1]
    points, offsets = ch.points_of(column)
    assert np.diff(offsets).tolist() == [len(text) for text in texts]
    assert ch.text_of(points, offsets).to_pylist() == texts


@settings(max_examples=200, deadline=None)
@given(TEXT, st.data())
def test_equal_stretches_have_equal_hashes_and_others_do_not(text: str, data: st.DataObject) -> None:
    points, _ = ch.points_of(pa.array([text]))
    rolling = ch.Rolling(points)
    spans = [data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))) for _ in range(2)]
    (a, b), (c, d) = (tuple(sorted(span)) for span in spans)
    left, right = rolling.stretches(np.array([a, c]), np.array([b, d]))
    assert (left == right) == (text[a:b] == text[c:d])


def plain_signals(text: str) -> dict[str, float]:
    """The definition, one character at a time."""
    kinds = [unicodedata.category(c)[0] for c in text]
    n = len(text)
    seen, again = set(), 0
    lines = text.split("\n")
    for line in lines:
        if line.strip():
            again += len(line) if line in seen else 0
            seen.add(line)
    space = [c.isspace() and c not in "\x1c\x1d\x1e\x1f" for c in text]
    return {
        "n_chars": n,
        "letters": kinds.count("L") / n,
        "digits": kinds.count("N") / n,
        "punctuation": sum(k in "PS" for k in kinds) / n,
        "whitespace": sum(space) / n,
        "non_ascii": sum(c > "\x7f" for c in text) / n,
        "n_lines": len(lines) - (lines[-1] == ""),
        "duplicate_lines": again / n,
    }


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT.filter(bool), min_size=1, max_size=6))
def test_signals_are_their_definitions(texts: list[str]) -> None:
    rows = signals.signals(batch_of(texts)).to_pylist()
    for text, row in zip(texts, rows, strict=True):
        for name, value in plain_signals(text).items():
            assert row[name] == pytest.approx(value, abs=1e-6), (name, text)


def test_words_are_counted_in_both_scripts() -> None:
    texts = ["It's a dog's life, isn't it?", "三国演义，第一回", "我用 Python 写了 3 个程序", "...", "don't"]
    rows = signals.signals(batch_of(texts)).to_pylist()
    assert [row["n_words"] for row in rows] == [6, 7, 9, 0, 1]


def test_repetition_is_high_where_text_repeats() -> None:
    rows = signals.signals(batch_of([english(1), "the same again. " * 60, chinese(1), "重复的句子，" * 60]))
    repeated = rows.column("repeated_10grams").to_pylist()
    packed = rows.column("compression").to_pylist()
    assert max(repeated[0], repeated[2]) < 0.4 < min(repeated[1], repeated[3])
    assert min(packed[0], packed[2]) > 0.25 > max(packed[1], packed[3])


def test_signals_do_not_depend_on_batches() -> None:
    texts = [english(i) if i % 2 else chinese(i) + "\n" + english(i) for i in range(30)]
    whole = signals.signals(batch_of(texts)).to_pylist()
    batch = batch_of(texts)
    parts = [row for i in range(0, 30, 7) for row in signals.signals(batch.slice(i, 7)).to_pylist()]
    assert parts == whole


REAL = {
    "en": "The house stood on a slight rise just on the edge of the village, and looked over farmland.",
    "zh": "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。",
    "fr": "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, je dormais.",
    "ru": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "ja": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
}


def test_language_and_script_of_real_sentences() -> None:
    rows = language.annotate(batch_of([*REAL.values(), "12 + 34 = 46", "好"])).to_pylist()
    assert [row["language"] for row in rows] == [*REAL, "und", "und"]
    scripts = ["Latn", "Hani", "Latn", "Cyrl", "Jpan", "Hang", "Zyyy", "Hani"]
    assert [row["script"] for row in rows] == scripts


def test_the_batched_classifier_answers_as_the_library() -> None:
    texts = [*REAL.values(), *(v[: len(v) // 2] for v in REAL.values()), "SHOUTING IN CAPITALS IS RUDE"]
    assert language.classify(texts).tolist() == [py3langid.classify(text)[0] for text in texts]
    assert language.classify(["\u2500", texts[0]]).tolist() == ["und", "en"]


def test_a_bounded_stretch_from_the_middle_decides() -> None:
    text = REAL["fr"] * 2 + REAL["en"] * 100 + REAL["fr"] * 2
    stretch = language.stretches(pa.array([text, "短"])).to_pylist()
    assert len(stretch[0]) == language.STRETCH
    assert stretch[0] in text
    assert stretch[1] == "短"
    assert not re.search("bougie", stretch[0])
