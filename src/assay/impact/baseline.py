"""The baseline that every study shows: an n-gram model of the same text, on the same held-out text.

    rows that a seed's natural run reads -> modified Kneser-Ney -> loss of each held-out document -> `Measurements`

A model of counts needs no training and hardly any time, so whoever reads a loss can ask what it is worth: how far the
neural model is below (or, in a short run, above) what counting short sequences gives. Each seed's n-gram model is
fitted to the text of that seed's own run, at a few sizes; differences are taken seed by seed, like all others.
Rows that stand side by side in the corpus are joined again, and text that a run reads twice counts once. While
evaluating, the n-gram model sees the document before a row's beginning, of which a row has lost sight; it looks back
four tokens only.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from assay.impact import design, jobs
from assay.impact.measure import Measurements, seed_interval
from assay.impact.plan import Plan
from assay.impact.results import Baseline, BaselineRow, Curve, CurvePoint, Effect
from assay.models.ngram import KneserNey
from assay.present.progress import Progress
from assay.recipe.study import TrainRecipe
from assay.store import Artifact, Stage, Store
from assay.tokens.evalset import EvalSet
from assay.tokens.sampler import Sampler, StreamPlan
from assay.tokens.stream import END_OF_TEXT_ID, TokenStream
from assay.train.evaluate import ngram_nll
from assay.train.job import JobInputs

BASELINE = Stage("baseline", 1)
NGRAM = "n-gram"  # its name among the cells
ORDER = 5
MOST_TOKENS = 10_000_000  # of a fit, which then takes about 8 s and 1 GB; longer runs are compared with this much


def sizes(plan: Plan) -> list[int]:
    """Steps of the runs whose text is fitted: the smallest branch, a comparison run, the longest run."""
    longest = plan.held_out_steps if design.LARGER in plan.predictions else plan.branch_steps[-1]
    most = max(1, MOST_TOKENS // plan.step_tokens)
    return sorted({min(steps, most) for steps in (plan.branch_steps[0], plan.run_steps, longest)})


def text_read(train: TokenStream, plan: StreamPlan, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """What a run on clean text reads in its first steps, in the corpus's order.

    Returns:
        (tokens, cuts): token ids, and the places where they do not go on from the one before.
    """
    sampler = Sampler(plan, {"train": train}, n_steps)
    source, row, _ = sampler.slots
    within = np.arange(plan.row_tokens + 1)
    tokens, cuts, n = [], [], 0
    for i, name in enumerate(sampler.sources):
        rows = _distinct(np.sort(row[source == i]))
        places = _distinct((rows[:, None] * plan.row_tokens + within).ravel())  # a row's last token begins the next
        tokens.append(train.shards[name][places])
        cuts.append(n + np.flatnonzero(np.diff(places, prepend=-2) > 1))
        n += len(places)
    return np.concatenate(tokens), np.concatenate(cuts)


def _distinct(numbers: np.ndarray) -> np.ndarray:
    """Rising numbers of at least 0, each once; np.unique would hash them, which takes many times as long."""
    return numbers[np.diff(numbers, prepend=-1) > 0]


def losses(
    store: Store, plan: Plan, recipe: TrainRecipe, inputs: JobInputs, vocabulary: int, progress: Progress
) -> list[Artifact]:
    """One artifact a seed, found or made: `nll.npy`, (sizes, documents) nats of the eval text."""
    steps = sizes(plan)
    progress.stage("baseline", len(plan.seeds) * len(steps))
    trained_on, evaluated = inputs.streams["train"], inputs.evaluation["eval"]
    parts = []
    for job in jobs.trunks(plan, recipe, vocabulary):

        def make(folder: Path, reads: StreamPlan = job.stream) -> dict[str, Any]:
            train, data = TokenStream.open(trained_on), EvalSet.open(evaluated)
            found = []
            for n in steps:
                model = KneserNey(vocabulary, ORDER, END_OF_TEXT_ID).fit(*text_read(train, reads, n))
                found.append(ngram_nll(model, data))
                progress.advance(1)
            np.save(folder / "nll.npy", np.stack(found), allow_pickle=False)
            return {"documents": len(data.documents)}

        config = {"order": ORDER, "vocabulary": vocabulary, "steps": steps, "reads": asdict(job.stream)}
        addresses = {"train": trained_on.fingerprint, "eval": evaluated.fingerprint}
        parts.append(store.build(BASELINE, addresses, config, make))
    return parts


def add_to(measured: Measurements, plan: Plan, parts: list[Artifact]) -> None:
    """Put the n-gram models beside the runs, as a cell of that name."""
    for seed, part in zip(plan.seeds, parts, strict=True):
        for steps, nll in zip(sizes(plan), np.load(part.file("nll.npy"), allow_pickle=False), strict=True):
            measured.add(NGRAM, steps * plan.step_tokens, seed, "eval", nll)


def view(measured: Measurements, plan: Plan, level: float) -> Baseline:
    """The n-gram's losses, and the comparison runs' (on undamaged text of the natural mixture) against it."""
    tokens = [steps * plan.step_tokens for steps in sizes(plan)]
    run = plan.run_steps * plan.step_tokens
    own = max(size for size in tokens if size <= run)
    neural, counting = (design.NATURAL, run), (NGRAM, own)
    model_bpb = measured.bpb(*neural)
    changes = measured.between(model_bpb - measured.bpb(*counting), neural, counting, "eval")
    levels = measured.levels(*counting)
    rows = [
        BaselineRow(
            target=target,
            bpb=of.estimate,
            interval=of.interval(level),
            model_bpb=float(model_bpb[:, i].mean()),
            difference=Effect(
                estimate=change.estimate, interval=change.interval(level), p_value=change.p_value, supported=None
            ),
        )
        for i, (target, of, change) in enumerate(zip(measured.targets, levels, changes, strict=True))
    ]
    return Baseline(order=ORDER, tokens=own, curves=_curves(measured, tokens, level), rows=rows)


def _curves(measured: Measurements, tokens: list[int], level: float) -> list[Curve]:
    points: list[list[CurvePoint]] = [[] for _ in measured.targets]
    for size in tokens:
        for own, found in zip(points, measured.bpb(NGRAM, size).T, strict=True):
            mean, interval = seed_interval(found, level)
            own.append(CurvePoint(tokens=size, bpb=mean, interval=interval, held_out=False))
    return [Curve(target=target, points=own) for target, own in zip(measured.targets, points, strict=True)]
