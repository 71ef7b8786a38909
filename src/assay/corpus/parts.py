"""A stage that is done part by part: by threads, or by processes; cut off at any time, it goes on with what is missing.

    parts of documents -> task(part, target) -> the stage's parts, each whole or not there -> a ledger line for each

A task is a pure function of one file, so that who does it, in what order and how often, changes nothing: rows are the
same from one thread or many processes, and after any number of interruptions.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

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
    folder: Path, parts: Sequence[Part], task: Task, tell: Callable[[float], None], *, processes: int | None = None
) -> list[dict[str, Any]]:
    """Have a task done for all parts that are not done yet, and return what it counted, in their order.

    Args:
        folder: where the files are made, and the ledger is while it is not done.
        tell: gets the bytes of text that are done so far.
        processes: how many; None: one a core where there is enough text, else threads of this one.

    Raises:
        WorkError: a process died.
    """
    clear_staging(folder)  # what was being written when work was cut off
    ledger = folder / LEDGER
    found = _found(ledger)
    done = sum(part.size for part in parts if part.name in found)
    tell(done)
    missing = [part for part in parts if part.name not in found]
    if processes is None:
        processes = min(cores(), len(missing)) if sum(part.size for part in missing) >= LEAST_BYTES else 1
    run = _by_processes if processes > 1 else _here
    with ledger.open("a", encoding="utf-8") as file:
        for part, counts in run(folder, missing, task, processes):
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


def _here(folder: Path, parts: Sequence[Part], task: Task, processes: int) -> Iterator[tuple[Part, dict[str, Any]]]:
    for part in parts:
        yield part, task(part.source, folder / part.name, cores())


def _by_processes(
    folder: Path, parts: Sequence[Part], task: Task, processes: int
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


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_order(work: Callable[[_In], _Out], items: Iterator[_In], threads: int) -> Iterator[_Out]:
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
