"""`assay mixture fit`: the answer and its promises, bad input in one line each, through the real command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.errors import InputError
from assay.fits import mixtures
from assay.fits.told_mixtures import told

SOURCES = ["web", "书", "code"]
TARGETS = ["prose", "代码"]
RATES = np.array([[-1.5, 0.3, 0.5], [0.4, 0.2, -2.0]]).T
Rows = list[list[Any]]


def tables(runs: int = 40, seed: int = 0, first: int = 0) -> tuple[Rows, Rows]:
    """A mixing law with a little noise, with lines of names."""
    rng = np.random.default_rng(seed)
    x = rng.dirichlet(np.ones(3), runs).round(3)
    y = (1 + np.exp(x @ RATES)) * np.exp(0.01 * rng.standard_normal((runs, 2)))
    keys = [f"run-{first + i}" for i in range(runs)]
    return (
        [["index", *SOURCES], *([key, *row] for key, row in zip(keys, x.tolist(), strict=True))],
        [["index", *TARGETS], *([key, *row] for key, row in zip(keys, y.tolist(), strict=True))],
    )


def written(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def request(folder: Path, x: Rows, y: Rows, **options: Any) -> mixtures.Request:
    return mixtures.Request(written(folder / "x.csv", x), written(folder / "y.csv", y), **options)


def line(folder: Path, x: Rows, y: Rows, **options: Any) -> str:
    """The error."""
    with pytest.raises(InputError) as error:
        mixtures.fit(request(folder, x, y, **options))
    return error.value.line()


def test_the_answer(tmp_path: Path) -> None:
    x, y = tables()
    x2, y2 = tables(20, seed=1, first=100)
    test = written(tmp_path / "x2.csv", x2), written(tmp_path / "y2.csv", y2)
    found = mixtures.fit(request(tmp_path, x, y, test=test)).answer
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found["targets"]) == TARGETS
    for target in found["targets"].values():
        assert (target["n_train"], target["n_test"], target["judged_by"]) == (40, 20, "test")
        for name in ("spearman", "pearson", "mae"):
            low, high = target[name]["interval"]
            assert low <= target[name]["value"] <= high
        assert target["spearman"]["value"] > 0.9
        assert 0 < target["cross_validated_rmse"] < 0.1
    best = found["optimum"]
    assert best["target"] == "mean"
    assert sum(best["mixture"].values()) == pytest.approx(1)
    assert best["interval"][0] < best["predicted"] < best["interval"][1]
    assert best["regret_vs_natural"]["verdict"] in ("better", "worse", "indistinguishable from natural")
    assert best["regret_vs_uniform"]["verdict"] in ("better", "worse", "indistinguishable from uniform")
    means = {row[0]: sum(row[1:]) / 2 for row in y[1:] + y2[1:]}
    assert found["best_measured"]["loss"] == pytest.approx(min(means.values()))
    assert means[found["best_measured"]["key"]] == min(means.values())
    assert all(set(point) == {"weights", "mixture", "predicted"} for point in found["pareto"])
    assert found["warnings"] == []


def test_a_source_that_one_target_wants_is_found(tmp_path: Path) -> None:
    """The target's loss is least where the mixture is all code, as far as three runs went; so it is better."""
    found = mixtures.fit(request(tmp_path, *tables(), target="代码", kl=0.0)).answer
    best = found["optimum"]
    assert best["mixture"]["code"] == pytest.approx(found["caps"]["code"], abs=0.01)
    assert best["regret_vs_natural"]["verdict"] == "better"
    assert "pareto" not in found
    capped = mixtures.fit(request(tmp_path, *tables(), target="代码", kl=0.0, caps=("code=0.3",))).answer["optimum"]
    assert capped["mixture"]["code"] == pytest.approx(0.3, abs=1e-6)
    assert capped["predicted"] > best["predicted"]


