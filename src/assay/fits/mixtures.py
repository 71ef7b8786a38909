"""`assay mixture fit`: tables of mixtures and losses -> a surface a target, how well it predicts, the best mixture.

    training tables -> form and penalty of each target, by folds -> surfaces
    test tables     -> how well the surfaces agree with them; read after everything is chosen
    surfaces        -> the optimum of the target, its gain over the natural and the uniform mixture, the trade-off

The surfaces and all that is said of the optimum rest on the training tables alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assay import __version__
from assay.errors import InputError
from assay.fits.mixture_tables import Runs, column, one_mixture, testing, training
from assay.impact.surfaces import blend, ensemble, optimum
from assay.impact.surfaces.choice import Choice, chosen, forms
from assay.impact.table import F64
from assay.machine import one_thread
from assay.metrics.agreement import agreement
from assay.present.numbers import fixed
from assay.present.words import both
from assay.report import mixture as report
from assay.store import file_digest, fingerprint, write_atomic, write_json_atomic
from assay.workspace import Workspace

MEAN, UNIFORM = "mean", "uniform"
_OTHERS = ("natural", UNIFORM)  # what the optimum is compared with
_RANKED = 0.8  # a rank correlation below is warned of
_RUNS_A_SOURCE = 3


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        mixtures, losses: tables to fit.
        test: tables of mixtures and losses to test on.
        target: a column of the losses, several with commas between them, or `mean`.
        natural: a table of one mixture, or `uniform`; None: the mean of the training mixtures.
        key: the column that names runs; None: the first one.
        caps: `SOURCE=SHARE`.
        kl: loss that one nat of distance from the natural mixture counts as.
        level: of the intervals.
    """

    mixtures: Path
    losses: Path
    test: tuple[Path, Path] | None = None
    target: str = MEAN
    natural: str | None = None
    key: str | None = None
    caps: tuple[str, ...] = ()
    kl: float = 0.05
    level: float = 0.9


@dataclass(frozen=True)
class Fitted:
    """The answer of `--json`, and what a page draws besides: of every target the losses that judge it, measured and
    predicted, by run; and the training runs' losses."""

    answer: dict[str, Any]
    view: dict[str, Any]


def fit(request: Request) -> Fitted:
    """Fit, judge, and seek the best mixture.

    Raises:
        InputError: bad input.
    """
    runs = training(request.mixtures, request.losses, request.key)
    tested = None if request.test is None else testing(*request.test, request.key, runs)
    weights = _weights(request.target, runs.targets)
    reference = _natural(request, runs)
    caps = _caps(request.caps, runs, reference > 0 if request.kl else np.ones(len(runs.sources), bool))
    with one_thread():
        choices = chosen(runs.shares, runs.losses, forms(*runs.shares.shape))
        surface = blend.fit(choices, runs.shares, runs.losses)
        judges = runs if tested is None else tested
        predicted = (
            np.stack([choice.out_of_fold for choice in choices], 1)
            if tested is None
            else surface.predict(tested.shares[None])[0]
        )
        targets = {
            name: _target(
                choices[i], runs.losses[:, i], predicted[:, i], None if tested is None else tested.losses[:, i],
                request.level,
            )
            for i, name in enumerate(runs.targets)
        }  # fmt: skip
        own = np.flatnonzero(weights)
        best, trade_off = _optimum(request, runs, [choices[i] for i in own], own, weights[own], reference, caps)
    answer = {
        "model": ", ".join(sorted({choice.form.name for choice in choices})),
        "targets": targets,
        "natural": {"from": request.natural or "mean of the training mixtures", "mixture": _named(runs, reference)},
        "optimum": {"target": request.target, **best},
        **({"pareto": trade_off} if len(own) > 1 else {}),
        "best_measured": _best_measured(runs, tested, weights),
        "warnings": _warnings(runs, tested, targets, reference),
        "kl": request.kl,
        "caps": _named(runs, caps),
        "level": request.level,
        "assay_version": __version__,
        "fingerprint": _fingerprint(request, reference),
    }
    view = {
        "keys": judges.keys,
        "targets": {
            name: {"measured": judges.losses[:, i].tolist(), "predicted": predicted[:, i].tolist()}
            for i, name in enumerate(runs.targets)
        },
        "measured": {name: runs.losses[:, i].tolist() for i, name in enumerate(runs.targets)},
    }
    return Fitted(answer, view)


