"""A draft changes how fast an answer comes, and nothing else."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
import torch
from scipy import stats
from writers import ALL, PROMPTS, neural, writer

from assay.errors import InputError
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.sampling import GREEDY, Rules, Sampling
from assay.inference.speculative import speculate, speculative_stream
from assay.inference.steppers import stepper

RULES = Rules(repetition=1.2, no_repeat=3, banned=(9,))


@pytest.mark.parametrize("name", ALL)
def test_greedy_tokens_are_those_without_a_draft(name: str) -> None:
    model = writer(name)
    drafts = [neural("gpt2"), writer("n-gram"), model]
    for limits, rules in ((Limits(24), Rules()), (Limits(20, 5, stop=(3, 7)), RULES)):
        alone = generate(model, PROMPTS, GREEDY, limits, rules)
        for draft in drafts:
            for a, b in zip(alone, speculate(model, draft, PROMPTS, GREEDY, limits, rules), strict=True):
                assert (a[0].ids, a[0].end, a[0].stopped_by) == (b[0].ids, b[0].end, b[0].stopped_by)
                assert a[0].log_probabilities == pytest.approx(b[0].log_probabilities, abs=5e-5)


@pytest.mark.parametrize("draft", ["gpt2", "lstm", "n-gram"])
def test_drawn_answers_have_the_probabilities_of_the_model(draft: str) -> None:
    """All of V^3 answers, counted; the expected shares are products of plain passes under temperature and top-k."""
    V, n, how = 4, 1500, Sampling(1.3, top_k=3)
    model, prompt = neural("llama", V), [1, 2]
    expected = {}
    for ids in product(range(V), repeat=3):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *ids]]))[0, 1:4]
        shares = how.shape(logits).double().softmax(-1)
        expected[ids] = float(shares[0, ids[0]] * shares[1, ids[1]] * shares[2, ids[2]])
    (drawn,) = speculate(model, writer(draft, V), [prompt], how, Limits(3), returns=n, seed=4)
    counts = Counter(own.ids for own in drawn)
    assert all(expected[ids] > 0 for ids in counts)
    likely = [ids for ids, share in expected.items() if share * n >= 5]
    rest = 1 - sum(expected[ids] for ids in likely)
    observed = [*(counts[ids] for ids in likely), n - sum(counts[ids] for ids in likely)]
    wanted = [*(expected[ids] * n for ids in likely), rest * n]
    assert len(likely) >= 15
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1]
        wanted = [w * sum(observed) / sum(wanted) for w in wanted]
    assert stats.chisquare(observed, wanted).pvalue > 0.001


def test_seeds_reproduce() -> None:
    model, draft = neural("gpt2"), neural("llama")
    once, again, other = (
        speculate(model, draft, PROMPTS, Sampling(), Limits(12), returns=2, seed=seed) for seed in (1, 1, 2)
    )
    assert once == again
    assert all(a[0].ids != b[0].ids and a[0].ids != a[1].ids for a, b in zip(once, other, strict=True))


def test_a_good_draft_saves_steps() -> None:
    model = neural("gpt2")
    steps = list(speculative_stream(model, model, [[1, 2, 3]], limits=Limits(30)))
    assert sum(map(len, steps)) == 30
    assert len(steps) <= 4  # 5 + 7 + 9 + 11 tokens


def test_contexts_run_out_as_without_a_draft() -> None:
    """Of the model, of the draft alone, and of both at once."""
    long, short = neural("gpt2"), neural("standard")
    wide = neural("lstm")
    for model, draft, prompt in ((long, short, [5] * 40), (wide, short, [6] * 40), (long, wide, [7] * 48),
                                 (wide, short, [8] * 60)):  # fmt: skip
        (alone,), (drafted,) = generate(model, [prompt], limits=Limits(20)), speculate(
            model, draft, [prompt], limits=Limits(20)
        )  # fmt: skip
        assert (alone[0].ids, alone[0].end) == (drafted[0].ids, drafted[0].end)


def test_a_draft_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match="the draft has 12 ids, and the model 40"):
        speculate(neural("gpt2"), neural("gpt2", 12), PROMPTS)
    with pytest.raises(InputError, match="an empty prompt"):
        speculate(neural("gpt2"), neural("gpt2"), [[]])


@pytest.mark.parametrize("name", ALL)
def test_what_is_taken_back_was_never_read(name: str) -> None:
    prompts = PROMPTS[:1] * 2
    here, there = (stepper(writer(name)).begin(prompts) for _ in range(2))
    ids = torch.tensor([[4, 5, 6, 7], [8, 9, 10, 11]])
    here.mark()
    here.extend(ids[:, :3])
    here.step(ids[:, 3])
    here.back(3)
    after = here.extend(torch.tensor([[12, 13], [14, 15]]))
    for column in (ids[:, 0], torch.tensor([12, 14]), torch.tensor([13, 15])):
        there.step(column)
    torch.testing.assert_close(after[:, -1], there.logits(), rtol=1e-5, atol=2e-5)