def test_divergence_draws_towards_the_natural_mixture(tmp_path: Path) -> None:
    natural = written(tmp_path / "n.csv", [["code", "web", "书"], [0.1, 0.3, 0.6]])
    found = mixtures.fit(request(tmp_path, *tables(), natural=str(natural), kl=100.0)).answer
    assert found["natural"]["mixture"] == pytest.approx({"web": 0.3, "书": 0.6, "code": 0.1})
    named = written(tmp_path / "k.csv", [["index", "code", "web", "书"], ["now", 0.1, 0.3, 0.6]])
    assert (
        mixtures.fit(request(tmp_path, *tables(), natural=str(named), kl=100.0)).answer["natural"]["mixture"]
        == found["natural"]["mixture"]
    )
    assert found["optimum"]["mixture"] == pytest.approx({"web": 0.3, "书": 0.6, "code": 0.1}, abs=0.01)


def test_orders_of_rows_and_columns_and_per_cent_change_nothing(tmp_path: Path) -> None:
    x, y = tables()
    found = mixtures.fit(request(tmp_path, x, y)).answer
    turned = [[row[0], *(v if isinstance(v, str) else 100 * v for v in (row[3], row[1], row[2]))] for row in x]
    again = mixtures.fit(request(tmp_path, turned, [y[0], *y[:0:-1]])).answer
    for target, figures in found["targets"].items():
        assert again["targets"][target]["model"] == figures["model"]
        assert again["targets"][target]["cross_validated_rmse"] == pytest.approx(figures["cross_validated_rmse"], 1e-4)
    assert again["optimum"]["mixture"] == pytest.approx(found["optimum"]["mixture"], abs=1e-3)
    assert any("per cent" in warning["en"] for warning in again["warnings"])


def test_the_test_tables_choose_nothing(tmp_path: Path) -> None:
    x, y = tables()
    x2, y2 = tables(20, seed=1, first=100)
    wrong = [y2[0], *([row[0], 9 - row[1], 9 - row[2]] for row in y2[1:])]
    test = written(tmp_path / "x2.csv", x2), written(tmp_path / "y2.csv", wrong)
    found, told_wrong = (mixtures.fit(request(tmp_path, x, y, test=each)).answer for each in (None, test))
    assert told_wrong["optimum"] == found["optimum"]
    assert told_wrong["model"] == found["model"]
    assert all(target["spearman"]["value"] < -0.9 for target in told_wrong["targets"].values())


def test_what_weakens_the_answer_is_said(tmp_path: Path) -> None:
    x, y = tables(8)
    noise = np.random.default_rng(0).uniform(1, 2, 8).tolist()
    y = [[*y[0], "noise"], *([*row, value] for row, value in zip(y[1:], noise, strict=True))]
    natural = written(tmp_path / "n.csv", [SOURCES, [0.01, 0.01, 0.98]])
    warnings = mixtures.fit(request(tmp_path, x, y, natural=str(natural))).answer["warnings"]
    for words in ("cross-validation", "8 training mixtures for 3 sources", "loss noise is ranked poorly", "natural"):
        assert any(words in warning["en"] for warning in warnings), words
    assert all(warning["zh"] for warning in warnings)


def replaced(rows: Rows, row: int, column: int, value: Any) -> Rows:
    return [[value if (i, j) == (row, column) else v for j, v in enumerate(each)] for i, each in enumerate(rows)]


def without(rows: Rows, column: int) -> Rows:
    return [[*row[:column], *row[column + 1 :]] for row in rows]


