"""The runs of a study: trunks and fitted cells of all seeds, the runs that test predictions, the second pass.

Seeds are run in turn; under a time budget as many as the machine turns out to have time for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.impact import design, jobs, predictions, second
from assay.impact.findings import Prepared, measurements
from assay.impact.plan import Plan
from assay.impact.predictions import Registered
from assay.impact.second import SECOND, SecondPass
from assay.store import Artifact, fingerprint
from assay.study.opened import LEAST_SEEDS, Opened
from assay.train.job import Job, JobInputs


@dataclass(frozen=True)
class Ran:
    """What the runs left.

    Attributes:
        plan: with fewer seeds, where the time has run out.
        parts: ledger artifacts of all runs.
        second: what the second pass was spent on, where there was one.
    """

    plan: Plan
    parts: list[Artifact]
    registered: list[Registered]
    second: SecondPass | None = None


class Passes:
    """See the module."""

    def __init__(self, study: Opened, ready: Prepared, inputs: JobInputs) -> None:
        self.study, self.ready, self.inputs = study, ready, inputs
        self.how, self.vocabulary = study.recipe.train, ready.tokens.encoder.vocabulary

    def run(self) -> Ran:
        """All runs, or what is left of them. Predictions are written down before those that test them."""
        study = self.study
        plan, trunks, cells = self._fit()
        fitted = [*trunks, *cells]
        study.progress.stage("predictions")
        registered = self._register(plan, fitted)
        tests = jobs.cells(plan, self.how, self.vocabulary, fitted=False)
        if design.LARGER in plan.predictions:
            tests += jobs.larger(plan, self.how, self.vocabulary, trunks)
        study.progress.stage("test", sum(job.tokens for job in tests))
        parts = [*fitted, *self._run(tests)]
        if not plan.more_seeds:
            return Ran(plan, parts, registered)
        chosen = self._second(plan, fitted)
        if again := jobs.second(plan, self.how, self.vocabulary, chosen.seeds):
            study.progress.stage("second", sum(job.tokens for job in again))
            parts += self._run(again)
        return Ran(plan, parts, registered, chosen)

    def _run(self, wanted: Sequence[Job]) -> list[Artifact]:
        return self.study.fleet.run(self.inputs, wanted, self.study.advance)

    def _fitted(self, plan: Plan) -> tuple[list[Job], list[Job]]:
        """Jobs of the trunks, and of the cells that are fitted."""
        return (
            jobs.trunks(plan, self.how, self.vocabulary),
            jobs.cells(plan, self.how, self.vocabulary, fitted=True),
        )

    def _second(self, plan: Plan, parts: list[Artifact]) -> SecondPass:
        """What more seeds are spent on, by the first pass's fitted runs; what was chosen once stands."""
        study = self.study
        runs = study.space.recall("second_runs")
        if runs is None:
            trunks, cells = self._fitted(plan)
            runs = self._runs_in_time(plan, sum(job.tokens for job in (*trunks, *cells)))
            study.space.remember(second_runs=runs)  # a rerun has another time left

        def make(folder: Path) -> None:
            chosen = second.chosen(plan, measurements(study.store, self.inputs, parts, "eval"), runs)
            (folder / "second.json").write_text(chosen.model_dump_json(indent=1), encoding="utf-8")

        ledger = fingerprint([part.fingerprint for part in parts])
        addresses = {"plan": self.ready.plan_artifact.fingerprint, "ledger": ledger}
        made = study.store.build(SECOND, addresses, {"runs": runs}, make)
        return SecondPass.model_validate_json(made.file("second.json").read_text(encoding="utf-8"))

    def _runs_in_time(self, plan: Plan, done: int) -> int:
        """Runs of the second pass: all that were planned, or as many as a time budget leaves time for at the speed of
        the fitted runs.

        Args:
            done: training tokens of these.
        """
        if self.study.request.seconds is None:
            return plan.more_runs
        seconds = self.study.seconds()
        left = max(0.0, self.study.request.seconds - self.study.finishing - sum(seconds.values()))
        a_run = plan.more_tokens / plan.more_runs
        return min(plan.more_runs, int(left * done / max(1e-9, seconds["fleet"]) / a_run))

    def _fit(self) -> tuple[Plan, list[Artifact], list[Artifact]]:
        """Trunks and fitted cells of all seeds, in rounds once the fewest are done: on a machine that turns out
        slower than its probe said, the last seeds are left out. Returns the plan of those that ran, and the ledger."""
        plan, study = self.ready.plan, self.study
        trunk_jobs, cell_jobs = self._fitted(plan)
        total = sum(job.tokens for job in (*trunk_jobs, *cell_jobs))
        study.progress.stage("fleet", total, after=max(0, plan.planned_tokens + plan.more_tokens - total))
        trunks: list[Artifact] = []
        cells: list[Artifact] = []
        n = 0
        while (upto := self._round(plan, n, total)) > n:
            now = plan.seeds[n:upto]
            own = [job for job in (*trunk_jobs, *cell_jobs) if job.stream.seed in now]
            parts = self._run(own)
            trunks += parts[: len(now)]
            cells += parts[len(now) :]
            n = upto
        if study.request.seconds is not None:
            study.space.remember(seeds=n)  # a rerun has another time left
        return plan.with_seeds(n), trunks, cells

    def _round(self, plan: Plan, done: int, total: int) -> int:
        """How many seeds are done after the next round of the fleet; `done` where that was the last one.

        Args:
            total: as in `_time_for`.
        """
        n, decided = len(plan.seeds), self.study.space.recall("seeds")
        if decided or self.study.request.seconds is None or self.study.recipe.train.seeds:
            return decided or n
        if not done:
            return min(LEAST_SEEDS, n)
        # Of stacks all that there is time for: a round of one seed has stacks of few members.
        most = n if self.study.chosen.stacked else min(done + 1, n)
        return next((upto for upto in range(most, done, -1) if self._time_for(plan, done, upto, total)), done)

    def _time_for(self, plan: Plan, done: int, wanted: int, total: int) -> bool:
        """Whether `wanted` seeds, and the tests of their predictions, fit into the budget at the speed so far.

        Args:
            done: seeds that are fitted.
            total: training tokens of the fitted runs of all planned seeds.
        """
        seconds = self.study.seconds()
        a_seed, n = total / len(plan.seeds), len(plan.seeds)
        rest = (wanted - done) * a_seed + wanted * (plan.planned_tokens / n - a_seed)
        left = (self.study.request.seconds or math.inf) - sum(seconds.values())
        return rest / (done * a_seed) * seconds["fleet"] <= left

    def _register(self, plan: Plan, parts: list[Artifact]) -> list[predictions.Registered]:
        path = self.study.space.path("predictions.json")
        if path.exists():  # registered before: what was written then stands
            return predictions.load(json.loads(path.read_text(encoding="utf-8")))
        measured, anchors = (measurements(self.study.store, self.inputs, parts, split) for split in ("eval", "test"))
        return predictions.register(path, plan, measured, anchors, self.study.recipe.design.level)
