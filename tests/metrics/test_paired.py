"""Two systems on the same items: SciPy's and statsmodels' tests, all swaps by hand, how often verdicts are wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from assay.errors import InputError
from assay.metrics.classification import classification
from assay.metrics.confidence import binary
from assay.metrics.generation import generation
from assay.metrics.paired import _seed_deviation, compare, compare_seeds, corrected
from assay.metrics.regression import regression
from assay.metrics.scores import AMOUNT, ERROR, means, value_of
from assay.metrics.significance import holm, mcnemar
from assay.metrics.translation import translation


def of(column: Any) -> Any:
    return means({"x": column})


def test_all_swaps_of_few_items_are_scipys_exact_test() -> None:
    for seed in range(5):
        a, b = np.random.default_rng(seed).standard_normal((2, 9)).round(1)
        theirs = stats.permutation_test(
            (a, b), lambda x, y: x.mean() - y.mean(), permutation_type="samples", n_resamples=np.inf, vectorized=False
        )
        assert compare(of(a), of(b))["x"].p_value == pytest.approx(theirs.pvalue, abs=1e-12)


def test_swaps_of_a_measure_that_is_no_mean_by_hand() -> None:
    """Macro-F1, Spearman's correlation and areas: each of 2^8 ways to swap items, computed anew from the items."""
    rng = np.random.default_rng(1)
    gold, a, b = rng.integers(3, size=(3, 8))
    a = np.where(rng.random(8) < 0.8, gold, a)
    labels = range(3)

    def exact(measured: Any, name: str) -> float:
        def difference(x: np.ndarray, y: np.ndarray) -> float:
            one, other = (value_of(measured(column))[name] for column in (x, y))
            return np.nan if one is None or other is None else one - other

        ways = [np.array(way) for way in itertools.product([False, True], repeat=8)]
        found = np.array([difference(np.where(way, b, a), np.where(way, a, b)) for way in ways])
        found = found[~np.isnan(found)]
        return float((np.abs(found) >= abs(difference(a, b)) - 1e-12).mean())

    def labelled(column: np.ndarray) -> Any:
        return classification(gold.tolist(), column.tolist(), labels=labels)

    def ranked(column: np.ndarray) -> Any:
        return regression(gold, column)

    def areas(column: np.ndarray) -> Any:
        return binary(gold > 0, column)

    for measured, name in [(labelled, "macro_f1"), (labelled, "accuracy"), (ranked, "spearman"), (areas, "roc_auc")]:
        ours = compare(measured(a), measured(b))[name].p_value
        assert ours == pytest.approx(exact(measured, name), abs=1e-12), name


def test_swaps_by_chance_are_near_scipys() -> None:
    a, b = np.random.default_rng(2).standard_normal((2, 60))
    b = b + 0.3
    theirs = stats.permutation_test((a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), permutation_type="samples",
                                    vectorized=True, rng=0)  # fmt: skip
    ours = compare(of(a), of(b), replicates=4000)["x"]
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.03)
    assert ours.p_bootstrap == pytest.approx(theirs.pvalue, abs=0.04)


def test_the_interval_is_scipys_paired_bootstrap_and_the_least_seen_a_t_tests() -> None:
    rng = np.random.default_rng(3)
    a = rng.standard_normal(200)
    b = 0.9 * a + 0.3 * rng.standard_normal(200)
    ours = compare(of(a), of(b), replicates=4000)["x"]
    theirs = stats.bootstrap((a - b,), np.mean, method="percentile", rng=0).confidence_interval
    assert ours.difference == pytest.approx((a - b).mean())
    assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=0.005)
    error = (a - b).std(ddof=1) / 200**0.5
    assert ours.minimum_detectable == pytest.approx((1.959964 + 0.841621) * error, rel=0.05)
    alone = stats.bootstrap((a,), np.mean, method="percentile", rng=0).confidence_interval
    assert ours.interval is not None
    assert ours.interval[1] - ours.interval[0] < (alone.high - alone.low) / 2  # pairs see more than each by itself


def test_the_least_that_is_seen_is_seen_four_times_of_five() -> None:
    rng = np.random.default_rng(4)
    seen = []
    for seed in range(200):
        noise = rng.standard_normal((2, 60))
        least = (1.959964 + 0.841621) * (2 / 60) ** 0.5
        found = compare(of(noise[0] + least), of(noise[1]), replicates=300, seed=seed)["x"]
        assert found.minimum_detectable == pytest.approx(least, rel=0.5)
        seen.append(found.verdict == "better")
    assert np.mean(seen) == pytest.approx(0.8, abs=0.09)


