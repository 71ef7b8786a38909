"""A job's rows: what was trained, on what, and losses that add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from assay import ledger
from assay.ledger import Ledger
from assay.store import Artifact, Stage, Store
from assay.tokens.sampler import Sampler, StreamPlan
from assay.tokens.stream import TokenStream
from assay.train import energy, walk
from assay.train.evaluate import document_nll
from assay.train.feed import RowFeed
from assay.train.job import Branch, Job, JobData, JobStopped
from assay.train.loop import TrainState, train
from assay.train.schedules import WarmupStableDecay
from miniature import JOB, MODEL, PLAN, SOURCES, SPEC, B, T, assert_equal, data, inputs, run_job, silent, stream, tables


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def job_data(store: Store) -> JobData:
    return data(store)


@pytest.fixture(scope="module")
def part(store: Store, job_data: JobData) -> Artifact:
    return run_job(JOB, job_data, store, store.root / "work", silent)


def test_a_finished_job_is_found_and_not_trained_again(store: Store, job_data: JobData, part: Artifact) -> None:
    def never(tokens: int, *, found: bool = False) -> None:
        raise AssertionError("trained again")

    again = run_job(JOB, job_data, store, store.root / "work", never)
    assert again.fingerprint == part.fingerprint
    assert not list((store.root / "work").glob("*"))  # states of unfinished work are gone


def test_every_step_is_told(store: Store, job_data: JobData) -> None:
    told: list[int] = []
    run_job(
        replace(JOB, cell="told"), job_data, store, store.root / "work", lambda tokens, found=False: told.append(tokens)
    )
    assert sum(told) == JOB.tokens
    assert len(told) == JOB.steps == (17 - 4) + 2 + 3 + 4


def test_runs_tell_what_was_trained(store: Store, part: Artifact) -> None:
    runs = tables(part)["runs"]
    model = TrainState(SPEC).model
    assert runs["D"].to_list() == [branch.steps * B * T for branch in JOB.branches]
    assert runs["N"].to_list() == [model.n_parameters()[0]] * 3
    assert runs["C"].to_list() == pytest.approx([d * model.flops_per_token(T) for d in runs["D"]])
    assert runs["run_id"].is_unique().all()
    assert runs["trunk"].n_unique() == runs["config"].n_unique() == 1
    # What each row computed itself adds up to what the job computed: the trunk is counted once.
    assert runs["computed_tokens"].sum() == JOB.tokens
    assert (runs["U"] <= runs["D"]).all()
    assert runs["status"].to_list() == ["done"] * 3
    shares = Ledger(store).query([part], "SELECT mixture['letters'] AS s FROM runs")
    assert shares["s"].to_list() == [0.7] * 3


def test_epochs_are_as_counted(store: Store, job_data: JobData) -> None:
    """A run so long that a source is read several times over."""
    job = replace(JOB, cell="long", branches=(Branch(150, 10),))
    part = run_job(job, job_data, store, store.root / "work", silent)
    source, _, _ = Sampler(PLAN, job_data.streams, 150).slots
    epochs = Ledger(store).query([part], "SELECT epochs['letters'] AS letters, epochs['numbers'] AS numbers FROM runs")
    for i, name in enumerate(SOURCES):
        n_rows = job_data.streams["train"].n_rows(name, T)
        assert epochs[name][0] == pytest.approx((source == i).sum() / n_rows)
    assert max(epochs.row(0)) > 1


def train_streams(store: Store, job_data: JobData) -> dict[str, TokenStream]:
    """The miniature's streams; few damaged copies ("near duplicates"); and a source of a few words ("scarce")."""
    own = job_data.streams
    few = TokenStream.open(stream(store, "few", 5, count=5))
    scarce = TokenStream({name: own["train"].shards[name][: T if name == "numbers" else None] for name in SOURCES})
    return {**own, "few": few, "scarce": scarce}


