"""`assay law fit`: a table of runs -> a law, how far it can be trusted, what follows from it.

    CSV, or folders of studies -> rows; held out (a condition), left out (the worst, or beyond the usual)
    rows that are fitted       -> law, bootstrap, past forecasts        (impact.laws)
    rows that are held out     -> predicted before they are looked at, with intervals; how often these held
    questions                  -> predictions, the best N and D for a budget, how much more data, the next run

With a group column all of it once a group.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from assay import __version__
from assay.errors import InputError
from assay.fits import views
from assay.impact import studied, table
from assay.impact.laws import forecast, powers, uses
from assay.impact.laws.powers import FORMS, Fit, Form, Runs
from assay.present.numbers import compact
from assay.present.words import Both, both
from assay.report import law as report
from assay.store import file_digest, fingerprint, write_atomic, write_json_atomic
from assay.workspace import Workspace

_VANISHED = 0.01  # of the loss: a floor below it is none
_MUCH_BETTER = 0.8  # of the past error of the form that was asked for


@dataclass(frozen=True)
class Request:
    """What `assay law fit` is asked.

    Attributes:
        tables: one CSV, or folders of studies.
        n, d, loss, unique, cluster, group: names of columns; for folders of studies they are known.
        holdout: a condition on rows that are predicted, not fitted.
        leave_out: how many runs of the highest loss are left out; None: those beyond the usual (`powers.OUTLIER`).
        tied: whether alpha = beta.  floor: E, where it is known.
        predictions: runs to predict, such as N=7e9,D=1.4e12.
        target, at: a loss, and the parameters of the model that is to reach it.
        flops: a budget of training FLOPs.
    """

    tables: list[Path]
    n: str | None = None
    d: str | None = None
    loss: str | None = None
    unique: str | None = None
    cluster: str | None = None
    group: str | None = None
    holdout: str | None = None
    leave_out: int | None = None
    tied: bool = False
    floor: float | None = None
    predictions: Sequence[str] = ()
    target: float | None = None
    at: float | None = None
    flops: float | None = None
    level: float = 0.9
    draws: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Fitted:
    """One group: its law, the answer, and what a page draws of it (`views.view`)."""

    made: Fit
    answer: dict[str, Any] = field(repr=False)
    view: dict[str, Any] = field(repr=False)


def run(request: Request) -> dict[str, Any]:
    """Fit, and answer all questions.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input, in one line.
    """
    return answered(request, groups(request))


def groups(request: Request) -> dict[str, Fitted]:
    """The fit of every group; of all rows under "" where no column groups them.

    Raises: as `run`.
    """
    _asked_well(request)
    rows, request, where = _rows(request)
    held_out = np.zeros(rows.height, dtype=bool)
    if request.holdout is not None:
        held_out = table.truth(rows, request.holdout, "--holdout")
        if not held_out.any():
            remedy = "widen the condition, or leave it out"
            raise InputError("holds for no row", where=f"--holdout {request.holdout}", remedy=remedy)
    _can_be_told(request, _form(request))  # before time is spent
    runs = _runs(rows, request, where)
    if request.group is None:
        return {"": _fitted(runs, held_out, np.arange(len(runs)), request, where)}
    named = [value or "" for value in table.text(rows, request.group, where)]
    found = {}
    for name in dict.fromkeys(named):
        own = np.flatnonzero([value == name for value in named])
        place = Path(f"{where}, {request.group} {name}")
        found[name] = _fitted(runs.at(own), held_out[own], own, request, place)
    return found


def written(request: Request, out: Path, command: str, language: str) -> dict[str, Any]:
    """Fit, answer, and write `law.json` and `law.html` (with what the page draws) into a folder.

    Raises:
        InputError: as `run`; or the folder holds something else.
    """
    space, asked = Workspace(out, "law"), _fingerprint(request)
    with space.enter({"fingerprint": asked}, command):
        found = groups(request)
        answer = answered(request, found)
        drawn = {name: {**one.answer, "view": one.view} for name, one in found.items()}
        whole = {**answer, "groups": drawn} if request.group is not None else {**answer, **drawn[""]}
        write_json_atomic(out / "law.json", whole)
        title = ", ".join(path.resolve().name for path in request.tables)
        page = out / report.PAGE
        write_atomic(page, report.render(whole, title, command, language))
        space.settle(table=asked)
    return {**answer, "out": str(out), "page": str(page)}


def answered(request: Request, found: Mapping[str, Fitted]) -> dict[str, Any]:
    """The answer of `--json`."""
    tail = {"assay_version": __version__, "fingerprint": _fingerprint(request)}
    if request.group is None:
        return {**found[""].answer, **tail}
    return {"groups": {name: one.answer for name, one in found.items()}, "level": request.level, **tail}


def _fingerprint(request: Request) -> str:
    """Of the runs and of what is asked of them."""
    content = [file_digest(path) if path.is_file() else studied.fingerprint_of(path) for path in request.tables]
    return fingerprint([content, asdict(replace(request, tables=[]))])


# Reading


def _asked_well(request: Request) -> None:
    for option, value, well in (
        ("--level", request.level, 0.5 <= request.level < 1),
        ("--draws", request.draws, request.draws >= 100),
        ("--leave-out-worst", request.leave_out, request.leave_out is None or request.leave_out >= 0),
        ("--floor", request.floor, request.floor is None or request.floor >= 0),
        ("--target", request.target, request.target is None or request.target > 0),
        ("--at", request.at, request.at is None or request.at > 0),
        ("--flops", request.flops, request.flops is None or request.flops > 0),
    ):
        if not well or (value is not None and not np.isfinite(value)):
            raise InputError(f"{value} is out of range", where=option, remedy="see assay law fit --help")


def _rows(request: Request) -> tuple[pl.DataFrame, Request, Path]:
    """The table, the request with the columns that are meant, and where it is, for errors."""
    studies = [path for path in request.tables if path.is_dir()]
    if studies and len(studies) == len(request.tables):
        rows = studied.runs(studies)
        several = rows["N"].n_unique() > 1  # of one size of model, the law is of tokens alone
        named = replace(
            request, n=request.n or ("N" if several else None), d=request.d or "D", loss=request.loss or studied.LOSS,
            cluster=request.cluster or "trunk",
        )  # fmt: skip
        return rows, named, studies[0]
    if len(request.tables) != 1:
        raise InputError(
            "is one of several tables", where=request.tables[0], remedy="give one CSV, or folders of studies"
        )
    path = request.tables[0]
    if request.loss is None or (request.n is None and request.d is None):
        remedy = "give --loss COLUMN, and --n or --d COLUMN or both"
        raise InputError("its columns are not named", where=path, remedy=remedy)
    return table.read(path), request, path


def _runs(rows: pl.DataFrame, request: Request, where: Path) -> Runs:
    def column(name: str | None) -> powers.F64:
        return np.ones(rows.height) if name is None else table.numbers(rows, name, where, positive=True)

    assert request.loss is not None
    cluster = np.arange(rows.height)
    if request.cluster is not None:
        named = table.text(rows, request.cluster, where)
        cluster = np.unique([value or f"\0{i}" for i, value in enumerate(named)], return_inverse=True)[1]
    unique = None if request.unique is None else column(request.unique)
    return Runs(column(request.n), column(request.d), column(request.loss), cluster, unique)


def _form(request: Request) -> Form:
    """The law that the named columns ask for."""
    name = "nd" if request.n and request.d else "d" if request.d else "n"
    if request.unique:
        if not request.d:
            raise InputError("is of no use without --d", where="--unique", remedy="give --d COLUMN, too")
        name += "u"
    if request.tied:
        if not (request.n and request.d):
            raise InputError("needs --n and --d", where="--tied", remedy="give both columns, or leave it out")
        name += "-tied"
    form = FORMS[name]
    return form if request.floor is None else form.with_floor(request.floor)


# One group


def _fitted(
    runs: Runs, held_out: npt.NDArray[np.bool_], places: npt.NDArray[np.int64], request: Request, where: Path
) -> Fitted:
    form, left = _form(request), np.zeros(len(runs), dtype=bool)
    if request.leave_out:
        seen = np.flatnonzero(~held_out)
        left[seen[np.argsort(-runs.loss[seen], kind="stable")[: request.leave_out]]] = True
    own = np.flatnonzero(~held_out & ~left)
    fitted = runs.at(own)
    _suffices(fitted, form, where)
    if request.floor is not None and request.floor >= (least := float(fitted.loss.min())):
        what = f"is no floor: a run has a loss of {least:g}"
        raise InputError(what, where=f"--floor {request.floor:g}", remedy="give a lower one, or none")
    outliers = request.leave_out is None
    made = powers.fit(fitted, form, draws=request.draws, outliers=outliers, seed=request.seed)
    past = forecast.past_forecasts(fitted, form, outliers=outliers, seed=request.seed)
    forms = _forms(fitted, form, past, outliers, request.seed)
    left_out = [_left(runs, places, i, form, "worst", None) for i in np.flatnonzero(left)]
    left_out += [
        _left(runs, places, own[i], form, "residual", float(made.residuals[i] / made.scale))
        for i in np.flatnonzero(~made.kept)
    ]
    answer: dict[str, Any] = {
        "model": form.formula,
        "form": form.name,
        "n_points": int(made.kept.sum()),
        "left_out": left_out,
        **_parameters(made, request.level),
        "level": request.level,
        "noise": made.noise,
        **_held_out(made, past, runs, np.flatnonzero(held_out), places, request.level),
        "past_forecasts": {
            "n": len(past.error), "cuts": len(np.unique(past.cut)), "mean_abs_relative_error": past.mean_error,
            "misfit": past.misfit(request.level),
        },
        "forms": forms,
        **_asked(made, past, request),
    }  # fmt: skip
    answer["warnings"] = [dict(one) for one in _warnings(made, past, forms, answer)]
    return Fitted(made, answer, views.view(made, past, runs.at(held_out), request.level))


def _suffices(runs: Runs, form: Form, where: Path) -> None:
    least, wanted = len(form.free) + 2, []
    if form.has("A") and (sizes := len(np.unique(runs.n))) < 2:
        wanted.append(f"2 sizes of model at least, and there is {sizes}")
    if form.has("B") and (sizes := len(np.unique(runs.d))) < 3:
        wanted.append(f"3 sizes of data at least, and there are {sizes}")
    if len(runs) < least:
        wanted.append(f"{least} runs at least, and there are {len(runs)}")
    if wanted:
        raise InputError(
            f"the law {form.formula} needs {wanted[0]}", where=where,
            remedy="add runs, or ask for a simpler law (--d alone, --tied, --floor)",
        )  # fmt: skip


def _left(
    runs: Runs, places: npt.NDArray[np.int64], i: Any, form: Form, why: str, deviations: float | None
) -> dict[str, Any]:
    return {"row": int(places[i]) + 1, **_run(runs, i, form), "why": why, "deviations": deviations}


def _run(runs: Runs, i: Any, form: Form) -> dict[str, float | None]:
    """One run; None where its table has no such column."""
    n, d = float(runs.n[i]) if form.has("A") else None, float(runs.d[i]) if form.has("B") else None
    return {"N": n, "D": d, "loss": float(runs.loss[i])}


def _parameters(made: Fit, level: float) -> dict[str, Any]:
    values, draws = made.centre.parameters, made.draws.parameters
    ends = [0.5 - level / 2, 0.5 + level / 2]
    return {
        "parameters": {name: float(value[0]) for name, value in values.items()},
        "standard_errors": {name: float(found.std()) for name, found in draws.items()},
        "intervals": {name: np.quantile(found, ends).tolist() for name, found in draws.items()},
    }


def _held_out(
    made: Fit,
    past: forecast.Past,
    runs: Runs,
    chosen: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    level: float,
) -> dict[str, Any]:
    """Every row that was held out, and how often intervals held."""
    if not len(chosen):
        return {"holdout": [], "coverage": None, "mean_abs_relative_error": None}
    later = runs.at(chosen)
    found = forecast.forecast(made, past, later, level)
    rows = [
        {
            "row": int(places[i]) + 1, **_run(later, k, made.centre.form),
            "predicted": float(found.value[k]), "interval": [float(found.low[k]), float(found.high[k])],
        }
        for k, i in enumerate(chosen)
    ]  # fmt: skip

    def held(low: powers.F64, high: powers.F64) -> tuple[float, float]:
        inside = (later.loss >= low) & (later.loss <= high)
        return float(inside.mean()), float(((high - low) / found.value).mean())

    coverage, width = held(found.low, found.high)
    plain_coverage, plain_width = held(found.plain_low, found.plain_high)
    return {
        "holdout": rows,
        "coverage": coverage,
        "mean_relative_width": width,
        "uncalibrated": {"coverage": plain_coverage, "mean_relative_width": plain_width},
        "mean_abs_relative_error": float(np.abs(found.value / later.loss - 1).mean()),
    }


def _forms(runs: Runs, form: Form, past: forecast.Past, outliers: bool, seed: int) -> list[dict[str, Any]]:
    """The form that was asked for and its alternatives, by their past forecasts."""
    other = [FORMS[name] for name in _ALTERNATIVES.get(form.name, ()) if form.fixed_floor is None]
    found = [forecast.Judged(form, past.mean_error), *forecast.judged(runs, other, outliers=outliers, seed=seed)]
    return [{"form": one.form.name, "model": one.form.formula, "past_error": one.mean_error} for one in found]


_ALTERNATIVES = {
    "nd": ("nd-tied", "d"),
    "nd-tied": ("nd",),
    "ndu": ("ndu-tied", "nd"),
    "ndu-tied": ("ndu",),
    "du": ("d",),
}


# Questions


def _can_be_told(request: Request, form: Form) -> None:
    """See that a law of this form can answer what is asked.

    Raises:
        InputError: it lacks a term that a question is about.
    """
    for text in request.predictions:
        _prediction(text, form)
    if request.target is not None and not form.has("B"):
        raise InputError("asks for tokens, and the law has none", where="--target", remedy="give --d COLUMN")
    if request.flops is not None and (not (form.has("A") and form.has("B")) or form.has("R_D")):
        remedy = "give --n and --d, without --unique"
        raise InputError("needs a law of parameters and tokens", where="--flops", remedy=remedy)


def _asked(made: Fit, past: forecast.Past, request: Request) -> dict[str, Any]:
    form, level = made.centre.form, request.level
    answers: dict[str, Any] = {}
    if request.predictions:
        wanted = [_prediction(text, form) for text in request.predictions]
        found = [forecast.forecast(made, past, uses.one(*one), level) for one in wanted]
        answers["predictions"] = [
            {
                "N": n if form.has("A") else None, "D": d if form.has("B") else None, "U": unique,
                "predicted": float(one.value[0]), "interval": [float(one.low[0]), float(one.high[0])],
                "beyond": float(one.beyond[0]),
            }
            for (n, d, unique), one in zip(wanted, found, strict=True)
        ]  # fmt: skip
        answers["next_run"] = asdict(uses.next_run(made, uses.one(*wanted[0])))
    if request.target is not None:
        at = request.at or float(made.runs.n.max())
        answers["more_data"] = asdict(uses.tokens_for(made, past, request.target, at, level, seed=request.seed))
    if request.flops is not None:
        answers["optimum"] = asdict(uses.optimum(made, past, request.flops, level))
    return answers


def _prediction(text: str, form: Form) -> tuple[float, float, float | None]:
    """N, D and U of `N=7e9,D=1.4e12`.

    Raises:
        InputError: it is not written so, or lacks one that the law has.
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([NDU])\s*=\s*([0-9.eE+]+)\s*", part)
        try:
            values[match.group(1) if match else ""] = float(match.group(2)) if match else 0.0
        except ValueError:
            values[""] = 0.0
    needed = [name for name, term in (("N", "A"), ("D", "B")) if form.has(term)]
    usable = all(np.isfinite(value) and value > 0 for value in values.values())
    if "" in values or not usable or not set(needed) <= set(values):
        what = "is no run that this law can predict"
        raise InputError(what, where=f"--predict {text}", remedy=f"write it as {','.join(f'{n}=1e9' for n in needed)}")
    unique = values.get("U", values["D"]) if form.has("R_D") else None
    return values.get("N", 1.0), values.get("D", 1.0), unique


