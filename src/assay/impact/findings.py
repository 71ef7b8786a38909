"""From finished runs to everything that a study says: `results.json`, whose claims are `claims.json`.

ledger + evaluation sets -> measurements -> analysis -> drafts -> claims -> StudyResults
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from assay import __version__
from assay.corpus.scan import Corpus
from assay.impact import baseline, design, views
from assay.impact.advice import decision_view
from assay.impact.analysis import Analysis
from assay.impact.drafts import drafts
from assay.impact.filters import Filter
from assay.impact.leaks import Planted
from assay.impact.measure import Measurements
from assay.impact.plan import Plan
from assay.impact.predictions import Registered
from assay.impact.results import Cost, Sample, SourceProfile, StudyResults
from assay.impact.second import SecondPass
from assay.impact.statements import decide
from assay.ledger import Ledger
from assay.models.decoder import proxy
from assay.present.numbers import percent
from assay.present.words import Both, both
from assay.recipe.study import StudyRecipe
from assay.store import Artifact, Store, fingerprint
from assay.tokens.evalset import EvalSet
from assay.tokens.prepare import Tokenized
from assay.tokens.sampler import LEAKED
from assay.train.job import JobInputs

SAMPLES = 2  # documents shown at each end of a source
LEAST_SAMPLE_BYTES = 100
SAMPLE_CHARS = 1200
NOTED_SPARED = 0.1  # of the training text, that a defect leaves as it is
_EPOCHS = """SELECT cell, entry.key, entry.value
    FROM (SELECT DISTINCT ON (cell) cell, epochs FROM runs ORDER BY cell, D, seed),
         unnest(map_entries(epochs)) AS t(entry)"""


@dataclass(frozen=True)
class Prepared:
    """A study up to its plan."""

    corpus: Corpus
    tokens: Tokenized
    plan: Plan
    plan_artifact: Artifact
    filters: list[Filter]

    @property
    def kept(self) -> dict[str, dict[str, float]]:
        """Filter -> source -> share of its training text that is kept."""
        return {one.name: one.kept for one in self.filters}


@dataclass(frozen=True)
class Finished:
    """A study whose runs are done: `parts` are their ledger artifacts, `baseline` those of the n-gram models, `second`
    is what the second pass was spent on, where there was one."""

    prepared: Prepared
    recipe: StudyRecipe
    store: Store
    inputs: JobInputs
    parts: list[Artifact]
    registered: list[Registered]
    baseline: list[Artifact]
    second: SecondPass | None = None


@dataclass(frozen=True)
class Asked:
    """How the study was asked for, in words."""

    title: str
    command: str
    budget: Both


def measurements(
    store: Store, inputs: JobInputs, parts: Sequence[Artifact], split: Literal["eval", "test"]
) -> Measurements:
    """The losses of finished runs on one split."""
    documents = {
        name: pl.read_parquet(artifact.file("documents.parquet"), glob=False)
        for name, artifact in inputs.evaluation.items()
    }
    return Measurements(Ledger(store), parts, documents, (split,))


def findings(finished: Finished, asked: Asked, cost: Cost) -> StudyResults:
    """Everything that the page shows."""
    prepared, recipe, plan = finished.prepared, finished.recipe, finished.prepared.plan
    every = measurements(finished.store, finished.inputs, finished.parts, "eval")
    baseline.add_to(every, plan, finished.baseline)
    tested = measurements(finished.store, finished.inputs, finished.parts, "test")
    analysis = Analysis(plan, every, tested, finished.registered, recipe.design, _planted(finished))
    measured = analysis.measured
    claims = decide(drafts(analysis), recipe.design.level, recipe.design.false_discovery_rate)
    shape = plan.shape
    model = proxy(prepared.tokens.encoder.vocabulary, shape.layers, shape.width, shape.heads)
    inside, total = model.n_parameters()
    return StudyResults(
        title=asked.title,
        command=asked.command,
        assay_version=__version__,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        fingerprints=_fingerprints(finished),
        budget=asked.budget,
        level=recipe.design.level,
        n_seeds=len(plan.seeds),
        parameters=inside,
        parameters_total=total,
        architecture=both(
            "fact.decoder", layers=model.layers, width=model.width, heads=model.heads, length=plan.row_tokens
        ),
        tokenizer=both("fact.tokenizer", n=f"{model.vocabulary:,}"),
        run_tokens=plan.run_steps * plan.step_tokens,
        false_discovery_rate=recipe.design.false_discovery_rate,
        notices=[*prepared.corpus.notices, *plan.notices, *_notices(finished, measured)],
        claims=claims,
        profile=_profile(prepared),
        skipped=prepared.corpus.skipped,
        bad_rows=prepared.corpus.bad_rows,
        bad_files=prepared.corpus.bad_files,
        curves=views.curves(analysis),
        baseline=baseline.view(measured, plan, recipe.design.level),
        law=views.law_view(analysis),
        doses=views.dose_views(analysis, claims),
        damaged=views.damaged_views(analysis, claims),
        together=views.together_rows(analysis, claims),
        scales=views.scale_rows(analysis, claims),
        leaks=views.leak_rows(analysis, claims),
        orders=views.order_rows(analysis, claims),
        decisions=decision_view(analysis, claims, finished.second),
        filters=views.filter_views(analysis, claims, prepared.kept),
        mixtures=views.mixture_view(analysis, claims, _epochs(finished)),
        samples=_samples(finished, measured),
        cost=cost,
    )


def _planted(finished: Finished) -> Planted | None:
    stream = finished.inputs.streams.get(LEAKED)
    if stream is None:
        return None
    return Planted.read(stream, finished.inputs.evaluation["eval"], finished.prepared.plan)


def _profile(prepared: Prepared) -> list[SourceProfile]:
    rows = []
    for row in prepared.corpus.profile:
        per_byte = prepared.tokens.per_byte.get(row["source"])
        rows.append(SourceProfile(**{**row, "bytes_per_token": 1 / per_byte if per_byte else None}))
    return rows


def _epochs(finished: Finished) -> dict[str, dict[str, float]]:
    """Cell -> source -> how often its training text was read."""
    epochs: dict[str, dict[str, float]] = {}
    for cell, source, times in Ledger(finished.store).query(finished.parts, _EPOCHS).iter_rows():
        epochs.setdefault(cell, {})[source] = times
    return epochs


def _notices(finished: Finished, measured: Measurements) -> list[dict[str, str]]:
    notices, natural = [], finished.prepared.plan.natural
    if unmeasured := sorted(set(natural) - set(measured.sources)):
        notices.append(both("notice.no_eval", value=", ".join(unmeasured)))
    for defect, stream in finished.inputs.streams.items():
        if share := _spared(stream, natural):
            notices.append(both("notice.spared", value=both(f"doses.name.{defect}"), share=percent(share)))
    if len(natural) == 1 and "distribution" in finished.recipe.design.axes:
        notices.append(both("notice.one_source"))
    return notices


def _spared(stream: Artifact, natural: Mapping[str, float]) -> float:
    """The share of the training text, by documents of each source, in which a defect found nothing to damage; 0 where
    that is little."""
    unchanged, sources = stream.summary.get("unchanged", {}), stream.summary["sources"]
    share = sum(
        weight * unchanged.get(source, 0) / max(1, sources[source]["documents"]) for source, weight in natural.items()
    )
    return share if share >= NOTED_SPARED else 0.0


def _fingerprints(finished: Finished) -> dict[str, str]:
    prepared = finished.prepared
    return {
        "corpus": prepared.corpus.fingerprint,
        "recipe": finished.recipe.fingerprint(),
        "tokenizer": prepared.tokens.artifact.fingerprint,
        "plan": prepared.plan_artifact.fingerprint,
        **{f"{split} text": artifact.fingerprint for split, artifact in finished.inputs.evaluation.items()},
        "ledger": fingerprint([part.fingerprint for part in finished.parts]),
        "baseline": fingerprint([part.fingerprint for part in finished.baseline]),
    }


def _samples(finished: Finished, measured: Measurements) -> list[Sample]:
    """Of each source the held-out documents with the lowest and the highest loss under the natural runs, with the
    text that was evaluated."""
    prepared = finished.prepared
    tokens = prepared.plan.run_steps * prepared.plan.step_tokens
    data = EvalSet.open(finished.inputs.evaluation["eval"])
    bits = pl.Series("bits", measured.bits(design.NATURAL, tokens).mean(axis=0))
    table = data.documents.with_row_index("place").with_columns(bits)
    chosen = extremes(table.with_columns(bpb=pl.col("bits") / pl.col("n_bytes")))
    origins = _origins(prepared.corpus, set(chosen["doc_id"]))
    samples = []
    for row in chosen.iter_rows(named=True):
        ids = data.targets_RT[data.document_RT == row["place"]]
        text = prepared.tokens.encoder.decode(np.asarray(ids)).strip("\ufffd")  # a window may cut a character
        samples.append(
            Sample(
                source=row["source"],
                doc_id=row["doc_id"],
                origin=origins[row["doc_id"]],
                bpb=row["bpb"],
                extreme=row["extreme"],
                text=text[:SAMPLE_CHARS],
            )
        )
    return samples


def extremes(documents: pl.DataFrame) -> pl.DataFrame:
    """Of each source the documents with the lowest and the highest loss, each once, marked in a column `extreme`.

    Args:
        documents: with `source`, `doc_id`, `bpb`, and `n_bytes` that were evaluated.
    """
    # The shortest windows have the widest losses; a source of short texts still shows its longer half.
    usual = pl.col("n_bytes").median().over("source")
    long_enough = pl.col("n_bytes") >= pl.min_horizontal(pl.lit(LEAST_SAMPLE_BYTES), usual)
    ranked = documents.filter(long_enough).sort("source", "bpb", "doc_id")
    by_source = ranked.group_by("source", maintain_order=True)
    lowest = by_source.head(SAMPLES).with_columns(extreme=pl.lit("lowest"))
    highest = by_source.tail(SAMPLES).with_columns(extreme=pl.lit("highest"))
    return pl.concat([lowest, highest]).unique("doc_id", keep="first").sort("source", "bpb")


def _origins(corpus: Corpus, doc_ids: set[str]) -> dict[str, str]:
    found = {}
    for batch in corpus.read("eval", ["doc_id", "origin"]):
        for doc_id, origin in zip(batch.column("doc_id").to_pylist(), batch.column("origin").to_pylist(), strict=True):
            if doc_id in doc_ids:
                found[doc_id] = origin
    return found
