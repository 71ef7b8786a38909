"""Answers: SQuAD's and CMRC 2018's rules, by tables worked out by hand and by their scripts, written out here."""

from __future__ import annotations

import collections
import re
import string

import numpy as np
import pytest
from nltk.tokenize import NLTKWordTokenizer

from assay.errors import InputError
from assay.metrics.reading import exact, f1, longest_run, reading
from assay.metrics.scores import bootstrap, value_of


@pytest.mark.parametrize(
    ("answer", "given", "same", "overlap"),
    [
        ("The Eiffel Tower", "eiffel tower.", True, 1),
        ("Denver Broncos", "the Denver Broncos team", False, 0.8),  # 2 of 3, 2 of 2
        ("in 1998", "1998", False, 2 / 3),
        ("cat cat dog", "cat dog dog", False, 2 / 3),  # cat once, dog once: 2 of 3 and 2 of 3
        ("U.S.", "us", True, 1),
        ("theatre", "atre", False, 0),  # an article is a word of its own
        ("Paris", "", False, 0),
    ],
)
def test_english_by_hand(answer: str, given: str, same: bool, overlap: float) -> None:
    assert exact(answer, given, "en") is same
    assert f1(answer, given, "en") == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("answer", "given", "same", "overlap"),
    [
        ("北京", "北京", True, 1),
        ("《红楼梦》", "红楼梦。", True, 1),
        ("曹雪芹", "作者曹雪芹", False, 2 * (3 / 5 * 1) / (3 / 5 + 1)),
        ("北京大学", "北京的大学", False, 4 / 9),  # the longest run is two of four and of five
        ("ipod touch播放器", "iPod播放器", False, 2 * 3 / (5 + 4)),  # 播放器; ipod does not touch it in the answer
        ("2008年8月", "2008年", False, 2 * 2 / (4 + 2)),
        ("NBA", "nba", True, 1),
        ("上海", "", False, 0),
        ("1,200人", "1200人", False, 2 * 1 / (2 + 2)),  # a comma of ASCII is no mark of the script
    ],
)
def test_chinese_by_hand(answer: str, given: str, same: bool, overlap: float) -> None:
    assert exact(answer, given, "zh") is same
    assert f1(answer, given, "zh") == pytest.approx(overlap)


def squad_f1(answer: str, given: str) -> float:
    """evaluate-v2.0.py."""

    def tokens(text: str) -> list[str]:
        text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
        return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text).split()

    gold, found = tokens(answer), tokens(given)
    same = sum((collections.Counter(gold) & collections.Counter(found)).values())
    if not gold or not found:
        return float(gold == found)
    if same == 0:
        return 0
    precision, recall = same / len(found), same / len(gold)
    return 2 * precision * recall / (precision + recall)


SPECIAL = [*"-:_*^/\\~`+=，。：？！“”；’《》", "……", *"·、「」（）－～『』"]


def cmrc_f1(answer: str, given: str) -> float:
    """cmrc2018_evaluate.py, with NLTK's cutter of words."""

    def segments(text: str) -> list[str]:
        out: list[str] = []
        pending = ""
        for char in text.lower().strip():
            if char in SPECIAL:
                continue
            if re.search("[\u4e00-\u9fa5]", char):
                out += NLTKWordTokenizer().tokenize(pending)
                pending = ""
                out.append(char)
            else:
                pending += char
        return out + NLTKWordTokenizer().tokenize(pending)

    a, b = segments(answer), segments(given)
    longest = 0
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[j]:
                table[i + 1, j + 1] = table[i, j] + 1
                longest = max(longest, table[i + 1, j + 1])
    if longest == 0:
        return 0
    precision, recall = longest / len(b), longest / len(a)
    return 2 * precision * recall / (precision + recall)


def test_random_answers_are_judged_as_by_the_scripts() -> None:
    rng = np.random.default_rng(0)
    words = ["the", "a", "An", "cat,", "dog", "U.S.", "re-do", "(1998)", "theme"]
    signs = [*"北京大学年，《》……。-()$?.", "NBA", " iPod ", "2008", "1,200.5", "'s ", "doesn't ", ", ", "..."]
    for _ in range(400):
        one, other = (" ".join(rng.choice(words, size=rng.integers(1, 7))) for _ in range(2))
        assert f1(one, other, "en") == pytest.approx(squad_f1(one, other), abs=1e-12), (one, other)
        one, other = ("".join(rng.choice(signs, size=rng.integers(1, 12))) for _ in range(2))
        if any(map(str.isalnum, one)) and any(map(str.isalnum, other)):
            assert f1(one, other, "zh") == pytest.approx(cmrc_f1(one, other), abs=1e-12), (one, other)


def test_the_longest_run_is_one_of_both() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        one, other = ("".join(rng.choice(list("甲乙丙"), size=8)) for _ in range(2))
        brute = max((j - i for i in range(9) for j in range(i, 9) if one[i:j] in other), default=0)
        assert longest_run(one, other) == brute


def test_several_answers_and_none() -> None:
    references = [["Paris", "Paris, France"], ["the river"], [], [""], ["blue"]]
    ours = value_of(reading(references, ["paris france", "river bank", "", "made up", "."]))
    assert ours == pytest.approx(
        {
            "exact_match": (1 + 0 + 1 + 0 + 0) / 5,
            "f1": (1 + 2 / 3 + 1 + 0 + 0) / 5,
            "has_answer_exact_match": 1 / 3,
            "has_answer_f1": (1 + 2 / 3) / 3,
            "no_answer_accuracy": 1 / 2,
        }
    )
    found = bootstrap(reading(references[:2], ["Paris", "river"]))
    assert found["no_answer_accuracy"].value is None
    assert (found["has_answer_f1"].n, found["no_answer_accuracy"].n) == (2, 0)
    assert "rules:squad|" in found["f1"].signature


def test_the_language_is_that_of_the_answers_or_told() -> None:
    # 曹雪芹 and 作者曹雪芹 share no word of English, and three characters.
    assert value_of(reading([["曹雪芹"]], ["作者曹雪芹"]))["f1"] == pytest.approx(0.75)
    assert value_of(reading([["曹雪芹"]], ["作者曹雪芹"], language="en"))["f1"] == 0
    # A name in Latin letters among Chinese answers is judged like them; among English ones like those.
    assert value_of(reading([["北京"], ["上海"], ["NBA"]], ["北京", "上海", "NBA联盟"]))["f1"] == pytest.approx(
        (2 + 0.5) / 3
    )
    assert value_of(reading([["Rome"], ["the NBA"]], ["Rome", "NBA"]))["exact_match"] == 1
    assert value_of(reading([["北京"], ["the NBA"]], ["北京", "NBA"]))["exact_match"] == 1  # half are not most
    mixed = [["the NBA"], ["北京"], ["Rome"]]
    assert value_of(reading(mixed, ["NBA", "北京市", "Rome"]))["f1"] == pytest.approx((1 + 0.8 + 1) / 3)
    assert value_of(reading(mixed[:2], ["NBA", "北京市"], language=["zh", "zh"]))["f1"] == pytest.approx(
        (2 / 3 + 0.8) / 2
    )
    assert "rules:squad+cmrc2018" in bootstrap(reading(mixed, ["", "", ""]), replicates=10)["f1"].signature


def test_bad_answers_are_told() -> None:
    with pytest.raises(InputError, match="reference 2: is a string"):
        reading([["a"], "b"], ["a", "b"])
    with pytest.raises(InputError, match="'fr' is no language"):
        reading([["a"]], ["a"], language="fr")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="differ in number: 1 and 2"):
        reading([["a"]], ["a", "b"])