def test_systems_that_are_alike_are_told_apart_as_rarely_as_the_level_says() -> None:
    rng = np.random.default_rng(5)
    wrong = 0
    for seed in range(300):
        gold = rng.integers(2, size=50)
        a, b = (np.where(rng.random(50) < 0.7, gold, 1 - gold) for _ in range(2))
        found = compare(classification(gold.tolist(), a.tolist()), classification(gold.tolist(), b.tolist()),
                        replicates=200, seed=seed)  # fmt: skip
        wrong += found["accuracy"].verdict != "indistinguishable"
    assert wrong <= stats.binom.ppf(0.999, 300, 0.05)


def test_verdicts_say_which_is_better() -> None:
    rng = np.random.default_rng(6)
    low = rng.random(50) / 10
    up = low + 1 + rng.random(50) / 10
    assert compare(of(up), of(low))["x"].verdict == "better"
    assert compare(of(low), of(up))["x"].verdict == "worse"
    # No swap by chance is as far, and the found one counts: never zero.
    assert compare(of(low), of(up), replicates=999)["x"].p_value == pytest.approx(1 / 1000)
    errors = [means({"x": column}, {"x": ERROR}) for column in (up, low)]
    assert compare(*errors)["x"].verdict == "worse"
    amounts = [means({"x": column}, {"x": AMOUNT}) for column in (up, low)]
    assert compare(*amounts)["x"].verdict == "different"
    same = compare(of(low), of(low))["x"]
    assert (same.difference, same.p_value, same.verdict, same.minimum_detectable) == (0, 1, "indistinguishable", None)


def test_four_items_are_too_few_for_a_verdict() -> None:
    """All four differ the same way: of 16 ways to swap two are as extreme."""
    found = compare(of([1.0] * 4), of([0.0] * 4))["x"]
    assert found.p_value == pytest.approx(2 / 16)
    assert found.verdict == "indistinguishable"
    assert found.interval == pytest.approx((stats.binomtest(4, 4).proportion_ci(0.95, "exact").low, 1))
    one = compare(of([1.0]), of([0.0]))["x"]
    assert (one.interval, one.verdict) == (None, "indistinguishable")


def test_documents_are_swapped_as_wholes() -> None:
    """Ten items each of five documents: the 2^5 ways of the documents' means."""
    a, b = np.random.default_rng(7).standard_normal((2, 5))
    grouped = compare(of(np.repeat(a, 10)), of(np.repeat(b, 10)), groups=np.repeat(np.arange(5), 10))["x"]
    alone = compare(of(a), of(b))["x"]
    assert grouped.p_value == pytest.approx(alone.p_value)
    assert grouped.interval == pytest.approx(alone.interval)
    assert "groups:5" in grouped.signature


def test_what_one_system_does_not_have_is_not_compared() -> None:
    found = compare(of([None, None, None]), of([1.0, 2.0, 3.0]))["x"]
    assert (found.a, found.b, found.difference, found.p_value, found.verdict) == (
        None,
        2,
        None,
        None,
        "indistinguishable",
    )


def test_systems_measured_differently_are_refused() -> None:
    with pytest.raises(InputError, match="differ in number: 2 and 3"):
        compare(of([1, 2]), of([1, 2, 3]))
    with pytest.raises(InputError, match="measured differently"):
        compare(classification(["a", "b"], ["a", "b"]), classification(["a", "b"], ["a", "c"]))
    with pytest.raises(InputError, match="same labels or types"):  # as many labels, and other ones
        compare(classification(["a", "b"], ["a", "c"]), classification(["a", "b"], ["a", "d"]))
    with pytest.raises(InputError, match="measured differently"):
        compare(classification(["a"], ["b"]), classification(["a"], ["b"], zero_division=1))


def test_every_kind_of_measure_can_be_compared() -> None:
    texts = ["the cat sat on the mat today", "it rains again in the city", "he bought some apples and pears"]
    for measure in (translation(texts, texts[::-1]), generation(texts), regression([1, 2, 3], [2, 1, 3])):
        for name, found in compare(measure, measure, replicates=50).items():
            assert found.difference in (0, None), name
            assert found.verdict == "indistinguishable"


def test_mcnemars_test_is_statsmodels() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b = rng.random((2, 60)) < [[0.8], [0.6]]
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        assert mcnemar(a, b, exact=True).p_value == pytest.approx(their_mcnemar(table, exact=True).pvalue, abs=1e-12)
        found = mcnemar(a, b, exact=False)
        assert (found.only_a, found.only_b) == (table[0][1], table[1][0])
        if found.only_a != found.only_b:
            assert found.p_value == pytest.approx(their_mcnemar(table, exact=False).pvalue, abs=1e-12)
        assert mcnemar(a, b).method == ("exact" if found.only_a + found.only_b < 25 else "chi-square")
    assert mcnemar([True, False], [False, True], exact=False).p_value == 1
    assert mcnemar([True, False], [True, False]).p_value == 1


