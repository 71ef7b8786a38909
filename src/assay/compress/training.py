"""A compressed model trained on: a student under its teacher, a pruned model at its task. The training is that of
`assay finetune` or `assay train`, in the folder of the result.

    OUT/start    the model that is begun with: some of the teacher's layers, or what pruning has left
    OUT/run      the training, which a rerun goes on with
    OUT/model    its best weights, measured and judged against the model that all began with; compress.json and card
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.compress import cutting, verb, writing
from assay.compress.request import RESULT, Request
from assay.errors import InputError
from assay.export import judging
from assay.export.judging import between
from assay.export.source import Source, weights_of
from assay.finetune import answers, tuning
from assay.finetune.request import MODEL
from assay.finetune.request import Request as Finetuning
from assay.generation.opened import model_folder
from assay.models import quantized
from assay.present.progress import Progress
from assay.pretrain import neural
from assay.pretrain.request import Request as Pretraining
from assay.recipe.finetune import FinetuneRecipe
from assay.recipe.pretrain import PretrainRecipe
from assay.store import answered, disk_errors, fingerprint, staged, write_json_atomic

START, RUN = "start", "run"
Recipe = FinetuneRecipe | PretrainRecipe


@dataclass(frozen=True)
class Training:
    """What a compressed model is trained on.

    Attributes:
        recipe: without `model.path`, which is what is begun with.
        command: as typed.
    """

    recipe: Recipe
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Student:
    """A distillation.

    Attributes:
        layers: of the teacher's layers so many, evenly spaced, or these; None: the student is given.
        given: a model directory to begin with.
        request: `model` is the teacher; `way` and `calibration` say nothing.
    """

    request: Request
    training: Training
    layers: int | tuple[int, ...] | None
    given: Path | None


def distill(asked: Student, *, quiet: bool = False) -> dict[str, Any]:
    """Train a student under its teacher, or finish what was begun.

    Returns:
        the answer of `--json`; `found`: it was there already.

    Raises:
        InputError: a student that does not fit its teacher, or bad input of the training.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    request, source = asked.request, Source.load(asked.request.model)
    given = None if asked.given is None else model_folder(asked.given)

    def start(folder: Path) -> dict[str, Any]:
        assert asked.layers is not None
        quantized.refuse(source.model, source.folder)
        stacks = cutting.sides(source.model)
        kept = {side: spaced(len(own), asked.layers) for side, own in stacks.items()}
        writing.write(source, cutting.with_layers(source.model, kept), folder)
        return {"layers": next(iter(kept.values()))}

    told = {"layers": asked.layers, "student": None if given is None else weights_of(given)}
    identity = fingerprint([weights_of(source.folder), source.stated, told, asked.training.recipe.identity()])
    return _trained(request, asked.training, source, identity, "distill", None if given else start, given,
                    quiet=quiet)  # fmt: skip


def spaced(there: int, asked: int | tuple[int, ...]) -> list[int]:
    """The numbers of layers that a student begins with: the last one, and others at equal distances before it.

    Raises:
        InputError: there are no such layers.
    """
    kept = [round((i + 1) * there / asked) - 1 for i in range(asked)] if isinstance(asked, int) else list(asked)
    if not kept or len(kept) > there or not all(0 <= i < there for i in kept):
        raise InputError(
            f"the teacher has {there} layers, 0 to {there - 1}", where="--layers",
            remedy=f"give a number of them, 1 to {there}, or which: 0,{there - 1}",
        )  # fmt: skip
    return kept


def retrain(request: Request, training: Training, *, quiet: bool = False) -> dict[str, Any]:
    """Prune a model and train what is left; otherwise as `distill`."""
    source = Source.load(request.model)
    quantized.refuse(source.model, source.folder)

    def start(folder: Path) -> dict[str, Any]:
        with Progress(request.language, quiet=quiet) as progress:
            return verb.made(request, source, folder, progress)

    identity = fingerprint([request.identity(source), training.recipe.identity()])
    return _trained(request, training, source, identity, "prune", start, None, quiet=quiet)


