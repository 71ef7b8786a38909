"""Tasks: examples and labels, models that learn them, and how good answers are."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay import __version__
from assay.errors import InputError
from assay.front.printing import explained, printed
from assay.recipe.finetune import FinetuneRecipe
from assay.recipe.load import explain as explain_recipe
from assay.recipe.load import load
from assay.recipe.pretrain import PretrainRecipe
from assay.store import fingerprint

if TYPE_CHECKING:
    from assay.finetune.judging import Asked


def finetune(
    *,
    task: str,
    data: list[str],
    model: str | None,
    out: Path,
    recipe: Path | None,
    overrides: list[str],
    options: dict[str, Any],
    language: str,
    explain: bool,
    as_json: bool,
    seeds: int = 1,
    sweep: Sequence[str] = (),
) -> None:
    """`assay finetune`. `options` are keys of the recipe that have options of their own."""
    given = _given(data, model, options)
    loaded, origins = load(FinetuneRecipe, recipe, overrides, given, {"assay train": PretrainRecipe})
    if explain:
        explained(explain_recipe(loaded, origins), as_json)
        return

    from assay.finetune import sweeping, told, tuning
    from assay.finetune.request import Request
    from assay.tasks.pipeline import task_named

    varied = sweeping.Sweep.of(seeds, sweep)

    request = Request(task_named(task), loaded, out, language, ["assay", *sys.argv[1:]])
    if varied.several:
        answer = sweeping.run(request, varied, overrides, {"recipe": recipe, "options": given}, quiet=as_json)
        lines = told.swept(answer, language)
    else:
        answer = tuning.run(request, quiet=as_json)
        lines = told.tuned(answer, language)
    printed(*([json.dumps(answer, ensure_ascii=False)] if as_json else lines))


def _given(data: list[str], model: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a recipe of a task that were given in other ways than by `--set`."""
    given = {key: value for key, value in options.items() if value not in (None, ())}
    given |= {"data.train": data} if data else {}
    if model is not None:
        given["model.path" if Path(model).exists() or "/" in model else "model.preset"] = model
    return given


def labels(
    *,
    task: str,
    data: list[str],
    model: str | None,
    out: Path,
    recipe: Path | None,
    overrides: list[str],
    options: dict[str, Any],
    asked: Mapping[str, Any],
    doses: Mapping[str, str | None],
    language: str,
    explain: bool,
    as_json: bool,
) -> None:
    """`assay labels`. `asked` are the fields of `labels.request.Request`, `doses` those of shares, as typed."""
    given = _given(data, model, options)
    loaded, _ = load(FinetuneRecipe, recipe, overrides, given, {"assay train": PretrainRecipe})

    from assay.labels import told, verb
    from assay.labels.request import Request, shares
    from assay.labels.running import Place
    from assay.tasks.pipeline import task_named

    amounts: dict[str, Any] = {name: shares(typed, f"--{name}") for name, typed in doses.items()}
    request = Request(task_named(task), loaded, out, language=language, command=("assay", *sys.argv[1:]), **asked,
                      **amounts)  # fmt: skip
    if explain:
        made, rows = verb.explain(request)
        body = {"cells": rows, "sizes": made.sizes, "seeds": made.seeds, "skipped": made.skipped}
        body |= {"steps_per_second": told.speed_of(made, Place(out)), "assay_version": __version__}
        whole = {**body, "fingerprint": fingerprint(body)}
        lines = told.explained(made, Place(out), rows, language)
    else:
        whole = verb.run(request, quiet=as_json)
        lines = told.labels(whole, language)
    printed(*([json.dumps(whole, ensure_ascii=False)] if as_json else lines))


