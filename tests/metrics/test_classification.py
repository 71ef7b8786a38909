"""Labels and probabilities, against scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import calibration as their_calibration
from sklearn import metrics

from assay.errors import InputError
from assay.metrics.classification import classification, multilabel
from assay.metrics.confidence import binary, calibration, probabilities
from assay.metrics.scores import bootstrap, value_of

TOLERANCE = 1e-12


@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
def test_one_label_an_item_is_scikit_learns(zero_division: float) -> None:
    """Also classes that are never predicted, or never there."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kinds = int(rng.integers(2, 7))
        gold = rng.integers(kinds - seed % 2, size=30)
        found = np.where(rng.random(30) < 0.5, gold, rng.integers(seed % 3 == 0, kinds, size=30))
        ours = value_of(classification(gold.tolist(), found.tolist(), zero_division=zero_division))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(gold, found), abs=TOLERANCE)
            assert ours["balanced_accuracy"] == pytest.approx(
                metrics.balanced_accuracy_score(gold, found), abs=TOLERANCE
            )
            theirs = metrics.matthews_corrcoef(gold, found)
            one_alone = len(set(gold)) == 1 or len(set(found)) == 1  # 0 / 0, which scikit-learn says is 0
            assert ours["mcc"] == (None if one_alone else pytest.approx(theirs, abs=TOLERANCE))
            for average in ("micro", "macro", "weighted"):
                theirs = metrics.precision_recall_fscore_support(
                    gold, found, average=average, zero_division=zero_division
                )
                for name, value in zip(("precision", "recall", "f1"), theirs, strict=False):
                    expected = None if np.isnan(value) else pytest.approx(value, abs=TOLERANCE)
                    assert ours[f"{average}_{name}"] == expected, (seed, average, name)
            each = metrics.precision_recall_fscore_support(gold, found, zero_division=zero_division)
        for name, values in zip(("precision", "recall", "f1"), each, strict=False):
            for kind, value in zip(sorted({*gold.tolist(), *found.tolist()}), values, strict=True):
                assert ours[f"{name}[{kind}]"] == (None if np.isnan(value) else pytest.approx(value, abs=TOLERANCE))


def test_one_class_alone() -> None:
    ours = value_of(classification(["是"] * 5, ["是"] * 5))
    assert (ours["accuracy"], ours["balanced_accuracy"], ours["macro_f1"]) == (1, 1, 1)
    assert ours["mcc"] is None  # 0 / 0; scikit-learn says 0


def test_labels_that_are_in_neither_column_count_in_no_mean() -> None:
    gold, found = ["a", "b", "a"], ["a", "a", "a"]
    ours = value_of(classification(gold, found, labels=["c", "b", "a"]))
    assert ours["macro_f1"] == pytest.approx(metrics.f1_score(gold, found, average="macro", zero_division=0))
    assert ours["f1[c]"] is None
    assert [name for name in ours if name.startswith("f1[")] == ["f1[c]", "f1[b]", "f1[a]"]


def test_the_draws_are_scikit_learns_of_the_items_drawn() -> None:
    rng = np.random.default_rng(3)
    gold, found = rng.integers(5, size=(2, 25))
    times = rng.integers(0, 3, size=(30, 25))
    values = classification(gold.tolist(), found.tolist()).values(times.astype(float))
    for r in range(30):
        a, b = np.repeat(gold, times[r]), np.repeat(found, times[r])
        assert values["macro_f1"][r] == pytest.approx(metrics.f1_score(a, b, average="macro"), abs=TOLERANCE)
        assert values["mcc"][r] == pytest.approx(metrics.matthews_corrcoef(a, b), abs=TOLERANCE)


def test_sets_of_labels_are_scikit_learns() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        gold, found = rng.random((2, 25, 5)) < 0.3
        gold[:, 4] &= seed % 2 == 0
        sets = [[np.flatnonzero(row).tolist() for row in table] for table in (gold, found)]
        ours = value_of(multilabel(*sets, labels=range(5)))
        present = np.flatnonzero((gold | found).any(0))
        assert ours["subset_accuracy"] == pytest.approx(metrics.accuracy_score(gold, found), abs=TOLERANCE)
        for average in ("micro", "macro", "weighted"):
            theirs = metrics.precision_recall_fscore_support(
                gold, found, average=average, labels=present, zero_division=0
            )
            for name, value in zip(("precision", "recall", "f1"), theirs, strict=False):
                assert ours[f"{average}_{name}"] == pytest.approx(value, abs=TOLERANCE)


