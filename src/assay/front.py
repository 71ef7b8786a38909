"""What the verbs do with their options: read them, call the room, print the answer."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from assay import __version__
from assay.errors import InputError
from assay.recipe.finetune import FinetuneRecipe
from assay.recipe.load import explain as explain_recipe
from assay.recipe.load import load, parse_duration, parse_quantity, parse_size
from assay.recipe.pretrain import Estimator, PretrainRecipe
from assay.recipe.study import StudyRecipe
from assay.store import disk_errors, file_digest, fingerprint

if TYPE_CHECKING:
    from assay.corpora.scanned import Request
    from assay.finetune.judging import Asked

DEFAULT_BUDGET = "10m"


def study(
    *,
    sources: list[str] | None,
    budget: str | None,
    tokens: str | None,
    out: Path,
    recipe: Path | None,
    overrides: list[str],
    options: dict[str, str | None],
    language: str,
    explain: bool,
    as_json: bool,
    ray: str | None = None,
) -> None:
    """`assay study`. `options` are those that stand for a key of the recipe: key -> value, None where not given."""
    _one_of(budget, tokens, "assay study")
    seconds = None if tokens is not None else parse_duration(DEFAULT_BUDGET if budget is None else budget)
    wanted_tokens = None if tokens is None else parse_quantity(tokens, "tokens")
    given = {key: value for key, value in options.items() if value is not None}
    others = {"assay train RECIPE": PretrainRecipe}
    loaded, origins = load(StudyRecipe, recipe, overrides, given, others)

    from assay import study as room

    request = room.Request(
        sources=sources or ["builtin:starter"], out=out, recipe=loaded, tokens=wanted_tokens, seconds=seconds,
        language=language, command=["assay", *sys.argv[1:]], ray=ray,
    )  # fmt: skip
    if explain:
        _print_explanation([*explain_recipe(loaded, origins), *room.explain(request, quiet=as_json)], as_json)
        return
    results = room.run(request, quiet=as_json)
    if as_json:
        _answer(json.dumps(room.summary(results, out), ensure_ascii=False))
        return
    _answer(*(f"- {sentence}" for sentence in room.told(results.claims, language)), str(out / "report.html"))


def _one_of(budget: str | None, tokens: str | None, verb: str) -> None:
    if budget is not None and tokens is not None:
        raise InputError("--budget and --tokens are both given", where=verb, remedy="give one of them")


def _answer(*lines: str) -> None:
    """Print to standard output, which may be a file on a full disk."""
    with disk_errors(Path("standard output")):
        print(*lines, sep="\n", flush=True)


def _print_explanation(rows: list[tuple[str, object, str]], as_json: bool) -> None:
    if as_json:
        values = [{"key": key, "value": value, "why": why} for key, value, why in rows]
        answer = {"values": values, "assay_version": __version__, "fingerprint": fingerprint(values)}
        _answer(json.dumps(answer, ensure_ascii=False))
        return
    _answer(*(f"{key} = {value}\n    {why}" for key, value, why in rows))


def convert(model: Path, out: Path, *, as_json: bool) -> None:
    """`assay convert`."""
    from assay.models.interop.convert import convert_pickled

    with disk_errors(out):
        done = convert_pickled(model, out)
        digest = file_digest(out / "model.safetensors")
    if as_json:
        answer = {"out": str(out), **asdict(done), "assay_version": __version__, "fingerprint": digest}
        _answer(json.dumps(answer, ensure_ascii=False))
        return
    kinds = ", ".join(done.dtypes)
    _answer(f"{done.tensors} tensors, {done.parameters:,} numbers ({kinds}); {', '.join(done.files)}", str(out))


def average(models: list[Path], out: Path, language: str, *, as_json: bool) -> None:
    """`assay average`."""
    from assay.present.words import say
    from assay.pretrain.average import average

    made = average(models, out)
    line = say("average.done", language, n=len(models), parameters=made["parameters"])
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else [line, str(out)]))


def align(
    one: Path, other: Path, pairs: Path, out: Path, *, rounds: int, both: bool, language: str, as_json: bool
) -> None:
    """`assay align`."""
    from assay.present.numbers import estimate
    from assay.present.words import say
    from assay.pretrain.align import align

    made = align(one, other, pairs, out, rounds=rounds, both=both)
    held = made["held_out"]
    score = "–" if held["interval"] is None else " ".join(estimate(held["value"], held["interval"]))
    line = say("align.done", language, pairs=made["pairs"], held=held["n"], score=score)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else [line, str(out)]))


def train(
    *,
    recipe: Path | None,
    sources: list[str],
    out: Path,
    overrides: list[str],
    budget: str | None,
    tokens: str | None,
    language: str,
    explain: bool,
    as_json: bool,
) -> None:
    """`assay train`."""
    _one_of(budget, tokens, "assay train")
    options: dict[str, Any] = {"data.sources": sources} if sources else {}
    if budget is not None:
        options["budget"] = {"seconds": parse_duration(budget)}
    if tokens is not None:
        options["budget"] = {"tokens": parse_quantity(tokens, "tokens")}
    others = {"assay study --recipe": StudyRecipe}
    loaded, origins = load(PretrainRecipe, recipe, overrides, options, others)
    if explain:
        _print_explanation(explain_recipe(loaded, origins), as_json)
        return

    from assay.pretrain import estimators, neural, told
    from assay.pretrain.request import Request

    request = Request(loaded, out, language, ["assay", *sys.argv[1:]])
    has_fit = loaded.model.path is None and loaded.model.preset in get_args(Estimator)
    answer = (estimators if has_fit else neural).run(request, quiet=as_json)
    if answer is not None:  # under torchrun the first process speaks
        _answer(*([json.dumps(answer, ensure_ascii=False)] if as_json else told.trained(answer, language)))


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
        _print_explanation(explain_recipe(loaded, origins), as_json)
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
    _answer(*([json.dumps(answer, ensure_ascii=False)] if as_json else lines))


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
    _answer(*([json.dumps(whole, ensure_ascii=False)] if as_json else lines))


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
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else lines))


def _asked(given: Mapping[str, Any]) -> Asked:
    """The fields of `judging.Asked`, names of fields as they are typed."""
    from assay.finetune.judging import Asked

    return Asked(**{**given, "fields": _pairs(given.get("fields", []), "--field")})


def _pairs(typed: Sequence[str], where: str) -> dict[str, Any]:
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
    from assay.tasks.pipeline import task_named

    out, task = given.pop("answers"), given.pop("task", None)
    if task is not None:
        task_named(task)
    if not given["sources"]:
        raise InputError("no examples are given", where="assay eval", remedy="name files of examples of its task")
    with Progress(language, quiet=as_json) as progress:
        found = judging.evaluate(model, _asked(given), progress, out)
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told.judged(found, language)))


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
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told.chosen(found, language)))


def _options(typed: Sequence[str]) -> dict[str, Any]:
    """Options of a task, `a=b` with b as YAML has it; a text that YAML takes for something else is quoted."""
    import yaml

    found = {}
    for name, value in _pairs(typed, "--option").items():
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            found[name] = value
    return found


def compare_answers(*, a: list[Path], b: list[Path], paired: bool, level: float, language: str, as_json: bool) -> None:
    """`assay eval compare`."""
    from assay.finetune import judging, told

    if not b and len(a) != 2:
        remedy = "name two, or the seeds of one, and those of the other with --with"
        raise InputError(f"{len(a)} systems to compare", where="assay eval compare", remedy=remedy)
    one, other = (a, b) if b else (a[:1], a[1:])
    found = judging.compared(one, other, level=level, paired=paired)
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told.compared(found, language)))


def score_answers(
    *, task: str, options: list[str], answers: Path, asked: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay eval score`."""
    from assay.finetune import judging, told
    from assay.tasks.pipeline import task_named

    found = judging.score(task_named(task), _options(options), answers, _asked(asked))
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told.judged(found, language)))


