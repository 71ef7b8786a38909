"""Rows that join others in the middle of their writing, and leave: every one says what it says alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_steppers import CLOSE, logits_at_once
from writers import ALL, V, neural, writer

from assay.inference.steppers import stepper

Row = tuple[list[int], list[int]]
LATER = [[[9]], [[12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23], [3, 3]], [[7, 8, 9]]]


def assert_as_alone(model: Any, writing: Any, rows: list[Row]) -> None:
    assert len(writing.logits()) == len(rows)
    for row, (prompt, new) in enumerate(rows):
        torch.testing.assert_close(writing.logits()[row], logits_at_once(model, prompt, new), **CLOSE)


def stepped(writing: Any, rows: list[Row], by: int) -> list[Row]:
    ids = [(7 * by + 3 * row) % (V - 1) + 1 for row in range(len(rows))]
    writing.step(torch.tensor(ids))
    return [(prompt, [*new, i]) for (prompt, new), i in zip(rows, ids, strict=True)]


@pytest.mark.parametrize("name", ALL)
def test_rows_that_join_and_leave_are_forward_passes_of_each_alone(name: str) -> None:
    """Longer and shorter ones than those that are there, several at a time; the longest leave first, then others."""
    model = writer(name)
    of = stepper(model)
    first = [[1, 2, 3, 4, 5, 6], [4, 5]]
    writing, rows = of.begin(first), [(prompt, []) for prompt in first]
    for by, (prompts, kept) in enumerate(zip(LATER, ([1, 2], [3, 1, 0], [2]), strict=True)):
        for _ in range(2):
            rows = stepped(writing, rows, by)
        writing, rows = writing.join(of.begin(prompts)), [*rows, *((prompt, []) for prompt in prompts)]
        assert_as_alone(model, writing, rows)
        rows = stepped(writing, rows, by + 5)
        assert_as_alone(model, writing, rows)
        writing, rows = writing.take(torch.tensor(kept)), [rows[row] for row in kept]
        assert_as_alone(model, writing, rows)
        rows = stepped(writing, rows, by + 9)
        assert_as_alone(model, writing, rows)


@pytest.mark.parametrize("name", ALL)
def test_sources_with_several_rows_are_joined_by_others_with_another_number(name: str) -> None:
    model = writer(name)
    of = stepper(model)
    prompts: list[list[int]] = [[1, 2, 3], [4], [5, 6, 7, 8]]
    threes = of.begin(prompts[:2]).take(torch.tensor([0, 0, 0, 1, 1, 1]))
    rows: list[Row] = [(prompts[i // 3], []) for i in range(6)]
    rows = stepped(threes, rows, 3)
    pair = of.begin(prompts[2:]).take(torch.tensor([0, 0]))
    joined, rows = threes.join(pair), [*rows, (prompts[2], []), (prompts[2], [])]
    assert_as_alone(model, joined, rows)
    rows = stepped(joined, rows, 1)
    joined, rows = joined.take(torch.tensor([7, 0, 5])), [rows[row] for row in (7, 0, 5)]
    rows = stepped(joined, rows, 2)
    assert_as_alone(model, joined, rows)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("bart", "marian", "t5")])
def test_a_prompt_that_is_read_in_pieces_is_one_that_is_read_at_once(name: str) -> None:
    model, prompt = writer(name), [5, 6, 7, 8, 9, 10, 11, 3, 2]
    of = stepper(model)
    assert of.in_pieces
    writing = of.begin([prompt[:4]])
    for piece in (prompt[4:5], prompt[5:]):
        writing.read(torch.tensor([piece]))
    assert_as_alone(model, writing, [(prompt, [])])
    joined = of.begin([[1, 2]]).join(writing)
    assert_as_alone(model, joined, [([1, 2], []), (prompt, [])])


def held(writing: Any) -> int:
    """Numbers in the buffers of what rows remember."""
    own = {id(memory): memory for pair in writing.memories for memory in pair}.values()
    return sum(x.untyped_storage().nbytes() for m in own for part in (m._both, m._spare) for x in part or ())


@pytest.mark.parametrize("name", ["gpt2", "standard", "bart", "t5"])
def test_what_a_batch_remembers_shrinks_when_its_long_rows_leave(name: str) -> None:
    of = stepper(neural(name))
    short, long = [[1, 2], [3, 4]], [[5] * 40]
    alone: Any = of.begin(short)
    alone.step(torch.tensor([1, 1]))
    both: Any = of.begin(short).join(of.begin(long))
    both.step(torch.tensor([1, 1, 1]))
    assert held(both) > 3 * held(alone)
    left = both.take(torch.tensor([0, 1]))
    assert left.lead_B is None and getattr(left, "segments_BS", None) is None
    assert held(left) <= 2 * held(alone.take(torch.tensor([0, 1])))


@pytest.mark.parametrize("name", ["gpt2", "standard", "marian", "t5"])
def test_a_batch_that_is_never_empty_remembers_no_more_with_time(name: str) -> None:
    """Every row leaves after eight steps, and another takes its place: after a thousand steps the batch is of the
    length of one row, and goes on past the positions of the model."""
    of = stepper(neural(name))
    writing: Any = of.begin([[1, 2, 3]])
    ages, sizes = [0], []
    for step in range(400):
        writing.step(torch.full((len(ages),), 5))
        ages = [age + 1 for age in ages]
        if step % 4 == 0:
            writing, ages = writing.join(of.begin([[1, 2, 3]])), [*ages, 0]
        kept = [row for row, age in enumerate(ages) if age < 8]
        if len(kept) < len(ages):
            writing, ages = writing.take(torch.tensor(kept)), [ages[row] for row in kept]
        sizes.append(held(writing))
        assert writing.memories[0][0].length <= 3 + 8
    assert max(sizes[200:]) <= max(sizes[:50])


@pytest.mark.parametrize("name", ALL)
def test_rows_in_the_places_of_others_are_forward_passes_of_each_alone(name: str) -> None:
    """The places of the shortest and of the longest row, after rows joined; where they do not fit, nothing changes."""
    model = writer(name)
    of = stepper(model)
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [5, 6], [7]]
    writing, rows = of.begin(prompts), [(prompt, []) for prompt in prompts]
    rows = stepped(writing, rows, 2)
    for by, (new, at) in enumerate((([[9]], [1]), ([[3, 4], [12, 13, 14]], [3, 0]), ([[8, 8, 8]], [2]))):
        assert writing.put(of.begin(new), at)
        for place, prompt in zip(at, new, strict=True):
            rows[place] = (prompt, [])
        assert_as_alone(model, writing, rows)
        for _ in range(2):
            rows = stepped(writing, rows, by)
            assert_as_alone(model, writing, rows)
    long = of.begin([[1 + i for i in range(30)]])
    if name in ("rnn", "gru", "lstm", "n-gram"):  # what they remember has one size
        assert writing.put(long, [1])
        rows[1] = ([1 + i for i in range(30)], [])
    else:
        assert not writing.put(long, [1])
    rows = stepped(writing, rows, 7)
    assert_as_alone(model, writing, rows)
