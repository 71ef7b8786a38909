"""`assay labels` through the front door, in this process."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay import front
from assay.errors import InputError
from assay.impact.claims import Claim
from assay.labels import slicing
from assay.labels.answered import Drawn
from assay.labels.request import shares
from assay.labels.slicing import Slice
from assay.metrics.scores import SHARE
from labelled import reviews, sentences, write
from tunings import SMALL

CNN = ("budget.epochs=4", "tune.rate=0.02")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, made in (("reviews", reviews), ("names", sentences)):
        for part, (n, seed) in {"train": (160, 0), "dev": (20, 1), "test": (120, 2)}.items():
            write(folder / f"{name}.{part}.jsonl", made(n, seed))
    return folder


def labels(
    task: str, data: Path, out: Path, *overrides: str, model: str = "textcnn", doses: Any = None, **given: Any
) -> Any:
    """What `assay labels` prints: as JSON unless `as_json` is false."""
    how = {"language": "en", "explain": False, "as_json": True}
    how |= {key: given.pop(key) for key in tuple(how) if key in given}
    asked = {"seeds": 2, "sizes": 4, "target": 0.95, "augment": False, "equal": "epochs", **given}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        front.labels(
            task=task, data=[str(data)], model=model, out=out, recipe=None, overrides=[*SMALL, *CNN, *overrides],
            options={}, asked=asked, doses=doses or {"noise": "0.3", "imbalance": ""}, **how,
        )  # fmt: skip
    return json.loads(said.getvalue()) if how["as_json"] else said.getvalue()


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "reviews"
    labels("sentiment", data / "reviews", out)
    return out


def test_it_ends_in_numbers_claims_and_a_page(whole: Path) -> None:
    found = json.loads((whole / "results.json").read_text(encoding="utf-8"))
    assert [one["n"] for one in found["curve"]] == [20, 40, 80, 160]
    assert [one["steps"] for one in found["curve"]] == [12, 20, 40, 80]
    assert found["curve"][-1]["value"] > found["curve"][0]["value"]
    (noise,) = found["doses"]
    assert noise["changed"] == 48
    assert noise["difference"] == pytest.approx(noise["value"] - found["curve"][-1]["value"])
    assert {one["facet"] for one in found["slices"]} == {"label", "length"}
    assert sum(one["share"] for one in found["slices"] if one["facet"] == "label") == pytest.approx(1)
    said = [Claim.model_validate(one) for one in json.loads((whole / "claims.json").read_text(encoding="utf-8"))]
    assert {"size:doubling", "prediction:larger", "cost:target", "quality:noise-0.3"} <= {one.id for one in said}
    page = (whole / "labels.html").read_text(encoding="utf-8")
    for one in said:
        assert one.statement.zh.split("，")[0].split("“")[0] in page
    assert 'src="http' not in page


def test_the_prediction_stood_before_the_largest_runs(whole: Path) -> None:
    (one,) = json.loads((whole / "predictions.json").read_text(encoding="utf-8"))
    claim = next(c for c in json.loads((whole / "claims.json").read_text()) if c["kind"] == "prediction")
    assert claim["registered_at"] == one["registered_at"]
    assert claim["prediction"] == {"value": one["value"], "interval": one["interval"]}
    low, high = one["interval"]
    assert claim["outcome"]["verdict"] == ("hit" if low <= claim["outcome"]["value"] <= high else "miss")
    written = (whole / "predictions.json").stat().st_mtime_ns
    assert all(written < path.stat().st_mtime_ns for path in whole.glob("runs/n-160/*/result.json"))
    assert all(written > path.stat().st_mtime_ns for path in whole.glob("runs/n-80/*/result.json"))


def test_weights_stay_of_the_clean_runs_alone_and_dev_and_test_are_one_file(whole: Path) -> None:
    assert sorted(path.parent.parent.name for path in whole.glob("runs/*/*/model")) == ["n-160", "n-160"]
    recipes = [
        json.loads(path.read_text(encoding="utf-8"))["recipe"] for path in whole.glob("runs/*/*/finetuning.json")
    ]
    assert len(recipes) == 10
    assert {tuple(one["data"]["test"]) for one in recipes} == {(str(whole.resolve() / "data" / "test.jsonl.zst"),)}
    plan = json.loads((whole / "plan.json").read_text(encoding="utf-8"))
    assert [(one["cell"], one["seed"]) for one in plan["runs"]][-2:] == [("noise-0.3", 0), ("noise-0.3", 1)]
    assert {one["recipe"]["train"]["seed"] for one in plan["runs"] if one["seed"]} == {1}
    changed = [json.loads(line) for line in (whole / "data" / "noise-0.3.0.changed.jsonl").read_text().splitlines()]
    assert len(changed) == 48
    assert all(one["from"] != one["to"] and "reviews.train.jsonl:" in one["where"] for one in changed)


def test_a_rerun_trains_nothing_and_more_doses_can_be_asked_for(
    whole: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.finetune import tuning

    trained = []
    before = (whole / "predictions.json").read_bytes()
    run = tuning.run
    monkeypatch.setattr(tuning, "run", lambda request, **how: trained.append(request.out) or run(request, **how))
    labels("sentiment", data / "reviews", whole, target=0.8)
    assert not trained
    more = labels("sentiment", data / "reviews", whole, doses={"noise": "0.3", "imbalance": "0.5"}, augment=True)
    assert {path.parent.name for path in trained} == {"imbalance-0.5", "augment"}
    assert [one["cell"] for one in more["results"]["doses"]] == ["noise-0.3", "imbalance-0.5", "augment"]
    assert (whole / "predictions.json").read_bytes() == before
    with pytest.raises(InputError, match="another labels"):
        labels("sentiment", data / "reviews", whole, seeds=3)


def test_a_work_that_was_cut_off_goes_on_to_the_same_numbers(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.train.run import Run

    step, runs = Run._on_step, []

    def cut(self: Run, number: int, *rest: Any) -> None:
        step(self, number, *rest)
        runs.append(number)
        if len(runs) == 90:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_on_step", cut)
        with pytest.raises(Exception, match="stopped"):
            labels("sentiment", data / "reviews", tmp_path / "cut")
    assert 0 < len(list((tmp_path / "cut").glob("runs/*/*/result.json"))) < 10
    again = labels("sentiment", data / "reviews", tmp_path / "cut")["results"]
    first = labels("sentiment", data / "reviews", whole)["results"]
    for key in ("curve", "law", "doses", "slices", "target"):
        assert again[key] == first[key]


def test_the_plan_is_told_before_anything_is_trained(data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    found = labels("ner", data / "names", out, model="bilstm", doses={"noise": None, "imbalance": None}, explain=True,
                   equal="steps")  # fmt: skip
    assert not out.exists()
    assert found["skipped"] == ["imbalance"]
    assert [row["cell"] for row in found["cells"]][4:] == ["noise-0.05", "noise-0.1", "noise-0.2", "noise-0.4"]
    assert {row["steps"] for row in found["cells"]} == {80}
    said = labels("sentiment", data / "reviews", whole, explain=True, as_json=False, language="zh")
    assert "n-160" in said
    assert "每秒" in said


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"seeds": 1}, "1 seed"),
        ({"sizes": 3}, "3 sizes"),
        ({"sizes": 9}, "make no 9 sizes"),
        ({"doses": {"noise": "0.1,x", "imbalance": ""}}, "no list of shares"),
        ({"doses": {"noise": "1.5", "imbalance": ""}}, "1.5 is no share"),
        ({"target": -1.0}, "no value of"),
    ],
)
def test_bad_options_are_told_in_one_line_and_leave_nothing(
    data: Path, tmp_path: Path, given: dict[str, Any], what: str
) -> None:
    with pytest.raises(InputError, match=what) as error:
        labels("sentiment", data / "reviews", tmp_path / "bad", **given)
    assert "\n" not in error.value.line()
    assert not (tmp_path / "bad").exists()


def test_a_target_that_is_no_value_is_told_after_one_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no value of accuracy"):
        labels("sentiment", data / "reviews", tmp_path / "run", target=1.5)
    assert len(list((tmp_path / "run").glob("runs/*/*/result.json"))) == 1


def test_bad_input_of_the_first_run_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reads a whole text"):
        labels("ner", data / "names", tmp_path / "bad", doses={"noise": "", "imbalance": ""})
    assert not (tmp_path / "bad").exists()


def test_what_a_task_cannot_have_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one class out of several"):
        labels("ner", data / "names", tmp_path / "bad", doses={"noise": "", "imbalance": "0.5"}, explain=True)
    with pytest.raises(InputError, match="cannot be altered"):
        labels("ner", data / "names", tmp_path / "bad", doses={"noise": "", "imbalance": ""}, augment=True,
               explain=True)  # fmt: skip
    with pytest.raises(InputError, match=r"budget\.tokens"):
        labels("ner", data / "names", tmp_path / "bad", "budget.epochs=null", "budget.tokens=1e5", explain=True)
    assert shares("", "--noise") == ()


def _drawn(errors: list[float], noise: float, seed: int) -> Drawn:
    value = 1 - np.array(errors)
    drawn = value + np.random.default_rng(seed).normal(0, noise, (400, len(value)))
    return Drawn(value, drawn, drawn.std(axis=0))


def test_the_slice_whose_error_falls_fastest_is_first_where_noise_allows_it() -> None:
    sizes, own = np.array([100, 200, 400.0]), np.arange(100) < 50
    found = [Slice("label", "steep", own, 60), Slice("label", "flat", ~own, 40)]
    for noise, clear in ((0.002, True), (0.2, False)):
        measured = [_drawn([0.4, 0.2, 0.1], noise, 0), _drawn([0.1, 0.1, 0.1], noise, 1)]
        first, last = slicing.ranked(found, measured, sizes, 3, 0.95, SHARE)
        assert (first.name, last.name) == ("steep", "flat")
        assert first.slope == pytest.approx(-1)
        assert first.gain == pytest.approx(0.5 * 0.1 * 0.5)  # half of the items, whose error would halve
        assert last.gain == pytest.approx(0, abs=1e-9)
        assert first.per_thousand == pytest.approx(1000 * first.gain / 60)
        assert first.clear is clear
        assert last.clear is None
