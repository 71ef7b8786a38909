"""Continuations: alone as in a batch, reproducible, stopped where they should, and those of transformers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from writers import ALL, PROMPTS, V, neural, writer

from assay.errors import InputError
from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate, stream
from assay.inference.limits import Limits, Written
from assay.inference.sampling import GREEDY, Rules, Sampling
from assay.inference.steppers import stepper

SAMPLED = Sampling(0.8, top_k=30, top_p=0.95)
RULES = Rules(repetition=1.1, no_repeat=3, banned=(9,))


def ids(answers: list[list[Written]]) -> list[list[tuple[int, ...]]]:
    return [[written.ids for written in own] for own in answers]


@pytest.mark.parametrize("how", [GREEDY, SAMPLED])
@pytest.mark.parametrize("name", ALL)
def test_an_answer_is_the_same_alone_and_in_any_batch(name: str, how: Sampling) -> None:
    model, limits = writer(name), Limits(14, stop=(3, 7))
    together = generate(model, PROMPTS, how, limits, RULES, returns=3)
    for rows in (1, 4):
        assert ids(generate(model, PROMPTS, how, limits, RULES, returns=3, rows=rows)) == ids(together)
    assert ids(generate(model, PROMPTS[::-1], how, limits, RULES, returns=3)) == ids(together)[::-1]
    for prompt, own in zip(PROMPTS, together, strict=True):
        alone = generate(model, [prompt], how, limits, RULES, returns=2)[0]
        assert ids([alone]) == ids([own[:2]])
        for a, b in zip(alone, own, strict=False):
            assert a.log_probabilities == pytest.approx(b.log_probabilities, abs=2e-5)


def test_seeds_reproduce_and_answers_differ() -> None:
    model, limits = neural("llama"), Limits(10)
    once = ids(generate(model, PROMPTS, SAMPLED, limits, returns=4, seed=5))
    assert ids(generate(model, PROMPTS, SAMPLED, limits, returns=4, seed=5)) == once
    assert all(len(set(own)) == 4 for own in once)
    other = ids(generate(model, PROMPTS, SAMPLED, limits, returns=4, seed=6))
    assert all(set(a) != set(b) for a, b in zip(once, other, strict=True))
    each = ids(generate(model, PROMPTS, SAMPLED, limits, returns=4, seed=[6, 5, 6, 5, 5]))
    assert each == [other[0], once[1], other[2], once[3], once[4]]


def test_samples_have_the_probabilities_of_the_model() -> None:
    model = neural("gpt2", 12)
    with torch.no_grad():
        expected = model(torch.tensor([[1, 2]]))[0, -1].softmax(dim=-1)
    drawn = generate(model, [[1, 2]], Sampling(), Limits(1), returns=4000, rows=500)[0]
    counts = Counter(written.ids[0] for written in drawn)
    away = sum((counts[i] - 4000 * float(p)) ** 2 / (4000 * float(p)) for i, p in enumerate(expected))
    assert away < 31.3  # 11 degrees of freedom: exceeded once in a thousand
    assert all(w.log_probabilities[0] == pytest.approx(float(expected[w.ids[0]].log()), abs=1e-5) for w in drawn[:50])


@pytest.mark.parametrize("name", ALL)
def test_scores_are_the_models_whatever_the_rules(name: str) -> None:
    model = writer(name)
    for prompt, (written,) in zip(PROMPTS, generate(model, PROMPTS, SAMPLED, Limits(8), RULES), strict=True):
        scores, _ = stepper(model).begin([prompt]).follow(torch.tensor([written.ids]))
        assert written.log_probabilities == pytest.approx(scores[0].tolist(), abs=2e-5)
        assert written.score == pytest.approx(sum(written.log_probabilities))


def test_a_stop_id_ends_a_row_and_no_other() -> None:
    model = neural("llama")
    free = generate(model, PROMPTS, SAMPLED, Limits(20))
    stop = free[0][0].ids[6]
    for (whole,), (cut,) in zip(free, generate(model, PROMPTS, SAMPLED, Limits(20, stop=(stop,))), strict=True):
        at = whole.ids.index(stop) + 1 if stop in whole.ids else 20
        assert cut.ids == whole.ids[:at]
        assert (cut.end, cut.stopped_by) == (("stop", 1) if stop in whole.ids else ("length", 0))
        assert cut.kept == tuple(i for i in cut.ids if i != stop)


def test_stop_sequences_and_stop_strings_end_a_row_wherever_its_tokens_are_cut() -> None:
    """Ids stand for strings of letters, so a stop string can begin and end within tokens."""
    model = neural("llama")
    letters = ["".join(chr(97 + (i * 7 + j) % 5) for j in range(1 + i % 3)) for i in range(V)]
    (whole,) = generate(model, PROMPTS[:1], SAMPLED, Limits(30))[0]
    pair = whole.ids[11:13]
    (cut,) = generate(model, PROMPTS[:1], SAMPLED, Limits(30, sequences=(pair, (0,) * 40)))[0]
    first = next(n for n in range(2, 31) if whole.ids[n - 2 : n] == pair)
    assert (cut.ids, cut.end, cut.kept) == (whole.ids[:first], "stop", whole.ids[: first - 2])
    text = ["".join(letters[i] for i in whole.ids[:n]) for n in range(31)]
    string = text[14][len(text[12]) - 1 :][:3]  # from the last letter of one token into others
    seen: list[int] = []

    def says_it(new: Any) -> bool:
        seen.append(len(new))
        return string in "".join(letters[i] for i in new)

    (cut,) = generate(model, PROMPTS[:1], SAMPLED, Limits(30, when=says_it))[0]
    expected = next(n for n in range(31) if string in text[n])
    assert (cut.ids, cut.end, seen) == (whole.ids[:expected], "stop", [*range(1, expected + 1)])


@pytest.mark.parametrize("least", [0, 1, 5, 20])
def test_so_many_tokens_come_before_a_stop(least: int) -> None:
    model, stops = neural("gpt2"), tuple(range(0, V, 2))
    answers = generate(model, PROMPTS, SAMPLED, Limits(20, least, stop=stops), returns=5)
    ends = [len(written.kept) for own in answers for written in own]
    assert min(ends) >= least
    assert least or min(ends) == 0
    pairs = generate(model, PROMPTS, SAMPLED, Limits(20, least, sequences=tuple((i,) for i in stops)), returns=5)
    assert min(len(written.kept) for own in pairs for written in own) >= least


def test_a_row_that_stopped_near_the_last_position_does_not_hinder_longer_ones() -> None:
    """Rows that are done are passed over for a while, and the model must not be asked for positions that it has not."""
    model, others = neural("gpt2"), [[2 + i] for i in range(30)]
    for first in (5, 20, 32):
        long = [first] * 46
        stop = generate(model, [long], limits=Limits(1))[0][0].ids
        together = generate(model, [long, *others], limits=Limits(20, stop=stop))
        assert ids(together[:1]) == [[stop]]
        assert ids(together[1:3]) == ids(generate(model, others[:2], limits=Limits(20, stop=stop)))


def test_a_row_ends_where_the_model_has_no_more_positions() -> None:
    decoder, pair = neural("gpt2"), neural("marian")
    prompts = [[1] * 48, [2] * 40, [3]]
    found = [own[0] for own in generate(decoder, prompts, limits=Limits(12))]
    assert [(len(w.ids), w.end) for w in found] == [(1, "full"), (9, "full"), (12, "length")]
    assert found[1].ids == generate(decoder, prompts[1:2], limits=Limits(12))[0][0].ids
    many = generate(
        decoder, [*prompts, *[[4]] * 20], limits=Limits(12)
    )  # too few are done to be dropped for that alone
    assert [own[0].ids for own in many[:3]] == [w.ids for w in found]
    assert [len(own[0].ids) for own in generate(pair, prompts, limits=Limits(60))] == [48] * 3
    assert len(generate(neural("t5"), prompts, limits=Limits(60))[0][0].ids) == 60


def test_a_stream_gives_each_token_as_it_is_chosen() -> None:
    model, limits = neural("llama"), Limits(20, stop=(3, 7, 8, 20, 21))
    whole = [written for own in generate(model, PROMPTS, SAMPLED, limits, returns=2) for written in own]
    rows: dict[int, list[int]] = {row: [] for row in range(10)}
    for step, tokens in enumerate(stream(model, PROMPTS, SAMPLED, limits, returns=2)):
        assert all(len(rows[token.row]) == step for token in tokens)
        for token in tokens:
            rows[token.row].append(token.id)
            assert (token.end is not None) == (len(rows[token.row]) == len(whole[token.row].ids))
    assert [tuple(own) for own in rows.values()] == [written.ids for written in whole]
    assert len({len(written.ids) for written in whole}) > 3  # they ended one after another


def test_rows_that_are_done_are_no_longer_computed() -> None:
    model, seen = neural("llama"), []
    inner = model.hidden
    model.hidden = lambda ids, *more: (seen.append(len(ids)), inner(ids, *more))[1]
    answers = generate(model, PROMPTS, SAMPLED, Limits(20, stop=(3, 7, 8, 20, 21)), returns=2)
    lengths = [len(written.ids) for own in answers for written in own]
    assert seen[0] == len(PROMPTS)
    assert seen[1:] == [sum(n > step for n in lengths) for step in range(1, max(lengths))]


def test_rules_that_leave_nothing_are_told() -> None:
    model = neural("gpt2", 5)
    for how in (GREEDY, SAMPLED):
        with pytest.raises(InputError, match="answer 0, token 4: the settings leave no token"):
            generate(model, [[0]], how, Limits(8), Rules(no_repeat=1))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prompts": [[1], []]}, r"prompts\[1\]: an empty prompt"),
        ({"prompts": [[1], [V]]}, rf"prompts\[1\]: token id {V}"),
        ({"limits": Limits(3, stop=(V,))}, "limits.stop: token id"),
        ({"limits": Limits(3, sequences=((1, -2),))}, "limits.sequences: token id -2"),
        ({"rules": Rules(banned=(V,))}, "rules.banned: token id"),
        ({"returns": 0}, "0 answers"),
        ({"seed": [1, 2, 3]}, "3 seeds for 2 prompts"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        stream(neural("gpt2"), **{"prompts": [[1], [2]], **more})
    for made in (lambda: Limits(0), lambda: Limits(3, least=4), lambda: Limits(3, sequences=((),))):
        with pytest.raises(InputError):
            made()


class Counting:
    """A model of one's own: the next id is one more than the last."""

    vocabulary, device, reads = V, torch.device("cpu"), None

    def history(self, prompt: Any) -> list[int]:
        return list(prompt)

    def room(self, prompt: Any) -> None:
        return None

    def begin(self, prompts: Any) -> Any:
        return CountingRows(torch.tensor([prompt[-1] for prompt in prompts]))


class CountingRows:
    def __init__(self, last_B: torch.Tensor) -> None:
        self.last_B = last_B

    def logits(self) -> torch.Tensor:
        return 30.0 * torch.nn.functional.one_hot((self.last_B + 1) % V, V)

    def step(self, ids_B: torch.Tensor) -> None:
        self.last_B = ids_B

    def take(self, rows_N: torch.Tensor, *, last: bool = False) -> CountingRows:
        return CountingRows(self.last_B[rows_N])


def test_a_model_of_ones_own_writes_by_the_same_methods() -> None:
    for how in (GREEDY, Sampling()):
        found = generate(Counting(), PROMPTS, how, Limits(6, stop=(7,)))
        assert [own[0].ids for own in found] == [
            (4, 5, 6, 7), (5, 6, 7), (12, 13, 14, 15, 16, 17), (3, 4, 5, 6, 7), (6, 7)
        ]  # fmt: skip
    assert beam_search(Counting(), [[1]], Beams(3), Limits(4))[0][0].ids == (2, 3, 4, 5)


def test_no_prompts_have_no_answers() -> None:
    assert generate(neural("gpt2"), []) == []
