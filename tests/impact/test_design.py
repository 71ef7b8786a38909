"""Cells: mixtures are mixtures, odds are odds, caps hold, the held-out one lies within what was trained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assay.impact import design

naturals = st.lists(st.floats(0.01, 1), min_size=2, max_size=8).map(
    lambda raw: {f"s{i}": x / sum(raw) for i, x in enumerate(raw)}
)
factors = st.floats(1.1, 10)


def no_cap(natural: dict[str, float]) -> dict[str, float]:
    return dict.fromkeys(natural, 1.0)


@given(naturals, factors, st.floats(1, 4), st.integers(0, 5))
def test_every_mixture_sums_to_one_and_names_every_source(
    natural: dict[str, float], factor: float, slack: float, seed: int
) -> None:
    most = {s: min(1.0, slack * w) for s, w in natural.items()}
    cells = design.distribution_cells(natural, list(natural), factor, most, seed)
    cells += design.quality_cells(natural, ("character_noise",), (0.5, 0.25))
    assert len({cell.name for cell in cells}) == len(cells)
    for cell in cells:
        assert set(cell.weights) == set(natural)
        assert sum(cell.weights.values()) == pytest.approx(1)
        assert min(cell.weights.values()) > 0


@given(naturals, factors, st.data())
def test_up_weighting_multiplies_the_odds_and_keeps_the_others_in_proportion(
    natural: dict[str, float], factor: float, data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from(sorted(natural)))
    weights = design.upweighted(natural, source, factor, 1.0)

    def odds(mixture: dict[str, float]) -> float:
        return mixture[source] / (1 - mixture[source])

    assert odds(weights) == pytest.approx(factor * odds(natural))
    others = [s for s in natural if s != source]
    for s in others:
        assert weights[s] / natural[s] == pytest.approx(weights[others[0]] / natural[others[0]])


@given(naturals, factors, st.floats(0.05, 1), st.data())
def test_a_cap_holds_and_never_lowers_a_source(
    natural: dict[str, float], factor: float, cap: float, data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from(sorted(natural)))
    weights = design.upweighted(natural, source, factor, cap)
    assert natural[source] * (1 - 1e-9) <= weights[source] <= max(cap, natural[source]) * (1 + 1e-9)


@given(naturals, st.floats(1.5, 5), st.integers(0, 20))
def test_the_held_out_mixture_lies_inside_what_was_trained(natural: dict[str, float], factor: float, seed: int) -> None:
    """No source is further from its natural share than the mixtures take it that the fit saw."""
    mixture = design.held_out(natural, factor, no_cap(natural), seed)
    assert mixture == design.held_out(natural, factor, no_cap(natural), seed)
    ratio = {s: mixture[s] / natural[s] for s in natural}
    assert max(ratio.values()) / min(ratio.values()) <= factor**1.4 * (1 + 1e-9)
    trained = [design.upweighted(natural, s, factor, 1.0) for s in natural]
    for s in natural:
        assert mixture[s] <= max(t[s] for t in trained) * (1 + 1e-9)


@given(naturals, st.floats(1.5, 5), st.floats(1, 3), st.integers(0, 20))
def test_the_held_out_mixture_reads_no_source_more_often_than_its_cap(
    natural: dict[str, float], factor: float, slack: float, seed: int
) -> None:
    most = {s: min(1.0, slack * w) for s, w in natural.items()}
    mixture = design.held_out(natural, factor, most, seed)
    assert all(mixture[s] <= most[s] * (1 + 1e-9) for s in natural)


@given(naturals, factors, st.integers(0, 5))
def test_the_held_out_mixture_is_not_fitted_and_comes_with_others_that_are(
    natural: dict[str, float], factor: float, seed: int
) -> None:
    cells = design.distribution_cells(natural, list(natural), factor, no_cap(natural), seed)
    held_out = [cell for cell in cells if not cell.fitted]
    assert len(held_out) <= 1
    if held_out:
        assert held_out[0].name == design.HELD_OUT_MIX
        assert any(cell.source for cell in cells)
    for cell in cells:
        if cell.source:
            assert cell.weights[cell.source] > natural[cell.source]


def test_a_mixture_that_is_hardly_another_one_is_not_trained() -> None:
    even = dict.fromkeys("abcd", 0.25)
    names = [cell.name for cell in design.distribution_cells(even, list(even), 3.0, no_cap(even), 0)]
    assert design.UNIFORM not in names
    assert {design.up(s) for s in even} <= set(names)
    lean = {"a": 0.97, "b": 0.03}
    capped = design.distribution_cells(lean, list(lean), 3.0, lean, 0)  # every source is read as often as it may be
    assert capped == []


@given(naturals, naturals)
def test_the_distance_of_mixtures_is_a_distance(a: dict[str, float], b: dict[str, float]) -> None:
    assume(a.keys() == b.keys())
    assert design.distance(a, a) == 0
    assert design.distance(a, b) == pytest.approx(design.distance(b, a))
    assert 0 <= design.distance(a, b) <= 1
    # The largest difference in the probability of any set of sources, by trying all sets.
    d = np.array([a[s] - b[s] for s in a])
    sets = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    assert design.distance(a, b) == pytest.approx(np.abs(sets @ d).max())
