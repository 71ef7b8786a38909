"""Mixtures: a planted truth is recovered from the mixtures that a study trains, and predicted for another one."""

from __future__ import annotations

import numpy as np
import pytest

from assay.impact import design, mixtures
from assay.impact.mixtures import GAMMA, MixtureModel, fit

NATURAL = {"a": 0.5, "b": 0.3, "c": 0.2}
SHARES = np.array(list(NATURAL.values()))
ANY = dict.fromkeys(NATURAL, 1.0)
CELLS = [c for c in design.distribution_cells(NATURAL, list(NATURAL), 3.0, ANY, 0) if c.fitted]
TRAINED = np.array([[cell.weights[s] for s in NATURAL] for cell in CELLS])
HELD_OUT = np.array(list(design.held_out(NATURAL, 3.0, ANY, 0).values()))
WEIGHTS = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])  # what each source brings to each target
SLOPES = np.array([-0.3, -0.2, -0.25])


def truth(shares: np.ndarray) -> np.ndarray:
    """(..., targets): the loss falls by the slope for each e-fold of effective data."""
    effective = ((shares / SHARES) ** GAMMA @ WEIGHTS.T) ** (1 / GAMMA)
    return SLOPES * np.log(effective)


def fitted(changes: np.ndarray, variance: float) -> MixtureModel:
    return fit(TRAINED, changes, np.full(changes.shape, variance), SHARES, SLOPES, df=12)


def test_a_planted_truth_is_recovered_and_predicted_where_it_was_not_measured() -> None:
    model = fitted(truth(TRAINED), 0.0)
    np.testing.assert_allclose(model.weights, WEIGHTS, atol=0.01)
    np.testing.assert_allclose(model.weights.sum(1), 1)
    value, low, high = model.predict(HELD_OUT, 0.9)
    assert value == pytest.approx(truth(HELD_OUT).mean(), abs=2e-3)
    assert low < value < high


def test_the_natural_mixture_changes_nothing() -> None:
    value, low, high = fitted(truth(TRAINED), 1e-6).predict(SHARES, 0.9)
    assert value == pytest.approx(0, abs=1e-9)
    assert low == pytest.approx(0, abs=1e-9)
    assert high == pytest.approx(0, abs=1e-9)


def test_weights_are_shares_whatever_was_measured() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        model = fitted(0.1 * rng.standard_normal(TRAINED.shape), 1e-4)
        for weights in (model.weights, model.draws):
            assert (weights >= 0).all()
            np.testing.assert_allclose(weights.sum(-1), 1)
        assert np.isfinite(model.predict(HELD_OUT, 0.9)).all()


def test_intervals_cover_the_planted_truth_and_grow_with_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "DRAWS", 24)  # quick
    rng = np.random.default_rng(1)
    sd, widths = 0.01, []
    held = 0
    for _ in range(60):
        own, shared = rng.standard_normal(TRAINED.shape), rng.standard_normal((1, 3))  # the baseline's noise is in all
        model = fitted(truth(TRAINED) + sd * 0.5**0.5 * (own + shared), sd**2)
        new = truth(HELD_OUT).mean() + sd * rng.standard_normal() / 3**0.5  # the run that tests it is noisy, too
        _, low, high = model.predict(HELD_OUT, 0.9, sd**2 / 3)
        held += low <= new <= high
        widths.append(high - low)
    assert held / 60 > 0.8
    assert np.mean(widths) < 8 * sd
    quiet = fitted(truth(TRAINED), 1e-8).predict(HELD_OUT, 0.9)
    loud = fitted(truth(TRAINED), 1e-3).predict(HELD_OUT, 0.9)
    assert loud[2] - loud[1] > quiet[2] - quiet[1]


def test_more_of_a_source_helps_its_own_text() -> None:
    model = fitted(truth(TRAINED), 1e-6)
    for i, source in enumerate(NATURAL):
        up = design.upweighted(NATURAL, source, 3.0, 1.0)
        assert model.changes(np.array(list(up.values())), model.weights)[i] < 0