def written(request: Request, out: Path, command: str, language: str) -> dict[str, Any]:
    """Fit, and write `mixture.json` and `mixture.html` (with what the page draws) into a folder; returns the answer.

    Raises:
        InputError: as `fit`; or the folder holds something else.
    """
    space, asked = Workspace(out, "mixture"), fingerprint(_identity(request))
    with space.enter({"fingerprint": asked}, command):
        found = fit(request)
        whole = {**found.answer, "view": found.view}
        write_json_atomic(out / "mixture.json", whole)
        title = request.losses.name
        page = out / report.PAGE
        write_atomic(page, report.render(whole, title, command, language))
        space.settle(table=asked)
    return {**found.answer, "out": str(out), "page": str(page)}


def _identity(request: Request) -> dict[str, Any]:
    """What the answer depends on."""
    tables = [request.mixtures, request.losses, *(request.test or ())]
    asked = asdict(request) | {"mixtures": None, "losses": None, "test": None}
    return {"tables": [file_digest(path) if path.is_file() else str(path) for path in tables], "asked": asked}


def _fingerprint(request: Request, natural: F64) -> str:
    options = [request.target, request.caps, request.kl, request.level, natural.tolist()]
    tables = [request.mixtures, request.losses, *(request.test or ())]
    return fingerprint({"tables": [file_digest(path) for path in tables], "options": options})


def _weights(asked: str, targets: list[str]) -> F64:
    """(targets,) summing to 1."""
    if asked == MEAN and MEAN not in targets:
        return np.full(len(targets), 1 / len(targets))
    names = [asked] if asked in targets else [name.strip() for name in asked.split(",")]
    weights = np.zeros(len(targets))
    weights[[column(name, targets, f"--target {asked}", "target") for name in names]] = 1
    return weights / weights.sum()


def _natural(request: Request, runs: Runs) -> F64:
    if request.natural is None:
        return np.asarray(runs.shares.mean(0))
    if request.natural == UNIFORM:
        return np.full(len(runs.sources), 1 / len(runs.sources))
    return one_mixture(Path(request.natural), runs.key, runs.sources)


def _caps(asked: Sequence[str], runs: Runs, free: npt.NDArray[np.bool_]) -> F64:
    """(sources,) the lesser of what was asked and what was measured.

    Args:
        free: (sources,) whether the optimum may hold it at all.
    """
    caps = np.ones(len(runs.sources))
    for text in asked:
        name, _, share = text.rpartition("=")
        try:
            cap = float(share)
        except ValueError:
            cap = np.nan
        if not name or not 0 <= cap <= 1:
            raise InputError("is no SOURCE=SHARE", where=f"--cap {text}", remedy="give a share from 0 to 1")
        caps[column(name, runs.sources, f"--cap {text}", "source")] = cap
    where = " ".join(f"--cap {text}" for text in asked) or "--natural"
    if caps.sum() < 1:
        raise InputError(f"the caps sum to {caps.sum():g}, below 1", where=where, remedy="raise one of them")
    caps = np.where(free, np.minimum(caps, optimum.measured_caps(runs.shares)), 0.0)
    if caps.sum() < 1 - 1e-9:
        what = f"with no source above what three runs had of it, the caps sum to {caps.sum():.3g}, below 1"
        more = "" if free.all() else ", or give --kl 0, so that sources may enter that the natural mixture lacks"
        raise InputError(what, where=where, remedy=f"raise a cap, or train mixtures with more of the others{more}")
    return caps