def test_holms_correction_is_statsmodels() -> None:
    for seed in range(20):
        p = np.random.default_rng(seed).random(7) ** 3
        p[3] = p[4]
        assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
    assert holm([]) == []


def test_corrected_verdicts() -> None:
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((6, 80)) / 4
    found = [
        compare(of(noise[0] + shift), of(column))["x"]
        for shift, column in zip((0.1, 1, 0, 0, 0), noise[1:], strict=True)
    ]
    by_hand = holm([one.p_value for one in found if one.p_value is not None])
    after = corrected(found)
    assert [one.p_value for one in after] == pytest.approx(by_hand)
    assert [one.family for one in after] == [5] * 5
    assert (found[0].verdict, after[0].verdict, after[1].verdict) == ("better", "indistinguishable", "better")
    assert [one.interval for one in after] == [one.interval for one in found]


def crossed(rng: np.random.Generator, k: int, shift: float, n: int = 80, seeds: float = 0.15) -> tuple[list, list]:
    """Items that are hard for all, seeds that are good at all, and both by chance."""
    items = rng.standard_normal(n)
    both = []
    for mean in (shift, 0.0):
        both.append([
            of(items + mean + seeds * rng.standard_normal() + rng.standard_normal(n) * 0.5) for _ in range(k)
        ])  # fmt: skip
    return both[0], both[1]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_intervals_over_seeds_and_items_cover_the_difference_of_recipes(k: int) -> None:
    rng = np.random.default_rng(9)
    inside = wrong = one_seed = 0
    for seed in range(200):
        a, b = crossed(rng, k, 0.3)
        found = compare_seeds(a, b, replicates=200, seed=seed)["x"]
        assert found.interval is not None
        inside += found.interval[0] <= 0.3 <= found.interval[1]
        a, b = crossed(rng, k, 0.0)
        wrong += compare_seeds(a, b, replicates=200, seed=seed)["x"].verdict != "indistinguishable"
        one_seed += compare(a[0], b[0], replicates=200, seed=seed)["x"].verdict != "indistinguishable"
    assert inside >= stats.binom.ppf(0.001, 200, 0.93)
    assert wrong <= stats.binom.ppf(0.999, 200, 0.06)
    assert one_seed > 2 * wrong  # one model of each says nothing of recipes


def test_seeds_that_are_paired_see_more() -> None:
    rng = np.random.default_rng(10)
    luck = rng.standard_normal(5)
    items = rng.standard_normal((2, 5, 100)) / 10
    a, b = ([of(items[i, j] + luck[j] + 0.2 * (i == 0)) for j in range(5)] for i in range(2))
    apart, together = compare_seeds(a, b)["x"], compare_seeds(a, b, paired=True)["x"]
    assert apart.difference == pytest.approx(together.difference)
    assert (apart.verdict, together.verdict) == ("indistinguishable", "better")
    assert apart.minimum_detectable is not None and together.minimum_detectable is not None
    assert apart.minimum_detectable > 5 * together.minimum_detectable
    assert "seeds:5+5p|" in together.signature


def test_seeds_alone_are_welchs_t_test() -> None:
    """Many items that are all alike: what is left is the noise of seeds."""
    rng = np.random.default_rng(11)
    levels = rng.standard_normal(4), rng.standard_normal(6) + 1
    a, b = ([of(np.full(50, level)) for level in own] for own in levels)
    found = compare_seeds(a, b, replicates=4000)["x"]
    theirs = stats.ttest_ind(*levels, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    assert found.interval == pytest.approx(theirs.confidence_interval(), rel=0.15)
    paired = compare_seeds(a, b[:4], paired=True)["x"]
    assert paired.p_value == pytest.approx(stats.ttest_rel(levels[0], levels[1][:4]).pvalue, abs=1e-9)


def test_drawn_seeds_vary_as_much_as_the_mean_of_new_ones() -> None:
    """Means of three drawn from three vary by two thirds of it."""
    levels = np.array([0.1, 0.5, 1.2])
    drawn = _seed_deviation(np.tile(levels, (40000, 1)), np.random.default_rng(0))
    assert drawn.var() == pytest.approx(levels.var(ddof=1) / 3, rel=0.03)


def test_one_seed_is_no_sample_of_seeds() -> None:
    with pytest.raises(InputError, match="1 and 2 seeds"):
        compare_seeds([of([1, 2])], [of([1, 2]), of([1, 2])])
    with pytest.raises(InputError, match="differ in number: 2 and 3"):
        compare_seeds([of([1, 2])] * 2, [of([1, 2])] * 3, paired=True)
