"""ROUGE: rouge-score on random texts of words, tables of Chinese worked out by hand, its cut of characters."""

from __future__ import annotations

import numpy as np
import pytest
from rouge_score import rouge_scorer

from assay.errors import InputError
from assay.metrics.pieces import has_han, n_grams, pieces
from assay.metrics.scores import bootstrap, value_of
from assay.metrics.summaries import ROUGES, summaries

WORDS = ["The", "cat", "sat", "on", "a", "mat,", "dog's", "3.5", "x_y", "(well)", "...", "re-run", "\n", "\n\n"]


def text(rng: np.random.Generator, longest: int = 40) -> str:
    return " ".join(rng.choice(WORDS, size=rng.integers(0, longest)))


def test_random_english_is_scored_as_by_rouge_score() -> None:
    scorer = rouge_scorer.RougeScorer(list(ROUGES))
    rng = np.random.default_rng(0)
    for _ in range(150):
        gold, found = text(rng), text(rng)
        ours = value_of(summaries([gold], [found]))
        for name, theirs in scorer.score(gold, found).items():
            assert ours[name] == pytest.approx(theirs.fmeasure, abs=1e-12), (name, gold, found)
            assert ours[f"{name}_precision"] == pytest.approx(theirs.precision, abs=1e-12)
            assert ours[f"{name}_recall"] == pytest.approx(theirs.recall, abs=1e-12)


class Characters:
    """For rouge-score: Chinese as characters."""

    def tokenize(self, said: str) -> list[str]:
        return [sign for sign in said if has_han(sign)]


def test_random_chinese_is_scored_as_by_rouge_score_with_characters() -> None:
    scorer = rouge_scorer.RougeScorer(list(ROUGES), tokenizer=Characters())
    rng = np.random.default_rng(1)
    for _ in range(80):
        gold, found = ("".join(rng.choice(list("天地玄黄，。\n"), size=rng.integers(1, 40))) for _ in range(2))
        ours = value_of(summaries([gold], [found]))
        for name, theirs in scorer.score(gold, found).items():
            assert ours[name] == pytest.approx(theirs.fmeasure, abs=1e-12), (name, gold, found)


def test_chinese_by_hand() -> None:
    """我爱北京 | 我爱大北京: 4 of 4 and of 5 characters; 我爱 and 北京 of three and of four pairs."""
    ours = value_of(summaries(["我爱北京。"], ["我爱大北京"]))
    assert (ours["rouge1_recall"], ours["rouge1_precision"]) == (1, pytest.approx(4 / 5))
    assert (ours["rouge2_recall"], ours["rouge2_precision"]) == (pytest.approx(2 / 3), pytest.approx(2 / 4))
    assert ours["rougeL"] == pytest.approx(2 * 4 / 9)
    # Latin words are whole: two of three pieces.
    assert value_of(summaries(["用 Python 写"], ["用python学"]))["rouge1"] == pytest.approx(2 / 3)
    assert value_of(summaries(["２０２４年"], ["2024年"]))["rouge2"] == 1


def test_pieces() -> None:
    assert pieces("用GPT-4写诗，Ｏｋ？") == ["用", "gpt", "4", "写", "诗", "ok"]
    assert pieces("Don't, naïve x_y 3.5") == ["don", "t", "naïve", "x", "y", "3", "5"]
    assert pieces("東京タワー 𠀀") == [*"東京タワー", "𠀀"]
    assert n_grams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert n_grams(["a"], 2) == []


def test_of_several_references_the_best_counts() -> None:
    scorer = rouge_scorer.RougeScorer(list(ROUGES))
    rng = np.random.default_rng(2)
    for _ in range(20):
        golds, found = [text(rng) for _ in range(3)], text(rng)
        ours = value_of(summaries([golds], [found]))
        for name, theirs in scorer.score_multi(golds, found).items():
            assert ours[name] == pytest.approx(theirs.fmeasure, abs=1e-12)
            assert ours[f"{name}_recall"] == pytest.approx(theirs.recall, abs=1e-12)


def test_values_are_means_over_items_with_intervals() -> None:
    rng = np.random.default_rng(3)
    golds, founds = ([text(rng) for _ in range(60)] for _ in range(2))
    whole = bootstrap(summaries(golds, founds), replicates=300)["rougeL"]
    alone = [value_of(summaries([gold], [found]))["rougeL"] for gold, found in zip(golds, founds, strict=True)]
    assert whole.value == pytest.approx(np.mean([one for one in alone if one is not None]))
    assert whole.interval is not None and whole.interval[0] < whole.value < whole.interval[1]
    assert "units:words+han|stemmer:no" in whole.signature


def test_items_without_reference_are_told() -> None:
    with pytest.raises(InputError, match="item 2: has no reference"):
        summaries([["a"], []], ["a", "b"])
