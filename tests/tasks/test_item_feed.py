"""Batches of items: a function of the step, every item once an epoch, little padding."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from assay.models.attention import PADDING
from assay.tasks.feed import ItemFeed, by_length, collated
from assay.tasks.protocol import Item


def _items(n: int, seed: int = 0) -> list[Item]:
    rng = random.Random(seed)
    made = []
    for i in range(n):
        size = rng.randint(3, 40)
        made.append(Item(i, np.full(size, i + 1), np.array([i % 2]), marks=np.ones(size, bool)))
    return made


@pytest.mark.parametrize(("n", "rows"), [(100, 8), (7, 8), (801, 4), (64, 64)])
def test_an_epoch_has_every_item_once_and_the_next_one_another_order(n: int, rows: int) -> None:
    feed = ItemFeed(_items(n), rows, 3, [str(i) for i in range(n)])
    epochs = []
    for epoch in range(3):
        steps = range(epoch * feed.steps_an_epoch, (epoch + 1) * feed.steps_an_epoch)
        epochs.append([i for step in steps for i in feed.chosen(step).tolist()])
        assert sorted(epochs[-1]) == list(range(n))
    assert n <= rows or epochs[0] != epochs[1]


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    items, where = _items(300), ["r"] * 300
    one, other = ItemFeed(items, 8, 5, where), ItemFeed(items, 8, 5, where)
    steps = list(range(0, 90, 7))
    first = [one.batch(step).inputs_BT for step in steps]
    again = [other.batch(step).inputs_BT for step in reversed(steps)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(ItemFeed(items, 8, 6, where).batch(0).inputs_BT[:, :3], first[0][:, :3])


def test_little_of_a_batch_is_padding() -> None:
    feed = ItemFeed(_items(800), 8, 0, ["r"] * 800)
    shapes = [feed.batch(step) for step in range(feed.steps_an_epoch)]
    places = sum(batch.inputs_BT.numel() for batch in shapes)
    assert places < 1.15 * feed.tokens(feed.steps_an_epoch)


def test_what_belongs_together_stays_together() -> None:
    feed = ItemFeed(_items(60), 8, 0, ["r"] * 60, together=2)
    for step in range(feed.steps_an_epoch):
        chosen = feed.chosen(step)
        assert (chosen[1::2] == chosen[::2] + 1).all()
        assert (chosen[::2] % 2 == 0).all()
    for numbers in by_length(_items(60), 8, 2):
        assert (numbers[1::2] == numbers[::2] + 1).all()


def test_rows_are_filled_up_with_nothing() -> None:
    items = [
        Item(0, np.array([5, 6, 7]), np.array([1, -1, 2]), marks=np.array([1, 0, 1], bool)),
        Item(1, np.array([8]), np.array([0]), marks=np.array([1], bool), kinds=np.array([1])),
    ]
    batch = collated(items, kinds=True)
    assert batch.inputs_BT.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.targets_BT.tolist() == [[1, -1, 2], [0, -1, -1]]
    assert batch.segments_BT is not None
    assert batch.segments_BT.tolist() == [[0, 0, 0], [0, PADDING, PADDING]]
    assert batch.token_types_BT is not None
    assert batch.token_types_BT.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert batch.marks_BT is not None
    assert batch.marks_BT.tolist() == [[True, False, True], [True, False, False]]
    assert collated(items[:1]).segments_BT is None


def test_all_are_asked_and_the_longest_first() -> None:
    items = _items(50)
    seen = [i for numbers in by_length(items, 7) for i in numbers.tolist()]
    assert sorted(seen) == list(range(50))
    sizes = [len(items[i].ids) for i in seen]
    assert sizes == sorted(sizes, reverse=True)