def _target(choice: Choice, losses: F64, predicted: F64, tested: F64 | None, level: float) -> dict[str, Any]:
    """How well a target is predicted.

    Args:
        losses: of the training runs.
        predicted, tested: of the test runs; without these `predicted` is out of fold.
    """
    by_folds = agreement(choice.out_of_fold, losses, level=level)
    found = by_folds if tested is None else agreement(predicted, tested, level=level)
    return {
        "model": choice.form.name,
        "n_train": len(losses),
        "n_test": 0 if tested is None else len(tested),
        "judged_by": "cross-validation" if tested is None else "test",
        **{name: {"value": figure.value, "interval": list(figure.interval)} for name, figure in found.items()},
        "cross_validated_rmse": choice.rmse,
        "cross_validated_spearman": by_folds["spearman"].value,
    }


def _optimum(
    request: Request, runs: Runs, choices: Sequence[Choice], own: np.ndarray, weights: F64, natural: F64, caps: F64
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The optimum, and the trade-off between targets where there are several.

    Args:
        own: which targets count; `choices` and `weights` are theirs.
    """
    losses = runs.losses[:, own]
    even = np.full(len(natural), 1 / len(natural))
    starts = optimum.starts(natural, runs.shares, losses @ weights)
    surface = blend.fit(choices, runs.shares, losses)
    mixture = optimum.best(surface, weights[None], natural, request.kl, caps, starts)[0]
    others = np.stack([natural, even])
    said = ensemble.judged(choices, runs.shares, losses, weights, natural, request.kl, caps, others)
    value, low, high = said.loss(request.level)
    regrets = {f"regret_vs_{name}": _regret(*said.gain(i, request.level), name) for i, name in enumerate(_OTHERS)}
    found = {"mixture": _named(runs, mixture), "predicted": value, "interval": [low, high], **regrets}
    if len(own) == 1:
        return found, []
    points = optimum.trade_off(surface, len(own), natural, request.kl, caps, np.stack([natural, even, mixture])[None])
    names = [runs.targets[i] for i in own]
    return found, [
        {
            "weights": {name: float(weight) for name, weight in zip(names, each, strict=True) if weight},
            "mixture": _named(runs, at),
            "predicted": dict(zip(names, map(float, predicted), strict=True)),
        }
        for each, at, predicted in zip(*points, strict=True)
    ]


def _regret(value: float, low: float, high: float, other: str) -> dict[str, Any]:
    verdict = "better" if low > 0 else "worse" if high < 0 else f"indistinguishable from {other}"
    return {"value": value, "interval": [low, high], "verdict": verdict}


def _named(runs: Runs, shares: F64) -> dict[str, float]:
    return dict(zip(runs.sources, map(float, shares), strict=True))


def _best_measured(runs: Runs, tested: Runs | None, weights: F64) -> dict[str, Any]:
    found = [
        (float(loss), key, split)
        for split, each in (("train", runs), ("test", tested)) if each is not None
        for key, loss in zip(each.keys, each.losses @ weights, strict=True)
    ]  # fmt: skip
    loss, key, split = min(found)
    return {"key": key, "loss": loss, "split": split}


def _warnings(runs: Runs, tested: Runs | None, targets: Mapping[str, Any], natural: F64) -> list[dict[str, str]]:
    """In both languages."""
    found = []
    if runs.percent or (tested is not None and tested.percent):
        found.append(both("mixture_fit.warning.percent"))
    if tested is None:
        found.append(both("mixture_fit.warning.no_test"))
    if len(runs.keys) < _RUNS_A_SOURCE * len(runs.sources):
        found.append(both("mixture_fit.warning.few", runs=len(runs.keys), sources=len(runs.sources)))
    for name, target in targets.items():
        if (rank := target["cross_validated_spearman"]) < _RANKED:
            found.append(both("mixture_fit.warning.rank", target=name, rank=fixed(rank, 2)))
    measured = optimum.measured_caps(runs.shares)
    for what, shares in zip(_OTHERS, (natural, np.full(len(natural), 1 / len(natural))), strict=True):
        if beyond := [name for name, x, cap in zip(runs.sources, shares, measured, strict=True) if x > cap + 1e-6]:
            names = ", ".join(beyond[:3]) + (", ..." if len(beyond) > 3 else "")
            found.append(both("mixture_fit.warning.beyond", mixture=both(f"mixture_fit.{what}"), sources=names))
    return found
