"""Surfaces of mixtures against other libraries, brute force and laws that are known; the bars of published runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge as Reference

from assay.fits import mixture_tables
from assay.impact.surfaces import blend, choice, ensemble, optimum
from assay.impact.surfaces.exponential import Exponential
from assay.impact.surfaces.features import Features
from assay.impact.surfaces.forms import Form
from assay.impact.surfaces.kernel import Kernel
from assay.impact.surfaces.ridge import Ridge

F64 = np.ndarray
FORMS: list[Form] = [Ridge((0.01,)), Ridge((0.001, 0.03)), Kernel((0.001, 0.03), 2.0), Exponential()]
RATES = np.array([[-2.0, 0.3, -0.5], [0.2, -1.5, -0.7]]).T  # of a mixing law with three sources and two targets
FLOORS = np.array([1.2, 2.0])


def drawn(runs: int, sources: int, seed: int = 0) -> F64:
    return np.random.default_rng(seed).dirichlet(np.ones(sources), runs)


def law(shares: F64) -> F64:
    """(..., targets)"""
    return np.asarray(FLOORS + np.exp(shares @ RATES))


def alike(form: Form, targets: int, penalty: float = 0.01) -> list[choice.Choice]:
    return [choice.Choice(form, penalty, np.zeros(0), 0.0)] * targets


def counts_of(runs: int, seed: int = 3) -> F64:
    return np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), size=3).astype(float)


def test_ridge_is_that_of_scikit_learn() -> None:
    x, counts, penalties = drawn(40, 3), counts_of(40), np.array([0.3, 5.0])
    found = Ridge((0.01,)).fit(x, law(x), penalties, counts)
    z = Features.of((0.01,), x).at(x)
    for draw, count in enumerate(counts):
        for target, penalty in enumerate(penalties):
            reference = Reference(alpha=penalty).fit(z, np.log(law(x)[:, target]), sample_weight=count)
            np.testing.assert_allclose(found.predict(x[None])[draw, :, target], np.exp(reference.predict(z)), rtol=1e-9)


def test_kernel_ridge_is_that_of_scikit_learn() -> None:
    x, counts, form = drawn(40, 3), counts_of(40), Kernel((0.001,), 2.0)
    found = form.fit(x, law(x), np.array([0.3, 5.0]), counts)
    z = Features.of((0.001,), x).at(x)
    y = np.log(law(x))
    kernel = 100 + sum(form.parts(z, z))
    for draw, count in enumerate(counts):
        rows = np.flatnonzero(count)
        center = np.average(y, axis=0, weights=count)
        reference = KernelRidge(alpha=[0.3, 5.0], kernel="precomputed")
        reference.fit(kernel[np.ix_(rows, rows)], y[rows] - center, sample_weight=count[rows])
        expected = np.exp(center + reference.predict(kernel[:, rows]))
        np.testing.assert_allclose(found.predict(x[None])[draw], expected, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_out_of_fold_is_what_the_other_folds_predict(form: Form) -> None:
    x = drawn(50, 3)
    y = law(x) * np.exp(0.02 * np.random.default_rng(1).standard_normal((50, 2)))
    folds = np.arange(50) % 5
    found = form.out_of_fold(x, y, folds)
    for i, penalty in enumerate(form.penalties):
        for fold in range(5):
            out = folds == fold
            rest = form.fit(x, y, np.full(2, penalty), (~out).astype(float)[None]).predict(x[out][None])[0]
            # The kernel's level is fitted with the rest, all but free; elsewhere it is the mean of what was drawn.
            np.testing.assert_allclose(found[i, out], rest, rtol=2e-3 if isinstance(form, Kernel) else 1e-6)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_slopes_are_those_of_finite_differences(form: Form) -> None:
    x, weights = drawn(40, 3), np.array([[0.3, 0.7]])
    surface = blend.fit(alike(form, 2), x, law(x), counts_of(40))
    at = drawn(4, 3, seed=9)[None]
    found = surface.slope(np.repeat(at, 3, 0), surface.predict(at), weights)
    for source in range(3):
        step = 1e-6 * np.eye(3)[source]
        rise = (surface.predict(at + step) - surface.predict(at - step)) @ weights[0] / 2e-6
        np.testing.assert_allclose(found[..., source], rise, rtol=1e-5, atol=1e-6)


def test_the_mixing_law_recovers_its_parameters() -> None:
    x = drawn(80, 3)
    found = Exponential().fit(x, law(x), np.zeros(2), np.ones((1, 80)))
    np.testing.assert_allclose(found.floor[0, 0], FLOORS, atol=0.01)
    np.testing.assert_allclose(found.rates[0], RATES, atol=0.02)


def test_a_law_is_chosen_where_it_holds() -> None:
    x = drawn(80, 3)
    y = law(x) * np.exp(0.003 * np.random.default_rng(0).standard_normal((80, 2)))
    assert [each.form.name for each in choice.chosen(x, y, choice.forms(80, 3))] == ["exponential"] * 2


def test_folds_say_what_new_mixtures_will_cost() -> None:
    x, new = drawn(100, 3), drawn(400, 3, seed=8)
    rng = np.random.default_rng(0)
    y, fresh = (law(at) * np.exp(0.02 * rng.standard_normal((len(at), 2))) for at in (x, new))
    choices = choice.chosen(x, y, choice.forms(100, 3))
    errors = np.sqrt(((blend.fit(choices, x, y).predict(new[None])[0] - fresh) ** 2).mean(0))
    np.testing.assert_allclose([each.rmse for each in choices], errors, rtol=0.25)


# The optimum

GRID = np.array([[i, j, 200 - i - j] for i in range(201) for j in range(201 - i)]) / 200


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize(
    ("kl", "caps"), [(0.0, [1, 1, 1]), (0.05, [1, 1, 1]), (0.0, [0.5, 0.3, 0.6]), (0.5, [0.2, 1, 0.45])]
)
def test_the_optimum_is_that_of_brute_force(form: Form, kl: float, caps: list[float]) -> None:
    x, natural, weights = drawn(60, 3), np.array([0.6, 0.3, 0.1]), np.array([0.4, 0.6])
    y = law(x) * np.exp(0.05 * np.random.default_rng(2).standard_normal((60, 2)))
    surface, starts = blend.fit(alike(form, 2), x, y), optimum.starts(natural, x, y @ weights)
    found = optimum.best(surface, weights[None], natural, kl, np.array(caps, float), starts)[0]

    def objective(at: F64) -> F64:
        return np.asarray(surface.predict(at[None])[0] @ weights + kl * optimum.divergence(at, natural))

    assert found.sum() == pytest.approx(1)
    assert (found <= np.array(caps) + 1e-9).all()
    allowed = GRID[(np.array(caps) + 1e-9 >= GRID).all(1)]
    assert objective(found[None])[0] <= objective(allowed).min() + 1e-4


def test_what_the_natural_mixture_does_not_hold_stays_out() -> None:
    x, natural = drawn(60, 3), np.array([0.7, 0.3, 0.0])
    surface = blend.fit(alike(FORMS[0], 2), x, law(x))
    found = optimum.best(surface, np.array([[0.0, 1.0]]), natural, 0.05, np.ones(3), natural[None, None])[0]
    assert found[2] == 0


def test_capped_shares_keep_their_odds_below_the_caps() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, caps = rng.dirichlet(np.ones(6)), rng.uniform(0.1, 0.5, 6)
        if caps.sum() < 1:
            continue
        found = optimum.capped(x, caps)
        assert found.sum() == pytest.approx(1)
        below = found < caps - 1e-9
        assert (found <= caps + 1e-12).all()
        scale = found[below] / x[below]
        np.testing.assert_allclose(scale, scale[0] if len(scale) else 1)
        assert len(scale) == 0 or (x[~below] * scale[0] >= caps[~below] - 1e-9).all()


def test_no_point_of_the_trade_off_beats_another() -> None:
    x, natural = drawn(80, 3), np.full(3, 1 / 3)
    surface = blend.fit(alike(Exponential(), 2), x, law(x))
    weights, mixtures, losses = optimum.trade_off(surface, 2, natural, 0.0, np.ones(3), natural[None, None])
    assert len(weights) > 3
    np.testing.assert_allclose(losses, law(mixtures), rtol=0.01)
    order = np.argsort(losses[:, 0])
    assert (np.diff(losses[order, 0]) > 0).all()
    assert (np.diff(losses[order, 1]) < 0).all()
    same = blend.fit(alike(Exponential(), 2), x, law(x)[:, [0, 0]])
    assert len(optimum.trade_off(same, 2, natural, 0.0, np.ones(3), natural[None, None])[0]) == 1
    grid = law(GRID)
    for loss in losses:
        assert not (grid < loss - 2e-3).all(1).any()


# How much of a gain is luck


def regret(y: F64, x: F64, natural: F64, draws: int) -> tuple[float, float, float, ensemble.Judged]:
    choices = choice.chosen(x, y, choice.forms(*x.shape))
    said = ensemble.judged(
        choices, x, y, np.ones(1), natural, 0.0, optimum.measured_caps(x), natural[None], draws=draws
    )
    return *said.gain(0, 0.9), said


def noise_alone(seed: int) -> bool:
    """Whether an optimum of nothing but noise is called better than natural, or worse."""
    x = drawn(40, 4, seed)
    y = 3 * np.exp(0.05 * np.random.default_rng(1000 + seed).standard_normal((40, 1)))
    _, low, high, _ = regret(y, x, x.mean(0), 40)
    return low > 0 or high < 0


def test_noise_has_no_best_mixture() -> None:
    assert sum(noise_alone(seed) for seed in range(20)) <= 1


@pytest.mark.slow
def test_noise_has_no_best_mixture_in_a_hundred_tables() -> None:
    assert sum(noise_alone(seed) for seed in range(100, 200)) <= 5


def test_a_gain_and_a_loss_lie_in_their_intervals() -> None:
    """The truth is a law; each draw of noise has its own optimum, whose true loss and gain are known."""
    natural, gains, levels = np.array([0.2, 0.2, 0.6]), 0, 0
    for seed in range(12):
        x = drawn(60, 3, seed)
        y = law(x)[:, :1] * np.exp(0.02 * np.random.default_rng(seed).standard_normal((60, 1)))
        _, low, high, said = regret(y, x, natural, 40)
        choices = choice.chosen(x, y, choice.forms(*x.shape))
        starts = np.stack([natural, np.full(3, 1 / 3)])[None]
        caps = optimum.measured_caps(x)
        best = optimum.best(blend.fit(choices, x, y), np.ones((1, 1)), natural, 0.0, caps, starts)[0]
        true = float(law(best)[0])
        _, least, most = said.loss(0.9)
        gains += low <= law(natural)[0] - true <= high
        levels += least <= true <= most
        assert low > 0, "a gain of a quarter of the loss is seen"
    assert gains >= 10
    assert levels >= 10


# Published runs


def test_published_runs_are_ranked_as_well_as_the_bars_ask(shared: Callable[[str], Path]) -> None:
    """RegMix: 512 proxies of 1M parameters to fit, 256 to test; LightGBM that stops on the test runs gives .989."""
    name = shared("laws") / "regmix_{}_1m.csv"
    paths = [
        Path(str(name).format(part)) for part in ("train_mixture", "train_pile_loss", "test_mixture", "test_pile_loss")
    ]
    runs = mixture_tables.training(paths[0], paths[1], None)
    tested = mixture_tables.testing(paths[2], paths[3], None, runs)
    choices = choice.chosen(runs.shares, runs.losses, choice.forms(*runs.shares.shape))
    predicted = blend.fit(choices, runs.shares, runs.losses).predict(tested.shares[None])[0]
    ranks = {target: spearmanr(predicted[:, i], tested.losses[:, i])[0] for i, target in enumerate(runs.targets)}
    assert len(ranks) == 13
    assert ranks["metric/the_pile_pile_cc_val_loss"] >= 0.985
    assert min(ranks.values()) >= 0.88
    assert np.median(list(ranks.values())) >= 0.97