X, Y = tables()


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (replaced(X, 3, 1, -0.1), Y, "x.csv:4: column 'web' holds -0.1, and no share is negative"),
        (replaced(X, 3, 1, 0.9), Y, "x.csv:4: shares sum to"),
        (replaced(X, 3, 1, ""), Y, "x.csv:4: column 'web' is empty"),
        (X, replaced(Y, 5, 2, "nan"), "y.csv:6: column '代码' holds 'nan', not a positive number"),
        (X, replaced(Y, 5, 2, -1), "y.csv:6: column '代码' holds '-1', not a positive number"),
        (X, [Y[0], *([row[0], 2.0, row[2]] for row in Y[1:])], "y.csv: column 'prose' is the same in every row"),
        ([X[0], *([row[0], 0.5, 0.25, 0.25] for row in X[1:])], Y, "x.csv: column 'web' is the same in every row"),
        (X, Y[:-2], "y.csv: index 'run-38', 'run-39' of"),
        (X[:-1], Y, "x.csv: index 'run-39' of"),
        (replaced(X, 4, 0, "run-0"), Y, "x.csv:5: index 'run-0' stands in line 2 already"),
        (replaced(X, 4, 0, ""), Y, "x.csv:5: column 'index' is empty"),
        (X, replaced(Y, 0, 0, "id"), "y.csv: its first column is 'id', that of the mixtures 'index'"),
        (X[:8], Y[:8], "x.csv: 7 runs are too few for 3 sources"),
        (X[:1], Y, "x.csv: has no rows"),
        ([], Y, "x.csv: cannot be read as a CSV"),
        ([[row[0]] for row in X], Y, "x.csv: has no column but 'index'"),
    ],
)  # fmt: skip
def test_bad_tables_are_told_in_one_line(tmp_path: Path, x: Rows, y: Rows, says: str) -> None:
    assert says in line(tmp_path, x, y)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": "prosa"}, "there is no target 'prosa' -> did you mean prose?"),
        ({"caps": ("wob=0.1",)}, "there is no source 'wob' -> did you mean web?"),
        ({"caps": ("web=2",)}, "is no SOURCE=SHARE"),
        ({"caps": ("web",)}, "is no SOURCE=SHARE"),
        ({"caps": ("web=0.2", "书=0.2", "code=0.2")}, "the caps sum to 0.6, below 1"),
        ({"key": "id"}, "there is no column 'id'"),
        ({"natural": "nowhere.csv"}, "nowhere.csv: there is no such file"),
    ],
)
def test_bad_options_are_told_in_one_line(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    assert says in line(tmp_path, X, Y, **options)


def test_test_tables_and_the_natural_mixture_have_the_same_columns(tmp_path: Path) -> None:
    x2, y2 = tables(20, seed=1)
    for odd, y, says in (
        (without(x2, 3), y2, "column 'code' of the training mixtures is missing"),
        (x2, without(y2, 1), "column 'prose' of the training losses is missing"),
        (x2[:5], y2[:5], "4 runs are too few to test on"),
    ):
        x = [odd[0], *([row[0], *(v / sum(row[1:]) for v in row[1:])] for row in odd[1:])]
        test = written(tmp_path / "x2.csv", x), written(tmp_path / "y2.csv", y)
        assert says in line(tmp_path, X, Y, test=test)
    two = written(tmp_path / "n.csv", [SOURCES, [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    assert "has 2 rows, not one" in line(tmp_path, X, Y, natural=str(two))
    less = written(tmp_path / "n.csv", [SOURCES[:2], [0.4, 0.6]])
    assert "column 'code' of the training mixtures is missing" in line(tmp_path, X, Y, natural=str(less))


def test_both_languages_say_the_same_figures(tmp_path: Path) -> None:
    found = mixtures.fit(request(tmp_path, X, Y, target="prose,代码")).answer
    english, chinese = (told(found, language) for language in ("en", "zh"))
    assert len(english) == len(chinese)
    assert any("Gain over the natural mixture" in said for said in english)
    assert any("相对自然配比的收益" in said for said in chinese)


# Through the command


def assay(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "assay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_command_answers_with_one_object_and_in_words(tmp_path: Path) -> None:
    asked = request(tmp_path, X, Y)
    options = ["--mixtures", asked.mixtures, "--losses", asked.losses, "--target", "prose"]
    done = assay("mixture", "fit", *options, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["optimum"]["target"] == "prose"
    assert done.stderr == ""
    done = assay("mixture", "fit", *options, "--lang", "zh")
    assert done.returncode == 0, done.stderr
    assert "最优" in done.stdout


def test_the_command_tells_errors_in_one_line(tmp_path: Path) -> None:
    asked = request(tmp_path, X, Y)
    for options, says in (
        (["--mixtures", "none.csv", "--losses", asked.losses], "none.csv: there is no such file"),
        (["--mixtures", asked.mixtures, "--losses", asked.losses, "--test-losses", asked.losses], "given alone"),
        (["--mixtures", asked.mixtures], "losses"),
    ):
        done = assay("mixture", "fit", *options)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert says in done.stderr
