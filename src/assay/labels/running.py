"""The runs of a plan, one after another, each an ordinary one of `finetune`.

DIR/plan.json                    what is run
DIR/data/CELL.SEED.jsonl.zst     its training rows; dev.jsonl.zst, test.jsonl.zst: the same for all
DIR/data/CELL.SEED.changed.jsonl which of them were changed, and how
DIR/predictions.json             the score at the largest size, before it is trained
DIR/runs/CELL/SEED               the run. Weights stay where all examples are clean; of others the answers do
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from assay.errors import InputError
from assay.finetune import tuning
from assay.finetune.request import MODEL, RESULT
from assay.finetune.request import Request as Tuned
from assay.labels.plan import Cell, Materials, Plan, planted, recipe_of, train_file
from assay.labels.request import Request
from assay.present.progress import Progress
from assay.store import canonical_json, write_atomic, write_json_atomic
from assay.tasks.reading.rows import Row

PLAN, PREDICTIONS, DATA, RUNS = "plan.json", "predictions.json", "data", "runs"


@dataclass(frozen=True)
class Place:
    """A folder of `assay labels`."""

    root: Path

    def run(self, cell: Cell, seed: int) -> Path:
        return self.root / RUNS / cell.name / str(seed)

    def result(self, cell: Cell, seed: int) -> dict[str, Any] | None:
        """Of a run that is done."""
        path = self.run(cell, seed) / RESULT
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def registered(self) -> list[dict[str, Any]]:
        path = self.root / PREDICTIONS
        if not path.exists():
            return []
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def register(self, prediction: dict[str, Any]) -> None:
        """Write a prediction down, once."""
        known = self.registered()
        if all(one["id"] != prediction["id"] for one in known):
            at = datetime.now(UTC).isoformat(timespec="seconds")
            write_json_atomic(self.root / PREDICTIONS, [*known, {**prediction, "registered_at": at}])


def run(
    request: Request,
    held: Materials,
    made: Plan,
    progress: Progress,
    predict: Callable[[], dict[str, Any]],
    first: Callable[[Cell, int], None],
) -> None:
    """All runs that are not done yet.

    Args:
        predict: asked once all sizes but the largest are done, unless one of the largest is, too.
        first: called with a run that is done, once.

    Raises:
        InputError: bad input of a run; where it was the first one, nothing is left behind.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    place = Place(request.out)
    write_json_atomic(request.out / PLAN, {**made.as_json(), "runs": _planned(request, held, made)})
    total = len(made.seeds) * sum(cell.steps for cell in made.cells)
    progress.stage("label_runs", total)
    try:
        for name, rows in held.held.items():
            _write(request.out / DATA / f"{name}.jsonl.zst", rows)
        for cell in made.cells:
            if cell == made.clean and all(place.result(cell, seed) is None for seed in made.seeds):
                place.register(predict())
            for seed in made.seeds:
                done = place.result(cell, seed) is not None
                if not done:
                    whole = cell == made.clean and seed == made.seeds[0]
                    _one(request, held, cell, seed, place, notices=whole)
                if cell == made.cells[0] and seed == made.seeds[0]:
                    first(cell, seed)
                if cell != made.clean:
                    _forget_weights(place.run(cell, seed))
                progress.advance(cell.steps, found=done, note=f"{cell.name}, {seed}")
    except InputError:
        if not any((request.out / RUNS).glob(f"*/*/{RESULT}")):
            for name in (DATA, RUNS):
                shutil.rmtree(request.out / name, ignore_errors=True)
            (request.out / PLAN).unlink(missing_ok=True)
        raise


def _planned(request: Request, held: Materials, made: Plan) -> list[dict[str, Any]]:
    """Every run: its cell, its seed, and what its recipe says that is not the default."""
    folder = request.out.resolve() / DATA
    return [
        {
            "cell": cell.name, "seed": seed,
            "recipe": recipe_of(request, cell, seed, folder, held).model_dump(mode="json", exclude_defaults=True),
        }
        for cell in made.cells
        for seed in made.seeds
    ]  # fmt: skip


def _one(request: Request, held: Materials, cell: Cell, seed: int, place: Place, *, notices: bool) -> None:
    folder = request.out.resolve() / DATA  # a run that was cut off goes on from any folder
    made = planted(cell, held.training[seed])
    _write(train_file(folder, cell, seed), made.rows)
    if made.notes:
        lines = "".join(canonical_json(note) + "\n" for note in made.notes)
        write_atomic(folder / f"{cell.name}.{seed}.changed.jsonl", lines)
    recipe = recipe_of(request, cell, seed, folder, held)
    out = place.run(cell, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    recipe = recipe.model_copy(update={"title": recipe.title or f"{cell.name}, {seed}"})
    own = Tuned(request.task, recipe, out, request.language, list(request.command))
    tuning.run(own, quiet=True, notices=notices)


def _forget_weights(folder: Path) -> None:
    """What the answers do not need: weights, checkpoints."""
    for name in (MODEL, "checkpoints", "best"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _write(path: Path, rows: Iterable[Row]) -> None:
    """Rows as JSON lines, packed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row.fields, ensure_ascii=False, default=str) + "\n" for row in rows)
    write_atomic(path, zstandard.compress(lines.encode()))
