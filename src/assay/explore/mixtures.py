"""The mixture model of a study, fitted again from its ledger: what another mixture would do to each source's text.

    plan.json, ledger, evaluation sets -> measurements -> the study's own model (`impact.mixtures`)
    shares -> loss of every source's text and of their mean, each with its interval

It is the model that the study's predictions were registered with, and its intervals are made alike: for what a new run
with another seed would measure on other documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from assay.errors import InputError
from assay.explore.catalog import Entry
from assay.impact import design, predictions
from assay.impact.measure import Measurements
from assay.impact.mixtures import MixtureModel
from assay.impact.plan import Plan
from assay.ledger import JOB, Ledger
from assay.store import Artifact, Store

_EVALUATION = {"eval": "eval text", "test": "test text"}


@dataclass(frozen=True)
class Fitted:
    """A study's mixture model with what it is read by.

    Attributes:
        sources: of the mixture, in its order.
        targets: whose loss is predicted: "" is the mean over all.
        baseline: (targets,) bits per byte of the corpus as it is.
        noise: (targets,) variance that a new run adds.
        least, most: (sources,) shares that were trained.
    """

    model: MixtureModel
    sources: list[str]
    targets: list[str]
    baseline: np.ndarray
    noise: list[float]
    least: np.ndarray
    most: np.ndarray
    level: float

    def told(self) -> dict[str, Any]:
        """What sliders need to know."""
        return {
            "sources": self.sources, "targets": self.targets, "level": self.level,
            "natural": dict(zip(self.sources, self.model.natural.tolist(), strict=True)),
            "baseline": dict(zip(self.targets, self.baseline.tolist(), strict=True)),
            "trained": {
                name: [low, high]
                for name, low, high in zip(self.sources, self.least.tolist(), self.most.tolist(), strict=True)
            },
        }  # fmt: skip

    def predicted(self, shares: Mapping[str, float]) -> dict[str, Any]:
        """The loss under a mixture; shares are taken in proportion.

        Raises:
            InputError: a source is not the study's, a share is below 0, or all are 0.
        """
        if unknown := sorted(shares.keys() - set(self.sources)):
            what = "is no source of the study"
            raise InputError(what, where=unknown[0][:60], remedy=f"its sources: {', '.join(self.sources)}"[:300])
        x = np.array([float(shares.get(name, 0.0)) for name in self.sources])
        if not np.isfinite(x).all() or (x < 0).any() or x.sum() <= 0:
            raise InputError("is no mixture", where="shares", remedy="give shares from 0 on, one of them above")
        x = x / x.sum()
        rows = []
        for i, target in enumerate(self.targets):
            change = self.model.predict(x, self.level, self.noise[i], None if i == 0 else i - 1)
            natural = float(self.baseline[i])
            loss = [natural + value for value in change]
            rows.append({"target": target, "natural": natural, "change": list(change), "loss": loss})
        slack = 1e-6
        beyond = (x > self.most + slack) | (x < self.least - slack)
        far = [name for name, outside in zip(self.sources, beyond, strict=True) if outside]
        return {"shares": dict(zip(self.sources, x.tolist(), strict=True)), "rows": rows, "beyond": far}


def fitted(entry: Entry) -> Fitted:
    """Fit the mixture model of a finished study.

    Raises:
        InputError: the study varied no mixture, is not done, or lacks a file.
    """
    try:
        plan = Plan.model_validate(entry.json("plan.json"))
    except ValidationError as error:
        raise InputError("is of another version", where="plan.json", remedy="run the study again") from error
    cells = [cell for cell in plan.cell_list() if cell.axis == "distribution" and cell.fitted]
    if not cells:
        what = "varied no mixture: the axis distribution was left out, or it has one source"
        raise InputError(what, where=entry.name, remedy="run a study with several sources")
    fingerprints = entry.json("results.json")["fingerprints"]
    store = Store(entry.path / "artifacts")
    evaluation = {split: _documents(store, fingerprints[name]) for split, name in _EVALUATION.items()}
    measured = Measurements(Ledger(store), _parts(store, plan), evaluation, ("eval",))
    # Seeds of a second pass have no trunk, and not every mixture.
    measured = measured.of(measured.common((design.NATURAL, plan.branch_steps[-1] * plan.step_tokens)))
    run_tokens = plan.run_steps * plan.step_tokens
    names = [cell.name for cell in cells]
    model = predictions.mixture_model(plan, measured)
    sources = sorted(plan.natural)
    shares = np.array([[cell.weights[source] for source in sources] for cell in cells] + [model.natural.tolist()])
    noise = [predictions.other_variance(names, plan, measured, target) for target in range(len(measured.targets))]
    return Fitted(
        model, sources, measured.targets, measured.bpb(design.NATURAL, run_tokens).mean(axis=0), noise,
        shares.min(axis=0), shares.max(axis=0), _level(entry),
    )  # fmt: skip


def _level(entry: Entry) -> float:
    return float(entry.json("results.json")["level"])


def _documents(store: Store, address: str) -> pl.DataFrame:
    path = store.root / "evalset" / str(address)[:20] / "documents.parquet"
    if not path.is_file():
        raise InputError("is not there", where="artifacts/evalset", remedy="run the study again")
    return pl.read_parquet(path, glob=False)


def _parts(store: Store, plan: Plan) -> list[Artifact]:
    parts = store.all(JOB)
    if not parts:
        what = "the ledger is of another version, or empty"
        raise InputError(what, where="artifacts/ledger", remedy="run the study again")
    return parts
