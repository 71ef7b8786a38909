"""Intervals beyond the runs: too narrow by bootstrap and noise alone, right after past forecasts; and what follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from test_laws_powers import TRUE, chinchilla, grid

from assay.impact.laws import forecast, uses
from assay.impact.laws.powers import FORMS, Runs, fit

FORM = FORMS["nd"]


def test_on_chinchilla_nine_of_ten_hold_where_the_bootstrap_holds_six(shared: Callable[[str], Path]) -> None:
    runs = chinchilla(shared)
    order = np.argsort(forecast.compute(runs))
    k = int(0.6 * len(runs))
    own, later = runs.at(order[:k]), runs.at(order[k:])
    found = forecast.forecast(fit(own, FORM), forecast.past_forecasts(own, FORM), later, 0.9)

    def held(low: np.ndarray, high: np.ndarray) -> float:
        return float(((later.loss >= low) & (later.loss <= high)).mean())

    assert 0.85 <= held(found.low, found.high) <= 0.95
    assert 0.5 <= held(found.plain_low, found.plain_high) <= 0.65
    width, plain = (
        ((b - a) / found.value).mean() for a, b in ((found.low, found.high), (found.plain_low, found.plain_high))
    )
    assert plain < width < 2.5 * plain


def test_a_law_that_holds_is_hardly_widened() -> None:
    held, widened = [], []
    for seed in range(6):
        runs = grid(0.004, seed=seed, seeds=2)
        past = forecast.past_forecasts(runs, FORM)
        widened.append(past.misfit(0.9))
        rng = np.random.default_rng(100 + seed)
        wanted = Runs(np.full(20, 2e9), np.full(20, 2e10), np.ones(20), np.arange(20))
        truth = TRUE["E"] + TRUE["A"] * 2e9 ** -TRUE["alpha"] + TRUE["B"] * 2e10 ** -TRUE["beta"]
        losses = truth * np.exp(rng.normal(0, 0.004, 20))
        found = forecast.forecast(fit(runs, FORM, draws=100), past, wanted, 0.9)
        held.append(((losses >= found.low) & (losses <= found.high)).mean())
    assert np.median(widened) < 0.003 and np.mean(held) > 0.8


def test_a_law_that_bends_is_widened_until_its_past_would_have_held() -> None:
    runs = grid(0.002, seed=1, seeds=2)
    bent = Runs(runs.n, runs.d, runs.loss * (1 + 0.02 * np.log10(forecast.compute(runs) / 1e13) ** 2), runs.cluster)
    past = forecast.past_forecasts(bent, FORM)
    for level in (0.5, 0.8, 0.9):
        total = np.hypot(past.known, past.misfit(level))
        inside = np.abs(past.error) <= stats.t.ppf(0.5 + level / 2, past.df) * total
        assert level <= inside.mean() <= level + 0.05 or past.misfit(level) == 0
    assert past.misfit(0.9) > 0.003


def test_within_the_runs_nothing_is_added() -> None:
    runs = grid(0.004, seed=2)
    made = fit(runs, FORM, draws=100)
    past = forecast.Past(*(np.array([30.0]), np.array([0.2]), np.array([0.001]), np.array([2.0]), np.array([20.0])))
    inside, outside = (forecast.forecast(made, past, uses.one(n, d), 0.9) for n, d in ((1e7, 1e9), (2e9, 2e10)))
    assert inside.low == inside.plain_low and inside.beyond[0] <= 1
    assert outside.high > 1.2 * outside.plain_high and outside.beyond[0] == pytest.approx(2)


def test_too_few_runs_make_no_past_and_say_so() -> None:
    past = forecast.past_forecasts(grid(0.01).at(slice(0, 12)), FORM)
    assert past.misfit(0.9) == 0 and past.mean_error is None


def test_forms_are_ranked_by_their_past_forecasts() -> None:
    flat = grid(0.002, seed=4, without="N")
    found = {one.form.name: one.mean_error for one in forecast.judged(flat, [FORM, FORMS["d"], FORMS["n"]])}
    assert list(found)[-1] == "n" and found["d"] < 1.05 * found["nd"] < 0.1 * found["n"]


# What follows


def test_the_optimum_is_that_of_a_search() -> None:
    made = fit(grid(0.002), FORM, draws=100)
    best = uses.optimum(made, forecast.past_forecasts(grid(0.002), FORM), 1e20, 0.9)
    n = np.geomspace(1e7, 1e11, 40_001)
    loss = made.centre.predict(Runs(n, 1e20 / 6 / n, np.ones(len(n)), np.arange(len(n))))[0]
    assert best.n.value == pytest.approx(n[loss.argmin()], rel=1e-3)
    assert best.n.value * best.d.value * 6 == pytest.approx(1e20)
    low, high = best.n.interval
    assert low < best.n.value < high and best.loss.value == pytest.approx(loss.min(), rel=1e-9)


def test_tokens_for_a_loss_give_that_loss_back() -> None:
    made = fit(grid(0.002), FORM, draws=100)
    past = forecast.past_forecasts(grid(0.002), FORM)
    found = uses.tokens_for(made, past, 2.3, 1e9, 0.9)
    assert made.centre.predict(uses.one(1e9, found.tokens.value))[0, 0] == pytest.approx(2.3, rel=1e-6)
    low, high = found.tokens.interval
    assert low < found.tokens.value < high and found.reachable == 1
    exact = (TRUE["B"] / (2.3 - TRUE["E"] - TRUE["A"] * 1e9 ** -TRUE["alpha"])) ** (1 / TRUE["beta"])
    assert low < exact < high


def test_a_loss_below_the_floor_is_out_of_reach() -> None:
    made = fit(grid(0.002), FORM, draws=100)
    found = uses.tokens_for(made, forecast.past_forecasts(grid(0.002), FORM), 1.65, 1e9, 0.9)
    assert found.tokens.value is None and found.tokens.interval[1] is None and found.reachable < 0.1


def test_the_next_run_is_the_one_that_the_linear_rule_picks() -> None:
    """With the draws' covariance, what a run removes is var - cov^2 / (var + noise^2): checked against a refit that
    holds such a run many times over."""
    runs = grid(0.01, seed=7)
    made = fit(runs, FORM, draws=400)
    question = uses.one(1e10, 1e11)
    run = uses.next_run(made, question)
    assert 0.1 <= run.removes <= 1 and run.flops == pytest.approx(6 * run.n * run.d)
    assert run.n <= 2.001 * runs.n.max() and run.d <= 2.001 * runs.d.max()
    truth = TRUE["E"] + TRUE["A"] * run.n ** -TRUE["alpha"] + TRUE["B"] * run.d ** -TRUE["beta"]
    repeats = 30
    rng = np.random.default_rng(0)
    more = Runs(
        np.append(runs.n, np.full(repeats, run.n)), np.append(runs.d, np.full(repeats, run.d)),
        np.append(runs.loss, truth * np.exp(rng.normal(0, 0.01, repeats))), np.arange(len(runs) + repeats),
    )  # fmt: skip
    after = fit(more, FORM, draws=400)
    before, now = (np.log(one.draws.predict(question)).var() for one in (made, after))
    assert now < before
