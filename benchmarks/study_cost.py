"""What a size curve costs through branches of one trunk a seed, against independent runs of every size.

    python benchmarks/study_cost.py builtin:python --tokens 6e6 --work FOLDER

Six sizes, three seeds. A study trains the trunks and their branches; then every size is trained from scratch, each run
with an initialisation and an order of its own (branches of a trunk share theirs). Printed: tokens computed by both
ways, and the difference of what the two laws say of the largest size, of twice as much, and of the gain between, each
with a 90 % interval by bootstrap over seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from assay.impact import design, jobs
from assay.impact.findings import measurements
from assay.impact.laws.size import fit_size_law
from assay.impact.plan import WARMUP_STEPS
from assay.recipe.load import load
from assay.recipe.study import StudyRecipe
from assay.study import preparing, streams
from assay.study.opened import opened
from assay.study.request import Request
from assay.train.job import Branch, Job
from common import store_result

SIZES, SEEDS, DRAWS = 6, 3, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--tokens", type=float, default=6e6)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    options = ["design.axes=[size]", f"train.seeds={SEEDS}", f"design.size_branches={SIZES}"]
    recipe = load(StudyRecipe, None, options)[0]
    request = Request([given.source], given.work / "study", recipe, given.tokens, None, "en", ["assay", "study"])
    with opened(request, quiet=False) as work, work.fleet:
        ready = preparing.prepared(work)
        inputs, plan, vocabulary = streams.encoded(work, ready), ready.plan, ready.tokens.encoder.vocabulary
        trunks = jobs.trunks(plan, recipe.train, vocabulary)
        alone = []
        for k, steps in enumerate(plan.branch_steps):
            for trunk in trunks:
                seed = trunk.stream.seed + 7919 * (k + 1)
                spec, stream = replace(trunk.spec, seed=seed), replace(trunk.stream, seed=seed)
                branch = Branch(steps, plan.decay(steps))
                alone.append(Job(f"alone:{steps}", "size", spec, stream, (branch,), WARMUP_STEPS))
        parts = work.fleet.run(inputs, [*trunks, *alone], lambda tokens, found=False: None)
    measured = measurements(work.store, inputs, parts[:SEEDS], "eval")
    sizes = np.array([steps * plan.step_tokens for steps in plan.branch_steps], dtype=float)
    branched = np.stack([measured.bpb(design.NATURAL, int(size))[:, 0] for size in sizes], axis=1)
    independent = np.empty_like(branched)
    for k, steps in enumerate(plan.branch_steps):
        own = measurements(work.store, inputs, parts[SEEDS + k * SEEDS : SEEDS + (k + 1) * SEEDS], "eval")
        independent[:, k] = own.bpb(f"alone:{steps}", int(sizes[k]))[:, 0]
    wanted = np.array([sizes[-1], 2 * sizes[-1]])

    def told(losses: np.ndarray) -> np.ndarray:
        law = fit_size_law(sizes, losses)
        found = np.mean([centre.predict(wanted)[0] for centre in law.centres], axis=0)
        return np.array([found[0], found[1], found[1] - found[0]])

    rng = np.random.default_rng(0)
    centre = told(branched) - told(independent)
    draws = []
    for _ in range(DRAWS):
        together = branched[rng.integers(0, SEEDS, SEEDS)]  # whole trunks
        apart = np.stack([independent[rng.integers(0, SEEDS, SEEDS), k] for k in range(len(sizes))], axis=1)
        draws.append(told(together) - told(apart))
    # The resampled mean of n seeds varies by (n - 1) / n too little.
    low, high = (
        centre + (np.quantile(draws, [0.05, 0.95], axis=0) - np.mean(draws, axis=0)) * (SEEDS / (SEEDS - 1)) ** 0.5
    )
    tokens = [sum(job.tokens for job in group) for group in (trunks, alone)]
    names = ("largest", "twice", "gain of doubling")
    store_result(
        "study_cost",
        {
            "source": given.source, "sizes": sizes.tolist(), "seeds": SEEDS, "tokens_branched": tokens[0],
            "tokens_independent": tokens[1], "saved": 1 - tokens[0] / tokens[1], "level": 0.9,
            "difference": {
                name: {"bpb": float(value), "interval": [float(a), float(b)]}
                for name, value, a, b in zip(names, centre, low, high, strict=True)
            },
            "bpb_branched": branched.mean(axis=0).tolist(), "bpb_independent": independent.mean(axis=0).tolist(),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
