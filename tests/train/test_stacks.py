"""Stacks as an engine: a member's rows are those of the same run trained alone, within TOLERANCE; stopped, killed or
beside a member that fails, a stack's own rows are the same bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from assay import ledger
from assay.errors import InputError, Stopped
from assay.models.decoder import proxy
from assay.models.protocol import Batch
from assay.store import Artifact, Stage, Store
from assay.train import walk
from assay.train.engines import choice, stacked
from assay.train.engines.choice import choose
from assay.train.engines.stacked import StackedEngine
from assay.train.engines.worker import Worker
from assay.train.evaluate import document_nll, member_nll
from assay.train.fleet import Fleet
from assay.train.job import Branch, Job, JobData, JobInputs, JobStopped
from assay.train.loop import LossNotFinite, TrainSpec, TrainState
from assay.train.members import member_of, together
from assay.train.optimizers import OptimizerConfig
from assay.train.probe import Probe, tokens_per_second
from assay.train.process import denormals_are_zero
from assay.train.walk import run_jobs
from miniature import (
    JOB,
    MODEL,
    SOURCES,
    SPEC,
    B,
    T,
    assert_equal,
    data,
    inputs,
    run_job,
    silent,
    tables,
    with_seed,
)  # fmt: skip

TOLERANCE = 1e-5
"""Of a loss in float32: the sums of a stack's products are rounded in another order."""
BRANCHES = JOB.branches[:2]
CELL = replace(JOB, cell="clean", branches=BRANCHES)


def of_stream(cell: str, **stream: Any) -> Job:
    return replace(with_seed(CELL, 5), cell=cell, stream=replace(CELL.stream, seed=5, **stream))


CELLS = [
    CELL,
    with_seed(CELL, 4),
    of_stream("noise:0.5", defect="noise", dose=0.5),
    of_stream("mixture", weights={"letters": 0.2, "numbers": 0.8}),
    of_stream("order", order="length"),
    replace(CELL, cell="twice the rate", spec=replace(SPEC, optimizer=SPEC.optimizer.times(2.0))),
]
TRUNKS = [replace(with_seed(JOB, seed), keep=True) for seed in (1, 2, 3)]
ALONE = replace(CELL, cell="another size", spec=replace(SPEC, model=proxy(MODEL.vocabulary, 1, 16, 2, max_length=T)))


def given(store: Store, *, in_stacks: bool = True) -> JobInputs:
    """The miniature's artifacts, and an order of its documents."""
    own = inputs(store)
    stream = JobData.open(own).streams["train"]

    def make(folder: Path) -> None:
        lengths = {s: np.diff(np.append(stream.begins(s), len(stream.shards[s]))).astype(float) for s in SOURCES}
        np.savez(folder / "values.npz", **lengths)  # type: ignore[arg-type]

    order = store.build(Stage("order", 1), {}, {}, make)
    return replace(own, orders={"length": order}, stacked=in_stacks)


def walked(root: Path, jobs: Sequence[Job], on_tokens: Any = silent) -> list[Artifact]:
    store = Store(root / "store")
    return run_jobs(jobs, JobData.open(given(store)), store, root / "work", on_tokens)


def assert_alike(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    """Row by row, all but names of runs, which hold the engine; losses within TOLERANCE."""
    number = {run: i for found in (one, other) for i, run in enumerate(found["runs"]["run_id"])}
    for name in ledger.TABLES:
        mine, its = (t[name].with_columns(pl.col("run_id").replace_strict(number)) for t in (one, other))
        if name == "runs":
            assert mine.drop("config").equals(its.drop("config"))  # no loss is in there
        else:
            assert_frame_equal(mine, its, check_exact=False, rel_tol=TOLERANCE, abs_tol=0.0)


def larger(kept: Sequence[Artifact]) -> list[Job]:
    """What goes on from kept trunks."""
    at = JOB.branches[-1].steps - JOB.branches[-1].decay
    longer = (Branch(25, 6, ("eval", "test")),)
    return [
        replace(trunk, branches=longer, keep=False, start=part.fingerprint, start_step=at)
        for trunk, part in zip(TRUNKS, kept, strict=True)
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Artifact], list[Artifact]]:
    """All that there is to stack, and a job without its like: each alone, as processes do it, and by the engine of
    stacks."""
    first, root = [*TRUNKS, *CELLS, ALONE], tmp_path_factory.mktemp("alone")
    store = Store(root / "store")
    opened = JobData.open(given(store, in_stacks=False))
    alone = [run_job(job, opened, store, root / "work", silent) for job in first]
    alone += [run_job(job, opened, store, root / "work", silent) for job in larger(alone[: len(TRUNKS)])]

    store, told = Store(root / "stacked"), []
    own = given(store)
    with Fleet(store, StackedEngine(store.root, root / "work", "cpu", 4)) as fleet:
        stacked = fleet.run(own, first, lambda tokens, found=False: told.append(tokens))
        assert sum(told) == sum(job.tokens for job in first)
        stacked += fleet.run(own, larger(stacked[: len(TRUNKS)]))
    assert not list((root / "work").glob("*"))
    return alone, stacked


