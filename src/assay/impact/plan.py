"""From questions and a budget to cells, seeds and run sizes: the stored plan of a study.

    probe of this machine (or --tokens)  -> the proxy, training tokens that the budget buys (`shape`)
    tokens, cells, seeds                 -> tokens of a comparison run, D_c
    D_c                                  -> sizes of the trunk's branches up to 2 D_c, and the held-out run of 4 D_c
    what is kept back                    -> runs and seeds of the second pass (`second`)

All costs are counted in tokens of training: a token of evaluation costs a third of one. What cannot be afforded is
dropped, in a fixed order, and said. Every derived value is kept with the reason for it, for `--explain`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from assay.errors import InputError
from assay.impact import design, power
from assay.impact.design import Cell
from assay.impact.shape import HELD_OUT_SIZE, Shape, branch_sizes, trunk_cost
from assay.impact.statements import proxy_text
from assay.present.numbers import compact, percent
from assay.present.words import both
from assay.recipe.study import StudyRecipe
from assay.tokens.sampler import Part

MOST_EPOCHS = 4.0  # repeated up to four times, text is worth almost as much as fresh (Muennighoff et al. 2023)
LEAST_RUN_TOKENS = 40_000  # below this a proxy knows little more than the frequencies of its tokens
LEAST_RUN_STEPS = 39  # below this the smallest branch of the trunk ends within the warmup
HALF = 0.5  # of a comparison run: where every cell branches off once more, to see how effects change with size
WARMUP_STEPS = 10
HELD_OUT_EPOCHS = 2.0  # at most, of the held-out run: those that the law is fitted on read nothing twice
# The text that a study reads of a source: so many times what its longest run needs, so many times that for each seed,
# and so many documents for each seed.
POOL_TIMES, PART_TIMES, POOL_DOCUMENTS = 4.0, 1.25, 20
EVAL_COST = 1 / 3
EVAL_SHARE = 0.3  # of a comparison run: with EVAL_COST, a tenth of the time
LEAST_EVAL_TOKENS, MOST_EVAL_TOKENS = 2_000, 20_000  # a source


class Plan(BaseModel):
    """A study's plan: everything that decides its numbers, besides the corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: Shape
    row_tokens: int
    batch_rows: int
    seeds: list[int]
    parts: int  # of the training text: one for each seed that was planned, those of the second pass included
    more_seeds: list[int] = []  # of the second pass
    more_runs: int = 0  # of it, each as long as a comparison run
    more_tokens: int = 0  # training tokens of these, besides those that are planned for the first pass
    natural: dict[str, float]
    run_steps: int
    branch_steps: list[int]
    held_out_steps: int
    decay_share: float
    eval_tokens: int
    pool_share: dict[str, float]
    cells: list[dict[str, Any]]
    predictions: list[str]
    planned_tokens: int
    corpus_tokens: float = 0.0  # of all training text
    # bpb: the smallest effects on the mean and on one source's text that a claim is expected to find; see `power`
    detectable: float | None = None
    detectable_in_one: float | None = None
    notices: list[dict[str, str]]
    why: list[tuple[str, str, str]]

    @property
    def step_tokens(self) -> int:
        return self.row_tokens * self.batch_rows

    @property
    def half_steps(self) -> int:
        """Steps of the trunk's branch that is half as long as a comparison run."""
        return min(self.branch_steps, key=lambda steps: abs(steps - HALF * self.run_steps))

    def part(self, seed: int) -> Part:
        """What a seed reads of the training text; seeds are numbered on end."""
        return Part(seed - self.seeds[0], self.parts, self.seeds[0])

    def cell_list(self) -> list[Cell]:
        return [Cell.read(cell) for cell in self.cells]

    def with_seeds(self, n: int) -> Plan:
        """The plan with its first `n` seeds alone, and a notice if these are fewer."""
        if n >= len(self.seeds):
            return self
        said = _notice("seeds", str(n), planned=len(self.seeds))
        share = n / len(self.seeds)
        return self.model_copy(
            update={
                "seeds": self.seeds[:n],
                "notices": [*self.notices, said],
                "planned_tokens": round(share * self.planned_tokens),
            }
        )

    def decay(self, steps: int) -> int:
        """Steps of the falling learning rate in a run of so many."""
        return max(1, round(steps * self.decay_share))