def evaluate(
    *,
    model: Path,
    sources: list[str],
    words: list[Path],
    window: int | None,
    stride: int | None,
    device: str,
    level: float,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
    of_task: Mapping[str, Any] | None = None,
    perplexity: bool = False,
) -> None:
    """`assay eval`. `reading` are the fields of `ReadOptions`, `of_task` those of `judging.Asked` for a model of a
    task; with a `task` those of a language model that does it as it is."""
    of_task = dict(of_task or {"answers": None})
    named = {name: of_task.pop(name, None) for name in ("task", "options", "train_corpus")}
    if named["task"] is not None and perplexity:
        raise InputError("--task and --perplexity are both given", where="assay eval", remedy="give one of them")
    asked = {"sources": sources, "device": device, "level": level, **of_task}
    asked |= {"on_error": reading["on_error"]} if "on_error" in reading else {}
    tuned = any((folder / "task.json").is_file() for folder in (model, model / "model"))
    if named["task"] is not None and not tuned:
        _evaluate_prompted(model, named, asked, window, language, as_json=as_json)
        return
    if named["options"] or named["train_corpus"]:
        what = "--option and --train-corpus are of a task that a language model does"
        raise InputError(what, where="assay eval", remedy="name it, with --task choice")
    if tuned and not perplexity:
        _evaluate_task(model, {**asked, "task": named["task"]}, language, as_json=as_json)
        return
    if bool(sources) == bool(words):
        what = "both text and word tests are given" if words else "neither text nor a word test is given"
        raise InputError(what, where="assay eval", remedy="name text to predict, or --words FILE for word vectors")

    from assay import evaluation
    from assay.corpus.reading.source import ReadOptions
    from assay.present.progress import Progress
    from assay.pretrain import told

    if words:
        found = evaluation.words(model, words, level)
        lines = told.scores(found["results"], language)
    else:
        request = evaluation.Request(model, sources, ReadOptions(**reading), window, stride, device, level)
        with Progress(language, quiet=as_json) as progress:
            found = evaluation.perplexity(request, progress)
        lines = told.evaluated(found, language)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else lines))


def _asked(given: Mapping[str, Any]) -> Asked:
    """The fields of `judging.Asked`, names of fields as they are typed."""
    from assay.finetune.judging import Asked

    return Asked(**{**given, "fields": pairs(given.get("fields", []), "--field")})


def pairs(typed: Sequence[str], where: str) -> dict[str, Any]:
    """`a=b` as a mapping."""
    found = {}
    for one in typed:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise InputError(f"{one!r} is no name=value", where=where, remedy="write it like text=sentence")
        found[name] = value
    return found


def _evaluate_task(model: Path, given: dict[str, Any], language: str, *, as_json: bool) -> None:
    """`assay eval` of a model of a task."""
    from assay.finetune import judging, told
    from assay.present.progress import Progress

    out = given.pop("answers")
    _known(given.pop("task", None))
    if not given["sources"]:
        raise InputError("no examples are given", where="assay eval", remedy="name files of examples of its task")
    with Progress(language, quiet=as_json) as progress:
        found = judging.evaluate(model, _asked(given), progress, out)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told.judged(found, language)))


def _evaluate_prompted(
    model: Path, named: Mapping[str, Any], given: dict[str, Any], window: int | None, language: str, *, as_json: bool
) -> None:
    """`assay eval --task`: of a language model."""
    from assay.finetune import choosing, told
    from assay.present.progress import Progress
    from assay.tasks.pipeline import task_named

    out = given.pop("answers")
    if not given["sources"]:
        raise InputError("no examples are given", where="assay eval", remedy="name files of examples")
    options = _options(named["options"] or [])
    request = choosing.Request(
        model, task_named(named["task"]), options, _asked(given), window, tuple(named["train_corpus"] or ()), out
    )
    with Progress(language, quiet=as_json) as progress:
        found = choosing.evaluate(request, progress)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told.chosen(found, language)))


def _options(typed: Sequence[str]) -> dict[str, Any]:
    """Options of a task, `a=b` with b as YAML has it; a text that YAML takes for something else is quoted."""
    import yaml

    found = {}
    for name, value in pairs(typed, "--option").items():
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            found[name] = value
    return found


