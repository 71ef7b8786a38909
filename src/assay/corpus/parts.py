"""A stage that is done part by part: by threads, processes, or the tasks of a Ray cluster; cut off at any time, it goes
on with what is missing.

    parts of documents -> task(part, target) -> the stage's parts, each whole or not there -> a ledger line for each

A task is a pure function of one file, so that who does it, in what order and how often, changes nothing: rows are the
same from one thread, many processes or many machines, and after any number of interruptions. On a cluster, files are
where all machines see them under the same name, and assay is installed on all.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from assay.cluster import RETRIES, connected
from assay.errors import WorkError
from assay.machine import cores, ctrl_c_later, die_with_parent
from assay.store import clear_staging, file_digest

Task = Callable[[Path, Path, int], dict[str, Any]]
"""Reads a part, writes the file of the second path (whole or not at all: `store.whole_file`) with so many threads, and
returns counts. A function of a module, so that it can be sent to a process."""
LEDGER = "parts.jsonl"
LEAST_BYTES = 192 << 20
"""Of text that is worth starting processes for: they take some three seconds to come up."""


@dataclass(frozen=True)
class Part:
    """Something to read, the name of what is made of it, and its size (bytes of text, for the progress)."""

    source: Path
    name: str
    size: float


def done_by_parts(
    folder: Path,
    parts: Sequence[Part],
    task: Task,
    tell: Callable[[float], None],
    *,
    processes: int | None = None,
    ray: str | None = None,
) -> list[dict[str, Any]]:
    """Have a task done for all parts that are not done yet, and return what it counted, in their order.

    Args:
        folder: where the files are made, and the ledger is while it is not done.
        tell: gets the bytes of text that are done so far.
        processes: how many; None: one a core where there is enough text, else threads of this one.
        ray: the address of a Ray cluster that does it ("auto": the one that this machine is of; "local": one that is
            started here).

    Raises:
        WorkError: a process died, or too many of the cluster's.
        InputError: there is no such cluster.
    """
    clear_staging(folder)  # what was being written when work was cut off
    ledger = folder / LEDGER
    found = _found(ledger)
    done = sum(part.size for part in parts if part.name in found)
    tell(done)
    missing = [part for part in parts if part.name not in found]
    if processes is None:
        processes = min(cores(), len(missing)) if sum(part.size for part in missing) >= LEAST_BYTES else 1
    run: Callable[..., Any] = _by_ray if ray else _by_processes if processes > 1 else _here
    with ledger.open("a", encoding="utf-8") as file:
        for part, counts in run(folder.absolute(), missing, task, ray or processes):
            found[part.name] = counts
            line = {"name": part.name, "xxh3_128": file_digest(folder / part.name), "counts": counts}
            file.write(json.dumps(line) + "\n")
            file.flush()
            done += part.size
            tell(done)
    ledger.unlink()
    return [found[part.name] for part in parts]


def _found(ledger: Path) -> dict[str, dict[str, Any]]:
    """The parts that are done: those in the ledger whose files are what was written."""
    found = {}
    for text in ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else ():
        try:
            line = json.loads(text)
            path = ledger.with_name(line["name"])
            if path.is_file() and file_digest(path) == line["xxh3_128"]:
                found[line["name"]] = line["counts"]
        except (ValueError, LookupError, TypeError):  # a line that was cut off
            continue
    return found


def _here(folder: Path, parts: Sequence[Part], task: Task, _: Any) -> Iterator[tuple[Part, dict[str, Any]]]:
    for part in parts:
        yield part, task(part.source, folder / part.name, cores())


def _by_processes(
    folder: Path, parts: Sequence[Part], task: Task, processes: Any
) -> Iterator[tuple[Part, dict[str, Any]]]:
    """The largest first, so that none is left alone at the end."""
    order = sorted(parts, key=lambda part: -part.size)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=die_with_parent) as pool:
        with ctrl_c_later():  # what it means is this process's affair
            waiting = {pool.submit(task, part.source, folder / part.name, 1): part for part in order}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            remedy = "most often memory ran out; a rerun goes on from here"
            raise WorkError("a process died", where=folder, remedy=remedy) from error
        except BaseException:
            for process in list(pool._processes.values()):  # what they have begun is begun again next time
                process.kill()
            raise


def _by_ray(folder: Path, parts: Sequence[Part], task: Task, address: str) -> Iterator[tuple[Part, dict[str, Any]]]:
    """A task a part; one whose machine or process dies is done again elsewhere."""
    with connected(address) as ray:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(task)
        order = sorted(parts, key=lambda part: -part.size)
        waiting = {remote.remote(part.source.absolute(), folder / part.name, 1): part for part in order}
        try:
            while waiting:
                (done, *_), _ = ray.wait(list(waiting))
                yield waiting.pop(done), ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            what = f"the cluster could not do a part ({' '.join(str(error).split())[:160]})"
            raise WorkError(what, where=address, remedy="a rerun goes on from here") from error
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_order(work: Callable[[_In], _Out], items: Iterator[_In], threads: int) -> Generator[_Out, None, None]:
    """What `work` makes of each item, in their order: by threads, while the next items are made; no more of them are in
    memory than keep the threads busy. Pays for work that does not hold the interpreter's lock."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque[Future[_Out]]()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                while len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def behind(work: Callable[[_In], Any], items: Iterable[_In]) -> None:
    """Have `work` done with each item in turn, by another thread, while the next one is made. An error of `work` is
    raised when the next item is there; one of `items` goes first."""
    with ThreadPoolExecutor(1) as pool:
        before: Future[Any] | None = None
        for item in items:
            if before is not None:
                before.result()
            before = pool.submit(work, item)
        if before is not None:
            before.result()
