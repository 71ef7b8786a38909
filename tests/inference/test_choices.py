"""Likelihoods of continuations: those of the model's loss, whatever is scored together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from writers import ALL, NEURAL, PROMPTS, V, neural, writer

from assay.errors import InputError
from assay.inference.choices import Likelihood, choices, likelihoods
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.models.ngram import KneserNey
from assay.models.protocol import Batch

CONTINUATIONS = [[[4, 5], [6], [7, 8, 9, 10]], [[1, 1]], [[2, 3, 4]] * 2, [[i] for i in range(1, 9)], [[9, 8], [7]]]


def losses(model: Any, prompt: list[int], continuation: list[int]) -> list[float]:
    """Per position, from `model.loss` on the whole row; of an n-gram model from its own log-probabilities."""
    if isinstance(model, KneserNey):
        return (-model.log_probabilities(np.array([*prompt, *continuation]), cuts=np.array([0])))[
            len(prompt) :
        ].tolist()
    begin = [model.config.start] if hasattr(model, "encode") else prompt
    row = [*begin, *continuation]
    targets = torch.tensor([[*[-1] * (len(begin) - 1), *continuation]])
    source = torch.tensor([prompt]) if hasattr(model, "encode") else None
    with torch.no_grad():
        found = model.loss(Batch(torch.tensor([row[:-1]]), targets, source_BS=source)).losses_BT[0]
    return found[len(begin) - 1 :].tolist()


@pytest.mark.parametrize("name", ALL)
def test_scores_are_the_losses_of_the_model_in_batches_of_any_size(name: str) -> None:
    model = writer(name)
    for rows in (1, 2, 5, 64):
        found = likelihoods(model, PROMPTS, CONTINUATIONS, rows=rows)
        for prompt, given, own in zip(PROMPTS, CONTINUATIONS, found, strict=True):
            for continuation, likelihood in zip(given, own, strict=True):
                expected = losses(model, prompt, continuation)
                assert [-x for x in likelihood.by_token] == pytest.approx(expected, abs=1e-5)
                assert likelihood.total == pytest.approx(-sum(expected), abs=1e-5)


def test_scores_of_an_n_gram_model_are_the_same_to_the_last_bit() -> None:
    model = writer("n-gram")
    assert likelihoods(model, PROMPTS, CONTINUATIONS, rows=1) == likelihoods(model, PROMPTS, CONTINUATIONS)


@pytest.mark.parametrize("name", NEURAL)
def test_what_greedy_decoding_writes_is_most_likely_and_nothing_else(name: str) -> None:
    model = neural(name)
    written = [own[0].ids for own in generate(model, PROMPTS, limits=Limits(4))]
    others = [(*ids[:-1], (ids[-1] + 1) % V) for ids in written]
    for own in likelihoods(model, PROMPTS, [[a, b, a[:2]] for a, b in zip(written, others, strict=True)]):
        assert [likelihood.most_likely for likelihood in own] == [True, False, True]


@pytest.mark.parametrize("name", ALL)
def test_the_chances_of_all_single_tokens_sum_to_one(name: str) -> None:
    found = choices(writer(name), [3, 4], [[i] for i in range(V)], rows=7)
    assert sum(math.exp(likelihood.total) for likelihood in found) == pytest.approx(1.0, abs=1e-5)


def test_totals_per_token_and_per_byte() -> None:
    one, two = choices(neural("gpt2"), [1], [[2, 3], [4]], [12, 5])
    assert (one.per_token, one.per_byte) == pytest.approx((one.total / 2, one.total / 12))
    assert two.per_byte == pytest.approx(two.total / 5)
    with pytest.raises(InputError, match="no number of bytes"):
        _ = Likelihood((-1.0,), True).per_byte


def test_a_prompt_is_read_once() -> None:
    model, seen = neural("gpt2"), []
    inner = model.hidden
    model.hidden = lambda ids, *more: (seen.append(tuple(ids.shape)), inner(ids, *more))[1]
    choices(model, [1] * 20, [[2, 3, 4], [5, 6], [7]])
    assert seen == [(1, 20), (3, 2)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prompts": [[]]}, r"prompts\[0\]: an empty prompt"),
        ({"continuations": [[[1], []]]}, r"continuations\[0\]\[1\]: an empty continuation"),
        ({"continuations": [[[1], [V]]]}, r"continuations\[0\]\[1\]: token id"),
        ({"continuations": [[[1] * 48]]}, "48 tokens, and the model has positions for 47 more"),
        ({"continuations": []}, "not of one number"),
        ({"n_bytes": [[1]]}, "not of one number"),
        ({"rows": 0}, "0 rows"),
    ],
)
def test_bad_input_is_told(more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        likelihoods(neural("gpt2"), **{"prompts": [[1, 2]], "continuations": [[[1], [2, 3]]], **more})


def test_nothing_to_choose_from_is_nothing() -> None:
    assert likelihoods(neural("gpt2"), [[1], [2]], [[], [[3]]])[0] == []
    assert likelihoods(neural("gpt2"), [], []) == []


@pytest.mark.parametrize("name", NEURAL)
def test_prompts_that_each_fit_are_not_padded_beyond_the_positions_together(name: str) -> None:
    """A long prompt with a short continuation, beside a short one with a long continuation, of 48 positions."""
    model, rng = neural(name), np.random.default_rng(0)
    prompts = [rng.integers(1, V, n).tolist() for n in (46, 3, 25)]
    texts = [[rng.integers(1, V, n).tolist()] for n in (3, 45, 20)]
    for prompt, own, (found,) in zip(prompts, texts, likelihoods(model, prompts, texts), strict=True):
        assert found.total == pytest.approx(likelihoods(model, [prompt], [own])[0][0].total, abs=1e-4)