def _trained(
    request: Request,
    training: Training,
    source: Source,
    identity: str,
    what: str,
    start: Callable[[Path], dict[str, Any]] | None,
    given: Path | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    out, final = request.out, request.out / MODEL
    if (found := answered(final, RESULT, identity)) is not None:
        return {**found, "out": str(out), "found": True}
    with _no_trace(out):
        with Progress(request.language, quiet=quiet) as progress:
            held = None if request.data is None else judging.read(source, request.data, progress)
        told = _begun(out, start, identity)
        _train(training, given or out / START, out / RUN, source, request.language, quiet=quiet)
        with Progress(request.language, quiet=quiet) as progress, staged(final) as folder:
            shutil.copytree(out / RUN / MODEL, folder, dirs_exist_ok=True)
            unchanged = Source.load(source.folder)  # pruning has used up the other one
            student = Source.load(folder)
            body = {
                "what": what, "how": {}, "calibration": None, **told, "kind": source.kind,
                "task": None if source.task is None else source.task.name, "model": str(request.model),
                "source": weights_of(source.folder), "begun": str(given or START),
                "training": asdict(training) | {"recipe": training.recipe.model_dump(mode="json")},
                "parameters": {
                    "before": unchanged.model.n_parameters()[1], "after": student.model.n_parameters()[1],
                    "before_inside": unchanged.model.n_parameters()[0],
                    "after_inside": student.model.n_parameters()[0],
                },
                "request": identity,
            }  # fmt: skip
            scores = _on_held_out(unchanged, out / RUN, progress) if request.data is None else None
            answer = verb.finished(body, unchanged, folder, request, progress, held, scores)
    return {**answer, "out": str(out), "found": False}


def _begun(out: Path, start: Callable[[Path], dict[str, Any]] | None, identity: str) -> dict[str, Any]:
    """Make what is begun with, once; returns what there is to say of it."""
    if start is None:
        return {}
    place = out / START
    if (found := answered(place, RESULT, identity)) is not None:
        return dict(found["told"])
    with disk_errors(place), staged(place) as folder:
        told = start(folder)
        write_json_atomic(folder / RESULT, {"request": identity, "told": told})
    return told


def _train(training: Training, start: Path, out: Path, source: Source, language: str, *, quiet: bool) -> None:
    command = list(training.command)
    recipe = training.recipe
    if isinstance(recipe, FinetuneRecipe):
        assert source.task is not None
        model = recipe.model.model_copy(update={"path": str(start), "keep_head": start.name == START})
        recipe = recipe.model_copy(update={"model": model})
        tuning.run(Finetuning(source.task.name, recipe, out, language, command), quiet=quiet)
        return
    on_text = recipe.model_copy(update={"model": recipe.model.model_copy(update={"path": str(start)})})
    neural.run(Pretraining(on_text, out, language, command), quiet=quiet)


def _on_held_out(source: Source, run: Path, progress: Progress) -> dict[str, Any] | None:
    """Scores of the first model and the trained one on the examples that the training kept for the end."""
    if source.opened is None:
        return None
    whole = answers.read_whole(run)
    task = source.opened.task
    progress.stage("answer", len(whole.examples))
    mine = task.measure(whole.examples, source.opened.answers(whole.examples))
    theirs = task.measure(whole.examples, whole.answers)
    groups = answers.groups_of(whole.examples)
    return {"part": whole.file.name.split(".")[1], **between(theirs, mine, groups, task.best, list(task.shown), 0.95)}


@contextlib.contextmanager
def _no_trace(out: Path) -> Iterator[None]:
    """After bad input: what was made for nothing is removed again."""
    new = not out.exists()
    try:
        yield
    except InputError:
        if new:
            shutil.rmtree(out, ignore_errors=True)
        raise
