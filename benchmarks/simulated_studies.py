"""What studies claim where the truth is known: ledgers drawn from known laws, through the whole analysis.

    python benchmarks/simulated_studies.py [--studies 500] [--null 500]

Every study has four sources, doses of two defects, mixtures, held-out doses and mixtures, and three to five seeds. The
loss of a document is its source's law of effective data, E + B D^-beta, plus what is particular to the document, the
seed, the seed in this cell, and the document in this cell, of the sizes that past studies had. A mixture multiplies a
source's data by how useful it is to it; a defect makes a share of the tokens useless. In null studies every cell is as
the natural one.

Stored: how often the raw 90 % intervals of effects hold the true ones, how often registered predictions held (all with
Wilson's intervals), the share of tokens lost, what doubling changes; of the claims of null studies, how many were
supported, and in how many studies any was.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from assay.impact import design, predictions
from assay.impact.analysis import Analysis
from assay.impact.drafts import drafts
from assay.impact.measure import Measurements, Split
from assay.impact.plan import Plan, SourceText, make_plan
from assay.impact.shape import choose_shape
from assay.impact.statements import decide
from assay.ledger import Ledger
from assay.machine import one_thread
from assay.recipe.load import load
from assay.recipe.study import StudyRecipe
from assay.store import Store
from common import share, store_result

SOURCES, DOCUMENTS, TOKENS = ("books", "forum", "news", "talk"), 40, 3e7
DEFECTS = ("character_noise", "shuffle_words")
# Standard deviations in bits per byte: of a seed, of a seed in a cell, of a document, of a document in a cell.
SEED, CELL, DOCUMENT, DOCUMENT_IN_CELL = 0.006, 0.004, 0.25, 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--null", type=int, default=500)
    given = parser.parse_args()
    held: dict[str, list[bool]] = defaultdict(list)
    supported: list[tuple[int, int]] = []
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        for seed in range(given.studies):
            for what, ok in _study(seed, Path(folder)):
                held[what].append(ok)
        for seed in range(given.null):
            supported.append(_null(10_000 + seed, Path(folder)))
    claims, any_of = sum(n for n, _ in supported), [found > 0 for _, found in supported]
    store_result(
        "simulated_studies",
        {
            "level": 0.9,
            "studies": given.studies,
            "held": {what: share(each) for what, each in held.items()},
            "null": {
                "claims": claims,
                "supported": sum(found for _, found in supported),
                "studies": share(any_of),
            },
        },
    )


@dataclass(frozen=True)
class Truth:
    """Laws of the sources, what a mixture and a defect do.

    Attributes:
        floor, scale, exponent: (sources,) of each law.
        useful: (sources, sources) how useful text of each source (columns) is to each (rows).
        lost: share of the tokens that each defect makes useless, at a dose of 1.
    """

    floor: np.ndarray
    scale: np.ndarray
    exponent: np.ndarray
    useful: np.ndarray
    lost: dict[str, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Truth:
        n = len(SOURCES)
        useful = np.eye(n) + rng.uniform(0.05, 0.4, (n, n))
        lost = {defect: rng.uniform(0.05, 0.6) for defect in DEFECTS}
        return cls(rng.uniform(1.0, 2.0, n), rng.uniform(60, 160, n), rng.uniform(0.36, 0.44, n), useful, lost)

    def loss(self, plan: Plan, tokens: float, cell: design.Cell | None) -> np.ndarray:
        """(sources,) bits per byte."""
        natural = np.array([plan.natural[s] for s in SOURCES])
        effective = np.full(len(SOURCES), float(tokens))
        if cell is not None:
            shares = np.array([cell.weights[s] for s in SOURCES])
            effective *= self.useful @ shares / (self.useful @ natural)
            if cell.defect is not None:
                effective *= 1 - self.lost[cell.defect] * cell.dose
        return np.asarray(self.floor + self.scale * effective**-self.exponent)


@dataclass(frozen=True)
class Simulated:
    """A study as its analysis sees it, and what is true.

    Attributes:
        later: (cell, tokens, seed) -> losses of eval documents (nats) in runs that a second pass may do.
    """

    plan: Plan
    truth: Truth | None
    analysis: Analysis
    recipe: StudyRecipe
    later: dict[tuple[str, int, int], np.ndarray]

    def true(self, cell: str, tokens: float) -> np.ndarray:
        """(targets,) the mean over sources first."""
        assert self.truth is not None
        own = next((one for one in self.plan.cell_list() if one.name == cell), None)
        losses = self.truth.loss(self.plan, tokens, own)
        return np.concatenate([[losses.mean()], losses])

    def with_more(self, seeds: Mapping[str, int]) -> Analysis:
        """The analysis after a second pass of so many more seeds of each cell."""
        every = self.analysis.every.of([*self.plan.seeds, *self.plan.more_seeds])
        for (cell, tokens, seed), nll in self.later.items():
            if seed in self.plan.more_seeds[: seeds.get(cell, 0)]:
                every.add(cell, tokens, seed, "eval", nll)
        return replace(self.analysis, every=every)


def simulated(
    seed: int,
    folder: Path,
    *,
    null: bool = False,
    more: Sequence[str] = (),
    luck: Callable[[Plan], float] = lambda _: 1.0,
    predicted: bool = True,
) -> Simulated:
    """A study drawn by chance.

    Args:
        more: options of its recipe, after those that are drawn.
        luck: factor on the standard deviations of seeds.
        predicted: whether predictions are registered.
    """
    rng = np.random.default_rng(seed)
    options = [
        f"train.seeds={rng.integers(3, 6)}", f"design.defects=[{', '.join(DEFECTS)}]", "design.doses=[0.2, 0.6]",
        "design.held_out_doses=[0.4]", "design.held_out_mixtures=2", f"seed={seed}", *more,
    ]  # fmt: skip
    recipe = load(StudyRecipe, None, options)[0]
    shape = choose_shape(recipe, TOKENS, None, 2, len(SOURCES), lambda *_: 1.0)
    plan = make_plan(recipe, shape, [SourceText(s, rng.uniform(1e7, 4e7), 5_000) for s in SOURCES])
    truth = Truth.drawn(rng)
    by_split = {split: _documents(rng) for split in ("eval", "test")}
    store, drawn = Store(folder / str(seed)), _Drawn(plan, truth, null, luck(plan), rng)
    (eval_, later), (test, _) = (drawn.measured(by_split, split, store) for split in ("eval", "test"))
    level = recipe.design.level
    registered = predictions.register(folder / "predictions.json", plan, eval_, test, level) if predicted else []
    analysis = Analysis(plan, eval_, test, registered, recipe.design)
    return Simulated(plan, None if null else truth, analysis, recipe, later)


def _documents(rng: np.random.Generator) -> pl.DataFrame:
    n = len(SOURCES) * DOCUMENTS
    return pl.DataFrame(
        {
            "doc_id": [f"{i:032x}" for i in range(n)],
            "source": [source for source in SOURCES for _ in range(DOCUMENTS)],
            "unit": [i for _ in SOURCES for i in range(DOCUMENTS)],
            "n_tokens": np.full(n, 128),
            "n_bytes": rng.integers(250, 700, n),
        }
    )


@dataclass(frozen=True)
class _Drawn:
    """Runs of a study drawn by chance."""

    plan: Plan
    truth: Truth
    null: bool
    luck: float
    rng: np.random.Generator

    def measured(
        self, documents: dict[str, pl.DataFrame], split: Split, store: Store
    ) -> tuple[Measurements, dict[tuple[str, int, int], np.ndarray]]:
        """Losses on one split, and those of the runs that a second pass may do."""
        plan, rng, found = self.plan, self.rng, Measurements(Ledger(store), [], documents, (split,))
        n_bytes = documents[split]["n_bytes"].to_numpy().astype(float)
        source = np.repeat(np.arange(len(SOURCES)), DOCUMENTS)
        own = rng.normal(0, DOCUMENT, len(source))
        of_seed = {seed: self.luck * rng.normal(0, SEED, len(SOURCES)) for seed in (*plan.seeds, *plan.more_seeds)}
        run, later = plan.run_steps, {}
        wanted = [(design.NATURAL, steps, None) for steps in sorted({*plan.branch_steps, run, plan.held_out_steps})]
        wanted += [(cell.name, run, cell) for cell in plan.cell_list()]
        for name, steps, cell in wanted:
            tokens = steps * plan.step_tokens
            in_cell = rng.normal(0, DOCUMENT_IN_CELL, len(source)) if cell is not None else 0.0
            losses = self.truth.loss(plan, tokens, None if self.null else cell)
            again = plan.more_seeds if steps == run and (cell is None or cell.is_recipe) else []
            for seed in (*plan.seeds, *again):
                noise = of_seed[seed] + self.luck * rng.normal(0, CELL, len(SOURCES))
                nll = n_bytes * ((losses + noise)[source] + own + in_cell) * np.log(2)
                if seed in again:
                    later[name, tokens, seed] = nll
                else:
                    found.add(name, tokens, seed, split, nll)
        found.seeds = sorted(plan.seeds)
        return found, later


def _study(seed: int, folder: Path) -> list[tuple[str, bool]]:
    """What held in one study."""
    study = simulated(seed, folder)
    of, found = study.analysis, []
    natural = study.true(design.NATURAL, of.run_tokens)
    for cell in of.cells:
        if not cell.fitted:
            continue
        true = study.true(cell.name, of.run_tokens) - natural
        kind = "dose" if cell.defect else "mixture"
        for i, difference in enumerate(of.effects[cell.name]):
            low, high = difference.interval(0.9)
            found.append((f"effect, {kind}", bool(low <= true[i] <= high)))
        if cell.defect and study.truth is not None and (lost := of.lost(cell)) is not None:
            found.append(("tokens lost", bool(lost[1] <= study.truth.lost[cell.defect] * cell.dose <= lost[2])))
    half, longest = of.doublings[-2:]
    true = study.true(design.NATURAL, longest) - study.true(design.NATURAL, half)
    for i, difference in enumerate(of.measured.along_trunk(design.NATURAL, of.doublings)):
        low, high = difference.interval(0.9)
        found.append(("effect, doubling", bool(low <= true[i] <= high)))
    for entry in of.registered:
        measured, _ = predictions.outcome(entry, of.tested)
        for level, low, high in entry.bands:
            held = entry.anchor + low <= measured <= entry.anchor + high
            found.append((f"prediction, {entry.kind}, {level:.0%}", bool(held)))
    return found


def _null(seed: int, folder: Path) -> tuple[int, int]:
    """Claims of a study in which no cell does anything, and how many of them were supported."""
    study = simulated(seed, folder, null=True)
    wanted = study.recipe.design
    own = [draft for draft in drafts(study.analysis) if draft.kind in ("quality", "distribution")]
    claims = decide(own, wanted.level, wanted.false_discovery_rate)
    return len(claims), sum(claim.verdict == "supported" for claim in claims)


if __name__ == "__main__":
    main()
