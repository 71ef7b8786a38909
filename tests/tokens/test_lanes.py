"""Rows that go on, against the documents laid out by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from assay.tokens.lanes import Lanes
from assay.tokens.sampler import StreamPlan
from assay.tokens.stream import TokenStream
from assay.train.feed import LaneFeed

T, B = 5, 3
LENGTHS = {"a": [2, 9, 40, 1, 17, 6, 3, 3], "b": [30], "c": [4] * 12}


def stream() -> TokenStream:
    """Documents whose tokens are all different, so that each says where it stands: 0, then 1000 + place."""
    made, last = {}, 1000
    for source, lengths in LENGTHS.items():
        shard = np.arange(last, last + sum(lengths))
        shard[np.cumsum([0, *lengths[:-1]])] = 0
        made[source], last = shard, last + 1000
    return TokenStream(made)


def lanes(seed: int = 4, **weights: float) -> Lanes:
    sizes = {name: float(sum(own)) for name, own in LENGTHS.items()}
    given = weights or sizes
    shares = {name: value / sum(given.values()) for name, value in given.items()}
    return Lanes(StreamPlan(seed, shares, T, B), stream())


def source_of(token: int) -> str:
    return "abc"[token // 1000 - 1]


@pytest.mark.parametrize("seed", range(4))
def test_a_row_goes_on_where_that_of_the_step_before_ended(seed: int) -> None:
    own = lanes(seed)
    K = own.round_steps
    total = sum(map(sum, LENGTHS.values()))
    assert (total - 1) // (B * T) == K
    for step in range(3 * K):
        this, after = own.windows(step), own.windows(step + 1)
        if (step + 1) % K:
            counted = this.targets_BT[:, -1] >= 0
            assert (this.targets_BT[counted, -1] == after.inputs_BT[counted, 0]).all()
            same = this.segments_BT[:, -1] == after.segments_BT[:, 0]
            assert (after.continues_B == same).all()
            assert (after.continues_B == (after.inputs_BT[:, 0] != 0)).all()  # all documents are whole
        else:
            assert not after.continues_B.any()  # a round begins


@pytest.mark.parametrize("seed", range(4))
def test_an_epoch_reads_every_document_once_in_one_order_of_its_own(seed: int) -> None:
    own, orders = lanes(seed), []
    for epoch in range(2):
        steps = [own.windows(epoch * own.round_steps + k) for k in range(own.round_steps)]
        text = np.concatenate([np.concatenate([w.inputs_BT[b] for w in steps]) for b in range(B)])
        read = Counter(text[text > 0].tolist())
        assert max(read.values()) == 1
        assert sum(map(sum, LENGTHS.values())) - len(text) <= B * T  # what the last windows leave
        follows = {(int(a), int(b)) for a, b in pairwise(text) if a and b}
        assert all(b == a + 1 for a, b in follows)  # within a document tokens stand in its order
        begins = [int(token) for before, token in pairwise(text) if before == 0 and token]
        orders.append(begins)
        for w in steps:
            np.testing.assert_array_equal(w.targets_BT[:, :-1], w.inputs_BT[:, 1:])
            np.testing.assert_array_equal(np.diff(w.segments_BT, axis=1) != 0, w.inputs_BT[:, 1:] == 0)
    assert orders[0] != orders[1]


def test_any_step_can_be_had_at_any_time() -> None:
    straight, jumping = lanes(), lanes()
    steps = [straight.windows(step) for step in range(40)]
    for step in np.random.default_rng(0).permutation(40):
        for one, other in zip(jumping.windows(int(step)), steps[step], strict=True):
            np.testing.assert_array_equal(one, other)
    assert any((lanes(5).windows(s).inputs_BT != steps[s].inputs_BT).any() for s in range(3))


def test_shares_are_held_by_ending_documents_where_a_round_ends() -> None:
    own, counts, cuts = lanes(a=0.2, b=0.7, c=0.1), Counter[str](), 0
    n = 40 * own.round_steps
    # The last token of every document that has one of its own.
    lasts = {int(a) for shard in own.stream.shards.values() for a, b in pairwise([*shard, 0]) if a and not b}
    for step in range(n):
        w, names = own.windows(step), own.source_of(step)
        for b in range(B):
            for t in range(T):
                token, target = int(w.inputs_BT[b, t]), int(w.targets_BT[b, t])
                name = own.sources[names[b, t]]
                counts[name] += 1
                assert not token or source_of(token) == name
                if t + 1 < T:
                    goes_on = w.segments_BT[b, t + 1] == w.segments_BT[b, t]
                    after = int(w.inputs_BT[b, t + 1])
                    if goes_on or after or token:  # a document of one token does not say whether it is whole
                        assert target == (after if goes_on or (not after and token in lasts) else -1)
                    assert not goes_on or not token or after == token + 1
                cuts += target == -1
        assert all(w.continues_B[b] <= (w.inputs_BT[b, 0] != 0) for b in range(B))
    assert cuts > 0  # a document ended where the share of its source did: nothing is to be predicted there
    shares = {name: count / counts.total() for name, count in counts.items()}
    assert shares == pytest.approx({"a": 0.2, "b": 0.7, "c": 0.1}, abs=0.02)


@pytest.mark.parametrize("until", [1, 7, 10, 23])
def test_what_was_read_is_counted_token_by_token(until: int) -> None:
    for own in (lanes(), lanes(a=0.2, b=0.7, c=0.1)):
        expected = {name: np.zeros(sum(lengths), np.int64) for name, lengths in LENGTHS.items()}
        told = {name: np.zeros(sum(lengths), np.int64) for name, lengths in LENGTHS.items()}
        for step in range(until):
            w = own.windows(step)
            for token in w.inputs_BT[w.inputs_BT > 0]:
                expected[source_of(token)][token % 1000] += 1
            for name, begin, end in own.reads(step):
                told[name][begin:end] += 1
        found = {name: np.zeros(sum(lengths), np.int64) for name, lengths in LENGTHS.items()}
        for name, stretches in own.stretches(until).items():
            for begin, end in zip(*stretches, strict=True):
                found[name][begin:end] += 1
        feed = LaneFeed(own, until)
        assert feed.unique_tokens(until) == sum(int((times > 0).sum()) for times in found.values())
        assert feed.epochs() == pytest.approx({name: times.mean() for name, times in found.items()})
        for name, times in expected.items():
            np.testing.assert_array_equal(found[name], told[name])
            spelled = own.stream.shards[name] > 0  # those of id 0 do not say which they are
            np.testing.assert_array_equal(found[name][spelled], times[spelled])


def test_too_little_text_is_read_again_within_a_step() -> None:
    own = replace(lanes(), plan=replace(lanes().plan, batch_rows=200))
    assert own.round_steps == 1
    assert own.windows(3).inputs_BT.shape == (200, T)
    assert not own.windows(3).continues_B.any()
