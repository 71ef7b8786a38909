"""Who does the tasks of a fleet: processes of this machine, the machines of a cluster, or stacks on one device.

An engine is told which tasks there are and does them in its own order, as many at once as it has workers. What comes
out depends on the task alone, and a task that was cut off goes on from the state that it saved, whoever does it next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from assay.train.job import Job, OnTokens

Task = tuple[str, Any]
"""("jobs", (inputs, jobs)), which are walked together and write their ledgers to the store, or ("probe", probe), which
gives tokens a second."""


def name_of(task: Task) -> str:
    """What a task is called where it fails: the cell that it is a run of."""
    if task[0] == "probe":
        return "probe"
    first, *others = task[1][1]
    return f"{first.cell} and {len(others)} more" if others else str(first.cell)


def one_by_one(jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Each walks alone."""
    return [(job,) for job in jobs]


class Engine(Protocol):
    """Workers, each a single thread."""

    @property
    def size(self) -> int:
        """How many work at once."""

    def open(self) -> None:
        """Find out whether there are workers at all.

        Raises:
            InputError: there are none.
        """

    def groups(self, jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
        """Which jobs are walked together; what the groups are follows from the jobs alone, done or not."""

    def start(self) -> None:
        """Have all workers come up now instead of with the first work."""

    def each(self, tasks: Sequence[Task], report: OnTokens) -> Iterator[Any]:
        """Do all tasks, begun in this order, and yield what each gives as it ends.

        Raises:
            WorkError: a worker died, or a task failed.
        """

    def close(self) -> None:
        """End all workers; busy ones save what they have where they can."""
