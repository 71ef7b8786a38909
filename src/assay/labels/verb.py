"""`assay labels`, whole: read, plan, run, judge, write.

DIR/results.json    all numbers
DIR/claims.json     what follows, one sentence each with its interval
DIR/labels.html     both, on a page in English and Chinese
"""

from __future__ import annotations

import shlex
from typing import Any

from assay import __version__
from assay.errors import InputError
from assay.labels import answered, results, running, statements
from assay.labels import plan as planning
from assay.labels.plan import Cell, Materials, Plan
from assay.labels.request import Request
from assay.labels.running import Place
from assay.present.progress import Progress
from assay.report import labels as report
from assay.store import fingerprint, write_atomic, write_json_atomic
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
    command = shlex.join(request.command)
    with space.at_work(request.identity(), command, progress):
        keep_freed_memory()
        progress.stage("examples")
        held = planning.materials(request)
        made = planning.plan(request, held)
        space.check(examples=held.fingerprint)
        place = Place(request.out)
        running.run(
            request, held, made, progress, lambda: results.foretold(held, made, place, PREDICTED),
            lambda cell, seed: _first(request, held, cell, seed, space),
        )  # fmt: skip
        progress.stage("label_answers")
        return _written(request, held, made, command)


def _first(request: Request, held: Materials, cell: Cell, seed: int, space: Workspace) -> None:
    """A run is done: from the first one on the folder is this work's; what values the score has is known now.

    Raises:
        InputError: the target is none of them. Runs that are done are found again with another one.
    """
    if not space.settled:
        space.settle(examples=held.fingerprint)
    if request.target is not None and request.target > 1:
        high = answered.judged(held, [cell], [seed], Place(request.out)).kind.high
        if request.target > high:
            raise InputError(
                f"{request.target:g} is no value of {held.task.best}",
                where="--target",
                remedy=f"give one below {high:g}",
            )


def _written(request: Request, held: Materials, made: Plan, command: str) -> dict[str, Any]:
    found = results.results(request, held, made, Place(request.out))
    said = [claim.model_dump(mode="json") for claim in statements.claims(found)]
    whole = {**found, "assay_version": __version__, "fingerprint": fingerprint(found), "command": command}
    write_json_atomic(request.out / "results.json", whole)
    write_json_atomic(request.out / "claims.json", said)
    page = request.out / report.PAGE
    shown = report.Shown(
        [dict(statements.worth_short(found, one)) for one in found["doses"]],
        [dict(statements.slice_name(one)) for one in found["slices"]],
        {one["facet"]: dict(statements.facet(one["facet"])) for one in found["slices"]},
    )  # fmt: skip
    write_atomic(page, report.render(whole, said, shown, request.out.resolve().name, request.language))
    return {"out": str(request.out), "page": str(page), "results": whole, "claims": said,
            "assay_version": __version__, "fingerprint": whole["fingerprint"]}  # fmt: skip


def explain(request: Request) -> tuple[Plan, list[dict[str, Any]]]:
    """What would be run: the plan, and a row a cell.

    Raises:
        InputError: bad data, or a dose that the task cannot have.
    """
    made = planning.plan(request, planning.materials(request))
    place = Place(request.out)
    rows = [
        {"cell": cell.name, "n": cell.n, "changed": cell.changed, "steps": cell.steps, "runs": len(made.seeds),
         "done": sum(place.result(cell, seed) is not None for seed in made.seeds)}
        for cell in made.cells
    ]  # fmt: skip
    return made, rows