@dataclass(frozen=True)
class SourceText:
    """Training text of a source, in tokens of the study's tokenizer (measured on its sample)."""

    source: str
    tokens: float
    documents: int


def make_plan(
    recipe: StudyRecipe, shape: Shape, texts: list[SourceText], kept: dict[str, dict[str, float]] | None = None
) -> Plan:
    """Cells, seeds and run sizes: of what the budget leaves when the second pass's share is kept back; of all of it
    where there is nothing to use that for.

    Args:
        kept: filter -> source -> share of its training text that it keeps.

    Raises:
        InputError: the budget cannot pay for the smallest design, or the corpus cannot feed it.
    """
    share = recipe.design.second_pass
    if not share:
        return _planned(recipe, shape, texts, kept, 0.0)
    found = _planned(recipe, shape, texts, kept, share * shape.total_tokens)
    choice = any(cell.is_recipe for cell in found.cell_list())
    if choice and found.more_seeds:
        return found
    whole = _planned(recipe, shape, texts, kept, 0.0)
    said = both("notice.no_room" if choice else "notice.no_recipes")
    return whole.model_copy(update={"notices": [*whole.notices, said]})


def _planned(
    recipe: StudyRecipe,
    shape: Shape,
    texts: list[SourceText],
    kept: dict[str, dict[str, float]] | None,
    kept_back: float,
) -> Plan:
    """`make_plan` with so many tokens of the budget kept back; they stay unused where the plan has no `more_seeds`."""
    paid = shape.model_copy(update={"total_tokens": round(shape.total_tokens - kept_back)})
    total = sum(text.tokens for text in texts)
    natural = {text.source: text.tokens / total for text in texts}
    step_tokens = recipe.train.row_tokens * recipe.train.batch_rows
    first = _first_pass(recipe, shape, paid, texts, natural, kept)
    seeds, eval_tokens, notices = first.seeds, first.eval_tokens, first.notices
    run_steps = round(first.run_tokens / step_tokens)
    second = _second_pass(recipe, kept_back, first, total, run_steps * step_tokens, len(texts))
    parts = seeds + second.seeds
    part = total / parts  # each seed reads its own documents
    most = {s: min(1.0, MOST_EPOCHS * natural[s] * part / (run_steps * step_tokens)) for s in natural}
    # A filter's cells, too, read nothing more than MOST_EPOCHS times.
    least = run_steps * step_tokens / (MOST_EPOCHS * part)
    cells = _cells(recipe, shape, natural, first.targets, first.doses, most, kept, least)
    notices += _idle(recipe, shape, cells, natural, kept or {})
    branches = sorted({max(WARMUP_STEPS, round(size * run_steps)) for size in branch_sizes(recipe)})
    held_out_steps = round(HELD_OUT_SIZE * run_steps)
    lengths = held_out_steps * step_tokens, run_steps * step_tokens
    pool_share = _pool_shares(cells, texts, parts, *lengths, kept or {})
    why = [
        *shape.why,
        ("train.seeds", str(seeds), "paired runs of every cell"),
        ("run_tokens", f"{run_steps * step_tokens:,}", f"{run_steps} steps: what the budget leaves for each of "
         f"{len(cells) + 1} cells x {seeds} seeds besides the trunk"),
        ("size_branches", ", ".join(f"{b * step_tokens:,}" for b in branches), "sizes that the law is fitted on"),
        ("held_out", f"{held_out_steps * step_tokens:,}", "tokens of the runs that test the law"),
        ("eval_tokens", f"{eval_tokens:,}", f"held-out tokens a source: in all {EVAL_SHARE:.0%} of a comparison run"),
    ]  # fmt: skip
    if second.seeds:
        what = f"{kept_back:,.0f} tokens are kept back, and text for {second.seeds} more seeds, for the recipes between"
        why.append(("second_pass", f"{second.runs} runs", f"{what} which the first pass leaves doubt"))
    predictions = [design.LARGER] if "size" in recipe.design.axes else []
    predictions += [cell.name for cell in cells if not cell.fitted]
    planned = _planned_tokens(recipe, cells, run_steps, branches, held_out_steps) * seeds * step_tokens
    seen = _detectable(recipe, cells, run_steps * step_tokens, seeds, eval_tokens, len(texts))
    why += [
        (name, f"{effect:.2g} bpb", f"smallest effect on {whose} that a claim should find, by past studies' scatter")
        for name, effect, whose in zip(
            ("detectable", "detectable_in_one"), seen, ("the mean over sources", "one source's text"), strict=True
        )
    ]
    numbers = [recipe.seed * 1000 + i for i in range(parts)]
    return Plan(
        shape=shape, row_tokens=recipe.train.row_tokens, batch_rows=recipe.train.batch_rows,
        seeds=numbers[:seeds], parts=parts, more_seeds=numbers[seeds:], more_runs=second.runs,
        more_tokens=second.tokens, natural=natural, run_steps=run_steps,
        branch_steps=branches, held_out_steps=held_out_steps, decay_share=recipe.train.decay_share,
        eval_tokens=eval_tokens, pool_share=pool_share, cells=[cell.as_dict() for cell in cells],
        predictions=predictions, planned_tokens=planned, corpus_tokens=total, detectable=seen[0],
        detectable_in_one=seen[1], notices=notices, why=why,
    )  # fmt: skip


