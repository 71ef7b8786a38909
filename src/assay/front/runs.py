"""Studies and trainings, models rewritten, averaged and aligned, and what is wrong with a machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from assay import __version__
from assay.errors import InputError
from assay.front.printing import explained, printed
from assay.recipe.load import explain as explain_recipe
from assay.recipe.load import load, parse_duration, parse_quantity
from assay.recipe.pretrain import Estimator, PretrainRecipe
from assay.recipe.study import StudyRecipe
from assay.store import disk_errors, file_digest

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

    from assay.study import told, verb
    from assay.study.request import Request

    request = Request(
        sources=sources or ["builtin:starter"], out=out, recipe=loaded, tokens=wanted_tokens, seconds=seconds,
        language=language, command=["assay", *sys.argv[1:]], ray=ray,
    )  # fmt: skip
    if explain:
        explained([*explain_recipe(loaded, origins), *verb.explain(request, quiet=as_json)], as_json)
        return
    results = verb.run(request, quiet=as_json)
    if as_json:
        printed(json.dumps(told.summary(results, out), ensure_ascii=False))
        return
    printed(*(f"- {sentence}" for sentence in told.headlines(results.claims, language)), str(out / "report.html"))


def _one_of(budget: str | None, tokens: str | None, verb: str) -> None:
    if budget is not None and tokens is not None:
        raise InputError("--budget and --tokens are both given", where=verb, remedy="give one of them")


def convert(model: Path, out: Path, *, as_json: bool) -> None:
    """`assay convert`."""
    from assay.models.interop.convert import convert_pickled

    with disk_errors(out):
        done = convert_pickled(model, out)
        digest = file_digest(out / "model.safetensors")
    if as_json:
        answer = {"out": str(out), **asdict(done), "assay_version": __version__, "fingerprint": digest}
        printed(json.dumps(answer, ensure_ascii=False))
        return
    kinds = ", ".join(done.dtypes)
    printed(f"{done.tensors} tensors, {done.parameters:,} numbers ({kinds}); {', '.join(done.files)}", str(out))


def average(models: list[Path], out: Path, language: str, *, as_json: bool) -> None:
    """`assay average`."""
    from assay.present.words import say
    from assay.pretrain.average import average

    made = average(models, out)
    line = say("average.done", language, n=len(models), parameters=made["parameters"])
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else [line, str(out)]))


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
    printed(*([json.dumps(made, ensure_ascii=False)] if as_json else [line, str(out)]))


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
        explained(explain_recipe(loaded, origins), as_json)
        return

    from assay.pretrain import estimators, neural, told
    from assay.pretrain.request import Request

    request = Request(loaded, out, language, ["assay", *sys.argv[1:]])
    has_fit = loaded.model.path is None and loaded.model.preset in get_args(Estimator)
    answer = (estimators if has_fit else neural).run(request, quiet=as_json)
    if answer is not None:  # under torchrun the first process speaks
        printed(*([json.dumps(answer, ensure_ascii=False)] if as_json else told.trained(answer, language)))


def doctor_env(*, as_json: bool) -> None:
    """`assay doctor env`."""
    from assay import doctor

    findings = doctor.environment()
    if as_json:
        printed(json.dumps(doctor.answer(findings), ensure_ascii=False))
    else:
        printed(
            *(
                f"{'ok  ' if finding.ok else 'MEND'} {finding.what}: {finding.found}"
                + ("" if finding.ok else f" -> {finding.remedy}")
                for finding in findings
            )
        )
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)
