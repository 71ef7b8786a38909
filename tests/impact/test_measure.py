"""Differences with intervals: against scipy, simulation and bootstrap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import special, stats

from assay import ledger
from assay.impact.measure import (
    POOLED_WEIGHT,
    Difference,
    Measurements,
    _inverse_trigamma,
    _pooled_weight,
    seed_interval,
)
from assay.ledger import JOB, Ledger
from assay.metrics.ratio import ratio_variance
from assay.store import Artifact, Store

SEEDS, PER_SOURCE, D = 5, 12, 1000
SOURCES = ["a", "b", "c"]
CELLS = ["natural", "x", "y", "z"]
RNG = np.random.default_rng(1)
DOCUMENTS = pl.DataFrame(
    {
        "doc_id": [f"{s}{i:02d}" for s in SOURCES for i in range(PER_SOURCE)],
        "source": [s for s in SOURCES for _ in range(PER_SOURCE)],
        "unit": list(range(PER_SOURCE)) * 3,
        "n_tokens": [10] * 36,
        "n_bytes": RNG.integers(20, 200, 36),
    }
)
EVALUATION = {"eval": DOCUMENTS, "test": DOCUMENTS}
LEVELS = {"natural": 1.0, "x": 1.1, "y": 0.95, "z": 1.0}
# Nats of each cell, seed and document: a level a byte, and noise of the seed and of the document.
NLL = {
    cell: (LEVELS[cell] + 0.02 * RNG.standard_normal((SEEDS, 1)) + 0.05 * RNG.standard_normal((SEEDS, 36)))
    * DOCUMENTS["n_bytes"].to_numpy()
    for cell in CELLS
}


def part(store: Store, cell: str, seed: int) -> Artifact:
    run: dict[str, Any] = dict.fromkeys(ledger.RUNS.names) | {
        "run_id": f"{cell}-{seed}", "cell": cell, "seed": seed, "D": D, "status": "done"
    }  # fmt: skip
    rows = [
        {"run_id": run["run_id"], "step": 1, "split": split, "doc_id": doc_id, "n_tokens": 10,
         "nll": nll + 5 * (split == "test")}
        for split in ("eval", "test")
        for doc_id, nll in zip(DOCUMENTS["doc_id"], NLL[cell][seed], strict=True)
    ]  # fmt: skip
    RNG.shuffle(rows)  # type: ignore[arg-type]

    def make(folder: Path) -> None:
        ledger.write_tables(folder, {"runs": [run], "losses": [], "document_losses": rows})

    return store.build(JOB, {}, {"cell": cell, "seed": seed}, make)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Artifact]]:
    store = Store(tmp_path_factory.mktemp("store"))
    return store, [part(store, cell, seed) for cell in CELLS for seed in reversed(range(SEEDS))]


@pytest.fixture(scope="module")
def measured(parts: tuple[Store, list[Artifact]]) -> Measurements:
    return Measurements(Ledger(parts[0]), parts[1], EVALUATION)


def bpb(cell: str) -> np.ndarray:
    """(seeds, targets) by hand: bits over bytes of each source, and the mean over sources."""
    n_bytes = DOCUMENTS["n_bytes"].to_numpy().reshape(3, PER_SOURCE)
    own = NLL[cell].reshape(SEEDS, 3, PER_SOURCE).sum(2) / np.log(2) / n_bytes.sum(1)
    return np.concatenate([own.mean(1, keepdims=True), own], 1)


def test_bits_per_byte_are_as_counted_by_hand(measured: Measurements) -> None:
    assert measured.targets == ["", *SOURCES]
    assert measured.seeds == list(range(SEEDS))
    for cell in CELLS:
        np.testing.assert_allclose(measured.bpb(cell, D), bpb(cell), rtol=1e-12)
    assert measured.has("x", D)
    assert not measured.has("x", D + 1)
    assert not measured.has("nothing", D)


def test_the_test_split_is_read_only_where_it_is_asked_for(
    parts: tuple[Store, list[Artifact]], measured: Measurements
) -> None:
    with pytest.raises(KeyError):
        measured.bpb("natural", D, "test")
    both = Measurements(Ledger(parts[0]), parts[1], EVALUATION, ("eval", "test"))
    assert (both.bpb("natural", D, "test") > both.bpb("natural", D)).all()


def test_an_unpooled_difference_is_the_paired_t_test_of_scipy(measured: Measurements) -> None:
    """One cell alone: there is nothing to pool with."""
    for t, found in enumerate(measured.differences(["x"], "natural", D)["x"]):
        seeds = Difference(found.estimate, found.se_seeds, 0.0, found.df_seeds)
        expected = stats.ttest_rel(bpb("x")[:, t], bpb("natural")[:, t])
        assert seeds.estimate == pytest.approx((bpb("x") - bpb("natural"))[:, t].mean())
        assert seeds.p_value == pytest.approx(expected.pvalue)
        assert seeds.df == expected.df
        interval = expected.confidence_interval(0.9)
        assert seeds.interval(0.9) == pytest.approx((interval.low, interval.high))


def test_cells_of_unequal_seeds_are_compared_over_those_that_both_have(
    parts: tuple[Store, list[Artifact]],
) -> None:
    """Of x five runs, of y the first three: each is scipy's paired test; together each keeps its own seeds."""
    had = {"natural": 5, "x": 5, "y": 3}
    some = [one for one in parts[1] if had.get(one.manifest["config"]["cell"], 0) > one.manifest["config"]["seed"]]
    measured = Measurements(Ledger(parts[0]), some, EVALUATION)
    assert not measured.has("y", D) and measured.of(range(3)).has("y", D)
    assert measured.common(("y", D), ("natural", D)) == [0, 1, 2]
    for cell, n in (("x", 5), ("y", 3)):
        for t, found in enumerate(measured.differences([cell], "natural", D)[cell]):
            expected = stats.ttest_rel(bpb(cell)[:n, t], bpb("natural")[:n, t])
            seeds = Difference(found.estimate, found.se_seeds, 0.0, found.df_seeds)
            assert (found.n_seeds, seeds.df) == (n, expected.df)
            assert seeds.p_value == pytest.approx(expected.pvalue)
    both = measured.differences(["x", "y"], "natural", D)
    changes = [bpb("x") - bpb("natural"), (bpb("y") - bpb("natural"))[:3]]
    variances = np.stack([change.var(axis=0, ddof=1) for change in changes])
    pooled = (4 * variances[0] + 2 * variances[1]) / 6
    for own, variance, cell in zip((4, 2), variances, "xy", strict=True):
        shrunk = np.array([found.se_seeds**2 for found in both[cell]]) * (own + 1)
        weight = {found.df_seeds for found in both[cell]}.pop() - own
        assert weight > 0
        np.testing.assert_allclose(shrunk, (weight * pooled + own * variance) / (weight + own))
    assert both["x"][0].df_seeds - both["y"][0].df_seeds == pytest.approx(2)