@dataclass(frozen=True)
class _FirstPass:
    """What the budget buys of it, and notices of what it does not."""

    seeds: int
    doses: tuple[float, ...]
    targets: list[str]
    cells: list[Cell]
    eval_tokens: int
    run_tokens: float
    notices: list[dict[str, str]]


def _first_pass(
    recipe: StudyRecipe,
    shape: Shape,
    paid: Shape,
    texts: list[SourceText],
    natural: dict[str, float],
    kept: dict[str, dict[str, float]] | None,
) -> _FirstPass:
    """Seeds and run sizes that what is `paid` buys; the cells are those of a corpus that feeds any mixture."""
    total, notices = sum(text.tokens for text in texts), []
    seeds, doses = recipe.train.seeds or _seeds_fed(recipe, total), tuple(sorted(set(recipe.design.doses)))
    targets = sorted((t.source for t in texts), key=lambda s: -natural[s])
    while True:
        cells = _cells(recipe, shape, natural, targets, doses, {s: 1.0 for s in natural}, kept)
        eval_tokens = recipe.tokens.eval_tokens or _eval_tokens(recipe, paid, cells, seeds, len(texts))
        run_tokens = _run_tokens(recipe, paid, cells, seeds, eval_tokens, len(texts))
        if run_tokens >= _least_run_tokens(recipe):
            break
        if recipe.train.seeds is None and seeds > 3:
            seeds -= 1
        elif len(doses) > 1:
            room = [dose for dose in doses if 2 * dose <= 1] if recipe.design.together else doses
            doses = tuple(room[-1:])  # a pair of defects takes twice as much
            notices.append(_notice("doses", f"{doses[0]:g}"))
        elif len(targets) > 2:
            targets = targets[:-1]
        else:
            raise _too_small(recipe, shape, paid, cells, seeds, len(texts))
    if len(targets) < len(texts):
        notices.append(_notice("sources", str(len(texts) - len(targets))))
    if recipe.train.seeds is None:
        # More seeds once runs are long enough that seeds, not run length, limit what can be told apart.
        affordable = min(run_tokens, _most_run_tokens(recipe, total, seeds))
        seeds = max(seeds, min(8, 3 + int(affordable // 200_000)))
        run_tokens = _run_tokens(recipe, paid, cells, seeds, eval_tokens, len(texts))
    if (most_tokens := _most_run_tokens(recipe, total, seeds)) < run_tokens:
        run_tokens = most_tokens
        notices.append(_notice("corpus", compact(total)))
    if not cells and "size" not in recipe.design.axes:
        raise InputError(
            "there is nothing to compare: a corpus of one source has no mixtures",
            where="design.axes",
            remedy="ask for size or quality, too, or give a corpus of several sources",
        )
    return _FirstPass(seeds, doses, targets, cells, eval_tokens, run_tokens, notices)


@dataclass(frozen=True)
class _SecondPass:
    """What is kept back for it."""

    runs: int = 0
    seeds: int = 0
    tokens: int = 0  # training tokens of the runs


def _second_pass(
    recipe: StudyRecipe, kept_back: float, first: _FirstPass, total: float, run_tokens: int, n_sources: int
) -> _SecondPass:
    """Runs and seeds that so many tokens buy, evaluation included; none where there is nothing to spend them on.

    A new seed of a recipe takes two runs, its own and that of the corpus as it is, both measured at half as well. There
    are no more seeds than in the first pass, so that choosing by what that found moves no interval far (`second`), nor
    more than a corpus of `total` tokens feeds besides.
    """
    a_run = (1 + recipe.train.decay_share * HALF) * run_tokens
    runs = int(kept_back / (a_run + EVAL_COST * first.eval_tokens * n_sources * 2))
    fed = int(HELD_OUT_EPOCHS * total / HELD_OUT_SIZE / run_tokens) - first.seeds
    seeds = min(first.seeds, runs // 2, fed)
    if seeds < 1 or not any(cell.is_recipe for cell in first.cells):
        return _SecondPass()
    return _SecondPass(runs, seeds, round(runs * a_run))


def _idle(
    recipe: StudyRecipe, shape: Shape, cells: list[Cell], natural: dict[str, float], kept: dict[str, dict[str, float]]
) -> list[dict[str, str]]:
    """Notices of what has no cell: filters that keep next to all, or next to nothing, and the study's own proxy."""
    own = [_notice("own_scale", proxy_text(*shape.size))] if shape.size in recipe.design.scales else []
    idle = [name for name in kept if design.filtered(name) not in {cell.name for cell in cells}]
    shares = {name: sum(natural[s] * kept[name][s] for s in natural) for name in idle}
    return [*own, *(_notice("filter", name, share=percent(share)) for name, share in shares.items())]


def _claims(cells: list[Cell], recipe: StudyRecipe, n_sources: int) -> int:
    """Tests that are corrected together."""
    fitted = [cell for cell in cells if cell.fitted]
    mixtures = sum(cell.axis == "distribution" for cell in fitted) * (n_sources + 1)
    mixtures += sum(cell.axis == "filter" for cell in fitted) // 2 * (n_sources + 1)
    size = n_sources + 1 if "size" in recipe.design.axes else 0
    mixtures += sum(cell.axis == "order" for cell in fitted) * (n_sources + 1)
    mixtures += sum(cell.axis == "leak" for cell in fitted)
    alone = sum(cell.axis == "quality" and cell.source is not None for cell in fitted) * (n_sources + 1)
    mixtures += sum(cell.axis == "scale" for cell in fitted)
    together = 2 * sum(cell.also is not None for cell in fitted)  # what both cost, and whether that is the sum
    return max(1, size + mixtures + alone + together + sum(cell.is_dose for cell in fitted))


def _detectable(
    recipe: StudyRecipe, cells: list[Cell], run_tokens: float, seeds: int, eval_tokens: int, n_sources: int
) -> list[float]:
    """The smallest effects on the mean over sources, and on one source's text, that a claim should find."""
    claims, rate = _claims(cells, recipe, n_sources), recipe.design.false_discovery_rate
    errors = [power.standard_error(run_tokens, seeds, eval_tokens, n) for n in (n_sources, 1)]
    return [power.detectable(error, seeds, claims, rate) for error in errors]


def costs(recipe: StudyRecipe, plan: Plan) -> dict[str, float]:
    """The share of the training that each question takes, in steps of the study's own proxy, and what is kept back. The
    trunk serves size alone where that is asked, but one run of it is every other question's baseline."""
    cells = plan.cell_list()
    axes = ("quality", "distribution", "filter", "leak", "order", "scale")
    own = {axis: [cell for cell in cells if cell.axis == axis] for axis in axes}
    by = {axis: plan.run_steps * _cells_cost(recipe, found) for axis, found in own.items()}
    by["second_pass"] = plan.more_tokens / plan.step_tokens / len(plan.seeds)
    trunk = _planned_tokens(recipe, [], plan.run_steps, plan.branch_steps, plan.held_out_steps)
    total = trunk + sum(by.values())
    return {axis: steps / total for axis, steps in {"size": trunk, **by}.items()}


def halved(
    recipe: StudyRecipe, plan: Plan, texts: list[SourceText], kept: dict[str, dict[str, float]] | None = None
) -> Plan | None:
    """The plan of half the budget; None where that pays for no study."""
    shape = plan.shape.model_copy(update={"total_tokens": plan.shape.total_tokens // 2, "why": []})
    try:
        return make_plan(recipe, shape, texts, kept)
    except InputError:
        return None


def _too_small(
    recipe: StudyRecipe, shape: Shape, paid: Shape, cells: list[Cell], seeds: int, n_sources: int
) -> InputError:
    """The error for a budget of which what is `paid` for the first pass does not pay for the smallest design, with one
    that does."""
    timed = shape.training_seconds is not None
    of_all = shape.total_tokens / max(1, paid.total_tokens)
    enough = math.ceil(max(1.0, of_all) * _enough(recipe, paid, cells, seeds, n_sources))
    remedies = [f"give at least {_budget(shape, enough)}"]
    if of_all > 1:
        remedies.append("keep nothing back with --set design.second_pass=0")
    if recipe.design.axes != ("size",):
        remedies.append("ask fewer questions with --set design.axes=[size]")
    if recipe.design.scales or recipe.design.rates:
        remedies.append("leave out design.scales and design.rates")
    if _least_run_tokens(recipe) > LEAST_RUN_TOKENS:
        remedies.append("set a smaller train.batch_rows")
    budget = "the budget" if timed else f"the budget of {shape.total_tokens:,} training tokens"
    return InputError(
        f"{budget} is too small for the smallest study",
        where="--budget" if timed else "--tokens",
        remedy=", or ".join(remedies),
    )


def _budget(shape: Shape, tokens: int) -> str:
    """A budget that pays for so many training tokens, as it is given: a time a tenth above what the probe says."""
    if shape.training_seconds is None or shape.other_seconds is None:
        return f"{tokens:,} tokens"
    training = 1.1 * tokens / max(1, shape.total_tokens) * shape.training_seconds
    return f"--budget {math.ceil((training + shape.other_seconds) / 30) * 30}s"


def _cells(
    recipe: StudyRecipe,
    shape: Shape,
    natural: dict[str, float],
    targets: list[str],
    doses: tuple[float, ...],
    most: dict[str, float],
    kept: dict[str, dict[str, float]] | None,
    least: float = 0.0,
) -> list[Cell]:
    axes, cells = recipe.design.axes, []
    cells += design.filter_cells(natural, kept or {}, least)
    cells += design.leak_cells(natural, recipe.design.leaks)
    cells += design.order_cells(natural, recipe.design.orders)
    others = tuple(size for size in recipe.design.scales if size != shape.size)
    cells += design.scale_cells(natural, others, recipe.design.rates, shape.size, shape.cost_of)
    if "quality" in axes:
        asked = recipe.design
        if unknown := [source for source in asked.damaged_sources if source not in natural]:
            there = ", ".join(natural)
            raise InputError(
                f"there is no source {unknown[0]}", where="design.damaged_sources", remedy=f"name one of {there}"
            )
        cells += design.quality_cells(natural, asked.defects, doses, asked.held_out_doses, asked.damaged_sources)
        cells += design.together_cells(natural, asked.together, doses)
    if "distribution" in axes and len(natural) > 1:
        factor = recipe.design.upweight
        held = recipe.design.held_out_mixtures
        cells += design.distribution_cells(natural, targets, factor, most, recipe.seed, held)
    return cells


def _run_tokens(
    recipe: StudyRecipe, shape: Shape, cells: list[Cell], seeds: int, eval_tokens: int, n_sources: int
) -> float:
    """D_c: the budget less evaluation, over what a seed costs in D_c."""
    runs = sum(cell.cost * (2 if cell.fitted and cell.halves else 1) for cell in cells)
    runs += recipe.design.size_branches + 1
    evaluation = EVAL_COST * eval_tokens * n_sources * (runs + 4)  # four runs a seed see the test text as well
    return (shape.total_tokens / seeds - evaluation) / (_cells_cost(recipe, cells) + trunk_cost(recipe))


def _cells_cost(recipe: StudyRecipe, cells: list[Cell], *, priced: bool = True) -> float:
    """Tokens computed for a seed's cells, in D_c: a run each, and for those that are fitted the decay at half of it;
    `priced`: those of other proxies as many times as one of theirs costs."""
    half = recipe.train.decay_share * HALF
    each = (1 + half if cell.fitted and cell.halves else 1.0 for cell in cells)
    return sum(tokens * (cell.cost if priced else 1.0) for cell, tokens in zip(cells, each, strict=True))


def _enough(recipe: StudyRecipe, shape: Shape, cells: list[Cell], seeds: int, n_sources: int) -> int:
    """A budget that pays for the smallest run of so many cells and seeds; a larger budget evaluates more, too."""
    tokens, run_tokens = max(1, shape.total_tokens), 0.0
    while run_tokens < _least_run_tokens(recipe):
        tokens = math.ceil(1.05 * tokens)
        larger = shape.model_copy(update={"total_tokens": tokens})
        eval_tokens = recipe.tokens.eval_tokens or _eval_tokens(recipe, larger, cells, seeds, n_sources)
        run_tokens = _run_tokens(recipe, larger, cells, seeds, eval_tokens, n_sources)
    return tokens


def _planned_tokens(
    recipe: StudyRecipe, cells: list[Cell], run_steps: int, branches: list[int], held_out_steps: int
) -> int:
    """Steps that one seed computes."""
    decay = recipe.train.decay_share
    trunk = (1 - decay) * held_out_steps + decay * (sum(branches) + held_out_steps)
    return round(trunk + _cells_cost(recipe, cells, priced=False) * run_steps)


def _eval_tokens(recipe: StudyRecipe, shape: Shape, cells: list[Cell], seeds: int, n_sources: int) -> int:
    """Held-out tokens a source: all of them together a share of a comparison run."""
    run_tokens = shape.total_tokens / seeds / (_cells_cost(recipe, cells) + trunk_cost(recipe))
    return int(min(MOST_EVAL_TOKENS, max(LEAST_EVAL_TOKENS, EVAL_SHARE * run_tokens / n_sources)))


def _least_run_tokens(recipe: StudyRecipe) -> int:
    """The shortest comparison run from which anything can be learned."""
    return max(LEAST_RUN_TOKENS, LEAST_RUN_STEPS * recipe.train.row_tokens * recipe.train.batch_rows)


def _seeds_fed(recipe: StudyRecipe, total: float) -> int:
    """Seeds to begin with: four, or three where the corpus feeds no more."""
    return 4 if _run_tokens_fed(total, 4) >= _least_run_tokens(recipe) else 3


def _run_tokens_fed(total: float, seeds: int) -> float:
    """The longest D_c that a corpus of so many tokens feeds: every seed reads its own part of it, in the held-out run
    at most HELD_OUT_EPOCHS times."""
    return HELD_OUT_EPOCHS * total / seeds / HELD_OUT_SIZE


def _most_run_tokens(recipe: StudyRecipe, total: float, seeds: int) -> float:
    """`_run_tokens_fed`, where that is enough for a study.

    Raises:
        InputError: the corpus is too small for the smallest run.
    """
    most = _run_tokens_fed(total, seeds)
    if most < (least_run := _least_run_tokens(recipe)):
        least = math.ceil(least_run * HELD_OUT_SIZE * seeds / HELD_OUT_EPOCHS)
        fewer = ", fewer train.seeds" if (recipe.train.seeds or 0) > 3 else ""
        smaller = ", a smaller train.batch_rows" if least_run > LEAST_RUN_TOKENS else ""
        raise InputError(
            f"the corpus is too small: {total:,.0f} training tokens, and a study of {seeds} seeds needs {least:,}",
            remedy=f"give more text (about 1 MB at least){fewer}{smaller}",
        )
    return most


def _pool_shares(
    cells: list[Cell],
    texts: list[SourceText],
    seeds: int,
    held_out_tokens: float,
    run_tokens: float,
    kept: dict[str, dict[str, float]],
) -> dict[str, float]:
    """Share of each source's training text that the study reads: enough for every seed (of both passes) to read its own
    part in its longest run (a filter's cell reads the share that is `kept` of it), and about POOL_DOCUMENTS documents
    of it at least."""
    total = sum(text.tokens for text in texts)
    of_filter = {
        cell: shares for name, shares in kept.items() for cell in (design.filtered(name), design.dropped(name))
    }
    shares = {}
    for text in texts:
        needs = [text.tokens / total * held_out_tokens]
        for cell in cells:
            left = of_filter.get(cell.name, {}).get(text.source, 1.0)
            needs.append(cell.weights[text.source] * run_tokens / left if left > 0 else 0.0)
        times = max(POOL_TIMES, PART_TIMES * seeds)
        enough = max(times * max(needs) / text.tokens, POOL_DOCUMENTS * seeds / max(1, text.documents))
        shares[text.source] = min(1.0, enough)
    return shares


def _notice(kind: str, value: str, **more: object) -> dict[str, str]:
    return both(f"notice.{kind}", value=value, **more)