def answer_errors(
    *,
    run: Path,
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

    asked = _asked(data) if label_errors else None
    with Progress(language, quiet=as_json) as progress:
        found = erring.run(erring.Request(run, part, level, most, asked, folds), progress)
    if out is not None:
        erring.write(found, out, language, most)
    more = [str(out)] if out is not None else []
    lines = [json.dumps(found, ensure_ascii=False)] if as_json else [*told_errors.told(found, language, most), *more]
    _answer(*lines)


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
    from assay.tasks.pipeline import task_named

    if task is not None:
        task_named(task)

    with Progress(language, quiet=as_json) as progress:
        found = predicting.predict(model, texts, _asked(asked), progress)
        if out is not None:
            predicting.write(found, out, language)
    body = {"task": found.task, "n": len(found.rows), "left_out": found.left_out}
    if as_json:
        _answer(json.dumps(body | ({"out": str(out)} if out else {"answers": found.rows}), ensure_ascii=False))
    else:
        _answer(*([str(out)] if out else told.answers(found.rows, language)))


def law_fit(*, asked: Mapping[str, Any], out: Path | None, language: str, as_json: bool) -> None:
    """`assay law fit`. `asked` are the fields of `fits.laws.Request`."""
    from assay.fits import laws, told

    request = laws.Request(**asked)
    found = laws.run(request) if out is None else laws.written(request, out, _command(), language)
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told.law(found, language)))


def calibration(*, folders: list[Path], out: Path | None, language: str, as_json: bool) -> None:
    """`assay calibration`."""
    from assay.fits import calibration as room
    from assay.fits import told

    found = room.run(folders) if out is None else room.written(folders, out, _command(), language)
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told.calibration(found, language)))