def test_what_the_choice_of_documents_adds_widens_the_interval(measured: Measurements) -> None:
    for found in measured.differences(["x"], "natural", D)["x"]:
        seeds = Difference(found.estimate, found.se_seeds, 0.0, found.df_seeds)
        assert found.se_documents > 0
        assert found.se == pytest.approx((found.se_seeds**2 + found.se_documents**2) ** 0.5)
        assert found.df >= seeds.df


def test_levels_are_differences_from_nothing(parts: tuple[Store, list[Artifact]]) -> None:
    """What is added stands beside the runs; a level is judged as its difference from a loss of zero would be."""
    measured = Measurements(Ledger(parts[0]), parts[1], EVALUATION)
    for seed in range(SEEDS):
        measured.add("counted", D, seed, "eval", NLL["x"][seed])
        measured.add("zero", D, seed, "eval", np.zeros(len(DOCUMENTS)))
    np.testing.assert_array_equal(measured.bpb("counted", D), measured.bpb("x", D))
    assert measured.levels("counted", D) == measured.between(measured.bpb("x", D), ("x", D), ("zero", D), "eval")
    for t, found in enumerate(measured.levels("x", D)):
        assert found.estimate == pytest.approx(bpb("x")[:, t].mean())
        mean, interval = seed_interval(bpb("x")[:, t], 0.9)
        expected = stats.ttest_1samp(bpb("x")[:, t], 0).confidence_interval(0.9)
        assert (mean, *interval) == pytest.approx((found.estimate, expected.low, expected.high))
        assert found.se > found.se_seeds  # documents add to it


