"""The sampler: a pure function of (manifest, seed, step), fair to the weights, alike across mixtures and doses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from assay.tokens.sampler import REPEATED, Part, Sampler, StreamPlan, permuted, splitmix64, uniform
from assay.tokens.stream import TokenStream

T, B = 8, 16
LENGTHS = {"a": 900, "b": 2500, "c": 400}


def stream(offset: int = 0, lengths: dict[str, int] = LENGTHS) -> TokenStream:
    """Every token of a source differs, so that a row tells where it came from."""
    starts = np.cumsum([offset, *lengths.values()])
    return TokenStream(
        {
            s: np.arange(start, start + n, dtype=np.uint32)
            for start, (s, n) in zip(starts, lengths.items(), strict=False)
        }
    )


STREAMS = {
    "train": stream(),
    "noise": replace(stream(10_000), aligned=True),
    "copies": stream(20_000, {"a": 90, "b": 250, "c": 40}),
}
PLAN = StreamPlan(seed=7, weights={"a": 0.2, "b": 0.5, "c": 0.3}, row_tokens=T, batch_rows=B)


def sampler(n_steps: int = 60, **changes: object) -> Sampler:
    return Sampler(replace(PLAN, **changes), STREAMS, n_steps)  # type: ignore[arg-type]


def sources(s: Sampler) -> np.ndarray:
    return s.slots[0]


def test_any_step_can_be_computed_at_any_time_by_anybody() -> None:
    forwards = [sampler().batch(step) for step in range(60)]
    one = sampler()
    for step in (59, 0, 31, 31):
        assert np.array_equal(one.batch(step), forwards[step])
        assert np.array_equal(sampler().batch(step), forwards[step])
    assert forwards[0].shape == (B, T + 1)
    assert forwards[0].dtype == np.int64


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    for changes in ({}, {"defect": "noise", "dose": 0.4}):
        short, long = sampler(10, **changes), sampler(300, **changes)
        for step in range(10):
            assert np.array_equal(short.batch(step), long.batch(step))


def test_seeds_differ() -> None:
    one, other = sampler(), sampler(seed=8)
    assert (sources(one) != sources(other)).mean() > 0.3
    assert not np.array_equal(one.batch(0), other.batch(0))


@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 2**34))
@settings(max_examples=60, deadline=None)
def test_an_order_is_a_bijection(n: int, seed: int, purpose: int) -> None:
    places = permuted(np.arange(n), n, seed, purpose)
    assert np.array_equal(np.sort(places), np.arange(n))
    some = np.arange(0, n, 3)
    assert np.array_equal(permuted(some, n, seed, purpose), places[some])  # by index, no matter which others


def test_orders_are_random() -> None:
    """Where the first of 50 goes is uniform over seeds, and neighbours do not stay neighbours."""
    firsts = [int(permuted(np.array([0]), 50, seed, 1)[0]) for seed in range(5000)]
    assert stats.chisquare(np.bincount(firsts, minlength=50)).pvalue > 1e-4
    order = permuted(np.arange(1000), 1000, 3, 1)
    assert abs(stats.spearmanr(np.arange(1000), order).statistic) < 0.12
    assert (np.abs(np.diff(order)) == 1).mean() < 0.02


def test_splitmix64_is_the_published_sequence() -> None:
    """First outputs of SplitMix64 seeded with 1234567, as listed by Rosetta Code: the states are seed + k * golden."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + k * golden) % 2**64 for k in range(5)], dtype=np.uint64)
    assert splitmix64(states).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821
    ]  # fmt: skip


def test_uniform_numbers_are_uniform_and_apart() -> None:
    slots = np.arange(20_000)
    u, v, w = uniform(1, 1, slots), uniform(2, 1, slots), uniform(1, 2, slots)
    for x in (u, v, w):
        assert stats.kstest(x, "uniform").pvalue > 1e-4
        assert 0 < x.min() < x.max() < 1
    for x, y in ((u, v), (u, w), (u[1:], u[:-1])):
        assert abs(np.corrcoef(x, y)[0, 1]) < 0.03


