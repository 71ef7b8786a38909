"""The plan: never dearer than the budget, never longer than the corpus, a reason for every value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.altering.damage import DEFECTS
from assay.errors import InputError
from assay.impact import design, jobs
from assay.impact.plan import (
    HELD_OUT_EPOCHS,
    LEAST_RUN_TOKENS,
    MOST_EPOCHS,
    Plan,
    SourceText,
    costs,
    halved,
    make_plan,
)
from assay.impact.shape import Shape, choose_shape
from assay.recipe.load import load
from assay.recipe.study import COPYING, StudyRecipe
from assay.train.transfer import transferred

RECIPE = StudyRecipe()


def no_probe(*_: object) -> float:
    raise AssertionError("the plan of --tokens does not look at the machine")


def shape(tokens: float, n_sources: int, recipe: StudyRecipe = RECIPE) -> Shape:
    return choose_shape(recipe, tokens, None, 2, n_sources, no_probe)


def texts(sizes: list[float]) -> list[SourceText]:
    return [SourceText(f"s{i}", tokens, 1000) for i, tokens in enumerate(sizes)]


def plan(tokens: float, sizes: list[float], recipe: StudyRecipe = RECIPE) -> Plan:
    return make_plan(recipe, shape(tokens, len(sizes), recipe), texts(sizes))


def computed_tokens(found: Plan) -> int:
    """Training tokens of all jobs, as the fleet will count them."""
    train = RECIPE.train
    fleet = [*jobs.trunks(found, train, 2048)]
    fleet += [*jobs.cells(found, train, 2048, fitted=True), *jobs.cells(found, train, 2048, fitted=False)]
    longest, last = found.held_out_steps, found.branch_steps[-1]
    larger = (longest - found.decay(longest)) - (last - found.decay(last)) + found.decay(longest)
    if design.LARGER not in found.predictions:
        larger = 0
    return sum(job.tokens for job in fleet) + larger * found.step_tokens * len(found.seeds)


budgets = st.floats(1e5, 3e8)
corpora = st.lists(st.floats(1e4, 3e8), min_size=1, max_size=9)


@settings(max_examples=150, deadline=None)
@given(budgets, corpora, st.booleans())
def test_a_plan_fits_its_budget_and_its_corpus_or_is_refused_in_one_line(
    tokens: float, sizes: list[float], fixed: bool
) -> None:
    recipe = load(StudyRecipe, None, ["train.seeds=3"])[0] if fixed else RECIPE
    try:
        found = plan(tokens, sizes, recipe)
    except InputError as error:
        assert "\n" not in error.line()
        assert error.remedy
        return
    # Evaluation is part of the budget, too; rounding to whole steps may add a little.
    step = found.step_tokens
    slack = 1 + 2 * step / LEAST_RUN_TOKENS * (1 + len(found.branch_steps))
    assert found.planned_tokens <= tokens * slack
    assert computed_tokens(found) <= tokens * slack
    part = sum(sizes) / len(found.seeds)  # what a seed reads of the corpus
    assert found.held_out_steps * step <= HELD_OUT_EPOCHS * part + 4 * step
    assert found.branch_steps[-1] * step <= part + 2 * step
    assert sum(found.natural.values()) == pytest.approx(1)
    assert len(set(found.seeds)) == len(found.seeds) >= (3 if fixed else 2)
    assert found.branch_steps == sorted(set(found.branch_steps))
    run = found.run_steps * step
    assert run >= LEAST_RUN_TOKENS - step
    for cell in found.cell_list():
        assert sum(cell.weights.values()) == pytest.approx(1)
        for source, weight in cell.weights.items():
            # No mixture reads a source more than so often, unless the natural one does.
            limit = max(MOST_EPOCHS * found.natural[source] * part, found.natural[source] * run)
            if cell.source in (source, None) and cell.fitted:
                assert weight * run <= limit * (1 + 1e-6) + 1e-6
    assert all(0 < share <= 1 for share in found.pool_share.values())
    assert Plan.model_validate_json(found.model_dump_json()) == found


def test_what_is_planned_is_what_the_fleet_computes() -> None:
    found = plan(2e7, [3e7, 2e7, 1e7])
    assert computed_tokens(found) == pytest.approx(found.planned_tokens, rel=0.02)


@pytest.mark.parametrize("tokens", [0.0, 1e3, 1e5])
def test_a_budget_that_is_too_small_is_refused_with_one_that_is_not(tokens: float) -> None:
    with pytest.raises(InputError, match="too small") as caught:
        plan(tokens, [3e7, 3e7])
    assert "--tokens" in caught.value.line()


def test_the_budget_that_is_asked_for_is_enough() -> None:
    with pytest.raises(InputError) as caught:
        plan(4e5, [3e7, 3e7, 2e7])
    needed = float(caught.value.remedy.split("at least ")[1].split(" tokens")[0].replace(",", ""))
    plan(needed, [3e7, 3e7, 2e7])


@pytest.mark.parametrize("sizes", [[1e4], [5e4, 5e4], [1.0]])
def test_a_corpus_that_is_too_small_is_refused(sizes: list[float]) -> None:
    with pytest.raises(InputError, match="corpus is too small") as caught:
        plan(1e8, sizes)
    assert "more text" in caught.value.remedy


def test_every_derived_value_has_a_reason() -> None:
    found = plan(2e7, [3e7, 2e7, 1e7])
    keys = [key for key, _, _ in found.why]
    assert {"train.dtype", "tokens", "model", "train.seeds", "run_tokens", "size_branches", "held_out"} <= set(keys)
    assert all(value and reason for _, value, reason in found.why)


def test_axes_that_are_not_asked_about_cost_nothing() -> None:
    for axes, expected in (("[size]", set()), ("[quality]", {"quality"}), ("[size, distribution]", {"distribution"})):
        recipe = load(StudyRecipe, None, [f"design.axes={axes}"])[0]
        found = plan(2e7, [3e7, 2e7, 1e7], recipe)
        assert {cell.axis for cell in found.cell_list()} == expected
        assert (design.LARGER in found.predictions) is ("size" in axes)
        assert (design.HELD_OUT_MIX in found.predictions) is ("distribution" in axes)


def test_one_source_has_no_mixtures() -> None:
    assert {cell.axis for cell in plan(2e7, [1e8]).cell_list()} == {"quality"}


def test_a_larger_budget_never_buys_less() -> None:
    runs = [plan(tokens, [3e8, 2e8]) for tokens in (3e6, 1e7, 5e7, 2e8)]
    work = [p.run_steps * p.step_tokens * len(p.seeds) for p in runs]
    assert work == sorted(work)
    assert [p.shape.width for p in runs] == sorted(p.shape.width for p in runs)


def test_a_time_budget_is_turned_into_tokens_by_the_faster_arithmetic() -> None:
    speeds = {"float32": 10_000.0, "bfloat16": 25_000.0}
    found = choose_shape(RECIPE, None, 60.0, 2, 3, lambda rung, dtype: speeds[dtype])
    assert found.dtype == "bfloat16"
    assert found.tokens_per_second == 25_000
    assert 0 < found.total_tokens <= 25_000 * 60
    fixed = load(StudyRecipe, None, ["train.dtype=float32"])[0]
    assert choose_shape(fixed, None, 60.0, 2, 3, lambda rung, dtype: speeds[dtype]).dtype == "float32"


def test_jobs_are_paired_by_seed_and_go_on_from_their_trunk() -> None:
    found = plan(2e7, [3e7, 2e7, 1e7])
    trunks = jobs.trunks(found, RECIPE.train, 2048)
    assert [job.stream.seed for job in trunks] == found.seeds == [job.spec.seed for job in trunks]
    assert all(job.keep for job in trunks)
    for fitted in (True, False):
        for job in jobs.cells(found, RECIPE.train, 2048, fitted=fitted):
            pair = next(trunk for trunk in trunks if trunk.stream.seed == job.stream.seed)
            assert job.spec == pair.spec  # the same initialisation
            assert {branch.steps for branch in job.branches} <= {branch.steps for branch in pair.branches}
            assert all(("test" in branch.splits) is not fitted for branch in job.branches)


def test_other_proxies_are_paid_for_by_what_their_steps_cost_and_have_rates_of_their_width() -> None:
    given = ["train.layers=2", "train.width=64", "design.scales=[[2, 128], [4, 64]]", "design.rates=[0.5]"]
    recipe = load(StudyRecipe, None, given)[0]
    base, found = plan(3e7, [1e8]), plan(3e7, [1e8], recipe)
    scales = {cell.name: cell for cell in found.cell_list() if cell.axis == "scale"}
    assert list(scales) == [
        "scale:2x128", "scale:4x64", "rates:2x64:0.5", "rates:2x128:0.5", "rates:4x64:0.5"
    ]  # fmt: skip
    per_token = {(n, w): 12 * n * w * w + 2048 * w for n, w in ((2, 64), (2, 128), (4, 64))}
    assert found.shape.vocabulary == 2048
    for cell in scales.values():
        assert cell.shape is not None
        assert cell.cost == pytest.approx(per_token[cell.shape] / per_token[2, 64])
    assert found.run_steps < base.run_steps  # they take from the same budget
    assert 0 < costs(recipe, found)["scale"] < 1
    assert sum(costs(recipe, found).values()) == pytest.approx(1)
    jobs_of = {job.cell: job for job in jobs.cells(found, recipe.train, 2048, fitted=True)}
    wide, slow = jobs_of["scale:2x128"].spec, jobs_of["rates:2x128:0.5"].spec
    assert (wide.model.width, wide.model.layers, wide.model.heads) == (128, 2, 4)  # type: ignore[union-attr]
    assert wide.optimizer == transferred(jobs_of["scale:4x64"].spec.optimizer, 128, 64)
    assert slow.optimizer == wide.optimizer.times(0.5)
    assert jobs_of["rates:2x64:0.5"].spec.model == jobs.trunks(found, recipe.train, 2048)[0].spec.model


def test_the_studys_own_proxy_is_no_other_one() -> None:
    given = ["train.layers=2", "train.width=64", "design.scales=[[2, 64], [4, 64]]"]
    found = plan(3e7, [1e8], load(StudyRecipe, None, given)[0])
    assert [cell.name for cell in found.cell_list() if cell.axis == "scale"] == ["scale:4x64"]
    assert any("2 × 64" in notice["en"] for notice in found.notices)


def test_a_budget_for_one_dose_keeps_one_that_two_defects_fit_into() -> None:
    given = ["design.doses=[0.25, 0.5, 0.75]", "design.together=[[near_duplicates, character_noise]]", "train.seeds=3"]
    pairs = set()
    for tokens in (1.9e6, 3e7):
        found = plan(tokens, [1e8, 1e8], load(StudyRecipe, None, given)[0])
        doses = {cell.dose for cell in found.cell_list() if cell.is_dose}
        pairs |= {(len(doses), tuple(cell.dose for cell in found.cell_list() if cell.also))}
    assert pairs == {(1, (0.5,)), (3, (0.25, 0.5))}


@pytest.mark.parametrize(
    ("together", "more", "said"),
    [
        ("[near_duplicates, exact_duplicates]", "design.defects=[near_duplicates, exact_duplicates]", "same passages"),
        ("[near_duplicates, near_duplicates]", "design.doses=[0.5]", "cannot be planted together"),
        ("[near_duplicates, misread]", "design.doses=[0.5]", "not in defects"),
        ("[near_duplicates, character_noise]", "design.doses=[0.75]", "no room"),
        ("[near_duplicates, character_noise]", "design.axes=[size]", "quality"),
    ],
)
def test_pairs_of_defects_that_cannot_be_are_refused(together: str, more: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(StudyRecipe, None, [f"design.together=[{together}]", more])
    assert {name for name, defect in DEFECTS.items() if defect.adds} == COPYING


def test_uniform_is_as_even_as_the_text_allows() -> None:
    found = plan(2e7, [1.9e6, 5e4, 5e4])
    cell = next(cell for cell in found.cell_list() if cell.name == design.UNIFORM)
    part, run = 2e6 / len(found.seeds), found.run_steps * found.step_tokens
    caps = {s: MOST_EPOCHS * found.natural[s] * part / run for s in found.natural}
    assert cell.weights["s1"] == pytest.approx(caps["s1"])
    assert cell.weights["s2"] == pytest.approx(caps["s2"])
    assert design.uniform({"a": 1.0, "b": 0.1, "c": 0.5}) == pytest.approx({"a": 0.45, "b": 0.1, "c": 0.45})
    assert design.uniform({"a": 1.0, "b": 1.0}) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize("settings", [["train.row_tokens=512", "train.batch_rows=64"], ["train.batch_rows=1024"]])
def test_large_batches_make_runs_of_enough_steps_or_are_refused(settings: list[str]) -> None:
    recipe = load(StudyRecipe, None, settings)[0]
    with pytest.raises(InputError, match="too small") as caught:
        plan(5e6, [3e7, 3e7], recipe)
    assert "train.batch_rows" in caught.value.remedy
    found = plan(1e9, [3e8, 3e8], recipe)
    assert found.branch_steps == sorted(set(found.branch_steps))
    assert found.planned_tokens <= 1.01e9


def test_more_seeds_than_the_corpus_feeds_are_refused_with_the_remedy() -> None:
    recipe = load(StudyRecipe, None, ["train.seeds=8"])[0]
    with pytest.raises(InputError, match="a study of 8 seeds needs") as caught:
        plan(1e8, [3e5, 3e5], recipe)
    assert "fewer train.seeds" in caught.value.remedy


def test_what_each_question_costs_and_what_half_the_budget_would_change() -> None:
    found = plan(2e7, [3e7, 2e7, 1e7])
    shares = costs(RECIPE, found)
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    train = RECIPE.train
    for axis, share in shares.items():
        jobs_of = [*jobs.cells(found, train, 2048, fitted=True), *jobs.cells(found, train, 2048, fitted=False)]
        own = sum(job.tokens for job in jobs_of if job.axis == axis)
        if axis != "size":
            assert share == pytest.approx(own / found.planned_tokens, rel=0.01)  # decays are whole steps
    less = halved(RECIPE, found, texts([3e7, 2e7, 1e7]))
    assert less is not None and less.planned_tokens < 0.6 * found.planned_tokens
    assert less.detectable is not None and found.detectable is not None and less.detectable > found.detectable
    assert less == plan(1e7, [3e7, 2e7, 1e7]).model_copy(update={"shape": less.shape, "why": less.why})
    poor = plan(2.2e6, [3e7])
    while (less := halved(RECIPE, poor, texts([3e7]))) is not None:
        poor = less
    assert poor.planned_tokens > 0


def kept_back(share: float, *more: str) -> StudyRecipe:
    return load(StudyRecipe, None, [f"design.second_pass={share}", *more])[0]


@settings(max_examples=60, deadline=None)
@given(budgets, corpora, st.sampled_from([0.1, 0.25, 0.5]))
def test_a_second_pass_fits_the_budget_and_reads_text_of_its_own(
    tokens: float, sizes: list[float], share: float
) -> None:
    try:
        found = plan(tokens, sizes, kept_back(share))
    except InputError as error:
        assert "second_pass" in error.line() or "corpus" in error.line()
        return
    if not found.more_seeds:
        whole = plan(tokens, sizes)
        assert found.notices[:-1] == whole.notices and "second pass" in found.notices[-1]["en"]
        assert found.model_copy(update={"notices": whole.notices, "shape": whole.shape, "why": whole.why}) == whole
        return
    seeds, step = [*found.seeds, *found.more_seeds], found.step_tokens
    assert [(part.index, part.of) for part in map(found.part, seeds)] == [(i, len(seeds)) for i in range(len(seeds))]
    assert len(found.more_seeds) <= len(found.seeds)
    assert found.held_out_steps * step <= HELD_OUT_EPOCHS * sum(sizes) / found.parts + 4 * step
    slack = 1 + 2 * step / LEAST_RUN_TOKENS * (1 + len(found.branch_steps))
    assert computed_tokens(found) + found.more_tokens <= tokens * slack
    assert found.more_runs >= 2 and found.more_tokens <= share * tokens
    assert dict((key, value) for key, value, _ in found.why)["second_pass"] == f"{found.more_runs} runs"


def test_runs_of_a_second_pass_are_those_of_other_seeds() -> None:
    recipe = kept_back(0.25)
    found = plan(2e7, [3e7, 2e7, 1e7], recipe)
    again = jobs.second(found, recipe.train, 2048, {design.NATURAL: 2, design.UNIFORM: 2, "up:s0": 1})
    assert [(job.cell, job.stream.seed) for job in again] == [
        (design.NATURAL, found.more_seeds[0]), (design.NATURAL, found.more_seeds[1]),
        (design.UNIFORM, found.more_seeds[0]), (design.UNIFORM, found.more_seeds[1]), ("up:s0", found.more_seeds[0]),
    ]  # fmt: skip
    assert sum(job.tokens for job in again) == pytest.approx(5 * found.more_tokens / found.more_runs, rel=0.01)
    first = {job.cell: job for job in jobs.cells(found, recipe.train, 2048, fitted=True)}
    for job in again:
        assert job.branches == first[design.UNIFORM].branches
        assert job.stream.part == found.part(job.stream.seed)
    costed = costs(recipe, found)
    assert sum(costed.values()) == pytest.approx(1)
    assert costed["second_pass"] == pytest.approx(0.25, abs=0.03)


def test_nothing_is_kept_back_where_there_is_no_choice_or_no_text() -> None:
    alone = plan(2e7, [1e8], kept_back(0.25))
    assert alone.more_runs == 0 and "no recipes" in alone.notices[-1]["en"]
    poor = plan(2e7, [6e5, 6e5], kept_back(0.25))
    assert poor.more_runs == 0 and poor.parts == len(poor.seeds) and "no seed of the first" in poor.notices[-1]["en"]
    less = halved(kept_back(0.25), plan(2e7, [3e7, 2e7], kept_back(0.25)), texts([3e7, 2e7]))
    assert less is not None and less.more_tokens <= 0.25 * 1e7
