"""Characters and language: each against a plain Python version, or the library itself."""

from __future__ import annotations

import numpy as np
import py3langid
import pyarrow as pa
from corpus_texts import batch_of, places
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.signals import language
from assay.corpus.text import characters as ch

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
    spans = [data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))) for _ in range(2)]
    (a, b), (c, d) = (tuple(sorted(span)) for span in spans)
    left, right = ch.stretches(points, np.array([a, c]), np.array([b, d]))
    assert (left == right) == (text[a:b] == text[c:d])


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
    assert language.classify(*places(texts)).tolist() == [py3langid.classify(text)[0] for text in texts]
    assert language.classify(*places(["\u2500", texts[0]])).tolist() == ["und", "en"]


def test_a_bounded_stretch_from_the_middle_decides() -> None:
    text = REAL["fr"] * 2 + REAL["en"] * 100 + REAL["fr"] * 2
    stretch = language.stretches(pa.array([text, "短"])).to_pylist()
    assert len(stretch[0]) == language.STRETCH
    assert stretch[0] in text
    assert stretch[1] == "短"
    assert "bougie" not in stretch[0]