@pytest.mark.parametrize(
    ("text", "plan"),
    [("train", PLAN), ("train", replace(PLAN, defect="noise", dose=0.5)),
     ("train", replace(PLAN, defect="few", dose=0.5)), ("train", replace(PLAN, weights={"numbers": 1.0})),
     ("scarce", PLAN)],
    ids=["clean", "damaged", "near duplicates", "one source", "a source without a row"],
)  # fmt: skip
def test_unique_tokens_are_those_of_the_rows_that_were_read(
    store: Store, job_data: JobData, monkeypatch: pytest.MonkeyPatch, text: str, plan: StreamPlan
) -> None:
    """As counted where rows are read; a run so long that rows are read again."""
    streams = train_streams(store, job_data)
    streams["train"] = streams[text]
    names = {id(own): name for name, own in streams.items()}
    read: list[tuple[str, str, int]] = []
    read_row = TokenStream.row

    def row(self: TokenStream, source: str, index: int, row_tokens: int) -> np.ndarray:
        read.append((names[id(self)], source, index))
        return read_row(self, source, index, row_tokens)

    monkeypatch.setattr(TokenStream, "row", row)
    long = replace(JOB, cell=f"unique in {text}", stream=plan, branches=(Branch(150, 10),))
    part = run_job(long, replace(job_data, streams=streams), store, store.root / "work", silent)
    assert len(set(read)) < len(read) == 150 * B
    assert tables(part)["runs"]["U"].to_list() == [len(set(read)) * T]


def test_losses_of_sources_are_the_sums_of_their_documents(part: Artifact, job_data: JobData) -> None:
    found = tables(part)
    for split in ("eval", "test"):
        documents = found["document_losses"].filter(pl.col("split") == split)
        joined = documents.join(job_data.evaluation[split].documents.select("doc_id", "source", "n_bytes"), on="doc_id")
        assert len(joined) == len(documents)
        sums = joined.group_by("run_id", "step", "source").agg(pl.col("n_tokens", "n_bytes", "nll").sum())
        both = (
            found["losses"].filter(pl.col("split") == split).join(sums, on=["run_id", "step", "source"], suffix="_sum")
        )
        assert len(both) == len(sums) == documents["run_id"].n_unique() * len(SOURCES)
        assert (both["n_tokens"] == both["n_tokens_sum"]).all()
        assert (both["n_bytes"] == both["n_bytes_sum"]).all()
        np.testing.assert_allclose(both["nll"], both["nll_sum"], rtol=1e-12)


def test_only_the_splits_that_were_asked_for_are_read(part: Artifact) -> None:
    documents = tables(part)["document_losses"]
    steps = {split: set(documents.filter(pl.col("split") == split)["step"]) for split in ("eval", "test")}
    assert steps == {"eval": {8, 12, 17}, "test": {12}}


def test_training_losses_cover_every_token_that_was_read(part: Artifact) -> None:
    found = tables(part)
    for run in found["runs"].iter_rows(named=True):
        own = found["losses"].filter((pl.col("run_id") == run["run_id"]) & (pl.col("split") == "train"))
        assert own["n_tokens"].sum() == run["D"]
        assert own["step"].max() * B * T == run["D"]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_branch_is_the_run_that_one_would_train_alone(part: Artifact, job_data: JobData, index: int) -> None:
    """No trunk, no branches, no ledger: the loop from its first step to its last, then the loss of each document."""
    branch = JOB.branches[index]
    state = TrainState(SPEC)
    sampler = Sampler(PLAN, job_data.streams, branch.steps)
    train(state, RowFeed(sampler), WarmupStableDecay(JOB.warmup, branch.steps, branch.decay), branch.steps)
    expected = document_nll(state.model, job_data.evaluation["eval"])
    documents = tables(part)["document_losses"].filter((pl.col("step") == branch.steps) & (pl.col("split") == "eval"))
    assert documents["nll"].to_list() == expected.tolist()


def test_a_damaged_stream_changes_the_run_and_its_identity(store: Store, job_data: JobData, part: Artifact) -> None:
    noise = replace(JOB, cell="noise:0.5", axis="quality", stream=replace(PLAN, defect="noise", dose=0.5))
    other = run_job(noise, job_data, store, store.root / "work", silent)
    a, b = tables(part), tables(other)
    assert b["runs"]["defect"].to_list() == ["noise"] * 3
    assert b["runs"]["dose"].to_list() == [0.5] * 3
    assert set(a["runs"]["run_id"]).isdisjoint(b["runs"]["run_id"])
    assert (a["document_losses"]["nll"] != b["document_losses"]["nll"]).mean() > 0.9