def test_within_an_epoch_no_row_is_read_twice() -> None:
    s = sampler(400)
    source, row, _ = s.slots
    for i, name in enumerate(s.sources):
        n = STREAMS["train"].n_rows(name, T)
        own = row[source == i]
        for start in range(0, len(own), n):
            epoch = own[start : start + n]
            assert len(np.unique(epoch)) == len(epoch)
            assert epoch.min() >= 0
            assert epoch.max() < n
        if len(own) >= 2 * n:
            assert not np.array_equal(own[:n], own[n : 2 * n])  # another order each time
    expected = {n: (source == i).sum() / STREAMS["train"].n_rows(n, T) for i, n in enumerate(s.sources)}
    assert s.epochs() == pytest.approx(expected)


def test_shares_match_the_weights() -> None:
    counts = np.bincount(sources(sampler(2000)), minlength=3)
    assert stats.chisquare(counts, np.array([0.2, 0.5, 0.3]) * counts.sum()).pvalue > 1e-4


def test_a_source_without_weight_is_never_read() -> None:
    s = sampler(weights={"a": 0.0, "b": 1.0, "c": 0.0})
    assert set(sources(s)) == {1}
    assert s.epochs()["a"] == 0
    assert set(sources(sampler(weights={"b": 1.0}))) == {1}


@given(st.lists(st.floats(0.05, 1), min_size=3, max_size=3), st.integers(0, 2), st.floats(1.01, 20))
@settings(max_examples=30, deadline=None)
def test_raising_one_share_never_moves_a_slot_between_two_others(raw: list[float], up: int, factor: float) -> None:
    before = dict(zip("abc", np.array(raw) / sum(raw), strict=True))
    raised = np.array([x * (factor if i == up else 1) for i, x in enumerate(raw)])
    after = dict(zip("abc", raised / raised.sum(), strict=True))
    one, other = sources(sampler(40, weights=before)), sources(sampler(40, weights=after))
    moved = one != other
    assert (other[moved] == up).all()


def test_slots_that_stay_keep_their_rows_until_the_first_move() -> None:
    """What a source gives, in order, is the same in every mixture: only how soon it is reached differs."""
    one, other = sampler(), sampler(weights={"a": 0.4, "b": 0.4, "c": 0.2})
    for i in range(3):
        a, b = (s.slots[1][sources(s) == i] for s in (one, other))
        n = min(len(a), len(b))
        assert np.array_equal(a[:n], b[:n])


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
@settings(max_examples=20, deadline=None)
def test_a_higher_dose_damages_a_superset(x: float, y: float) -> None:
    low, high = (sampler(30, defect="noise", dose=d).slots[2] for d in sorted((x, y)))
    assert not (low & ~high).any()


def test_the_dose_is_the_share_of_damaged_rows_and_nothing_else_changes() -> None:
    clean, damaged = sampler(300), sampler(300, defect="noise", dose=0.25)
    assert np.array_equal(sources(clean), sources(damaged))
    assert np.array_equal(clean.slots[1], damaged.slots[1])
    share = damaged.slots[2].mean()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / len(damaged.slots[2])) ** 0.5
    for step in range(5):
        a, b = clean.batch(step), damaged.batch(step)
        hit = damaged.slots[2][step * B : step * B + B] == 1
        assert np.array_equal(a[~hit], b[~hit])
        assert np.array_equal(a[hit] + 10_000, b[hit])  # the damaged copy's row at the very place
    assert not sampler(defect=None, dose=0.5).slots[2].any()


