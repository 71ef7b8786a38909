"""The main job: a corpus goes in, claims come out. This is the way of the data through the house.

    corpus      sources -> documents, signals, duplicates, splits, profile
    shape       probe of this machine, or --tokens -> proxy, tokens that the budget buys
    tokenizer   balanced sample -> byte-level BPE
    plan        cells, seeds, run sizes; stored: a rerun uses the stored one
    tokens      training pool, damaged copies, evaluation sets
    fleet       trunks and fitted cells -> ledger
    predictions fitted on eval text, written down, then tested by held-out runs on test text
    second      more seeds of the recipes between which the first pass leaves doubt, where a share was kept back
    claims      differences, doses, law, mixtures -> claims.json, results.json, report.html

Every arrow is an artifact of the store, found again on a rerun; so a study that was stopped, or killed, goes on.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay import __version__
from assay.corpus.altering.damage import DEFECTS
from assay.corpus.reading.listing import too_little_told
from assay.corpus.reading.source import ReadOptions, identity_of, title_of
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.impact import baseline, design, filters, jobs, leaks, orders, plant, predictions, second
from assay.impact.claims import Claim
from assay.impact.findings import Asked, Finished, Prepared, findings, measurements
from assay.impact.plan import Plan, SourceText, costs, halved, make_plan
from assay.impact.results import Cost, StudyResults
from assay.impact.second import SECOND, SecondPass
from assay.impact.shape import Shape, choose_shape, stacks
from assay.ledger import Ledger
from assay.models.decoder import proxy
from assay.present.numbers import compact, durations
from assay.present.progress import Progress
from assay.present.words import Both, both
from assay.recipe.study import StudyRecipe
from assay.report import study as report
from assay.store import Artifact, Stage, fingerprint, write_json_atomic
from assay.tokens import prepare
from assay.tokens.learn import Learning
from assay.tokens.sampler import LEAKED, REPEATED
from assay.train import energy
from assay.train.engines.choice import Kind, choose
from assay.train.fleet import Fleet
from assay.train.job import JobInputs
from assay.train.optimizers import OptimizerConfig
from assay.train.probe import Probe
from assay.workspace import Workspace

SHAPE, PLAN = Stage("shape", 2), Stage("plan", 4)
FINISHING_SECONDS = 15.0  # of a time budget, for tokenizer, encoding, claims and page
FINISHING_SHARE = 0.05
LEAST_TRAINING_SECONDS = 5.0
LEAST_SEEDS = 3  # that are run however long they take
NOTED_SECONDS = 10.0  # the time taken is written down so often, so that a killed run loses no more of it


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        sources: URIs.
        out: folder of the study.
        recipe: everything else.
        tokens, seconds: the budget, one of both.
        language: of progress and of the page's first view.
        command: as typed.
        ray: the address of the cluster that does the runs and scores the documents; None: this machine.
    """

    sources: list[str]
    out: Path
    recipe: StudyRecipe
    tokens: float | None
    seconds: float | None
    language: str
    command: list[str]
    ray: str | None = None

    def identity(self) -> dict[str, Any]:
        """What makes it this study and no other."""
        where = [identity_of(s) for s in self.sources]
        budget = {"tokens": self.tokens} if self.tokens is not None else {"seconds": self.seconds}
        return {"sources": where, "recipe": self.recipe.identity(), "budget": budget}

    @property
    def title(self) -> str:
        return self.recipe.title or ", ".join(title_of(s) for s in self.sources)

    @property
    def budget_in_words(self) -> Both:
        if self.tokens is not None:
            return both("fact.tokens", n=compact(self.tokens))
        return durations(self.seconds or 0.0)


