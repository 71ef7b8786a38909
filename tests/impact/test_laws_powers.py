"""Laws in N, D and U: recovered where they are known, equal to a general optimiser, and to a published refit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from assay.impact.laws.powers import DELTA, FORMS, Law, Runs, fit

TRUE = {"E": 1.7, "A": 400.0, "B": 900.0, "alpha": 0.34, "beta": 0.29, "R_D": 12.0}


def grid(noise: float = 0.0, seed: int = 0, repeated: bool = False, seeds: int = 1, without: str = "") -> Runs:
    """Runs of a known law."""
    rng = np.random.default_rng(seed)
    n, d = (
        np.repeat(part.ravel(), seeds) for part in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e7, 1e10, 6))
    )
    unique = d / rng.choice([1.0, 3.0, 10.0, 40.0], len(d)) if repeated else d
    rest = d / unique - 1
    effective = unique + unique * TRUE["R_D"] * (1 - np.exp(-rest / TRUE["R_D"]))
    loss = TRUE["E"] + np.zeros(len(n))
    loss += 0.0 if "N" in without else TRUE["A"] * n ** -TRUE["alpha"]
    loss += 0.0 if "D" in without else TRUE["B"] * effective ** -TRUE["beta"]
    loss = loss * np.exp(rng.normal(0, noise, len(n))) if noise else loss
    return Runs(n, d, loss, np.arange(len(n)), unique if repeated else None)


@pytest.mark.parametrize(
    ("form", "runs"),
    [
        ("nd", grid()),
        ("d", grid(without="N")),
        ("n", grid(without="D")),
        ("ndu", grid(repeated=True)),
        ("du", grid(repeated=True, without="N")),
    ],
)
def test_a_law_without_noise_is_recovered(form: str, runs: Runs) -> None:
    made = fit(runs, FORMS[form], draws=2)
    for name, value in made.centre.parameters.items():
        assert value[0] == pytest.approx(TRUE[name], rel=1e-3), name
    assert made.noise < 1e-5


def test_a_known_floor_is_kept() -> None:
    made = fit(grid(0.002), FORMS["nd"].with_floor(1.7), draws=50)
    assert made.centre.parameters["E"][0] == pytest.approx(1.7)
    assert np.ptp(made.draws.parameters["E"]) == pytest.approx(0, abs=1e-12)
    assert made.centre.parameters["alpha"][0] == pytest.approx(0.34, abs=0.02)


def objective(free: np.ndarray, runs: Runs) -> float:
    """The published one, written down once more."""
    a, b, e, alpha, beta = free
    terms = np.stack([a - alpha * np.log(runs.n), b - beta * np.log(runs.d), np.full(len(runs), e)])
    off = np.abs(np.logaddexp.reduce(terms) - np.log(runs.loss))
    return float(np.where(off <= DELTA, off**2 / 2, DELTA * (off - DELTA / 2)).sum())


def test_no_general_optimiser_finds_a_better_law() -> None:
    runs = grid(0.01, seed=3)
    found = fit(runs, FORMS["nd"], draws=2, outliers=False).centre.parameters
    own = np.array(
        [np.log(found["A"][0]), np.log(found["B"][0]), np.log(found["E"][0]), found["alpha"][0], found["beta"][0]]
    )
    value, rng = objective(own, runs), np.random.default_rng(0)
    for start in [own, *(own + rng.normal(0, 0.05, 5) for _ in range(4))]:
        tried = minimize(objective, start, (runs,), method="Nelder-Mead", options={"maxfev": 8000, "fatol": 1e-14})
        assert tried.fun >= value * (1 - 1e-5)


def chinchilla(shared: Callable[[str], Path]) -> Runs:
    table = pl.read_csv(shared("laws") / "chinchilla.csv")
    n, d, loss = (table[name].to_numpy() for name in ("N", "D", "loss"))
    return Runs(n, d, loss, np.arange(len(loss)))


PUBLISHED = {"A": (482, 125), "B": (2085, 1293), "E": (1.817, 0.026), "alpha": (0.348, 0.015), "beta": (0.366, 0.021)}
"""Besiroglu et al. 2024, on 240 of the points: values and standard errors."""


def test_the_published_refit_of_chinchilla_comes_out(shared: Callable[[str], Path]) -> None:
    runs = chinchilla(shared)
    made = fit(runs.at(np.argsort(runs.loss)[:-5]), FORMS["nd"], outliers=False)
    for name, (value, error) in PUBLISHED.items():
        assert abs(made.centre.parameters[name][0] - value) < 0.25 * error, name
        assert made.draws.parameters[name].std() == pytest.approx(error, rel=0.35), name


def test_what_is_left_out_unasked_are_the_five_and_others_as_far(shared: Callable[[str], Path]) -> None:
    runs = chinchilla(shared)
    made = fit(runs, FORMS["nd"], draws=100)
    worst = np.argsort(-runs.loss)[:5]
    assert not made.kept[worst].any() and (~made.kept).sum() <= 0.05 * len(runs)
    assert (np.abs(made.residuals[~made.kept]) > 5 * made.scale).all()
    assert (np.abs(made.residuals[made.kept]) <= 5 * made.scale).all()
    for name, (value, error) in PUBLISHED.items():
        assert abs(made.centre.parameters[name][0] - value) < error, name


def test_a_diverged_run_changes_nothing_and_is_told() -> None:
    runs = grid(0.003, seed=1)
    broken = runs.loss.copy()
    broken[[4, 17]] *= 1.8
    made = fit(Runs(runs.n, runs.d, broken, runs.cluster), FORMS["nd"], draws=50)
    assert np.flatnonzero(~made.kept).tolist() == [4, 17]
    whole = fit(runs.at([i for i in range(len(runs)) if i not in (4, 17)]), FORMS["nd"], draws=50)
    for name, value in made.centre.parameters.items():
        assert value[0] == pytest.approx(whole.centre.parameters[name][0], rel=1e-4), name
    assert fit(Runs(runs.n, runs.d, broken, runs.cluster), FORMS["nd"], draws=50, outliers=False).kept.all()


def test_branches_of_a_trunk_are_drawn_together() -> None:
    """Runs that share their trunk's luck tell less than so many single ones."""
    rng, seeds = np.random.default_rng(5), 6
    runs = grid(seeds=seeds)
    trunk = np.tile(np.arange(seeds), len(runs) // seeds) * 5 + np.unique(runs.n, return_inverse=True)[1] * 100
    luck = rng.normal(0, 0.01, 1000)[trunk]
    shaken = Runs(runs.n, runs.d, runs.loss * np.exp(luck), trunk)
    whole = fit(shaken, FORMS["nd"], draws=200).draws
    single = fit(Runs(runs.n, runs.d, shaken.loss, np.arange(len(runs))), FORMS["nd"], draws=200).draws
    wide, narrow = (np.log(law.predict(grid()).mean(axis=1)).std() for law in (whole, single))
    assert wide > 1.5 * narrow


def test_parameters_and_prediction_say_the_same() -> None:
    law = Law(FORMS["ndu"], np.log([[1.7, 3.0, 2.0, np.e**0.3, np.e**0.4, 15.0]]), (1e8, 1e9))
    runs, own = grid(repeated=True), {name: value[0] for name, value in law.parameters.items()}
    rest = runs.d / runs.unique - 1
    effective = runs.unique * (1 + own["R_D"] * (1 - np.exp(-rest / own["R_D"])))
    by_hand = own["E"] + own["A"] * runs.n ** -own["alpha"] + own["B"] * effective ** -own["beta"]
    np.testing.assert_allclose(law.predict(runs)[0], by_hand, rtol=1e-12)
