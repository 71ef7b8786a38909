"""A job's rows: what was trained, on what, and losses that add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.ledger import Ledger
from assay.store import Artifact, Store
from assay.tokens.sampler import Sampler
from assay.train.evaluate import document_nll
from assay.train.job import Branch, Job, JobData, run_job
from assay.train.loop import TrainState, train
from assay.train.schedules import WarmupStableDecay
from miniature import JOB, MODEL, PLAN, SOURCES, SPEC, B, T, assert_equal, data, inputs, silent, tables


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


def test_epochs_and_unique_tokens_are_as_counted(store: Store, job_data: JobData) -> None:
    """A run so long that a source is read several times over."""
    job = replace(JOB, cell="long", branches=(Branch(150, 10),))
    part = run_job(job, job_data, store, store.root / "work", silent)
    source, row, _ = Sampler(PLAN, job_data.streams, 150).slots
    epochs = Ledger(store).query([part], "SELECT epochs['letters'] AS letters, epochs['numbers'] AS numbers FROM runs")
    for i, name in enumerate(SOURCES):
        n_rows = job_data.streams["train"].n_rows(name, T)
        assert epochs[name][0] == pytest.approx((source == i).sum() / n_rows)
    assert max(epochs.row(0)) > 1
    unique = len(set(zip(source.tolist(), row.tolist(), strict=True))) * T
    assert tables(part)["runs"]["U"][0] == pytest.approx(unique, rel=0.05)


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
    train(state, sampler, WarmupStableDecay(JOB.warmup, branch.steps, branch.decay), branch.steps)
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
