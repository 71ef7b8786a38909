"""`assay labels`, whole: read, plan, run, judge, write.

DIR/results.json    all numbers
DIR/claims.json     what follows, one sentence each with its interval
DIR/labels.html     both, on a page in English and Chinese
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.labels import answered, curve
from assay.labels import plan as planning
from assay.labels import running
from assay.labels.plan import Cell, Materials, Plan
from assay.labels.request import LEVEL, Request
from assay.labels.running import Place
from assay.present.progress import Progress
from assay.train.process import keep_freed_memory
from assay.workspace import Workspace

PREDICTED = "prediction:larger"


def run(request: Request, *, quiet: bool = False) -> dict[str, Any]:
    """All of it, or what is left of a work that was begun.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input; earlier results are intact.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    space, progress = Workspace(request.out, "labels"), Progress(request.language, quiet=quiet)
    with space.at_work(request.identity(), " ".join(request.command), progress):
        keep_freed_memory()
        progress.stage("examples")
        held = planning.materials(request)
        made = planning.plan(request, held)
        space.settle(examples=held.fingerprint)
        running.run(request, held, made, progress, lambda: _predicted(request, held, made))
        progress.stage("label_answers")
        return {}


def _predicted(request: Request, held: Materials, made: Plan) -> dict[str, Any]:
    """What the law of all sizes but the largest says of that one."""
    cells = made.curve[:-1]
    found = answered.judged(held, cells, made.seeds, Place(request.out))
    law = _law(found, cells)
    value, low, high = curve.predicted(law, made.sizes[-1], LEVEL)
    best = found.kind.high
    return {
        "id": PREDICTED, "cell": made.clean.name, "score": held.task.best, "value": best - value,
        "interval": [best - high, best - low], "level": LEVEL, "from": [cell.name for cell in cells],
    }  # fmt: skip


def _law(found: answered.Judged, cells: Sequence[Cell], items: float = 0.0) -> curve.Curve:
    errors = np.stack([found.errors(cell.name) for cell in cells], axis=1)
    least = found.kind.high / len(found.examples) / 2
    return curve.fitted(np.array([cell.n for cell in cells], dtype=float), errors, items=items, least=least)
