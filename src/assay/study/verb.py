"""`assay study`: from what was asked to claims and a page."""

from __future__ import annotations

import shlex
from dataclasses import replace

from assay.impact import baseline
from assay.impact.findings import Asked, Finished, findings
from assay.impact.results import StudyResults
from assay.report import study as report
from assay.store import write_json_atomic
from assay.study import preparing, streams, told
from assay.study.costs import cost
from assay.study.opened import Opened, opened
from assay.study.passes import Passes
from assay.study.request import Request


def run(request: Request, *, quiet: bool = False) -> StudyResults:
    """Do a study, or finish one that was begun, and write its claims and page.

    Raises:
        InputError: bad input; earlier results are intact.
        WorkError: the disk is full, a worker died.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    with opened(request, quiet=quiet) as study:
        results = _done(study)
        write_json_atomic(study.space.path("claims.json"), [c.model_dump(mode="json") for c in results.claims])
        write_json_atomic(study.space.path("results.json"), results.model_dump(mode="json"))
        report.write(results, study.space.root, request.language)
        return results


def _done(study: Opened) -> StudyResults:
    request, store = study.request, study.store
    with study.fleet:
        ready = preparing.prepared(study)
        study.space.remember(builtins=ready.corpus.builtins, engine=study.chosen.kind)
        study.space.settle(corpus=ready.corpus.fingerprint, plan=ready.plan_artifact.fingerprint)
        inputs = streams.encoded(study, ready)
        workers = study.fleet.size
        ran = Passes(study, ready, inputs).run()
    ready = replace(ready, plan=ran.plan)
    vocabulary = ready.tokens.encoder.vocabulary
    counted = baseline.losses(store, ran.plan, study.recipe.train, inputs, vocabulary, study.progress)
    study.progress.stage("report")
    return findings(
        Finished(ready, study.recipe, store, inputs, ran.parts, ran.registered, counted, ran.second),
        asked=Asked(request.title, shlex.join(request.command), request.budget_in_words),
        cost=cost(study, ran.parts, workers, ran.plan.shape.dtype),
    )


def explain(request: Request, *, quiet: bool = False) -> list[tuple[str, str, str]]:
    """Everything up to the plan; returns each derived value and why it is what it is.

    Raises: as `run`.
    """
    with opened(request, quiet=quiet) as study, study.fleet:
        ready = preparing.prepared(study)
        return told.derived(study.recipe, ready.plan, study.chosen, preparing.halved(study, ready))