def test_a_cells_variance_is_drawn_towards_that_of_all_cells(measured: Measurements) -> None:
    alone = {cell: measured.differences([cell], "natural", D)[cell] for cell in CELLS[1:]}
    together = measured.differences(CELLS[1:], "natural", D)
    for t in range(4):
        own = np.array([alone[cell][t].se_seeds for cell in CELLS[1:]])
        shrunk = np.array([together[cell][t].se_seeds for cell in CELLS[1:]])
        assert np.ptp(shrunk) < np.ptp(own)
        np.testing.assert_array_equal(np.argsort(shrunk), np.argsort(own))
        assert (shrunk**2).mean() == pytest.approx((own**2).mean())  # variance is moved, not lost
        assert together["x"][t].df_seeds > alone["x"][t].df_seeds
        assert together["x"][t].estimate == alone["x"][t].estimate


def test_theratio_variance_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    n_bytes = rng.integers(50, 1000, 60).astype(float)
    change = 0.1 * n_bytes + rng.standard_normal(60) * n_bytes**0.5
    draws = rng.integers(0, 60, (20_000, 60))
    ratios = change[draws].sum(1) / n_bytes[draws].sum(1)
    assert ratio_variance(change, n_bytes) == pytest.approx(ratios.var(), rel=0.1)
    assert ratio_variance(0.3 * n_bytes, n_bytes) == pytest.approx(0)  # all documents agree


def test_the_variance_of_the_mean_over_sources_is_that_of_independent_sources(measured: Measurements) -> None:
    found, df = measured.document_variance(("x", D), ("natural", D))
    assert found[0] == pytest.approx(found[1:].sum() / 9)
    assert df[1:].tolist() == [PER_SOURCE - 1] * 3
    assert PER_SOURCE - 1 < df[0] <= 3 * (PER_SOURCE - 1)


def test_pieces_of_one_text_count_as_one(parts: tuple[Store, list[Artifact]]) -> None:
    """Documents in pairs: the variance is that of the bootstrap over pairs, and there are half as many of them."""
    paired = DOCUMENTS.with_columns(unit=pl.col("unit") // 2)
    measured = Measurements(Ledger(parts[0]), parts[1], {"eval": paired, "test": paired})
    found, df = measured.document_variance(("x", D), ("natural", D))
    assert df[1:].tolist() == [PER_SOURCE / 2 - 1] * 3
    change = (NLL["x"] - NLL["natural"]).mean(0)[:PER_SOURCE].reshape(-1, 2).sum(1) / np.log(2)
    n_bytes = DOCUMENTS["n_bytes"].to_numpy()[:PER_SOURCE].reshape(-1, 2).sum(1).astype(float)
    assert found[1] == pytest.approx(ratio_variance(change, n_bytes))
    one_text = DOCUMENTS.with_columns(unit=pl.when(pl.col("source") == "b").then(0).otherwise(pl.col("unit")))
    assert Measurements(Ledger(parts[0]), parts[1], {"eval": one_text, "test": DOCUMENTS}).sources == ["a", "c"]


def test_intervals_cover_where_a_few_documents_decide() -> None:
    """Three held-out documents are three, however many seeds there were."""
    rng = np.random.default_rng(6)
    held = {2.0: 0, 1e6: 0}
    for _ in range(3000):
        documents = rng.standard_normal(3) * 0.05
        se = documents.std(ddof=1) / 3**0.5
        for df in held:
            low, high = Difference(float(documents.mean()), 0.001, float(se), 3, df).interval(0.9)
            held[df] += low <= 0 <= high
    assert 0.88 < held[2.0] / 3000 < 0.95
    assert held[1e6] / 3000 < 0.82  # what it was when documents were taken to be many


def test_cells_share_their_variance_only_as_far_as_they_are_alike() -> None:
    rng = np.random.default_rng(7)
    cells = 8
    df = np.full(cells, 3)

    def estimated(true: np.ndarray) -> np.ndarray:
        return true[:, None] * rng.chisquare(3, (cells, 200)) / 3

    most = min(POOLED_WEIGHT, (cells - 1) * 3)
    assert _pooled_weight(estimated(np.ones(cells)), df, 0.0) > 0.6 * most
    # Half of the cells ten times as noisy in standard deviation: nearly nothing is shared.
    assert _pooled_weight(estimated(np.repeat([1.0, 100.0], 4)), df, 0.0) < 1
    # Variances from the prior that is assumed: its degrees of freedom come back.
    prior = 4 / rng.chisquare(4, (cells, 2000))
    found = _pooled_weight(prior * rng.chisquare(3, (cells, 2000)) / 3, df, 0.0)
    assert found == pytest.approx(4, rel=0.15)
    assert _pooled_weight(np.ones((1, 4)), df[:1], 0.0) == 0


@pytest.mark.parametrize("x", [0.05, 0.3, 1.0, 4.0, 50.0])
def test_the_inverse_of_trigamma_is_its_inverse(x: float) -> None:
    assert _inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-6)


