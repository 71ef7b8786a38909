"""Predictions: fitted on eval text, written to disk, and only then tested by runs on test text.

A prediction is a change against a reference run, fitted on the eval split. Its level is anchored on the reference
run's loss on the test split, the only thing that is read from there before the prediction stands. So what is tested
is the change, on documents that no fit has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from assay.impact import design, mixtures
from assay.impact.claims import Prediction, claimed
from assay.impact.design import Cell
from assay.impact.doses import between
from assay.impact.laws.size import SizeLaw, fit_size_law
from assay.impact.measure import MEAN, Difference, Measurements
from assay.impact.mixtures import MixtureModel
from assay.impact.plan import Plan
from assay.store import write_json_atomic

Predict = Callable[[float], tuple[float, float, float]]
"""The interval of a change at some level: value, low, high."""
BANDS = (0.5, 0.8, 0.9)
"""Levels that every prediction is registered at besides its own, for calibration over many studies."""


class Registered(BaseModel):
    """One prediction as it was written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell: str
    target: str = MEAN  # the source whose text it is about; MEAN: the mean over all
    tokens: int
    reference_tokens: int
    anchor: float  # bpb of the reference run on test text, mean over seeds
    change: tuple[float, float, float]  # value, low, high
    level: float
    bands: tuple[tuple[float, float, float], ...] = ()  # of the change: level, low, high, for each of BANDS
    registered_at: str

    @property
    def kind(self) -> Literal["size", "mixture", "dose"]:
        """What it is about."""
        if self.cell == design.LARGER:
            return "size"
        return "mixture" if self.cell.startswith(design.HELD_OUT_MIX) else "dose"

    @property
    def claim(self) -> str:
        """The id of the claim that it becomes."""
        about: str = self.kind
        if self.kind == "mixture":
            about = self.cell.replace(design.HELD_OUT_MIX, "mixture")
        elif self.kind == "dose":
            about = f"dose:{self.cell}"
        return claimed(f"prediction:{about}", self.target)

    def prediction(self) -> Prediction:
        value, low, high = (self.anchor + x for x in self.change)
        return Prediction(value=value, interval=(low, high))


def size_law(plan: Plan, measured: Measurements, target: int = 0) -> SizeLaw:
    """The law of one target (0: the mean over sources), on the trunk's branches."""
    sizes = np.array([steps * plan.step_tokens for steps in plan.branch_steps])
    losses = np.stack([measured.bpb(design.NATURAL, int(size))[:, target] for size in sizes], axis=1)
    return fit_size_law(sizes.astype(float), losses)


