"""The size law: planted laws are found, forecasts cover at about their level, the inverse inverts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from assay.impact.laws import size as laws
from assay.impact.laws.size import BETAS, fit, fit_size_law, tokens_for

SIZES = 50_000 * 2 ** (np.arange(7) / 2)


def law(tokens: np.ndarray, floor: float, scale: float, beta: float) -> np.ndarray:
    return floor + scale * (tokens / SIZES[0]) ** -beta


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 2), st.floats(0.2, 3), st.integers(60, 200))
def test_a_planted_law_without_noise_is_found(floor: float, scale: float, index: int) -> None:
    """At an exponent of the grid, exactly."""
    losses = law(SIZES, floor, scale, BETAS[index])
    found = fit(SIZES, losses)
    assert found.exponent[0] == pytest.approx(BETAS[index])
    assert found.floor[0] == pytest.approx(floor, rel=1e-4)
    assert found.scale[0] * (SIZES[0] / found.unit) ** -found.exponent[0] == pytest.approx(scale, rel=1e-4)
    np.testing.assert_allclose(found.predict(SIZES * 4)[0], law(SIZES * 4, floor, scale, BETAS[index]), rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 3), st.integers(20, 180))
def test_a_planted_law_without_a_floor_is_found(scale: float, index: int) -> None:
    found = fit(SIZES, law(SIZES, 0.0, scale, BETAS[index]), floor=False)
    assert found.exponent[0] == pytest.approx(BETAS[index])
    assert found.floor[0] == 0


def test_between_the_exponents_of_the_grid_predictions_are_still_right() -> None:
    losses = law(SIZES, 0.8, 1.1, 0.3171)
    np.testing.assert_allclose(fit(SIZES, losses).predict(SIZES * 4)[0], law(SIZES * 4, 0.8, 1.1, 0.3171), rtol=2e-3)


def test_noisy_curves_are_fitted_as_scipy_fits_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        losses = law(SIZES, 1.0, 1.5, 0.4) * (1 + 0.004 * rng.standard_normal(7))
        (a, b, c), _ = curve_fit(law, SIZES, losses, p0=(1, 1, 0.4), sigma=losses, bounds=([0, 0, 0.02], [9, 9, 2]))
        found, expected = fit(SIZES, losses), law(SIZES, a, b, c)
        own = (((found.predict(SIZES)[0] - losses) / losses) ** 2).sum()
        theirs = (((expected - losses) / losses) ** 2).sum()
        assert own <= theirs * 1.01
        np.testing.assert_allclose(found.predict(SIZES)[0], expected, rtol=1e-3)


def test_draws_are_fitted_one_by_one() -> None:
    rng = np.random.default_rng(1)
    losses = law(SIZES, 1.0, 1.5, 0.4) * (1 + 0.01 * rng.standard_normal((5, 7)))
    together = fit(SIZES, losses).predict(SIZES)
    np.testing.assert_allclose(together, np.concatenate([fit(SIZES, one).predict(SIZES) for one in losses]))


def test_parameters_are_never_negative_and_a_rising_curve_is_flat() -> None:
    rng = np.random.default_rng(2)
    found = fit(SIZES, 1 + 0.1 * rng.standard_normal((50, 7)))
    assert (found.floor >= 0).all()
    assert (found.scale >= 0).all()
    rising = fit(SIZES, np.linspace(1, 1.2, 7)).predict(SIZES)[0]
    assert (np.diff(rising) <= 1e-9).all()


def test_forecasts_cover_at_about_their_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated studies: four seeds whose whole curves move, a law of random floor and exponent, twice the largest
    size. The measured change between the two sizes falls into the 90 % interval at least about nine times in ten."""
    monkeypatch.setattr(laws, "DRAWS", 24)  # quick
    monkeypatch.setattr(laws, "BETAS", BETAS[::4])
    rng = np.random.default_rng(3)
    held = widths = changes = 0.0
    n = 50
    for _ in range(n):
        truth = rng.uniform(0.3, 1.5), rng.uniform(0.5, 2), rng.uniform(0.15, 0.6)
        sizes = np.append(SIZES, SIZES[-1] * 2)
        seeds = law(sizes, *truth) + 0.01 * rng.standard_normal((4, 1)) + 0.002 * rng.standard_normal((4, 8))
        value, low, high = fit_size_law(SIZES, seeds[:, :7]).change(sizes[-1], SIZES[-1], 0.9)
        measured = float((seeds[:, 7] - seeds[:, 6]).mean())
        held += low <= measured <= high
        widths += high - low
        changes += abs(measured)
        assert low < value < high
    assert held / n > 0.83
    assert widths < 2.5 * changes  # and not by saying nothing


