"""Workers on the machines of a Ray cluster: a processor each.

A task whose machine or process dies is given to another one, which goes on from the state that the first has saved. So
the study's folder is on storage that all machines see under the same name.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from assay import __version__
from assay.cluster import RETRIES, connected
from assay.errors import WorkError
from assay.train.engines import Task, name_of, one_by_one
from assay.train.engines.local import ENVIRONMENT
from assay.train.job import Job, OnTokens

TOLD_SECONDS = 1.0  # between two words of a worker about its tokens


class ClusterEngine:
    """The processors of a cluster.

    Args:
        root: of the store.
        work: folder for states of unfinished jobs.
        address: host:port, "auto" or "local".
        most: how many tasks at once, at most.
        lost: is told of each task whose machine or process died: the cell that it was a run of.
    """

    def __init__(
        self,
        root: Path,
        work: Path,
        address: str,
        most: int | None = None,
        lost: Callable[[str], None] = lambda cell: None,
    ) -> None:
        self.root, self.work, self.address, self.most = root.absolute(), work.absolute(), address, most
        self.lost = lost
        self._connection = contextlib.ExitStack()
        self._at_work: dict[Any, Task] = {}

    def open(self) -> None:
        self._ray = self._connection.enter_context(connected(self.address))

    def groups(self, jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
        return one_by_one(jobs)

    def start(self) -> None:
        """They are up."""

    def close(self) -> None:
        for words in self._at_work:  # what they have begun goes on from what was saved last
            self._ray.cancel(words, force=True)
        self._at_work.clear()
        self._connection.close()

    @property
    def size(self) -> int:
        """Processors of the machines that are alive now."""
        found = int(self._ray.cluster_resources().get("CPU", 0))
        return max(1, min(found, self.most or found))

    def each(self, tasks: Sequence[Task], report: OnTokens) -> Iterator[Any]:
        remote = self._ray.remote(
            num_cpus=1, max_retries=0, num_returns="streaming", runtime_env={"env_vars": ENVIRONMENT}
        )(_words)
        waiting, lost = deque(tasks), Counter[int]()
        while waiting or self._at_work:
            while waiting and len(self._at_work) < self.size:
                task = waiting.popleft()
                self._at_work[remote.remote(str(self.root), str(self.work), task, __version__)] = task
            (words, *_), _ = self._ray.wait(list(self._at_work), num_returns=1)
            task = self._at_work[words]
            try:
                kind, content = self._ray.get(next(words))
            except StopIteration:
                del self._at_work[words]
                continue
            except self._ray.exceptions.RayTaskError as error:  # it could not begin: assay is not there, say
                raise self._failed(error) from error
            except self._ray.exceptions.RayError as error:
                del self._at_work[words]
                lost[id(task)] += 1
                if lost[id(task)] > RETRIES:
                    raise self._failed(error) from error
                waiting.appendleft(task)
                self.lost(name_of(task))
                continue
            if kind == "error":
                what, place, remedy = content
                raise WorkError(what, where=place or self.address, remedy=remedy)
            if kind == "tokens":
                tokens, found = content
                report(tokens, found=found)
            else:
                yield content

    def _failed(self, error: Exception) -> WorkError:
        what = f"the cluster could not do a run ({' '.join(str(error).split())[-160:]})"
        remedy = "assay is to be installed on all its machines; a rerun goes on from here"
        return WorkError(what, where=f"--ray {self.address}", remedy=remedy)


def _words(root: str, work: str, task: Task, version: str) -> Iterator[tuple[str, Any]]:
    """Do a task on a machine of the cluster; yields its words, those about tokens summed up."""
    host = socket.gethostname()
    if version != __version__:
        what, remedy = f"{host} has assay {__version__}, and not {version}", "install the same one on all machines"
        yield "error", (what, None, remedy)
        return
    if task[0] == "jobs" and not Path(root).is_dir():
        remedy = "put --out on storage that all machines see under the same name"
        yield "error", (f"{host} does not see this folder", root, remedy)
        return
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    threading.Thread(target=_do, args=(root, work, task, said), daemon=True).start()
    summed, begun = Counter[bool](), time.monotonic()
    while True:
        try:
            kind, content = said.get(timeout=TOLD_SECONDS)
        except Empty:
            kind, content = "tokens", (0, False)
        if kind == "tokens":
            tokens, found = content
            summed[found] += tokens
        if kind != "tokens" or time.monotonic() - begun > TOLD_SECONDS:
            yield from (("tokens", (tokens, found)) for found, tokens in summed.items() if tokens)
            summed, begun = Counter[bool](), time.monotonic()
        if kind != "tokens":
            yield kind, content
            return


_workers: dict[tuple[str, str], Any] = {}  # what the last one has opened serves the next task, too


def _do(root: str, work: str, task: Task, said: SimpleQueue[tuple[str, Any]]) -> None:
    from assay.train.engines.worker import Worker

    if (root, work) not in _workers:
        _workers[root, work] = Worker(root, work)
    worker: Worker = _workers[root, work]
    worker.do(
        task,
        lambda kind, content: said.put((kind, content)),
        lambda tokens, *, found=False: said.put(("tokens", (tokens, found))),
    )
