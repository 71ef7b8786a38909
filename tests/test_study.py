"""The main job through the real command: what it answers, and that stopping, killing or damaging it changes nothing."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest

from assay.errors import InputError
from assay.impact.plan import Plan
from assay.impact.results import StudyResults
from assay.impact.shape import stacks
from assay.models.ngram import KneserNey
from assay.recipe.load import load
from assay.recipe.study import StudyRecipe
from assay.store import Stage, Store
from assay.study import verb
from assay.study.opened import Opened
from assay.study.passes import Passes
from assay.study.request import Request
from assay.tokens.evalset import EvalSet
from assay.tokens.sampler import Part, Sampler, StreamPlan
from assay.tokens.stream import TokenStream
from assay.train.engines.choice import Choice
from assay.train.fleet import Fleet
from clusters import at_work, two_nodes
from command import TINY as SMALLEST
from command import Running, assay, claims, write_texts

TINY = [
    *SMALLEST, "--tokens", "1.05M", "--set=design.upweight=1.15", "--set=design.second_pass=0.2", "--on-error", "skip",
]  # fmt: skip
"""Mixtures so near to each other that a second pass has something to choose."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_texts(tmp_path_factory.mktemp("corpus") / "文本", documents=650)
    with (folder / "numbers.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "cut in the mid\n')
    return folder


@pytest.fixture(scope="module")
def explained(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """`--explain --json` in a new folder."""
    out = tmp_path_factory.mktemp("study") / "研究"
    done = assay("study", texts, *TINY, "--out", out, "--explain", "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


@pytest.fixture(scope="module")
def finished(texts: Path, explained: tuple[Path, dict[str, Any]]) -> tuple[Path, dict[str, Any], str]:
    """A whole study in the folder of `explained`: folder, answer, stderr."""
    out, _ = explained
    done = assay("study", texts, *TINY, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return out, json.loads(done.stdout), done.stderr


def test_the_answer_has_the_keys_that_programs_rely_on(finished: tuple[Path, dict[str, Any], str]) -> None:
    out, answer, stderr = finished
    assert stderr == ""
    assert set(answer) == {
        "out", "claims", "report", "n_claims", "n_supported", "predictions", "seconds", "tokens", "assay_version",
        "fingerprint",
    }  # fmt: skip
    assert answer["out"] == str(out)
    # A larger run and a mixture, each of the mean and of both sources.
    assert answer["predictions"] == {"registered": 6, "tested": 6, "hits": answer["predictions"]["hits"]}
    assert answer["n_claims"] == len(json.loads(Path(answer["claims"]).read_text(encoding="utf-8"))) > 5
    assert Path(answer["report"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert 0 < answer["tokens"] <= 1_050_000


def test_a_bad_row_that_was_skipped_is_counted_and_its_place_is_told(
    texts: Path, finished: tuple[Path, dict[str, Any], str]
) -> None:
    results = json.loads((finished[0] / "results.json").read_text(encoding="utf-8"))
    assert results["bad_rows"] == 1
    lines = (texts / "numbers.jsonl").read_text(encoding="utf-8").count("\n")
    page = (finished[0] / "report.html").read_text(encoding="utf-8")
    for told in (json.dumps(results["notices"], ensure_ascii=False), page):
        assert "Broken rows or files that were skipped: 1;" in told
        assert f"numbers.jsonl:{lines}" in told
    assert "跳过了 1 处损坏的行或文件" in page


def _joined(rows: set[int], row_tokens: int, shard: np.ndarray) -> list[np.ndarray]:
    """The text of rows (and of the one token more that is a target) in maximal pieces."""
    places = sorted({row * row_tokens + i for row in rows for i in range(row_tokens + 1)})
    pieces = [[places[0]]]
    for place in places[1:]:
        if place != pieces[-1][-1] + 1:
            pieces.append([])
        pieces[-1].append(place)
    return [np.asarray(shard[piece[0] : piece[-1] + 1]) for piece in pieces]


def test_the_baseline_is_an_ngram_model_of_what_each_run_reads(finished: tuple[Path, dict[str, Any], str]) -> None:
    """Put together again from the stored text, piece by piece and window by window."""
    out = finished[0]
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))["baseline"]
    plan = Plan.model_validate_json((out / "plan.json").read_text(encoding="utf-8"))
    store = Store(out / "artifacts")
    manifest = json.loads(next((out / "artifacts" / "baseline").glob("*/manifest.json")).read_text(encoding="utf-8"))
    # An artifact is found by its fingerprint; the version of its stage is part of that.
    train = TokenStream.open(store.at(Stage("stream", 0), manifest["inputs"]["train"]))
    data = EvalSet.open(store.at(Stage("evalset", 0), manifest["inputs"]["eval"]))
    bits = np.zeros((len(plan.seeds), len(data.documents)))
    for i, seed in enumerate(plan.seeds):
        reads = StreamPlan(
            seed, plan.natural, plan.row_tokens, plan.batch_rows, part=Part(i, plan.parts, plan.seeds[0])
        )
        sampler = Sampler(reads, {"train": train}, plan.run_steps)
        source, row, _ = sampler.slots
        pieces: list[np.ndarray] = []
        for k, name in enumerate(sampler.sources):
            pieces += _joined(set(row[source == k].tolist()), plan.row_tokens, train.shards[name])
        cuts = np.cumsum([0, *map(len, pieces[:-1])])
        model = KneserNey(512, 5).fit(np.concatenate(pieces), cuts)
        for d in range(len(data.documents)):
            own = data.document_RT == d
            window = np.array([data.inputs_RT[own][0], *data.targets_RT[own]])
            bits[i, d] = -model.log_probabilities(window, np.array([0])).sum() / np.log(2)
    assert found["tokens"] == plan.run_steps * plan.step_tokens
    assert [row["target"] for row in found["rows"]] == ["", "letters", "numbers"]
    by_source = []
    for target in ("letters", "numbers"):
        own = (data.documents["source"] == target).to_numpy()
        by_source.append(float(bits[:, own].sum(axis=1).mean() / data.documents["n_bytes"].to_numpy()[own].sum()))
    assert [row["bpb"] for row in found["rows"]] == pytest.approx([np.mean(by_source), *by_source])
    for row in found["rows"]:
        assert row["interval"][0] < row["bpb"] < row["interval"][1]
        assert row["difference"]["estimate"] == pytest.approx(row["model_bpb"] - row["bpb"])
    curve = found["curves"][0]["points"]
    assert [point["tokens"] for point in curve] == [
        steps * plan.step_tokens for steps in (plan.branch_steps[0], plan.run_steps, plan.held_out_steps)
    ]
    assert curve[0]["bpb"] > curve[1]["bpb"] > curve[2]["bpb"]  # more text, better counts
    assert curve[1]["bpb"] == pytest.approx(found["rows"][0]["bpb"])


def test_the_second_pass_is_spent_on_the_choice_and_said(finished: tuple[Path, dict[str, Any], str]) -> None:
    out = finished[0]
    plan = Plan.model_validate_json((out / "plan.json").read_text(encoding="utf-8"))
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    second, rows = found["decisions"]["second"], {row["cell"]: row for row in found["decisions"]["rows"]}
    assert (second["runs"], plan.more_runs, plan.more_seeds) == (3, 3, [2])
    assert 2 <= second["spent"] == sum(second["seeds"].values()) <= 3 and second["seeds"]["natural"] == 1
    assert {cell: row["seeds"] for cell, row in rows.items()} == {c: 2 + second["seeds"].get(c, 0) for c in rows}
    tokens = plan.run_steps * plan.step_tokens
    losses = {
        (cell, seed): bpb
        for cell, seed, bpb in duckdb.sql(
            f"""SELECT cell, seed, avg(nll / ln(2) / n_bytes)
                FROM (SELECT * FROM '{out}/artifacts/ledger/*/losses.parquet' WHERE split = 'eval')
                JOIN (SELECT * FROM '{out}/artifacts/ledger/*/runs.parquet' WHERE D = {tokens}) USING (run_id)
                GROUP BY cell, seed"""
        ).fetchall()
    }
    claimed = {claim["id"]: claim for claim in found["claims"]}
    for cell in ("up:letters", "up:numbers"):
        seeds = [seed for name, seed in losses if name == cell]
        assert sorted(seeds) == list(range(rows[cell]["seeds"]))
        change = np.mean([losses[cell, seed] - losses["natural", seed] for seed in seeds])
        assert rows[cell]["effect"]["estimate"] == pytest.approx(change)
        claim = claimed[f"distribution:{cell}"]
        assert (claim["n_seeds"], claim["estimate"]) == (len(seeds), pytest.approx(change))
    assert claimed["size:doubling"]["n_seeds"] == claimed["prediction:mixture"]["n_seeds"] == found["n_seeds"] == 2
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"{second['spent']} of the 3 runs that were kept back" in page and "2 + 1" in page
    assert f"预留的 3 次运行中有 {second['spent']} 次" in page


def test_held_out_doses_and_mixtures_are_predicted_before_they_are_measured(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "corpus")
    more = (
        "design.axes=[quality, distribution]", "design.defects=[shuffle_words, exact_duplicates, repeated]",
        "design.doses=[0.5]", "design.held_out_doses=[0.25]",
        "design.together=[[shuffle_words, exact_duplicates]]", "design.held_out_mixtures=2", "corpus.on_error=skip",
        "design.damaged_sources=[numbers]", "design.leaks=[8]", "design.orders=['-n_words']",
        "design.scales=[[1, 16]]", "design.rates=[2]",
    )  # fmt: skip
    options = [word for word in SMALLEST if "axes" not in word]
    command = ["study", texts, *options, "--tokens", "3.1M", *(f"--set={pair}" for pair in more)]
    done = assay(*command, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    claims = json.loads((tmp_path / "out" / "claims.json").read_text(encoding="utf-8"))
    predicted = [claim for claim in claims if claim["prediction"]]
    about = ("dose:shuffle_words:0.25", "dose:exact_duplicates:0.25", "dose:repeated:0.25", "mixture", "mixture-2")
    wanted = {f"prediction:{name}{of}" for name in about for of in ("", "@letters", "@numbers")}
    assert {claim["id"] for claim in predicted} == wanted
    for claim in predicted:
        low, high = claim["prediction"]["interval"]
        assert claim["outcome"]["verdict"] == ("hit" if low <= claim["outcome"]["value"] <= high else "miss")
    assert not any("0.25" in claim["id"] for claim in claims if not claim["prediction"])
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    views, alone = results["doses"], results["damaged"]
    assert [(row["defect"], row["source"]) for row in alone] == [
        ("shuffle_words", "numbers"),
        ("exact_duplicates", "numbers"),
        ("repeated", "numbers"),
    ]
    copies = alone[1]["effects"]  # copies of one source say nothing of the other
    assert copies["numbers"]["estimate"] > copies["letters"]["estimate"] and alone[1]["worst"] == "numbers"
    assert results["decisions"]["pairs"] == 28  # natural, two doses, two in one source, two at once, two mixtures
    assert [[point["held_out"] for point in view["points"]] for view in views] == [[True, False]] * 3
    shown = [(row["layers"], row["width"], row["rate"]) for row in results["scales"]]
    assert shown == [(1, 16, 1.0), (1, 16, 2.0), (1, 32, 1.0), (1, 32, 2.0)]
    smaller, _, own, _ = results["scales"]
    assert own["effect"] is None
    assert smaller["effect"]["estimate"] == pytest.approx(smaller["bpb"] - own["bpb"])
    sizes = duckdb.sql(
        f"""SELECT cell, min(N) FROM '{tmp_path}/out/artifacts/ledger/*/runs.parquet'
            WHERE axis = 'scale' GROUP BY cell ORDER BY cell"""
    ).fetchall()
    assert sizes == [
        ("rates:1x16:2", smaller["parameters"]), ("rates:1x32:2", own["parameters"]),
        ("scale:1x16", smaller["parameters"]),
    ]  # fmt: skip
    (two,) = results["together"]
    assert two["defects"] == ["shuffle_words", "exact_duplicates"]
    alone = [view["points"][1]["effect"]["estimate"] for view in views[:2]]
    assert two["interaction"]["estimate"] == pytest.approx(two["effect"]["estimate"] - sum(alone))
    assert {f"{kind}:shuffle_words+exact_duplicates:0.5" for kind in ("quality", "interaction")} <= {
        claim["id"] for claim in claims
    }
    (leak,) = results["leaks"]
    assert leak["copies"] == 8 and leak["effect"]["supported"]
    assert leak["effect"]["interval"][1] < 0  # made-up words are learned by heart
    (said,) = (claim["statement"] for claim in claims if claim["id"] == "leaked:8")
    assert said["en"].startswith("Having held-out documents 8 times in the training text lowers the loss on those very")
    assert said["zh"].startswith("把留出文档在训练文本中放入 8 份")
    (order,) = results["orders"]
    assert order["order"] == "-n_words" and set(order["effects"]) == {"", "letters", "numbers"}
    assert {"order:-n_words", "order:-n_words@letters"} <= {claim["id"] for claim in claims}
    unique = duckdb.sql(
        f"""SELECT cell, min(U / D)::DOUBLE AS share FROM '{tmp_path}/out/artifacts/ledger/*/runs.parquet'
            WHERE cell LIKE 'repeated%' GROUP BY cell ORDER BY cell"""
    ).fetchall()
    wanted_shares = {"repeated:0.25": 0.75, "repeated:0.5": 0.5, "repeated:0.5:numbers": 0.75}
    assert dict(unique) == pytest.approx(wanted_shares, abs=0.05)  # sources are halves
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "10 more, of each source on its own" in page and "另有 10 条" in page


def test_explain_trains_nothing_and_the_study_follows_its_plan(
    explained: tuple[Path, dict[str, Any]], finished: tuple[Path, dict[str, Any], str]
) -> None:
    out, explanation = explained
    assert {"values", "assay_version", "fingerprint"} == set(explanation)
    values = {row["key"]: row["value"] for row in explanation["values"]}
    assert str(values["train.seeds"]) == "2"
    assert values["train.engine"] == "processes"
    assert all(row["why"] for row in explanation["values"])
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    assert values["planned_tokens"] == f"{plan['planned_tokens'] + plan['more_tokens']:,}"
    assert values["second_pass"] == "3 runs"
    assert len(list((out / "artifacts" / "plan").iterdir())) == 1  # the run made no other


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_rerun_changes_nothing_mends_damage_and_speaks_chinese(
    texts: Path, finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    out = tmp_path / "study"
    shutil.copytree(finished[0], out)
    before = (out / "claims.json").read_bytes()
    baseline = json.loads((out / "results.json").read_text(encoding="utf-8"))["baseline"]
    files = ("stream/*/*.bin", "ledger/*/losses.parquet", "baseline/*/nll.npy")
    damaged = [next((out / "artifacts").glob(pattern)) for pattern in files]
    for path in damaged:
        _flip(path)
    done = assay("study", texts, *TINY, "--set", "train.workers=1", "--lang", "zh", "--out", out)
    assert done.returncode == 0, done.stderr
    for path in damaged:
        assert f"{path.parent}: {path.name} is not what was written; building it again" in done.stderr
    assert (out / "claims.json").read_bytes() == before
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["baseline"] == baseline
    assert "训练" in done.stderr
    assert "- " in done.stdout
    assert 'lang="zh' in (out / "report.html").read_text(encoding="utf-8")

    written = {path: path.stat().st_mtime_ns for path in (out / "artifacts").rglob("*") if path.is_file()}
    again = assay("study", texts, *TINY, "--out", out, "--json")
    assert again.returncode == 0
    # Nothing but reading what is there.
    assert written == {path: path.stat().st_mtime_ns for path in (out / "artifacts").rglob("*") if path.is_file()}
    assert (out / "claims.json").read_bytes() == before
    assert json.loads(again.stdout)["fingerprint"] == finished[1]["fingerprint"]


@linux
def test_stopped_killed_and_rerun_a_study_ends_the_same(
    texts: Path, finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    out, log = tmp_path / "study", tmp_path / "log"

    def start() -> Running:
        return Running(log, "study", texts, *TINY, "--out", out)

    for stage, clean in (("Scoring documents", True), ("Training the fleet", True), ("Training the fleet", False)):
        run = start()
        run.wait_for(stage)
        if stage == "Training the fleet":
            run.wait_for_workers()
            time.sleep(1)  # on a fast machine they train by now, and on none are they done
        run.signal(signal.SIGINT)
        if not clean:
            time.sleep(0.01)
            run.signal(signal.SIGINT)
        began = time.monotonic()
        assert run.end(20) == (130, ["assay: stopped -> run the same command again to go on from here"])
        assert time.monotonic() - began < (10 if clean else 2)
        assert run.left_over() == []

    run = start()
    run.wait_for_workers()
    for _ in range(4):  # while workers still import
        run.signal(signal.SIGINT)
        time.sleep(0.15)
    assert run.end(20) == (130, ["assay: stopped -> run the same command again to go on from here"])
    assert run.left_over() == []
    said = log.read_text()
    assert "Traceback" not in said
    assert "Exception ignored" not in said

    run = start()
    os.kill(run.wait_for_workers()[0], signal.SIGKILL)
    code, lines = run.end(20)
    assert code == 1
    assert len(lines) == 1
    assert "a worker died (exit code -9) -> most often memory ran out: try --set train.workers=1" in lines[0]
    assert run.left_over() == []

    rng = random.Random(5)
    for _ in range(3):
        run = start()
        time.sleep(rng.uniform(1, 6))
        os.kill(run.process.pid, signal.SIGKILL)  # the parent alone: its workers have to follow
        run.process.wait(5)
        assert run.left_over() == []
    run = start()
    run.wait_for("Second pass", timeout=240)
    time.sleep(0.5)
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait(5)
    done = assay("study", texts, *TINY, "--out", out)
    assert done.returncode == 0, done.stderr
    assert claims(out) == claims(finished[0])
    kept, again = (json.loads((o / "results.json").read_text(encoding="utf-8")) for o in (finished[0], out))
    assert again["baseline"] == kept["baseline"] and again["decisions"] == kept["decisions"]
    assert not list(out.rglob(".staging-*"))


def test_two_hosts_do_a_study_and_one_dies_in_the_middle(
    texts: Path, finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'assay[cluster]'")
    out, log = tmp_path / "study", tmp_path / "log"
    with two_nodes() as (cluster, address):
        run = Running(log, "study", texts, *TINY, "--out", out, "--ray", address)
        run.wait_for("Training the fleet")
        node, end = next(iter(cluster.worker_nodes)), time.monotonic() + 120
        while not at_work(node, "_words"):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        time.sleep(0.5)
        cluster.remove_node(node, allow_graceful=False)
        code, lines = run.end(240)
    assert code == 0, lines
    assert "A machine of the cluster was lost in the middle of a run (" in log.read_text()
    assert claims(out) == claims(finished[0])
    assert not list(out.rglob(".staging-*"))


def test_in_stacks_a_study_says_the_same(
    texts: Path, finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    """Claims to five digits, and verdicts and outcomes as they are; the folder remembers its engine."""
    out = tmp_path / "study"
    options = [v.removeprefix("--set=") for v in TINY if v.startswith("--set=")]

    def run(engine: str) -> StudyResults:
        recipe = load(StudyRecipe, None, [*options, "corpus.on_error=skip", f"train.engine={engine}"])[0]
        request = Request([str(texts)], out, recipe, 1_050_000.0, None, "en", ["assay", "study"])
        return verb.run(request, quiet=True)

    results = run("stacked")
    alone = json.loads((finished[0] / "claims.json").read_text(encoding="utf-8"))
    assert len(alone) == len(results.claims) > 5
    for one, claim in zip(alone, results.claims, strict=True):
        other = claim.model_dump(mode="json")
        for key in ("id", "kind", "verdict", "n_seeds", "headline"):
            assert one[key] == other[key]
        assert one["estimate"] == pytest.approx(other["estimate"], abs=1e-5)
        assert one["interval"] == pytest.approx(other["interval"], abs=1e-5)
        if one["outcome"]:
            assert one["outcome"]["verdict"] == other["outcome"]["verdict"]
            assert one["outcome"]["value"] == pytest.approx(other["outcome"]["value"], abs=1e-5)
    ledgers = [{path.name for path in (o / "artifacts" / "ledger").iterdir()} for o in (finished[0], out)]
    assert len(ledgers[0]) == len(ledgers[1])
    assert ledgers[0].isdisjoint(ledgers[1])
    assert not list((out / "work").glob("*"))
    assert "CPU, runs in stacks, float32" in (out / "report.html").read_text(encoding="utf-8")
    assert run("auto").claims == results.claims
    assert {path.name for path in (out / "artifacts" / "ledger").iterdir()} == ledgers[1]
    with pytest.raises(InputError, match="begun with stacked, and runs of two engines are not mixed -> give stacked"):
        run("processes")


def test_a_time_budget_is_sized_by_the_speed_of_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trunks of few members are slower than the many cells, and each has its share of the tokens."""
    texts = write_texts(tmp_path / "texts")
    options = [v.removeprefix("--set=") for v in SMALLEST if v.startswith("--set=")]
    recipe = load(StudyRecipe, None, [*options, "train.engine=stacked", "train.dtype=float32"])[0]
    request = Request([str(texts)], tmp_path / "out", recipe, None, 600.0, "en", ["assay", "study"])
    monkeypatch.setattr(Fleet, "probe", lambda _, probe: [1e4 * probe.members])
    values = {key: value for key, value, _ in verb.explain(request, quiet=True)}
    assert values["train.engine"] == "stacked"
    sizes = stacks(recipe, 2, 2)
    assert sizes[0][0] == 2 < sizes[1][0]
    assert sum(share for _, share in sizes) == pytest.approx(1)
    plan = Plan.model_validate_json((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))
    assert plan.shape.tokens_per_second == pytest.approx(1 / sum(share / (1e4 * n) for n, share in sizes))


def _asking(seconds: float | None, space: Any, progress: Any = None) -> Passes:
    """The passes of a study of this time budget, which is in no folder."""
    asking, opened = Passes.__new__(Passes), Opened.__new__(Opened)
    recipe = load(StudyRecipe, None, [])[0]
    opened.request = Request([], Path(), recipe, None if seconds else 1e6, seconds, "en", [])
    opened.recipe, opened.space, opened.progress = recipe, space, progress
    asking.study = opened
    return asking


@pytest.mark.parametrize(("in_stacks", "rounds"), [(False, [3, 4, 5, 5]), (True, [3, 5, 5])])
def test_seeds_are_done_in_rounds_while_there_is_time(in_stacks: bool, rounds: list[int]) -> None:
    asking = _asking(100.0, SimpleNamespace(recall=lambda _: None))
    asking.study.chosen = Choice("stacked" if in_stacks else "processes", "cpu", "")
    asking._time_for = lambda plan, done, wanted, total: wanted <= 5  # type: ignore[method-assign]
    found = [0]
    while len(found) < 2 or found[-1] > found[-2]:
        found.append(asking._round(SimpleNamespace(seeds=range(8)), found[-1], 0))  # type: ignore[arg-type]
    assert found[1:] == rounds


def test_another_study_or_a_changed_corpus_is_refused(
    texts: Path, finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    out = finished[0]
    before = {path: path.read_bytes() for path in out.glob("*.json")}
    other = assay("study", texts, "--tokens", "9M", "--out", out)
    assert other.returncode == 2
    assert other.stderr.startswith(
        f"assay: {out}: holds another study (budget.tokens: 1050000.0 there, 9000000.0 here; "
    )
    assert 'corpus.on_error: "skip" there, "stop" here; ' in other.stderr
    assert re.search(r"; and \d+ more\) -> choose ", other.stderr)
    assert "repeat its command: assay study" in other.stderr

    changed = tmp_path / "文本"
    shutil.copytree(texts, changed)
    moved = tmp_path / "study"
    shutil.copytree(out, moved)
    identity = json.loads((moved / "study.json").read_text(encoding="utf-8"))
    (moved / "study.json").write_text(json.dumps({**identity, "sources": [str(changed)]}), encoding="utf-8")
    with (changed / "letters.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "one more document"}\n')
    refused = assay("study", changed, *TINY, "--out", moved, "--json")
    assert refused.returncode == 2
    assert refused.stdout == ""
    remedy = "undo the change, or choose another --out for the changed corpus"
    assert refused.stderr == f"assay: {moved}: its corpus has changed since this study began -> {remedy}\n"
    assert before == {path: path.read_bytes() for path in out.glob("*.json")}


def test_on_a_slow_machine_the_last_seeds_are_left_out_and_a_rerun_leaves_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = write_texts(tmp_path / "texts", documents=850)
    options = [v.removeprefix("--set=") for v in SMALLEST if v.startswith("--set=") and "seeds" not in v]
    recipe = load(StudyRecipe, None, options)[0]
    request = Request([str(texts)], tmp_path / "out", recipe, None, 600.0, "en", ["assay", "study"])
    # A probe that makes the time budget one of 1.6 million tokens, and a machine that turns out slower.
    monkeypatch.setattr(Fleet, "probe", lambda *_: [1.6e6 / 0.85 / 550])
    asked: list[tuple[int, int]] = []

    def no_time(_: object, __: object, done: int, wanted: int, ___: int) -> bool:
        asked.append((done, wanted))
        return False

    monkeypatch.setattr(Passes, "_time_for", no_time)
    first = verb.run(request, quiet=True)
    assert asked == [(3, 4)]
    assert first.n_seeds == 3
    assert {claim.n_seeds for claim in first.claims} == {3}
    assert any("3 of the 4 planned seeds were run" in notice["en"] for notice in first.notices)
    monkeypatch.setattr(Passes, "_time_for", lambda *_: True)
    again = verb.run(request, quiet=True)
    assert again.claims == first.claims
    assert again.cost.runs == first.cost.runs


def test_whether_there_is_time_follows_from_the_speed_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seeds of 100 tokens took 300 s; a seed's test is another 20 tokens: four need 100 + 80 more seconds."""

    class Space:
        def add_seconds(self, _: object) -> dict[str, float]:
            return {"documents": 50.0, "fleet": 300.0}

    class Plan:
        seeds = (0, 1, 2, 3)
        planned_tokens = 480

    class Progress:
        def take_seconds(self) -> dict[str, float]:
            return {}

    for budget, answer in ((529.0, False), (531.0, True)):
        asking = _asking(budget, Space(), Progress())
        assert asking._time_for(Plan(), 3, 4, 400) is answer  # type: ignore[arg-type]


def test_a_second_pass_does_what_time_is_left_for() -> None:
    """400 tokens took 300 s, 350 in all; a run is 10 tokens; of a budget of 500 s 40 are kept for the end."""

    class Space:
        def add_seconds(self, _: object) -> dict[str, float]:
            return {"documents": 50.0, "fleet": 300.0}

    class Plan:
        more_runs, more_tokens = 20, 200

    class Progress:
        def take_seconds(self) -> dict[str, float]:
            return {}

    for budget, runs in ((500.0, 14), (5000.0, 20), (300.0, 0), (None, 20)):
        asking = _asking(budget, Space(), Progress())
        assert asking._runs_in_time(Plan(), 400) == runs  # type: ignore[arg-type]
