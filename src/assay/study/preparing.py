"""From raw text to a plan: corpus, shape, tokenizer, plan, each an artifact."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from assay.corpus.reading.listing import too_little_told
from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.impact import filters
from assay.impact import plan as planning
from assay.impact.findings import Prepared
from assay.impact.plan import Plan, SourceText
from assay.impact.shape import Shape, choose_shape, stacks
from assay.models.decoder import proxy
from assay.store import Stage, write_json_atomic
from assay.study.opened import LEAST_SEEDS, Opened
from assay.tokens import prepare
from assay.tokens.learn import Learning
from assay.train.optimizers import OptimizerConfig
from assay.train.probe import Probe

SHAPE, PLAN = Stage("shape", 2), Stage("plan", 4)
LEAST_TRAINING_SECONDS = 5.0


def prepared(study: Opened) -> Prepared:
    """Everything up to the plan, made now or found.

    Raises:
        InputError: bad input, or a budget that pays for nothing.
    """
    if not study.store.root.joinpath(SHAPE.name).exists() and study.request.tokens is None:
        study.fleet.start()  # workers come up while the corpus is read
    corpus = _scan(study)
    shape = _shape(study, corpus)
    study.progress.stage("tokenizer")
    tokens = prepare.tokenizer(
        corpus, study.store, Learning(vocabulary=shape.vocabulary), study.recipe.tokens.sample_bytes
    )
    texts = _texts(corpus, tokens.per_byte)
    found = [filters.decided(name, corpus, study.store) for name in dict.fromkeys(study.recipe.design.filters)]
    kept = {one.name: one.kept for one in found}

    def make(folder: Path) -> None:
        with too_little_told(study.request.sources, corpus.skipped):
            plan = planning.make_plan(study.recipe, shape, texts, kept)
        (folder / "plan.json").write_text(plan.model_dump_json(indent=1), encoding="utf-8")

    # The shape is an input by value: what the budget buys is part of the plan's address.
    made = study.store.build(
        PLAN,
        {"corpus": corpus.fingerprint, "tokenizer": tokens.artifact.fingerprint},
        {
            "recipe": study.recipe.identity(),
            "shape": shape.model_dump(mode="json"),
            **({"kept": kept} if kept else {}),
        },
        make,
    )
    study.space.check(plan=made.fingerprint)
    plan = Plan.model_validate_json(made.file("plan.json").read_text(encoding="utf-8"))
    write_json_atomic(study.space.path("plan.json"), plan.model_dump(mode="json"))
    return Prepared(corpus, tokens, plan, made, found)


def halved(study: Opened, ready: Prepared) -> Plan | None:
    """The plan that half the budget would have paid for; None where it pays for none."""
    texts = _texts(ready.corpus, ready.tokens.per_byte)
    return planning.halved(study.recipe, ready.plan, texts, ready.kept)


def _scan(study: Opened) -> Corpus:
    c = study.recipe.corpus
    corpus = scan(
        study.request.sources,
        ReadOptions.of(c),
        SplitOptions(eval_share=c.eval_share, test_share=c.test_share),
        study.store,
        study.progress.to,
        without=study.request.out,
        builtins=study.space.recall("builtins"),
        ray=study.request.ray,
    )
    study.space.check(corpus=corpus.fingerprint)
    return corpus


def _shape(study: Opened, corpus: Corpus) -> Shape:
    request = study.request

    def probe(rung: tuple[int, int, int, int], dtype: str) -> float:
        layers, width, heads, vocabulary = rung
        train = study.recipe.train
        model = proxy(vocabulary, layers, width, heads)
        optimizer = OptimizerConfig(matrix=train.matrix_optimizer)
        step = Probe(model, train.row_tokens, train.batch_rows, dtype, optimizer=optimizer)
        if not study.chosen.stacked:
            return sum(study.fleet.probe(step))
        sizes = stacks(study.recipe, len(corpus.sources), train.seeds or LEAST_SEEDS)
        return 1 / sum(share / sum(study.fleet.probe(replace(step, members=n))) for n, share in sizes)

    def make(folder: Path) -> None:
        if study.space.settled:  # it was lost; what the plan was made from stands
            plan = Plan.model_validate_json(study.space.path("plan.json").read_text(encoding="utf-8"))
            (folder / "shape.json").write_text(plan.shape.model_dump_json(indent=1), encoding="utf-8")
            return
        left, other = None, 0.0
        if request.seconds is not None:
            study.progress.stage("probe")
            used = time.monotonic() - study.began
            other = used + study.finishing
            left = request.seconds - other
            if left < LEAST_TRAINING_SECONDS:
                raise InputError(
                    f"{request.seconds:.0f} s are no time to train: reading took {used:.0f} s, and the end needs"
                    f" {other - used:.0f} s",
                    where="--budget",
                    remedy=f"give {math.ceil((other + 60) / 60)}m at least (what has been read is kept)",
                )
        workers, n = study.fleet.size, len(corpus.sources)
        shape = choose_shape(study.recipe, request.tokens, left, workers, n, probe, other)
        (folder / "shape.json").write_text(shape.model_dump_json(indent=1), encoding="utf-8")

    # Neither the machine nor the time that is left are part of the address: the first measurement stands.
    config = {"budget": request.identity()["budget"], "recipe": study.recipe.identity()}
    config |= {"engine": study.chosen.kind} if study.chosen.stacked else {}
    made = study.store.build(SHAPE, {"corpus": corpus.fingerprint}, config, make)
    return Shape.model_validate_json(made.file("shape.json").read_text(encoding="utf-8"))


def _texts(corpus: Corpus, per_byte: dict[str, float]) -> list[SourceText]:
    documents = {row["source"]: row["train_documents"] for row in corpus.profile}
    return [
        SourceText(s, corpus.train_bytes(s) * per_byte[s], documents[s])
        for s in corpus.sources
        if corpus.train_bytes(s) and per_byte[s]
    ]
