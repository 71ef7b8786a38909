"""Contrastive search: the tokens of a reference without caches, alone as in a batch, stopped where it should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from writers import NEURAL, PROMPTS, neural, writer

from assay.errors import InputError
from assay.inference.contrastive import Contrast, contrastive_search
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.sampling import Rules


def states_of(model: Any, prompt: list[int], new: list[int]) -> torch.Tensor:
    """(T, D) final states of all that was said, by one plain pass."""
    with torch.no_grad():
        if hasattr(model, "encode"):
            said = torch.tensor([[model.config.start, *new]])
            return model.hidden(model.encode(torch.tensor([prompt])), said)[0]
        found = model.hidden(torch.tensor([[*prompt, *new]]))
        return (found[0] if isinstance(found, tuple) else found)[0]


def reference(model: Any, prompt: list[int], n: int, alpha: float, k: int) -> list[int]:
    """Algorithm and formula of Su et al. 2022, token by token, everything computed anew."""
    new: list[int] = []
    for _ in range(n):
        before = states_of(model, prompt, new)
        with torch.no_grad():
            shares, ids = model.logits(before[-1]).softmax(-1).topk(k)
        values = []
        for share, token in zip(shares.tolist(), ids.tolist(), strict=True):
            own = states_of(model, prompt, [*new, token])[-1]
            alike = max(float(torch.cosine_similarity(own, other, dim=0)) for other in before)
            values.append((1 - alpha) * share - alpha * alike)
        new.append(ids[max(range(k), key=values.__getitem__)].item())
    return new


@pytest.mark.parametrize("name", NEURAL)
def test_tokens_are_those_of_the_formula(name: str) -> None:
    """Prompts of several lengths together, against each alone."""
    model = neural(name)
    found = contrastive_search(model, PROMPTS, Contrast(0.6, 4), Limits(8))
    assert [list(own.ids) for own in found] == [reference(model, prompt, 8, 0.6, 4) for prompt in PROMPTS]


def test_it_says_something_else_than_greedy_decoding_and_without_a_penalty_the_same() -> None:
    model, limits = neural("gpt2"), Limits(12, stop=(3,))
    greedy = [own[0].ids for own in generate(model, PROMPTS, limits=limits)]
    for rules in (Rules(), Rules(repetition=1.3, no_repeat=2, banned=(7,))):
        same = contrastive_search(model, PROMPTS, Contrast(0.0), limits, rules)
        assert [own.ids for own in same] == [own[0].ids for own in generate(model, PROMPTS, limits=limits, rules=rules)]
    assert [own.ids for own in contrastive_search(model, PROMPTS, Contrast(0.6), limits)] != greedy


def test_answers_do_not_depend_on_the_batch_also_where_positions_run_out() -> None:
    model = neural("llama")  # 48 positions
    prompts = [[*range(1, 40)], [5, 6], [*range(2, 38)], [9] * 47, [8] * 48]
    limits = Limits(14, stop=(3, 7))
    together = contrastive_search(model, prompts, Contrast(), limits)
    assert {own.end for own in together} >= {"full"}
    assert [len(together[i].ids) for i in (3, 4)] == [2, 1]
    for prompt, own in zip(prompts, together, strict=True):
        (alone,) = contrastive_search(model, [prompt], Contrast(), limits)
        assert (alone.ids, alone.end) == (own.ids, own.end)
        assert alone.log_probabilities == pytest.approx(own.log_probabilities, abs=2e-5)
    assert contrastive_search(model, prompts, Contrast(), limits, rows=4)[1].ids == together[1].ids


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(InputError, match="no states to compare"):
        contrastive_search(writer("n-gram"), PROMPTS)
    with pytest.raises(InputError, match="over 4 candidates"):
        Contrast(1.5)
    with pytest.raises(InputError, match="no token to choose"):
        contrastive_search(neural("gpt2"), [[1]], limits=Limits(2), rules=Rules(banned=tuple(range(40))))