@pytest.mark.parametrize(
    "changed",
    [replace(JOB, warmup=4), replace(JOB, branches=JOB.branches[:2]), replace(JOB, keep=True),
     replace(JOB, spec=replace(SPEC, seed=4)), replace(JOB, spec=replace(SPEC, model=replace(MODEL, layers=1)))],
)  # fmt: skip
def test_another_job_has_another_address(store: Store, part: Artifact, changed: Job) -> None:
    assert Ledger(store).find(inputs(store).fingerprints(), JOB.config()) is not None
    assert Ledger(store).find(inputs(store).fingerprints(), changed.config()) is None


def test_results_do_not_depend_on_the_folder(tmp_path: Path, part: Artifact) -> None:
    store = Store(tmp_path / "elsewhere")
    assert_equal(tables(run_job(JOB, data(store), store, tmp_path / "work", silent)), tables(part))


class Killed(BaseException):
    """A worker's sudden end: nothing is saved on the way out."""


class Machine:
    """A machine whose clock and energy counter move by steps of training alone: a second and three joules each."""

    def __init__(self, counter: Path, measured: bool, patch: pytest.MonkeyPatch) -> None:
        self.now, self.counter, self.measured = 0.0, counter, measured
        patch.setattr(energy, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(energy, "RAPL", counter)
        patch.setattr(energy.os, "cpu_count", lambda: 1)
        self.pass_seconds(100.0)

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        if self.measured:
            self.counter.write_text(str(round(self.now * 3e6)))


@pytest.mark.parametrize("measured", [True, False], ids=["measured", "estimated"])
@pytest.mark.parametrize("stop", [JobStopped, Killed])
@pytest.mark.parametrize("after", [1, 5, 7, 10, 13, 16, 20])
def test_a_branch_that_went_on_later_has_the_time_and_energy_of_all_its_tokens(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: Artifact,
    measured: bool,
    stop: type[BaseException],
    after: int,
) -> None:
    """The job ends after a step of a trunk or of a decay, and goes on in another process. What is done again
    replaces what was lost: a row has the seconds and joules of the tokens that it says it computed."""
    machine = Machine(tmp_path / "energy_uj", measured, monkeypatch)
    if stop is Killed:
        monkeypatch.setattr(walk, "SAVE_EVERY_SECONDS", 0.0)
        monkeypatch.setattr(walk, "MOST_SAVING", float("inf"))
    steps = iter(range(1, 1000))

    def tick(tokens: int, *, found: bool = False) -> None:
        if found:
            return
        machine.pass_seconds(1.0)
        if next(steps) == after:
            raise stop

    store = Store(tmp_path / "store")
    with pytest.raises(stop):
        run_job(JOB, data(store), store, tmp_path / "work", tick)
    machine.pass_seconds(-50.0)  # another boot: clock and counter begin elsewhere
    found = run_job(JOB, data(store), store, tmp_path / "work", tick)
    runs = pl.read_parquet(found.file("runs.parquet"), glob=False)
    seconds = runs["computed_tokens"] / (B * T)
    assert seconds.to_list() == [6 + 2, 3 + 3, 4 + 4]  # trunk and decay of each branch
    assert runs["wall_seconds"].to_list() == pytest.approx(seconds.to_list())
    joules = seconds * (3.0 if measured else energy.WATTS_PER_CORE)
    assert runs["energy_joules"].to_list() == pytest.approx(joules.to_list())
    assert_equal(tables(found), tables(part))


def test_a_state_of_an_older_version_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds rows as that version wrote them."""
    store, told = Store(tmp_path / "store"), [0]

    def stop_in_the_second_branch(tokens: int, *, found: bool = False) -> None:
        told[0] += tokens
        if told[0] >= 9 * B * T:
            raise JobStopped

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "JOB", Stage(ledger.JOB.name, ledger.JOB.version - 1))
        with pytest.raises(JobStopped):
            run_job(JOB, data(store), store, tmp_path / "work", stop_in_the_second_branch)

    def from_the_start(tokens: int, *, found: bool = False) -> None:
        assert not found

    run_job(JOB, data(store), store, tmp_path / "work", from_the_start)
