"""Stop and go on: a run that was interrupted, branched from or continued is the run that never was, bit for bit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from assay.store import Artifact, Store
from assay.tokens.sampler import Sampler
from assay.train import checkpoint, walk
from assay.train.feed import RowFeed
from assay.train.job import Job, JobData, JobStopped
from assay.train.loop import TrainSpec, TrainState, train
from assay.train.schedules import WarmupStableDecay
from miniature import JOB, PLAN, SPEC, B, T, assert_equal, data, run_job, silent, tables

STEPS = 14
SCHEDULE = WarmupStableDecay(3, STEPS, 4)
SPECS = {
    "float32": SPEC,
    "bfloat16": replace(SPEC, dtype="bfloat16"),
    "tied": replace(SPEC, model=replace(SPEC.model, tied=True)),
}


@pytest.fixture(scope="module")
def job_data(tmp_path_factory: pytest.TempPathFactory) -> JobData:
    return data(Store(tmp_path_factory.mktemp("store")))


def walked(spec: TrainSpec, job_data: JobData, until: int) -> TrainState:
    state = TrainState(spec)
    train(state, RowFeed(Sampler(PLAN, job_data.streams, STEPS)), SCHEDULE, until)
    return state


def assert_same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_state_stopped_at_any_step_goes_on_as_if_it_never_stopped(
    spec: TrainSpec, job_data: JobData, tmp_path: Path
) -> None:
    straight = walked(spec, job_data, STEPS).copy()
    for stop in range(STEPS + 1):
        checkpoint.save(tmp_path, walked(spec, job_data, stop).tensors(), {})
        found = checkpoint.newest(tmp_path)
        assert found is not None
        resumed = walked(spec, job_data, 2)  # a state with a past of its own
        resumed.load(found[0])
        assert resumed.step == stop
        train(resumed, RowFeed(Sampler(PLAN, job_data.streams, STEPS)), SCHEDULE, STEPS)
        assert_same_state(resumed.tensors(), straight)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_branch_leaves_the_trunk_as_if_it_had_never_been(spec: TrainSpec, job_data: JobData) -> None:
    straight = walked(spec, job_data, STEPS).copy()
    for leave in (0, 1, 7):
        state = walked(spec, job_data, leave)
        kept = state.copy()
        branch = WarmupStableDecay(3, leave + 5, 5)
        train(state, RowFeed(Sampler(PLAN, job_data.streams, STEPS)), branch, leave + 5)
        assert any(not torch.equal(state.tensors()[name], tensor) for name, tensor in kept.items())
        state.load(kept)
        assert_same_state(state.tensors(), walked(spec, job_data, leave).tensors())
        train(state, RowFeed(Sampler(PLAN, job_data.streams, STEPS)), SCHEDULE, STEPS)
        assert_same_state(state.tensors(), straight)


class StopAfter:
    """Stops a job when it has told of so many steps that it computed itself."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, tokens: int, *, found: bool = False) -> None:
        self.left -= 0 if found else tokens // (B * T)
        if self.left <= 0:
            raise JobStopped


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    store = Store(tmp_path_factory.mktemp("whole"))
    return tables(run_job(JOB, data(store), store, store.root / "work", silent))


def run_with_stops(stops: list[int], root: Path) -> tuple[Artifact, Path]:
    store, work = Store(root / "store"), root / "work"
    job_data = data(store)
    for stop in stops:
        try:
            run_job(JOB, job_data, store, work, StopAfter(stop))
        except JobStopped:
            assert not list(store.root.glob("ledger/*"))
    return run_job(JOB, job_data, store, work, silent), work