def slopes(plan: Plan, measured: Measurements) -> np.ndarray:
    """(targets,) change in loss for an e-fold of data, on the upper half of the trunk's branches; sources only."""
    sizes = [steps * plan.step_tokens for steps in plan.branch_steps[len(plan.branch_steps) // 2 :]]
    losses = np.stack([measured.bpb(design.NATURAL, size).mean(axis=0)[1:] for size in sizes])
    return np.asarray(np.polyfit(np.log(sizes), losses, 1)[0])


def mixture_model(plan: Plan, measured: Measurements) -> MixtureModel:
    """The mixture model of all measured sources, on the fitted mixtures."""
    sources = sorted(plan.natural)
    cells = [cell for cell in plan.cell_list() if cell.axis == "distribution" and cell.fitted]
    run_tokens = plan.run_steps * plan.step_tokens
    effects = measured.differences([c.name for c in cells], design.NATURAL, run_tokens)
    found = [effects[cell.name][1:] for cell in cells]
    return mixtures.fit(
        shares=np.array([[cell.weights[s] for s in sources] for cell in cells]),
        changes=np.array([[effect.estimate for effect in row] for row in found]),
        variances=np.array([[effect.se_seeds**2 for effect in row] for row in found]),
        natural=np.array([plan.natural[s] for s in sources]),
        slopes=slopes(plan, measured),
        df=found[0][0].df_seeds,
    )


def register(path: Path, plan: Plan, measured: Measurements, anchors: Measurements, level: float) -> list[Registered]:
    """Fit, predict, and write the predictions to `path` before any run that tests them: of every held-out run one for
    each source's text and one for their mean.

    Args:
        measured: eval losses of the fitted runs.
        anchors: test losses of the reference runs.
    """
    registered, at = [], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    cells = {cell.name: cell for cell in plan.cell_list()}
    model = mixture_model(plan, measured) if any(_is_mixture(cells.get(name)) for name in plan.predictions) else None
    run_tokens = plan.run_steps * plan.step_tokens
    for name in plan.predictions:
        for target, of in enumerate(measured.targets):
            tokens, reference = run_tokens, run_tokens
            predict: Predict
            if name == design.LARGER:
                tokens, reference = plan.held_out_steps * plan.step_tokens, plan.branch_steps[-1] * plan.step_tokens
                predict = _larger(plan, measured, target)
            elif model is not None and _is_mixture(cells[name]):
                predict = _mixture(cells[name], plan, measured, model, target)
            else:
                predict = _dose(cells[name], plan, measured, target)
            anchor = float(anchors.bpb(design.NATURAL, reference, "test")[:, target].mean())
            registered.append(
                Registered(
                    cell=name,
                    target=of,
                    tokens=tokens,
                    reference_tokens=reference,
                    anchor=anchor,
                    change=predict(level),
                    bands=tuple((one, *predict(one)[1:]) for one in BANDS),
                    level=level,
                    registered_at=at,
                )
            )
    write_json_atomic(path, [entry.model_dump(mode="json") for entry in registered])
    return registered


def _is_mixture(cell: Cell | None) -> bool:
    return cell is not None and cell.axis == "distribution"


def _larger(plan: Plan, measured: Measurements, target: int) -> Predict:
    sizes = [steps * plan.step_tokens for steps in plan.branch_steps]
    reference = sizes[-1]
    half = min(sizes, key=lambda size: abs(size - reference / 2))
    # What the choice of documents does to such a change, seen on eval text, holds for test text alike; the change was
    # fitted on one set and is tested on the other.
    documents, _ = measured.document_variance((design.NATURAL, reference), (design.NATURAL, half))
    # The seeds of the run that tests the law are noisy, too: as much as those of a doubling that was seen.
    seeds = measured.along_trunk(design.NATURAL, [half, reference])[target].se_seeds ** 2
    tokens = plan.held_out_steps * plan.step_tokens
    law, others = size_law(plan, measured, target), float(2 * documents[target] + seeds)
    return lambda level: law.change(tokens, reference, level, others)


def _mixture(cell: Cell, plan: Plan, measured: Measurements, model: MixtureModel, target: int) -> Predict:
    fitted = [c.name for c in plan.cell_list() if c.axis == "distribution" and c.fitted]
    shares = np.array([cell.weights[s] for s in sorted(plan.natural)])
    others, own = other_variance(fitted, plan, measured, target), None if target == 0 else target - 1
    return lambda level: model.predict(shares, level, others, own)


def _dose(cell: Cell, plan: Plan, measured: Measurements, target: int) -> Predict:
    """The effect at a held-out dose, from those of the same defect that were measured."""
    planted = [c for c in plan.cell_list() if c.is_dose and c.fitted]
    own = sorted((c for c in planted if c.defect == cell.defect), key=lambda c: c.dose)
    every = [c.name for c in planted]
    effects = measured.differences(every, design.NATURAL, plan.run_steps * plan.step_tokens)
    found = [effects[c.name][target] for c in own]
    others = other_variance([c.name for c in own], plan, measured, target)
    doses = [c.dose for c in own]
    return lambda level: between(doses, found, cell.dose, level, others)


def other_variance(cells: list[str], plan: Plan, measured: Measurements, target: int) -> float:
    """What the seeds of a new run and the choice of other documents add: as much as they did to these cells. The
    change was fitted on one set of documents and is tested on another."""
    run_tokens = plan.run_steps * plan.step_tokens
    effects = measured.differences(cells, design.NATURAL, run_tokens)
    seeds = np.mean([effects[name][target].se_seeds ** 2 for name in cells])
    documents = [
        measured.document_variance((name, run_tokens), (design.NATURAL, run_tokens))[0][target] for name in cells
    ]
    return float(seeds + 2 * np.mean(documents))


def outcome(entry: Registered, tested: Measurements) -> tuple[float, Difference]:
    """What the test runs measured on test text: bpb (mean over seeds), and the change against the reference."""
    cell = design.NATURAL if entry.cell == design.LARGER else entry.cell
    here, there = (cell, entry.tokens), (design.NATURAL, entry.reference_tokens)
    losses, target = tested.bpb(*here, "test"), tested.targets.index(entry.target)
    change = losses - tested.bpb(*there, "test")
    return float(losses[:, target].mean()), tested.between(change, here, there, "test")[target]


def load(content: list[dict[str, Any]]) -> list[Registered]:
    """Predictions as `register` wrote them."""
    return [Registered.model_validate(entry) for entry in content]