def test_only_the_named_source_is_damaged() -> None:
    clean, whole, alone = sampler(), sampler(defect="noise", dose=0.5), sampler(defect="noise", dose=0.5, only="b")
    own = sources(alone) == sorted(LENGTHS).index("b")
    assert np.array_equal(alone.slots[2], whole.slots[2] & own) and alone.slots[2].any()
    for mine, other in zip(alone.slots[:2], clean.slots[:2], strict=True):
        assert np.array_equal(mine[~own], other[~own])


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 0.9), st.integers(0, 5))
def test_repeated_text_begins_like_fresh_text_and_is_read_equally_often(dose: float, seed: int) -> None:
    fresh, again = sampler(seed=seed), sampler(seed=seed, defect=REPEATED, dose=dose)
    assert np.array_equal(sources(fresh), sources(again))
    assert not again.slots[2].any()
    for i, name in enumerate(fresh.sources):
        here, there = (s.slots[1][s.slots[0] == i] for s in (fresh, again))
        n = min(len(fresh.part_rows[name]), max(1, round((1 - dose) * len(here))))
        assert np.array_equal(here[:n], there[:n])
        _, times = np.unique(there, return_counts=True)
        assert len(times) == n
        assert times.max() - times.min() <= 1
        assert again.epochs()[name] == pytest.approx(len(there) / n)


def test_only_the_named_source_is_repeated() -> None:
    fresh, again = sampler(), sampler(defect=REPEATED, dose=0.5, only="b")
    for i, name in enumerate(fresh.sources):
        here, there = (s.slots[1][s.slots[0] == i] for s in (fresh, again))
        assert np.array_equal(here, there) == (name != "b")
        assert (again.epochs()[name] == fresh.epochs()[name]) == (name != "b")


