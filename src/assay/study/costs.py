"""What the runs of a study took."""

from __future__ import annotations

import resource
import sys

from assay.impact.results import Cost
from assay.ledger import Ledger
from assay.present.words import Both, both
from assay.store import Artifact
from assay.study.opened import Opened
from assay.train import energy


def cost(study: Opened, parts: list[Artifact], workers: int, dtype: str) -> Cost:
    """Time, tokens, FLOPs, energy and memory of finished runs.

    Args:
        parts: their ledger artifacts.
        workers: processes that did them.
        dtype: of their arithmetic.
    """
    sums = (
        Ledger(study.store)
        .query(
            parts,
            """SELECT count(*) AS runs, sum(computed_tokens)::BIGINT AS tokens,
                  sum(C * computed_tokens / D) AS flops, sum(energy_joules) AS joules,
                  sum(wall_seconds) AS busy FROM runs""",
        )
        .row(0, named=True)
    )
    seconds = study.seconds()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(
        seconds=sum(seconds.values()),
        seconds_by_stage=seconds,
        training_tokens=sums["tokens"],
        flops=sums["flops"],
        energy_joules=sums["joules"],
        energy_how="measured" if energy.measurable(study.chosen.device) else "estimated",
        runs=sums["runs"],
        peak_memory_bytes=(own + workers * child) * unit,
        tokens_per_second=sums["tokens"] / max(1e-9, sums["busy"]) * workers,
        device=_device(study, workers, dtype),
    )


def _device(study: Opened, workers: int, dtype: str) -> Both:
    if study.chosen.stacked:
        return both("fact.stacked", device="CPU" if study.chosen.device == "cpu" else "GPU", dtype=dtype)
    return both("fact.device", n=workers, dtype=dtype)