def _known(task: str | None) -> None:
    """A task of one's own is there when its name is read."""
    if task is not None:
        from assay.tasks.pipeline import task_named

        task_named(task)


def compare_answers(
    *, a: list[Path], b: list[Path], task: str | None, paired: bool, level: float, language: str, as_json: bool
) -> None:
    """`assay eval compare`."""
    from assay.finetune import judging, told

    _known(task)
    if not b and len(a) != 2:
        remedy = "name two, or the seeds of one, and those of the other with --with"
        raise InputError(f"{len(a)} systems to compare", where="assay eval compare", remedy=remedy)
    one, other = (a, b) if b else (a[:1], a[1:])
    found = judging.compared(one, other, level=level, paired=paired)
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told.compared(found, language)))


def score_answers(
    *, task: str, options: list[str], answers: Path, asked: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay eval score`."""
    from assay.finetune import judging, told
    from assay.tasks.pipeline import task_named

    found = judging.score(task_named(task), _options(options), answers, _asked(asked))
    printed(*([json.dumps(found, ensure_ascii=False)] if as_json else told.judged(found, language)))


def answer_errors(
    *,
    run: Path,
    task: str | None,
    part: str | None,
    out: Path | None,
    most: int,
    level: float,
    label_errors: bool,
    folds: int,
    data: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay eval errors`. `data` are the fields of `judging.Asked` of the training data whose labels are looked at."""
    if label_errors != bool(data["sources"]):
        what = "no data is given to look at" if label_errors else "--data is given without --label-errors"
        remedy = "give both: --label-errors --data train.jsonl"
        raise InputError(what, where="assay eval errors", remedy=remedy)
    if out is not None and out.suffix != ".html":
        raise InputError("is no name of a page", where=out, remedy="let it end in .html, or take --json")

    from assay.finetune import erring, told_errors
    from assay.present.progress import Progress

    _known(task)
    asked = _asked(data) if label_errors else None
    with Progress(language, quiet=as_json) as progress:
        found = erring.run(erring.Request(run, part, level, most, asked, folds), progress)
    if out is not None:
        erring.write(found, out, language, most)
    more = [str(out)] if out is not None else []
    lines = [json.dumps(found, ensure_ascii=False)] if as_json else [*told_errors.told(found, language, most), *more]
    printed(*lines)


def predict(
    *,
    model: Path,
    task: str | None = None,
    texts: list[str],
    out: Path | None,
    asked: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay predict`."""
    from assay.finetune import predicting, told
    from assay.present.progress import Progress

    _known(task)
    with Progress(language, quiet=as_json) as progress:
        found = predicting.predict(model, texts, _asked(asked), progress)
        if out is not None:
            predicting.write(found, out, language)
    body = {"task": found.task, "n": len(found.rows), "left_out": found.left_out}
    if as_json:
        printed(json.dumps(body | ({"out": str(out)} if out else {"answers": found.rows}), ensure_ascii=False))
    else:
        printed(*([str(out)] if out else told.answers(found.rows, language)))


def doctor_data(
    *,
    task: str,
    data: list[str],
    model: str | None,
    recipe: Path | None,
    overrides: list[str],
    options: dict[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay doctor data`. `options` are keys of the recipe that have options of their own."""
    given = {key: value for key, value in options.items() if value not in (None, ())}
    given |= {"data.train": data} if data else {}
    given |= {"model.path": model} if model is not None else {}
    loaded, _ = load(FinetuneRecipe, recipe, overrides, given, {"assay train": PretrainRecipe})

    from assay.finetune import checking, told_checks
    from assay.tasks.pipeline import task_named

    checked = checking.check(task_named(task), loaded)
    if as_json:
        printed(json.dumps(checking.answer(checked), ensure_ascii=False))
    else:
        printed(*told_checks.told(checked.task, checked.parts, checked.findings, language))
    if not checked.ok:
        raise SystemExit(1)