def test_in_order_the_same_rows_are_read_by_the_values_of_their_documents() -> None:
    texts = {name: np.arange(n, dtype=np.uint32) + 1 for name, n in LENGTHS.items()}
    for tokens in texts.values():
        tokens[::20] = 0  # a document every twenty tokens
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=-(-n // 20)) for name, n in LENGTHS.items()}
    streams = {"train": TokenStream(texts)}
    plan = replace(PLAN, part=Part(1, 2, 7))
    mixed = Sampler(plan, streams, 10)
    ordered = Sampler(replace(plan, order="quality"), streams, 10, {"quality": values})
    assert np.array_equal(sources(mixed), sources(ordered))
    for i, name in enumerate(mixed.sources):
        here, there = (s.slots[1][s.slots[0] == i] for s in (mixed, ordered))
        assert sorted(here) == sorted(there)
        own = values[name][there * T // 20]
        assert (np.diff(own) >= 0).all() and len(np.unique(own)) > 3


def test_another_stream_is_read_by_parts_of_its_own() -> None:
    own = sampler(stream="copies", part=Part(1, 2, 0))
    source, row, damaged = own.slots
    assert not damaged.any()
    assert all(len(rows) < len(sampler(part=Part(1, 2, 0)).part_rows[name]) for name, rows in own.part_rows.items())
    for i, name in enumerate(own.sources):
        assert set(row[source == i]) <= set(own.part_rows[name].tolist())
    assert (own.batch(0) >= 20_000).all()
    assert own.epochs() == {
        name: pytest.approx((source == i).sum() / len(own.part_rows[name])) for i, name in enumerate(own.sources)
    }


def test_a_shorter_damaged_stream_is_read_from_the_right_source() -> None:
    s = sampler(100, defect="copies", dose=1.0)
    limits = {"a": (20_000, 20_090), "b": (20_090, 20_340), "c": (20_340, 20_380)}
    for step in range(100):
        for slot, row in zip(range(step * B, step * B + B), s.batch(step), strict=True):
            low, high = limits[s.sources[sources(s)[slot]]]
            assert low <= row.min()
            assert row.max() < high


def test_a_source_that_fills_no_row_is_left_out() -> None:
    """A source of a few words (a stray note in a folder) must not end a study."""
    streams = {"train": stream(0, {"a": 900, "b": T, "c": 0})}
    s = Sampler(replace(PLAN, weights={"a": 0.4, "b": 0.3, "c": 0.3}), streams, 50)
    assert set(sources(s)) == {0}
    assert s.epochs()["b"] == 0
    s.batch(49)


def test_where_no_damaged_row_exists_the_clean_one_stays() -> None:
    streams = {"train": stream(), "copies": stream(20_000, {"a": 90, "b": 3, "c": 0})}
    s = Sampler(replace(PLAN, defect="copies", dose=1.0), streams, 20)
    for step in range(20):
        for slot, row in zip(range(step * B, step * B + B), s.batch(step), strict=True):
            damaged = bool((row >= 20_000).all())
            assert damaged is (s.sources[sources(s)[slot]] == "a")


def split_documents(lengths: list[int], first: int = 1) -> np.ndarray:
    """Documents of so many tokens, each begun by the special token; every other token is its own."""
    tokens = np.arange(first, first + sum(lengths), dtype=np.uint32)
    tokens[np.cumsum([0, *lengths[:-1]])] = 0
    return tokens


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=80).filter(lambda n: sum(n) > T),
    st.integers(1, 6),
    st.integers(0, 2**40),
)
@settings(max_examples=80, deadline=None)
def test_parts_are_disjoint_equal_and_all_of_the_text(lengths: list[int], of: int, seed: int) -> None:
    text = TokenStream({"a": split_documents(lengths)})
    parts = [Part(i, of, seed).rows(text, "a", T) for i in range(of)]
    together = np.concatenate(parts)
    assert np.array_equal(np.sort(together), np.arange(text.n_rows("a", T)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    # Documents stay whole: no more are cut than there are cuts.
    owner = np.searchsorted(text.begins("a"), together * T, side="right")
    assert (np.diff(owner) != 0).sum() + 1 <= len(np.unique(owner))
    cut = sum(len(np.unique(np.searchsorted(text.begins("a"), p * T, side="right"))) for p in parts)
    assert cut <= len(np.unique(owner)) + of - 1


@given(st.lists(st.integers(1, 60), min_size=3, max_size=80), st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_parts_keep_texts_whole_whatever_documents_they_are_cut_into(
    lengths: list[int], pieces: int, of: int, seed: int
) -> None:
    units = np.arange(len(lengths)) // pieces
    text = TokenStream({"a": split_documents(lengths)}, units={"a": units})
    parts = [Part(i, of, seed).rows(text, "a", T) for i in range(of)]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(text.n_rows("a", T)))
    owners = [np.unique(units[np.searchsorted(text.begins("a"), p * T, side="right") - 1]) for p in parts]
    everyone = np.unique(np.concatenate(owners))
    assert sum(map(len, owners)) <= len(everyone) + of - 1  # no more are cut than there are cuts


def test_parts_are_random_documents() -> None:
    """Every document is as likely in every part, whatever its neighbours are."""
    text = TokenStream({"a": split_documents([T] * 40)})
    member = np.array([np.isin(np.arange(39), Part(0, 2, seed).rows(text, "a", T)) for seed in range(800)])
    assert stats.chisquare(member.sum(axis=0)).pvalue > 1e-4
    together = np.corrcoef(member[:, :-1].T.astype(float))
    assert abs(np.diag(together, 1)).max() < 0.2


def test_a_run_reads_its_part_and_nothing_else() -> None:
    lengths = [5, 40, 23, 31, 8, 60, 17, 90, 12, 44]
    streams = {"train": TokenStream({"a": split_documents(lengths), "b": split_documents(lengths, 1000)})}
    plan = replace(PLAN, weights={"a": 0.6, "b": 0.4})
    runs = [Sampler(replace(plan, seed=i, part=Part(i, 3, 5)), streams, 40) for i in range(3)]
    seen = [{(int(s), int(r)) for s, r in zip(*run.slots[:2], strict=True)} for run in runs]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert len(seen[0] | seen[1] | seen[2]) == sum(streams["train"].n_rows(s, T) for s in "ab")
    for run in runs:
        source = run.slots[0]
        for i, name in enumerate("ab"):
            rows = run.plan.part.rows(streams["train"], name, T)
            assert run.epochs()[name] == pytest.approx((source == i).sum() / len(rows))


def test_a_damaged_row_stands_for_the_same_place_of_the_same_document() -> None:
    """Also where damage made documents longer, so that the copy of one begins far from where it did."""
    lengths = [64, 8, 160, 40, 80]
    streams = {
        "train": TokenStream({"a": split_documents(lengths)}),
        "noise": TokenStream({"a": split_documents([2 * n for n in lengths])}, aligned=True),
    }
    plan = replace(PLAN, weights={"a": 1.0}, defect="noise", dose=1.0, part=Part(1, 2, 3))
    clean, damaged = Sampler(replace(plan, dose=0.0), streams, 10), Sampler(plan, streams, 10)
    at = clean.slots[1] * T
    expected = np.searchsorted(streams["train"].begins("a"), at, side="right")
    found = np.searchsorted(streams["noise"].begins("a"), damaged.slots[1] * T + T - 1, side="right")
    assert np.array_equal(found, expected)
    assert np.array_equal(damaged.slots[1], 2 * clean.slots[1])


def test_a_damaged_stream_that_should_stand_for_every_document_and_does_not_is_refused() -> None:
    streams = {
        "train": TokenStream({"a": split_documents([20, 30, 40])}),
        "noise": TokenStream({"a": split_documents([20, 30])}, aligned=True),
    }
    with pytest.raises(ValueError, match="2 documents of 'a' stand for 3"):
        _ = Sampler(replace(PLAN, weights={"a": 1.0}, defect="noise", dose=0.5), streams, 4).slots


@given(st.integers(1, 400), st.integers(1, 5), st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_copies_are_read_once_before_any_is_read_again_and_by_one_part_only(n: int, of: int, dose: float) -> None:
    streams = {"train": stream(), "copies": TokenStream({"b": split_documents([n + T + 1], 50_000)})}
    plan = replace(PLAN, weights={"b": 1.0}, defect="copies", dose=dose)
    slices = np.array_split(np.arange(streams["copies"].n_rows("b", T)), of)
    for index, own in enumerate(slices if len(slices[-1]) else []):
        _, row, damaged = Sampler(replace(plan, seed=index, part=Part(index, of, 1)), streams, 12).slots
        assert set(row[damaged == 1]) <= set(own)
        times = np.bincount(row[damaged == 1] - own[0], minlength=len(own)) if damaged.any() else np.zeros(1)
        assert times.max() - times.min() <= 1


def test_a_longer_run_on_copies_begins_like_a_shorter_one_and_reads_copies_once() -> None:
    text = {"b": split_documents([3000], 50_000)}
    streams = {"train": stream(), "copies": TokenStream(text)}
    plan = replace(PLAN, weights={"b": 1.0}, defect="copies", dose=0.5)
    short, long = Sampler(plan, streams, 5), Sampler(plan, streams, 30)
    for step in range(5):
        assert np.array_equal(short.batch(step), long.batch(step))
    _, row, damaged = long.slots
    assert len(np.unique(row[damaged == 1])) == damaged.sum() < streams["copies"].n_rows("b", T)


def test_two_defects_are_each_in_their_share_and_never_in_one_place() -> None:
    streams = STREAMS | {"blots": replace(stream(50_000), aligned=True)}
    plan = replace(PLAN, defect="noise", dose=0.3, also="blots")
    two = Sampler(plan, streams, 300)
    one, other = sampler(300, defect="noise", dose=0.3).slots[2], two.slots[2]
    assert np.array_equal(one == 1, other == 1)  # what one defect damages alone, it damages beside another
    for kind in (1, 2):
        assert abs((other == kind).mean() - 0.3) < 4 * (0.3 * 0.7 / len(other)) ** 0.5
    rows, clean = two.batch(0), sampler(300).batch(0)
    assert np.array_equal(rows, clean + np.array([0, 10_000, 50_000])[other[:B]][:, None])
    assert not (Sampler(replace(plan, dose=0.5), streams, 30).slots[2] == 0).any()
