"""Variety, repetition and exact match: by hand, by counting again without a text, and coverage of distinct-n."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from assay.errors import InputError
from assay.metrics.generation import exact_match, generation, normalized
from assay.metrics.pieces import n_grams, pieces
from assay.metrics.scores import Additive, bootstrap, value_of


def test_by_hand() -> None:
    """a b a b | a c: 3 kinds of 6; ab ba ac of 4 pairs. 好好学习 | 学习: 3 kinds of 6."""
    ours = value_of(generation(["a b a b", "a c"], stopped=[True, False], columns={"in_language": [1, None]}))
    assert ours["distinct_1"] == pytest.approx(3 / 6)
    assert ours["distinct_2"] == pytest.approx(3 / 4)
    assert ours["distinct_3"] == 1
    assert ours["repeated_1"] == pytest.approx((2 / 4 + 0) / 2)
    assert ours["repeated_2"] == pytest.approx((1 / 3 + 0) / 2)
    assert ours["repeated_3"] == 0  # of the first text alone: the other has none
    assert (ours["mean_length"], ours["stopped"], ours["in_language"]) == (3, 0.5, 1)
    chinese = value_of(generation(["好好学习", "学习"], lengths=[7, 3]))
    assert chinese["distinct_1"] == pytest.approx(3 / 6)
    assert chinese["mean_length"] == 5
    assert chinese["self_repetition"] == 0


def test_texts_that_repeat_each_other() -> None:
    """The four-grams abcd (twice in the first text, and in the second) and bcde (once in both)."""
    ours = value_of(generation(["a b c d e x a b c d", "z a b c d e", "p q r s t u"]))
    assert ours["self_repetition"] == pytest.approx((2 + 1 + 1 + 1) / (7 + 3 + 3))
    assert value_of(generation(["a b c d a b c d"]))["self_repetition"] == 0  # by itself it repeats no other


def counted(texts: list[list[str]]) -> dict[str, float]:
    grams = [n_grams(one, 2) for one in texts]
    fours = [n_grams(one, 4) for one in texts]
    having = Counter(gram for one in fours for gram in set(one))
    total = sum(map(len, fours))
    return {
        "distinct_2": len({gram for one in grams for gram in one}) / sum(map(len, grams)),
        "self_repetition": sum(having[gram] > 1 for one in fours for gram in one) / total,
    }


def test_what_is_summed_is_what_each_text_adds() -> None:
    """As far as it is above the mean: counted by leaving each text out. The sum is the whole."""
    rng = np.random.default_rng(0)
    words = [f"{letter} {letter}x" for letter in "abcdefgh"]
    texts = [" ".join(rng.choice(words, size=rng.integers(3, 9))) for _ in range(12)]
    cut = [pieces(text) for text in texts]
    measure = generation(texts)
    for name, length in (("distinct_2", 2), ("self_repetition", 4)):
        (part,) = (part for part in measure.parts if set(part.kinds) == {name})
        assert isinstance(part, Additive)
        summed, sizes = part.statistics.T
        whole = counted(cut)[name] * sizes.sum()
        assert sizes.tolist() == [len(n_grams(one, length)) for one in cut]
        rest = [counted(cut[:i] + cut[i + 1 :])[name] * (sizes.sum() - sizes[i]) for i in range(12)]
        adds = whole - np.array(rest)
        assert summed.sum() == pytest.approx(whole)
        assert summed - summed.mean() == pytest.approx(adds - adds.mean())
        assert adds.std() > 0


def test_intervals_of_distinct_n_cover_its_expectation() -> None:
    """Texts of a Zipfian vocabulary, each with its own taste; the mean over many sets is what is expected."""
    vocabulary = np.array([f"w{i}" for i in range(2000)])
    weights = 1 / np.arange(1, 2001)

    def texts(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        made = []
        for _ in range(60):
            own = weights * rng.gamma(0.5, size=2000)
            made.append(" ".join(rng.choice(vocabulary, size=rng.integers(10, 40), p=own / own.sum())))
        return made

    found = [bootstrap(generation(texts(seed)), replicates=300, level=0.9) for seed in range(80)]
    for name in ("distinct_1", "distinct_2"):
        expected = np.mean([one[name].value for one in found])  # type: ignore[misc]
        inside = sum(one[name].interval[0] <= expected <= one[name].interval[1] for one in found)  # type: ignore[index]
        assert inside >= 62, (name, inside)  # of 72 that are wanted


def test_exact_match_looks_past_case_width_and_marks() -> None:
    for one, other in [
        ("The answer.", "the Answer"), ("答案：Ａ", "答案A。"), ("北京 大学", "北京大学"), ("“Ｈi！”", "hi"),
        ("don't", "Dont"), ("２．５", "2.5"), ("《红楼梦》", "红楼梦"), ("  a  b ", "a b"),
    ]:  # fmt: skip
        assert normalized(one) == normalized(other), (one, other)
    for one, other in [
        ("2.5", "25"),
        ("-5", "5"),
        ("C#", "C"),
        ("50%", "50"),
        ("a b", "ab"),
        ("!", "?"),
        ("3-4", "34"),
    ]:
        assert normalized(one) != normalized(other), (one, other)
    assert normalized("答案：Ａ。") == "答案a"
    assert normalized("The U.S.A., -1.5 %") == "the usa -1.5 %"
    ours = bootstrap(exact_match([["四", "4"], ["Paris"], ["x"]], ["４。", "paris!", "y"]))["exact_match"]
    assert ours.value == pytest.approx(2 / 3)
    assert "normalized:nfkc+case+punctuation+spaces" in ours.signature


def test_columns_of_other_lengths_are_told() -> None:
    with pytest.raises(InputError, match="differ in number: 2 and 1"):
        generation(["a", "b"], stopped=[True])
    with pytest.raises(InputError, match="no texts"):
        generation([])
