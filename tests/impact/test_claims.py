"""The correction for many claims: Benjamini and Yekutieli (2001) by their definition, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.impact.claims import discoveries

p_lists = st.lists(st.floats(0, 1) | st.floats(0, 1e-3), min_size=1, max_size=30)
rates = st.sampled_from([0.01, 0.05, 0.2])


def by_definition(p: list[float], rate: float) -> list[bool]:
    """The largest k with at least k p-values at most k / (m c(m)) of the rate; those are the discoveries."""
    m = len(p)
    harmonic = sum(1 / i for i in range(1, m + 1))
    for k in range(m, 0, -1):
        threshold = k * rate / (m * harmonic)
        if sum(x <= threshold for x in p) >= k:
            return [x <= threshold for x in p]
    return [False] * m


def benjamini_hochberg(p: list[float], rate: float) -> list[bool]:
    m = len(p)
    for k in range(m, 0, -1):
        if sum(x <= k * rate / m for x in p) >= k:
            return [x <= k * rate / m for x in p]
    return [False] * m


@given(p_lists, rates)
def test_it_is_the_published_rule(p: list[float], rate: float) -> None:
    found, threshold = discoveries(p, rate)
    assert found.tolist() == by_definition(p, rate)
    assert all(x <= threshold for x, hit in zip(p, found, strict=True) if hit)
    assert all(x > threshold for x, hit in zip(p, found, strict=True) if not hit)


@given(p_lists, rates)
def test_it_is_stricter_than_the_rule_for_independent_tests_and_laxer_than_bonferroni(
    p: list[float], rate: float
) -> None:
    found = discoveries(p, rate)[0]
    assert not (found & ~np.array(benjamini_hochberg(p, rate))).any()
    harmonic = np.sum(1 / np.arange(1, len(p) + 1))
    assert not ((np.array(p) <= rate / len(p) / harmonic) & ~found).any()


@given(p_lists, rates, st.data())
def test_stronger_evidence_never_loses_a_claim(p: list[float], rate: float, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(p) - 1))
    stronger = [x / 2 if i == index else x for i, x in enumerate(p)]
    assert not (discoveries(p, rate)[0] & ~discoveries(stronger, rate)[0]).any()
    assert not (discoveries(p, rate)[0] & ~discoveries(p, 2 * rate)[0]).any()


@given(p_lists, rates, st.randoms())
def test_the_order_of_claims_does_not_matter(p: list[float], rate: float, random: object) -> None:
    order = list(range(len(p)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert discoveries([p[i] for i in order], rate)[0].tolist() == discoveries(p, rate)[0][order].tolist()


def test_one_claim_needs_no_correction_and_none_is_no_error() -> None:
    assert discoveries([0.049])[0].tolist() == [True]
    assert discoveries([0.051])[0].tolist() == [False]
    found, threshold = discoveries([], 0.05)
    assert len(found) == 0
    assert threshold == 0.05
    assert discoveries([0.5, 0.9], 0.05)[1] == pytest.approx(0.05 / 2 / 1.5)  # what the smallest would have had to meet


def test_the_share_of_false_claims_is_held_under_dependence() -> None:
    """Claims that share a baseline: 20 of 25 effects are zero, all correlated by 0.5."""
    from scipy import stats

    rng = np.random.default_rng(0)
    shares = []
    for _ in range(2000):
        z = rng.standard_normal(25) * 0.5**0.5 + rng.standard_normal() * 0.5**0.5
        z[:5] += 4
        found = discoveries(2 * stats.norm.sf(np.abs(z)), 0.05)[0]
        shares.append(found[5:].sum() / max(1, found.sum()))
    assert np.mean(shares) < 0.05