def doctor_env(*, as_json: bool) -> None:
    """`assay doctor env`."""
    from assay import doctor

    findings = doctor.environment()
    if as_json:
        _answer(json.dumps(doctor.answer(findings), ensure_ascii=False))
    else:
        _answer(
            *(
                f"{'ok  ' if finding.ok else 'MEND'} {finding.what}: {finding.found}"
                + ("" if finding.ok else f" -> {finding.remedy}")
                for finding in findings
            )
        )
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


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
        _answer(json.dumps(checking.answer(checked), ensure_ascii=False))
    else:
        _answer(*told_checks.told(checked.task, checked.parts, checked.findings, language))
    if not checked.ok:
        raise SystemExit(1)


def _command() -> str:
    """The command as typed, for another time."""
    return shlex.join(["assay", *sys.argv[1:]])


def _corpus(
    sources: list[str], out: Path, reading: Mapping[str, Any], language: str, *, as_json: bool, ray: str | None = None
) -> Request:
    """What every verb of `assay corpus` is given. `reading` are the fields of `ReadOptions`."""
    from assay.corpora.scanned import Request
    from assay.corpus.reading.source import ReadOptions

    return Request(sources, out, ReadOptions(**reading), _command(), language, quiet=as_json, ray=ray)


def corpus_scan(
    *, sources: list[str], out: Path, ray: str | None, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay corpus scan`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import told, verbs

    request = _corpus(sources, out, reading, language, as_json=as_json, ray=ray)
    made = verbs.scan(request)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.scanned(made, language)))


def corpus_select(
    *,
    sources: list[str],
    out: Path,
    packs: list[str],
    where: list[str],
    words: list[Path],
    scores: list[str],
    device: str,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus select`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import told, verbs
    from assay.corpus.cleaning.rules import chosen
    from assay.corpus.signals import listed

    lists = listed.read(words)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    if scores:
        from assay.corpora import curating, told_curating

        made = curating.run_scored(request, packs, where, lists, scores, device)
        lines = [*told_curating.scored(made, language), *told.selected(made, language)]
        _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else lines))
        return
    asked = chosen(packs, where, [one.name for one in lists])
    made = verbs.run_select(request, asked, lists)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.selected(made, language)))


def corpus_dedup(
    *,
    sources: list[str],
    out: Path,
    level: Any,
    options: dict[str, Any],
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus dedup`. `options` are those of some levels only, None where not given; `reading` are the fields of
    `ReadOptions`."""
    from assay.corpora import repeats, told, verbs

    repeats.see_that_options_fit(level, options)
    given = {name: value for name, value in options.items() if value is not None}
    request = _corpus(sources, out, reading, language, as_json=as_json)
    if level in repeats.LEVELS:
        made = repeats.run(request, repeats.Asked(level, **given))
        lines = told.cut(made, language)
    elif level == "semantic":
        from assay.corpora import curating, told_curating

        keep, by = given.pop("keep", "first"), given.pop("by", None)
        made = curating.run_semantic(request, curating.meant(given), keep, by)
        lines = [*told_curating.alike(made, language), *told.deduplicated(made, language)]
    elif "score" in given:
        from assay.corpora import curating, told_curating

        wanted = given.get("keep", "first"), given.get("by"), given["score"], given.get("device", "auto")
        made = curating.run_scored_dedup(request, level, *wanted)
        lines = [*told_curating.scored(made, language), *told.deduplicated(made, language)]
    else:
        made = verbs.run_dedup(request, level, given.get("keep", "first"), given.get("by"))
        lines = told.deduplicated(made, language)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else lines))


def corpus_privacy(
    *,
    sources: list[str],
    out: Path,
    action: Any,
    kinds: list[str],
    shown: bool,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus privacy`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import cleaning, told

    wanted = cleaning.kinds_of(kinds)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = cleaning.run_privacy(request, action, wanted, shown=shown)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.private(made, language)))


def corpus_decontaminate(
    *,
    sources: list[str],
    out: Path,
    against: dict[str, Any],
    report_only: bool,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus decontaminate`. `against` are the fields of `Against`, `reading` those of `ReadOptions`."""
    from assay.corpora import cleaning, told

    wanted = cleaning.Against(**{**against, "shape": cleaning.Shape(*against["shape"])})
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = cleaning.run_decontaminate(request, wanted, report_only=report_only)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.decontaminated(made, language)))


def corpus_clean(
    *, sources: list[str], out: Path, cleaning: dict[str, Any], reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay corpus clean`. `cleaning` are the fields of `Cleaning`, `reading` those of `ReadOptions`."""
    from assay.corpora import altering, told_altering

    wanted = altering.Cleaning(**cleaning)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = altering.run_clean(request, wanted)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told_altering.cleaned(made, language)))


def corpus_damage(
    *,
    sources: list[str],
    out: Path,
    defect: str,
    dose: float,
    seed: int,
    given: dict[str, Any],
    items: tuple[list[str], list[str]],
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus damage`. `given` are fields of `Damage`, `reading` those of `ReadOptions`; `items` files and fields
    of evaluation items."""
    from assay.corpora import altering, told_altering

    planted = altering.Items(tuple(items[0]), tuple(items[1]))
    how = altering.how_of(defect, dose, seed, given, planted)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = altering.run_damage(request, how, planted)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told_altering.damaged(made, language)))