# Warnings


def _warnings(made: Fit, past: forecast.Past, forms: list[dict[str, Any]], answer: Mapping[str, Any]) -> list[Both]:
    found: list[Both] = []
    if not len(past.error):
        found.append(both("lawfit.warning.no_past", n=forecast.LEAST_RUNS * len(made.centre.form.free)))
    own, *others = forms
    better = [one for one in others if one["past_error"] is not None and own["past_error"] is not None]
    if better and better[0]["past_error"] < _MUCH_BETTER * own["past_error"]:
        a, b = (f"{100 * one['past_error']:.2g}" for one in (own, better[0]))
        found.append(both("lawfit.warning.better_form", model=better[0]["model"], a=a, b=b))
    if made.centre.form.has("E") and made.centre.form.fixed_floor is None:
        usual = float(np.median(made.runs.loss))
        vanished = float((made.draws.parameters["E"] < _VANISHED * usual).mean())
        if vanished > 0.05:
            found.append(both("lawfit.warning.no_floor", share=f"{100 * vanished:.0f}"))
    beyond = [one["beyond"] for one in answer.get("predictions", [])]
    beyond += [answer[key]["beyond"] for key in ("optimum", "more_data") if answer.get(key, {}).get("beyond")]
    if beyond and max(beyond) > forecast.FAR:
        found.append(both("lawfit.warning.far", times=compact(max(beyond)), far=f"{forecast.FAR:g}"))
    return found
