"""Predictions: fitted on eval text, written to disk, and only then tested by runs on test text.

A prediction is a change against a reference run, fitted on the eval split. Its level is anchored on the reference
run's loss on the test split, the only thing that is read from there before the prediction stands. So what is tested
is the change, on documents that no fit has seen.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from assay.impact import design, mixtures
from assay.impact.claims import Prediction
from assay.impact.laws.size import SizeLaw, fit_size_law
from assay.impact.measure import Difference, Measurements
from assay.impact.mixtures import MixtureModel
from assay.impact.plan import Plan
from assay.store import write_json_atomic


class Registered(BaseModel):
    """One prediction as it was written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell: str
    tokens: int
    reference_tokens: int
    anchor: float  # bpb of the reference run on test text, mean over seeds
    change: tuple[float, float, float]  # value, low, high
    level: float
    registered_at: str

    def prediction(self) -> Prediction:
        value, low, high = (self.anchor + x for x in self.change)
        return Prediction(value=value, interval=(low, high))


def size_law(plan: Plan, measured: Measurements) -> SizeLaw:
    """The law of the mean over sources, on the trunk's branches."""
    sizes = np.array([steps * plan.step_tokens for steps in plan.branch_steps])
    losses = np.stack([measured.bpb(design.NATURAL, int(size))[:, 0] for size in sizes], axis=1)
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
    """Fit, predict, and write the predictions to `path` before any run that tests them.

    Args:
        measured: eval losses of the fitted runs.
        anchors: test losses of the reference runs.
    """
    law = size_law(plan, measured)
    registered = []
    for cell in plan.predictions:
        if cell == design.LARGER:
            registered.append(_larger(plan, measured, anchors, law, level))
        else:
            registered.append(_mixture(cell, plan, measured, anchors, level))
    write_json_atomic(path, [entry.model_dump(mode="json") for entry in registered])
    return registered


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _larger(plan: Plan, measured: Measurements, anchors: Measurements, law: SizeLaw, level: float) -> Registered:
    tokens = plan.held_out_steps * plan.step_tokens
    sizes = [steps * plan.step_tokens for steps in plan.branch_steps]
    reference = sizes[-1]
    half = min(sizes, key=lambda size: abs(size - reference / 2))
    # What the choice of documents does to such a change, seen on eval text, holds for test text alike; the change was
    # fitted on one set and is tested on the other.
    documents, _ = measured.document_variance((design.NATURAL, reference), (design.NATURAL, half))
    # The seeds of the run that tests the law are noisy, too: as much as those of a doubling that was seen.
    seeds = measured.along_trunk(design.NATURAL, [half, reference])[0].se_seeds ** 2
    return Registered(
        cell=design.LARGER,
        tokens=tokens,
        reference_tokens=reference,
        anchor=float(anchors.bpb(design.NATURAL, reference, "test")[:, 0].mean()),
        change=law.change(tokens, reference, level, float(2 * documents[0] + seeds)),
        level=level,
        registered_at=_now(),
    )


def _mixture(name: str, plan: Plan, measured: Measurements, anchors: Measurements, level: float) -> Registered:
    run_tokens = plan.run_steps * plan.step_tokens
    model = mixture_model(plan, measured)
    cell = next(cell for cell in plan.cell_list() if cell.name == name)
    fitted = [c.name for c in plan.cell_list() if c.axis == "distribution" and c.fitted]
    seeds = np.mean([measured.differences(fitted, design.NATURAL, run_tokens)[c][0].se_seeds ** 2 for c in fitted])
    documents = 2 * np.mean(
        [measured.document_variance((c, run_tokens), (design.NATURAL, run_tokens))[0][0] for c in fitted]
    )
    shares = np.array([cell.weights[s] for s in sorted(plan.natural)])
    return Registered(
        cell=name,
        tokens=run_tokens,
        reference_tokens=run_tokens,
        anchor=float(anchors.bpb(design.NATURAL, run_tokens, "test")[:, 0].mean()),
        change=model.predict(shares, level, float(seeds + documents)),
        level=level,
        registered_at=_now(),
    )


def outcome(entry: Registered, tested: Measurements) -> tuple[float, Difference]:
    """What the test runs measured on test text: bpb (mean over seeds), and the change against the reference."""
    cell = design.NATURAL if entry.cell == design.LARGER else entry.cell
    here, there = (cell, entry.tokens), (design.NATURAL, entry.reference_tokens)
    losses = tested.bpb(*here, "test")
    change = losses - tested.bpb(*there, "test")
    return float(losses[:, 0].mean()), tested.between(change, here, there, "test")[0]


def load(content: list[dict[str, Any]]) -> list[Registered]:
    """Predictions as `register` wrote them."""
    return [Registered.model_validate(entry) for entry in content]