def test_members_have_the_rows_of_runs_alone(both: tuple[list[Artifact], list[Artifact]]) -> None:
    """Trunks, branches, what goes on from a kept trunk; defects, mixtures, orders, rates, seeds."""
    assert len(both[1]) == len(CELLS) + 2 * len(TRUNKS) + 1
    for alone, member in zip(*both, strict=True):
        assert member.manifest["config"]["cell"] == alone.manifest["config"]["cell"]
        assert member.fingerprint != alone.fingerprint  # results of two engines are not mixed
        own, its = tables(alone), tables(member)
        assert set(own["runs"]["run_id"]).isdisjoint(its["runs"]["run_id"])
        assert_alike(own, its)
        assert alone.files(".safetensors") == [] or len(member.files(".safetensors")) == 1  # the kept trunk


def test_time_and_energy_of_a_stack_are_shared(both: tuple[list[Artifact], list[Artifact]]) -> None:
    """Its members take as long as it does, together: sums over the ledger are what was spent."""
    seconds = [pl.read_parquet(p.file("runs.parquet"), glob=False)["wall_seconds"].to_list() for p in both[1]]
    assert seconds[0] == seconds[1] == seconds[2]  # the trunks
    assert seconds[3] == seconds[5] != seconds[6] == seconds[8]  # six cells, at most four together


def test_a_group_larger_than_the_bound_is_split_evenly() -> None:
    engine = StackedEngine(Path(), Path(), "cpu", 4)
    jobs = [with_seed(CELL, seed) for seed in range(9)]
    unlike = [
        replace(CELL, warmup=4), replace(CELL, branches=BRANCHES[:1]), ALONE,
        replace(CELL, stream=replace(CELL.stream, batch_rows=2)),
        replace(CELL, spec=replace(SPEC, dtype="bfloat16")),
        replace(CELL, start="a" * 32, start_step=2),
        replace(CELL, spec=replace(SPEC, optimizer=replace(SPEC.optimizer, weight_decay=0.1))),
    ]  # fmt: skip
    no_stack = [
        replace(job, spec=replace(SPEC, optimizer=replace(SPEC.optimizer, clip_norm=1.0))) for job in (jobs[0], jobs[0])
    ]
    groups = engine.groups([*jobs, *unlike, *no_stack])
    assert [len(group) for group in groups] == [3, 3, 3, *[1] * (len(unlike) + 2)]
    assert [job for group in groups[:3] for job in group] == jobs
    assert engine.groups(list(jobs)) == groups[:3]


