"""Fleets: one worker or two, dead or alive, the results are the same, and what went wrong is told in one line."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay import ledger
from assay.errors import Stopped, WorkError
from assay.store import Store
from assay.train.engines.local import LocalEngine
from assay.train.fleet import Fleet
from assay.train.job import Branch, Job
from assay.train.probe import Probe
from miniature import JOB, MODEL, assert_equal, data, inputs, run_job, silent, tables, with_seed

JOBS = [
    replace(with_seed(JOB, seed), branches=branches)
    for seed, branches in ((1, JOB.branches), (2, JOB.branches[:1]), (3, JOB.branches[1:]), (4, JOB.branches[:2]))
]
ENDLESS = replace(JOB, branches=(Branch(20_000, 10),))


def local(store: Store, work: Path, size: int) -> Fleet:
    return Fleet(store, LocalEngine(store.root, work, size))


def hands(fleet: Fleet) -> list[Any]:
    assert isinstance(fleet.engine, LocalEngine)
    return fleet.engine.hands


def test_results_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    found = {}
    for workers in (1, 2):
        store = Store(tmp_path / f"store-{workers}")
        told: list[int] = []
        with local(store, tmp_path / f"work-{workers}", workers) as fleet:
            speeds = fleet.probe(Probe(MODEL, row_tokens=8, batch_rows=2, dtype="float32", seconds=0.01))
            parts = fleet.run(inputs(store), JOBS, lambda tokens, found=False, told=told: told.append(tokens))
        assert len(speeds) == workers
        assert min(speeds) > 0
        assert sum(told) == sum(job.tokens for job in JOBS)
        assert [part.manifest["config"]["spec"]["seed"] for part in parts] == [1, 2, 3, 4]  # in the order asked for
        found[workers] = [tables(part) for part in parts]
    for one, two in zip(found[1], found[2], strict=True):
        assert_equal(one, two)
    # Nor on whether there is a fleet at all.
    store = Store(tmp_path / "alone")
    alone = [tables(run_job(job, data(store), store, tmp_path / "work", silent)) for job in JOBS]
    for one, two in zip(found[1], alone, strict=True):
        assert_equal(one, two)


def test_done_jobs_need_no_worker(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    done = run_job(JOB, data(store), store, tmp_path / "work", silent)
    with local(store, tmp_path / "work", 2) as fleet:
        told: list[tuple[int, bool]] = []
        parts = fleet.run(inputs(store), [JOB], lambda tokens, found=False: told.append((tokens, found)))
        assert not hands(fleet)
    assert [part.fingerprint for part in parts] == [done.fingerprint]
    assert told == [(JOB.tokens, True)]


def run_and(tmp_path: Path, job: Job, act: object, after: int) -> tuple[Fleet, Store]:
    """Start a job and do `act(fleet)` when the fleet has told of its training so many times."""
    store = Store(tmp_path / "store")
    calls = iter(range(10**9))
    fleet = local(store, tmp_path / "work", 1)

    def on_tokens(tokens: int, *, found: bool = False) -> None:
        if next(calls) == after:
            act(fleet)  # type: ignore[operator]

    with fleet:
        fleet.run(inputs(store), [job], on_tokens)
    return fleet, store


def test_a_killed_worker_is_told_in_one_line(tmp_path: Path) -> None:
    def kill(fleet: Fleet) -> None:
        os.kill(hands(fleet)[0].process.pid, signal.SIGKILL)

    with pytest.raises(WorkError, match="a worker died") as caught:
        run_and(tmp_path, ENDLESS, kill, after=3)
    line = caught.value.line()
    assert "\n" not in line
    assert ENDLESS.cell in line
    assert str(-signal.SIGKILL) in line
    assert caught.value.remedy


def test_ctrl_c_saves_and_a_rerun_gives_the_same_ledger(tmp_path: Path) -> None:
    job = replace(JOB, branches=(Branch(300, 10),))
    processes = []

    def interrupt(fleet: Fleet) -> None:
        processes.extend(hand.process for hand in hands(fleet))
        raise KeyboardInterrupt

    with pytest.raises(Stopped) as caught:
        run_and(tmp_path, job, interrupt, after=20)
    assert "same command" in caught.value.line()
    assert not any(process.is_alive() for process in processes)
    assert list((tmp_path / "work").glob("*/step-*"))  # what was done is kept

    told: list[tuple[int, bool]] = []
    store = Store(tmp_path / "store")
    resumed = run_job(
        job, data(store), store, tmp_path / "work", lambda tokens, found=False: told.append((tokens, found))
    )
    assert sum(tokens for tokens, _ in told) == job.tokens
    assert sum(tokens for tokens, found in told if found) > 0
    other = Store(tmp_path / "other")
    assert_equal(tables(resumed), tables(run_job(job, data(other), other, tmp_path / "other-work", silent)))


def test_a_job_that_fails_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    store = Store(tmp_path / "store")
    broken = replace(JOB, cell="broken", stream=replace(JOB.stream, defect="unknown", dose=1.0))
    with pytest.raises(WorkError) as caught, local(store, tmp_path / "work", 1) as fleet:
        fleet.start()
        assert dict(os.environ) == before  # the workers' environment is theirs alone
        fleet.run(inputs(store), [broken])
    assert "KeyError" in caught.value.line()
    assert "\n" not in caught.value.line()
    assert store.find(ledger.JOB, inputs(store).fingerprints(), broken.config()) is None
