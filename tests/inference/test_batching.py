"""Rows that join and leave a running batch say what each says alone, under settings of its own."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from test_constraint import FORMS, OneOf
from test_joining import held
from writers import ALL, PROMPTS, V, neural, writer

from assay.errors import InputError
from assay.inference.batching import Asked, Batch, Failed
from assay.inference.generate import Token, generate
from assay.inference.limits import Limits
from assay.inference.sampling import GREEDY, Rules, Sampling, Shifts
from assay.models.memory import Memory

SETTINGS = [
    (GREEDY, Limits(9), Rules()),
    (Sampling(0.8, top_k=30, top_p=0.95), Limits(14, stop=(3, 7)), Rules(repetition=1.1, no_repeat=3, banned=(9,))),
    (Sampling(1.2), Limits(6, least=6, stop=tuple(range(0, V, 2))), Rules()),
    (GREEDY, Limits(12, stop=(5, 11)), Rules(no_repeat=2)),
]


def asked(i: int) -> Asked:
    how, limits, rules = SETTINGS[i % len(SETTINGS)]
    draws = random.Random(i)
    prompt = [draws.randrange(1, V) for _ in range(draws.choice((1, 2, 5, 9, 17)))]
    return Asked(prompt, how, limits, rules, returns=1 + i % 3 // 2, seed=i)


def alone(model: Any, one: Asked) -> list[tuple[int, ...]]:
    (own,) = generate(model, [one.prompt], one.how, one.limits, one.rules, returns=one.returns, seed=one.seed)
    return [written.ids for written in own]


def run(batch: Batch, collected: dict[int, list[Token]], steps: int = 10_000) -> None:
    while (batch.writing or batch.waiting) and steps:
        steps -= 1
        for token in batch.step():
            assert isinstance(token, Token)
            collected.setdefault(token.row, []).append(token)


@pytest.mark.parametrize("prompt_tokens", [4, 512])
@pytest.mark.parametrize("name", ALL)
def test_an_answer_is_the_one_that_is_given_alone_whoever_comes_and_goes(name: str, prompt_tokens: int) -> None:
    model = writer(name)
    batch, found = Batch(model, rows=5, prompt_tokens=prompt_tokens), {}
    requests: dict[tuple[int, ...], Asked] = {}
    for i in range(14):
        requests[tuple(batch.add(asked(i)))] = asked(i)
        run(batch, found, steps=i % 4)
    run(batch, found)
    assert (batch.writing, batch.waiting) == (0, 0)
    for rows, one in requests.items():
        assert [tuple(token.id for token in found[row]) for row in rows] == alone(model, one)
        assert all(token.end is None for row in rows for token in found[row][:-1])
        assert all(found[row][-1].end in ("stop", "length", "full") for row in rows)


def test_no_more_rows_are_written_and_no_more_prompts_read_than_was_said() -> None:
    model = neural("gpt2")
    batch, read = Batch(model, rows=3, prompt_tokens=6), []
    hidden = model.hidden

    def counted(ids_BT: torch.Tensor, *more: Any) -> torch.Tensor:
        if ids_BT.shape[1] > 1 or not batch.writing:
            read.append(ids_BT.numel())
        return hidden(ids_BT, *more)

    model.hidden = counted
    for n in (20, 2, 1, 3, 20, 2):
        batch.add(Asked([1 + n] * n, limits=Limits(5)))
    most = 0
    while batch.writing or batch.waiting:
        read.clear()
        batch.step()
        most = max(most, batch.writing)
        assert sum(read) <= 6 and batch.writing <= 3
    assert most == 3


def test_others_write_while_a_long_prompt_is_read() -> None:
    batch = Batch(neural("gpt2"), prompt_tokens=4)
    (first,) = batch.add(Asked([1, 2], limits=Limits(30)))
    batch.step()
    (long,) = batch.add(Asked([3] * 18, limits=Limits(2)))
    rows = [[token.row for token in batch.step()] for _ in range(6)]
    assert rows == [[first]] * 4 + [[first, long]] * 2


@pytest.mark.parametrize("name", ["gpt2", "bart", "lstm", "n-gram"])
def test_rows_that_are_cancelled_leave_at_once_and_the_others_do_not_notice(name: str) -> None:
    model = writer(name)
    batch, found = Batch(model, rows=2, prompt_tokens=4), {}
    one = Asked(PROMPTS[0], limits=Limits(20))
    (kept,) = batch.add(one)
    (gone,) = batch.add(Asked(PROMPTS[2], limits=Limits(30)))
    (waits,) = batch.add(Asked(PROMPTS[1], limits=Limits(3)))
    (never,) = batch.add(Asked(PROMPTS[3], limits=Limits(3)))
    run(batch, found, steps=4)
    batch.cancel([gone, never, 12345])
    assert batch.writing == 1
    run(batch, found)
    assert len(found[gone]) <= 4 and never not in found and len(found[waits]) <= 3
    assert [tuple(t.id for t in found[kept])] == alone(model, one)


def test_a_prompt_can_be_cancelled_while_it_is_read() -> None:
    batch = Batch(neural("gpt2"), prompt_tokens=4)
    rows = batch.add(Asked([3] * 18, limits=Limits(2), returns=2))
    assert batch.step() == [] and batch.writing == 2
    batch.cancel(rows[:1])
    found: dict[int, list[Token]] = {}
    run(batch, found)
    assert list(found) == rows[1:]
    rows = batch.add(Asked([3] * 18, limits=Limits(2)))
    batch.step()
    batch.cancel(rows)
    assert (batch.writing, batch.waiting, batch.step()) == (0, 0, [])


def test_a_row_to_which_nothing_is_left_fails_alone() -> None:
    model = neural("gpt2", 12)
    batch = Batch(model)
    (bad,) = batch.add(Asked([1], rules=Rules(banned=tuple(range(12)))))
    (good,) = batch.add(Asked([1, 2], limits=Limits(4)))
    first = batch.step()
    failed = next(one for one in first if isinstance(one, Failed))
    assert failed.row == bad and "no token to choose" in failed.error.line()
    found: dict[int, list[Token]] = {}
    run(batch, found)
    assert [first[1].id, *(t.id for t in found[good])] == [*alone(model, Asked([1, 2], limits=Limits(4)))[0]]  # type: ignore[union-attr]


def test_a_row_that_stopped_near_the_models_last_position_does_not_hinder_longer_ones() -> None:
    """It is dropped before the model would have to read past its positions."""
    model = neural("gpt2")
    first = generate(model, [[1] * 46], limits=Limits(1))[0][0].ids[0]
    batch, found = Batch(model, rows=64), {}
    batch.add(Asked([1] * 46, limits=Limits(3, stop=(first,))))
    rows = [batch.add(Asked([2 + i], limits=Limits(20)))[0] for i in range(20)]
    run(batch, found)
    for i, row in enumerate(rows):
        assert [tuple(t.id for t in found[row])] == alone(model, Asked([2 + i], limits=Limits(20)))


def test_shifts_are_those_of_openais_formula() -> None:
    logits, new = torch.linspace(-1, 1, 6), [2, 2, 4]
    shifted = Shifts(((2, 5.0), (0, -100.0)), presence=0.5, frequency=0.25).apply(logits, new)
    expected = [
        float(logit) + {2: 5.0, 0: -100.0}.get(i, 0.0) - 0.25 * new.count(i) - 0.5 * (i in new)
        for i, logit in enumerate(logits)
    ]
    assert shifted.tolist() == pytest.approx(expected)
    assert Shifts().apply(logits, new) is logits


def test_shifts_bend_one_row_and_not_its_neighbours() -> None:
    model = neural("gpt2")
    batch, found = Batch(model), {}
    (forced,) = batch.add(Asked([1, 2], limits=Limits(4), shifts=Shifts(((7, 100.0),))))
    (plain,) = batch.add(Asked([1, 2], limits=Limits(4)))
    (varied,) = batch.add(Asked([1, 2], limits=Limits(12), shifts=Shifts(presence=1e4)))
    run(batch, found)
    assert [t.id for t in found[forced]] == [7] * 4
    assert [tuple(t.id for t in found[plain])] == alone(model, Asked([1, 2], limits=Limits(4)))
    assert len({t.id for t in found[varied]}) == 12


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Asked([]), "an empty prompt"),
        (Asked([1] * 49), "49 tokens, and the model has 48 positions"),
        (Asked([V]), f"token id {V}"),
        (Asked([1], shifts=Shifts(((V, 1.0),))), f"token id {V}"),
        (Asked([1], returns=65), "65 answers"),
    ],
)
def test_what_cannot_be_asked_is_told_and_changes_nothing(bad: Asked, said: str) -> None:
    batch = Batch(neural("gpt2"))
    with pytest.raises(InputError, match=said):
        batch.add(bad)
    assert (batch.writing, batch.waiting) == (0, 0)


@pytest.mark.parametrize("name", ["gpt2", "bart", "n-gram"])
def test_forms_hold_for_the_rows_that_have_one(name: str) -> None:
    """Beside rows of other forms, and of none; each is what it is alone."""
    model, forms = writer(name), Rules(constraint=OneOf)
    batch, found = Batch(model, rows=4), {}
    asked = [Asked(PROMPTS[i % 5], how, Limits(9), rules, seed=i, returns=returns)
             for i, (how, rules, returns) in enumerate([(GREEDY, forms, 1), (GREEDY, Rules(), 1),
             (Sampling(2.0), forms, 2), (Sampling(1.0), Rules(), 2), (GREEDY, forms, 1)])]  # fmt: skip
    rows = [batch.add(one) for one in asked]
    run(batch, found)
    for own, one in zip(rows, asked, strict=True):
        written = [tuple(token.id for token in found[row]) for row in own]
        assert written == alone(model, one)
        assert one.rules != forms or all(ids in FORMS for ids in written)


@pytest.mark.parametrize("name", ["standard", "marian"])
def test_a_batch_that_is_never_empty_remembers_what_its_rows_need(name: str) -> None:
    """However long it runs: positions that no row needs any more are let go, also where new rows take the places of
    old ones; and after a long prompt has left, the batch is as small as before."""
    model = writer(name)
    batch, sizes, lengths = Batch(model, rows=4), [], []
    for step in range(600):
        if batch.writing + batch.waiting < 4:
            n = 30 if step == 300 else 2 + step % 3
            batch.add(Asked([1 + step % 30] * n, limits=Limits(3 + step % 5)))
        batch.step()
        if batch._writing is not None:
            sizes.append(held(batch._writing))
            lengths.append(batch._writing.memories[0][0].length)  # type: ignore[attr-defined]
    assert max(lengths[100:290]) <= 60 and max(lengths[400:]) <= 60
    assert max(sizes[450:]) <= 1.5 * max(sizes[50:250])


def test_rows_take_the_places_of_those_that_are_done() -> None:
    """A batch whose rows come and go is not copied for each of them."""
    model = neural("standard")
    batch, copies = Batch(model, rows=8), 0
    take = Memory.take

    def counted(self: Memory, *given: Any, **more: Any) -> Memory:
        nonlocal copies
        copies += 1
        return take(self, *given, **more)

    for i in range(80):
        batch.add(Asked([1 + i % 30] * (1 + i % 7), limits=Limits(2 + i % 9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "take", counted)
        found: dict[int, list[Token]] = {}
        while batch.waiting:
            run(batch, found, steps=1)
    assert len(found) > 60 and copies < 60  # two layers, 72 newcomers
