"""Beam search against all sequences of a small space, written down one by one, and its own invariants."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from writers import ALL, PROMPTS, V, neural, writer

from assay.errors import InputError
from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.sampling import Rules
from assay.inference.steppers import stepper

SMALL, STOP, LONGEST = 5, 2, 4


def everything(model: Any, prompt: list[int], beams: Beams, least: int) -> list[tuple[float, tuple[int, ...]]]:
    """Score and ids of every sequence that ends by the stop or is as long as it may be, the best first."""
    words = [i for i in range(SMALL) if i != STOP]
    ended = [(*w, STOP) for n in range(least, LONGEST) for w in itertools.product(words, repeat=n)]
    whole = [*ended, *itertools.product(words, repeat=LONGEST)]
    rows = stepper(model).begin([prompt]).take(torch.zeros(len(whole), dtype=torch.int64))
    scores, _ = rows.follow(torch.tensor([[*w, *[-1] * (LONGEST - len(w))] for w in whole]))
    summed = zip((math.fsum(own) for own in scores.tolist()), whole, strict=True)
    return sorted(((s / beams.over(len(w)), w) for s, w in summed if s > -math.inf), reverse=True)


@pytest.mark.parametrize("least", [0, 2])
@pytest.mark.parametrize(("penalty", "form"), [(0.0, "power"), (1.0, "power"), (2.0, "power"), (0.8, "wu")])
@pytest.mark.parametrize("name", ["proxy", "gpt2", "bart", "t5", "lstm", "n-gram"])
def test_a_beam_as_wide_as_the_space_finds_what_is_best(name: str, penalty: float, form: Any, least: int) -> None:
    model, prompts = writer(name, SMALL), [[1, 3], [4], [3, 3, 1, 1]]
    beams = Beams(400, 60, penalty, form, "certain")
    found = beam_search(model, prompts, beams, Limits(LONGEST, least, stop=(STOP,)))
    for prompt, own in zip(prompts, found, strict=True):
        expected = everything(model, prompt, beams, least)[:60]
        assert [w.score for w in own] == pytest.approx([score for score, _ in expected], abs=1e-5)
        scores = dict((ids, score) for score, ids in expected)
        assert len({w.ids for w in own}) == len(own)
        assert all(w.score == pytest.approx(scores.get(w.ids, expected[-1][0]), abs=1e-5) for w in own)
        assert own[0].ids == expected[0][1] or expected[0][0] - expected[1][0] < 1e-5


@pytest.mark.parametrize("name", ALL)
def test_a_beam_of_one_is_greedy(name: str) -> None:
    model, limits, rules = writer(name), Limits(12, 2, stop=(3, 7, 12, 31)), Rules(no_repeat=2, banned=(5,))
    greedy = generate(model, PROMPTS, limits=limits, rules=rules)
    for (a,), (b,) in zip(greedy, beam_search(model, PROMPTS, Beams(1, penalty=0.0), limits, rules), strict=True):
        assert (a.ids, a.end, a.kept) == (b.ids, b.end, b.kept)
        assert a.log_probabilities == pytest.approx(b.log_probabilities, abs=1e-5)
        assert a.score == pytest.approx(b.score, abs=1e-5)


@pytest.mark.parametrize("until", ["width", "likely", "certain"])
@pytest.mark.parametrize("name", ALL)
def test_the_n_best_are_sorted_differ_and_are_the_same_in_any_batch(name: str, until: Any) -> None:
    model, limits = writer(name), Limits(10, stop=(3, 7, 12))
    beams = Beams(4, 4, 0.7, until=until)
    together = beam_search(model, PROMPTS, beams, limits)
    for prompt, own in zip(PROMPTS, together, strict=True):
        (alone,) = beam_search(model, [prompt], beams, limits, rows=1)
        assert [w.ids for w in alone] == [w.ids for w in own]
        assert [w.score for w in own] == sorted((w.score for w in own), reverse=True)
        assert len({w.ids for w in own}) == 4
        for w in own:
            assert w.score == pytest.approx(sum(w.log_probabilities) / beams.over(len(w.ids)), abs=1e-5)
            scores, _ = stepper(model).begin([prompt]).follow(torch.tensor([w.ids]))
            assert w.log_probabilities == pytest.approx(scores[0].tolist(), abs=2e-5)
            assert w.end == ("stop" if w.ids[-1] in (3, 7, 12) else "length")


def test_searching_on_finds_what_is_at_least_as_good() -> None:
    model, limits = neural("llama", 12), Limits(14, stop=(3, 7))
    best = {
        until: [own[0].score for own in beam_search(model, [[i] for i in range(12)], Beams(4, until=until), limits)]
        for until in ("width", "likely", "certain")
    }
    assert all(a <= b + 1e-6 for a, b in zip(best["width"], best["likely"], strict=True))
    assert all(a <= b + 1e-6 for a, b in zip(best["likely"], best["certain"], strict=True))
    assert best["width"] != best["certain"]


def test_stop_sequences_and_rules_hold_in_beams() -> None:
    model = neural("gpt2", 8)
    for rules in (Rules(), Rules(no_repeat=2, banned=(4,)), Rules(repetition=1.3)):
        limits = Limits(12, 3, sequences=((1, 2), (5, 5)), when=lambda ids: ids[-1] == 6)
        for own in beam_search(model, [[1], [2, 3]], Beams(6, 6), limits, rules):
            for w in own:
                pairs = list(itertools.pairwise(w.ids))
                assert not {(1, 2), (5, 5)} & set(pairs[3:-1])
                assert w.end != "stop" or pairs[-1] in ((1, 2), (5, 5)) or w.ids[-1] == 6
                assert len(w.kept) >= 3
                if rules.no_repeat:
                    assert 4 not in w.ids and len(set(pairs)) == len(pairs)


def test_prompts_that_are_done_are_no_longer_computed() -> None:
    model, seen = neural("llama"), []
    inner = model.hidden
    model.hidden = lambda ids, *more: (seen.append(len(ids)), inner(ids, *more))[1]
    beam_search(model, PROMPTS, Beams(3, until="width"), Limits(40, stop=tuple(range(0, V, 3))))
    assert seen[0] == 5 and all(n % 3 == 0 for n in seen[1:])
    assert seen[1:] == sorted(seen[1:], reverse=True) and seen[-1] < seen[1] < 3 * 5


def test_beams_end_where_the_model_has_no_more_positions() -> None:
    found = beam_search(neural("gpt2"), [[1] * 48, [2] * 44, [3]], Beams(3, 3), Limits(7))
    assert [[(len(w.ids), w.end) for w in own] for own in found] == [
        [(1, "full")] * 3, [(5, "full")] * 3, [(7, "length")] * 3
    ]  # fmt: skip


def test_what_cannot_be_searched_is_told() -> None:
    with pytest.raises(InputError, match="the 5 best of 4"):
        Beams(4, 5)
    with pytest.raises(InputError, match=r"prompts\[0\]: an empty prompt"):
        beam_search(neural("gpt2"), [[]])
    with pytest.raises(InputError, match="leave no token to choose"):
        beam_search(neural("gpt2", 4), [[0]], Beams(2), Limits(3), Rules(banned=(0, 1, 2, 3)))
    with pytest.raises(InputError, match="leave no token to choose"):
        beam_search(neural("gpt2", 4), [[0]], Beams(2), Limits(8), Rules(no_repeat=1))