def test_areas_are_scikit_learns_with_ties() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        gold = np.arange(50) % 3 == 0
        scores = (rng.standard_normal(50) + gold).round(seed % 3)
        ours = value_of(binary(gold, scores))
        assert ours["roc_auc"] == pytest.approx(metrics.roc_auc_score(gold, scores), abs=TOLERANCE)
        assert ours["pr_auc"] == pytest.approx(metrics.average_precision_score(gold, scores), abs=TOLERANCE)
        times = rng.integers(0, 3, size=(3, 50))
        drawn = binary(gold, scores).values(times.astype(float))
        for r in range(3):
            a, b = np.repeat(gold, times[r]), np.repeat(scores, times[r])
            assert drawn["roc_auc"][r] == pytest.approx(metrics.roc_auc_score(a, b), abs=TOLERANCE)
            assert drawn["pr_auc"][r] == pytest.approx(metrics.average_precision_score(a, b), abs=TOLERANCE)
    assert value_of(binary([True, True], [0.1, 0.2])) == {"roc_auc": None, "pr_auc": None}


def soft(rng: np.random.Generator, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    logits = rng.standard_normal((n, k))
    table = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return np.array([rng.choice(k, p=row) for row in table]), table


@pytest.mark.parametrize("k", [2, 3, 6])
def test_probabilities_are_scikit_learns(k: int) -> None:
    for seed in range(5):
        gold, table = soft(np.random.default_rng(seed), 80, k)
        ours = value_of(probabilities(gold.tolist(), table, range(k)))
        given = table[:, 1] if k == 2 else table
        one_hot = gold == 1 if k == 2 else np.eye(k)[gold]
        assert ours["roc_auc"] == pytest.approx(
            metrics.roc_auc_score(gold, given, multi_class="ovr", average="macro"), abs=TOLERANCE
        )
        assert ours["pr_auc"] == pytest.approx(metrics.average_precision_score(one_hot, given), abs=TOLERANCE)
        assert ours["brier"] == pytest.approx(metrics.brier_score_loss(gold, given), abs=TOLERANCE)
        assert ours["log_loss"] == pytest.approx(metrics.log_loss(gold, table), abs=1e-9)


@pytest.mark.parametrize(("mass", "strategy"), [(False, "uniform"), (True, "quantile")])
def test_calibration_errors_are_those_of_scikit_learns_curve(mass: bool, strategy: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sure = rng.random(200).round(2)
        right = rng.random(200) < sure**2
        share, mean = their_calibration.calibration_curve(right, sure, n_bins=10, strategy=strategy)
        edges = np.percentile(sure, np.linspace(0, 100, 11)) if mass else np.linspace(0, 1, 11)
        counts = np.bincount(np.searchsorted(edges[1:-1], sure), minlength=10)
        theirs = (np.abs(share - mean) * counts[counts > 0]).sum() / 200
        name = "ece_mass" if mass else "ece"
        assert value_of(calibration(sure, right, bins=10, mass=mass))[name] == pytest.approx(theirs, abs=TOLERANCE)


def test_calibration_by_hand() -> None:
    """Two bins: (0.9, 0.7) of which one is right, and (0.2) which is wrong: |1.6 - 1| / 3 + |0.2 - 0| / 3."""
    assert value_of(calibration([0.9, 0.7, 0.2], [True, False, False], bins=2))["ece"] == pytest.approx(0.8 / 3)


def test_bad_labels_and_probabilities_are_told() -> None:
    with pytest.raises(InputError, match="prediction 2: 'c' is not among the labels -> the labels are a, b"):
        classification(["a", "b"], ["a", "c"], labels=["a", "b"])
    with pytest.raises(InputError, match="reference 1: 'ab' is no set"):
        multilabel(["ab"], [["a"]])
    with pytest.raises(InputError, match="item 2: are no probabilities"):
        probabilities([0, 1], np.array([[0.5, 0.5], [0.5, 0.6]]), [0, 1])
    with pytest.raises(InputError, match="3 labels for probabilities of shape"):
        probabilities([0, 1], np.full((2, 2), 0.5), [0, 1, 2])
    with pytest.raises(InputError, match="reference 2: 2 is not among"):
        probabilities([0, 2], np.full((2, 2), 0.5), [0, 1])
    with pytest.raises(InputError, match="item 1: score is not a number"):
        binary([True, False], [float("nan"), 0.0])


def test_every_value_of_probabilities_has_an_interval() -> None:
    gold, table = soft(np.random.default_rng(0), 200, 3)
    for score in bootstrap(probabilities(gold.tolist(), table, range(3)), replicates=200).values():
        assert score.value is not None and score.interval is not None
        assert score.interval[0] < score.interval[1]
        if not score.name.startswith("ece"):
            assert score.interval[0] < score.value < score.interval[1]


@pytest.mark.parametrize(("power", "n"), [(1.0, 300), (1.2, 300), (2.0, 300), (1.2, 1500)])
def test_intervals_of_calibration_errors_cover_the_true_one(power: float, n: int) -> None:
    """Confidences are even between 0 and 1, and right with the chance c^power: the true error is c - c^power's mean.

    Percentiles never hold the zero of probabilities that are right.
    """
    truth = 0.5 - 1 / (power + 1)
    inside = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sure = rng.random(n)
        found = bootstrap(calibration(sure, rng.random(n) < sure**power), replicates=200, seed=seed)["ece"].interval
        assert found is not None
        inside += found[0] <= truth <= found[1]
    assert inside >= stats.binom.ppf(0.01, 150, 0.9)