def corpus_augment(
    *,
    sources: list[str],
    out: Path,
    augmentation: dict[str, Any],
    vectors: Path | None,
    bound: float,
    mixture: dict[str, Any],
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus augment`. `augmentation` and `mixture` are the fields of `Augmentation` and `Mixture`, `reading`
    those of `ReadOptions`."""
    from assay.corpora import altering, told_altering

    how, wanted = altering.Augmentation(**augmentation), altering.Mixture(**mixture)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = altering.run_augment(request, how, vectors, bound, wanted)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told_altering.augmented(made, language)))


def corpus_profile(
    *,
    sources: list[str],
    out: Path,
    packs: list[str],
    title: str | None,
    license_: str,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay corpus profile`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import profiling, told

    wanted = profiling.Wanted(tuple(packs), title, license_)
    request = _corpus(sources, out, reading, language, as_json=as_json)
    made = profiling.run_profile(request, wanted)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.profiled(made, language)))


def corpus_classifier(
    *, good: list[str], bad: list[str], out: Path, bits: int, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay corpus classifier`. `reading` are the fields of `ReadOptions`."""
    from assay.corpora import curating, told_curating

    request = _corpus([*good, *bad], out, reading, language, as_json=as_json)
    made = curating.run_classifier(request, good, bad, bits)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told_curating.classified(made, language)))


def tokenizer_train(
    *,
    sources: list[str],
    out: Path,
    learning: dict[str, Any],
    sample: str,
    reading: Mapping[str, Any],
    language: str,
    as_json: bool,
) -> None:
    """`assay tokenizer train`. `learning` are the fields of `Learning`, `reading` those of `ReadOptions`."""
    n_bytes = int(parse_size(sample, "sample"))

    from assay.corpus.reading.source import ReadOptions
    from assay.tokens import told, verbs
    from assay.tokens.learn import Learning

    request = verbs.Request(sources, ReadOptions(**reading), language, quiet=as_json)
    made = verbs.train(request, Learning(**learning), n_bytes, out)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.told(made, language)))


def tokenizer_encode(
    *, tokenizer: Path, sources: list[str], out: Path, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay tokenizer encode`. `reading` are the fields of `ReadOptions`."""
    from assay.corpus.reading.source import ReadOptions
    from assay.tokens import told, verbs

    made = verbs.encode(verbs.Request(sources, ReadOptions(**reading), language, quiet=as_json), tokenizer, out)
    _answer(*([json.dumps(made, ensure_ascii=False)] if as_json else told.told(made, language)))


def tokenizer_compare(
    *, tokenizers: list[Path], sources: list[str], sample: str, reading: Mapping[str, Any], language: str, as_json: bool
) -> None:
    """`assay tokenizer compare`. `reading` are the fields of `ReadOptions`."""
    n_bytes = int(parse_size(sample, "sample"))

    from assay.corpus.reading.source import ReadOptions
    from assay.tokens import told, verbs

    request = verbs.Request(sources, ReadOptions(**reading), language, quiet=as_json)
    found = verbs.run_compare(request, tokenizers, n_bytes)
    _answer(*([json.dumps(verbs.answer(found), ensure_ascii=False)] if as_json else told.tables(found, language)))


def mixture_fit(
    *,
    tables: tuple[Path, Path],
    test: tuple[Path | None, Path | None],
    target: str,
    natural: str | None,
    key: str | None,
    caps: list[str],
    kl: float,
    level: float,
    out: Path | None,
    language: str,
    as_json: bool,
) -> None:
    """`assay mixture fit`. `tables` and `test` are tables of mixtures and of losses."""
    from assay.fits import mixtures, told_mixtures

    if (test[0] is None) != (test[1] is None):
        what = "one of --test-mixtures and --test-losses is given alone"
        raise InputError(what, where="assay mixture fit", remedy="give both, or neither")
    tested = None if test[0] is None or test[1] is None else (test[0], test[1])
    request = mixtures.Request(*tables, tested, target, natural, key, tuple(caps), kl, level)
    found = mixtures.fit(request).answer if out is None else mixtures.written(request, out, _command(), language)
    _answer(*([json.dumps(found, ensure_ascii=False)] if as_json else told_mixtures.told(found, language)))