@pytest.mark.parametrize("stop", range(1, JOB.steps + 1, 2))
def test_a_job_stopped_anywhere_gives_the_same_ledger(
    stop: int, whole: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    part, work = run_with_stops([stop], tmp_path)
    assert_equal(tables(part), whole)
    assert not list(work.glob("*"))


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_job_stopped_again_and_again_gives_the_same_ledger(
    whole: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory, stops: list[int]
) -> None:
    assert_equal(tables(run_with_stops(stops, tmp_path_factory.mktemp("stops"))[0]), whole)


@pytest.mark.parametrize("stop", [6, 8, 11, 20])
def test_a_job_killed_between_saves_gives_the_same_ledger(
    stop: int, whole: dict[str, pl.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL leaves no time to save: the last timed save is what a rerun has."""
    steps = iter(range(10**6))
    clock = SimpleNamespace(monotonic=lambda: float(next(steps)))  # it ticks when it is read
    monkeypatch.setattr(walk, "time", clock)
    monkeypatch.setattr(walk, "SAVE_EVERY_SECONDS", 3.0)
    monkeypatch.setattr(walk, "MOST_SAVING", float("inf"))

    class Killed(BaseException):
        pass

    class KillAfter(StopAfter):
        def __call__(self, tokens: int, *, found: bool = False) -> None:
            try:
                super().__call__(tokens, found=found)
            except JobStopped:
                raise Killed from None

    store, work = Store(tmp_path / "store"), tmp_path / "work"
    with pytest.raises(Killed):
        run_job(JOB, data(store), store, work, KillAfter(stop))
    assert list(work.glob("*/step-*"))
    assert_equal(tables(run_job(JOB, data(store), store, work, silent)), whole)


def test_a_damaged_state_costs_time_and_nothing_else(whole: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    store, work = Store(tmp_path / "store"), tmp_path / "work"
    with pytest.raises(JobStopped):
        run_job(JOB, data(store), store, work, StopAfter(9))
    (saved,) = work.glob("*/step-*")
    file = saved / "state" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    assert_equal(tables(run_job(JOB, data(store), store, work, silent)), whole)


def test_a_larger_run_goes_on_from_a_kept_trunk_as_if_it_were_one_job(tmp_path: Path) -> None:
    store, work = Store(tmp_path / "store"), tmp_path / "work"
    job_data = data(store)
    *short, long = JOB.branches
    together = tables(run_job(JOB, job_data, store, work, silent))
    trunk: Job = replace(JOB, branches=tuple(short), keep=True)
    kept = run_job(trunk, job_data, store, work, silent)
    larger = replace(JOB, branches=(long,), start=kept.fingerprint, start_step=short[-1].steps - short[-1].decay)
    told: list[int] = []
    part = run_job(larger, job_data, store, work, lambda tokens, found=False: told.append(tokens))
    assert sum(told) == larger.tokens == (long.steps - larger.start_step) * B * T

    for apart, branches in ((tables(kept), short), (tables(part), [long])):
        for branch in branches:
            own, expected = (
                found["document_losses"].filter(pl.col("step") == branch.steps).drop("run_id")
                for found in (apart, together)
            )
            assert len(own) > 0
            assert own.equals(expected)
    assert tables(kept)["runs"]["trunk"][0] == tables(part)["runs"]["trunk"][0]  # one cluster for the statistics
    computed = tables(kept)["runs"]["computed_tokens"].sum() + tables(part)["runs"]["computed_tokens"].sum()
    assert computed == together["runs"]["computed_tokens"].sum()


def test_a_larger_run_that_is_stopped_goes_on_from_where_it_was(tmp_path: Path) -> None:
    found = []
    for stops in ([], [2], [1, 3]):
        store, work = Store(tmp_path / f"store{stops}"), tmp_path / f"work{stops}"
        job_data = data(store)
        kept = run_job(replace(JOB, branches=JOB.branches[:1], keep=True), job_data, store, work, silent)
        larger = replace(JOB, branches=JOB.branches[2:], start=kept.fingerprint, start_step=6)
        for stop in stops:
            with pytest.raises(JobStopped):
                run_job(larger, job_data, store, work, StopAfter(stop))
        found.append(tables(run_job(larger, job_data, store, work, silent)))
        shutil.rmtree(work, ignore_errors=True)
    assert_equal(found[0], found[1])
    assert_equal(found[0], found[2])