def test_as_many_are_stacked_as_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = StackedEngine(Path(), Path(), "cpu")
    found = []
    for room in (1, 10**6, 10**7, 4 * 10**7):
        monkeypatch.setattr(stacked, "memory", lambda room=room: room)
        found.append(engine.most(SPEC, B, T))
    assert found[0] == 1
    assert found == sorted(found)
    assert found[3] == pytest.approx(4 * found[2], abs=4)
    assert engine.most(replace(SPEC, model=replace(MODEL, layers=8)), B, T) < found[3]
    jobs = [with_seed(CELL, seed) for seed in range(found[3] + 1)]
    assert [len(group) for group in engine.groups(jobs)] == [(found[3] + 1) // 2, found[3] + 1 - (found[3] + 1) // 2]


class Killed(BaseException):
    """A worker's sudden end."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, pl.DataFrame]]:
    return [tables(part) for part in walked(tmp_path_factory.mktemp("whole"), TRUNKS)]


@pytest.mark.parametrize("stop", [JobStopped, Killed])
@pytest.mark.parametrize("after", [1, 7, 10, 20])
def test_a_stack_that_is_stopped_or_killed_goes_on_to_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, pl.DataFrame]], stop: type, after: int
) -> None:
    monkeypatch.setattr(walk, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(walk, "MOST_SAVING", float("inf"))
    told: list[tuple[int, bool]] = []

    def on_tokens(tokens: int, *, found: bool = False) -> None:
        told.append((tokens, found))
        if len(told) == after:
            raise stop

    with pytest.raises(stop):
        walked(tmp_path, TRUNKS, on_tokens)
    assert not list((tmp_path / "store").glob("ledger/*"))
    assert all(tokens == len(TRUNKS) * B * T for tokens, _ in told)
    told.clear()
    parts = walked(tmp_path, TRUNKS, lambda tokens, found=False: told.append((tokens, found)))
    assert sum(tokens for tokens, _ in told) == sum(job.tokens for job in TRUNKS)
    assert told[0][1] is (stop is JobStopped or after > 1)  # it is saved once a step has been told of
    for part, expected in zip(parts, whole, strict=True):
        assert_equal(tables(part), expected)
    assert not list((tmp_path / "work").glob("*"))


def test_a_stack_killed_between_its_artifacts_trains_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, pl.DataFrame]]
) -> None:
    build, left = Store.build, [1]

    def one_alone(self: Store, stage: Stage, *more: Any) -> Artifact:
        if stage == ledger.JOB and not left[0]:
            raise Killed
        left[0] -= stage == ledger.JOB
        return build(self, stage, *more)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Store, "build", one_alone)
        walked(tmp_path, TRUNKS)
    assert len(list((tmp_path / "store").glob("ledger/*"))) == 1
    told: list[tuple[int, bool]] = []
    parts = walked(tmp_path, TRUNKS, lambda tokens, found=False: told.append((tokens, found)))
    assert told == [(2 * TRUNKS[0].tokens, True)]  # of the two that had not been written
    for part, expected in zip(parts, whole, strict=True):
        assert_equal(tables(part), expected)


def test_ctrl_c_saves_a_stack(tmp_path: Path, whole: list[dict[str, pl.DataFrame]]) -> None:
    store = Store(tmp_path / "store")

    def press(tokens: int, *, found: bool = False) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Stopped), Fleet(store, StackedEngine(store.root, tmp_path / "work", "cpu")) as fleet:
        fleet.run(given(store), TRUNKS, press)
    for part, expected in zip(walked(tmp_path, TRUNKS), whole, strict=True):
        assert_equal(tables(part), expected)


BURSTS = replace(with_seed(JOB, 9), cell="bursts", spec=replace(SPEC, optimizer=replace(SPEC.optimizer, head_lr=2e38)))
"""Its logits are beyond float32 after a step."""


def test_a_member_that_fails_harms_no_other_and_is_told(tmp_path: Path, whole: list[dict[str, pl.DataFrame]]) -> None:
    """It has no rows, as a run alone that fails; the others are as they would be without it, and are written."""
    jobs = [*TRUNKS[:2], BURSTS, *TRUNKS[2:]]
    with pytest.raises(LossNotFinite) as alone:
        walked(tmp_path / "alone", [BURSTS])
    for _ in range(2):  # told again by a rerun, which trains nothing
        told: list[bool] = []
        with pytest.raises(LossNotFinite, match=r"bursts, seed 9, step \d+: the loss .* -> lower") as caught:
            walked(tmp_path, jobs, lambda tokens, found=False, told=told: told.append(found))
        assert caught.value.step == alone.value.step > 0
    assert told == [True]
    store = Store(tmp_path / "store")
    own = given(store).fingerprints()
    assert store.find(ledger.JOB, own, BURSTS.config()) is None
    for job, expected in zip(TRUNKS, whole, strict=True):
        part = store.find(ledger.JOB, own, job.config())
        assert part is not None
        assert_alike(expected, tables(part))
    for name in ("losses", "document_losses"):
        assert tables(part)[name]["nll"].is_finite().all()


def test_a_stack_of_which_all_fail_stops(tmp_path: Path) -> None:
    told: list[int] = []
    with pytest.raises(LossNotFinite, match="bursts"):
        walked(tmp_path, [BURSTS, with_seed(BURSTS, 8)], lambda tokens, found=False: told.append(tokens))
    assert sum(told) < 2 * BURSTS.tokens
    assert not list((tmp_path / "store").glob("ledger/*"))


@pytest.mark.parametrize("matrix", ["muon", "adamw", "adam", "sgd"])
def test_members_learn_at_their_own_rates(matrix: Any) -> None:
    """Each weight after some steps as that of the run alone, whatever the optimizer and its penalties."""
    rest = "adamw" if matrix == "muon" else matrix
    config = OptimizerConfig(matrix=matrix, rest=rest, weight_decay=0.05, l1=1e-5, clip_value=0.5)
    config = config if matrix != "sgd" else config.times(0.3)
    rates = [config, config.times(0.25), replace(config, head_lr=3 * config.head_lr)]
    specs = [TrainSpec(MODEL, own, seed) for seed, own in enumerate(rates)]
    stack, alone = TrainState(together(specs)), [TrainState(spec) for spec in specs]
    generator = torch.Generator().manual_seed(0)
    for step in range(6):
        ids = torch.randint(1, MODEL.vocabulary, (3 * B, T + 1), generator=generator)
        rows = Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), torch.zeros(3 * B, T, dtype=torch.int32))
        stack.update(rows, 1 - step / 10)
        for state, own in zip(alone, rows.pieces(B), strict=True):
            state.update(own, 1 - step / 10)
    for m, state in enumerate(alone):
        found, wanted = member_of(stack.tensors(), m), state.tensors()
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, rtol=TOLERANCE, atol=2e-4, msg=name)


def test_held_out_losses_of_members_are_theirs_alone(tmp_path: Path) -> None:
    held_out = data(Store(tmp_path)).evaluation["eval"]
    specs = [replace(SPEC, seed=seed) for seed in (1, 2, 3)]
    generator = torch.Generator().manual_seed(0)
    stack = TrainState(together(specs)).model
    for parameter in stack.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    found = member_nll(stack, held_out, batch_rows=5)  # type: ignore[arg-type]
    assert found.shape == (3, len(held_out.documents))
    for m in range(3):
        np.testing.assert_allclose(found[m], document_nll(stack.member(m), held_out), rtol=1e-5)  # type: ignore


def test_the_probe_measures_a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many members as asked for, and no more than are trained at once; in the engine's own process."""
    engine = StackedEngine(tmp_path, tmp_path, "cpu", 3)
    asked = Probe(MODEL, T, B, "float32", seconds=0.01, members=8)
    assert engine._here(("probe", asked))[1].members == 3
    assert engine._here(("probe", replace(asked, members=2)))[1].members == 2
    rows: list[int] = []
    update = TrainState.update
    monkeypatch.setattr(
        TrainState,
        "update",
        lambda self, batch, factor: rows.append(len(batch.inputs_BT)) or update(self, batch, factor),
    )
    one, three = (tokens_per_second(replace(asked, members=n)) for n in (1, 3))
    assert set(rows) == {B, 3 * B}
    assert min(one, three) > 0


@pytest.mark.parametrize("gpu", [False, True])
def test_the_engine_follows_from_what_is_asked_and_what_is_there(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    monkeypatch.setattr(choice.torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(choice.torch.cuda, "get_device_name", lambda _: "a GPU")
    own = "stacked" if gpu else "processes"
    found = choose("auto", None, None)
    assert (found.kind, found.device) == (own, "cuda" if gpu else "cpu")
    assert ("no GPU" in found.why) is not gpu
    assert choose("stacked", None, None).device == ("cuda" if gpu else "cpu")
    assert choose("processes", None, None).device == "cpu"
    assert choose("auto", "stacked", None).kind == "stacked"  # on whatever machine
    assert choose("auto", "processes", None).kind == "processes"
    assert choose("auto", None, "host:1").kind == "processes"
    for asked, before, ray in (("stacked", "processes", None), ("processes", "stacked", None),
                               ("stacked", None, "host:1"), ("auto", "stacked", "host:1")):  # fmt: skip
        with pytest.raises(InputError, match=r"train\.engine: .* -> "):
            choose(asked, before, ray)  # type: ignore[arg-type]


def test_memory_that_runs_out_is_told_with_a_remedy(tmp_path: Path) -> None:
    huge = replace(CELL, spec=replace(SPEC, model=replace(MODEL, vocabulary=10**14)))
    store, said = Store(tmp_path / "store"), []
    worker = Worker(str(store.root), str(tmp_path / "work"))
    task = ("jobs", (given(store), [huge, with_seed(huge, 4)]))
    with denormals_are_zero():
        assert not worker.do(task, lambda *words: said.append(words), silent)
    remedy = "give a smaller train.members, or train.batch_rows"
    assert said == [("error", ("memory ran out", "clean and 1 more", remedy))]
