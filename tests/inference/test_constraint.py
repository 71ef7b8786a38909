"""Forms that answers have to have: every search keeps to them, and finds what is best among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from writers import ALL, PROMPTS, V, neural, writer

from assay.errors import InputError
from assay.inference.beam import Beams, beam_search
from assay.inference.choices import likelihoods
from assay.inference.contrastive import contrastive_search
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.sampling import GREEDY, Rules, Sampling
from assay.inference.speculative import speculate

FORMS = ((4, 5), (4, 6, 7), (8,), (10, 11, 12, 13))


@dataclass
class OneOf:
    """One of some sequences of ids."""

    left: list[tuple[int, ...]] = field(default_factory=lambda: list(FORMS))

    def allowed(self) -> Tensor:
        mask = torch.zeros(V, dtype=torch.bool)
        mask[[one[0] for one in self.left if one]] = True
        return mask

    def tell(self, token: int) -> None:
        assert token in {one[0] for one in self.left}
        self.left = [one[1:] for one in self.left if one[0] == token]

    def copy(self) -> OneOf:
        return OneOf(list(self.left))

    @property
    def done(self) -> bool:
        return self.left == [()]


RULES = Rules(constraint=OneOf)


@pytest.mark.parametrize("name", ALL)
def test_every_search_keeps_to_the_form_and_ends_with_it(name: str) -> None:
    model, limits = writer(name), Limits(9)
    answers: list[Any] = [
        *generate(model, PROMPTS, GREEDY, limits, RULES),
        *generate(model, PROMPTS, Sampling(2.0), limits, RULES, returns=5),
        *beam_search(model, PROMPTS, Beams(3, 3), limits, RULES),
        *speculate(model, neural("gpt2"), PROMPTS, Sampling(1.5), limits, RULES, returns=3),
    ]
    for own in answers:
        for written in own:
            assert written.ids in FORMS
            assert (written.end, written.stopped_by) == ("stop", 0)
    assert len({written.ids for own in answers for written in own}) > 2


@pytest.mark.parametrize("name", ALL)
def test_wide_beams_find_the_likeliest_form(name: str) -> None:
    model = writer(name)
    scored = likelihoods(model, PROMPTS, [FORMS] * len(PROMPTS))
    for own, scores in zip(beam_search(model, PROMPTS, Beams(6, 4, 0.0), Limits(9), RULES), scored, strict=True):
        expected = sorted(zip((s.total for s in scores), FORMS, strict=True), reverse=True)
        assert [written.ids for written in own] == [ids for _, ids in expected]
        assert [written.score for written in own] == pytest.approx([total for total, _ in expected], abs=1e-4)


def test_greedy_choice_is_the_likeliest_allowed_token_at_each_step_alone_and_with_a_draft() -> None:
    model = neural("llama")
    limits = Limits(9, stop=(3,))
    alone = generate(model, PROMPTS, GREEDY, limits, RULES)
    for prompt, own in zip(PROMPTS, alone, strict=True):
        said: list[int] = []
        form = OneOf()
        while not form.done:
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *said]]))[0, -1]
            said.append(int(logits.masked_fill(~form.allowed(), float("-inf")).argmax()))
            form.tell(said[-1])
        assert list(own[0].ids) == said
    for draft in (model, writer("n-gram")):
        assert [o[0].ids for o in speculate(model, draft, PROMPTS, GREEDY, limits, RULES)] == [o[0].ids for o in alone]


def test_drawn_forms_have_the_probabilities_of_what_is_left() -> None:
    """By counting; the mask comes before the temperature."""
    model, n = neural("gpt2"), 2000
    (drawn,) = generate(model, [[1, 2]], Sampling(1.2), Limits(9), RULES, returns=n, rows=500)
    with torch.no_grad():
        first = model(torch.tensor([[1, 2]]))[0, -1] / 1.2
    shares = first[[4, 8, 10]].softmax(-1)
    for share, token in zip(shares.tolist(), (4, 8, 10), strict=True):
        seen = sum(written.ids[0] == token for written in drawn) / n
        assert abs(seen - share) < 4 * (share * (1 - share) / n) ** 0.5 + 1e-9


def test_a_form_that_the_rules_forbid_is_told() -> None:
    rules = Rules(banned=(4, 8, 10), constraint=OneOf)
    for search in (generate, beam_search):
        with pytest.raises(InputError, match="no token to choose"):
            search(neural("gpt2"), PROMPTS[:2], rules=rules)  # type: ignore[operator]
    with pytest.raises(InputError, match="no token to choose"):
        speculate(neural("gpt2"), neural("llama"), PROMPTS[:2], rules=rules)
    with pytest.raises(InputError, match="knows no constraint"):
        contrastive_search(neural("gpt2"), PROMPTS, rules=RULES)


def test_what_is_cut_off_is_the_beginning_of_a_form() -> None:
    for written in (own[0] for own in generate(neural("gpt2"), PROMPTS, limits=Limits(1), rules=RULES)):
        assert any(form[:1] == written.ids for form in FORMS)
        assert written.end == ("stop" if written.ids in FORMS else "length")
