"""From a plan to what the fleet reads: token streams of the text and its altered copies, and the evaluation sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from assay.corpus.altering.damage import DEFECTS
from assay.corpus.scan import Corpus
from assay.errors import InputError
from assay.impact import design, filters, leaks, orders, plant
from assay.impact.findings import Prepared
from assay.store import Artifact, fingerprint
from assay.study.opened import Opened
from assay.tokens import prepare
from assay.tokens.sampler import LEAKED, REPEATED
from assay.train.job import JobInputs


def encoded(study: Opened, ready: Prepared) -> JobInputs:
    """Streams of everything that any cell reads, and the evaluation sets.

    Raises:
        InputError: a filter leaves too little of a source, or too little is held out for what is to be planted.
    """
    plan, corpus = ready.plan, ready.corpus
    cells = plan.cell_list()
    planted = (cell.defect for cell in cells if cell.axis == "quality" and cell.defect != REPEATED)
    defects = [defect for defect in dict.fromkeys(planted) if defect]
    chosen = {cell.name for cell in cells if cell.axis == "filter"}
    study.progress.stage("tokens", 4 + len(defects) + len(chosen))
    streams = {
        "train": _stream(study, ready, "train", corpus.read("train", sources=list(plan.natural), below=plan.pool_share))
    }
    study.progress.advance(1)
    per_char = {s: max(1, corpus.train_bytes(s)) * x / _chars(corpus, s) for s, x in ready.tokens.per_byte.items()}
    for defect in defects:
        pool, unchanged = plant.donors(defect, corpus, plan, study.store, study.recipe.seed), Counter[str]()
        batches = plant.damaged_documents(
            defect, corpus, plan, study.recipe.design, per_char, study.recipe.seed, pool, unchanged
        )
        streams[defect] = _stream(study, ready, defect, batches, partial(_spared, unchanged))
        study.progress.advance(1)
    for number, one in enumerate(ready.filters):
        if design.filtered(one.name) in chosen:
            kept = filters.kept_documents(one, corpus, plan)
            control = filters.dropped_at_random(one, corpus, plan, study.recipe.seed)
            for name, batches in zip(design.filter_streams(number), (kept, control), strict=True):
                streams[name] = _chosen(study, ready, name, batches, one)
                study.progress.advance(1)
    evaluation = {}
    for split in ("eval", "test"):
        held_out = _stream(study, ready, split, corpus.read(split, sources=list(plan.natural)))
        evaluation[split] = prepare.evaluation_set(
            held_out, ready.tokens.encoder, study.store, plan.row_tokens, plan.eval_tokens
        )
        study.progress.advance(1)
    if study.recipe.design.leaks:
        batch = leaks.planted_documents(evaluation["eval"], ready.tokens.encoder, plan, study.recipe.design)
        config = {"sources": list(plan.natural), "copies": list(study.recipe.design.leaks), "plan": plan.run_steps}
        after = {"evaluation": evaluation["eval"].fingerprint}
        streams[LEAKED] = prepare.stream([batch], ready.tokens, study.store, LEAKED, config, after)
    wanted = {cell.order for cell in cells if cell.order is not None}
    return JobInputs(
        streams,
        evaluation,
        ready.tokens.artifact.fingerprint,
        fingerprint(study.request.identity()),
        device=study.chosen.device,
        orders={text: orders.values(text, corpus, streams["train"], study.store) for text in sorted(wanted)},
        stacked=study.chosen.stacked,
    )


def _chars(corpus: Corpus, source: str) -> float:
    """Bytes of training text over bytes per character, near enough to size the planted copies."""
    chinese = next(p["languages"] for p in corpus.profile if p["source"] == source).get("zh", 0.0)
    return max(1.0, corpus.train_bytes(source) / (1 + 2 * chinese))


def _stream(
    study: Opened, ready: Prepared, name: str, batches: Any, told: Callable[[], Mapping[str, Any]] = dict
) -> Artifact:
    plan = ready.plan
    config: dict[str, Any] = {"sources": list(plan.natural)}
    if name not in ("eval", "test"):
        config |= {"pool_share": plan.pool_share}
    if name not in ("eval", "test", "train"):
        design_values = study.recipe.design.model_dump(mode="json")
        config |= {
            "design": design_values,
            "run_tokens": plan.run_steps * plan.step_tokens,
            "parts": plan.parts,
            "seed": study.recipe.seed,
        }
    return prepare.stream(
        batches, ready.tokens, study.store, name, config, {"corpus": ready.corpus.fingerprint},
        aligned=name in DEFECTS and plant.aligned(name), whole=ready.corpus.whole_texts, told=told,
    )  # fmt: skip


def _chosen(
    study: Opened, ready: Prepared, name: str, batches: Iterator[pa.RecordBatch], of: filters.Filter
) -> Artifact:
    """The stream of what a filter keeps, or of its control."""
    plan = ready.plan
    config = {"sources": list(plan.natural), "pool_share": plan.pool_share, "seed": study.recipe.seed}
    inputs = {"corpus": ready.corpus.fingerprint, "decisions": of.decisions.fingerprint}
    whole = ready.corpus.whole_texts
    made = prepare.stream(batches, ready.tokens, study.store, name, config, inputs, whole=whole)
    read = next(cell.weights for cell in plan.cell_list() if cell.stream == name)
    for source, share in read.items():
        if share > 0 and made.summary["sources"][source]["tokens"] < plan.parts * plan.row_tokens:
            what = f"too little is left of {source} in the text that the study reads"
            remedy = "leave that filter out, or give a larger budget, which reads more text"
            raise InputError(what, where=f"design.filters {of.name}", remedy=remedy)
    return made


def _spared(unchanged: Counter[str]) -> dict[str, Any]:
    return {"unchanged": dict(unchanged)}
