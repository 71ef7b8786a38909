"""What a worker of any engine does: a task after another, in one thread."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.errors import AssayError
from assay.store import Store, canonical_json
from assay.train.engines import Task, name_of
from assay.train.job import JobData, JobStopped, OnTokens
from assay.train.memory import is_out_of_memory
from assay.train.probe import tokens_per_second
from assay.train.process import keep_freed_memory
from assay.train.walk import run_jobs

Say = Callable[[str, Any], None]
"""Gets what kind of word it is, "tokens", "done" or "error", and its content."""


class Worker:
    """Does tasks and says how it goes.

    Args:
        root, work: of the store, and of the states of unfinished jobs.
    """

    def __init__(self, root: str, work: str) -> None:
        import torch

        torch.set_num_threads(1)
        keep_freed_memory()
        self._store, self._work = Store(Path(root)), Path(work)
        self._opened: dict[str, JobData] = {}

    def do(self, task: Task, say: Say, on_tokens: OnTokens) -> bool:
        """Do a task and say what it gave ("done") or why it failed ("error"); returns whether it was done.

        Raises:
            JobStopped: by `on_tokens`; the state is saved.
        """
        import torch

        torch.set_flush_denormal(True)  # a setting of each thread
        try:
            say("done", self._done(task, on_tokens))
        except JobStopped:
            raise
        except AssayError as error:
            say("error", (error.what, error.where, error.remedy))
            return False
        except Exception as error:
            if is_out_of_memory(error):
                say("error", ("memory ran out", name_of(task), "give a smaller train.members, or train.batch_rows"))
                return False
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            say("error", (f"{type(error).__name__}: {error}", where, "report this as a defect of assay"))
            return False
        return True

    def _done(self, task: Task, on_tokens: OnTokens) -> float | None:
        kind, content = task
        if kind == "probe":
            return tokens_per_second(content)
        inputs, jobs = content
        key = canonical_json(inputs.fingerprints())
        if key not in self._opened:
            self._opened = {key: JobData.open(inputs)}
        run_jobs(jobs, self._opened[key], self._store, self._work, on_tokens)
        return None