def test_intervals_cover_at_their_level() -> None:
    """Simulated seeds and documents: an interval at 90 % holds the truth about nine times in ten."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(2000):
        seeds = rng.standard_normal(4) * 0.02
        found = Difference(0.1 + seeds.mean() + 0.01 * rng.standard_normal(), seeds.std(ddof=1) / 2, 0.01, 3)
        low, high = found.interval(0.9)
        held.append(low <= 0.1 <= high)
    assert 0.87 < np.mean(held) < 0.95


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(4)
    changes = rng.standard_normal((3000, 5))
    p = [Difference(c.mean(), c.std(ddof=1) / 5**0.5, 0.0, 4).p_value for c in changes]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_the_minimum_detectable_difference_is_found_with_its_power() -> None:
    rng = np.random.default_rng(5)
    least = Difference(0.0, 0.03, 0.0, 40).minimum_detectable(0.05)
    changes = least + rng.standard_normal((4000, 41)) * 0.03 * 41**0.5
    p = [Difference(c.mean(), c.std(ddof=1) / 41**0.5, 0.0, 40).p_value for c in changes]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.03)


def test_an_interval_excludes_zero_where_the_p_value_says_so() -> None:
    for estimate in (-0.3, -0.05, 0.02, 0.1, 0.4):
        found = Difference(estimate, 0.05, 0.04, 4)
        for level in (0.8, 0.9, 0.99):
            low, high = found.interval(level)
            assert (low > 0 or high < 0) is (found.p_value < 1 - level)
    assert Difference(0.0, 0.0, 0.0, 4).p_value == 1
    assert Difference(0.1, 0.0, 0.0, 4).p_value == 0


def test_an_interaction_is_what_two_changes_do_beyond_their_sum(measured: Measurements) -> None:
    (found,) = measured.interactions({"z": ("x", "y")}, "natural", [], D).values()
    by_seed = bpb("z") - bpb("x") - bpb("y") + bpb("natural")
    for t, difference in enumerate(found):
        expected = stats.ttest_1samp(by_seed[:, t], 0.0)
        seeds = Difference(difference.estimate, difference.se_seeds, 0.0, difference.df_seeds)
        assert seeds.estimate == pytest.approx(by_seed[:, t].mean())
        assert seeds.p_value == pytest.approx(expected.pvalue)
    pooled = measured.interactions({"z": ("x", "y")}, "natural", ["x", "y"], D)["z"]
    assert [d.estimate for d in pooled] == [d.estimate for d in found]
    assert all(d.df_seeds > SEEDS - 1 for d in pooled)


def test_intervals_of_interactions_cover_where_effects_add_up() -> None:
    """Of 400 studies of four cells and four seeds, whose runs have the same luck: 90 % intervals hold zero."""
    rng, held, studies = np.random.default_rng(3), 0, 400
    documents = pl.DataFrame({"doc_id": ["a0", "a1"], "source": "a", "unit": [0, 1], "n_tokens": 10, "n_bytes": 100})
    for _ in range(studies):
        made = Measurements(Ledger(Store(Path("unused"))), [], {"eval": documents, "test": documents}, ())
        made._documents["eval"] = made._document_arrays(documents)
        made.seeds = list(range(4))
        for cell, level in {"natural": 1.0, "x": 1.2, "y": 1.1, "both": 1.3}.items():
            for seed in made.seeds:
                made.add(cell, D, seed, "eval", np.full(2, 100 * (level + 0.01 * rng.standard_normal())))
        (found,) = made.interactions({"both": ("x", "y")}, "natural", ["x", "y"], D).values()
        low, high = found[0].interval(0.9)
        held += low <= 0 <= high
    assert 0.86 < held / studies < 0.94
