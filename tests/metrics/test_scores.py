"""The bootstrap: coverage where the truth is known, invariances, what is undefined, what is drawn together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from assay.errors import InputError
from assay.metrics import scores
from assay.metrics.classification import classification, multilabel
from assay.metrics.confidence import binary
from assay.metrics.generation import exact_match
from assay.metrics.likelihood import likelihood
from assay.metrics.reading import reading
from assay.metrics.regression import kappa, regression
from assay.metrics.scores import Additive, bootstrap, draws, means, replicated, together, value_of
from assay.metrics.summaries import summaries
from assay.metrics.tagging import segmentation, tagging
from assay.metrics.translation import translation


def test_intervals_cover_the_mean_that_there_is() -> None:
    inside = 0
    for seed in range(300):
        column = np.random.default_rng(seed).exponential(size=100)
        found = bootstrap(means({"x": column}), level=0.9, replicates=300, seed=seed)["x"]
        assert found.interval is not None
        inside += found.interval[0] <= 1 <= found.interval[1]
    assert stats.binom.ppf(0.001, 300, 0.88) <= inside <= stats.binom.ppf(0.999, 300, 0.91)


def test_intervals_of_a_rank_correlation_are_as_wide_as_scipys() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(80).round(1)
    b = a + rng.standard_normal(80).round(1)
    found = bootstrap(regression(a, b), replicates=2000)["spearman"]
    theirs = stats.bootstrap(
        (a, b), lambda x, y: stats.spearmanr(x, y).statistic, paired=True, vectorized=False, method="percentile",
        n_resamples=2000, rng=rng,
    ).confidence_interval  # fmt: skip
    assert found.interval == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_documents_drawn_together_say_less_than_their_items() -> None:
    """Twenty items a document that are all alike are one: as wide as of the documents alone."""
    column = np.random.default_rng(1).standard_normal(40)
    documents = np.repeat(np.arange(40), 20)
    alone = bootstrap(means({"x": np.repeat(column, 20)}))["x"]
    grouped = bootstrap(means({"x": np.repeat(column, 20)}), groups=[f"d{i}" for i in documents])["x"]
    one_each = bootstrap(means({"x": column}))["x"]
    assert grouped.interval == pytest.approx(one_each.interval)
    assert alone.interval is not None and grouped.interval is not None
    width, wider = (high - low for low, high in (alone.interval, grouped.interval))
    assert wider == pytest.approx(width * 20**0.5, rel=0.1)
    assert "groups:40" in grouped.signature


def test_draws_hang_on_their_arguments_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(draws(50, 40, seed=3)))
    assert whole.shape == (40, 50)
    assert (whole.sum(1) == 50).all()
    monkeypatch.setattr(scores, "CELLS", 50 * 7)
    parts = list(draws(50, 40, seed=3))
    assert max(map(len, parts)) == 7
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(np.concatenate(list(draws(50, 40, seed=4))), whole)


def test_neither_order_nor_copies_change_a_value() -> None:
    rng = np.random.default_rng(2)
    gold, found = rng.integers(4, size=(2, 60))
    mixed = rng.permutation(60)
    measure = together(classification(gold.tolist(), found.tolist()), regression(gold, found + 0.5 * gold))
    other = together(
        classification(gold[mixed].tolist(), found[mixed].tolist()),
        regression(gold[mixed], (found + 0.5 * gold)[mixed]),
    )
    twice = together(
        classification([*gold.tolist()] * 2, [*found.tolist()] * 2),
        regression(np.tile(gold, 2), np.tile(found + 0.5 * gold, 2)),
    )
    assert len(value_of(measure)) > 20
    assert value_of(other) == pytest.approx(value_of(measure), abs=1e-12)
    assert value_of(twice) == pytest.approx(value_of(measure), abs=1e-12)


@pytest.mark.parametrize(
    ("measure", "gold", "found"),
    [
        (tagging, [["B-X", "I-X", "O"], ["O"], ["I-Y", "B-X"]], [["B-X", "O", "O"], ["B-X"], ["I-Y", "B-X"]]),
        (segmentation, [["北京", "大学"], ["我"]], [["北京大学"], ["我"]]),
        (reading, [["北京"], ["NBA", "nba联盟"], []], ["北京市", "NBA", "不知道"]),
        (translation, ["今天天气很好。", "我在北京大学学习。"], ["今天天气好。", "我在北京学习。"]),
        (summaries, ["The cat sat.\nIt slept.", "我爱北京"], ["A cat sat", "我爱大北京"]),
        (exact_match, ["Ａ", "b"], ["a.", "c"]),
        (kappa, [1, 2, 3, 3], [1, 3, 3, 2]),
        (multilabel, [[1, 2], [], [3]], [[1], [3], [3]]),
        (binary, [True, False, True, False], [0.9, 0.4, 0.4, 0.1]),
        (likelihood, [3.0, 5.0, 1.0], [2, 3, 1]),
    ],
)
def test_neither_order_nor_copies_change_a_value_of_any_kind(measure: Any, gold: list, found: list) -> None:
    once = value_of(measure(gold, found))
    assert value_of(measure(gold[::-1], found[::-1])) == pytest.approx(once, abs=1e-12)
    assert value_of(measure(gold * 3, found * 3)) == pytest.approx(once, abs=1e-9)


def test_a_draw_is_the_measure_of_the_items_drawn() -> None:
    """Additive and ranked measures alike: counting an item three times is having three of it."""
    rng = np.random.default_rng(5)
    a = rng.standard_normal(40).round(1)
    b = (a + rng.standard_normal(40)).round(1)
    (times,) = draws(40, 5, seed=0)
    found = regression(a, b).values(times)
    for r, row in enumerate(times.astype(int)):
        again = value_of(regression(np.repeat(a, row), np.repeat(b, row)))
        assert {name: found[name][r] for name in found} == pytest.approx(again, abs=1e-12)


def test_what_no_draw_moves_is_not_certain() -> None:
    sure = bootstrap(classification(["a", "b"] * 25, ["a", "b"] * 25))
    exact = stats.binomtest(50, 50).proportion_ci(0.95, "exact")
    assert sure["accuracy"].interval == pytest.approx((exact.low, 1.0))
    never = bootstrap(means({"x": [0] * 50}))["x"]
    assert never.interval == pytest.approx((0.0, 1 - exact.low))
    # Of the 25 items of a class, not of the 50 of all.
    assert sure["recall[a]"].interval == pytest.approx((stats.binomtest(25, 25).proportion_ci(0.95, "exact").low, 1.0))
    assert sure["recall[a]"].n == 25
    grouped = bootstrap(means({"x": [1] * 50}), groups=np.arange(50) // 10)["x"]
    assert grouped.interval == pytest.approx((stats.binomtest(5, 5).proportion_ci(0.95, "exact").low, 1.0))
    assert bootstrap(regression([1, 2, 3], [1, 2, 3]))["mse"].interval is None


def test_what_is_not_defined_is_none() -> None:
    found = bootstrap(means({"x": [None, 1.0, float("nan"), 3.0], "nothing": [None] * 4}))
    assert (found["x"].value, found["x"].n) == (2, 2)
    assert (found["nothing"].value, found["nothing"].interval, found["nothing"].n) == (None, None, 0)
    one = bootstrap(means({"x": [0.5]}))["x"]
    assert (one.value, one.interval) == (0.5, None)
    assert bootstrap(means({"x": [0.5, 1.0]}), replicates=0)["x"].interval is None
    # A draw misses the only item of its kind with a chance of (9/10)^10: its value is not defined there, and not 0.
    (drawn,) = replicated([means({"x": [1.0, *[None] * 9]})], 1000, seed=0)
    assert np.mean(np.isnan(drawn["x"])) == pytest.approx(0.9**10, abs=0.05)
    assert np.nanmin(drawn["x"]) == 1
    # What wants two certain items is defined in four draws of ten: too few for an interval.
    both = Additive(np.eye(9), lambda sums: {"x": np.where((sums[:, 0] > 0) & (sums[:, 1] > 0), sums[:, 0], np.nan)})
    assert (bootstrap(both)["x"].value, bootstrap(both)["x"].interval) == (1, None)


def test_signatures_name_all_that_a_value_depends_on() -> None:
    found = bootstrap(classification(["正", "负", "中"], ["正", "负", "正"]), replicates=200, seed=7)["macro_f1"]
    assert found.signature == "name:macro_f1|labels:3|zero_division:0|bootstrap:200|seed:7|version:1"


def test_bad_input_is_told() -> None:
    with pytest.raises(InputError, match=r"differ in number: 2 and 3"):
        classification([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="no references and predictions"):
        regression([], [])
    with pytest.raises(InputError, match="groups differ in number: 3 and 2"):
        bootstrap(means({"x": [1, 2, 3]}), groups=[1, 2])
    with pytest.raises(InputError, match="level 95"):
        bootstrap(means({"x": [1, 2, 3]}), level=95)
    with pytest.raises(InputError, match="reference 2: is not a finite number"):
        regression([1, float("nan")], [1, 2])