def run(request: Request, *, quiet: bool = False) -> StudyResults:
    """Do a study, or finish one that was begun, and write its claims and page.

    Raises:
        InputError: bad input; earlier results are intact.
        WorkError: the disk is full, a worker died.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    with _opened(request, quiet=quiet) as study:
        return study.run()


def explain(request: Request, *, quiet: bool = False) -> list[tuple[str, str, str]]:
    """Everything up to the plan; returns each derived value and why it is what it is.

    Raises: as `run`.
    """
    with _opened(request, quiet=quiet) as study, study.fleet:
        prepared, chosen = study.prepare(), study.chosen
        plan, less = prepared.plan, study.halved(prepared)
    spent = ", ".join(f"{axis} {share:.0%}" for axis, share in costs(request.recipe, plan).items() if share)
    cells = ", ".join(cell.name for cell in plan.cell_list())
    shares = ", ".join(f"{source} {share:.1%}" for source, share in plan.natural.items())
    return [
        *plan.why,
        ("train.engine", chosen.kind, chosen.why),
        ("natural", shares, "share of each source's training tokens in the corpus"),
        ("cells", cells, f"besides {design.NATURAL}; each with {len(plan.seeds)} seeds"),
        ("predictions", ", ".join(plan.predictions) or "none", "registered before the runs that test them"),
        (
            "planned_tokens",
            f"{plan.planned_tokens + plan.more_tokens:,}",
            "training tokens that the fleet will compute",
        ),
        ("costs", spent, "share of the FLOPs that each question takes; the size trunk is the baseline of all"),
        ("half_budget", _less(plan, less), "what half the budget would change"),
    ]


def _less(plan: Plan, less: Plan | None) -> str:
    """What a smaller plan lacks."""
    if less is None:
        return "no study: too small for the fewest seeds and the shortest runs"
    gone = [cell.name for cell in plan.cell_list() if cell.name not in {other.name for other in less.cell_list()}]
    parts = [f"without {', '.join(gone)}" if gone else "all cells stay"]
    for name, now, then in (
        ("seeds", len(plan.seeds), len(less.seeds)),
        ("run_tokens", plan.run_steps * plan.step_tokens, less.run_steps * less.step_tokens),
        ("held-out tokens a source", plan.eval_tokens, less.eval_tokens),
    ):
        if now != then:
            parts.append(f"{name} {then:,} instead of {now:,}")
    if plan.detectable and less.detectable:
        parts.append(f"detectable effect {less.detectable:.2g} instead of {plan.detectable:.2g} bpb")
    return "; ".join(parts)


@contextlib.contextmanager
def _opened(request: Request, *, quiet: bool) -> Iterator[_Study]:
    """The study in its folder, which is locked; the time it takes is remembered however it ends."""
    space = Workspace(request.out)
    progress = Progress(request.language, quiet=quiet)
    with space.at_work(request.identity(), shlex.join(request.command), progress):
        yield _Study(request, space, progress)


class _Study:
    def __init__(self, request: Request, space: Workspace, progress: Progress) -> None:
        self.request, self.space, self.progress = request, space, progress
        self.recipe, self.store = request.recipe, space.store
        self.began = self.noted = time.monotonic()
        train = self.recipe.train
        before: Kind | None = None
        if space.settled:  # one that had begun before there were two engines does not say
            before = space.recall("engine") or "processes"
        self.chosen = choose(train.engine, before, request.ray)
        self.fleet = Fleet(
            self.store,
            self.chosen.engine(
                self.store.root, space.work, train.workers, train.members,
                lambda cell: progress.warn("lost", cell=cell),
            ),
        )  # fmt: skip

    def run(self) -> StudyResults:
        with self.fleet:
            prepared = self.prepare()
            self.space.remember(builtins=prepared.corpus.builtins, engine=self.chosen.kind)
            self.space.settle(corpus=prepared.corpus.fingerprint, plan=prepared.plan_artifact.fingerprint)
            inputs = self._tokens(prepared)
            workers = self.fleet.size
            prepared, everything, registered, chosen = self._train(prepared, inputs)
        vocabulary = prepared.tokens.encoder.vocabulary
        counted = baseline.losses(self.store, prepared.plan, self.recipe.train, inputs, vocabulary, self.progress)
        self.progress.stage("report")
        results = findings(
            Finished(prepared, self.recipe, self.store, inputs, everything, registered, counted, chosen),
            asked=Asked(self.request.title, shlex.join(self.request.command), self.request.budget_in_words),
            cost=self._cost(prepared, everything, workers),
        )
        write_json_atomic(self.space.path("claims.json"), [c.model_dump(mode="json") for c in results.claims])
        write_json_atomic(self.space.path("results.json"), results.model_dump(mode="json"))
        report.write(results, self.space.root, self.request.language)
        return results

    # From raw text to a plan

    def prepare(self) -> Prepared:
        if not self.store.root.joinpath(SHAPE.name).exists() and self.request.tokens is None:
            self.fleet.start()  # workers come up while the corpus is read
        corpus = self._scan()
        shape = self._shape(corpus)
        self.progress.stage("tokenizer")
        tokens = prepare.tokenizer(
            corpus, self.store, Learning(vocabulary=shape.vocabulary), self.recipe.tokens.sample_bytes
        )
        texts = self._texts(corpus, tokens.per_byte)
        found = [filters.decided(name, corpus, self.store) for name in dict.fromkeys(self.recipe.design.filters)]
        kept = {one.name: one.kept for one in found}

        def make(folder: Path) -> None:
            with too_little_told(self.request.sources, corpus.skipped):
                plan = make_plan(self.recipe, shape, texts, kept)
            (folder / "plan.json").write_text(plan.model_dump_json(indent=1), encoding="utf-8")

        # The shape is an input by value: what the budget buys is part of the plan's address.
        made = self.store.build(
            PLAN,
            {"corpus": corpus.fingerprint, "tokenizer": tokens.artifact.fingerprint},
            {
                "recipe": self.recipe.identity(),
                "shape": shape.model_dump(mode="json"),
                **({"kept": kept} if kept else {}),
            },
            make,
        )
        self.space.check(plan=made.fingerprint)
        plan = Plan.model_validate_json(made.file("plan.json").read_text(encoding="utf-8"))
        write_json_atomic(self.space.path("plan.json"), plan.model_dump(mode="json"))
        return Prepared(corpus, tokens, plan, made, found)

    def halved(self, prepared: Prepared) -> Plan | None:
        """The plan that half the budget would have paid for; None where it pays for none."""
        texts = self._texts(prepared.corpus, prepared.tokens.per_byte)
        return halved(self.recipe, prepared.plan, texts, prepared.kept)

    def _scan(self) -> Corpus:
        c = self.recipe.corpus
        corpus = scan(
            self.request.sources,
            ReadOptions.of(c),
            SplitOptions(eval_share=c.eval_share, test_share=c.test_share),
            self.store,
            self.progress.to,
            without=self.request.out,
            builtins=self.space.recall("builtins"),
            ray=self.request.ray,
        )
        self.space.check(corpus=corpus.fingerprint)
        return corpus

    def _shape(self, corpus: Corpus) -> Shape:
        request = self.request

        def probe(rung: tuple[int, int, int, int], dtype: str) -> float:
            layers, width, heads, vocabulary = rung
            train = self.recipe.train
            model = proxy(vocabulary, layers, width, heads)
            optimizer = OptimizerConfig(matrix=train.matrix_optimizer)
            step = Probe(model, train.row_tokens, train.batch_rows, dtype, optimizer=optimizer)
            if not self.chosen.stacked:
                return sum(self.fleet.probe(step))
            sizes = stacks(self.recipe, len(corpus.sources), train.seeds or LEAST_SEEDS)
            return 1 / sum(share / sum(self.fleet.probe(replace(step, members=n))) for n, share in sizes)

        def make(folder: Path) -> None:
            if self.space.settled:  # it was lost; what the plan was made from stands
                plan = Plan.model_validate_json(self.space.path("plan.json").read_text(encoding="utf-8"))
                (folder / "shape.json").write_text(plan.shape.model_dump_json(indent=1), encoding="utf-8")
                return
            left, other = None, 0.0
            if request.seconds is not None:
                self.progress.stage("probe")
                used = time.monotonic() - self.began
                other = used + FINISHING_SECONDS + FINISHING_SHARE * request.seconds
                left = request.seconds - other
                if left < LEAST_TRAINING_SECONDS:
                    raise InputError(
                        f"{request.seconds:.0f} s are no time to train: reading took {used:.0f} s, and the end needs"
                        f" {other - used:.0f} s",
                        where="--budget",
                        remedy=f"give {math.ceil((other + 60) / 60)}m at least (what has been read is kept)",
                    )
            workers, n = self.fleet.size, len(corpus.sources)
            shape = choose_shape(self.recipe, request.tokens, left, workers, n, probe, other)
            (folder / "shape.json").write_text(shape.model_dump_json(indent=1), encoding="utf-8")

        # Neither the machine nor the time that is left are part of the address: the first measurement stands.
        config = {"budget": request.identity()["budget"], "recipe": self.recipe.identity()}
        config |= {"engine": self.chosen.kind} if self.chosen.stacked else {}
        made = self.store.build(SHAPE, {"corpus": corpus.fingerprint}, config, make)
        return Shape.model_validate_json(made.file("shape.json").read_text(encoding="utf-8"))

    def _texts(self, corpus: Corpus, per_byte: dict[str, float]) -> list[SourceText]:
        documents = {row["source"]: row["train_documents"] for row in corpus.profile}
        return [
            SourceText(s, corpus.train_bytes(s) * per_byte[s], documents[s])
            for s in corpus.sources
            if corpus.train_bytes(s) and per_byte[s]
        ]

    # Tokens

    def _tokens(self, prepared: Prepared) -> JobInputs:
        plan, corpus = prepared.plan, prepared.corpus
        cells = plan.cell_list()
        planted = (cell.defect for cell in cells if cell.axis == "quality" and cell.defect != REPEATED)
        defects = [defect for defect in dict.fromkeys(planted) if defect]
        chosen = {cell.name for cell in cells if cell.axis == "filter"}
        self.progress.stage("tokens", 4 + len(defects) + len(chosen))
        streams = {
            "train": self._stream(
                prepared, "train", corpus.read("train", sources=list(plan.natural), below=plan.pool_share)
            )
        }
        self.progress.advance(1)
        per_char = {
            s: max(1, corpus.train_bytes(s)) * x / self._chars(corpus, s) for s, x in prepared.tokens.per_byte.items()
        }
        for defect in defects:
            pool, unchanged = plant.donors(defect, corpus, plan, self.store, self.recipe.seed), Counter[str]()
            batches = plant.damaged_documents(
                defect, corpus, plan, self.recipe.design, per_char, self.recipe.seed, pool, unchanged
            )
            streams[defect] = self._stream(prepared, defect, batches, partial(_spared, unchanged))
            self.progress.advance(1)
        for number, one in enumerate(prepared.filters):
            if design.filtered(one.name) in chosen:
                kept = filters.kept_documents(one, corpus, plan)
                control = filters.dropped_at_random(one, corpus, plan, self.recipe.seed)
                for name, batches in zip(design.filter_streams(number), (kept, control), strict=True):
                    streams[name] = self._chosen(prepared, name, batches, one)
                    self.progress.advance(1)
        evaluation = {}
        for split in ("eval", "test"):
            held_out = self._stream(prepared, split, corpus.read(split, sources=list(plan.natural)))
            evaluation[split] = prepare.evaluation_set(
                held_out, prepared.tokens.encoder, self.store, plan.row_tokens, plan.eval_tokens
            )
            self.progress.advance(1)
        if self.recipe.design.leaks:
            batch = leaks.planted_documents(evaluation["eval"], prepared.tokens.encoder, plan, self.recipe.design)
            config = {"sources": list(plan.natural), "copies": list(self.recipe.design.leaks), "plan": plan.run_steps}
            after = {"evaluation": evaluation["eval"].fingerprint}
            streams[LEAKED] = prepare.stream([batch], prepared.tokens, self.store, LEAKED, config, after)
        wanted = {cell.order for cell in cells if cell.order is not None}
        return JobInputs(
            streams,
            evaluation,
            prepared.tokens.artifact.fingerprint,
            fingerprint(self.request.identity()),
            device=self.chosen.device,
            orders={text: orders.values(text, corpus, streams["train"], self.store) for text in sorted(wanted)},
            stacked=self.chosen.stacked,
        )

    @staticmethod
    def _chars(corpus: Corpus, source: str) -> float:
        """Bytes of training text over bytes per character, near enough to size the planted copies."""
        chinese = next(p["languages"] for p in corpus.profile if p["source"] == source).get("zh", 0.0)
        return max(1.0, corpus.train_bytes(source) / (1 + 2 * chinese))

    def _stream(
        self, prepared: Prepared, name: str, batches: Any, told: Callable[[], Mapping[str, Any]] = dict
    ) -> Artifact:
        plan = prepared.plan
        config: dict[str, Any] = {"sources": list(plan.natural)}
        if name not in ("eval", "test"):
            config |= {"pool_share": plan.pool_share}
        if name not in ("eval", "test", "train"):
            design_values = self.recipe.design.model_dump(mode="json")
            config |= {
                "design": design_values,
                "run_tokens": plan.run_steps * plan.step_tokens,
                "parts": plan.parts,
                "seed": self.recipe.seed,
            }
        return prepare.stream(
            batches, prepared.tokens, self.store, name, config, {"corpus": prepared.corpus.fingerprint},
            aligned=name in DEFECTS and plant.aligned(name), whole=prepared.corpus.whole_texts, told=told,
        )  # fmt: skip

    def _chosen(self, prepared: Prepared, name: str, batches: Iterator[pa.RecordBatch], of: filters.Filter) -> Artifact:
        """The stream of what a filter keeps, or of its control."""
        plan = prepared.plan
        config = {"sources": list(plan.natural), "pool_share": plan.pool_share, "seed": self.recipe.seed}
        inputs = {"corpus": prepared.corpus.fingerprint, "decisions": of.decisions.fingerprint}
        whole = prepared.corpus.whole_texts
        made = prepare.stream(batches, prepared.tokens, self.store, name, config, inputs, whole=whole)
        read = next(cell.weights for cell in plan.cell_list() if cell.stream == name)
        for source, share in read.items():
            if share > 0 and made.summary["sources"][source]["tokens"] < plan.parts * plan.row_tokens:
                what = f"too little is left of {source} in the text that the study reads"
                remedy = "leave that filter out, or give a larger budget, which reads more text"
                raise InputError(what, where=f"design.filters {of.name}", remedy=remedy)
        return made

    # Runs

    def _train(
        self, prepared: Prepared, inputs: JobInputs
    ) -> tuple[Prepared, list[Artifact], list[predictions.Registered], SecondPass | None]:
        """Returns what was prepared (with fewer seeds, where the time has run out), the ledger, predictions, and what
        the second pass was spent on."""
        recipe, vocabulary = self.recipe.train, prepared.tokens.encoder.vocabulary
        plan, trunks, fitted = self._fit(prepared, inputs)
        self.progress.stage("predictions")
        registered = self._register(plan, inputs, [*trunks, *fitted])
        tests = jobs.cells(plan, recipe, vocabulary, fitted=False)
        if design.LARGER in plan.predictions:
            tests += jobs.larger(plan, recipe, vocabulary, trunks)
        self.progress.stage("test", sum(job.tokens for job in tests))
        everything = [*trunks, *fitted, *self.fleet.run(inputs, tests, self._advance)]
        prepared = replace(prepared, plan=plan)
        if not plan.more_seeds:
            return prepared, everything, registered, None
        chosen = self._second(prepared, inputs, [*trunks, *fitted])
        if again := jobs.second(plan, recipe, vocabulary, chosen.seeds):
            self.progress.stage("second", sum(job.tokens for job in again))
            everything += self.fleet.run(inputs, again, self._advance)
        return prepared, everything, registered, chosen

    def _second(self, prepared: Prepared, inputs: JobInputs, parts: list[Artifact]) -> SecondPass:
        """What more seeds are spent on, by the first pass's fitted runs; what was chosen once stands."""
        plan, recipe, vocabulary = prepared.plan, self.recipe.train, prepared.tokens.encoder.vocabulary
        runs = self.space.recall("second_runs")
        if runs is None:
            fitted = [*jobs.trunks(plan, recipe, vocabulary), *jobs.cells(plan, recipe, vocabulary, fitted=True)]
            runs = self._runs_in_time(plan, sum(job.tokens for job in fitted))
            self.space.remember(second_runs=runs)  # a rerun has another time left

        def make(folder: Path) -> None:
            chosen = second.chosen(plan, measurements(self.store, inputs, parts, "eval"), runs)
            (folder / "second.json").write_text(chosen.model_dump_json(indent=1), encoding="utf-8")

        ledger = fingerprint([part.fingerprint for part in parts])
        addresses = {"plan": prepared.plan_artifact.fingerprint, "ledger": ledger}
        made = self.store.build(SECOND, addresses, {"runs": runs}, make)
        return SecondPass.model_validate_json(made.file("second.json").read_text(encoding="utf-8"))

    def _runs_in_time(self, plan: Plan, done: int) -> int:
        """Runs of the second pass: all that were planned, or as many as a time budget leaves time for at the speed of
        the fitted runs.

        Args:
            done: training tokens of these.
        """
        if self.request.seconds is None:
            return plan.more_runs
        seconds = self.space.add_seconds(self.progress.take_seconds())
        finishing = FINISHING_SECONDS + FINISHING_SHARE * self.request.seconds
        left = max(0.0, self.request.seconds - finishing - sum(seconds.values()))
        a_run = plan.more_tokens / plan.more_runs
        return min(plan.more_runs, int(left * done / max(1e-9, seconds["fleet"]) / a_run))

    def _fit(self, prepared: Prepared, inputs: JobInputs) -> tuple[Plan, list[Artifact], list[Artifact]]:
        """Trunks and fitted cells of all seeds, in rounds once the fewest are done: on a machine that turns out
        slower than its probe said, the last seeds are left out. Returns the plan of those that ran, and the ledger."""
        plan, recipe, vocabulary = prepared.plan, self.recipe.train, prepared.tokens.encoder.vocabulary
        trunk_jobs = jobs.trunks(plan, recipe, vocabulary)
        cell_jobs = jobs.cells(plan, recipe, vocabulary, fitted=True)
        total = sum(job.tokens for job in (*trunk_jobs, *cell_jobs))
        self.progress.stage("fleet", total, after=max(0, plan.planned_tokens + plan.more_tokens - total))
        trunks: list[Artifact] = []
        cells: list[Artifact] = []
        n = 0
        while (upto := self._round(plan, n, total)) > n:
            now = plan.seeds[n:upto]
            own = [job for job in (*trunk_jobs, *cell_jobs) if job.stream.seed in now]
            parts = self.fleet.run(inputs, own, self._advance)
            trunks += parts[: len(now)]
            cells += parts[len(now) :]
            n = upto
        if self.request.seconds is not None:
            self.space.remember(seeds=n)  # a rerun has another time left
        return plan.with_seeds(n), trunks, cells

    def _round(self, plan: Plan, done: int, total: int) -> int:
        """How many seeds are done after the next round of the fleet; `done` where that was the last one.

        Args:
            total: as in `_time_for`.
        """
        n, decided = len(plan.seeds), self.space.recall("seeds")
        if decided or self.request.seconds is None or self.recipe.train.seeds:
            return decided or n
        if not done:
            return min(LEAST_SEEDS, n)
        # Of stacks all that there is time for: a round of one seed has stacks of few members.
        most = n if self.chosen.stacked else min(done + 1, n)
        return next((upto for upto in range(most, done, -1) if self._time_for(plan, done, upto, total)), done)

    def _time_for(self, plan: Plan, done: int, wanted: int, total: int) -> bool:
        """Whether `wanted` seeds, and the tests of their predictions, fit into the budget at the speed so far.

        Args:
            done: seeds that are fitted.
            total: training tokens of the fitted runs of all planned seeds.
        """
        seconds = self.space.add_seconds(self.progress.take_seconds())
        a_seed, n = total / len(plan.seeds), len(plan.seeds)
        rest = (wanted - done) * a_seed + wanted * (plan.planned_tokens / n - a_seed)
        left = (self.request.seconds or math.inf) - sum(seconds.values())
        return rest / (done * a_seed) * seconds["fleet"] <= left

    def _advance(self, tokens: int, *, found: bool = False) -> None:
        self.progress.advance(tokens, found=found)
        if time.monotonic() - self.noted > NOTED_SECONDS:
            self.space.add_seconds(self.progress.take_seconds())
            self.noted = time.monotonic()

    def _register(self, plan: Plan, inputs: JobInputs, parts: list[Artifact]) -> list[predictions.Registered]:
        path = self.space.path("predictions.json")
        if path.exists():  # registered before: what was written then stands
            return predictions.load(json.loads(path.read_text(encoding="utf-8")))
        measured, anchors = (measurements(self.store, inputs, parts, split) for split in ("eval", "test"))
        return predictions.register(path, plan, measured, anchors, self.recipe.design.level)

    def _cost(self, prepared: Prepared, parts: list[Artifact], workers: int) -> Cost:
        sums = (
            Ledger(self.store)
            .query(
                parts,
                """SELECT count(*) AS runs, sum(computed_tokens)::BIGINT AS tokens,
                      sum(C * computed_tokens / D) AS flops, sum(energy_joules) AS joules,
                      sum(wall_seconds) AS busy FROM runs""",
            )
            .row(0, named=True)
        )
        seconds = self.space.add_seconds(self.progress.take_seconds())
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        unit = 1 if sys.platform == "darwin" else 1024
        return Cost(
            seconds=sum(seconds.values()),
            seconds_by_stage=seconds,
            training_tokens=sums["tokens"],
            flops=sums["flops"],
            energy_joules=sums["joules"],
            energy_how="measured" if energy.measurable(self.chosen.device) else "estimated",
            runs=sums["runs"],
            peak_memory_bytes=(own + workers * child) * unit,
            tokens_per_second=sums["tokens"] / max(1e-9, sums["busy"]) * workers,
            device=self._device(workers, prepared.plan.shape.dtype),
        )

    def _device(self, workers: int, dtype: str) -> Both:
        if self.chosen.stacked:
            return both("fact.stacked", device="CPU" if self.chosen.device == "cpu" else "GPU", dtype=dtype)
        return both("fact.device", n=workers, dtype=dtype)


def _spared(unchanged: Counter[str]) -> dict[str, Any]:
    return {"unchanged": dict(unchanged)}


def summary(results: StudyResults, out: Path) -> dict[str, Any]:
    """The answer of `--json`."""
    tested = [claim.outcome for claim in results.claims if claim.outcome]
    return {
        "out": str(out),
        "claims": str(out / "claims.json"),
        "report": str(out / report.REPORT),
        "n_claims": len(results.claims),
        "n_supported": sum(claim.verdict == "supported" for claim in results.effects),
        "predictions": {
            "registered": sum(claim.prediction is not None for claim in results.claims),
            "tested": len(tested),
            "hits": sum(outcome.verdict == "hit" for outcome in tested),
        },
        "seconds": round(results.cost.seconds, 1),
        "tokens": results.cost.training_tokens,
        "assay_version": __version__,
        "fingerprint": fingerprint(results.fingerprints),
    }


def told(claims: Sequence[Claim], language: str) -> list[str]:
    """The headline claims as sentences, for the terminal."""
    return [getattr(claim.statement, language) for claim in claims if claim.headline]
