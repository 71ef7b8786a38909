"""Batches made ahead are the batches made when asked, in order, and an error in one is raised where it is asked for."""

from __future__ import annotations

import threading

import pytest
import torch

from assay.models.protocol import Batch
from assay.train.feed import with_threads


class Counting:
    """A feed of numbered batches that fails at one step."""

    def __init__(self, fails: int = -1) -> None:
        self.fails, self.made, self.lock = fails, [], threading.Lock()

    def batch(self, step: int) -> Batch:
        with self.lock:
            self.made.append(step)
        if step == self.fails:
            raise RuntimeError(f"step {step}")
        return Batch(torch.tensor([[step]]), torch.tensor([[step]]))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_order_and_content_do_not_depend_on_threads(threads: int) -> None:
    counting = Counting()
    with with_threads(counting, threads) as feed:
        found = [int(feed.batch(step).inputs_BT) for step in (0, 1, 2, 3, 7, 8, 2)]
    assert found == [0, 1, 2, 3, 7, 8, 2]  # a jump ahead and back, too
    assert max(counting.made) <= 8 + 2 * threads


def test_an_error_is_raised_at_its_step() -> None:
    with with_threads(Counting(fails=3), 2) as feed:
        for step in range(3):
            feed.batch(step)
        with pytest.raises(RuntimeError, match="step 3"):
            feed.batch(3)
