"""`assay law fit` as it is typed: the answer's contract, bad input, groups, studies."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from assay.errors import InputError
from assay.fits import laws, told
from assay.impact import studied
from assay.ledger import JOB, write_tables
from assay.store import Store


def table(folder: Path, noise: float = 0.003, seeds: int = 2, **columns: Any) -> Path:
    rng, rows = np.random.default_rng(0), []
    for n in np.geomspace(1e6, 1e8, 4):
        for d in np.geomspace(1e7, 1e9, 5):
            for seed in range(seeds):
                loss = (1.5 + 30 * n**-0.3 + 60 * d**-0.28) * np.exp(rng.normal(0, noise))
                rows.append({"params": n, "tokens": d, "loss": loss, "seed": seed, **columns})
    path = folder / "runs.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


def request(path: Path, **more: Any) -> laws.Request:
    return laws.Request(**{"tables": [path], "n": "params", "d": "tokens", "loss": "loss", "draws": 100, **more})


def test_the_answer_is_as_agreed(tmp_path: Path) -> None:
    asked = request(
        table(tmp_path), holdout="params * tokens > 1e16", predictions=["N=2e8,D=2e9"], flops=1e18, target=1.9, at=1e8
    )
    found = json.loads(json.dumps(laws.run(asked)))
    assert found["model"] == "E + A N^-alpha + B D^-beta" and found["level"] == 0.9 and found["left_out"] == []
    assert set(found["parameters"]) == set(found["standard_errors"]) == {"E", "A", "B", "alpha", "beta"}
    assert found["parameters"]["E"] == pytest.approx(1.5, abs=0.15)
    assert found["n_points"] + len(found["holdout"]) == 40
    for row in found["holdout"]:
        assert row["N"] * row["D"] > 1e16 and row["interval"][0] < row["predicted"] < row["interval"][1]
    inside = [row["interval"][0] <= row["loss"] <= row["interval"][1] for row in found["holdout"]]
    assert found["coverage"] == pytest.approx(np.mean(inside))
    assert found["mean_relative_width"] >= found["uncalibrated"]["mean_relative_width"]
    assert found["predictions"][0]["beyond"] > 1 and found["optimum"]["n"]["value"] > 0
    assert found["more_data"]["tokens"]["value"] > 0 and found["assay_version"] and len(found["fingerprint"]) == 32
    for language in ("en", "zh"):
        assert any(found["model"] in line for line in told.law(found, language))


def test_the_worst_runs_are_left_out_as_asked_and_diverged_ones_unasked(tmp_path: Path) -> None:
    path = table(tmp_path)
    rows = pl.read_csv(path).with_columns(loss=pl.when(pl.int_range(pl.len()) == 7).then(9.0).otherwise(pl.col("loss")))
    rows.write_csv(path)
    unasked, asked, kept = (laws.run(request(path, leave_out=k)) for k in (None, 2, 0))
    assert [(row["row"], row["why"]) for row in unasked["left_out"]] == [(8, "residual")]
    assert [row["why"] for row in asked["left_out"]] == ["worst", "worst"] and 8 in [
        row["row"] for row in asked["left_out"]
    ]
    assert kept["left_out"] == [] and kept["n_points"] == 40
    assert "8" in "\n".join(told.law(unasked, "zh"))


def test_each_group_has_a_law(tmp_path: Path) -> None:
    both = pl.concat([pl.read_csv(table(tmp_path, language=name)) for name in ("en", "中文")])
    both.write_csv(tmp_path / "both.csv")
    found = laws.run(request(tmp_path / "both.csv", group="language"))
    assert list(found["groups"]) == ["en", "中文"]
    assert found["groups"]["en"]["parameters"] == found["groups"]["中文"]["parameters"]


def test_repetition_is_told(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), []
    for n in (1e7, 1e8):
        for unique in np.geomspace(1e7, 1e9, 4):
            for epochs in (1, 2, 4, 16, 64):
                worth = unique * (1 + 15 * (1 - np.exp(-(epochs - 1) / 15)))
                loss = (1.5 + 30 * n**-0.3 + 200 * worth**-0.32) * np.exp(rng.normal(0, 0.001))
                rows.append({"params": n, "tokens": unique * epochs, "unique": unique, "loss": loss})
    pl.DataFrame(rows).write_csv(tmp_path / "runs.csv")
    found = laws.run(request(tmp_path / "runs.csv", unique="unique"))
    assert found["parameters"]["R_D"] == pytest.approx(15, rel=0.15)
    assert found["intervals"]["R_D"][0] < 15 < found["intervals"]["R_D"][1]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"loss": None}, "its columns are not named"),
        ({"n": None, "d": None}, "its columns are not named"),
        ({"loss": "bits"}, "there is no column 'bits'"),
        ({"holdout": "params >"}, "cannot be read as a condition"),
        ({"holdout": "size > 3"}, "cannot be read as a condition"),
        ({"holdout": "params + 1"}, "is no condition on the rows"),
        ({"holdout": "params > 1e30"}, "holds for no row"),
        ({"holdout": "params > 1e5"}, "needs 2 sizes of model at least, and there is 0"),
        ({"holdout": "params > 2e6"}, "needs 2 sizes of model at least, and there is 1"),
        ({"holdout": "tokens > 4e7"}, "needs 3 sizes of data at least, and there are 2"),
        ({"level": 1.5}, "out of range"),
        ({"flops": -1.0}, "out of range"),
        ({"floor": 9.0}, "is no floor: a run has a loss of 1."),
        ({"predictions": ["N=3"]}, "is no run that this law can predict"),
        ({"predictions": ["N=3,D=many"]}, "is no run that this law can predict"),
        ({"n": None, "flops": 1e20}, "needs a law of parameters and tokens"),
        ({"d": None, "target": 2.0}, "asks for tokens"),
        ({"n": None, "tied": True}, "needs --n and --d"),
        ({"d": None, "unique": "tokens"}, "is of no use without --d"),
    ],
)
def test_what_cannot_be_asked_is_told(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as error:
        laws.run(request(table(tmp_path, seeds=1), **more))
    assert says in error.value.line()


def test_values_that_no_law_takes_are_told_with_their_line(tmp_path: Path) -> None:
    path = table(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[2], "-1.0")
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=r"runs\.csv:6: column 'loss' holds '-1\.0', not a positive number"):
        laws.run(request(path))


def test_far_answers_come_with_a_warning(tmp_path: Path) -> None:
    found = laws.run(request(table(tmp_path), predictions=["N=1e10,D=1e11"]))
    assert any("100 times the largest run" in one["en"] for one in found["warnings"])


# The page


@pytest.mark.parametrize("group", [None, "seed"])
def test_the_page_shows_everything_and_asks_nobody(tmp_path: Path, group: str | None) -> None:
    asked = request(
        table(tmp_path, seeds=3), holdout="params * tokens > 1e16", predictions=["N=1e9,D=1e10"], flops=1e18,
        target=1.2, group=group,
    )  # fmt: skip
    found = laws.written(asked, tmp_path / "out", "assay law fit runs.csv", "zh")
    whole = json.loads((tmp_path / "out" / "law.json").read_text(encoding="utf-8"))
    page = Path(found["page"]).read_text(encoding="utf-8")
    groups = whole["groups"] if group else {"": whole}
    assert "view" not in found and all("view" in one for one in groups.values())
    figures = 3 if group else 4  # a group's runs are too few for past forecasts
    assert page.count("<figure") == figures * len(groups) and "{" not in re.sub(
        r"<(style|script)>.*?</\1>", "", page, flags=re.S
    )
    assert not re.search(r'(src|href)="https?:', page) and '<html lang="zh-CN">' in page
    data = re.search(r'href="data:application/json;base64,([^"]+)"', page)
    assert data and json.loads(base64.b64decode(data[1])) == whole
    for one in groups.values():
        assert len(one["view"]["held_out"]["loss"]) == len(one["holdout"])
        assert all(curve["best_loss"] == min(curve["loss"]) for curve in one["view"]["budgets"])
    with pytest.raises(InputError):
        laws.written(request(asked.tables[0], group=group), tmp_path / "out", "assay law fit", "en")


@pytest.mark.parametrize("columns", [{"d": None}, {"n": None}])
def test_laws_of_one_quantity_have_a_page_too(tmp_path: Path, columns: dict[str, Any]) -> None:
    found = laws.written(request(table(tmp_path), **columns), tmp_path / "out", "assay law fit", "en")
    assert Path(found["page"]).read_text(encoding="utf-8").count("<figure") == 2


# Studies


def study(folder: Path, evaluation: str = "e", sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)) -> Path:
    """A study's ledger of a known law: two sources, three seeds, branches of a trunk each."""
    rng, store = np.random.default_rng(1), Store(folder / "artifacts")
    runs, losses = [], []
    for seed in range(3):
        for d in sizes:
            for cell in ("natural", "noise"):
                run_id = f"{cell}-{seed}-{d}"
                runs.append(
                    {
                        "run_id": run_id, "study": "s", "cell": cell, "seed": seed, "trunk": f"t{seed}", "N": 1000,
                        "D": 1000 * d, "U": 1000 * d, "tokenizer": "t", "evaluation_set": evaluation, "status": "done",
                    }
                )  # fmt: skip
                for source, scale in (("a", 1.0), ("b", 2.0)):
                    bpb = scale * (1 + d**-0.5) * np.exp(rng.normal(0, 0.002))
                    for step, factor in ((d - 1, 3.0), (d, 1.0)):
                        losses.append(
                            {
                                "run_id": run_id, "step": step, "split": "eval", "source": source, "n_tokens": 10,
                                "n_bytes": 40, "nll": factor * bpb * 40 * np.log(2),
                            }
                        )  # fmt: skip

    def make(place: Path) -> None:
        write_tables(place, {"runs": runs, "losses": losses, "document_losses": []})

    store.build(JOB, {"study": "s"}, {}, make)
    return folder


def test_a_study_is_a_table_of_its_natural_runs(tmp_path: Path) -> None:
    rows = studied.runs([study(tmp_path / "one")])
    assert rows.height == 18 and {"bpb", "bpb:a", "bpb:b"} <= set(rows.columns)
    wide = rows.select(pl.col("bpb", "bpb:a", "bpb:b").cast(pl.Float64))
    np.testing.assert_allclose(wide["bpb"], (wide["bpb:a"] + wide["bpb:b"]) / 2)
    found = laws.run(laws.Request(tables=[tmp_path / "one"], draws=100, target=1.6))
    assert found["model"] == "E + B D^-beta" and found["parameters"]["beta"] == pytest.approx(0.5, abs=0.05)
    one = laws.run(laws.Request(tables=[tmp_path / "one"], loss="bpb:b", draws=100))
    assert one["parameters"]["E"] == pytest.approx(2, abs=0.1)


def test_studies_on_other_text_are_not_compared(tmp_path: Path) -> None:
    study(tmp_path / "one"), study(tmp_path / "two", evaluation="other")
    with pytest.raises(InputError, match="another evaluation set"):
        studied.runs([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(InputError, match="holds no finished runs"):
        studied.runs([tmp_path])