def test_past_forecasts_are_drawn_towards_what_forecasts_usually_err() -> None:
    """A curve that is steep at first and flat later defeats its early forecasts; a power law meets all of them."""
    steady, bent = law(SIZES, 0.0, 2.0, 0.3), np.interp(np.log(SIZES), np.log(SIZES[[0, 4, 6]]), [4.0, 3.0, 2.9])
    found = {name: fit_size_law(SIZES, np.stack([curve] * 3)) for name, curve in (("steady", steady), ("bent", bent))}
    errors = {name: laws.forecast_errors(SIZES, curve) for name, curve in (("steady", steady), ("bent", bent))}
    assert abs(errors["steady"]).max() < 1e-3
    assert found["steady"].forecast_sd == pytest.approx(laws.USUAL_ERROR * (8 / 10) ** 0.5, rel=0.01)
    own = (errors["bent"] ** 2 @ [1, 2] / 3) ** 0.5
    assert laws.USUAL_ERROR < found["bent"].forecast_sd < own
    assert found["bent"].forecast_sd ** 2 == pytest.approx((2 * own**2 + 8 * laws.USUAL_ERROR**2) / 10)


def test_intervals_grow_with_distance_level_and_other_noise() -> None:
    rng = np.random.default_rng(4)
    seeds = law(SIZES, 1.0, 1.0, 0.3) + 0.003 * rng.standard_normal((4, 7))
    found = fit_size_law(SIZES, seeds)

    def width(factor: float, level: float = 0.9, other: float = 0.0) -> float:
        _, low, high = found.change(factor * SIZES[-1], SIZES[-1], level, other)
        return high - low

    assert width(2) < width(4) < width(8)
    assert width(2, 0.8) < width(2, 0.95)
    assert width(2) < width(2, other=1e-4)
    band = found.band(np.array([SIZES[0], SIZES[-1], 4 * SIZES[-1]]), 0.9)
    assert (band[:, 1] < band[:, 0]).all()
    assert (band[:, 0] < band[:, 2]).all()
    assert band[2, 2] - band[2, 1] > band[1, 2] - band[1, 1]


def test_the_same_losses_give_the_same_law() -> None:
    seeds = law(SIZES, 1.0, 1.0, 0.3) + 0.01 * np.random.default_rng(5).standard_normal((3, 7))
    one, other = fit_size_law(SIZES, seeds), fit_size_law(SIZES, seeds)
    assert one.change(4e6, 2e6, 0.9) == other.change(4e6, 2e6, 0.9)


@given(st.floats(SIZES[0], SIZES[-1]), st.floats(0.1, 1))
def test_the_tokens_for_a_loss_are_the_inverse_of_the_curve(tokens: float, beta: float) -> None:
    """A power law with no floor is nearly log-linear; on a log-linear curve the inverse is exact."""
    losses = 3 - beta * np.log(SIZES / SIZES[0])
    target = 3 - beta * np.log(tokens / SIZES[0])
    assert tokens_for(losses, SIZES, np.array(target)) == pytest.approx(tokens, rel=1e-6)


def test_off_the_curve_there_is_no_answer_and_a_bump_is_no_progress() -> None:
    losses = np.array([3.0, 2.5, 2.6, 2.0])
    sizes = np.array([1.0, 2, 4, 8])
    found = tokens_for(np.broadcast_to(losses, (4, 4)), sizes, np.array([3.1, 1.9, 2.0, 2.5]))
    assert np.isnan(found[:2]).all()
    assert found[2] == pytest.approx(8)
    assert 2 <= found[3] <= 4
