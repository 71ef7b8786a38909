"""From a plan to the fleet's jobs."""

from __future__ import annotations

from collections.abc import Mapping

from assay.impact import design
from assay.impact.design import Cell
from assay.impact.plan import WARMUP_STEPS, Plan
from assay.models.decoder import proxy
from assay.models.presets import heads_of
from assay.recipe.study import TrainRecipe
from assay.store import Artifact
from assay.tokens.sampler import StreamPlan
from assay.train.job import Branch, Job
from assay.train.loop import TrainSpec
from assay.train.optimizers import OptimizerConfig
from assay.train.transfer import transferred

BOTH = ("eval", "test")


def _spec(plan: Plan, recipe: TrainRecipe, vocabulary: int, seed: int, cell: Cell | None = None) -> TrainSpec:
    """The study's proxy, or that of the cell, to whose width the learning rates are transferred."""
    own = plan.shape
    layers, width = (cell.shape if cell else None) or own.size
    heads = own.heads if (layers, width) == own.size else heads_of(width)
    rates = OptimizerConfig(
        matrix=recipe.matrix_optimizer,
        matrix_lr=recipe.matrix_lr,
        embedding_lr=recipe.embedding_lr,
        head_lr=recipe.head_lr,
    )
    rates = transferred(rates, width, own.width).times(cell.rate if cell else 1.0)
    return TrainSpec(proxy(vocabulary, layers, width, heads), rates, seed, own.dtype)


def _stream(plan: Plan, cell: Cell | None, seed: int) -> StreamPlan:
    return StreamPlan(
        seed=seed,
        weights=cell.weights if cell else plan.natural,
        row_tokens=plan.row_tokens,
        batch_rows=plan.batch_rows,
        defect=cell.defect if cell else None,
        dose=cell.dose if cell else 0.0,
        part=plan.part(seed),
        stream=cell.stream if cell else "train",
        order=cell.order if cell else None,
        only=cell.source if cell and cell.axis == "quality" else None,
        also=cell.also if cell else None,
    )


def trunks(plan: Plan, recipe: TrainRecipe, vocabulary: int) -> list[Job]:
    """One job a seed: natural, with a branch for every size of the law. The runs that predictions are anchored on
    are evaluated on the test text as well, which nothing else reads."""
    anchors = {plan.run_steps, plan.branch_steps[-1]}
    steps = sorted({*plan.branch_steps, plan.run_steps})
    branches = tuple(Branch(s, plan.decay(s), BOTH if s in anchors else ("eval",)) for s in steps)
    return [
        Job(design.NATURAL, "size", _spec(plan, recipe, vocabulary, seed), _stream(plan, None, seed), branches,
            WARMUP_STEPS, keep=True)
        for seed in plan.seeds
    ]  # fmt: skip


def cells(plan: Plan, recipe: TrainRecipe, vocabulary: int, *, fitted: bool) -> list[Job]:
    """One job a cell and seed: those that are fitted, with a branch at half of the run, or those that predictions are
    tested on."""
    own = [cell for cell in plan.cell_list() if cell.fitted is fitted]
    return [_cell(plan, recipe, vocabulary, cell, seed) for cell in own for seed in plan.seeds]


def _cell(plan: Plan, recipe: TrainRecipe, vocabulary: int, cell: Cell, seed: int) -> Job:
    whole = Branch(plan.run_steps, plan.decay(plan.run_steps), ("eval",) if cell.fitted else BOTH)
    half = Branch(plan.half_steps, plan.decay(plan.half_steps))
    twice = cell.fitted and plan.half_steps < plan.run_steps and cell.halves
    return Job(cell.name, cell.axis, _spec(plan, recipe, vocabulary, seed, cell), _stream(plan, cell, seed),
               (half, whole) if twice else (whole,), WARMUP_STEPS)  # fmt: skip


def second(plan: Plan, recipe: TrainRecipe, vocabulary: int, seeds: Mapping[str, int]) -> list[Job]:
    """The runs of the second pass: of each cell, the corpus as it is among them, the first so many of `more_seeds`."""
    known = {cell.name: cell for cell in plan.cell_list()}
    known[design.NATURAL] = Cell(design.NATURAL, "size", plan.natural)
    return [
        _cell(plan, recipe, vocabulary, known[name], seed) for name, n in seeds.items() for seed in plan.more_seeds[:n]
    ]


def larger(plan: Plan, recipe: TrainRecipe, vocabulary: int, trunk_parts: list[Artifact]) -> list[Job]:
    """The runs that test the size law: each goes on from its seed's kept trunk."""
    last = plan.branch_steps[-1]
    branch = Branch(plan.held_out_steps, plan.decay(plan.held_out_steps), BOTH)
    return [
        Job(design.NATURAL, "size", _spec(plan, recipe, vocabulary, seed), _stream(plan, None, seed), (branch,),
            WARMUP_STEPS, start=part.fingerprint, start_step=last - plan.decay(last))
        for seed, part in zip(plan.seeds, trunk_parts, strict=True)
    ]  # fmt: skip
